//! Speech, forwarded as it is made; with the times of its characters where they are asked for.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream as streams};
use impasto_dialects::elevenlabs::wire::{SpeechRequest, TimedSpeech};
use impasto_dialects::inline::to_json;
use impasto_domain::{Error, ErrorKind, RunId, TaskId};
use serde_json::Value as Json;

use super::error::Failure;
use super::{
    Asked, Asks, FACE, Runner, align, answered, ask, call_of, format, hold, no_model, typed,
};
use crate::app::App;
use crate::calls::Call;
use crate::delivery::Delivery;
use crate::events::Place;
use crate::faces::body;
use crate::faces::models::chosen;
use crate::faces::pieces::Pieces;
use crate::faces::sound::{Flow, Wanted, sound_of};
use crate::faces::voices::{self, SPEAK};

const ROUTE: &str = "text-to-speech";
/// What comes before and after a text. It helps some models to go on smoothly, and changes nothing here.
const CONTEXT: [&str; 4] =
    ["previous_text", "next_text", "previous_request_ids", "next_request_ids"];

/// Speech that was asked for.
struct Speaking {
    text: String,
    flow: Flow,
    delivery: Delivery,
    run: RunId,
    wanted: Wanted,
}

/// What a request means as a call.
pub(super) fn call(app: &App, voice: &str, request: SpeechRequest) -> Result<Call, Failure> {
    let catalog = app.catalog();
    let model = match request.model_id.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => chosen(&catalog, name).map_err(no_model)?,
        None => None,
    };
    let voice = voices::meant(&catalog, FACE, model.as_ref(), voice).map_err(|error| {
        let error = Error { kind: ErrorKind::NotFound, ..error };
        Failure::from(error).said(http::StatusCode::NOT_FOUND, "voice_not_found")
    })?;
    let mut input = request.extra;
    input.retain(|name, _| !CONTEXT.contains(&name.as_str()));
    let settings = request.voice_settings.unwrap_or_default();
    input.extend(settings.extra);
    let mut put = |name: &str, value: Option<Json>| {
        input.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("text", request.text.map(Json::from));
    put("voice", Some(voice.into()));
    put("language_code", request.language_code.map(Json::from));
    put("speed", settings.speed.map(Json::from));
    let mut call = call_of(ROUTE, TaskId::new(SPEAK), request.model_id.as_deref(), input);
    call.seed = request.seed;
    Ok(call)
}

/// Asks for speech; `live` says whether it is wanted while it is made.
async fn begin(
    app: &App,
    runner: &Runner,
    (voice, asks, body): (String, Asks, Body),
    live: bool,
) -> Result<Speaking, Failure> {
    let bytes = body::json_bytes(app, body).await?;
    let request: SpeechRequest = body::parsed(&bytes)?;
    let text = request.text.clone().unwrap_or_default();
    let mut call = call(app, &voice, request)?;
    call.wants_news = live;
    let wanted = format::agreed(app, asks.output_format.as_deref(), &mut call)?;
    let wish = [voice.as_bytes(), b"\n", &bytes].concat();
    let place = call.wants_news.then(|| Place::take(app)).transpose()?;
    let Asked { ticket, delivery } = ask(app, runner, call, &wish).await?;
    let run = ticket.run.clone();
    let pieces = Pieces::of(app, &runner.caller, ticket, hold(app)).told_in(place);
    let flow = Flow::new(app, &runner.caller, pieces, wanted);
    Ok(Speaking { text, flow, delivery, run, wanted })
}

pub(super) async fn stream(
    State(app): State<App>,
    runner: Runner,
    Path(voice): Path<String>,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let speaking = begin(&app, &runner, (voice, asks, body), true).await?;
    let Speaking { flow, delivery, run, wanted, .. } = speaking;
    Ok(answered(delivery, &run, sounding(flow, wanted).await))
}

/// The sound as a response: while it is made, or as a whole if it is there already.
pub(super) async fn sounding(mut flow: Flow, wanted: Wanted) -> Result<Response, Failure> {
    // Until the first piece is there, a failure can still be told as one.
    let first = flow.next().await.map_err(Failure::of_run)?.unwrap_or_default();
    let media_type = wanted.encoding.media_type();
    let body = if flow.is_made() {
        let rest = flow.whole().await.map_err(Failure::of_run)?;
        Body::from(if rest.is_empty() { first } else { [first, rest].concat().into() })
    } else {
        Body::from_stream(flow.stream(first))
    };
    Ok(told(wanted, typed(media_type, body)))
}

/// A response with what is told beside the sound.
pub(super) fn told(wanted: Wanted, mut response: Response) -> Response {
    response.headers_mut().extend(wanted.headers().map(|(name, value)| (Some(name), value)));
    response
}

pub(super) async fn timed(
    State(app): State<App>,
    runner: Runner,
    Path(voice): Path<String>,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let speaking = begin(&app, &runner, (voice, asks, body), false).await?;
    let Speaking { text, mut flow, delivery, run, wanted } = speaking;
    let answer = async {
        let sound = flow.whole().await.map_err(Failure::of_run)?;
        let json = to_json(&with_times(&text, &flow, sound)?)?;
        Ok(told(wanted, typed("application/json", Body::from(json))))
    };
    Ok(answered(delivery, &run, answer.await))
}

/// A piece of the sound with the times of the whole text.
fn with_times(text: &str, flow: &Flow, sound: Bytes) -> Result<TimedSpeech, Failure> {
    let view = flow.view().ok_or_else(|| Error::internal("the speech has no end"))?;
    let duration_ms = sound_of(&view.outputs)?.facts.duration_ms.unwrap_or_default();
    let alignment = align::characters(text, &view.outputs, duration_ms as f64 / 1e3);
    Ok(TimedSpeech {
        audio_base64: sound.into(),
        alignment: Some(alignment.clone()),
        normalized_alignment: Some(alignment),
    })
}

pub(super) async fn timed_stream(
    State(app): State<App>,
    runner: Runner,
    Path(voice): Path<String>,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let speaking = begin(&app, &runner, (voice, asks, body), true).await?;
    let Speaking { text, mut flow, delivery, run, wanted } = speaking;
    let answer = async {
        let first = flow.next().await.map_err(Failure::of_run)?.unwrap_or_default();
        let lines = Body::from_stream(lines(text, first, flow));
        Ok(told(wanted, typed("application/json", lines)))
    };
    Ok(answered(delivery, &run, answer.await))
}

/// Lines of JSON: pieces of the sound while it is made, then the times with what is left of it.
fn lines(
    text: String,
    first: Bytes,
    flow: Flow,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let broken = |error: Error| std::io::Error::other(error.to_string());
    streams::unfold(Some((Some(first), text, flow)), move |state| async move {
        let (first, text, mut flow) = state?;
        let next = match first {
            Some(first) => Ok(Some(first)),
            None => flow.next().await,
        };
        let (piece, over) = match next {
            Ok(piece) if flow.is_made() => {
                let rest = flow.whole().await.unwrap_or_default();
                let piece = [piece.unwrap_or_default(), rest].concat();
                match with_times(&text, &flow, piece.into()) {
                    Ok(piece) => (piece, true),
                    Err(failure) => {
                        return Some((Err(std::io::Error::other(failure.detail().message)), None));
                    }
                }
            }
            Ok(piece) => {
                let audio_base64 = piece.unwrap_or_default().into();
                (TimedSpeech { audio_base64, ..TimedSpeech::default() }, false)
            }
            Err(error) => return Some((Err(broken(error)), None)),
        };
        let line = to_json(&piece).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        });
        Some((line.map_err(broken), (!over).then_some((None, text, flow))))
    })
}
