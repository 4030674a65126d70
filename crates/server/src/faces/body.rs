//! Bodies of calls, read as a whole: JSON, and forms with files.
//!
//! A body that is too large is still taken from the wire, up to a limit, and thrown away: who is in the
//! middle of sending hears the answer only then.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use impasto_domain::{Digest, Error, Result};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::whole::Spoilt;

/// How many times the most that is taken is thrown away before the connection is.
const PATIENCE: u64 = 4;
/// What a form may hold beside its files.
const FORM_BYTES: u64 = 1 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It did not come as a whole.
    Spoilt(Spoilt),
    /// It is not what it should be.
    Bad(Error),
}

impl Unread {
    /// The status that says so, and the error.
    pub(crate) fn told(self) -> (StatusCode, Error) {
        match self {
            Self::Spoilt(spoilt) => (spoilt.status(), spoilt.error()),
            Self::Bad(error) => (StatusCode::BAD_REQUEST, error),
        }
    }
}

/// The whole body, of at most so many bytes.
pub(crate) async fn whole(mut body: Body, most: u64) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > most.saturating_mul(PATIENCE) {
        // It says so itself: nothing of it is read.
        return Err(Unread::Spoilt(Spoilt::TooLarge(most)));
    }
    let mut taken = BytesMut::new();
    let mut seen: u64 = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::Spoilt(Spoilt::of(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len() as u64;
        if seen <= most {
            taken.extend_from_slice(&data);
            continue;
        }
        taken = BytesMut::new();
        if seen > most.saturating_mul(PATIENCE) {
            break;
        }
    }
    let too_large = seen > most;
    if too_large { Err(Unread::Spoilt(Spoilt::TooLarge(most))) } else { Ok(taken.freeze()) }
}

/// The body of a call in JSON.
pub(crate) async fn json_bytes(app: &App, body: Body) -> Result<Bytes, Unread> {
    whole(body, app.options().body_bytes_max as u64).await
}

/// What JSON says.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unread> {
    serde_json::from_slice(body).map_err(|error| {
        let error = Error::invalid(format!("the body is not the JSON that is needed: {error}"));
        Unread::Bad(error.hint("send a JSON object and the header content-type: application/json"))
    })
}

/// A part of a form.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

impl Part {
    /// The part as text.
    pub(crate) fn text(&self) -> Result<String, Unread> {
        std::str::from_utf8(&self.bytes).map(str::to_owned).map_err(|_| {
            Unread::Bad(Error::invalid(format!("`{}` is neither text nor a file", self.name)))
        })
    }
}

/// A form: its parts in order.
pub(crate) struct Form(pub(crate) Vec<Part>);

impl Form {
    /// The form in the body of a request.
    pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Self, Unread> {
        let most = app.options().upload_bytes_max.saturating_add(FORM_BYTES);
        let media_type = headers.get(header::CONTENT_TYPE).cloned();
        let body = whole(body, most).await?;
        let mut request = Request::new(Body::from(body));
        if let Some(media_type) = media_type {
            request.headers_mut().insert(header::CONTENT_TYPE, media_type);
        }
        let bad = |error: &dyn std::fmt::Display| {
            let error = Error::invalid(format!("the body is not the form that is needed: {error}"));
            Unread::Bad(error.hint("send multipart/form-data"))
        };
        // It has been measured already.
        DefaultBodyLimit::disable().apply(&mut request);
        let mut parts = Vec::new();
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| bad(&error))?;
        while let Some(field) = form.next_field().await.map_err(|error| bad(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let media_type = field.content_type().map(str::to_owned);
            let bytes = field.bytes().await.map_err(|error| bad(&error))?;
            parts.push(Part { name, file_name, media_type, bytes });
        }
        Ok(Self(parts))
    }

    /// What tells this form from others, whatever separates its parts.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let parts = self.0.iter().flat_map(|part| {
            let digest = Digest::of(&part.bytes);
            format!("{}\n{:?}\n{digest}\n", part.name, part.file_name).into_bytes()
        });
        parts.collect()
    }
}
