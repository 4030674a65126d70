//! What a request says, and how it is refused: as a problem, whatever is wrong with it.

use std::error::Error as _;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use impasto_domain::Error;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;
use crate::whole::{Spoilt, whole};

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
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("the body cannot be used: {error}");
        Error::invalid(message).hint("/docs says what this takes").into()
    })
}

/// What stands behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let why = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
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
