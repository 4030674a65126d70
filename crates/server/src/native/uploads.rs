//! Uploads in parts, which can be resumed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt;
use impasto_api::{UploadRequest, UploadView};
use impasto_domain::{AssetRef, Digest, Error, ErrorKind, Result};
use impasto_store::{UploadPart, UploadRecord};

use super::extract::{Named, Sent};
use super::show::Viewer;
use crate::app::App;
use crate::caller::Caller;
use crate::files::{Base, suffix};
use crate::keys::drawn;
use crate::problem::Problem;
use crate::spool::{Spool, joined};
use crate::whole::Spoilt;

/// How long an upload may take from its beginning to its end, in milliseconds.
const UPLOAD_MS: u64 = 24 * 3_600_000;
/// The highest number of a part.
const NUMBER_MAX: u32 = 10_000;
/// The longest name and media type.
const TEXT_CHARS_MAX: usize = 255;
/// What is kept with uploads that were begun here.
const ORIGIN: &str = "native";
/// How often uploads are given up whose time is over.
const SWEEP: Duration = Duration::from_secs(60);
/// How many at once.
const SWEPT: u32 = 100;

fn missing(id: &str) -> Error {
    Error::not_found(format!("there is no upload `{id}`"))
        .hint("POST /v1/uploads begins one; it is given up after a day")
}

async fn record(app: &App, caller: &Caller, id: &str) -> Result<UploadRecord> {
    let found = app.store().upload(caller.tenant.clone(), id.to_owned()).await?;
    let mine = |record: &UploadRecord| record.origin == ORIGIN && record.expires_ms > app.now_ms();
    found.filter(mine).ok_or_else(|| missing(id))
}

fn view(app: &App, record: &UploadRecord) -> UploadView {
    UploadView {
        id: record.id.clone(),
        name: record.name.clone(),
        expires_ms: record.expires_ms,
        part_bytes_max: app.options().part_bytes_max as u64,
        parts: record.parts.iter().map(|part| part.number).collect(),
        bytes: record.parts.iter().map(|part| part.bytes).sum(),
    }
}

/// `POST /v1/uploads`
pub(super) async fn begin(
    State(app): State<App>,
    caller: Caller,
    sent: Sent<UploadRequest>,
) -> Result<Response, Problem> {
    let UploadRequest { name, media_type } = sent.value;
    for (what, text) in [("name", &name), ("media_type", &media_type)] {
        if text.chars().count() > TEXT_CHARS_MAX {
            let message = format!("`{what}` has more than {TEXT_CHARS_MAX} characters");
            return Err(Error::invalid(message).into());
        }
    }
    let now_ms = app.now_ms();
    let record = UploadRecord {
        id: format!("up_{}", drawn::<12>()?),
        name,
        media_type,
        origin: ORIGIN.to_owned(),
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(UPLOAD_MS),
        parts: Vec::new(),
    };
    app.store().begin_upload(caller.tenant, record.clone()).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&app, &record))).into_response())
}

/// `GET /v1/uploads/{upload}`
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<axum::Json<UploadView>, Problem> {
    let record = record(&app, &caller, &id).await?;
    Ok(axum::Json(view(&app, &record)))
}

/// `PUT /v1/uploads/{upload}/parts/{number}`
pub(super) async fn put_part(
    State(app): State<App>,
    caller: Caller,
    Named((id, number)): Named<(String, String)>,
    body: Body,
) -> Result<axum::Json<UploadView>, Problem> {
    let number = number.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number));
    let number = number
        .ok_or_else(|| Error::invalid(format!("the number of a part is 1 to {NUMBER_MAX}")))?;
    let before = record(&app, &caller, &id).await?;
    let others = before.parts.iter().filter(|part| part.number != number);
    let others: u64 = others.map(|part| part.bytes).sum();
    let room = app.options().upload_bytes_max.saturating_sub(others);
    let most = room.min(app.options().part_bytes_max as u64);
    let spooled = spool(body, "", most).await?;
    let (digest, bytes) = spooled.keep(app.pieces()).await?;
    let part = UploadPart { number, digest, bytes };
    app.store().put_part(caller.tenant.clone(), id.clone(), part).await?;
    let after = record(&app, &caller, &id).await?;
    Ok(axum::Json(view(&app, &after)))
}

/// A body as a file of ours.
pub(super) async fn spool(
    mut body: Body,
    suffix: &str,
    bytes_max: u64,
) -> Result<crate::spool::Spooled, Problem> {
    if body.size_hint().lower() > bytes_max {
        // It says so itself: nothing of it is read.
        return Err(Problem::too_large(bytes_max));
    }
    let mut spool = Spool::begin(suffix, bytes_max)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Spoilt::of(&error))?;
        if let Ok(piece) = frame.into_data() {
            spool.write(&piece).await?;
        }
    }
    Ok(spool.finish().await?)
}

/// `POST /v1/uploads/{upload}/complete`
pub(super) async fn complete(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    let asset = match finish(&app, &caller, &id).await {
        // Whoever did not hear that it was put together asks again, and hears the same.
        Err(problem) => match app.uploaded(&caller.tenant, &id) {
            Some(digest) => app.asset(&caller.tenant, digest).await?,
            None => return Err(problem),
        },
        Ok(asset) => asset,
    };
    let asset = Viewer::new(&app, &caller, &base).asset(&asset);
    Ok((StatusCode::CREATED, axum::Json(asset)).into_response())
}

/// Puts an upload together.
async fn finish(app: &App, caller: &Caller, id: &str) -> Result<AssetRef, Problem> {
    let record = record(app, caller, id).await?;
    let gap = record.parts.iter().zip(1..).find(|(part, number)| part.number != *number);
    if record.parts.is_empty() || gap.is_some() {
        let number = gap.map_or(1, |(_, number)| number);
        let message = format!("part {number} is not there");
        return Err(Error::new(ErrorKind::Conflict, message).hint("upload it first").into());
    }
    let ending = suffix(Some(&record.media_type), Some(&record.name));
    let parts = record.parts.iter().map(|part| part.digest).collect();
    let joined = joined(Arc::clone(app.pieces()), parts, ending).await?;
    let asset = app.take_in_file(caller, joined.path(), joined.digest, &record.name).await?;
    app.note_uploaded(&caller.tenant, id, asset.digest);
    end(app, caller, id).await?;
    Ok(asset)
}

/// `DELETE /v1/uploads/{upload}`
pub(super) async fn abort(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    record(&app, &caller, &id).await?;
    end(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends an upload and lets go of its parts.
async fn end(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let unused = app.store().end_upload(caller.tenant.clone(), id.to_owned()).await?;
    let_go(app, unused.unwrap_or_default()).await
}

async fn let_go(app: &App, parts: Vec<Digest>) -> Result<()> {
    let pieces = Arc::clone(app.pieces());
    let removing = tokio::task::spawn_blocking(move || {
        for part in parts {
            // What stays takes room and harms nobody.
            let _stays = pieces.remove(&part);
        }
    });
    removing.await.map_err(|_| Error::internal("removing parts panicked"))
}

/// Gives uploads up whose time is over, for ever.
pub(crate) async fn sweep(app: App) {
    loop {
        tokio::time::sleep(SWEEP).await;
        while let Ok(expired) = app.store().end_expired_uploads(app.now_ms(), SWEPT).await {
            let gone = let_go(&app, expired.parts).await;
            if expired.uploads == 0 || gone.is_err() {
                break;
            }
        }
    }
}
