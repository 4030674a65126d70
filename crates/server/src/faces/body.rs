//! Bodies of calls: JSON, read as a whole; files and forms with files, put on the disk while they come.
//!
//! A body that is too large is still taken from the wire, up to a limit, and thrown away: who is in the
//! middle of sending hears the answer only then.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use impasto_domain::{AssetRef, Digest, Error, Result};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::app::App;
use crate::caller::Caller;
use crate::files::{check_size, suffix};
use crate::plain::plain;
use crate::spool::{Spool, Spooled};
use crate::whole::Spoilt;

/// How many times the most that is taken is thrown away before the connection is.
const PATIENCE: u64 = 4;
/// What a form may hold beside its files.
const FORM_BYTES: u64 = 1 << 20;
/// The longest part of a form that is kept in memory.
const SHORT_BYTES: usize = 256 << 10;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It did not come as a whole.
    Spoilt(Spoilt),
    /// It is not what it should be.
    Bad(Error),
    /// It cannot be kept here.
    Unkept(Error),
}

impl Unread {
    /// The status that says so, and the error.
    pub(crate) fn told(self) -> (StatusCode, Error) {
        match self {
            Self::Spoilt(spoilt) => (spoilt.status(), spoilt.error()),
            Self::Bad(error) => (StatusCode::BAD_REQUEST, error),
            Self::Unkept(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
        }
    }
}

/// The whole body, of at most so many bytes.
pub(crate) async fn whole(body: Body, most: u64) -> Result<Bytes, Unread> {
    let mut body = Measured::new(body, most)?;
    let mut taken = BytesMut::new();
    while let Some(piece) = body.next().await {
        taken.extend_from_slice(&piece);
    }
    body.rest().await?;
    Ok(taken.freeze())
}

/// The body of a call in JSON.
pub(crate) async fn json_bytes(app: &App, body: Body) -> Result<Bytes, Unread> {
    whole(body, app.options().body_bytes_max as u64).await
}

/// What JSON says.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unread> {
    // A list would be taken for the fields in their order.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let error = Error::invalid("the body is a list, and an object is needed");
        return Err(Unread::Bad(error.hint("send a JSON object")));
    }
    serde_json::from_slice(body).map_err(|error| {
        let why = plain(&error);
        let error = Error::invalid(format!("the body is not the JSON that is needed: {why}"));
        Unread::Bad(error.hint("send a JSON object and the header content-type: application/json"))
    })
}

/// A body that is measured while it comes.
struct Measured {
    body: Body,
    seen: u64,
    most: u64,
    spoilt: Option<Spoilt>,
}

impl Measured {
    fn new(body: Body, most: u64) -> Result<Self, Unread> {
        if body.size_hint().lower() > most.saturating_mul(PATIENCE) {
            // It says so itself: nothing of it is read.
            return Err(Unread::Spoilt(Spoilt::TooLarge(most)));
        }
        Ok(Self { body, seen: 0, most, spoilt: None })
    }

    /// The next piece, as long as there is not too much. None at the end, or if it is spoilt.
    async fn next(&mut self) -> Option<Bytes> {
        while self.spoilt.is_none() || self.seen > self.most {
            let Some(frame) = self.body.frame().await else { break };
            let data = match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => data,
                Ok(Err(_)) => continue,
                Err(error) => {
                    self.spoilt.get_or_insert(Spoilt::of(&error));
                    break;
                }
            };
            self.seen += data.len() as u64;
            if self.seen <= self.most {
                return Some(data);
            }
            self.spoilt = Some(Spoilt::TooLarge(self.most));
            if self.seen > self.most.saturating_mul(PATIENCE) {
                break;
            }
        }
        None
    }

    /// Takes the rest from the wire, and tells what was wrong with the whole of it.
    async fn rest(&mut self) -> Result<(), Unread> {
        while self.next().await.is_some() {}
        self.spoilt.take().map_or(Ok(()), |spoilt| Err(Unread::Spoilt(spoilt)))
    }
}

async fn write(spool: &mut Spool, piece: &[u8]) -> Result<(), Unread> {
    spool.write(piece).await.map_err(|problem| Unread::Unkept(problem.into_error()))
}

/// The body as a file of ours whose name ends so, of at most so many bytes.
pub(crate) async fn spooled(body: Body, suffix: &str, most: u64) -> Result<Spooled, Unread> {
    let mut body = Measured::new(body, most)?;
    let mut spool = Spool::begin(suffix, most).map_err(Unread::Unkept)?;
    while let Some(piece) = body.next().await {
        write(&mut spool, &piece).await?;
    }
    body.rest().await?;
    spool.finish().await.map_err(Unread::Unkept)
}

/// A part of a form.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    content: Content,
}

/// What a part of a form holds: what is short is kept in memory.
enum Content {
    Short(Bytes),
    Long(Spooled),
}

impl Part {
    /// The part as text.
    pub(crate) fn text(&self) -> Result<String, Unread> {
        std::str::from_utf8(self.short()?).map(str::to_owned).map_err(|_| self.no_text())
    }

    /// What JSON in the part says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Unread> {
        parsed(self.short()?)
    }

    fn short(&self) -> Result<&[u8], Unread> {
        match &self.content {
            Content::Short(bytes) => Ok(bytes),
            Content::Long(_) => Err(self.no_text()),
        }
    }

    fn no_text(&self) -> Unread {
        Unread::Bad(Error::invalid(format!("`{}` is neither text nor a file", self.name)))
    }

    /// The part taken in as a file of the caller's.
    pub(crate) async fn taken_in(&self, app: &App, caller: &Caller) -> Result<AssetRef> {
        let (media_type, name) = (self.media_type.as_deref(), self.file_name.as_deref());
        match &self.content {
            Content::Short(bytes) => app.take_in(caller, bytes.clone(), media_type, name).await,
            Content::Long(file) => {
                check_size(app, file.bytes)?;
                let name = name.unwrap_or_default();
                app.take_in_file(caller, file.path(), file.digest, name).await
            }
        }
    }
}

/// A form: its parts in order.
pub(crate) struct Form(pub(crate) Vec<Part>);

impl Form {
    /// The form in the body of a request.
    pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Self, Unread> {
        let most = app.options().upload_bytes_max.saturating_add(FORM_BYTES);
        let body = Measured::new(body, most)?;
        let body = Arc::new(Mutex::new(body));
        let pieces = stream::unfold(Arc::clone(&body), |body| async move {
            let next = body.lock().await.next().await?;
            Some((Ok::<_, std::convert::Infallible>(next), body))
        });
        let mut request = Request::new(Body::from_stream(pieces));
        if let Some(media_type) = headers.get(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, media_type.clone());
        }
        // It is measured already.
        DefaultBodyLimit::disable().apply(&mut request);
        let form = Self::parts(request).await;
        // What is wrong with the body is what is wrong with the form.
        body.lock().await.rest().await?;
        form
    }

    async fn parts(request: Request<Body>) -> Result<Self, Unread> {
        let bad = |error: &dyn std::fmt::Display| {
            let error = Error::invalid(format!("the body is not the form that is needed: {error}"));
            Unread::Bad(error.hint("send multipart/form-data"))
        };
        let mut parts = Vec::new();
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| bad(&error))?;
        while let Some(mut field) = form.next_field().await.map_err(|error| bad(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let media_type = field.content_type().map(str::to_owned);
            let (mut short, mut long) = (BytesMut::new(), None);
            while let Some(piece) = field.chunk().await.map_err(|error| bad(&error))? {
                if long.is_none() && short.len() + piece.len() > SHORT_BYTES {
                    let suffix = suffix(media_type.as_deref(), file_name.as_deref());
                    let mut spool = Spool::begin(&suffix, u64::MAX).map_err(Unread::Unkept)?;
                    write(&mut spool, &std::mem::take(&mut short)).await?;
                    long = Some(spool);
                }
                match &mut long {
                    Some(spool) => write(spool, &piece).await?,
                    None => short.extend_from_slice(&piece),
                }
            }
            let content = match long {
                Some(spool) => Content::Long(spool.finish().await.map_err(Unread::Unkept)?),
                None => Content::Short(short.freeze()),
            };
            parts.push(Part { name, file_name, media_type, content });
        }
        Ok(Self(parts))
    }

    /// What tells this form from others, whatever separates its parts.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let parts = self.0.iter().flat_map(|part| {
            let digest = match &part.content {
                Content::Short(bytes) => Digest::of(bytes),
                Content::Long(file) => file.digest,
            };
            format!("{}\n{:?}\n{digest}\n", part.name, part.file_name).into_bytes()
        });
        parts.collect()
    }
}
