//! Files: taken in, listed, fetched whole or in part, forgotten.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::Body as _;
use impasto_api::{AssetList, AssetView, LineageEntry, LineageView};
use impasto_domain::{AssetRef, Digest, Error};
use impasto_store::AssetEntry;
use serde::Deserialize;

use super::extract::{Asked, Named, cursor, media_type, page};
use super::show::Viewer;
use super::uploads::spool;
use crate::app::{App, asset_of};
use crate::caller::Caller;
use crate::files::{Base, suffix};
use crate::problem::Problem;
use crate::spool::Spool;
use crate::whole::Spoilt;

/// The header that names a file.
const FILE_NAME: &str = "x-file-name";
/// The longest name of a file that is kept.
const NAME_CHARS_MAX: usize = 255;
/// The most bytes of a part of a form that is no file.
const OTHERS_BYTES_MAX: u64 = 1 << 20;

/// The digest that a path names. What is no digest is nothing that there is.
fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|why: String| Error::not_found(why).into())
}

/// `POST /v1/assets`
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let given = media_type(headers);
    let asset = if given.as_deref() == Some("multipart/form-data") {
        of_form(&app, &caller, request).await?
    } else {
        let name = headers.get(FILE_NAME).and_then(|name| name.to_str().ok()).map(cut);
        let name = name.unwrap_or_default();
        let ending = suffix(given.as_deref(), Some(&name));
        let most = app.options().upload_bytes_max;
        let spooled = spool(request.into_body(), &ending, most).await?;
        if spooled.bytes == 0 {
            return Err(Error::invalid("the file is empty").hint("send its bytes").into());
        }
        app.take_in_file(&caller, spooled.path(), spooled.digest, &name).await?
    };
    let view = Viewer::new(&app, &caller, &base).asset(&asset);
    Ok((StatusCode::CREATED, axum::Json(view)).into_response())
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// The file of a form. A form with more than one is refused: none may be lost without a word.
async fn of_form(
    app: &App,
    caller: &Caller,
    mut request: Request<Body>,
) -> Result<AssetRef, Problem> {
    let bad = |error: &(dyn std::error::Error + 'static)| match Spoilt::of(error) {
        Spoilt::Broken => Error::invalid(format!("the form cannot be used: {error}"))
            .hint("send multipart/form-data with one part `file`")
            .into(),
        spoilt => Problem::from(spoilt),
    };
    let most = app.options().upload_bytes_max;
    if request.body().size_hint().lower() > most.saturating_add(OTHERS_BYTES_MAX) {
        return Err(Problem::too_large(most));
    }
    // The limit is that of files, which the spool knows.
    DefaultBodyLimit::disable().apply(&mut request);
    let form = Multipart::from_request(request, app).await;
    let mut form = form.map_err(|error| bad(&error))?;
    let mut found = None;
    while let Some(mut field) = form.next_field().await.map_err(|error| bad(&error))? {
        if field.file_name().is_none() && field.name() != Some("file") {
            let mut bytes = 0;
            while let Some(piece) = field.chunk().await.map_err(|error| bad(&error))? {
                bytes += piece.len() as u64;
                if bytes > OTHERS_BYTES_MAX {
                    return Err(Problem::too_large(OTHERS_BYTES_MAX));
                }
            }
            continue;
        }
        if found.is_some() {
            let hint = "send each file in a form of its own";
            return Err(Error::invalid("the form has more than one file").hint(hint).into());
        }
        let name = cut(field.file_name().unwrap_or_default());
        let ending = suffix(field.content_type(), Some(&name));
        let mut file = Spool::begin(&ending, app.options().upload_bytes_max)?;
        while let Some(piece) = field.chunk().await.map_err(|error| bad(&error))? {
            file.write(&piece).await?;
        }
        found = Some((file.finish().await?, name));
    }
    let (file, name) = found
        .ok_or_else(|| Error::invalid("the form has no file").hint("send it as the part `file`"))?;
    Ok(app.take_in_file(caller, file.path(), file.digest, &name).await?)
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    cursor: Option<String>,
    limit: Option<u32>,
}

/// `GET /v1/assets`
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Asked(query): Asked<PageQuery>,
) -> Result<axum::Json<AssetList>, Problem> {
    let limit = page(&app, query.limit)?;
    let before = cursor(query.cursor, |text| text.parse().ok())?;
    let found = app.store().assets(caller.tenant.clone(), before, limit).await?;
    let full = found.len() >= limit as usize;
    let next_cursor = found.last().filter(|_| full).map(|last| last.number.to_string());
    let viewer = Viewer::new(&app, &caller, &base);
    let shown = found.iter().map(|one| Ok(viewer.asset(&asset_of(&one.first.body)?)));
    Ok(axum::Json(AssetList { assets: shown.collect::<Result<_, Error>>()?, next_cursor }))
}

/// `GET /v1/assets/{digest}`
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    base: Base,
    Named(name): Named<String>,
) -> Result<axum::Json<AssetView>, Problem> {
    let asset = app.asset(&caller.tenant, digest(&name)?).await?;
    Ok(axum::Json(Viewer::new(&app, &caller, &base).asset(&asset)))
}

/// `GET /v1/assets/{digest}/content`
pub(super) async fn content(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    let asset = app.asset(&caller.tenant, digest(&name)?).await?;
    app.send(&caller, &asset, &headers).await
}

/// `GET /files/{file}`
pub(super) async fn file(
    State(app): State<App>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let missing = || {
        Error::not_found("there is no file at this address")
            .hint("addresses of files are given by answers and work as they are, for a while")
    };
    let signed = app.signed(&uri.to_string()).ok_or_else(missing)??;
    let caller = Caller::reader(signed.tenant);
    // An address of ours is given only to whom the file may be shown.
    let asset = match app.asset(&caller.tenant, signed.digest).await {
        Err(error) => app.lent(&caller.tenant, signed.digest).ok_or(error)?,
        Ok(asset) => asset,
    };
    app.send(&caller, &asset, &headers).await
}

fn entry(entry: AssetEntry) -> LineageEntry {
    LineageEntry {
        role: entry.role.as_str().to_owned(),
        run: entry.run.map(|run| run.to_string()),
        step: entry.step,
        name: entry.name,
        at_ms: entry.at_ms,
    }
}

/// `GET /v1/assets/{digest}/lineage`
pub(super) async fn lineage(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<axum::Json<LineageView>, Problem> {
    let digest = digest(&name)?;
    app.asset(&caller.tenant, digest).await?;
    let origins = app.store().asset_origins(caller.tenant, digest).await?;
    let origins = origins.into_iter().map(entry).collect();
    Ok(axum::Json(LineageView { digest: digest.to_string(), origins }))
}

/// `DELETE /v1/assets/{digest}`
pub(super) async fn forget(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    let digest = digest(&name)?;
    match app.store().forget_asset(caller.tenant, digest).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found(format!("there is no file {}", digest.short())).into()),
    }
}
