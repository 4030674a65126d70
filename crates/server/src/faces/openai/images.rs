//! Pictures from words, whole or with previews.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, header};
use impasto_dialects::inline::to_json;
use impasto_dialects::openai::wire::{Image, ImageEvent, ImageRequest, ImagesResponse, Usage};
use impasto_domain::{AssetRef, Error, MediaKind, TaskId, Tier, Value};
use serde_json::{Map, Value as Json, json};

use super::error::Failure;
use super::stream as events;
use super::{Asked, Asking, FACE, Runner, answered, ask, call_of, failed, hold};
use crate::app::App;
use crate::caller::Caller;
use crate::calls::{Call, Name, Origin, RunView};
use crate::events::Place;
use crate::faces::body;
use crate::faces::pieces::{Piece, Pieces};
use crate::faces::sound::succeeded;
use crate::files::{Base, named};

const ROUTE: &str = "images/generations";
const TASK: &str = "text-to-image";
/// Writes a picture in another format.
const CONVERT: &str = "convert-image";
/// The outputs of tasks that hold what was asked for.
const PICTURES: [&str; 2] = ["images", "image"];
/// The most previews that can be asked for.
const PREVIEWS_MAX: u32 = 3;

pub(super) async fn generate(
    State(app): State<App>,
    Runner(caller): Runner,
    base: Base,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let request: ImageRequest = body::parsed(&bytes)?;
    let drawing = Drawing { app, caller, base, asking, event: "image_generation" };
    let tasks = vec![TaskId::new(TASK)];
    drawing.answer(request, Map::new(), ROUTE, tasks, &bytes).await
}

/// A call for pictures.
pub(super) struct Drawing {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) base: Base,
    pub(super) asking: Asking,
    /// What events are called.
    pub(super) event: &'static str,
}

/// What the client wants of each picture.
struct Look {
    as_url: bool,
    format: Option<&'static str>,
    compression: Option<u32>,
    quality: String,
    background: String,
    previews: u32,
    streams: bool,
}

impl Look {
    fn of(request: &ImageRequest) -> Result<Self, Failure> {
        let refused = |name: &str, given: &str, known: &str| {
            Error::invalid(format!("`{name}` is '{given}'")).hint(format!("use {known}"))
        };
        let format = match request.output_format.as_deref() {
            None => None,
            Some("png") => Some("png"),
            Some("jpeg" | "jpg") => Some("jpeg"),
            Some("webp") => Some("webp"),
            Some("avif") => Some("avif"),
            Some(other) => {
                return Err(refused("output_format", other, "png, jpeg, webp or avif").into());
            }
        };
        let as_url = match request.response_format.as_deref() {
            None | Some("b64_json") => false,
            Some("url") => true,
            Some(other) => return Err(refused("response_format", other, "b64_json or url").into()),
        };
        let previews = request.partial_images.unwrap_or_default();
        if previews > PREVIEWS_MAX {
            let error = Error::invalid(format!("`partial_images` is {previews}"));
            return Err(error.hint(format!("the most is {PREVIEWS_MAX}")).into());
        }
        let or_auto = |text: &Option<String>| text.clone().unwrap_or_else(|| "auto".to_owned());
        Ok(Self {
            as_url,
            format,
            compression: request.output_compression,
            quality: or_auto(&request.quality),
            background: or_auto(&request.background),
            previews,
            streams: request.stream == Some(true),
        })
    }
}

/// What the words for quality say of the tier, where the choice of a model is left open.
fn tier_of(quality: &str) -> Option<Tier> {
    match quality {
        "low" => Some(Tier::Draft),
        "medium" | "standard" => Some(Tier::Standard),
        "high" | "hd" | "xhigh" | "max" => Some(Tier::Hero),
        _ => None,
    }
}

impl Drawing {
    /// The answer to a call. `files` are inputs that were taken in.
    pub(super) async fn answer(
        self,
        request: ImageRequest,
        files: Map<String, Json>,
        route: &str,
        tasks: Vec<TaskId>,
        wish: &[u8],
    ) -> Result<Response, Failure> {
        let look = Look::of(&request)?;
        let model = request.model.clone();
        let mut call = call_of(route, model.as_deref(), self.input(request, files));
        call.tasks = tasks;
        call.wants_news = look.streams && look.previews > 0;
        if call.origin.name == crate::calls::ANY_MODEL {
            call.policy.tier = tier_of(&look.quality);
        }
        let place = look.streams.then(|| Place::take(&self.app)).transpose()?;
        let Asked { ticket, delivery } =
            ask(&self.app, &self.caller, &self.asking, call, wish).await?;
        let pieces = Pieces::of(&self.app, &self.caller, ticket, hold(&self.app)).told_in(place);
        let answer = match look.streams {
            true => self.streamed(pieces, look).await,
            false => self.whole(pieces, &look).await,
        };
        Ok(answered(delivery, answer))
    }

    /// What the task is given. What is `auto` is left to the task.
    fn input(&self, request: ImageRequest, files: Map<String, Json>) -> Map<String, Json> {
        let mut input = request.extra;
        let mut put = |name: &str, value: Option<Json>| {
            input.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("prompt", request.prompt.filter(|prompt| !prompt.is_empty()).map(Json::from));
        put("n", request.n.filter(|count| *count != 1).map(Json::from));
        put("size", request.size.map(Json::from));
        let background = request.background.filter(|kind| kind == "transparent");
        put("background", background.map(Json::from));
        input.extend(files);
        input
    }

    async fn whole(&self, mut pieces: Pieces, look: &Look) -> Result<Response, Failure> {
        let view = succeeded(pieces.end().await.map_err(failed)?).map_err(failed)?;
        let pictures = self.pictures(&view, look).await?;
        let first = pictures.first();
        let mut data = Vec::with_capacity(pictures.len());
        for picture in &pictures {
            data.push(match look.as_url {
                true => Image {
                    url: Some(self.app.file_url(&self.base, &self.caller, picture)),
                    ..Image::default()
                },
                false => Image {
                    b64_json: Some(self.app.bytes(&self.caller, picture).await?.into()),
                    ..Image::default()
                },
            });
        }
        let response = ImagesResponse {
            created: self.app.now_ms() / 1000,
            data,
            background: first.map(background_of),
            output_format: first.map(|picture| format_of(picture).to_owned()),
            quality: Some(look.quality.clone()),
            size: first.map(size_of),
            usage: Some(Usage::default()),
        };
        let json = to_json(&response)?;
        let media_type = HeaderValue::from_static("application/json");
        Ok(([(header::CONTENT_TYPE, media_type)], json).into_response())
    }

    /// Previews as they come, then the pictures. Until the first of them is there, a failure can still
    /// be told as one.
    async fn streamed(self, pieces: Pieces, look: Look) -> Result<Response, Failure> {
        let mut previews = Previews { drawing: self, pieces, look, told: 0 };
        let begin = match previews.next().await? {
            Some(first) => {
                let rest = stream::unfold(Some(previews), |previews| async move {
                    let mut previews = previews?;
                    match previews.next().await {
                        Ok(Some(event)) => Some((vec![event], Some(previews))),
                        Ok(None) => Some((previews.completed().await, None)),
                        Err(failure) => Some((vec![events::error(&failure)], None)),
                    }
                });
                stream::iter([vec![first]]).chain(rest).left_stream()
            }
            None => {
                let completed = previews.finished().await?;
                stream::iter([completed]).right_stream()
            }
        };
        let body = Body::from_stream(each(begin));
        let media_type = HeaderValue::from_static(events::MEDIA_TYPE);
        Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
    }

    /// The pictures that a run gave, in the format that is wanted.
    async fn pictures(&self, view: &RunView, look: &Look) -> Result<Vec<AssetRef>, Failure> {
        // What else a task gives, such as a mask, has no place in the answer.
        let own = PICTURES.iter().find_map(|name| view.outputs.get(*name));
        let assets = own.map_or_else(Vec::new, Value::assets);
        let pictures = assets.into_iter().filter(|asset| asset.kind() == MediaKind::Image).cloned();
        let mut shown = Vec::new();
        for picture in pictures {
            shown.push(match look.format.filter(|format| *format != format_of(&picture)) {
                Some(format) => self.converted(&picture, format, look.compression).await?,
                None => picture,
            });
        }
        if shown.is_empty() {
            return Err(Error::internal("the run gave no picture").into());
        }
        Ok(shown)
    }

    /// The picture in another format: a run of its own, which costs nothing.
    async fn converted(
        &self,
        picture: &AssetRef,
        format: &str,
        compression: Option<u32>,
    ) -> Result<AssetRef, Failure> {
        let mut input = Map::new();
        input.insert("image".to_owned(), named(picture));
        input.insert("output_format".to_owned(), format.into());
        input.extend(compression.map(|quality| ("quality".to_owned(), json!(quality))));
        let origin =
            Origin { face: FACE.to_owned(), path: CONVERT.to_owned(), ..Origin::default() };
        let call = Call::new(Name::Task(TaskId::new(CONVERT)), input, origin);
        self.app.remember(&self.caller.tenant, picture, "").await?;
        let ticket = self.app.submit(&self.caller, call).await?;
        let view = self.app.wait(&self.caller, ticket, hold(&self.app)).await?;
        let view = succeeded(view).map_err(failed)?;
        let converted = view.outputs.values().flat_map(Value::assets).next().cloned();
        Ok(converted.ok_or_else(|| Error::internal("the conversion gave no picture"))?)
    }

    fn event(&self, look: &Look, kind: &str, bytes: Bytes, media_type: &str) -> ImageEvent {
        ImageEvent {
            kind: format!("{}.{kind}", self.event),
            b64_json: bytes.into(),
            background: look.background.clone(),
            created_at: self.app.now_ms() / 1000,
            output_format: media_type.rsplit('/').next().unwrap_or_default().to_owned(),
            quality: look.quality.clone(),
            size: "auto".to_owned(),
            ..ImageEvent::default()
        }
    }
}

/// One event after another, of what comes in groups.
fn each(
    groups: impl Stream<Item = Vec<Bytes>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    groups.flat_map(|group| stream::iter(group.into_iter().map(Ok)))
}

/// Previews of a picture.
struct Previews {
    drawing: Drawing,
    pieces: Pieces,
    look: Look,
    told: u32,
}

impl Previews {
    /// The next preview as an event; none when the run is over.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.pieces.next().await.map_err(failed)? {
                Some(Piece::Picture { bytes, media_type }) if self.told < self.look.previews => {
                    let mut event =
                        self.drawing.event(&self.look, "partial_image", bytes.into(), &media_type);
                    event.partial_image_index = Some(self.told);
                    self.told += 1;
                    return Ok(Some(events::event(&event.kind.clone(), &event)));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The pictures as events, or the error as one.
    async fn completed(mut self) -> Vec<Bytes> {
        match self.finished().await {
            Ok(events) => events,
            Err(failure) => vec![events::error(&failure)],
        }
    }

    /// The pictures as events.
    async fn finished(&mut self) -> Result<Vec<Bytes>, Failure> {
        let view = succeeded(self.pieces.end().await.map_err(failed)?).map_err(failed)?;
        let mut told = Vec::new();
        for picture in self.drawing.pictures(&view, &self.look).await? {
            let bytes = self.drawing.app.bytes(&self.drawing.caller, &picture).await?;
            let mut event = self.drawing.event(&self.look, "completed", bytes, &picture.media_type);
            event.size = size_of(&picture);
            event.background = background_of(&picture);
            event.usage = Some(Usage::default());
            told.push(events::event(&event.kind.clone(), &event));
        }
        Ok(told)
    }
}

fn format_of(picture: &AssetRef) -> &str {
    picture.media_type.rsplit('/').next().unwrap_or_default()
}

fn size_of(picture: &AssetRef) -> String {
    let side = |side: Option<u32>| side.unwrap_or_default();
    format!("{}x{}", side(picture.facts.width), side(picture.facts.height))
}

fn background_of(picture: &AssetRef) -> String {
    let transparent = picture.facts.has_alpha == Some(true);
    if transparent { "transparent" } else { "opaque" }.to_owned()
}
