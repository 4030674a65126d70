//! The nouns of Impasto.
//!
//! Every other crate speaks in these types: a [`Task`] has typed fields, a call carries [`Values`],
//! files are [`AssetRef`]s named by their [`Digest`], money is [`Money`] in micro-dollars, and
//! whatever goes wrong is an [`Error`] that says who can do what about it.
//!
//! Invariants: no IO, no clock, no randomness, no async. The types are `Serialize` because their
//! serialised form *is* the stored form of events; nothing here knows a wire protocol.
//!
//! ```
//! use impasto_domain::{Value, Values};
//! let call: Values = [("prompt".to_owned(), Value::from("a red mug"))].into();
//! assert_eq!(call["prompt"].as_text(), Some("a red mug"));
//! ```

mod asset;
mod decision;
mod diagnostic;
mod error;
mod id;
mod moment;
mod money;
mod operation;
mod task;
mod value;

pub use asset::{
    AssetRef, Digest, Digester, MediaFacts, MediaKind, SPLATS_MEDIA_TYPE, TIMELINE_MEDIA_TYPE,
};
pub use decision::{Absence, Candidate, Decision, Exclusion, InDoubt, Policy, Tier};
pub use diagnostic::{Diagnostic, Severity, Span};
pub use error::{Error, ErrorKind, Result, Side};
pub use id::{InstanceKey, ModelId, OfferId, ProviderId, RunId, TaskId, TenantId};
pub use moment::rfc3339;
pub use money::Money;
pub use operation::{Bench, News, Operation, SoundFormat, Workbench};
pub use task::{Field, Task, Type};
pub use value::{Value, Values};
