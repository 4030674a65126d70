//! Calls that are answered when they are done, and those that are told while they are worked on.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::Method;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

use super::call::{Asking, input};
use super::endpoint::Endpoint;
use super::error::Fault;
use super::queue::{has_ended, result_of};
use super::{realtime, streaming};
use crate::app::App;
use crate::caller::{Caller, Scope};
use crate::calls::{RunView, Ticket};
use crate::files::Base;

/// The name of this part.
const PART: &str = "run";
/// How often it is looked how far a run is that another process works on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn handle(
    State(app): State<App>,
    base: Base,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let asking = Asking::new(&parts, base);
    let upgrade = match parts.method {
        Method::GET | Method::CONNECT => {
            WebSocketUpgrade::from_request_parts(&mut parts, &app).await.ok()
        }
        _ => None,
    };
    let answer = async {
        let endpoint = Endpoint::parse(&path)?;
        if let Some(upgrade) = upgrade {
            let endpoint = endpoint.without("realtime").unwrap_or(endpoint);
            return realtime::connect(&app, asking, endpoint, upgrade).await;
        }
        match parts.method {
            Method::POST => match endpoint.without("stream") {
                Some(endpoint) => streaming::stream(&app, &asking, &endpoint, body).await,
                None => run(&app, &asking, &endpoint, body).await,
            },
            Method::GET => run(&app, &asking, &endpoint, Body::empty()).await,
            _ => Err(Fault::method()),
        }
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

async fn run(
    app: &App,
    asking: &Asking,
    endpoint: &Endpoint,
    body: Body,
) -> Result<Response, Fault> {
    let caller = asking.runner(app, endpoint).await?;
    caller.allow(Scope::Run)?;
    let (bytes, mut input) = input(app, body).await?;
    if bytes.is_empty() {
        input = given_in_address(asking);
    }
    let mut call = asking.call(app, endpoint, PART, input)?;
    let claim = asking.claim(endpoint, PART, &bytes)?;
    call.claim = Some(claim.clone());
    let ticket = app.submit(&caller, call).await?;
    // From here on, whoever goes away and asks again gets this run.
    let delivery = app.delivery(&caller, Some(&claim), &ticket.run);
    let view = ended(app, &caller, ticket).await?;
    let response = if has_ended(&view) {
        result_of(app, &caller, &asking.base, &view).await
    } else {
        Err(Fault::too_long(&view.id))
    };
    Ok(delivery.over(response.unwrap_or_else(IntoResponse::into_response)))
}

/// What a call without a body asks for in its address.
fn given_in_address(asking: &Asking) -> Map<String, Json> {
    let given = asking.query.iter().filter(|(name, _)| !name.starts_with("fal_"));
    given.map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect()
}

/// The run when it has ended, or as it is when nobody waits any longer.
pub(super) async fn ended(
    app: &App,
    caller: &Caller,
    ticket: Ticket,
) -> impasto_domain::Result<RunView> {
    let deadline = Instant::now() + Duration::from_millis(app.options().wait_max_ms);
    let run = ticket.run.clone();
    let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
    let mut view = app.wait(caller, ticket, left(deadline)).await?;
    while !has_ended(&view) && !left(deadline).is_zero() {
        tokio::time::sleep(LOOK_AGAIN.min(left(deadline))).await;
        let ticket = Ticket { run: run.clone(), handle: None };
        view = app.wait(caller, ticket, left(deadline)).await?;
    }
    Ok(view)
}
