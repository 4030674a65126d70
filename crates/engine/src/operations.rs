//! The driver of work that is done in this process: operations on the blocking pool.
//!
//! A panic in an operation fails its attempt, nothing else. Work dies with the process, so after a
//! crash nothing is ever in doubt: it can be started again.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use impasto_domain::{Error, InstanceKey, Operation, Result};
use impasto_store::BoxFuture;

use crate::driver::{Driver, Ended, Failure, Found, Job, Polled, StartCall, Started, Stopped};

/// How an attempt is made to misbehave, for demonstrations and tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fault {
    /// Milliseconds to wait before the work.
    pub delay_ms: u64,
    /// The error to fail with instead of doing the work.
    pub error: Option<Error>,
    /// Whether it never ends by itself.
    pub hang: bool,
}

/// Decides, by endpoint, step instance and attempt, how an attempt misbehaves.
pub type FaultHook = Arc<dyn Fn(&str, &InstanceKey, u32) -> Fault + Send + Sync>;

/// Does operations in this process.
pub struct OperationsDriver {
    operations: HashMap<&'static str, Operation>,
    fault: Option<FaultHook>,
}

impl OperationsDriver {
    /// A driver of these operations; an endpoint is an operation's name.
    pub fn new(operations: impl IntoIterator<Item = Operation>) -> Self {
        let operations =
            operations.into_iter().map(|operation| (operation.name, operation)).collect();
        Self { operations, fault: None }
    }

    /// Lets attempts misbehave as `hook` says.
    #[must_use]
    pub fn with_faults(mut self, hook: FaultHook) -> Self {
        self.fault = Some(hook);
        self
    }

    fn operation(&self, endpoint: &str) -> Result<Operation> {
        self.operations.get(endpoint).copied().ok_or_else(|| {
            Error::unavailable(format!("there is no operation '{endpoint}' in this program")).hint(
                "the catalogue is newer than the program, or its offer names a wrong endpoint",
            )
        })
    }
}

async fn misbehave(fault: Fault) -> Result<()> {
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    if fault.hang {
        std::future::pending::<()>().await;
    }
    fault.error.map_or(Ok(()), Err)
}

async fn work(operation: Operation, call: StartCall) -> Result<Started, Failure> {
    let StartCall { input, bench, slot, endpoint, .. } = call;
    let working = tokio::task::spawn_blocking(move || {
        let done = catch_unwind(AssertUnwindSafe(|| (operation.run)(&input, &*bench)));
        drop(slot);
        done
    });
    match working.await {
        Ok(Ok(output)) => Ok(Started::Done(Ended { output: output?, cost: None })),
        Ok(Err(panic)) => {
            Err(Error::internal(format!("'{endpoint}' panicked: {}", said(&*panic))).into())
        }
        Err(_) => Err(Error::cancelled().into()),
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

impl Driver for OperationsDriver {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move {
            let operation = self.operation(&call.endpoint)?;
            if let Some(hook) = &self.fault {
                misbehave(hook(&call.endpoint, &call.key, call.attempt)).await?;
            }
            work(operation, call).await
        })
    }

    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        let error = Error::not_found(format!("there is no job '{}' in this process", job.handle));
        Box::pin(async move { Err(error) })
    }

    fn cancel(&self, _job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        Box::pin(async { Ok(Stopped::Heeded) })
    }

    fn find(&self, _call: StartCall) -> BoxFuture<'_, Result<Found, Error>> {
        Box::pin(async { Ok(Found::Never) })
    }
}
