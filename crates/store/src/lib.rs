//! Where runs and files are kept: the ports, an implementation in memory, and the suite that every
//! implementation passes.
//!
//! A [`RunStore`] keeps runs: their numbered events, the ledger, outputs that can be used again, and
//! who works on what. A [`BlobStore`] keeps bytes under their digest. What a server needs besides has
//! ports of its own (keys, workflows, files of tenants, uploads, webhooks, usage); a [`Store`] is all of
//! them but the bytes.
//!
//! Invariants
//! - [`RunStore::commit`] is one transaction: events, ledger, outputs, status, files, and who is to be
//!   told of it, all or nothing.
//! - A run is worked on under a [`Lease`]. Its epoch grows with each owner, and a commit of an
//!   earlier epoch is refused, so an owner that was thought dead can do no harm.
//! - Every read takes the tenant; a foreign id is not found.
//! - Events are stored as the text they were given: nothing here knows what they mean.
//!
//! ```
//! use impasto_store::{BlobStore, MemoryBlobs};
//! let blobs = MemoryBlobs::default();
//! let digest = blobs.put(b"paint").unwrap();
//! assert_eq!(&*blobs.get(&digest).unwrap(), b"paint");
//! ```

mod blob;
mod claim;
pub mod conformance;
mod conformance_desk;
mod desk;
mod durable;
mod memory;
mod memory_desk;
mod run;

pub use blob::{BlobReader, BlobStore, BlobStoreExt, MemoryBlobs, broken_off};
pub use claim::{Claim, ClaimKind, Created, DeliveryState, RETRY_WINDOW_MS};
pub use desk::{
    AssetEntry, AssetRecord, AssetRole, AssetStore, DeliveryFilter, DeliveryRecord, EndpointRecord,
    Expired, KeyKind, KeyLimits, KeyRecord, KeyStore, STARTED, Store, TellState, Told, UploadPart,
    UploadRecord, UploadStore, UsageLine, UsageStore, WebhookStore, WorkflowRecord, WorkflowStore,
    topic_of,
};
pub use durable::Durable;
pub use memory::{MemoryRuns, other_body};
pub use run::{
    Batch, BoxFuture, FIRST_EPOCH, Lease, LedgerEntry, LedgerKind, NewRun, OutputEntry, Receipt,
    Recovery, RunFilter, RunRecord, RunStatus, RunStore, StoredEvent, StoredRun,
};
