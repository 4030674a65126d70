//! A request of this dialect as a call of ours.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::Query;
use http::{HeaderMap, StatusCode, Uri};
use impasto_dialects::fal::wire;
use impasto_domain::{Error, ErrorKind, Result};
use serde_json::{Map, Value as Json, json};

use super::endpoint::Endpoint;
use super::error::Fault;
use super::tokens;
use crate::app::App;
use crate::caller::{Caller, authorization};
use crate::calls::{Call, Origin, Webhook, claim, wish_key};
use crate::faces::body::{Unread, spooled, whole};
use crate::files::Base;
use crate::hosts::ByHost;
use crate::spool::Spooled;

/// The name of this face, as it is stored with runs.
pub(super) const FACE: &str = "fal";
/// The words before a secret in the header that carries one.
const SCHEMES: [&str; 2] = ["key", "bearer"];
/// The parameter that asks for files in the answer itself.
const SYNC_MODE: &str = "sync_mode";

/// A request, but for its body.
pub(super) struct Asking {
    pub(super) headers: HeaderMap,
    pub(super) query: HashMap<String, String>,
    raw_query: String,
    pub(super) base: Base,
    by_host: Option<ByHost>,
}

impl Asking {
    pub(super) fn new(parts: &http::request::Parts, base: Base) -> Self {
        Self {
            headers: parts.headers.clone(),
            query: query(&parts.uri),
            raw_query: parts.uri.query().unwrap_or_default().to_owned(),
            base,
            by_host: parts.extensions.get().copied(),
        }
    }

    /// Who asks.
    pub(super) async fn caller(&self, app: &App) -> Result<Caller> {
        app.caller(authorization(&self.headers, &SCHEMES)).await
    }

    /// Who asks to run this endpoint; a token that was given out for it will do.
    pub(super) async fn runner(&self, app: &App, endpoint: &Endpoint) -> Result<Caller> {
        match self.query.get(wire::TOKEN) {
            Some(token) => {
                tokens::caller(app, token, tokens::Purpose::Call(endpoint.alias())).await
            }
            None => self.caller(app).await,
        }
    }

    /// Scheme, host and prefix under which a part of this face is seen by the one who asks.
    pub(super) fn root(&self, part: &str) -> String {
        let prefix = format!("/{FACE}/{part}");
        match self.by_host {
            Some(ByHost(host)) if host == prefix => self.base.0.clone(),
            // Under the name of another part only that part is reached by itself.
            _ => format!("{}{prefix}", self.base.0),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The call that this is; `way` is how it was called.
    pub(super) fn call(
        &self,
        app: &App,
        endpoint: &Endpoint,
        way: &str,
        mut input: Map<String, Json>,
    ) -> Result<Call> {
        let (name, tasks) = endpoint.meant(&app.catalog())?;
        let inline = input.remove(SYNC_MODE).and_then(|wanted| wanted.as_bool()).unwrap_or(false);
        let origin = Origin {
            face: FACE.to_owned(),
            path: way.to_owned(),
            name: endpoint.path(),
            base: self.base.0.clone(),
            key: None,
            parent: None,
            extra: if inline { json!({ SYNC_MODE: true }) } else { Json::Null },
        };
        let mut call = Call::new(name, input, origin);
        call.tasks = tasks;
        call.priority = match self.header(wire::QUEUE_PRIORITY) {
            Some("low") => -1,
            _ => 0,
        };
        call.start_by_ms = self.start_by_ms(app.now_ms())?;
        call.webhook = self
            .query
            .get(wire::WEBHOOK)
            .map(|url| Webhook { url: url.clone(), topics: Vec::new() });
        call.webhook.iter().try_for_each(|webhook| app.check_receiver(&webhook.url))?;
        Ok(call)
    }

    fn start_by_ms(&self, now_ms: u64) -> Result<Option<u64>> {
        let Some(seconds) = self.header(wire::REQUEST_TIMEOUT) else { return Ok(None) };
        let known = seconds.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        let seconds = known.filter(|seconds| *seconds > 0.0).ok_or_else(|| {
            Error::invalid(format!("`{}` is '{seconds}'", wire::REQUEST_TIMEOUT))
                .hint("give a number of seconds")
        })?;
        Ok(Some(now_ms.saturating_add((seconds * 1e3) as u64)))
    }

    /// What keeps this request from becoming two runs when a client sends it again by itself.
    pub(super) fn claim(
        &self,
        endpoint: &Endpoint,
        way: &str,
        body: &[u8],
    ) -> Result<impasto_store::Claim> {
        let route = format!("{FACE}/{way}/{}?{}", endpoint.path(), self.raw_query);
        Ok(claim(wish_key(&self.headers)?, &route, body))
    }
}

/// Whether files stand in the answer itself.
pub(super) fn is_inline(origin: &Origin) -> bool {
    origin.extra.get(SYNC_MODE).and_then(Json::as_bool).unwrap_or(false)
}

fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

/// The body of a call, and the input that it is.
pub(super) async fn input(
    app: &App,
    body: Body,
) -> std::result::Result<(bytes::Bytes, Map<String, Json>), Fault> {
    let bytes = read(body, app.options().body_bytes_max as u64).await?;
    let input = match bytes.trim_ascii() {
        b"" => Map::new(),
        text => match serde_json::from_slice(text) {
            Ok(Json::Object(input)) => input,
            Ok(_) => return Err(Error::invalid("the body is no JSON object").into()),
            Err(error) => {
                let hint = "send the input as a JSON object";
                return Err(Error::invalid(format!("the body is no JSON: {error}"))
                    .hint(hint)
                    .into());
            }
        },
    };
    Ok((bytes, input))
}

/// A body as a whole.
pub(super) async fn read(body: Body, bytes_max: u64) -> std::result::Result<bytes::Bytes, Fault> {
    whole(body, bytes_max).await.map_err(unread)
}

/// A file of ours whose name ends so, of at most so many bytes, of a body.
pub(super) async fn file(
    body: Body,
    suffix: &str,
    bytes_max: u64,
) -> std::result::Result<Spooled, Fault> {
    spooled(body, suffix, bytes_max).await.map_err(unread)
}

fn unread(unread: Unread) -> Fault {
    let (status, error) = unread.told();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::too_large(error),
        StatusCode::SERVICE_UNAVAILABLE => Fault::from(error),
        // Nothing was begun, and whoever sends half a body is not there to read the answer.
        _ => Fault::from(Error { kind: ErrorKind::InvalidInput, ..error }),
    }
}
