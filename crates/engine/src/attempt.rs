//! One attempt, from the committed event that starts it to the event that ends it.
//!
//! Invariants
//! - Exactly one ending event is sent for each attempt task, even if the driver panics.
//! - A driver's `start` is called at most once for an attempt, in all processes together.
//! - When nobody can tell whether a provider took a job, the attempt is lost, not failed.

use std::sync::Arc;
use std::time::Duration;

use impasto_catalog::BilledOn;
use impasto_domain::{Error, ErrorKind, InstanceKey, Money, RunId, Values};
use impasto_store::Durable;
use impasto_workflow::Event;
use tokio::time::Instant;

use crate::EngineOptions;
use crate::bench::Stop;
use crate::driver::{Driver, Ended, Failure, Found, Job, Polled, StartCall, Started, Stopped};
use crate::prepare::Prepare;
use crate::runner::{Inbox, Message};

/// How an attempt begins in this process.
pub(crate) enum Begin {
    /// It has never been started.
    Start,
    /// It was started by an earlier process, which kept no handle.
    Find,
    /// The provider has it under this handle.
    Poll(String),
}

/// An attempt, ready to be carried out.
pub(crate) struct AttemptTask {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) call: StartCall,
    pub(crate) prepare: Prepare,
    pub(crate) stop: Arc<Stop>,
    pub(crate) inbox: Inbox,
    pub(crate) options: Arc<EngineOptions>,
}

/// What the beginning of an attempt led to.
enum Begun {
    /// The provider has the job under this handle.
    Job(String),
    /// It is over.
    Over(Ending),
}

/// What follows from a look at a job.
enum Look {
    /// It is over.
    Over(Box<Ending>),
    /// It is looked at again, at the provider's wish after this time.
    Again { asked: Option<Duration> },
}

enum Ending {
    Done(Ended),
    Failed(Failure),
    Lost,
    Void,
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Sends the ending event; if the task is torn down without one (a panic), says that it failed.
struct Sender {
    inbox: Inbox,
    key: InstanceKey,
    attempt: u32,
    estimate: Money,
    began: Instant,
    sent: bool,
}

impl Sender {
    fn send(&mut self, ending: Ending) {
        self.sent = true;
        let (key, attempt) = (self.key.clone(), self.attempt);
        let time_ms = self.began.elapsed().as_millis() as u64;
        let event = match ending {
            Ending::Done(Ended { output, cost }) => {
                let cost = cost.unwrap_or(self.estimate);
                Event::AttemptDone { key, attempt, output, cost, time_ms }
            }
            Ending::Failed(Failure { error, cost }) => {
                Event::AttemptFailed { key, attempt, error, cost, time_ms }
            }
            Ending::Lost => Event::AttemptLost { key, attempt },
            Ending::Void => Event::AttemptVoid { key, attempt },
        };
        self.inbox.send(Message::Event(event));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.sent && std::thread::panicking() {
            self.send(Error::internal("the driver panicked").into());
        }
    }
}

impl AttemptTask {
    /// Carries the attempt out and sends the events of it.
    ///
    /// What is not needed to wait for a job is boxed: thousands of them may be under way. So is the
    /// attempt itself, since a future keeps room for what it is given besides what it makes of it.
    pub(crate) async fn run(mut self: Box<Self>, begin: Begin) {
        let mut sender = Sender {
            inbox: self.inbox.clone(),
            key: self.call.key.clone(),
            attempt: self.call.attempt,
            estimate: self.call.estimate,
            began: Instant::now(),
            sent: false,
        };
        let stop = Arc::clone(&self.stop);
        tokio::select! {
            ending = self.carry_out(begin, sender.began) => sender.send(ending),
            () = stop.abandoned() => sender.sent = true,
        }
    }

    async fn carry_out(&mut self, begin: Begin, began: Instant) -> Ending {
        let deadline = began + Duration::from_millis(self.call.timeout_ms);
        let begun = Box::pin(self.begin(begin, deadline)).await;
        // That moment has come, and a job may take hours.
        self.call.durable = Durable::default();
        match begun {
            Begun::Job(handle) => self.poll(&handle, deadline).await,
            Begun::Over(ending) => ending,
        }
    }

    async fn begin(&mut self, begin: Begin, deadline: Instant) -> Begun {
        // Needed once; a job may take hours.
        let input = std::mem::take(&mut self.call.input);
        match begin {
            Begin::Start => self.start(input, deadline).await,
            Begin::Find => self.find(input).await,
            Begin::Poll(handle) => Begun::Job(handle),
        }
    }

    async fn start(&self, input: Values, deadline: Instant) -> Begun {
        let call = match self.prepare.call(StartCall { input, ..self.call.clone() }).await {
            Ok(call) => call,
            Err(error) => return Begun::Over(error.into()),
        };
        let starting = async {
            if !self.driver.makes_ready() {
                call.durable.wait().await?;
            }
            self.driver.start(call.clone()).await
        };
        let answer = tokio::select! {
            answer = starting => answer,
            error = self.out_of_time(deadline) => {
                return Begun::Over(match Box::pin(self.found(call, &error)).await {
                    // There is no time left to wait for it, or nobody wants it any more.
                    Begun::Job(handle) => Box::pin(self.stop_job(&handle, error)).await,
                    Begun::Over(ending) => ending,
                });
            }
        };
        match answer {
            Ok(Started::Done(ended)) => Begun::Over(Ending::Done(ended)),
            Ok(Started::Running(handle)) => self.accepted(handle),
            Err(failure) if failure.error.kind == ErrorKind::InDoubt => {
                Box::pin(self.found(call, &failure.error)).await
            }
            // Of what is not taken only a refusal is billed, by those who bill whatever becomes of a call.
            Err(failure) if failure.error.kind == ErrorKind::Refused => {
                Begun::Over(Ending::Failed(self.billed(failure)))
            }
            Err(failure) => Begun::Over(Ending::Failed(failure)),
        }
    }

    /// A failure with what it costs where a call is billed whatever becomes of it.
    fn billed(&self, failure: Failure) -> Failure {
        let offer = self.call.catalog.offer(&self.call.offer);
        let always = offer.is_ok_and(|offer| offer.price.billed_on == BilledOn::Always);
        match always && failure.cost.is_zero() {
            true => Failure { cost: self.call.estimate, ..failure },
            false => failure,
        }
    }

    /// Ends with an error when the time is up, or some time after it was asked to stop.
    async fn out_of_time(&self, deadline: Instant) -> Error {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {
                self.stop.ask();
                self.late()
            }
            () = self.stop.work_asked() => {
                tokio::time::sleep(self.grace()).await;
                Error::cancelled()
            }
        }
    }

    fn late(&self) -> Error {
        let seconds = self.call.timeout_ms as f64 / 1000.0;
        Error::new(ErrorKind::Timeout, format!("it took longer than {seconds} s")).retryable()
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.options.stop_grace_ms)
    }

    /// A start that was not answered, and why: only the provider can tell whether it took the job. What
    /// it took is a job like any other: it will be billed, so what it gives is waited for.
    async fn found(&self, call: StartCall, error: &Error) -> Begun {
        match self.driver.find(call).await {
            Ok(Found::Never) => Begun::Over(error.clone().into()),
            Ok(Found::Running(handle)) => self.accepted(handle),
            Ok(Found::Unknown) | Err(_) => Begun::Over(Ending::Lost),
        }
    }

    /// An attempt that an earlier process began. It is never started again: if the provider never had
    /// it, it came to nothing, and the next attempt has a number of its own.
    async fn find(&self, input: Values) -> Begun {
        let found = match self.prepare.call(StartCall { input, ..self.call.clone() }).await {
            Ok(call) => self.driver.find(call).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Found::Never) => Begun::Over(Ending::Void),
            Ok(Found::Running(handle)) => self.accepted(handle),
            Ok(Found::Unknown) | Err(_) => Begun::Over(Ending::Lost),
        }
    }

    fn tell_accepted(&self, handle: &str) {
        let (key, attempt) = (self.call.key.clone(), self.call.attempt);
        self.inbox.send(Message::Event(Event::AttemptAccepted {
            key,
            attempt,
            handle: handle.to_owned(),
        }));
    }

    fn accepted(&self, handle: String) -> Begun {
        self.tell_accepted(&handle);
        Begun::Job(handle)
    }

    fn job(&self, handle: &str) -> Job {
        Job {
            catalog: Arc::clone(&self.call.catalog),
            offer: self.call.offer.clone(),
            endpoint: self.call.endpoint.clone(),
            handle: handle.to_owned(),
            bench: Arc::clone(&self.call.bench),
        }
    }

    async fn poll(&self, handle: &str, deadline: Instant) -> Ending {
        let error = tokio::select! {
            ending = self.poll_to_the_end(handle) => return ending,
            () = tokio::time::sleep_until(deadline) => self.late(),
            () = self.stop.job_asked() => Error::cancelled(),
        };
        Box::pin(self.stop_job(handle, error)).await
    }

    /// Asks the provider to stop, and takes what the job still gives, late as it is. It comes to nothing
    /// only where the provider says so: whatever may have been done may be billed.
    async fn stop_job(&self, handle: &str, error: Error) -> Ending {
        self.stop.ask();
        // There are providers that delete what they are asked to stop, also if it is done.
        let look = tokio::time::timeout(self.grace(), self.look(handle, &mut 0)).await;
        if let Ok(Look::Over(ending)) = look {
            return Self::late_ending(*ending, error);
        }
        let stopped = self.driver.cancel(self.job(handle)).await;
        let patience = match stopped {
            Ok(Stopped::WasOver) => Duration::from_millis(self.options.late_result_ms),
            _ => self.grace(),
        };
        match (tokio::time::timeout(patience, self.poll_to_the_end(handle)).await, stopped) {
            (Ok(ending @ (Ending::Done(_) | Ending::Failed(_))), _) => {
                Self::late_ending(ending, error)
            }
            (_, Ok(Stopped::Heeded)) => Ending::Failed(self.billed(error.into())),
            (_, Ok(Stopped::WasOver) | Err(_)) => Ending::Lost,
        }
    }

    /// How a job ended that was to be stopped for this reason. What was paid for is not paid again.
    fn late_ending(ending: Ending, reason: Error) -> Ending {
        match ending {
            Ending::Failed(Failure { cost, .. }) => {
                let retry = reason.retry && cost.is_zero();
                Ending::Failed(Failure { error: Error { retry, ..reason }, cost })
            }
            other => other,
        }
    }

    async fn poll_to_the_end(&self, handle: &str) -> Ending {
        let slowest = Duration::from_millis(self.options.poll_slowest_ms);
        let mut wait = Duration::from_millis(self.options.poll_first_ms.max(1));
        let mut failures = 0;
        let mut hinted = None;
        loop {
            // What was hinted until now, by somebody faster than the answer to the start too, is answered
            // by this look.
            self.stop.take_hint();
            match self.look(handle, &mut failures).await {
                Look::Over(ending) => return *ending,
                // A provider that cannot be asked is not asked more often for what it hints.
                Look::Again { asked } if failures > 0 => {
                    tokio::time::sleep(asked.unwrap_or(wait)).await;
                }
                Look::Again { asked } => self.pause(asked.unwrap_or(wait), &mut hinted).await,
            }
            wait = wait.mul_f64(1.5).min(slowest);
        }
    }

    /// Waits until the next look, which comes sooner for a hint; for the next one only after a while.
    async fn pause(&self, pause: Duration, hinted: &mut Option<Instant>) {
        let timer = tokio::time::sleep(pause);
        tokio::pin!(timer);
        tokio::select! {
            () = &mut timer => return,
            () = self.stop.hinted() => {}
        }
        let (now, every) = (Instant::now(), Duration::from_millis(self.options.hint_every_ms));
        let due = hinted.map_or(now, |last| last + every).max(now);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        timer.await;
        *hinted = Some(Instant::now());
    }

    /// Asks for a job and says what follows, when so many looks before it have failed.
    async fn look(&self, handle: &str, failures: &mut u32) -> Look {
        let over = |ending: Ending| Look::Over(Box::new(ending));
        match self.driver.poll(self.job(handle)).await {
            Ok(Polled::Done(ended)) => over(Ending::Done(ended)),
            Ok(Polled::Failed(failure)) => over(Ending::Failed(self.billed(failure))),
            Ok(Polled::Running { after_ms }) => {
                *failures = 0;
                Look::Again { asked: after_ms.map(|ms| Duration::from_millis(ms.max(1))) }
            }
            // Who cannot be asked may have done it all the same.
            Err(_) if *failures >= self.options.poll_failures_max => over(Ending::Lost),
            Err(error) => {
                *failures += 1;
                Look::Again { asked: error.retry_after_ms.map(Duration::from_millis) }
            }
        }
    }
}

/// The same text for the same attempt, in every process and for ever.
pub(crate) fn idempotency_key(run: &RunId, key: &InstanceKey, attempt: u32) -> String {
    format!("{run}/{key}/{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of<F>(_future: impl FnOnce(Box<AttemptTask>, Begin) -> F) -> usize {
        size_of::<F>()
    }

    /// Ten thousand of them may wait; what else a run holds is several times that.
    #[test]
    fn an_attempt_that_waits_takes_little_room() {
        let (future, task) = (bytes_of(AttemptTask::run), size_of::<AttemptTask>());
        assert!(future + task <= 1_800, "{future} + {task} bytes");
    }
}
