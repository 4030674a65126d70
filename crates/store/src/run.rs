//! The port of runs, and the records that go through it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use impasto_domain::{Digest, Money, OfferId, Result, RunId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{AssetEntry, Claim, Created, DeliveryState};

/// A future behind a pointer, so that the ports can be used as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Somebody works on it.
    Running,
    /// All its outputs are there.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// Nobody works on it and it can be resumed: it was stopped, or its process ended.
    Interrupted,
    /// Somebody gave it up.
    Cancelled,
    /// An attempt is in doubt and a person has to decide.
    Parked,
}

impl RunStatus {
    /// Every status there is.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Interrupted,
        Self::Cancelled,
        Self::Parked,
    ];

    /// The status as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether the run will never go on.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The name of its workflow, or of its task.
    pub workflow: String,
    /// Its plan, as JSON text.
    pub plan: String,
    /// What was asked for (inputs, policy, options), as JSON text.
    pub request: String,
    /// The seed from which the seeds of its steps are derived.
    pub seed: u64,
    /// The revision of the catalogue that it was submitted with.
    pub catalog_revision: String,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// What whoever submitted it wants to find again with it; opaque.
    pub origin: String,
    /// Higher goes first.
    pub priority: i32,
    /// The run is given up if no attempt has started by then, in milliseconds since 1970.
    pub start_by_ms: Option<u64>,
    /// Whom to tell of it; opaque.
    pub webhook: Option<String>,
    /// Who among the tenant's own spends what it costs, such as a key; empty if nobody in particular.
    pub payer: String,
    /// What keeps the same wish from becoming two runs; not read back.
    pub claim: Option<Claim>,
}

/// A run as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// What it was created with; plan and request are left empty in lists.
    pub run: NewRun,
    /// Where it stands. A run whose process ended shows as interrupted.
    pub status: RunStatus,
    /// When its status last changed, in milliseconds since 1970.
    pub updated_ms: u64,
    /// Whether somebody asked for it to be cancelled.
    pub cancel_requested: bool,
}

/// An event of a run: numbered from 1 without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: u64,
    /// When it was recorded, in milliseconds since 1970.
    pub at_ms: u64,
    /// The event as JSON text.
    pub body: String,
}

/// A run with its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The run.
    pub record: RunRecord,
    /// Its events after the number that was asked for, in order.
    pub events: Vec<StoredEvent>,
}

/// What an entry of the ledger stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// Money that is about to be spent, written before the provider is asked.
    Intent,
    /// Money that was spent.
    Charge,
    /// An intent that came to nothing.
    Release,
}

impl LedgerKind {
    /// The kind as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Charge => "charge",
            Self::Release => "release",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Intent, Self::Charge, Self::Release].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One line of the ledger of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it stands for.
    pub kind: LedgerKind,
    /// The step instance, as it is written.
    pub step: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// The offer.
    pub offer: OfferId,
    /// How much.
    pub amount: Money,
}

/// An output that can be used again, under the digest of everything that it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputEntry {
    /// The digest of task, offer, version and input.
    pub key: Digest,
    /// The output, as JSON text.
    pub body: String,
}

/// What is written in one transaction.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The run.
    pub run: RunId,
    /// The epoch of the lease that the writer holds.
    pub epoch: u64,
    /// Events, numbered on from the last one.
    pub events: Vec<StoredEvent>,
    /// Ledger entries.
    pub ledger: Vec<LedgerEntry>,
    /// Outputs that can be used again.
    pub outputs: Vec<OutputEntry>,
    /// Files that were read or made.
    pub assets: Vec<AssetEntry>,
    /// The new status, if it changes. Anything but running gives the lease back.
    pub status: Option<RunStatus>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it has to survive a loss of power too, not only the death of the process.
    pub durable: bool,
}

impl Batch {
    /// A batch with nothing in it yet.
    pub fn new(run: RunId, epoch: u64, at_ms: u64) -> Self {
        Self {
            run,
            epoch,
            events: Vec::new(),
            ledger: Vec::new(),
            outputs: Vec::new(),
            assets: Vec::new(),
            status: None,
            at_ms,
            durable: false,
        }
    }
}

/// What a commit answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Whether somebody asked for the run to be cancelled.
    pub cancel_requested: bool,
}

/// The epoch of the first lease on a run.
pub const FIRST_EPOCH: u64 = 1;

/// The exclusive right to work on a run, until it is dropped or the process ends.
pub struct Lease {
    /// The run.
    pub run: RunId,
    /// Grows with every owner; a commit with an earlier epoch is refused.
    pub epoch: u64,
    /// Gives the right back when dropped.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("run", &self.run)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Which runs to list. Newest first: by the time of their creation, then by the order of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFilter {
    /// Whose.
    pub tenant: TenantId,
    /// Only those in one of these states; empty means any.
    pub statuses: Vec<RunStatus>,
    /// Only those whose id begins so.
    pub id_prefix: String,
    /// Only those of the workflow, or the task, of this name.
    pub workflow: Option<String>,
    /// Only those created then or later, in milliseconds since 1970.
    pub created_from_ms: Option<u64>,
    /// Only those created before then, in milliseconds since 1970.
    pub created_to_ms: Option<u64>,
    /// Only those that are listed behind this one: the last of the page before. One that the tenant
    /// does not have is not found.
    pub before: Option<RunId>,
    /// The most to list.
    pub limit: u32,
}

impl RunFilter {
    /// The newest runs of `tenant`, whatever their state.
    pub fn newest(tenant: TenantId, limit: u32) -> Self {
        Self {
            tenant,
            statuses: Vec::new(),
            id_prefix: String::new(),
            workflow: None,
            created_from_ms: None,
            created_to_ms: None,
            before: None,
            limit,
        }
    }
}

/// What processes and connections that ended leave behind.
pub trait Recovery: Send + Sync {
    /// Marks where the answer to a submission under a delivery claim is. A mark for a run that the
    /// claim does not stand for any more changes nothing.
    fn delivery(
        &self,
        tenant: TenantId,
        key: String,
        run: RunId,
        state: DeliveryState,
    ) -> BoxFuture<'_, Result<()>>;

    /// Runs of all tenants that nobody works on although they are not done, because their process
    /// ended: the highest priority first, then the oldest.
    ///
    /// Who lets go of a run for another to go on with it, as at the end of a process, drops its lease
    /// and commits no status: it stays running, and is an orphan. Who stops a run for good commits
    /// [`RunStatus::Interrupted`] (or what else it came to), and it is none.
    fn orphans(&self, limit: u32) -> BoxFuture<'_, Result<Vec<(TenantId, RunId)>>>;
}

/// Where runs are kept. See the crate's documentation for what every implementation guarantees.
pub trait RunStore: Recovery {
    /// Creates a run and the first lease on it, and writes what happens in it `first` under
    /// [`FIRST_EPOCH`], all in one transaction; or answers which run the same wish became before. A
    /// second run of the same id is a conflict, and so is a claim by which something else was asked.
    ///
    /// This answers as soon as it is written, with the moment in which it is durable. A run always
    /// becomes so, whatever `first` asks for: who submitted it is told that it was taken after that. A
    /// run that is known is durable already.
    fn create(&self, run: NewRun, first: Option<Batch>) -> BoxFuture<'_, Result<Created>>;

    /// Writes a batch in one transaction. Refused with `conflict` under an old epoch or a wrong number.
    /// After an error that says that a retry may help nothing of it is written; were it otherwise, its
    /// numbers or its epoch would have it refused.
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Receipt>>;

    /// Takes the run over, with the next epoch. Refused with `conflict` while a living owner has it.
    fn acquire(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Lease>>;

    /// The run and its events with a number above `after`.
    fn load(&self, tenant: TenantId, run: RunId, after: u64) -> BoxFuture<'_, Result<StoredRun>>;

    /// Runs that pass the filter, newest first; their plan and request are left empty.
    fn list(&self, filter: RunFilter) -> BoxFuture<'_, Result<Vec<RunRecord>>>;

    /// The output kept under a key, as JSON text.
    fn find_output(&self, tenant: TenantId, key: Digest) -> BoxFuture<'_, Result<Option<String>>>;

    /// The ledger of a run, in order.
    fn ledger(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<Vec<LedgerEntry>>>;

    /// Leaves a mark that the run is to be cancelled; whoever works on it finds it. Answers whether
    /// a living owner has the run.
    fn request_cancel(&self, tenant: TenantId, run: RunId) -> BoxFuture<'_, Result<bool>>;

    /// Runs that this store's owner works on and that somebody asked to cancel.
    fn cancel_requests(&self) -> BoxFuture<'_, Result<Vec<RunId>>>;
}
