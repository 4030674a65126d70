//! What a request says, and how it is refused: as a problem, whatever is wrong with it.

use std::error::Error as _;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Uri, header};
use impasto_api::{Place, Route};
use impasto_domain::Error;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::plain::plain;
use crate::problem::Problem;
use crate::whole::{Spoilt, whole};

/// How much of a name that is not known is said again.
const SHOWN_CHARS: usize = 80;

impl From<Spoilt> for Problem {
    fn from(spoilt: Spoilt) -> Self {
        match spoilt {
            Spoilt::TooLarge(most) => Self::too_large(most),
            Spoilt::StoodStill => Self::request_timeout(),
            Spoilt::Broken => spoilt.error().into(),
        }
    }
}

/// The media type of a body, without its parameters and in small letters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(given.split(';').next().unwrap_or(given).trim().to_ascii_lowercase())
}

/// A body of JSON that says what it is, with its bytes.
pub(super) struct Sent<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, app: &App) -> Result<Self, Problem> {
        let given = media_type(request.headers()).unwrap_or_default();
        if given != "application/json" && !given.ends_with("+json") {
            return Err(Problem::unsupported_media_type(&given, "application/json"));
        }
        let bytes = whole(request.into_body(), app.options().body_bytes_max as u64).await?;
        Ok(Self { value: read_json(&bytes)?, bytes })
    }
}

/// What a body of JSON says.
pub(super) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let refused = |why: &str| {
        let message = format!("the body cannot be used: {why}");
        Problem::from(Error::invalid(message).hint("/docs says what this takes"))
    };
    // A list would be taken for the fields in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(refused("it is no JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| refused(&plain(&error)))
}

/// Refuses what stands behind the question mark if the route does not know it: what is not heard must
/// not seem to be.
pub(super) fn check_query(route: &Route, uri: &Uri) -> Result<(), Problem> {
    let known: Vec<&str> = route
        .query
        .iter()
        .filter(|query| query.place == Place::Query)
        .map(|query| query.name)
        .collect();
    let given = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(given)| given);
    let given =
        given.map_err(|_| Error::invalid("what stands behind the question mark is no text"))?;
    let Some((odd, _)) = given.into_iter().find(|(name, _)| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let shown: String = odd.chars().take(SHOWN_CHARS).collect();
    let message = format!("`{shown}` behind the question mark is not known here");
    let hint = match known.is_empty() {
        true => "this address takes nothing there; /docs says what goes into the body".to_owned(),
        false => format!("there are {}", known.join(", ")),
    };
    Err(Error::invalid(message).hint(hint).into())
}

/// Where a list goes on, if it is a page that somebody could have been given.
pub(super) fn cursor<T>(
    given: Option<String>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let read = |text: String| read(&text).ok_or_else(bad_cursor);
    given.map(read).transpose()
}

/// A list cannot go on there.
pub(super) fn bad_cursor() -> Error {
    Error::invalid("`cursor` is none that this list gave")
        .hint("send `next_cursor` of the page before, or leave it out for the first page")
}

/// How many are listed at a time if nothing is said.
const PAGE: u32 = 50;

/// How many are to be listed: at least one, and no more than may be at a time.
pub(crate) fn page(app: &App, limit: Option<u32>) -> Result<u32, Error> {
    match limit {
        Some(0) => Err(Error::invalid("`limit` is 0, the least is 1")),
        limit => Ok(limit.unwrap_or(PAGE).clamp(1, app.options().page_max.max(1))),
    }
}

/// What stands behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let why = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
            let why = plain(&why);
            let message = format!("what stands behind the question mark cannot be used: {why}");
            Error::invalid(message).hint("/docs says what this takes").into()
        })
    }
}

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, app).await;
        path.map(|Path(value)| Self(value)).map_err(|rejection| {
            let message = format!("the address cannot be used: {}", rejection.body_text());
            Error::invalid(message).hint("/docs has every route").into()
        })
    }
}
