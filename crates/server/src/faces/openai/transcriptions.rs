//! Words from speech, where a model of the catalogue takes them down.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use impasto_dialects::openai::wire::{Segment, Transcription, Word};
use impasto_domain::{Error, Value, Values};
use serde_json::Map;

use super::error::Failure;
use super::{Asked, Asking, Runner, answered, ask, call_of, failed, hold};
use crate::app::App;
use crate::faces::body::Form;
use crate::faces::models::first_task;
use crate::faces::pieces::Pieces;
use crate::faces::sound::succeeded;
use crate::files::named;

const ROUTE: &str = "audio/transcriptions";
/// The task that takes words down.
const TASKS: [&str; 1] = ["transcribe-audio"];

pub(super) async fn transcribe(
    State(app): State<App>,
    Runner(caller): Runner,
    asking: Asking,
    body: Body,
) -> Result<Response, Failure> {
    let form = Form::read(&app, &asking.headers, body).await?;
    let task = first_task(&app, &TASKS).ok_or_else(|| {
        let error = Error::not_found("no model of this server takes words down");
        super::no_model(error.hint("add one that does transcribe-audio to the catalogue"))
    })?;
    let wish = form.fingerprint();
    let (mut input, mut model, mut format) = (Map::new(), None, "json".to_owned());
    for part in form.0 {
        match part.name.as_str() {
            "file" => {
                let asset = part.taken_in(&app, &caller).await;
                input.insert("audio".to_owned(), named(&asset.map_err(|e| e.context("`file`"))?));
            }
            "model" => model = Some(part.text()?),
            "response_format" => format = part.text()?,
            // Times are given wherever they are known.
            "timestamp_granularities[]" | "include[]" | "chunking_strategy" => {}
            "stream" if part.text()? != "true" => {}
            _ => {
                input.insert(part.name.clone(), part.text()?.into());
            }
        }
    }
    check(&format)?;
    let mut call = call_of(ROUTE, model.as_deref(), input);
    call.tasks = vec![task];
    let Asked { ticket, delivery } = ask(&app, &caller, &asking, call, &wish).await?;
    let mut pieces = Pieces::of(&app, &caller, ticket, hold(&app));
    let answer = async {
        let view = succeeded(pieces.end().await.map_err(failed)?).map_err(failed)?;
        Ok(written(&heard(&view.outputs), &format))
    };
    Ok(answered(delivery, answer.await))
}

fn check(format: &str) -> Result<(), Failure> {
    if ["json", "text", "srt", "vtt", "verbose_json"].contains(&format) {
        return Ok(());
    }
    let error = Error::invalid(format!("`response_format` is '{format}', which is not made here"));
    Err(error.hint("use json, text, srt, vtt or verbose_json").into())
}

/// What a task heard, in the shape of this dialect.
fn heard(outputs: &Values) -> Transcription {
    let text = |name: &str| outputs.get(name).and_then(Value::as_text).map(str::to_owned);
    let list = |name: &str| {
        let items = outputs.get(name).and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(Value::as_map)
    };
    let number = |item: &Values, name: &str| item.get(name).and_then(Value::as_number);
    let said = |item: &Values, name: &str| {
        item.get(name).and_then(Value::as_text).unwrap_or_default().to_owned()
    };
    let segments = list("segments").chain(list("cues")).enumerate().map(|(id, item)| Segment {
        id: id as u32,
        start: number(item, "start").unwrap_or_default(),
        end: number(item, "end").unwrap_or_default(),
        text: said(item, "text"),
    });
    let segments: Vec<Segment> = segments.collect();
    let words = list("words").map(|item| Word {
        word: said(item, if item.contains_key("word") { "word" } else { "text" }),
        start: number(item, "start").unwrap_or_default(),
        end: number(item, "end").unwrap_or_default(),
    });
    let words: Vec<Word> = words.collect();
    Transcription {
        task: Some("transcribe".to_owned()),
        language: text("language"),
        duration: outputs
            .get("duration")
            .and_then(Value::as_number)
            .or_else(|| segments.last().map(|last| last.end)),
        text: text("text").unwrap_or_else(|| {
            segments.iter().map(|segment| segment.text.trim()).collect::<Vec<_>>().join(" ")
        }),
        segments: Some(segments).filter(|segments| !segments.is_empty()),
        words: Some(words).filter(|words| !words.is_empty()),
    }
}

fn written(heard: &Transcription, format: &str) -> Response {
    let segments = heard.segments.as_deref().unwrap_or_default();
    let (media_type, text) = match format {
        "verbose_json" => return Json(heard).into_response(),
        "text" => ("text/plain; charset=utf-8", format!("{}\n", heard.text)),
        "srt" => ("text/plain; charset=utf-8", subtitles(segments, "", ',')),
        "vtt" => ("text/vtt; charset=utf-8", subtitles(segments, "WEBVTT\n\n", '.')),
        _ => {
            let text = heard.text.clone();
            return Json(Transcription { text, ..Transcription::default() }).into_response();
        }
    };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], text).into_response()
}

fn subtitles(segments: &[Segment], head: &str, point: char) -> String {
    let time = |seconds: f64| {
        let ms = (seconds.max(0.0) * 1e3).round() as u64;
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        format!("{h:02}:{m:02}:{s:02}{point}{:03}", ms % 1_000)
    };
    let shown = segments.iter().map(|segment| {
        let (start, end) = (time(segment.start), time(segment.end));
        format!("{}\n{start} --> {end}\n{}\n\n", segment.id + 1, segment.text.trim())
    });
    std::iter::once(head.to_owned()).chain(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_written_in_every_format() {
        let outputs = serde_json::json!({
            "text": "One two.",
            "segments": [{"start": 0.0, "end": 3661.5, "text": " One two."}],
        });
        let Value::Map(outputs) = Value::from_json(outputs).unwrap() else { panic!("a map") };
        let heard = heard(&outputs);
        assert_eq!(heard.duration, Some(3661.5));
        let segments = heard.segments.as_deref().unwrap();
        assert_eq!(
            subtitles(segments, "WEBVTT\n\n", '.'),
            "WEBVTT\n\n1\n00:00:00.000 --> 01:01:01.500\nOne two.\n\n"
        );
        assert!(subtitles(segments, "", ',').contains("00:00:00,000 --> 01:01:01,500"));
    }
}
