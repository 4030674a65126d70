//! What starts, polls and ends alike in every dialect that has a driver of its own.

use std::sync::Arc;

use impasto_catalog::{FileIn, Measured, Offer, Outputs, Request};
use impasto_domain::{Error, ErrorKind, MediaKind, Money, Result, Type, Workbench};
use impasto_engine::{Ended, Failure, Found, Job, Polled, StartCall, Started, Stopped};
use impasto_net::{BoxFuture, Response};
use serde_json::Value as Json;

use crate::hosted::{Account, Answer, Ask, ByFile, Handle, Hosted, NoItems, Purpose, USUAL_BASE};
use crate::sound::{Live, Samples};

/// Statuses that say nothing about the job: who asks is not let in, is too fast, or asks in vain.
const ABOUT_ASKING: [u16; 6] = [401, 402, 403, 408, 425, 429];
/// Statuses of a job that is not known yet, or not any more: it may have been done all the same.
const NOT_KNOWN: [u16; 2] = [404, 410];

/// Whether a bad answer says nothing about the job, only about asking.
pub(crate) fn is_about_asking(status: u16) -> bool {
    !(200..500).contains(&status) || ABOUT_ASKING.contains(&status)
}

/// Whether a bad answer to the question how a job stands says nothing about the job.
pub(crate) fn tells_nothing_of_the_job(account: &Account<'_>, answer: &Answer) -> bool {
    let status = answer.status;
    is_about_asking(status) || NOT_KNOWN.contains(&status) && !account.knows(answer)
}

/// An attempt that is about to be started.
pub(crate) struct Begun<'c> {
    pub(crate) call: &'c StartCall,
    pub(crate) offer: &'c Offer,
    pub(crate) account: Account<'c>,
    pub(crate) request: Request,
}

impl<'c> Begun<'c> {
    pub(crate) fn new(hosted: &'c Hosted, call: &'c StartCall) -> Result<Self> {
        let (offer, provider) = call.offered()?;
        let account = hosted.account(provider)?.not_before(call.durable.clone());
        let request = offer.request(&call.input);
        account.check_ways(&request.body, &call.input, &*call.bench)?;
        Ok(Self { call, offer, account, request })
    }

    /// The body as JSON, its files brought there as the provider's file says.
    pub(crate) async fn json(&self) -> Result<Json> {
        self.account.hand_over(&self.request.body, &ByFile, &self.call.bench).await
    }

    /// The request with what the mapping puts behind the question mark.
    pub(crate) fn with_query(&self, mut ask: Ask) -> Ask {
        let query = self.request.query.iter();
        ask.query.extend(query.map(|(name, value)| (name.clone(), value.clone())));
        ask
    }

    /// Where we are told that something happened to the job, if the provider can be told that place.
    pub(crate) fn callback(&self) -> Option<&'c str> {
        self.account.callback(self.call, USUAL_BASE)
    }

    /// Whether somebody listens to what there is of the result before it is done.
    pub(crate) fn is_heard(&self) -> bool {
        self.call.bench.wants_news()
    }

    pub(crate) fn outputs(&self) -> Result<&'c Outputs> {
        outputs_of(self.offer)
    }

    /// Sends a start that takes a job, and answers at once.
    pub(crate) async fn submit(&self, ask: &Ask) -> Result<Answer> {
        let time_ms = self.account.hosted.options().ask_timeout_ms.min(self.call.timeout_ms);
        let answer = self.account.start(ask, &self.call.idempotency_key, time_ms).await?;
        self.understood(answer)
    }

    /// Sends a start that is answered with the result.
    pub(crate) async fn call(&self, mut ask: Ask) -> Result<Answer> {
        let options = self.account.hosted.options();
        let whole = self.outputs()?.is_whole_body();
        ask.answer_bytes_max =
            Some(if whole { options.file_bytes_max } else { options.answer_bytes_max });
        let start = self.account.start(&ask, &self.call.idempotency_key, self.call.timeout_ms);
        let answer = start.await?;
        if whole { Ok(answer) } else { self.understood(answer) }
    }

    /// Sends a start whose answer is read while it comes.
    pub(crate) async fn open(&self, mut ask: Ask) -> Result<Response> {
        if let Some(header) = &self.account.provider.idempotency_header {
            ask = ask.header(header.clone(), self.call.idempotency_key.clone());
        }
        ask.answer_bytes_max = Some(self.account.hosted.options().file_bytes_max);
        let ask = ask.timeout_ms(self.call.timeout_ms);
        // Whoever listens gets what there is as soon as there is some, which may be little.
        let ask = if self.is_heard() { ask.dripping() } else { ask };
        self.account.send(&ask, Purpose::Start).await
    }

    /// The sound that the answer to a start is, told while it comes.
    pub(crate) async fn heard(
        &self,
        ask: Ask,
        name: &str,
        samples: Option<Samples>,
    ) -> Result<Answer> {
        let mut response = self.open(ask).await?;
        let media_type = response.media_type().unwrap_or_default();
        if media_type == "application/json" || media_type.starts_with("text/") {
            let answer = self.account.read(response, Purpose::Start).await?;
            let error = self.account.judge(&answer, Purpose::Start);
            let what = || self.account.garbled(&answer, Purpose::Start, "that is no sound");
            return Err(error.unwrap_or_else(what));
        }
        let headers = headers_of(&response);
        let mut live = Live::new(&*self.call.bench, name, samples);
        let mut sound = Vec::new();
        loop {
            let piece = response.chunk().await;
            let piece = piece.map_err(|error| self.account.broken(error, Purpose::Start))?;
            let Some(piece) = piece else { break };
            live.hear(&piece);
            sound.extend_from_slice(&piece);
        }
        Ok(of_sound(sound, &media_type, samples).told_by(headers))
    }

    fn understood(&self, answer: Answer) -> Result<Answer> {
        if answer.is_json {
            return Ok(answer);
        }
        let what = "what it says is not JSON, or not the whole of it";
        Err(self.account.garbled(&answer, Purpose::Start, what))
    }

    /// The provider has it, and calls it by that id.
    pub(crate) fn running(&self, answer: &Answer, id: Option<&str>) -> Result<Started, Failure> {
        match id.filter(|id| is_name(id)) {
            Some(id) => Ok(Started::Running(Handle::of_id(id, self.call.estimate).write())),
            None => {
                let what = "it took the job, it seems, and does not say what it calls it";
                Err(self.account.garbled(answer, Purpose::Start, what).into())
            }
        }
    }

    /// It is done: its files are fetched. Links are kept first, so that they are fetched even if this
    /// process ends now.
    pub(crate) async fn done(
        &self,
        answer: Answer,
        cost: Option<Money>,
    ) -> Result<Started, Failure> {
        let outputs = self.outputs()?;
        let counted = answer.counted(self.offer, self.account.provider);
        let links = outputs.rules.iter().any(|rule| rule.file == FileIn::Url);
        let most = self.account.hosted.options().kept_answer_bytes_max;
        if links && cost.is_none() && answer.bytes.len() <= most {
            outputs.read(&answer.json).map_err(|error| self.useless(error, cost))?;
            let (expected, answer) = (counted.unwrap_or(self.call.estimate), Some(answer.json));
            let handle = Handle { expected, answer, ..Handle::default() };
            return Ok(Started::Running(handle.write()));
        }
        let cost = cost.or(counted);
        let taken = self.account.take_in(outputs, &answer, &NoItems, &self.call.bench).await;
        match taken {
            Ok(output) => Ok(Started::Done(Ended { output, cost })),
            Err(error) => Err(self.useless(error, cost)),
        }
    }

    /// The work is done and will be billed, and gave nothing; doing it again would be billed again.
    pub(crate) fn useless(&self, error: Error, cost: Option<Money>) -> Failure {
        let error = Error { retry: false, ..error }.at(&self.offer.id);
        Failure { error, cost: cost.unwrap_or(self.call.estimate) }
    }

    /// What it cost by what the provider counted.
    pub(crate) fn charge(&self, measured: &Measured) -> Option<Money> {
        let counted = measured.values().any(|count| *count > 0.0);
        let price = &self.offer.price;
        (counted && price.known).then(|| price.charge(&self.call.input, measured))
    }
}

/// A job that a provider has.
pub(crate) struct Running<'j> {
    pub(crate) job: &'j Job,
    pub(crate) offer: &'j Offer,
    pub(crate) account: Account<'j>,
    pub(crate) handle: Handle,
}

impl<'j> Running<'j> {
    pub(crate) fn new(hosted: &'j Hosted, job: &'j Job) -> Result<Self> {
        let (offer, provider) = job.offered()?;
        let account = hosted.account(provider).map_err(|error| {
            // The key may be back later; the job is where it was.
            Error { retry: true, ..error }
        })?;
        Ok(Self { job, offer, account, handle: Handle::read(&job.handle)? })
    }

    /// What the provider calls it.
    pub(crate) fn id(&self) -> Result<&str> {
        let id = self.handle.fact("id")?;
        if is_name(id) { Ok(id) } else { Err(Error::internal("the handle of the job is no name")) }
    }

    pub(crate) fn bench(&self) -> &'j Arc<dyn Workbench> {
        &self.job.bench
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.job.bench.wants_news()
    }

    /// The end of a job that was done when it was started, if it is one.
    pub(crate) async fn kept(&self) -> Option<Result<Polled>> {
        if let Some(ended) = self.handle.ended() {
            return Some(ended.map(Polled::Done));
        }
        let json = self.handle.answer.clone()?;
        Some(self.done(&of_json(json), None).await)
    }

    /// Whether nothing is left to be stopped.
    pub(crate) fn is_kept(&self) -> bool {
        self.handle.is_over()
    }

    /// Asks, and gives what is good, or the end that a bad answer means.
    ///
    /// # Errors
    /// It says nothing about the job.
    pub(crate) async fn look(&self, ask: &Ask) -> Result<Result<Answer, Polled>> {
        let answer = self.account.ask_any(ask, Purpose::Ask).await?;
        if let Some(error) = self.account.judge(&answer, Purpose::Ask) {
            if error.retry || tells_nothing_of_the_job(&self.account, &answer) {
                return Err(Error { retry: true, ..error });
            }
            return Ok(Err(self.failed(error)));
        }
        if answer.is_json {
            return Ok(Ok(answer));
        }
        let what = "what it says is not JSON, or not the whole of it";
        Err(self.account.garbled(&answer, Purpose::Ask, what))
    }

    /// Brings home what the job made.
    pub(crate) async fn done(&self, answer: &Answer, cost: Option<Money>) -> Result<Polled> {
        let outputs = outputs_of(self.offer)?;
        let counted = answer.counted(self.offer, self.account.provider);
        let cost = cost.or(counted);
        match self.account.take_in(outputs, answer, &NoItems, self.bench()).await {
            Ok(output) => {
                self.account.forget_lines(&self.job.handle);
                let expected = Some(self.handle.expected).filter(|money| !money.is_zero());
                Ok(Polled::Done(Ended { output, cost: cost.or(expected) }))
            }
            Err(error) if error.retry => Err(error),
            // It was done and what it made cannot be had: doing it again would cost that again.
            Err(error) => Ok(self.ended(error, cost.unwrap_or(self.handle.expected))),
        }
    }

    /// It failed, and costs nothing.
    pub(crate) fn failed(&self, error: Error) -> Polled {
        self.account.forget_lines(&self.job.handle);
        let error = error.at(&self.offer.id);
        Polled::Failed(Failure { error, cost: Money::ZERO })
    }

    /// It was done, and what it made cannot be had.
    pub(crate) fn wasted(&self, error: Error) -> Polled {
        self.ended(error, self.handle.expected)
    }

    fn ended(&self, error: Error, cost: Money) -> Polled {
        self.account.forget_lines(&self.job.handle);
        let error = Error { retry: false, ..error }.at(&self.offer.id);
        Polled::Failed(Failure { error, cost })
    }

    /// It failed for what the body says.
    pub(crate) fn failed_by(&self, kind: ErrorKind, body: &Json) -> Polled {
        self.failed(self.account.provider.errors.of_job(kind, body))
    }

    /// Tells the lines of its log that were not told before, and how far it is if the last one says.
    pub(crate) fn tell(&self, lines: &[String]) {
        // A line that says how far it is changes with time, and is no line of a log to anybody.
        let plain: Vec<String> =
            lines.iter().filter(|line| percent(line).is_none()).cloned().collect();
        self.account.tell_lines(&self.job.handle, &plain, &**self.bench());
        if let Some(share) = lines.iter().rev().find_map(|line| percent(line)) {
            self.bench().progress(share, "at the provider");
        }
    }

    /// Asks it to stop. That it is over already, or gone, is no error.
    pub(crate) async fn stop(&self, ask: &Ask) -> Result<Stopped> {
        let answer = self.account.ask_any(ask, Purpose::Ask).await?;
        match answer.status {
            404 | 409 | 410 => Ok(Stopped::WasOver),
            _ => self.account.judge(&answer, Purpose::Ask).map_or(Ok(Stopped::Heeded), Err),
        }
    }
}

/// Looks for a start by sending it again, to a provider that does nothing twice under one name.
pub(crate) async fn find_by_starting(
    call: &StartCall,
    again: BoxFuture<'_, Result<Started, Failure>>,
) -> Result<Found> {
    let (_, provider) = call.offered()?;
    if provider.idempotency_header.is_none() || call.bench.cancelled() {
        return Ok(Found::Unknown);
    }
    Ok(match again.await {
        Ok(Started::Running(handle)) => Found::Running(handle),
        Ok(Started::Done(ended)) => Found::Running(Handle::of_ended(ended, call.estimate).write()),
        Err(_) => Found::Unknown,
    })
}

/// The headers of an answer that is read while it comes.
pub(crate) fn headers_of(response: &Response) -> Vec<(String, String)> {
    response.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Where an offer's answer has its output.
pub(crate) fn outputs_of(offer: &Offer) -> Result<&Outputs> {
    let outputs = offer.outputs.as_ref();
    outputs
        .ok_or_else(|| Error::internal(format!("`{}` does not say where its output is", offer.id)))
}

/// The first output that is of this kind.
pub(crate) fn output_of_kind(offer: &Offer, kind: MediaKind) -> Option<&str> {
    let rules = &offer.outputs.as_ref()?.rules;
    rules.iter().find(|rule| is_of(&rule.ty, kind)).map(|rule| rule.name.as_str())
}

fn is_of(ty: &Type, kind: MediaKind) -> bool {
    match ty {
        Type::Media(own) => *own == kind,
        Type::List(item) => is_of(item, kind),
        _ => false,
    }
}

/// An answer that was put together here.
pub(crate) fn of_json(json: Json) -> Answer {
    let bytes = json.to_string().into_bytes().into();
    let place = "the answer to the start".to_owned();
    Answer { status: 200, headers: Vec::new(), bytes, json, is_json: true, place }
}

/// An answer that is a sound; bare samples become a file.
pub(crate) fn of_sound(sound: Vec<u8>, media_type: &str, samples: Option<Samples>) -> Answer {
    let (bytes, media_type) = match samples {
        Some(samples) => (samples.wav(&sound), "audio/wav"),
        None => (sound, media_type),
    };
    let headers = vec![("content-type".to_owned(), media_type.to_owned())];
    let place = "the answer to the start".to_owned();
    Answer { status: 200, headers, bytes: bytes.into(), json: Json::Null, is_json: false, place }
}

/// Whether a text can stand in a path as it is: what an answer calls a job is no way to somewhere else.
fn is_name(id: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let parts = || id.split('/');
    !id.is_empty()
        && id.len() <= 512
        && parts()
            .all(|part| !part.is_empty() && part != "." && part != ".." && part.bytes().all(letter))
}

/// How far a line of a log says that the work is: ` 42%|####      | 21/50`.
fn percent(line: &str) -> Option<f64> {
    let (before, _) = line.split_once("%|")?;
    let start = before.rfind(|char: char| !char.is_ascii_digit() && char != '.');
    let digits = before.get(start.map_or(0, |at| at + 1)..)?;
    let share: f64 = digits.parse::<f64>().ok()? / 100.0;
    share.is_finite().then(|| share.clamp(0.0, 1.0))
}

/// The text at a place.
pub(crate) fn text_at<'a>(json: &'a Json, pointer: &str) -> Option<&'a str> {
    json.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_in_a_log_says_how_far_it_is() {
        assert_eq!(percent(" 42%|####      | 21/50 [00:01]"), Some(0.42));
        assert_eq!(percent("step: 100%|##########|"), Some(1.0));
        assert_eq!(percent("42% done"), None);
        assert_eq!(percent("x%|"), None);
    }

    #[test]
    fn what_an_answer_calls_a_job_leads_nowhere_else() {
        for id in ["a-b_c", "models/x/operations/y", "video_123", "a.b~c:d"] {
            assert!(is_name(id), "{id}");
        }
        for id in
            ["", "..", "a/../b", "a//b", "/a", "a?b", "a#b", "a b", "a%2e", "https://x", "a\\b"]
        {
            assert!(!is_name(id), "{id}");
        }
    }
}
