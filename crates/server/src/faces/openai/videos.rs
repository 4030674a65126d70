//! Videos, which are jobs: created, asked after, fetched, listed, deleted, made anew with other words.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use impasto_dialects::openai::wire::{Deleted, Page, Video, VideoError};
use impasto_domain::{AssetRef, Error, ErrorKind, MediaKind, RunId, TaskId, Value};
use impasto_store::RunFilter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Given, json};

use super::error::Failure;
use super::{Asked, Asking, FACE, Reader, Runner, answered, ask, call_of, hold};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{Call, Name, Origin, RunView, ViewStatus};
use crate::faces::body::{self, Form};
use crate::faces::sound::succeeded;
use crate::faces::standing::Standing;
use crate::files::named;

/// The path under which runs of videos are found again.
pub(super) const ROUTE: &str = "videos";
const PREFIX: &str = "video_";
const OF_WORDS: [&str; 2] = ["text-to-video", "image-to-video"];
const OF_PICTURES: [&str; 2] = ["image-to-video", "reference-to-video"];
/// Takes a picture out of a video.
const FRAME: &str = "extract-frame";
/// Tells clients when to ask again.
const POLL_AFTER: HeaderName = HeaderName::from_static("openai-poll-after-ms");
const POLL_AFTER_MS: u64 = 500;
/// Runs that are looked through at once, and at most, for a page of a list.
const SCAN: u32 = 200;
const SCANS_MAX: usize = 100;
const PAGE: usize = 20;
const PAGE_MAX: usize = 100;

/// What is kept with the run of a video, and the body of a call in JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Wish {
    prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    /// The picture that it begins with, taken in.
    #[serde(skip_serializing_if = "Given::is_null")]
    reference: Given,
    #[serde(skip_serializing_if = "Option::is_none")]
    remixed_from: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Given>,
}

pub(super) async fn create(
    State(app): State<App>,
    Runner(caller): Runner,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let media_type = asking.header(header::CONTENT_TYPE.as_str());
    let (wish, fingerprint) = if media_type.is_some_and(|it| it.starts_with("multipart/")) {
        let form = Form::read(&app, &asking.headers, body).await?;
        let fingerprint = form.fingerprint();
        (from_form(&app, &caller, form).await?, fingerprint)
    } else {
        let bytes = body::json_bytes(&app, body).await?;
        (body::parsed(&bytes)?, bytes.to_vec())
    };
    begin(&app, &caller, &asking, wish, None, &fingerprint).await
}

async fn from_form(app: &App, caller: &Caller, form: Form) -> Result<Wish, Failure> {
    let mut wish = Wish::default();
    for part in form.0 {
        match part.name.as_str() {
            "prompt" => wish.prompt = Some(part.text()?),
            "model" => wish.model = Some(part.text()?),
            "seconds" => wish.seconds = Some(part.text()?),
            "size" => wish.size = Some(part.text()?),
            "input_reference" => {
                let asset = part.taken_in(app, caller).await;
                wish.reference = named(&asset.map_err(|error| error.context("`input_reference`"))?);
            }
            "input_reference[image_url]" => wish.reference = part.text()?.into(),
            _ => {
                wish.extra.insert(part.name.clone(), part.text()?.into());
            }
        }
    }
    Ok(wish)
}

/// Accepts a video as a run and answers at once.
async fn begin(
    app: &App,
    caller: &Caller,
    asking: &Asking,
    wish: Wish,
    seed: Option<u64>,
    fingerprint: &[u8],
) -> Result<Response, Failure> {
    let mut input = wish.extra.clone();
    let mut put = |name: &str, value: Option<Given>| {
        input.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("prompt", wish.prompt.clone().map(Given::from));
    put("seconds", wish.seconds.clone().map(Given::from));
    put("size", wish.size.clone().map(Given::from));
    put("input_reference", Some(wish.reference.clone()).filter(|given| !given.is_null()));
    let mut call = call_of(ROUTE, wish.model.as_deref(), input);
    let tasks = if wish.reference.is_null() { OF_WORDS } else { OF_PICTURES };
    call.tasks = tasks.map(TaskId::new).into();
    call.seed = seed;
    call.origin.extra = json!(wish);
    let Asked { ticket, delivery } = ask(app, caller, asking, call, fingerprint).await?;
    let view = app.view(caller, &ticket.run).await?;
    Ok(answered(delivery, Ok(told(&shown(&view)))))
}

/// A video as an answer, with when to ask again.
fn told(video: &Video) -> Response {
    let mut response = Json(video).into_response();
    if matches!(video.status.as_str(), "queued" | "in_progress") {
        response.headers_mut().insert(POLL_AFTER, HeaderValue::from(POLL_AFTER_MS));
    }
    response
}

fn wish_of(view: &RunView) -> Wish {
    serde_json::from_value(view.origin.extra.clone()).unwrap_or_default()
}

/// The video that a run gave.
fn asset_of(view: &RunView) -> Option<&AssetRef> {
    let assets = view.outputs.values().flat_map(Value::assets);
    assets.into_iter().find(|asset| asset.kind() == MediaKind::Video)
}

/// A run as a video.
fn shown(view: &RunView) -> Video {
    let wish = wish_of(view);
    let facts = asset_of(view).map(|asset| asset.facts.clone()).unwrap_or_default();
    let (status, error) = match Standing::of(view) {
        Standing::Queued => ("queued", None),
        Standing::Working => ("in_progress", None),
        Standing::Succeeded => ("completed", None),
        Standing::Failed(error) | Standing::Cancelled(error) => ("failed", Some(error)),
    };
    let error = error.map(|error| {
        let body = super::failed(error).body().error;
        VideoError { code: body.code.unwrap_or_default(), message: body.message }
    });
    let progress = match status {
        "completed" => 100,
        _ => (view.progress.unwrap_or_default() * 100.0).clamp(0.0, 99.0) as u32,
    };
    let made_s = facts.duration_ms.map(|ms| (ms as f64 / 1e3).round().to_string());
    let made_size = facts.width.zip(facts.height).map(|(w, h)| format!("{w}x{h}"));
    Video {
        id: id_of(&view.id),
        object: "video".to_owned(),
        status: status.to_owned(),
        progress,
        created_at: view.created_ms / 1000,
        completed_at: view.ended_ms.filter(|_| status == "completed").map(|ms| ms / 1000),
        expires_at: None,
        model: view.origin.name.clone(),
        seconds: wish.seconds.or(made_s).unwrap_or_default(),
        size: made_size.or(wish.size).unwrap_or_default(),
        prompt: wish.prompt,
        error,
        remixed_from_video_id: wish.remixed_from,
    }
}

/// The id under which a run is known as a video.
pub(super) fn id_of(run: &RunId) -> String {
    format!("{PREFIX}{run}")
}

fn missing(id: &str) -> Failure {
    Error::not_found(format!("there is no video `{id}`")).into()
}

/// The run of a video, if it is one of this face and was not deleted.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<RunView, Failure> {
    let run = id.strip_prefix(PREFIX).ok_or_else(|| missing(id))?;
    let view = app.view(caller, &RunId::new(run)).await.map_err(|error| match error.kind {
        ErrorKind::NotFound => missing(id),
        _ => error.into(),
    })?;
    let ours = view.origin.face == FACE && view.origin.path == ROUTE;
    if ours && is_there(app, caller, &view).await? { Ok(view) } else { Err(missing(id)) }
}

/// Whether a video was not deleted: one under way is given up then, a finished one is forgotten.
async fn is_there(app: &App, caller: &Caller, view: &RunView) -> Result<bool, Failure> {
    if view.status == ViewStatus::Cancelled {
        return Ok(false);
    }
    let Some(asset) = asset_of(view) else { return Ok(true) };
    Ok(app.store().asset(caller.tenant.clone(), asset.digest).await?.is_some())
}

pub(super) async fn retrieve(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    Ok(told(&shown(&find(&app, &caller, &id).await?)))
}

/// What of a video is wanted.
#[derive(Deserialize)]
pub(super) struct Variant {
    variant: Option<String>,
}

pub(super) async fn content(
    State(app): State<App>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    Query(Variant { variant }): Query<Variant>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let view = find(&app, &caller, &id).await?;
    let Some(video) = asset_of(&view) else {
        let video = shown(&view);
        let message = format!("the video is not there: it is {}", video.status);
        return Err(Error::new(ErrorKind::Conflict, message)
            .hint("ask for it when it is completed")
            .into());
    };
    let asset = match variant.as_deref() {
        None | Some("video") => video.clone(),
        Some("thumbnail") => frame(&app, &caller, video).await?,
        Some(other) => {
            let error = Error::invalid(format!("`variant` is '{other}', which is not made here"));
            return Err(error.hint("use video or thumbnail").into());
        }
    };
    // Its own errors are about ranges and missing bytes.
    Ok(app.send(&caller, &asset, &headers).await.into_response())
}

/// The first picture of a video: a run of its own, which costs nothing.
async fn frame(app: &App, caller: &Caller, video: &AssetRef) -> Result<AssetRef, Failure> {
    let input = Map::from_iter([("video".to_owned(), named(video))]);
    let origin = Origin { face: FACE.to_owned(), path: FRAME.to_owned(), ..Origin::default() };
    let call = Call::new(Name::Task(TaskId::new(FRAME)), input, origin);
    let ticket = app.submit(caller, call).await?;
    let view = succeeded(app.wait(caller, ticket, hold(app)).await?).map_err(super::failed)?;
    let frame = view.outputs.values().flat_map(Value::assets).next().cloned();
    Ok(frame.ok_or_else(|| Error::internal("the video gave no picture"))?)
}

/// Which page of the list is wanted.
#[derive(Deserialize)]
pub(super) struct PageAsked {
    after: Option<String>,
    limit: Option<usize>,
    order: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Reader(caller): Reader,
    Query(asked): Query<PageAsked>,
) -> Result<Json<Page<Video>>, Failure> {
    let ascending = match asked.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => {
            let error = Error::invalid(format!("`order` is '{other}'")).hint("use asc or desc");
            return Err(error.into());
        }
    };
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = asked.after.as_deref().filter(|after| !after.is_empty());
    let after = after.map(|id| id.strip_prefix(PREFIX).map(RunId::new).ok_or_else(|| missing(id)));
    let after = after.transpose()?;
    // The oldest come last: for a list from the oldest on, all are looked through.
    let (before, most) = match ascending {
        true => (None, usize::MAX),
        false => (after.clone(), limit + 1),
    };
    let mut found = scan(&app, &caller, before, most).await?;
    if ascending {
        found.reverse();
        if let Some(after) = &after {
            let place = found.iter().position(|view| view.id == *after);
            found.drain(..place.map_or(0, |place| place + 1));
        }
    }
    let has_more = found.len() > limit;
    let data: Vec<Video> = found.iter().take(limit).map(shown).collect();
    let id = |video: Option<&Video>| video.map(|video| video.id.clone());
    let (first_id, last_id) = (id(data.first()), id(data.last()));
    Ok(Json(Page { object: "list".to_owned(), data, has_more, first_id, last_id }))
}

/// The videos of this face, newest first, of at most so many.
async fn scan(
    app: &App,
    caller: &Caller,
    mut before: Option<RunId>,
    most: usize,
) -> Result<Vec<RunView>, Failure> {
    let mut found = Vec::new();
    for _ in 0..SCANS_MAX {
        let filter =
            RunFilter { before: before.take(), ..RunFilter::newest(caller.tenant.clone(), SCAN) };
        let runs = app.engine().runs(filter).await?;
        let last = runs.len() < SCAN as usize;
        for record in &runs {
            let origin: Origin = serde_json::from_str(&record.run.origin).unwrap_or_default();
            if origin.face != FACE || origin.path != ROUTE {
                continue;
            }
            let view = app.view(caller, &record.run.id).await?;
            if is_there(app, caller, &view).await? {
                found.push(view);
            }
            if found.len() >= most {
                return Ok(found);
            }
        }
        before = runs.last().map(|record| record.run.id.clone());
        if last {
            break;
        }
    }
    Ok(found)
}

pub(super) async fn delete(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Failure> {
    let view = find(&app, &caller, &id).await?;
    if let Some(asset) = asset_of(&view) {
        app.store().forget_asset(caller.tenant.clone(), asset.digest).await?;
    } else if !matches!(Standing::of(&view), Standing::Queued | Standing::Working) {
        let message = format!("video `{id}` failed, so that there is nothing to delete");
        return Err(Error::new(ErrorKind::Conflict, message)
            .hint("its run stays on record")
            .into());
    } else {
        app.cancel(&caller, &view.id).await?;
    }
    Ok(Json(Deleted { id, object: "video.deleted".to_owned(), deleted: true }))
}

/// The body of a call that makes a video anew.
#[derive(Deserialize)]
struct Remix {
    prompt: String,
}

pub(super) async fn remix(
    State(app): State<App>,
    Runner(caller): Runner,
    Path(id): Path<String>,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let Remix { prompt } = body::parsed(&bytes)?;
    let view = find(&app, &caller, &id).await?;
    if view.status != ViewStatus::Succeeded {
        let message = format!("video `{id}` is not completed");
        return Err(Error::new(ErrorKind::Conflict, message).hint("wait for it").into());
    }
    // The same seed, so that what the words leave alone stays as it was.
    let seed = view.outputs.get("seed").and_then(Value::as_integer);
    let seed = seed.and_then(|seed| u64::try_from(seed).ok());
    let remixed_from = Some(id.clone());
    let mut wish = Wish { prompt: Some(prompt), remixed_from, ..wish_of(&view) };
    wish.model = Some(view.origin.name.clone());
    let fingerprint = [id.as_bytes(), b"\n", &bytes].concat();
    begin(&app, &caller, &asking, wish, seed, &fingerprint).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::standing::tests::check_all;

    #[test]
    fn where_a_run_stands_in_the_words_of_this_dialect() {
        let told = |view: &RunView| {
            let video = shown(view);
            format!("{}{}", video.status, if video.error.is_some() { " with an error" } else { "" })
        };
        check_all(
            told,
            [
                "queued",
                "in_progress",
                "in_progress",
                "in_progress",
                "completed",
                "failed with an error",
                "failed with an error",
                "failed with an error",
            ]
            .map(str::to_owned),
        );
    }
}
