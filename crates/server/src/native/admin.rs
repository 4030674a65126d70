//! Keys, usage, health, figures, the description of the API.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use impasto_api::{
    Health, KeyCreated, KeyLimitsView, KeyList, KeyRequest, KeyView, Readiness, UsageRow, UsageView,
};
use impasto_domain::{Error, Money, Result, TenantId, rfc3339};
use impasto_store::{KeyKind, KeyLimits, KeyRecord};
use serde::Deserialize;

use super::extract::{Asked, Named, Sent};
use super::show::money;
use crate::app::{App, later_ms};
use crate::caller::{Caller, Scope, Scopes};
use crate::keys::{NewKey, draw};
use crate::problem::Problem;

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// For how long usage is shown if nothing is said, in days.
const USAGE_DAYS: u64 = 30;

fn view(record: KeyRecord) -> KeyView {
    KeyView {
        id: record.id,
        tenant: record.tenant.to_string(),
        name: record.name,
        admin: record.kind == KeyKind::Admin,
        scopes: record.scopes,
        limits: KeyLimitsView {
            concurrent: record.limits.concurrent,
            calls_per_minute: record.limits.calls_per_minute,
            spend_per_day: record.limits.spend_per_day.map(Money::as_micros),
        },
        created_ms: record.created_ms,
        expires_ms: record.expires_ms,
        revoked_ms: record.revoked_ms,
        last_used_ms: record.last_used_ms,
    }
}

fn limits(limits: &KeyLimitsView) -> KeyLimits {
    KeyLimits {
        concurrent: limits.concurrent,
        calls_per_minute: limits.calls_per_minute,
        spend_per_day: limits.spend_per_day.map(Money::micros),
    }
}

fn scopes(names: &[String]) -> Result<Scopes> {
    let scope = |name: &String| {
        Scope::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            Error::invalid(format!("there is no scope `{name}`"))
                .hint(format!("there are {}", known.join(", ")))
        })
    };
    names.iter().map(scope).collect()
}

fn new_key(request: &KeyRequest, now_ms: u64) -> Result<NewKey> {
    Ok(NewKey {
        tenant: TenantId::new(&*request.tenant),
        name: request.name.clone(),
        kind: if request.admin { KeyKind::Admin } else { KeyKind::User },
        scopes: scopes(&request.scopes)?,
        limits: limits(&request.limits),
        expires_ms: request.expires_in_ms.map(|within| later_ms(now_ms, within)),
    })
}

/// `POST /v1/keys`
pub(super) async fn create_key(
    State(app): State<App>,
    sent: Sent<KeyRequest>,
) -> Result<Response, Problem> {
    let now_ms = app.now_ms();
    let (record, key) = draw(new_key(&sent.value, now_ms)?, now_ms)?;
    app.store().add_key(record.clone()).await?;
    app.keyring().forget(&record.id);
    let created = KeyCreated { record: view(record), key };
    let secret = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, secret, axum::Json(created)).into_response())
}

/// Which keys to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysQuery {
    tenant: Option<String>,
}

/// `GET /v1/keys`
pub(super) async fn keys(
    State(app): State<App>,
    Asked(query): Asked<KeysQuery>,
) -> Result<axum::Json<KeyList>, Problem> {
    let found = app.store().keys(query.tenant.map(TenantId::new)).await?;
    Ok(axum::Json(KeyList { keys: found.into_iter().map(view).collect() }))
}

/// `DELETE /v1/keys/{key}`
pub(super) async fn revoke_key(
    State(app): State<App>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let known = app.store().revoke_key(id.clone(), app.now_ms()).await?;
    app.keyring().forget(&id);
    match known {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found(format!("there is no key `{id}`"))
            .hint("GET /v1/keys lists them")
            .into()),
    }
}

/// Of which time usage is shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    from_ms: Option<u64>,
    to_ms: Option<u64>,
}

/// `GET /v1/usage`
pub(super) async fn usage(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<UsageQuery>,
) -> Result<axum::Json<UsageView>, Problem> {
    let to_ms = query.to_ms.unwrap_or_else(|| app.now_ms().saturating_add(1)).min(i64::MAX as u64);
    let from_ms = query.from_ms.unwrap_or_else(|| to_ms.saturating_sub(USAGE_DAYS * DAY_MS));
    if from_ms > to_ms {
        return Err(Error::invalid("`from_ms` is after `to_ms`").into());
    }
    let lines = app.store().usage(caller.tenant, from_ms, to_ms).await?;
    let total = lines.iter().map(|line| line.amount).sum();
    let row = |line: impasto_store::UsageLine| UsageRow {
        day: rfc3339(line.day.saturating_mul(DAY_MS)).chars().take(10).collect(),
        offer: line.offer.to_string(),
        calls: line.charges,
        cost: money(line.amount),
    };
    let rows = lines.into_iter().map(row).collect();
    Ok(axum::Json(UsageView { from_ms, to_ms, rows, total: money(total) }))
}

/// `GET /health`
pub(super) async fn health() -> axum::Json<Health> {
    let (status, version) = ("ok".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    axum::Json(Health { status, version })
}

/// `GET /ready`
pub(super) async fn ready(State(app): State<App>) -> Result<axum::Json<Readiness>, Problem> {
    if !app.engine().is_accepting() {
        let message = "the server is about to end and takes no new runs";
        return Err(Error::unavailable(message).retry_after(5_000).into());
    }
    Ok(axum::Json(Readiness { ready: true, runs: app.engine().live_runs() as u64 }))
}

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.figures_text().await).into_response()
}

static DESCRIPTION: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&impasto_api::openapi()).unwrap_or_default().into());
static REFERENCE: LazyLock<Bytes> = LazyLock::new(|| impasto_api::reference_page().into());

const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// `GET /openapi.json`
pub(super) async fn description() -> Response {
    (JSON, DESCRIPTION.clone()).into_response()
}

/// `GET /docs`
pub(super) async fn reference() -> Response {
    Html(REFERENCE.clone()).into_response()
}
