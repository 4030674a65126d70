//! Models, collections, the account, and the secret that signs webhooks.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{Request, StatusCode};
use impasto_dialects::replicate::wire;
use impasto_domain::Error;
use serde_json::json;

use super::error::{Refusal, Who};
use super::models as known;
use super::predictions::{Cursor, json};
use crate::app::App;
use crate::caller::Scope;
use crate::faces::body::json_bytes;
use crate::files::Base;

/// Models in one page of the list.
const PAGE: usize = 25;

type Answer = Result<Response, Refusal>;

/// `GET /models`.
pub(super) async fn models(
    State(app): State<App>,
    Query(Cursor { cursor }): Query<Cursor>,
    who: Who,
    base: Base,
) -> Answer {
    who.may(Scope::Read)?;
    let from = match cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Error::invalid(format!("'{cursor}' is no cursor")).hint("use `next`"))?,
    };
    let (results, more) = known::page(&app.catalog(), from, PAGE);
    let address = |from: usize| format!("{}/replicate/v1/models?cursor={from}", base.0);
    let previous = from.checked_sub(PAGE).map(address);
    let next = more.then(|| address(from + PAGE));
    Ok(json(StatusCode::OK, &wire::Page { previous, next, results })?)
}

/// `QUERY /models`: the body is a question, plain or as a JSON text.
pub(super) async fn search(State(app): State<App>, who: Who, request: Request<Body>) -> Answer {
    if request.method() != "QUERY" {
        return Err(Refusal::no_route(request.uri().path()));
    }
    who.may(Scope::Read)?;
    let body = json_bytes(&app, request.into_body()).await?;
    let text = String::from_utf8_lossy(&body);
    let question = serde_json::from_str::<String>(&text).unwrap_or_else(|_| text.into_owned());
    let results = known::found(&app.catalog(), &question, PAGE);
    Ok(json(StatusCode::OK, &wire::Page { previous: None, next: None, results })?)
}

/// `GET /models/{owner}/{name}`.
pub(super) async fn model(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    who: Who,
) -> Answer {
    who.may(Scope::Read)?;
    Ok(json(StatusCode::OK, &known::model(&app.catalog(), &owner, &name)?)?)
}

/// `GET /models/{owner}/{name}/versions`: the only one.
pub(super) async fn versions(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    who: Who,
) -> Answer {
    who.may(Scope::Read)?;
    let model = known::model(&app.catalog(), &owner, &name)?;
    let results: Vec<_> = model.latest_version.into_iter().collect();
    Ok(json(StatusCode::OK, &wire::Page { previous: None, next: None, results })?)
}

/// `GET /models/{owner}/{name}/versions/{version}`.
pub(super) async fn version(
    State(app): State<App>,
    Path((owner, name, version)): Path<(String, String, String)>,
    who: Who,
) -> Answer {
    who.may(Scope::Read)?;
    let model = known::model(&app.catalog(), &owner, &name)?;
    let found = model.latest_version.filter(|latest| latest.id == version);
    let found = found.ok_or_else(|| {
        Error::not_found(format!("{owner}/{name} has no version '{version}'"))
            .hint("GET the model for the version that it has")
    })?;
    Ok(json(StatusCode::OK, &found)?)
}

/// `GET /collections`.
pub(super) async fn collections(State(app): State<App>, who: Who) -> Answer {
    who.may(Scope::Read)?;
    let results = known::collections(&app.catalog());
    Ok(json(StatusCode::OK, &wire::Page { previous: None, next: None, results })?)
}

/// `GET /collections/{slug}`.
pub(super) async fn collection(
    State(app): State<App>,
    Path(slug): Path<String>,
    who: Who,
) -> Answer {
    who.may(Scope::Read)?;
    Ok(json(StatusCode::OK, &known::collection_of(&app.catalog(), &slug)?)?)
}

/// `GET /hardware`: what there is to choose from.
pub(super) async fn hardware(who: Who) -> Answer {
    who.may(Scope::Read)?;
    Ok(json(StatusCode::OK, &json!([]))?)
}

/// `GET /account`.
pub(super) async fn account(who: Who) -> Answer {
    let caller = who.may(Scope::Read)?;
    let account = wire::Account {
        kind: "organization".to_owned(),
        username: caller.tenant.to_string(),
        name: caller.tenant.to_string(),
        github_url: None,
    };
    Ok(json(StatusCode::OK, &account)?)
}

/// `GET /webhooks/default/secret`.
pub(super) async fn secret(State(app): State<App>, who: Who) -> Answer {
    let caller = who.may(Scope::Write)?;
    Ok(json(StatusCode::OK, &wire::Secret { key: app.webhook_secret(&caller.tenant) })?)
}
