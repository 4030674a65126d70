//! A job after its submission: asked for, fetched, cancelled.

use std::sync::Arc;

use impasto_catalog::{Answer as Kind, JobState, Offer, Outputs, Progress, Wire};
use impasto_domain::{Error, ErrorKind, Money, Result, Workbench};
use impasto_engine::{Ended, Failure, Job, Polled, Stopped};
use serde_json::Value as Json;

use super::items::{ItemCall, later_ask};
use super::{SubmitPoll, outputs_of, wire_of};
use crate::drive::{is_about_asking, tells_nothing_of_the_job};
use crate::hosted::{Account, Answer, Handle, Purpose};

/// A job and how it is spoken to.
pub(super) struct Running<'c> {
    account: Account<'c>,
    offer: &'c Offer,
    wire: &'c Wire,
    outputs: &'c Outputs,
    handle: Handle,
    name: &'c str,
    bench: &'c Arc<dyn Workbench>,
}

impl SubmitPoll {
    pub(super) fn running<'c>(&'c self, job: &'c Job) -> Result<Running<'c>> {
        let (offer, provider) = job.offered()?;
        let (wire, outputs) = (wire_of(offer, provider)?, outputs_of(offer)?);
        let account = self.hosted.account(provider).map_err(|error| {
            // The key may be back later; the job is where it was.
            Error { retry: true, ..error }
        })?;
        let handle = Handle::read(&job.handle)?;
        let (name, bench) = (job.handle.as_str(), &job.bench);
        Ok(Running { account, offer, wire, outputs, handle, name, bench })
    }
}

impl Running<'_> {
    pub(super) async fn poll(&self) -> Result<Polled> {
        if let Some(ended) = self.handle.ended() {
            return ended.map(Polled::Done);
        }
        if let Some(json) = &self.handle.answer {
            let answer = of_json(json.clone());
            return self.end(&answer, &answer).await;
        }
        let Some(poll) = &self.wire.poll else {
            return Err(Error::internal(format!(
                "`{}` has jobs that nobody asks for",
                self.offer.id
            )));
        };
        let ask = later_ask(poll, &self.handle.facts, &Json::Null)?;
        let answer = self.account.ask_any(&ask, Purpose::Ask).await?;
        if let Some(ended) = self.error_in(&answer)? {
            return Ok(ended);
        }
        if !answer.is_json && self.wire.state.as_ref().is_some_and(|table| !table.http) {
            let what = "what it says is not JSON, or not the whole of it";
            return Err(self.account.garbled(&answer, Purpose::Ask, what));
        }
        self.tell(&answer.json);
        self.by_state(&answer).await
    }

    /// What an answer means that is an error: nothing about the job, or its end.
    fn error_in(&self, answer: &Answer) -> Result<Option<Polled>> {
        // A table of states by HTTP status has words for bad ones too.
        let table = self.wire.state.as_ref();
        let is_a_state = table.is_some_and(|table| {
            !matches!(table.read(answer.status, &answer.json), JobState::Unknown(_))
        });
        let Some(error) = self.account.judge(answer, Purpose::Ask) else { return Ok(None) };
        if is_a_state && (answer.is_success() || table.is_some_and(|table| table.http)) {
            return Ok(None);
        }
        if error.retry || tells_nothing_of_the_job(&self.account, answer) {
            return Err(Error { retry: true, ..error });
        }
        Ok(Some(self.failed(error, answer)))
    }

    async fn by_state(&self, answer: &Answer) -> Result<Polled> {
        let table = self.wire.state.as_ref();
        let state =
            table.map_or(JobState::Succeeded, |table| table.read(answer.status, &answer.json));
        let of_job = |kind| self.account.provider.errors.of_job(kind, &answer.json);
        match state {
            JobState::Queued | JobState::Running => {
                let told = answer.retry_after_ms().or(self.wire.poll_every_ms);
                Ok(Polled::Running { after_ms: told })
            }
            JobState::Failed => Ok(self.failed(of_job(ErrorKind::ProviderFailed), answer)),
            JobState::Refused => Ok(self.failed(of_job(ErrorKind::Refused), answer)),
            JobState::Cancelled => Ok(self.failed(of_job(ErrorKind::Cancelled), answer)),
            JobState::Unknown(word) => {
                let what = format!("its word for the job is '{word}', which nobody here knows");
                Err(self.account.garbled(answer, Purpose::Ask, &what))
            }
            JobState::Succeeded => self.succeeded(answer).await,
        }
    }

    async fn succeeded(&self, answer: &Answer) -> Result<Polled> {
        let Some(call) = &self.wire.result else { return self.end(answer, answer).await };
        let mut ask = match later_ask(call, &self.handle.facts, &answer.json) {
            Ok(ask) => ask,
            Err(error) => return Ok(self.lost(error, answer)),
        };
        let options = self.account.hosted.options();
        if call.answer == Kind::Bytes {
            ask.timeout_ms = Some(options.file_timeout_ms);
            ask.answer_bytes_max = Some(options.file_bytes_max);
        }
        let result = self.account.ask_any(&ask, Purpose::Ask).await?;
        if let Some(error) = self.account.judge(&result, Purpose::Ask) {
            if error.retry || is_about_asking(result.status) {
                return Err(Error { retry: true, ..error });
            }
            return Ok(self.lost(error, answer));
        }
        if call.answer == Kind::Json && !result.is_json {
            let what = "what it says is not JSON, or not the whole of it";
            return Err(self.account.garbled(&result, Purpose::Ask, what));
        }
        self.end(&result, answer).await
    }

    /// Brings home what the job made. `told` is the answer that said that it is done.
    async fn end(&self, result: &Answer, told: &Answer) -> Result<Polled> {
        let items = ItemCall { call: self.wire.item.as_ref(), facts: &self.handle.facts };
        let output = self.account.take_in(self.outputs, result, &items, self.bench).await;
        match output {
            Ok(output) => {
                self.account.forget_lines(self.name);
                let provider = self.account.provider;
                let counted = |answer: &Answer| answer.counted(self.offer, provider);
                let cost = self.cost(result).or_else(|| self.cost(told));
                let cost = cost.or_else(|| counted(result)).or_else(|| counted(told));
                let expected = Some(self.handle.expected).filter(|money| !money.is_zero());
                Ok(Polled::Done(Ended { output, cost: cost.or(expected) }))
            }
            Err(error) if error.retry => Err(error),
            Err(error) => Ok(self.lost(error, told)),
        }
    }

    fn cost(&self, answer: &Answer) -> Option<Money> {
        self.wire.cost.as_ref()?.read(&answer.json)
    }

    /// The job failed: it costs what the provider says, and nothing if it does not say.
    fn failed(&self, error: Error, answer: &Answer) -> Polled {
        self.account.forget_lines(self.name);
        let cost = self.cost(answer).unwrap_or(Money::ZERO);
        Polled::Failed(Failure { error: error.at(&self.offer.id), cost })
    }

    /// The job was done and what it made cannot be had: it costs what it would have cost, and doing it
    /// again would cost that again.
    fn lost(&self, error: Error, answer: &Answer) -> Polled {
        self.account.forget_lines(self.name);
        let cost = self.cost(answer).unwrap_or(self.handle.expected);
        let error = Error { retry: false, ..error }.at(&self.offer.id);
        Polled::Failed(Failure { error, cost })
    }

    fn tell(&self, answer: &Json) {
        let Some(progress) = &self.wire.progress else { return };
        if let Some(share) = progress.read(answer) {
            self.bench.progress(share, "at the provider");
        } else if let Some(place) = place_in_queue(progress, answer) {
            self.bench.progress(0.0, &format!("{place} before it in the queue"));
        }
        if let Some(log) = &progress.log {
            let lines: Vec<String> = log.all(answer).into_iter().flat_map(lines_of).collect();
            self.account.tell_lines(self.name, &lines, &**self.bench);
        }
    }

    pub(super) async fn cancel(&self) -> Result<Stopped> {
        if self.handle.is_over() {
            return Ok(Stopped::WasOver);
        }
        let Some(call) = &self.wire.cancel else {
            let message = format!("{} cannot be asked to stop", self.account.provider.title);
            return Err(Error::unavailable(message));
        };
        let ask = later_ask(call, &self.handle.facts, &Json::Null)?;
        let answer = self.account.ask_any(&ask, Purpose::Ask).await?;
        match answer.status {
            // It is over already, or gone.
            404 | 409 | 410 => Ok(Stopped::WasOver),
            _ => self.account.judge(&answer, Purpose::Ask).map_or(Ok(Stopped::Heeded), Err),
        }
    }
}

fn place_in_queue(progress: &Progress, answer: &Json) -> Option<u64> {
    progress.place.as_ref()?.first(answer)?.as_u64()
}

/// The lines of what stands for a log: a text, an object with a message, or a list of them.
fn lines_of(found: &Json) -> Vec<String> {
    match found {
        Json::String(text) => text.lines().map(str::to_owned).collect(),
        Json::Array(items) => items.iter().flat_map(lines_of).collect(),
        Json::Object(entry) => {
            entry.get("message").and_then(Json::as_str).map(str::to_owned).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn of_json(json: Json) -> Answer {
    let bytes = json.to_string().into_bytes().into();
    let place = "the answer to the submission".to_owned();
    Answer { status: 200, headers: Vec::new(), bytes, json, is_json: true, place }
}
