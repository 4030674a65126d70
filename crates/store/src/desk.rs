//! The ports of what a server keeps beside runs: keys, workflows, files that tenants know, uploads,
//! webhooks, usage.
//!
//! Every read takes the tenant, except where the answer is what tells the tenant (a key) or what works
//! for all tenants (deliveries that are due).

use impasto_domain::{Digest, Money, OfferId, Result, RunId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{BoxFuture, RunStore};

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Calls in the name of its tenant.
    User,
    /// Manages keys; it makes no calls.
    Admin,
}

/// What a key may use up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// The most attempts at once.
    pub concurrent: Option<u32>,
    /// The most calls a minute.
    pub calls_per_minute: Option<u32>,
    /// The most that may be spent in a day.
    pub spend_per_day: Option<Money>,
}

/// A key. Its secret is not here: only the digest of it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The part of the key that is no secret.
    pub id: String,
    /// In whose name it calls.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The SHA-256 of its secret.
    pub secret_sha256: Digest,
    /// What it may do; empty means everything that its kind may.
    pub scopes: Vec<String>,
    /// What it may use up.
    pub limits: KeyLimits,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// From when on it is refused.
    pub expires_ms: Option<u64>,
    /// Since when it is refused.
    pub revoked_ms: Option<u64>,
    /// When it was used last, to the minute or so.
    pub last_used_ms: Option<u64>,
}

/// Where keys are kept.
pub trait KeyStore: Send + Sync {
    /// Keeps a new key. Another one of that id is a conflict.
    fn add_key(&self, key: KeyRecord) -> BoxFuture<'_, Result<()>>;

    /// The key of that id, revoked or not.
    fn key(&self, id: String) -> BoxFuture<'_, Result<Option<KeyRecord>>>;

    /// The keys of one tenant, or of all, oldest first.
    fn keys(&self, tenant: Option<TenantId>) -> BoxFuture<'_, Result<Vec<KeyRecord>>>;

    /// Whether there are keys at all, revoked ones too.
    fn has_keys(&self) -> BoxFuture<'_, Result<bool>>;

    /// Refuses a key from now on. Answers whether there is such a key.
    fn revoke_key(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<bool>>;

    /// Notes that a key was used.
    fn key_used(&self, id: String, at_ms: u64) -> BoxFuture<'_, Result<()>>;
}

/// One version of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRecord {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// Its text, as it was given.
    pub text: String,
    /// When it was put, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Where workflows are kept.
pub trait WorkflowStore: Send + Sync {
    /// Keeps a text under a name; answers its version. A text that equals the newest version is that.
    fn put_workflow(
        &self,
        tenant: TenantId,
        name: String,
        text: String,
        at_ms: u64,
    ) -> BoxFuture<'_, Result<u32>>;

    /// A version of a workflow, the newest if none is named.
    fn workflow(
        &self,
        tenant: TenantId,
        name: String,
        version: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<WorkflowRecord>>>;

    /// The newest version of every workflow, by name.
    fn workflows(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>>;

    /// Every version of a workflow, newest first.
    fn workflow_versions(
        &self,
        tenant: TenantId,
        name: String,
    ) -> BoxFuture<'_, Result<Vec<WorkflowRecord>>>;

    /// Forgets a workflow with all its versions; answers whether there was one. Runs keep the plan
    /// that they have. Should the name come back, it goes on with the next version: a version never
    /// stands for two texts.
    fn remove_workflow(&self, tenant: TenantId, name: String) -> BoxFuture<'_, Result<bool>>;
}

/// How a tenant came to know a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetRole {
    /// It was uploaded, or fetched for a call.
    Upload,
    /// A run read it.
    Input,
    /// A run made it.
    Output,
}

impl AssetRole {
    /// The role as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Upload, Self::Input, Self::Output].into_iter().find(|role| role.as_str() == name)
    }
}

/// A file, and one way in which a tenant came to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetEntry {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What is known of it, as JSON text.
    pub body: String,
    /// How it is known.
    pub role: AssetRole,
    /// The run that read or made it; none if it was uploaded.
    pub run: Option<RunId>,
    /// The step of the run, as it is written; empty for the run's own inputs.
    pub step: String,
    /// The name of the input or output, or the file name that was given with it.
    pub name: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A file that a tenant knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRecord {
    /// Its number among the files of its tenant; a later one is greater.
    pub number: u64,
    /// How it was known first.
    pub first: AssetEntry,
}

/// Which files tenants know.
pub trait AssetStore: Send + Sync {
    /// Notes files of a tenant, and how they are known.
    fn record_assets(
        &self,
        tenant: TenantId,
        entries: Vec<AssetEntry>,
    ) -> BoxFuture<'_, Result<()>>;

    /// A file that the tenant knows.
    fn asset(&self, tenant: TenantId, digest: Digest)
    -> BoxFuture<'_, Result<Option<AssetRecord>>>;

    /// The files of a tenant with a number below `before`, newest first.
    fn assets(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AssetRecord>>>;

    /// Every way in which a file is known, oldest first.
    fn asset_origins(
        &self,
        tenant: TenantId,
        digest: Digest,
    ) -> BoxFuture<'_, Result<Vec<AssetEntry>>>;

    /// The tenant knows the file no more. Answers whether it did. The bytes are not touched.
    fn forget_asset(&self, tenant: TenantId, digest: Digest) -> BoxFuture<'_, Result<bool>>;
}

/// An upload in parts that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRecord {
    /// Its id.
    pub id: String,
    /// The name of the file, if one was given.
    pub name: String,
    /// The media type that was declared, if one was.
    pub media_type: String,
    /// What the one who began it wants to find again; opaque.
    pub origin: String,
    /// When it was begun, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it is given up.
    pub expires_ms: u64,
    /// Its parts, by number.
    pub parts: Vec<UploadPart>,
}

/// A part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    /// Its number; parts are put together in the order of their numbers.
    pub number: u32,
    /// Where its bytes are.
    pub digest: Digest,
    /// How many they are.
    pub bytes: u64,
}

/// Uploads in parts.
///
/// The bytes of parts belong in a [`crate::BlobStore`] of their own, apart from the files of runs: there,
/// what the end of an upload answers can be removed without taking away a file that happens to be equal
/// to a part.
pub trait UploadStore: Send + Sync {
    /// Begins an upload.
    fn begin_upload(&self, tenant: TenantId, upload: UploadRecord) -> BoxFuture<'_, Result<()>>;

    /// Keeps a part; one of the same number before it is replaced.
    fn put_part(&self, tenant: TenantId, id: String, part: UploadPart)
    -> BoxFuture<'_, Result<()>>;

    /// An upload with its parts in order.
    fn upload(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<Option<UploadRecord>>>;

    /// Ends an upload, finished or not. Answers which parts of it are parts of no other upload, of any
    /// tenant; none if there is no such upload.
    fn end_upload(
        &self,
        tenant: TenantId,
        id: String,
    ) -> BoxFuture<'_, Result<Option<Vec<Digest>>>>;

    /// Ends up to `limit` uploads whose time is over, of all tenants. Answers how many, and which parts
    /// of them are parts of no other upload.
    fn end_expired_uploads(&self, now_ms: u64, limit: u32) -> BoxFuture<'_, Result<Expired>>;
}

/// Uploads whose time was over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many they were.
    pub uploads: usize,
    /// Their parts that are parts of no other upload.
    pub parts: Vec<Digest>,
}

/// Somewhere that wants to be told of what happens to a tenant's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where to post to.
    pub url: String,
    /// What it wants to be told of; empty means everything.
    pub topics: Vec<String>,
    /// The secret that signs what is sent.
    pub secret: String,
    /// The secret before, and until when it signs too.
    pub old_secret: Option<(String, u64)>,
    /// Whether it is told at all.
    pub enabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Where something to be told stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TellState {
    /// It will be told, or told again.
    Pending,
    /// It was told.
    Delivered,
    /// It was given up.
    Failed,
}

impl TellState {
    /// The state as it is written in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Something that is to be told to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its number, which never changes, however often it is tried.
    pub number: u64,
    /// Whose it is.
    pub tenant: TenantId,
    /// The run that it is about.
    pub run: RunId,
    /// Whom to tell: an endpoint, or none for the webhook that came with the run.
    pub endpoint: Option<String>,
    /// What happened, such as `run.succeeded`.
    pub topic: String,
    /// Where it stands.
    pub state: TellState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is due next, in milliseconds since 1970.
    pub due_ms: u64,
    /// What was answered last: an HTTP status, or 0.
    pub last_status: u16,
    /// Why the last attempt failed; empty if it did not.
    pub last_error: String,
    /// When it happened, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Which deliveries to list. Newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Whose.
    pub tenant: TenantId,
    /// Only those about this run.
    pub run: Option<RunId>,
    /// Only those to this endpoint.
    pub endpoint: Option<String>,
    /// Only those in this state.
    pub state: Option<TellState>,
    /// Only those with a number below this.
    pub before: Option<u64>,
    /// The most to list.
    pub limit: u32,
}

/// How an attempt to tell somebody went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it stands now.
    pub state: TellState,
    /// When it is due next, if it is pending.
    pub due_ms: u64,
    /// What was answered: an HTTP status, or 0.
    pub status: u16,
    /// Why it failed; empty if it did not.
    pub error: String,
}

/// Webhooks: who wants to be told, and what is to be told. What is to be told is written by
/// [`RunStore::commit`], in the transaction that makes it happen.
pub trait WebhookStore: Send + Sync {
    /// Keeps an endpoint, new or changed.
    fn put_endpoint(&self, endpoint: EndpointRecord) -> BoxFuture<'_, Result<()>>;

    /// The endpoints of a tenant, oldest first.
    fn endpoints(&self, tenant: TenantId) -> BoxFuture<'_, Result<Vec<EndpointRecord>>>;

    /// Forgets an endpoint. Answers whether there was one.
    fn remove_endpoint(&self, tenant: TenantId, id: String) -> BoxFuture<'_, Result<bool>>;

    /// Takes up to `limit` deliveries that are due, of all tenants, the oldest first. They are not
    /// due again before `until_ms`, unless [`WebhookStore::told`] says otherwise.
    fn due_deliveries(
        &self,
        now_ms: u64,
        until_ms: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>>;

    /// Notes how an attempt went.
    fn told(&self, number: u64, told: Told) -> BoxFuture<'_, Result<()>>;

    /// Deliveries that pass the filter, newest first.
    fn deliveries(&self, filter: DeliveryFilter) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>>;

    /// How many deliveries of all tenants are still to be made.
    fn pending_deliveries(&self) -> BoxFuture<'_, Result<u64>>;

    /// Makes a delivery due again, whatever became of it. Answers whether there is such a one.
    fn redeliver(&self, tenant: TenantId, number: u64, now_ms: u64) -> BoxFuture<'_, Result<bool>>;
}

/// What was spent in a day at one offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageLine {
    /// The day, in days since 1970.
    pub day: u64,
    /// The offer.
    pub offer: OfferId,
    /// Charges.
    pub charges: u64,
    /// What they sum up to.
    pub amount: Money,
}

/// What tenants have spent.
pub trait UsageStore: Send + Sync {
    /// Charges from one time (included) to another (not included), by day and offer.
    fn usage(
        &self,
        tenant: TenantId,
        from_ms: u64,
        to_ms: u64,
    ) -> BoxFuture<'_, Result<Vec<UsageLine>>>;

    /// What was charged since then, and what is about to be spent: intents since then that are open.
    ///
    /// It costs little to ask this again with the same time, as who watches a limit does all day: only
    /// what came in between is read.
    fn spent_since(&self, tenant: TenantId, from_ms: u64) -> BoxFuture<'_, Result<Money>>;

    /// The same of the runs of one payer ([`crate::NewRun::payer`]) of the tenant.
    fn spent_by(
        &self,
        tenant: TenantId,
        payer: String,
        from_ms: u64,
    ) -> BoxFuture<'_, Result<Money>>;
}

/// Everything that a server keeps.
pub trait Store:
    RunStore + KeyStore + WorkflowStore + AssetStore + UploadStore + WebhookStore + UsageStore
{
}

impl<T> Store for T where
    T: RunStore + KeyStore + WorkflowStore + AssetStore + UploadStore + WebhookStore + UsageStore
{
}

/// What is told when a run comes to stand so; nothing while it is under way.
pub fn topic_of(status: crate::RunStatus) -> Option<&'static str> {
    use crate::RunStatus as Status;
    match status {
        Status::Running | Status::Interrupted => None,
        Status::Succeeded => Some("run.succeeded"),
        Status::Failed => Some("run.failed"),
        Status::Cancelled => Some("run.cancelled"),
        Status::Parked => Some("run.parked"),
    }
}

/// What is told when a run begins.
pub const STARTED: &str = "run.started";
