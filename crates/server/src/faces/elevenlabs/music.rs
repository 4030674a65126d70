//! Music and sounds.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderValue, header};
use impasto_dialects::elevenlabs::wire::{CompositionPlan, MusicRequest, Section, SoundRequest};
use impasto_domain::{AssetRef, Error, RunId, TaskId, Value};
use serde_json::{Map, Value as Json, json};

use super::error::Failure;
use super::speech::{sounding, told};
use super::{Asked, Asks, Runner, answered, ask, call_of, format, hold};
use crate::app::App;
use crate::calls::Call;
use crate::delivery::Delivery;
use crate::events::Place;
use crate::faces::body;
use crate::faces::models::first_task;
use crate::faces::pieces::Pieces;
use crate::faces::sound::{Flow, Wanted, sound_of};

const MUSIC: &str = "text-to-music";
/// The task that makes sounds of words.
const SOUNDS: [&str; 1] = ["text-to-sound"];
/// What separates the parts of a detailed answer.
const BOUNDARY: &str = "impasto-music";

/// Sound that was asked for.
struct Playing {
    flow: Flow,
    delivery: Delivery,
    run: RunId,
    wanted: Wanted,
}

async fn begin(
    app: &App,
    runner: &Runner,
    asks: &Asks,
    (mut call, wish): (Call, &[u8]),
) -> Result<Playing, Failure> {
    let wanted = format::agreed(app, asks.output_format.as_deref(), &mut call)?;
    let place = call.wants_news.then(|| Place::take(app)).transpose()?;
    let Asked { ticket, delivery } = ask(app, runner, call, wish).await?;
    let run = ticket.run.clone();
    let pieces = Pieces::of(app, &runner.caller, ticket, hold(app)).told_in(place);
    let flow = Flow::new(app, &runner.caller, pieces, wanted);
    Ok(Playing { flow, delivery, run, wanted })
}

fn music_call(request: MusicRequest) -> Call {
    let mut input = request.extra;
    let planned = request.composition_plan.as_ref();
    let prompt = request.prompt.or_else(|| planned.map(in_words));
    let length_ms = request.music_length_ms.or_else(|| {
        let sections = planned?.sections.iter().map(|section| section.duration_ms);
        Some(sections.sum()).filter(|length_ms| *length_ms > 0)
    });
    input.extend(prompt.map(|prompt| ("prompt".to_owned(), Json::from(prompt))));
    input.extend(length_ms.map(|ms| ("duration".to_owned(), json!(ms as f64 / 1e3))));
    let mut call = call_of("music", TaskId::new(MUSIC), request.model_id.as_deref(), input);
    call.seed = request.seed;
    call
}

/// A plan as a sentence: what models that take words only can be told of it.
fn in_words(plan: &CompositionPlan) -> String {
    let list = |before: &str, words: &[String]| match words {
        [] => String::new(),
        words => format!("{before}{}", words.join(", ")),
    };
    let section = |section: &Section| {
        let name = &section.section_name;
        let with = list("", &section.positive_local_styles);
        let without = list("; without ", &section.negative_local_styles);
        let sung = list("; sung: ", &section.lines);
        format!("{name}: {with}{without}{sung}")
    };
    let whole = list("", &plan.positive_global_styles);
    let without = list("without ", &plan.negative_global_styles);
    let sections = plan.sections.iter().map(section);
    let parts = [whole, without].into_iter().chain(sections).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(". ")
}

pub(super) async fn compose(
    State(app): State<App>,
    runner: Runner,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let call = music_call(body::parsed(&bytes)?);
    played(&app, &runner, &asks, (call, &bytes)).await
}

/// The sound of a call as it is made.
async fn played(
    app: &App,
    runner: &Runner,
    asks: &Asks,
    (call, wish): (Call, &[u8]),
) -> Result<Response, Failure> {
    let call = Call { wants_news: true, ..call };
    let Playing { flow, delivery, run, wanted } = begin(app, runner, asks, (call, wish)).await?;
    let mut response = answered(delivery, &run, sounding(flow, wanted).await);
    song_id(&mut response, &run);
    Ok(response)
}

fn song_id(response: &mut Response, run: &RunId) {
    if let Ok(id) = HeaderValue::from_str(run.as_str()) {
        response.headers_mut().insert("song-id", id);
    }
}

/// What is known of the music as JSON, then the music: as parts of one answer.
pub(super) async fn detailed(
    State(app): State<App>,
    runner: Runner,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let request: MusicRequest = body::parsed(&bytes)?;
    let planned = request.composition_plan.clone();
    let call = music_call(request);
    let title = call.input.get("prompt").cloned().unwrap_or_default();
    let Playing { mut flow, delivery, run, wanted } =
        begin(&app, &runner, &asks, (call, &bytes)).await?;
    let answer = async {
        let sound = flow.whole().await.map_err(Failure::of_run)?;
        let view = flow.view().ok_or_else(|| Error::internal("the music has no end"))?;
        let asset = sound_of(&view.outputs)?;
        let sections = view.outputs.get("sections").and_then(Value::as_list).unwrap_or_default();
        let plan = planned.unwrap_or_else(|| plan_of(sections, asset));
        let about = json!({
            "composition_plan": plan,
            "song_metadata": {
                "title": title,
                "description": title,
                "genres": [],
                "languages": [],
                "is_explicit": null,
            },
        });
        let media_type = wanted.encoding.media_type();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{about}\r\n--{BOUNDARY}\r\n\
             Content-Type: {media_type}\r\nContent-Disposition: attachment; \
             filename=\"{run}.{extension}\"\r\n\r\n",
            extension = wanted.encoding.extension(),
        );
        let end = format!("\r\n--{BOUNDARY}--\r\n");
        let body = [head.as_bytes(), &sound, end.as_bytes()].concat();
        let mut response = super::typed("", Body::from(body));
        let parts = HeaderValue::from_static("multipart/mixed; boundary=impasto-music");
        response.headers_mut().insert(header::CONTENT_TYPE, parts);
        Ok(told(wanted, response))
    };
    let answer = answer.await;
    let mut response = answered(delivery, &run, answer);
    song_id(&mut response, &run);
    Ok(response)
}

/// The sections of the music as a plan.
fn plan_of(sections: &[Value], asset: &AssetRef) -> CompositionPlan {
    let section = |section: &Value| {
        let section = section.as_map()?;
        let number = |name: &str| section.get(name).and_then(Value::as_number);
        let length_s = number("end")? - number("start")?;
        Some(Section {
            section_name: section.get("name").and_then(Value::as_text)?.to_owned(),
            duration_ms: (length_s * 1e3).round() as u64,
            ..Section::default()
        })
    };
    let mut sections: Vec<Section> = sections.iter().filter_map(section).collect();
    if sections.is_empty() {
        let duration_ms = asset.facts.duration_ms.unwrap_or_default();
        sections.push(Section {
            section_name: "whole".to_owned(),
            duration_ms,
            ..Section::default()
        });
    }
    CompositionPlan { sections, ..CompositionPlan::default() }
}

pub(super) async fn sound(
    State(app): State<App>,
    runner: Runner,
    Query(asks): Query<Asks>,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::json_bytes(&app, body).await?;
    let request: SoundRequest = body::parsed(&bytes)?;
    let task = first_task(&app, &SOUNDS).ok_or_else(|| {
        Error::not_found("no model of this server makes sounds of words")
            .hint("music and speech are made; add a model that makes sounds to the catalogue")
    })?;
    let mut input: Map<String, Json> = request.extra;
    input.extend(request.text.map(|text| ("text".to_owned(), Json::from(text))));
    let call = call_of("sound-generation", task, request.model_id.as_deref(), input);
    played(&app, &runner, &asks, (call, &bytes)).await
}
