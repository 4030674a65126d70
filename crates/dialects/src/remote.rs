//! The driver that a dialect is.

use impasto_catalog::Provider;
use impasto_domain::Result;
use impasto_engine::{Driver, Failure, Found, Job, Polled, StartCall, Started, Stopped};
use impasto_net::BoxFuture;

use crate::drive::find_by_starting;
use crate::hosted::Hosted;

/// What is of its own in how a dialect starts, asks and gives up.
pub(crate) trait Dialect: Send + Sync {
    /// The way out.
    fn hosted(&self) -> &Hosted;

    /// Starts an attempt.
    fn begin(&self, call: &StartCall) -> impl Future<Output = Result<Started, Failure>> + Send;

    /// Asks for a job.
    fn look(&self, job: &Job) -> impl Future<Output = Result<Polled>> + Send;

    /// Asks the provider to stop a job.
    fn give_up(&self, job: &Job) -> impl Future<Output = Result<Stopped>> + Send;

    /// Looks for an attempt that may have been started.
    fn find(&self, call: &StartCall) -> impl Future<Output = Result<Found>> + Send {
        async move { find_by_starting(call, Box::pin(self.begin(call))).await }
    }
}

/// The driver of a dialect.
pub(crate) struct Remote<D>(pub(crate) D);

impl<D: Dialect> Driver for Remote<D> {
    fn makes_ready(&self) -> bool {
        true
    }

    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move { self.0.begin(&call).await })
    }

    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled>> {
        Box::pin(async move { self.0.look(&job).await })
    }

    fn cancel(&self, job: Job) -> BoxFuture<'_, Result<Stopped>> {
        Box::pin(async move { self.0.give_up(&job).await })
    }

    fn unusable(&self, provider: &Provider) -> Option<String> {
        self.0.hosted().unusable(provider)
    }

    fn find(&self, call: StartCall) -> BoxFuture<'_, Result<Found>> {
        Box::pin(async move { self.0.find(&call).await })
    }
}
