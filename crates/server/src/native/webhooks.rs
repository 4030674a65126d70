//! Endpoints that are told what happens to runs, and what was told them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use impasto_api::{
    DeliveryList, DeliveryView, EndpointCreated, EndpointList, EndpointRequest, EndpointView,
    SecretView,
};
use impasto_domain::{Error, ErrorKind, Result, RunId};
use impasto_store::{DeliveryFilter, DeliveryRecord, EndpointRecord, TellState};
use serde::Deserialize;

use super::extract::{Asked, Named, Sent, cursor, page};
use super::runs::check_topics;
use crate::app::App;
use crate::caller::Caller;
use crate::keys::drawn;
use crate::problem::Problem;
use crate::webhooks::{is_unwanted, new_secret};

/// For how long messages are signed with the secret before too, in milliseconds.
const OLD_SECRET_MS: u64 = 24 * 3_600_000;
/// The most endpoints of a tenant.
const ENDPOINTS_MAX: usize = 100;
/// The most messages that are looked at for one page of a list.
const LOOKED_AT_MAX: usize = 10_000;

fn view(endpoint: &EndpointRecord) -> EndpointView {
    EndpointView {
        id: endpoint.id.clone(),
        url: endpoint.url.clone(),
        topics: endpoint.topics.clone(),
        enabled: endpoint.enabled,
        created_ms: endpoint.created_ms,
    }
}

fn created(endpoint: &EndpointRecord) -> EndpointCreated {
    EndpointCreated { endpoint: view(endpoint), secret: endpoint.secret.clone() }
}

fn check(app: &App, request: &EndpointRequest) -> Result<()> {
    app.check_receiver(&request.url)?;
    check_topics(&request.topics)
}

async fn endpoint(app: &App, caller: &Caller, id: &str) -> Result<EndpointRecord> {
    let endpoints = app.store().endpoints(caller.tenant.clone()).await?;
    endpoints.into_iter().find(|endpoint| endpoint.id == id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Error {
    Error::not_found(format!("there is no endpoint `{id}`")).hint("GET /v1/webhooks lists them")
}

/// `POST /v1/webhooks`
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    sent: Sent<EndpointRequest>,
) -> Result<Response, Problem> {
    check(&app, &sent.value)?;
    let count = app.store().endpoints(caller.tenant.clone()).await?.len();
    if count >= ENDPOINTS_MAX {
        let message = format!("there are {count} endpoints, which is the most");
        return Err(Error::invalid(message).hint("delete one first").into());
    }
    let record = EndpointRecord {
        id: format!("we_{}", drawn::<8>()?),
        tenant: caller.tenant,
        url: sent.value.url,
        topics: sent.value.topics,
        secret: new_secret()?,
        old_secret: None,
        enabled: sent.value.enabled,
        created_ms: app.now_ms(),
    };
    app.store().put_endpoint(record.clone()).await?;
    Ok((StatusCode::CREATED, axum::Json(created(&record))).into_response())
}

/// `GET /v1/webhooks`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<axum::Json<EndpointList>, Problem> {
    let endpoints = app.store().endpoints(caller.tenant).await?;
    Ok(axum::Json(EndpointList { endpoints: endpoints.iter().map(view).collect() }))
}

/// `GET /v1/webhooks/{endpoint}`
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<axum::Json<EndpointView>, Problem> {
    Ok(axum::Json(view(&endpoint(&app, &caller, &id).await?)))
}

/// `PUT /v1/webhooks/{endpoint}`
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    sent: Sent<EndpointRequest>,
) -> Result<axum::Json<EndpointView>, Problem> {
    check(&app, &sent.value)?;
    let EndpointRequest { url, topics, enabled } = sent.value;
    let before = endpoint(&app, &caller, &id).await?;
    let after = EndpointRecord { url, topics, enabled, ..before };
    app.store().put_endpoint(after.clone()).await?;
    Ok(axum::Json(view(&after)))
}

/// `POST /v1/webhooks/{endpoint}/rotate`
pub(super) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<axum::Json<EndpointCreated>, Problem> {
    let before = endpoint(&app, &caller, &id).await?;
    let until_ms = app.now_ms().saturating_add(OLD_SECRET_MS);
    let old_secret = Some((before.secret.clone(), until_ms));
    let after = EndpointRecord { secret: new_secret()?, old_secret, ..before };
    app.store().put_endpoint(after.clone()).await?;
    Ok(axum::Json(created(&after)))
}

/// `DELETE /v1/webhooks/{endpoint}`
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    match app.store().remove_endpoint(caller.tenant, id.clone()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(missing(&id).into()),
    }
}

/// `GET /v1/webhook-secret`
pub(super) async fn secret(State(app): State<App>, caller: Caller) -> axum::Json<SecretView> {
    axum::Json(SecretView { secret: app.webhook_secret(&caller.tenant) })
}

fn shown(app: &App, delivery: DeliveryRecord) -> DeliveryView {
    let is_pending = delivery.state == TellState::Pending;
    DeliveryView {
        id: app.message_id(&delivery.tenant, delivery.number),
        run: delivery.run.to_string(),
        endpoint: delivery.endpoint,
        topic: delivery.topic,
        state: delivery.state.as_str().to_owned(),
        attempts: delivery.attempts,
        due_ms: is_pending.then_some(delivery.due_ms),
        last_status: delivery.last_status,
        last_error: delivery.last_error,
        created_ms: delivery.created_ms,
    }
}

/// Which messages to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    run: Option<String>,
    endpoint: Option<String>,
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/deliveries`
pub(super) async fn deliveries(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<axum::Json<DeliveryList>, Problem> {
    let state = query.state.map(|name| {
        TellState::parse(&name).ok_or_else(|| {
            Error::invalid(format!("`state` is '{name}'"))
                .hint("it can be pending, delivered or failed")
        })
    });
    let limit = page(&app, query.limit)?;
    let tenant = caller.tenant;
    let before = cursor(query.cursor, |id| app.message_number(&tenant, id))?;
    let filter = DeliveryFilter {
        tenant: tenant.clone(),
        run: query.run.map(RunId::new),
        endpoint: query.endpoint,
        state: state.transpose()?,
        before,
        limit,
    };
    let (found, next) = wanted(&app, filter).await?;
    let next_cursor = next.map(|number| app.message_id(&tenant, number));
    let deliveries = found.into_iter().map(|found| shown(&app, found)).collect();
    Ok(axum::Json(DeliveryList { deliveries, next_cursor }))
}

/// The messages that somebody wanted, and after which number there may be more.
async fn wanted(
    app: &App,
    mut filter: DeliveryFilter,
) -> Result<(Vec<DeliveryRecord>, Option<u64>)> {
    let limit = filter.limit as usize;
    let (mut all, mut looked_at) = (Vec::with_capacity(limit), 0);
    loop {
        let found = app.store().deliveries(filter.clone()).await?;
        let is_last = found.len() < limit;
        for record in found {
            looked_at += 1;
            filter.before = Some(record.number);
            if !is_unwanted(&record) {
                all.push(record);
            }
            if all.len() == limit {
                return Ok((all, filter.before));
            }
        }
        if is_last || looked_at >= LOOKED_AT_MAX {
            return Ok((all, filter.before.filter(|_| !is_last)));
        }
    }
}

/// `POST /v1/deliveries/{delivery}/redeliver`
pub(super) async fn redeliver(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    let missing = || {
        Error::not_found(format!("there is no delivery `{id}`"))
            .hint("GET /v1/deliveries lists them")
    };
    let number = app.message_number(&caller.tenant, &id).ok_or_else(missing)?;
    let before = delivery(&app, &caller, number).await?.ok_or_else(missing)?;
    if let Some(name) = &before.endpoint {
        // Begun, it would fail, and the record of what was heard before would be lost.
        let known = app.store().endpoints(caller.tenant.clone()).await?;
        if !known.iter().any(|known| known.id == *name && known.enabled) {
            let message = format!("the endpoint `{name}` is not told any more");
            let hint = "it was deleted or turned off; GET /v1/webhooks lists those that are told";
            return Err(Error::new(ErrorKind::Conflict, message).hint(hint).into());
        }
    }
    if !app.store().redeliver(caller.tenant.clone(), number, app.now_ms()).await? {
        return Err(missing().into());
    }
    let after = delivery(&app, &caller, number).await?.ok_or_else(missing)?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&app, after))).into_response())
}

/// The message of that number, if somebody wanted it.
async fn delivery(app: &App, caller: &Caller, number: u64) -> Result<Option<DeliveryRecord>> {
    let filter = DeliveryFilter {
        tenant: caller.tenant.clone(),
        run: None,
        endpoint: None,
        state: None,
        before: number.checked_add(1),
        limit: 1,
    };
    let found = app.store().deliveries(filter).await?.into_iter().next();
    Ok(found.filter(|found| found.number == number && !is_unwanted(found)))
}
