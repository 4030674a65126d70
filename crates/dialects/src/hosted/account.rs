//! An account with a provider: requests with its credential, and what an answer or its absence means.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use impasto_catalog::{AuthScheme, Provider};
use impasto_domain::{Error, ErrorKind, Result, Workbench};
use impasto_engine::{Durable, StartCall};
use impasto_net::{
    Cause, Client, Grade, Limits, Multipart, NetError, Request, Response, Secret, Stage,
};
use serde_json::Value as Json;
use url::Url;

use super::{Answer, Ask, Hosted, Part, PartContent, Payload};

/// How much longer than the work itself the exchange may take that waits for it.
const START_SLACK_MS: u64 = 10_000;
/// The statuses of a gateway whose server did not answer it: the server may have done the work.
const GATEWAY: [u16; 8] = [502, 504, 520, 522, 523, 524, 525, 530];

/// What a request is for: whether its loss leaves anybody in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It starts work that costs money.
    Start,
    /// It asks, fetches, uploads or cancels: it can be sent again.
    Ask,
}

/// An account with a provider.
pub struct Account<'a> {
    /// What drivers share.
    pub hosted: &'a Hosted,
    /// The provider.
    pub provider: &'a Provider,
    key: Option<Secret>,
    durable: Durable,
}

/// Where a request goes, and how far the place is trusted.
struct Place {
    url: Url,
    grade: Grade,
    is_told_the_key: bool,
}

/// What a provider says of a start that it has read and does not take, under whatever name it came.
const JUDGED: [ErrorKind; 2] = [ErrorKind::InvalidInput, ErrorKind::Refused];

impl<'a> Account<'a> {
    pub(crate) fn open(hosted: &'a Hosted, provider: &'a Provider) -> Result<Self> {
        let key = provider.key(|name| hosted.setting(name))?.map(Secret::new);
        Ok(Self { hosted, provider, key, durable: Durable::default() })
    }

    /// The same account; nothing leaves for it before that moment.
    pub(crate) fn not_before(self, durable: Durable) -> Self {
        Self { durable, ..self }
    }

    /// The way out, once something may leave.
    ///
    /// # Errors
    /// What leads to it could not be made durable.
    pub(crate) async fn way_out(&self) -> Result<&'a Client> {
        self.durable.wait().await?;
        Ok(&self.hosted.inner.client)
    }

    /// The base URL of that name.
    ///
    /// # Errors
    /// There is no such base, or nobody has said where it is.
    pub fn base_url(&self, name: &str) -> Result<String> {
        self.provider.base_url(name, |setting| self.hosted.setting(setting))
    }

    /// Where the provider, reached by that base, can tell us that something happened to the job of a call.
    /// One that is reached over TLS is told of no place that is not: it would refuse the call for it.
    pub fn callback<'c>(&self, call: &'c StartCall, base: &str) -> Option<&'c str> {
        let address = call.callback.as_deref()?;
        let is_plain = |url: &str| url.starts_with("http://");
        let is_told = !is_plain(address) || self.base_url(base).is_ok_and(|url| is_plain(&url));
        is_told.then_some(address)
    }

    /// Whether a URL leads to a place that is told the key.
    pub fn is_own(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.place(url).is_told_the_key)
    }

    /// Whether a URL leads to a place that the operator configured.
    pub(crate) fn is_at_a_base(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.has_a_base_at(&url))
    }

    fn has_a_base_at(&self, url: &Url) -> bool {
        let named = |name: &String| self.base_url(name).ok().and_then(|url| Url::parse(&url).ok());
        let mut bases = self.provider.base.keys().filter_map(named);
        bases.any(|base| base.origin() == url.origin())
    }

    fn place(&self, url: Url) -> Place {
        if self.has_a_base_at(&url) {
            return Place { url, grade: Grade::Trusted, is_told_the_key: true };
        }
        let host = url.host_str().unwrap_or_default();
        let also = self.provider.base.values().flat_map(|base| &base.also);
        let is_one = |name: &String| match name.strip_prefix('.') {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
            None => host == name,
        };
        let is_told_the_key = url.scheme() == "https" && also.into_iter().any(is_one);
        Place { url, grade: Grade::Foreign, is_told_the_key }
    }

    fn place_of(&self, ask: &Ask) -> Result<Place> {
        let is_whole = ["https://", "http://"].iter().any(|scheme| ask.path.starts_with(scheme));
        let text = if is_whole {
            ask.path.clone()
        } else {
            format!("{}{}", self.base_url(&ask.base)?, ask.path)
        };
        let url = Url::parse(&text).map_err(|error| {
            Error::new(ErrorKind::ProviderFailed, format!("there is no place to ask: {error}"))
        })?;
        let mut place = self.place(url);
        if is_whole && !place.is_told_the_key {
            let host = place.url.host_str().unwrap_or_default().to_owned();
            let message = format!("the provider's answer sends us to {host}, which is not its own");
            let hint = "if it is, name the host under `also` of the provider's base URL";
            return Err(Error::new(ErrorKind::ProviderFailed, message).hint(hint));
        }
        if !ask.query.is_empty() {
            place.url.query_pairs_mut().extend_pairs(&ask.query);
        }
        Ok(place)
    }

    /// The request as it is sent: with address, credential, headers and limits.
    ///
    /// # Errors
    /// There is no such place, or something cannot be sent.
    pub fn request(&self, ask: &Ask) -> Result<Request> {
        let mut place = self.place_of(ask)?;
        let auth = self.provider.auth.as_ref().zip(self.key.as_ref());
        if let Some((AuthScheme::Query { name }, key)) = auth.map(|(auth, key)| (&auth.scheme, key))
        {
            place.url.query_pairs_mut().append_pair(name, key.reveal());
        }
        let request = Request::new(ask.method, place.url.as_str(), place.grade)?;
        let request = self.with_credential(request)?.limits(self.limits(ask));
        let request = with_payload(request, &ask.payload)?;
        let usual = self.provider.headers.iter();
        let own = ask.headers.iter().map(|(name, value)| (name, value));
        usual.chain(own).try_fold(request, |request, (name, value)| {
            request.header(name, value).map_err(Error::from)
        })
    }

    /// A request with the credential, where that goes into a header.
    pub(crate) fn with_credential(&self, request: Request) -> Result<Request> {
        let Some((auth, key)) = self.provider.auth.as_ref().zip(self.key.as_ref()) else {
            return Ok(request);
        };
        Ok(match &auth.scheme {
            AuthScheme::Header { name, prefix } => {
                request.header(name, &format!("{prefix}{}", key.reveal()))?
            }
            AuthScheme::Basic => {
                let encoded = STANDARD.encode(key.reveal());
                request.header("authorization", &format!("Basic {encoded}"))?
            }
            AuthScheme::Query { .. } => request,
        })
    }

    fn limits(&self, ask: &Ask) -> Limits {
        let options = self.hosted.options();
        let total_ms = ask.timeout_ms.unwrap_or(options.ask_timeout_ms);
        let usual = self.hosted.usual_limits();
        Limits {
            bytes_per_second_min: if ask.drips { 0 } else { usual.bytes_per_second_min },
            total_ms,
            // A provider that thinks aloud may be silent for as long as it may take.
            idle_ms: total_ms,
            body_bytes_max: ask.answer_bytes_max.unwrap_or(options.answer_bytes_max),
            ..usual
        }
    }

    /// Sends a request and waits for the head of a good answer. A bad one is an error, as the
    /// provider's table reads it.
    ///
    /// # Errors
    /// What the provider answered, or that it did not. A start that it may have taken is `in_doubt`.
    pub async fn send(&self, ask: &Ask, purpose: Purpose) -> Result<Response> {
        let request = self.request(ask)?;
        self.hosted.inner.pace.wait(self.provider).await;
        let response = self.way_out().await?.send(request).await;
        let response = response.map_err(|error| self.broken(error, purpose))?;
        if response.is_success() {
            return Ok(response);
        }
        let answer = self.read(response, purpose).await?;
        match self.judge(&answer, purpose) {
            Some(error) => Err(error),
            None => Err(self.garbled(&answer, purpose, "the answer is not understood")),
        }
    }

    /// Sends a request and reads a good answer to its end; a bad one is an error.
    ///
    /// # Errors
    /// As [`Account::send`]; an error inside of a good answer is one too.
    pub async fn ask(&self, ask: &Ask, purpose: Purpose) -> Result<Answer> {
        let answer = self.ask_any(ask, purpose).await?;
        match self.judge(&answer, purpose) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// Sends a request and reads whatever is answered to its end.
    ///
    /// # Errors
    /// There was no answer, or not the whole of it.
    pub async fn ask_any(&self, ask: &Ask, purpose: Purpose) -> Result<Answer> {
        let request = self.request(ask)?;
        self.hosted.inner.pace.wait(self.provider).await;
        let response = self.way_out().await?.send(request).await;
        let response = response.map_err(|error| self.broken(error, purpose))?;
        self.read(response, purpose).await
    }

    /// Sends a start. To a provider that does nothing twice under one name it is sent again if it
    /// was not answered.
    ///
    /// # Errors
    /// As [`Account::ask`].
    pub async fn start(&self, ask: &Ask, idempotency_key: &str, time_ms: u64) -> Result<Answer> {
        let mut ask = ask.clone().timeout_ms(time_ms.saturating_add(START_SLACK_MS));
        let named = self.provider.idempotency_header.clone();
        let tries = if named.is_some() { self.hosted.options().start_tries.max(1) } else { 1 };
        if let Some(header) = named {
            ask = ask.header(header, idempotency_key);
        }
        let mut wait = Duration::from_millis(self.hosted.options().fetch_wait_ms);
        let mut doubt = None;
        for number in 1..=tries {
            match self.ask(&ask, Purpose::Start).await {
                Ok(answer) => return Ok(answer),
                // That it cannot be asked now says nothing about what it took before.
                Err(error)
                    if error.kind == ErrorKind::InDoubt
                        || doubt.is_some() && !JUDGED.contains(&error.kind) =>
                {
                    doubt = doubt.or(Some(error));
                }
                Err(error) => return Err(error),
            }
            if number < tries {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        Err(doubt.unwrap_or_else(|| Error::internal("a start was never sent")))
    }

    /// Reads a response to its end.
    ///
    /// # Errors
    /// It is too large, too slow, or ends before its end.
    pub async fn read(&self, mut response: Response, purpose: Purpose) -> Result<Answer> {
        let bytes: Bytes = response.bytes().await.map_err(|error| self.broken(error, purpose))?;
        let headers =
            response.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Answer::new(response.status(), headers, bytes, response.place()))
    }

    /// What an answer means, if it is an error: by its status, or by what is said inside of it.
    pub fn judge(&self, answer: &Answer, purpose: Purpose) -> Option<Error> {
        let table = &self.provider.errors;
        let error = answer.seen(|seen| table.read(seen))?;
        let status = answer.status;
        let said_by_the_provider = answer.is_json && table.message_in(&answer.json).is_some();
        let may_be_taken = (500..600).contains(&status)
            && status != 503
            && (GATEWAY.contains(&status) || !said_by_the_provider)
            && !self.knows(answer);
        let error = if purpose == Purpose::Start && may_be_taken {
            Error { kind: ErrorKind::InDoubt, retry: false, ..error }
                .hint("look at the account of the provider before trying again")
        } else {
            error
        };
        Some(self.hidden(error))
    }

    /// Whether the provider's table has a row of its own for an answer.
    pub fn knows(&self, answer: &Answer) -> bool {
        answer.seen(|seen| self.provider.errors.knows(seen))
    }

    /// The error of an answer that went well and is not what it should be.
    pub fn garbled(&self, answer: &Answer, purpose: Purpose, what: &str) -> Error {
        let message = format!("{} answered {}: {what}", answer.place, answer.status);
        match purpose {
            Purpose::Start => in_doubt(&message),
            Purpose::Ask => Error::new(ErrorKind::ProviderFailed, message).retryable(),
        }
    }

    /// What it means that an exchange failed.
    pub fn broken(&self, error: NetError, purpose: Purpose) -> Error {
        let (stage, cause) = (error.stage, error.cause);
        let transient = error.is_transient();
        let told = self.hidden(Error::from(error));
        match (purpose, stage) {
            (_, Stage::NotSent) if transient => {
                Error { kind: ErrorKind::Unavailable, retry: true, ..told }
            }
            (_, Stage::NotSent) => told,
            (Purpose::Start, Stage::Answered(status))
                if status == 503 || (400..500).contains(&status) =>
            {
                let header = |_: &str| None;
                let seen = impasto_catalog::Seen { status, header: &header, body: &().into() };
                self.provider.errors.read(&seen).unwrap_or(told)
            }
            (Purpose::Start, _) => in_doubt(&told.message),
            // An answer that was cut off or garbled may be whole the next time.
            (Purpose::Ask, _) => Error { retry: transient || cause == Cause::Garbled, ..told },
        }
    }

    /// The error without the credential, should the provider have repeated it.
    fn hidden(&self, mut error: Error) -> Error {
        if let Some(key) = &self.key {
            error.message = key.hide_in(&error.message);
        }
        error
    }

    /// Tells the lines of a job's log that were not told yet.
    pub fn tell_lines(&self, job: &str, lines: &[String], bench: &dyn Workbench) {
        self.hosted.inner.lines.tell(&self.job_name(job), lines, bench);
    }

    /// Forgets how much of a job's log was told: it has ended.
    pub fn forget_lines(&self, job: &str) {
        self.hosted.inner.lines.forget(&self.job_name(job));
    }

    fn job_name(&self, job: &str) -> String {
        format!("{} {job}", self.provider.id)
    }
}

fn in_doubt(message: &str) -> Error {
    Error::new(ErrorKind::InDoubt, format!("{message}; the provider may have taken the job"))
        .hint("look at the account of the provider before trying again")
}

/// JSON as it is sent. A file may be in it, so room is made for all of it at once.
fn written(json: &Json) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(room_for(json));
    // Nothing that is JSON already cannot be written to memory.
    let _infallible = serde_json::to_writer(&mut bytes, json);
    bytes
}

/// About how many bytes JSON has when it is written.
fn room_for(json: &Json) -> usize {
    const SMALL: usize = 8;
    match json {
        Json::String(text) => text.len() + SMALL,
        Json::Array(items) => items.iter().map(room_for).sum::<usize>() + SMALL,
        Json::Object(entries) => {
            let entry = |(name, value): (&String, &Json)| name.len() + SMALL + room_for(value);
            entries.iter().map(entry).sum::<usize>() + SMALL
        }
        _ => SMALL,
    }
}

fn with_payload(request: Request, payload: &Payload) -> Result<Request> {
    Ok(match payload {
        Payload::None => request,
        Payload::Json(json) => request.body("application/json", written(json)),
        Payload::Form(fields) => {
            let text =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            request.body("application/x-www-form-urlencoded", text)
        }
        Payload::Multipart(parts) => request.multipart(multipart(parts)),
        Payload::Raw { media_type, bytes } => {
            let request = request.body("application/octet-stream", bytes.clone());
            request.header("content-type", media_type)?
        }
    })
}

fn multipart(parts: &[Part]) -> Multipart {
    parts.iter().fold(Multipart::new(), |form, part| match &part.content {
        PartContent::Text(text) => form.text(&part.name, text),
        PartContent::File { file_name, media_type, bytes } => {
            form.file(&part.name, file_name, media_type, bytes.clone())
        }
    })
}
