//! The submission: once, and never again unless the provider does nothing twice under one name.

use std::collections::BTreeMap;
use std::sync::Arc;

use impasto_catalog::{Answer as Kind, FileIn, JobState, Offer, Outputs, Provider, Wire};
use impasto_domain::{Digest, Error, ErrorKind, Money, Result, Workbench};
use impasto_engine::{Ended, Failure, StartCall, Started};
use serde_json::Value as Json;

use super::items::ItemCall;
use super::{SubmitPoll, outputs_of, wire_of};
use crate::hosted::{Account, Answer, Ask, ByFile, Handle, Purpose, ask_for, sent_by, told_to};

/// What goes over the wire for one attempt, and how.
pub(super) struct Submission<'c> {
    account: Account<'c>,
    offer: &'c Offer,
    wire: &'c Wire,
    outputs: &'c Outputs,
    facts: BTreeMap<String, String>,
    ask: Ask,
}

impl SubmitPoll {
    pub(super) async fn submission<'c>(&'c self, call: &'c StartCall) -> Result<Submission<'c>> {
        let (offer, provider) = call.offered()?;
        let (wire, outputs) = (wire_of(offer, provider)?, outputs_of(offer)?);
        let account = self.hosted.account(provider)?.not_before(call.durable.clone());
        let request = offer.request(&call.input);
        account.check_ways(&request.body, &call.input, &*call.bench)?;
        let mut facts = facts_of(offer, provider, &call.endpoint, request.path);
        facts.insert("attempt".to_owned(), attempt_name(call));
        let submit = &wire.submit;
        let mut ask = ask_for(submit, &facts, &Json::Null)?;
        ask.query.extend(request.query);
        let mut body = sent_by(submit, &facts, &Json::Null, request.body)?;
        let callback = wire.callback.as_ref().zip(account.callback(call, &submit.base));
        if let Some((callback, address)) = callback {
            body = told_to(address, callback, &mut ask, body)?;
        }
        ask.payload = account.payload(submit.body, &body, &ByFile, &call.bench).await?;
        if submit.answer == Kind::Bytes || outputs.is_whole_body() {
            ask.answer_bytes_max = Some(self.hosted.options().file_bytes_max);
        }
        Ok(Submission { account, offer, wire, outputs, facts, ask })
    }
}

/// Our name for an attempt: always the same, and nothing that tells of the run.
pub(crate) fn attempt_name(call: &StartCall) -> String {
    Digest::of(call.idempotency_key.as_bytes()).to_string().chars().take(32).collect()
}

/// What the templates of a wire can name.
pub(super) fn facts_of(
    offer: &Offer,
    provider: &Provider,
    endpoint: &str,
    path: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let known = [
        ("endpoint", endpoint),
        ("model", offer.model.as_str()),
        ("task", offer.task.as_str()),
        ("provider", provider.id.as_str()),
    ];
    let mut facts = path;
    facts.extend(known.map(|(name, fact)| (name.to_owned(), fact.to_owned())));
    facts
}

impl Submission<'_> {
    pub(super) async fn send(&self, call: &StartCall) -> Result<Started, Failure> {
        let answer = self.account.start(&self.ask, &call.idempotency_key, call.timeout_ms).await?;
        if self.wire.submit.answer == Kind::Bytes {
            return self.done(call, &answer).await;
        }
        if !answer.is_json {
            let what = "what it says is not JSON, or not the whole of it";
            return Err(self.account.garbled(&answer, Purpose::Start, what).into());
        }
        if self.wire.poll.is_none() {
            return self.done_or_kept(call, answer).await;
        }
        match self.state(&answer) {
            Some(JobState::Succeeded) if self.wire.result.is_none() && self.has_output(&answer) => {
                self.done_or_kept(call, answer).await
            }
            Some(JobState::Failed) => Err(self.ended(ErrorKind::ProviderFailed, &answer)),
            Some(JobState::Refused) => Err(self.ended(ErrorKind::Refused, &answer)),
            _ => self.accepted(call.estimate, &answer),
        }
    }

    /// Where the job is by the answer to its submission, if that has a word for it.
    fn state(&self, answer: &Answer) -> Option<JobState> {
        let table = self.wire.state.as_ref().filter(|table| !table.http)?;
        Some(table.read(answer.status, &answer.json))
    }

    fn has_output(&self, answer: &Answer) -> bool {
        self.outputs.read(&answer.json).is_ok()
    }

    fn ended(&self, kind: ErrorKind, answer: &Answer) -> Failure {
        self.account.provider.errors.of_job(kind, &answer.json).into()
    }

    fn accepted(&self, expected: Money, answer: &Answer) -> Result<Started, Failure> {
        let mut facts = self.facts.clone();
        for (name, place) in &self.wire.handle {
            let found = place.first(&answer.json).and_then(text_of);
            let Some(fact) = found else {
                let what = format!("it took the job, it seems, and has nothing at `{place}`");
                return Err(self.account.garbled(answer, Purpose::Start, &what).into());
            };
            facts.insert(name.clone(), fact);
        }
        Ok(Started::Running(Handle { facts, expected, ..Handle::default() }.write()))
    }

    /// An answer that has only links goes into the handle, so that its files are fetched even if this
    /// process ends now.
    async fn done_or_kept(&self, call: &StartCall, answer: Answer) -> Result<Started, Failure> {
        let is_link = |file: FileIn| matches!(file, FileIn::Url | FileIn::Item);
        let links = self.outputs.rules.iter().any(|rule| is_link(rule.file));
        let most = self.account.hosted.options().kept_answer_bytes_max;
        if links && answer.bytes.len() <= most && self.has_output(&answer) {
            let facts = self.facts.clone();
            let expected = self.cost(&answer).unwrap_or(call.estimate);
            let handle = Handle { facts, expected, answer: Some(answer.json), ..Handle::default() };
            return Ok(Started::Running(handle.write()));
        }
        self.done(call, &answer).await
    }

    async fn done(&self, call: &StartCall, answer: &Answer) -> Result<Started, Failure> {
        let cost = self.cost(answer);
        let output = self.output(answer, &call.bench).await;
        match output {
            Ok(output) => Ok(Started::Done(Ended { output, cost })),
            // The work is done and will be billed; doing it again would be billed again.
            Err(error) => Err(Failure {
                error: Error { retry: false, ..error },
                cost: cost.unwrap_or(call.estimate),
            }),
        }
    }

    /// What it cost, if the answer says that or what was counted.
    fn cost(&self, answer: &Answer) -> Option<Money> {
        let told = self.wire.cost.as_ref().and_then(|charge| charge.read(&answer.json));
        told.or_else(|| answer.counted(self.offer, self.account.provider))
    }

    async fn output(
        &self,
        answer: &Answer,
        bench: &Arc<dyn Workbench>,
    ) -> Result<impasto_domain::Values> {
        let items = ItemCall { call: self.wire.item.as_ref(), facts: &self.facts };
        let output = self.account.take_in(self.outputs, answer, &items, bench).await;
        output.map_err(|error| error.at(&self.offer.id))
    }
}

/// A text, number or truth as text.
pub(super) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
