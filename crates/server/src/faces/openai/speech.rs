//! Speech, forwarded as it is made.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use impasto_dialects::openai::wire::{SpeechEvent, SpeechRequest, SpeechUsage};
use impasto_domain::{Error, TaskId};
use serde_json::Value as Json;

use super::error::Failure;
use super::stream as events;
use super::{Asked, Asking, FACE, Runner, answered, ask, call_of, failed, hold, no_model};
use crate::app::App;
use crate::calls::Call;
use crate::events::Place;
use crate::faces::body;
use crate::faces::models::chosen;
use crate::faces::pieces::Pieces;
use crate::faces::sound::{Encoding, Flow, Wanted};
use crate::faces::voices::{self, SPEAK};

const ROUTE: &str = "audio/speech";
/// Bare samples come at this rate, in one channel.
const PCM_HZ: u32 = 24_000;

pub(super) async fn speak(
    State(app): State<App>,
    Runner(caller): Runner,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let request: SpeechRequest = body::parsed(&bytes)?;
    let format = request.response_format.as_deref();
    let wanted = wanted(format)?;
    let as_events = match request.stream_format.as_deref() {
        Some("sse") => true,
        None | Some("audio") => false,
        Some(other) => {
            let error = Error::invalid(format!("`stream_format` is '{other}'"));
            return Err(error.hint("use audio or sse").into());
        }
    };
    let mut input = request.extra;
    let mut put = |name: &str, value: Option<Json>| {
        input.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("text", request.input.map(Json::from));
    put("instructions", request.instructions.filter(|text| !text.is_empty()).map(Json::from));
    put("speed", request.speed.map(Json::from));
    if let Some(voice) = &request.voice {
        let catalog = app.catalog();
        let name = request.model.as_deref().unwrap_or_default();
        let model = match name {
            "" => None,
            name => chosen(&catalog, name).map_err(no_model)?,
        };
        let voice = voices::meant(&catalog, FACE, model.as_ref(), voice.name())?;
        put("voice", Some(voice.into()));
    }
    let mut call = call_of(ROUTE, request.model.as_deref(), input);
    call.tasks = vec![TaskId::new(SPEAK)];
    call.wants_news = true;
    let wanted = agreed(&app, format, wanted, &mut call)?;
    let place = Place::take(&app)?;
    let Asked { ticket, delivery } = ask(&app, &caller, &asking, call, &bytes).await?;
    let pieces = Pieces::of(&app, &caller, ticket, hold(&app)).told_in(Some(place));
    let flow = Flow::new(&app, &caller, pieces, wanted);
    Ok(answered(delivery, told(flow, wanted, as_events).await))
}

async fn told(mut flow: Flow, wanted: Wanted, as_events: bool) -> Result<Response, Failure> {
    // Until the first piece is there, a failure can still be told as one.
    let first = flow.next().await.map_err(failed)?.unwrap_or_default();
    if as_events {
        return Ok(typed(
            wanted,
            events::MEDIA_TYPE,
            Body::from_stream(spoken_events(first, flow)),
        ));
    }
    let media_type = wanted.encoding.media_type();
    if !flow.is_made() {
        return Ok(typed(wanted, media_type, Body::from_stream(flow.stream(first))));
    }
    let rest = flow.whole().await.map_err(failed)?;
    let whole = if rest.is_empty() { first } else { [first, rest].concat().into() };
    Ok(typed(wanted, media_type, Body::from(whole)))
}

fn typed(wanted: Wanted, media_type: &'static str, body: Body) -> Response {
    let mut response = body.into_response();
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response.headers_mut().extend(wanted.headers().map(|(name, value)| (Some(name), value)));
    response
}

fn wanted(format: Option<&str>) -> Result<Wanted, Failure> {
    // Encoders of AAC know few rates.
    let small = |encoding| Wanted {
        sample_rate_hz: Some(PCM_HZ),
        channels: Some(1),
        ..Wanted::natural(encoding)
    };
    Ok(match format {
        None | Some("mp3") => Wanted::natural(Encoding::Mp3),
        Some("wav") => Wanted::natural(Encoding::Wav),
        Some("opus") => Wanted::natural(Encoding::Opus),
        Some("flac") => Wanted::natural(Encoding::Flac),
        Some("aac") => small(Encoding::Aac),
        Some("pcm") => small(Encoding::Pcm),
        Some(other) => {
            let error =
                Error::invalid(format!("`response_format` is '{other}', which is not made here"));
            return Err(error.hint("use mp3, opus, aac, flac, wav or pcm").into());
        }
    })
}

/// What the client gets: what is wanted, asked of whoever makes the sound or made here.
fn agreed(
    app: &App,
    format: Option<&str>,
    wanted: Wanted,
    call: &mut Call,
) -> Result<Wanted, Failure> {
    if wanted.ask_for(app, call) || wanted.encoding.is_made_by(app) {
        return Ok(wanted);
    }
    let Some(name) = format else { return Ok(wanted.usual(app)) };
    let error = Error::invalid(format!(
        "`response_format` is '{name}', which this server cannot make: it has no ffmpeg"
    ));
    Err(error.hint("install ffmpeg where the server runs, or use aac, flac, wav or pcm").into())
}

type Item = Result<Bytes, std::io::Error>;

/// Where a stream of events is.
enum At {
    First(Bytes),
    Middle,
    Over,
}

/// The sound as events. A failure in the middle is an event too.
fn spoken_events(first: Bytes, flow: Flow) -> impl futures_util::Stream<Item = Item> + Send {
    let delta = |audio: Bytes| {
        events::event("speech.audio.delta", &SpeechEvent::Delta { audio: audio.into() })
    };
    stream::unfold((At::First(first), flow), move |(at, mut flow)| async move {
        let next = match at {
            At::First(first) if !first.is_empty() => Ok(Some(first)),
            At::First(_) | At::Middle => flow.next().await,
            At::Over => return None,
        };
        Some(match next {
            Ok(Some(audio)) => (Ok(delta(audio)), (At::Middle, flow)),
            Ok(None) => {
                let done = SpeechEvent::Done { usage: SpeechUsage::default() };
                (Ok(events::event("speech.audio.done", &done)), (At::Over, flow))
            }
            Err(error) => (Ok(events::error(&failed(error))), (At::Over, flow)),
        })
    })
}
