//! Webhooks of this dialect: endpoints that are told of videos, and how they are told.
//!
//! An endpoint is one of the server's own; that it was made here shows in its id, and it is told of
//! videos that were made here and of nothing else.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use impasto_dialects::openai::wire;
use impasto_domain::{Error, Result};
use impasto_store::EndpointRecord;
use serde::Deserialize;

use super::error::Failure;
use super::{FACE, Runner, videos};
use crate::Scope;
use crate::app::App;
use crate::caller::Caller;
use crate::faces::body;
use crate::fetch::Post;
use crate::keys::drawn;
use crate::webhooks::{Message, Notice, new_secret, signed};

/// How the id of an endpoint begins that was made here.
pub(crate) const PREFIX: &str = "whe_";
/// Types of events here, and what they are called elsewhere in the server.
const EVENTS: [(&str, &str); 2] =
    [("video.completed", "run.succeeded"), ("video.failed", "run.failed")];
/// For how long messages are signed with the secret before too, in milliseconds.
const OLD_SECRET_MS: u64 = 24 * 3_600_000;
/// The most endpoints of a tenant.
const ENDPOINTS_MAX: usize = 100;

/// The message for an endpoint that was made here; none if it is not about a video.
///
/// # Errors
/// A secret is none.
pub(crate) fn message(notice: &Notice, secrets: &[String]) -> Result<Option<Message>> {
    let origin = &notice.run.origin;
    let event = EVENTS.iter().find(|(_, topic)| *topic == notice.topic);
    let Some((kind, _)) = event.filter(|_| origin.face == FACE && origin.path == videos::ROUTE)
    else {
        return Ok(None);
    };
    let id = videos::id_of(&notice.run.id);
    let at_s = notice.run.ended_ms.unwrap_or(notice.at_ms) / 1_000;
    event_of(&notice.id, notice.at_ms, (kind, &id, at_s), secrets).map(Some)
}

fn event_of(
    message_id: &str,
    now_ms: u64,
    (kind, id, at_s): (&str, &str, u64),
    secrets: &[String],
) -> Result<Message> {
    let event = wire::WebhookEvent {
        id: message_id.replace("msg_", "evt_"),
        object: "event".to_owned(),
        created_at: at_s,
        kind: kind.to_owned(),
        data: wire::WebhookSubject { id: id.to_owned() },
    };
    let body = serde_json::to_vec(&event)
        .map_err(|error| Error::internal(format!("an event cannot be written: {error}")))?;
    Ok(Message { headers: signed(message_id, now_ms, &body, secrets)?, body })
}

/// Who calls, and may change endpoints.
fn may_write(caller: &Caller) -> Result<(), Failure> {
    caller.may(Scope::Write).map_err(|_| Failure::forbidden(Scope::Write))
}

fn shown(endpoint: &EndpointRecord) -> wire::WebhookEndpoint {
    let told = |topic: &str| endpoint.topics.iter().any(|own| own == topic);
    let types = EVENTS.iter().filter(|(_, topic)| told(topic));
    let end = endpoint.secret.len().saturating_sub(4);
    let hint = endpoint.secret.get(end..).unwrap_or_default();
    let host = endpoint.url.split('/').nth(2).unwrap_or_default();
    wire::WebhookEndpoint {
        id: endpoint.id.clone(),
        object: "webhook_endpoint".to_owned(),
        created_at: endpoint.created_ms / 1_000,
        event_types: types.map(|(kind, _)| (*kind).to_owned()).collect(),
        name: host.to_owned(),
        url: endpoint.url.clone(),
        signing_secret_hint: Some(format!("whsec_…{hint}")),
        signing_secret: None,
    }
}

fn with_secret(endpoint: &EndpointRecord) -> wire::WebhookEndpoint {
    wire::WebhookEndpoint { signing_secret: Some(endpoint.secret.clone()), ..shown(endpoint) }
}

async fn all(app: &App, caller: &Caller) -> Result<Vec<EndpointRecord>, Failure> {
    let mut endpoints = app.store().endpoints(caller.tenant.clone()).await?;
    endpoints.retain(|endpoint| endpoint.id.starts_with(PREFIX));
    Ok(endpoints)
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<EndpointRecord, Failure> {
    let found = all(app, caller).await?.into_iter().find(|endpoint| endpoint.id == id);
    let missing = || Error::not_found(format!("there is no webhook endpoint `{id}`"));
    Ok(found.ok_or_else(missing)?)
}

/// What is said of an endpoint when it is made or changed.
#[derive(Deserialize)]
struct Wish {
    event_types: Option<Vec<String>>,
    name: Option<String>,
    url: Option<String>,
}

impl Wish {
    async fn read(app: &App, body: Body) -> Result<Self, Failure> {
        Ok(body::parsed(&body::json_bytes(app, body).await?)?)
    }

    fn url(&self, app: &App) -> Result<Option<String>> {
        let Some(url) = &self.url else { return Ok(None) };
        app.check_receiver(url).map_err(|error| error.context("`url`"))?;
        Ok(Some(url.clone()))
    }

    fn topics(&self) -> Result<Option<Vec<String>>> {
        let Some(types) = &self.event_types else { return Ok(None) };
        let topic = |kind: &String| {
            let event = EVENTS.iter().find(|(known, _)| known == kind);
            event.map(|(_, topic)| (*topic).to_owned()).ok_or_else(|| {
                let known = EVENTS.map(|(known, _)| known).join(", ");
                let message = format!("`event_types` holds '{kind}', which does not happen here");
                Error::invalid(message).hint(format!("use {known}"))
            })
        };
        let topics = types.iter().map(topic).collect::<Result<Vec<String>>>()?;
        if topics.is_empty() {
            return Err(Error::invalid("`event_types` is empty").hint("name one at least"));
        }
        Ok(Some(topics))
    }
}

type Endpoint = Json<wire::WebhookEndpoint>;

pub(super) async fn create(
    State(app): State<App>,
    Runner(caller): Runner,
    body: Body,
) -> Result<Endpoint, Failure> {
    may_write(&caller)?;
    let wish = Wish::read(&app, body).await?;
    let needed = |name: &str| Error::invalid(format!("`{name}` is missing"));
    let url = wish.url(&app)?.ok_or_else(|| needed("url"))?;
    let topics = wish.topics()?.ok_or_else(|| needed("event_types"))?;
    let count = app.store().endpoints(caller.tenant.clone()).await?.len();
    if count >= ENDPOINTS_MAX {
        let message = format!("there are {count} endpoints, which is the most");
        return Err(Error::invalid(message).hint("delete one first").into());
    }
    let record = EndpointRecord {
        id: format!("{PREFIX}{}", drawn::<8>()?),
        tenant: caller.tenant,
        url,
        topics,
        secret: new_secret()?,
        old_secret: None,
        enabled: true,
        created_ms: app.now_ms(),
    };
    app.store().put_endpoint(record.clone()).await?;
    let mut shown = with_secret(&record);
    shown.name = wish.name.unwrap_or(shown.name);
    Ok(Json(shown))
}

pub(super) async fn list(
    State(app): State<App>,
    Runner(caller): Runner,
) -> Result<Json<wire::Page<wire::WebhookEndpoint>>, Failure> {
    let data: Vec<_> = all(&app, &caller).await?.iter().map(shown).collect();
    let id = |endpoint: Option<&wire::WebhookEndpoint>| endpoint.map(|it| it.id.clone());
    let (first_id, last_id) = (id(data.first()), id(data.last()));
    Ok(Json(wire::Page { object: "list".to_owned(), data, has_more: false, first_id, last_id }))
}

pub(super) async fn retrieve(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
) -> Result<Endpoint, Failure> {
    Ok(Json(shown(&find(&app, &caller, &id).await?)))
}

pub(super) async fn update(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
    body: Body,
) -> Result<Endpoint, Failure> {
    may_write(&caller)?;
    let wish = Wish::read(&app, body).await?;
    let mut endpoint = find(&app, &caller, &id).await?;
    endpoint.url = wish.url(&app)?.unwrap_or(endpoint.url);
    endpoint.topics = wish.topics()?.unwrap_or(endpoint.topics);
    app.store().put_endpoint(endpoint.clone()).await?;
    Ok(Json(shown(&endpoint)))
}

pub(super) async fn delete(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
) -> Result<Json<wire::Deleted>, Failure> {
    may_write(&caller)?;
    find(&app, &caller, &id).await?;
    let deleted = app.store().remove_endpoint(caller.tenant, id.clone()).await?;
    Ok(Json(wire::Deleted { id, object: "webhook_endpoint.deleted".to_owned(), deleted }))
}

pub(super) async fn rotate(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
) -> Result<Endpoint, Failure> {
    may_write(&caller)?;
    let mut endpoint = find(&app, &caller, &id).await?;
    let until_ms = app.now_ms() + OLD_SECRET_MS;
    endpoint.old_secret = Some((endpoint.secret, until_ms));
    endpoint.secret = new_secret()?;
    app.store().put_endpoint(endpoint.clone()).await?;
    Ok(Json(with_secret(&endpoint)))
}

/// What a test tells.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Trial {
    event_type: Option<String>,
}

pub(super) async fn test(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Failure> {
    may_write(&caller)?;
    let bytes = body::json_bytes(&app, body).await?;
    let trial: Trial = if bytes.is_empty() { Trial::default() } else { body::parsed(&bytes)? };
    let endpoint = find(&app, &caller, &id).await?;
    let kind = trial.event_type.unwrap_or_else(|| "video.completed".to_owned());
    let now_ms = app.now_ms();
    let message_id = format!("msg_test_{}", drawn::<8>()?);
    let about = (kind.as_str(), "video_test", now_ms / 1_000);
    let message = event_of(&message_id, now_ms, about, std::slice::from_ref(&endpoint.secret))?;
    let mut headers = message.headers;
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    let timeout_ms = app.options().delivery_timeout_ms;
    let post = Post { url: endpoint.url, headers, body: message.body.into(), timeout_ms };
    let status = app.fetch().post(post).await?.status;
    Ok(Json(serde_json::json!({
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": id,
        "event_type": kind,
        "status_code": status,
        "success": true,
    })))
}
