//! Webhooks out: what is to be told is in the store; here it is told, until it was heard or given up.
//!
//! A message goes by the Standard Webhooks specification, unless the face by which its run was
//! submitted says it in its own way ([`crate::faces::WEBHOOKS`]).
//!
//! Invariants
//! - A message has one id, however often it is sent. It is sent at least once.
//! - Whoever is slow or gone delays nobody else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use impasto_domain::{Error, ErrorKind, Result, TenantId, rfc3339};
use impasto_store::{DeliveryRecord, EndpointRecord, TellState, Told};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, Webhook};
use crate::faces;
use crate::fetch::{Post, Posted};
use crate::files::Base;
use crate::native::{Viewer, run_view};

/// The longest address to tell.
const URL_CHARS_MAX: usize = 2_048;
/// How a secret begins that signs messages.
const SECRET_PREFIX: &str = "whsec_";
/// How long after each attempt that failed the next one is made, in seconds; more than a day in all.
const AGAIN_S: [u64; 9] = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400];
/// How often it is looked whether there is something to tell.
const LOOK: Duration = Duration::from_millis(250);
/// How long beyond its time a message is left to whoever took it, in milliseconds.
const HELD_MS: u64 = 5_000;
/// The status by which a receiver says that it wants to hear no more.
const GONE: u16 = 410;

/// Something that happened to a run, for whoever wants to be told of it.
pub(crate) struct Notice {
    /// The run as it stands now.
    pub(crate) run: RunView,
    /// What happened, such as `run.succeeded`.
    pub(crate) topic: String,
    /// The id of the message; the same each time that it is sent.
    pub(crate) id: String,
    /// When it is sent, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The app, the tenant as a caller that may read, and where addresses begin.
    pub(crate) viewer: Viewer,
}

/// What is sent.
pub(crate) struct Message {
    /// Its headers, beside those that every message has.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a face makes of something that happened; none if it is not told there.
pub(crate) type Composing = Pin<Box<dyn Future<Output = Result<Option<Message>>> + Send>>;
/// How a face tells what happened to runs that were submitted by it with a webhook.
pub(crate) type Compose = fn(Notice) -> Composing;

/// The same for an endpoint that was made by the face; the secrets sign it.
pub(crate) type ComposeSigned = fn(&Notice, &[String]) -> Result<Option<Message>>;

/// The headers of the Standard Webhooks specification for a message.
///
/// # Errors
/// A secret is none.
pub(crate) fn signed(
    id: &str,
    at_ms: u64,
    body: &[u8],
    secrets: &[String],
) -> Result<Vec<(String, String)>> {
    let at_s = (at_ms / 1_000).to_string();
    let mut signatures = Vec::new();
    for secret in secrets {
        let bad = || Error::internal("a secret for webhooks is none");
        let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX).ok_or_else(bad)?);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key.map_err(|_| bad())?).map_err(|_| bad())?;
        for piece in [id.as_bytes(), b".", at_s.as_bytes(), b".", body] {
            mac.update(piece);
        }
        signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    }
    Ok(vec![
        ("webhook-id".to_owned(), id.to_owned()),
        ("webhook-timestamp".to_owned(), at_s),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ])
}

/// A new secret that signs messages.
///
/// # Errors
/// This machine gives no random numbers.
pub(crate) fn new_secret() -> Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal(format!("this machine gives no random numbers: {error}"))
    })?;
    Ok(format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes)))
}

impl App {
    /// Refuses what no message can be sent to, whoever names it and however: for what leads inside by
    /// a name, the delivery refuses it.
    pub(crate) fn check_receiver(&self, url: &str) -> Result<()> {
        let usable = url.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !usable || url.chars().count() > URL_CHARS_MAX {
            let shown: String = url.chars().take(80).collect();
            return Err(Error::invalid(format!("'{shown}' is no address to post to")).hint(format!(
                "give a URL that begins with https:// or http://, of {URL_CHARS_MAX} characters at \
                 most"
            )));
        }
        self.fetch().check(url)
    }

    /// The secret that signs what is told to webhooks that came with runs of this tenant.
    pub(crate) fn webhook_secret(&self, tenant: &TenantId) -> String {
        let key = self.derive("webhooks of runs", tenant.as_str()).finalize().into_bytes();
        let key = key.get(..24).unwrap_or(&key);
        format!("{SECRET_PREFIX}{}", STANDARD.encode(key))
    }
}

/// Tells what there is to tell, for ever.
pub(crate) async fn deliver(app: App) {
    let places = Arc::new(Semaphore::new(app.options().deliveries_at_once.max(1)));
    loop {
        match deliver_due(&app, &places).await {
            Ok(0) => tokio::time::sleep(LOOK).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error.message, "what is to be told cannot be read");
                tokio::time::sleep(LOOK * 8).await;
            }
        }
    }
}

/// Begins to tell what is due, as far as there are places. Answers how much that is.
pub(crate) async fn deliver_due(app: &App, places: &Arc<Semaphore>) -> Result<usize> {
    let closed = |_| Error::internal("the places for deliveries are closed");
    let first = Arc::clone(places).acquire_owned().await.map_err(closed)?;
    let limit = u32::try_from(places.available_permits() + 1).unwrap_or(u32::MAX);
    let now_ms = app.now_ms();
    let until_ms = now_ms + app.options().delivery_timeout_ms + HELD_MS;
    let due = app.store().due_deliveries(now_ms, until_ms, limit).await?;
    let count = due.len();
    let mut place = Some(first);
    for delivery in due {
        let place = match place.take() {
            Some(place) => place,
            None => Arc::clone(places).acquire_owned().await.map_err(closed)?,
        };
        let app = app.clone();
        tokio::spawn(async move {
            tell(&app, &delivery).await;
            drop(place);
        });
    }
    Ok(count)
}

/// How an attempt went.
enum Went {
    /// It was heard.
    Heard(u16),
    /// There was nobody to tell: nothing was sent.
    Unwanted,
    /// It may be heard later, and not before so many milliseconds if the receiver says so.
    NotYet(u16, String, Option<u64>),
    /// It will never be heard.
    Never(u16, String),
}

/// Whether something is noted as over of which nobody wanted to be told: no answer to it ever came.
pub(crate) fn is_unwanted(delivery: &DeliveryRecord) -> bool {
    delivery.state == TellState::Delivered && delivery.last_status == 0
}

/// Tells one thing once, and notes how it went.
async fn tell(app: &App, delivery: &DeliveryRecord) {
    let went = match attempt(app, delivery).await {
        Ok(went) => went,
        Err(error) => Went::NotYet(0, error.to_string(), None),
    };
    let figures = app.figures();
    let told = match went {
        Went::Heard(status) => {
            figures.delivered.fetch_add(1, Ordering::Relaxed);
            Told { state: TellState::Delivered, due_ms: 0, status, error: String::new() }
        }
        Went::Unwanted => {
            let error = "nobody wants to be told of it".to_owned();
            Told { state: TellState::Delivered, due_ms: 0, status: 0, error }
        }
        Went::NotYet(status, error, wished_ms) => match after_ms(delivery.attempts) {
            Some(after_ms) => {
                figures.put_off.fetch_add(1, Ordering::Relaxed);
                let due_ms = app.now_ms() + after_ms.max(wished(wished_ms));
                Told { state: TellState::Pending, due_ms, status, error }
            }
            None => given_up(app, status, error),
        },
        Went::Never(status, error) => given_up(app, status, error),
    };
    if let Err(error) = app.store().told(delivery.number, told).await {
        // It is due again after a while, and the receiver knows it by its id.
        tracing::warn!(error = %error.message, "it cannot be noted how a webhook was taken");
    }
}

fn given_up(app: &App, status: u16, error: String) -> Told {
    app.figures().given_up.fetch_add(1, Ordering::Relaxed);
    Told { state: TellState::Failed, due_ms: 0, status, error }
}

/// How long until the next attempt after so many; a fifth more or less, so that those that failed
/// together do not come back together.
fn after_ms(attempts: u32) -> Option<u64> {
    let after_ms = AGAIN_S.get(attempts as usize)? * 1_000;
    let drawn = getrandom::u64().unwrap_or_default() % 400;
    Some(after_ms * (800 + drawn) / 1_000)
}

/// How long a receiver is left alone that wants to be, which is no longer than the longest time between
/// two attempts.
fn wished(wished_ms: Option<u64>) -> u64 {
    let longest_s = AGAIN_S.into_iter().max().unwrap_or_default();
    wished_ms.unwrap_or_default().min(longest_s * 1_000)
}

async fn attempt(app: &App, delivery: &DeliveryRecord) -> Result<Went> {
    let caller = Caller::reader(delivery.tenant.clone());
    let run = app.view(&caller, &delivery.run).await?;
    let base = match app.options().public_base.as_str() {
        "" if run.origin.base.is_empty() => "http://localhost",
        "" => run.origin.base.as_str(),
        public => public,
    };
    let viewer = Viewer::new(app, &caller, &Base(base.to_owned()));
    let face = run.origin.face.clone();
    let topic = delivery.topic.clone();
    let id = app.message_id(&delivery.tenant, delivery.number);
    let notice = Notice { run, topic, id, at_ms: app.now_ms(), viewer };
    match &delivery.endpoint {
        Some(endpoint) => {
            let endpoints = app.store().endpoints(delivery.tenant.clone()).await?;
            let known = endpoints.into_iter().find(|known| known.id == *endpoint);
            match known.filter(|known| known.enabled) {
                Some(endpoint) => to_endpoint(app, endpoint, &notice).await,
                None => Ok(Went::Never(0, "the endpoint is not told any more".to_owned())),
            }
        }
        None => to_webhook(app, delivery, notice, &face).await,
    }
}

async fn to_endpoint(app: &App, endpoint: EndpointRecord, notice: &Notice) -> Result<Went> {
    let mut secrets = vec![endpoint.secret.clone()];
    let old = endpoint.old_secret.as_ref().filter(|(_, until_ms)| *until_ms > notice.at_ms);
    secrets.extend(old.map(|(secret, _)| secret.clone()));
    let own = faces::ENDPOINTS.iter().find(|(prefix, _)| endpoint.id.starts_with(prefix));
    let message = match own {
        Some((_, compose)) => compose(notice, &secrets)?,
        None => Some(standard(notice, &secrets)?),
    };
    let Some(message) = message else { return Ok(Went::Unwanted) };
    let went = post(app, &endpoint.url, message).await?;
    if matches!(went, Went::Never(GONE, _)) {
        app.store().put_endpoint(EndpointRecord { enabled: false, ..endpoint }).await?;
    }
    Ok(went)
}

async fn to_webhook(
    app: &App,
    delivery: &DeliveryRecord,
    notice: Notice,
    face: &str,
) -> Result<Went> {
    let (tenant, run) = (delivery.tenant.clone(), delivery.run.clone());
    let stored = app.store().load(tenant, run, u64::MAX >> 1).await?;
    let webhook = stored.record.run.webhook.as_deref().map(serde_json::from_str::<Webhook>);
    let Some(Ok(webhook)) = webhook else { return Ok(Went::Unwanted) };
    let own = faces::WEBHOOKS.iter().find(|(name, _)| *name == face);
    let message = match own {
        Some((_, compose)) => compose(notice).await?,
        None if webhook.wants(&notice.topic) => {
            let secret = app.webhook_secret(&delivery.tenant);
            Some(standard(&notice, &[secret])?)
        }
        None => None,
    };
    match message {
        Some(message) => post(app, &webhook.url, message).await,
        None => Ok(Went::Unwanted),
    }
}

impl Webhook {
    /// Whether it is to be told of that.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        match self.topics.is_empty() {
            true => topic != impasto_store::STARTED,
            false => self.topics.iter().any(|own| own == topic),
        }
    }
}

/// A message as the Standard Webhooks specification has it.
fn standard(notice: &Notice, secrets: &[String]) -> Result<Message> {
    let body = json!({
        "type": notice.topic,
        "timestamp": rfc3339(notice.at_ms),
        "data": run_view(&notice.viewer, &notice.run),
    });
    let body = body.to_string().into_bytes();
    Ok(Message { headers: signed(&notice.id, notice.at_ms, &body, secrets)?, body })
}

async fn post(app: &App, url: &str, message: Message) -> Result<Went> {
    let mut headers = message.headers;
    let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let agent = concat!("impasto/", env!("CARGO_PKG_VERSION"));
    let usual = [("content-type", "application/json"), ("user-agent", agent)];
    let missing: Vec<_> = usual.into_iter().filter(|(name, _)| !has(name)).collect();
    headers.extend(missing.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let timeout_ms = app.options().delivery_timeout_ms;
    let post = Post { url: url.to_owned(), headers, body: message.body.into(), timeout_ms };
    let posting = app.fetch().post(post);
    // Whoever implements it keeps the time; this is for one who does not.
    let allowed = Duration::from_millis(timeout_ms + HELD_MS / 2);
    let Ok(answered) = tokio::time::timeout(allowed, posting).await else {
        return Ok(Went::NotYet(0, format!("no answer within {timeout_ms} ms"), None));
    };
    Ok(match answered {
        Ok(Posted { status: status @ 200..=299, .. }) => Went::Heard(status),
        Ok(Posted { status: GONE, .. }) => {
            Went::Never(GONE, "the receiver wants to hear no more".to_owned())
        }
        Ok(Posted { status, retry_after_ms }) => {
            Went::NotYet(status, format!("the receiver answered {status}"), retry_after_ms)
        }
        // The address is none that may be asked: that does not change by waiting.
        Err(error) if error.kind == ErrorKind::InvalidInput => Went::Never(0, error.to_string()),
        Err(error) => Went::NotYet(0, error.to_string(), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_specification_has_it() {
        // The example of the specification's own libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let headers = signed(id, 1_614_265_330_000, body, &[secret]).unwrap();
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[2], ("webhook-signature".to_owned(), expected.to_owned()));
    }

    #[test]
    fn attempts_go_on_for_more_than_a_day_and_then_end() {
        assert!(AGAIN_S.iter().sum::<u64>() > 24 * 3_600);
        let first = after_ms(0).unwrap();
        assert!((4_000..=6_000).contains(&first), "{first}");
        assert_eq!(after_ms(AGAIN_S.len() as u32), None);
        assert_eq!((wished(None), wished(Some(9_000))), (0, 9_000));
        assert_eq!(wished(Some(u64::MAX)), 50_400_000, "no longer than we would wait ourselves");
    }
}
