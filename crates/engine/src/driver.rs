//! The port of drivers: what speaks to a provider, or does the work in this process.
//!
//! A call is two effects. *Start* happens once: it is preceded by a committed event and answers
//! with the output or with a handle, which is committed before anything else. *Poll* may happen any
//! number of times, in any process that has the handle.

use std::any::Any;
use std::sync::Arc;

use impasto_catalog::{Catalog, Offer, Provider};
use impasto_domain::{Error, InstanceKey, Money, OfferId, RunId, TaskId, Values, Workbench};
use impasto_store::{BoxFuture, Durable};

/// A place under the limit of a provider. Whoever does the work keeps a clone until it has ended.
#[derive(Clone)]
pub struct Slot {
    _permit: Arc<dyn Any + Send + Sync>,
}

impl Slot {
    /// A slot that is free again when `permit` and all its clones are dropped.
    pub fn new(permit: impl Any + Send + Sync) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

/// One attempt, to be started.
#[derive(Clone)]
pub struct StartCall {
    /// The run.
    pub run: RunId,
    /// The step instance.
    pub key: InstanceKey,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The task.
    pub task: TaskId,
    /// The catalogue of the run: it has the offer and its provider.
    pub catalog: Arc<Catalog>,
    /// The offer.
    pub offer: OfferId,
    /// What the provider calls it.
    pub endpoint: String,
    /// The input; prompts are text, videos are rendered unless the task takes timelines.
    pub input: Values,
    /// What it is expected to cost.
    pub estimate: Money,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// The same for the same attempt, in every process and for ever.
    pub idempotency_key: String,
    /// Files, progress and the wish to stop.
    pub bench: Arc<dyn Workbench>,
    /// The place under the provider's limit.
    pub slot: Slot,
    /// When what leads to this call is durable: nothing that could be paid for leaves before.
    pub durable: Durable,
    /// Where the provider can hint that something happened to the job, if it can be told and reaches us.
    pub callback: Option<String>,
}

/// An attempt that has been started elsewhere.
#[derive(Clone)]
pub struct Job {
    /// The catalogue of the run.
    pub catalog: Arc<Catalog>,
    /// The offer.
    pub offer: OfferId,
    /// What the provider calls the offer.
    pub endpoint: String,
    /// The provider's name for the job.
    pub handle: String,
    /// Files, progress and the wish to stop.
    pub bench: Arc<dyn Workbench>,
}

impl StartCall {
    /// The offer, and who makes it.
    ///
    /// # Errors
    /// The catalogue does not have it.
    pub fn offered(&self) -> Result<(&Offer, &Provider), Error> {
        offered(&self.catalog, &self.offer)
    }
}

impl Job {
    /// The offer, and who makes it.
    ///
    /// # Errors
    /// The catalogue does not have it.
    pub fn offered(&self) -> Result<(&Offer, &Provider), Error> {
        offered(&self.catalog, &self.offer)
    }
}

fn offered<'c>(catalog: &'c Catalog, id: &OfferId) -> Result<(&'c Offer, &'c Provider), Error> {
    let offer = catalog.offer(id)?;
    Ok((offer, catalog.provider(&offer.provider)?))
}

/// What an attempt gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The output.
    pub output: Values,
    /// What it cost; absent means what was expected.
    pub cost: Option<Money>,
}

/// Why an attempt gave nothing, and what it cost nevertheless.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Why. The kind `in_doubt` says that the provider may have taken the job all the same.
    pub error: Error,
    /// What it cost.
    pub cost: Money,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, cost: Money::ZERO }
    }
}

/// What a start answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// It is done already.
    Done(Ended),
    /// The provider took it and calls it by this handle.
    Running(String),
}

/// What a poll answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Polled {
    /// It is under way; ask again, at the provider's wish after so many milliseconds.
    Running {
        /// When to ask again, if the provider said.
        after_ms: Option<u64>,
    },
    /// It is done.
    Done(Ended),
    /// It failed for good.
    Failed(Failure),
}

/// What came of asking a provider to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was under way, and stops.
    Heeded,
    /// It was over already, or nobody there knows it any more: it may have been done, and billed.
    WasOver,
}

/// What is known of an attempt of which no handle was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The provider has it under this handle.
    Running(String),
    /// The provider never took it, or nothing is left of it: it can be started.
    Never,
    /// Nobody can tell.
    Unknown,
}

/// What speaks to the providers of one dialect.
pub trait Driver: Send + Sync {
    /// Whether [`Driver::start`] itself waits for [`StartCall::durable`] before anything leaves this
    /// process, and makes its request ready meanwhile; otherwise it is called only after that.
    fn makes_ready(&self) -> bool {
        false
    }

    /// Starts an attempt. Called at most once for each attempt number, in all processes together.
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>>;

    /// Asks for a job. An error says nothing about the job, only about asking: a job that failed is
    /// [`Polled::Failed`].
    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled, Error>>;

    /// Asks the provider to stop a job. The job still ends by [`Driver::poll`].
    fn cancel(&self, job: Job) -> BoxFuture<'_, Result<Stopped, Error>>;

    /// Why a provider cannot be used now, and what to do about it; nothing if it can. What must be
    /// set before it can be used is looked for in the environment.
    fn unusable(&self, provider: &Provider) -> Option<String> {
        provider.unusable(|name| std::env::var(name).ok())
    }

    /// Looks for an attempt that may have been started, by its idempotency key. Nothing may be
    /// started by looking for it that had not been started before.
    fn find(&self, call: StartCall) -> BoxFuture<'_, Result<Found, Error>> {
        let _ = call;
        Box::pin(async { Ok(Found::Unknown) })
    }
}
