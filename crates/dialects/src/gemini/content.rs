//! Content: pictures and speech, whole, or told while they come.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_catalog::{Body, FileForm, Measured, Unit};
use impasto_domain::{Error, ErrorKind, MediaKind, Money};
use impasto_engine::{Failure, Started};
use serde_json::{Value as Json, json};

use super::driver::Side;
use super::uploads::Resumable;
use crate::drive::{Begun, of_json, output_of_kind, text_at};
use crate::hosted::{Answer, Ask, Purpose};
use crate::inline;
use crate::sound::{Live, Samples};

/// What streams are.
const EVENTS: &str = "text/event-stream";
/// The most words of an answer that is no file which are told.
const WORDS_MAX: usize = 200;

pub(super) async fn generate(
    begun: &Begun<'_>,
    side: Side,
    model: &str,
) -> Result<Started, Failure> {
    let body = match side {
        Side::Developer => {
            let body = lightened(begun);
            begun.account.hand_over(&body, &Resumable, &begun.call.bench).await?
        }
        Side::Cloud => begun.json().await?,
    };
    let sound = output_of_kind(begun.offer, MediaKind::Audio).filter(|_| begun.is_heard());
    let mut answer = match sound {
        Some(name) => {
            let ask = Ask::post(format!("{model}:streamGenerateContent"), body).query("alt", "sse");
            streamed(begun, begun.with_query(ask), name).await?
        }
        None => {
            let ask = Ask::post(format!("{model}:generateContent"), body);
            begun.call(begun.with_query(ask)).await?
        }
    };
    without_thoughts(&mut answer.json);
    let cost = charge(begun, &answer.json);
    if begun.outputs()?.read(&answer.json).is_err()
        && let Some(words) = words_of(&answer.json)
    {
        let message = format!("it answered with words instead: {words}");
        let error = Error::new(ErrorKind::ProviderFailed, message)
            .hint("say what is to be made in other words");
        return Err(begun.useless(error, cost));
    }
    begun.done(answer, cost).await
}

/// The body with its files by address, where they are too large to stand in it.
fn lightened(begun: &Begun<'_>) -> Body {
    let files = begun.request.body.files();
    let bytes: u64 = files.iter().map(|file| file.asset.facts.bytes).sum();
    // In base64 a file is a third larger.
    match bytes.saturating_mul(4) / 3 > begun.account.hosted.options().inline_bytes_max {
        true => by_address(&begun.request.body),
        false => begun.request.body.clone(),
    }
}

fn by_address(body: &Body) -> Body {
    match body {
        Body::List(items) => Body::List(items.iter().map(by_address).collect()),
        Body::Map(entries) => {
            if let (Some(Body::Map(blob)), 1) = (entries.get("inlineData"), entries.len())
                && let Some(Body::File(file)) = blob.get("data")
            {
                let mut file = file.clone();
                let media_type = Body::Text(file.asset.media_type.clone());
                file.form = FileForm::Url;
                let uri = ("fileUri".to_owned(), Body::File(file));
                let data = Body::Map([uri, ("mimeType".to_owned(), media_type)].into());
                return Body::Map([("fileData".to_owned(), data)].into());
            }
            let entry = |(name, entry): (&String, &Body)| (name.clone(), by_address(entry));
            Body::Map(entries.iter().map(entry).collect())
        }
        plain => plain.clone(),
    }
}

/// The answer put together of what comes piece by piece.
async fn streamed(begun: &Begun<'_>, ask: Ask, name: &str) -> Result<Answer, Failure> {
    let response = begun.open(ask.header("accept", EVENTS)).await?;
    let mut events = response.events();
    let (mut sound, mut media_type, mut last) = (Vec::new(), String::new(), Json::Null);
    let mut live: Option<Live<'_>> = None;
    loop {
        let event = events.next().await;
        let event = event.map_err(|error| begun.account.broken(error, Purpose::Start))?;
        let Some(event) = event else { break };
        let Ok(said) = serde_json::from_str::<Json>(&event.data) else { continue };
        let said = of_json(said);
        if let Some(error) = begun.account.judge(&said, Purpose::Start) {
            return Err(error.into());
        }
        let said = said.json;
        if said.get("error").is_some() {
            let errors = &begun.account.provider.errors;
            return Err(errors.of_job(ErrorKind::ProviderFailed, &said).into());
        }
        for blob in parts_of(&said).filter_map(|part| part.get("inlineData")) {
            let Some(Ok(bytes)) = text_at(blob, "/data").map(inline::decode) else { continue };
            if media_type.is_empty() {
                text_at(blob, "/mimeType").unwrap_or_default().clone_into(&mut media_type);
            }
            let samples = Samples::of_media_type(&media_type);
            let bench = &*begun.call.bench;
            live.get_or_insert_with(|| Live::new(bench, name, samples)).hear(&bytes);
            sound.extend_from_slice(&bytes);
        }
        last = said;
    }
    if sound.is_empty() {
        return Ok(of_json(last));
    }
    let blob = json!({ "mimeType": media_type, "data": STANDARD.encode(&sound) });
    let content = json!({ "role": "model", "parts": [{ "inlineData": blob }] });
    let usage = last.get("usageMetadata").cloned();
    Ok(of_json(json!({ "candidates": [{ "content": content }], "usageMetadata": usage })))
}

/// The parts of all candidates.
fn parts_of(answer: &Json) -> impl Iterator<Item = &Json> {
    let candidates = answer.get("candidates").and_then(Json::as_array).into_iter().flatten();
    candidates.filter_map(|candidate| candidate.pointer("/content/parts")?.as_array()).flatten()
}

/// Takes away what was made on the way to the answer.
fn without_thoughts(answer: &mut Json) {
    let candidates = answer.get_mut("candidates").and_then(Json::as_array_mut);
    for candidate in candidates.into_iter().flatten() {
        if let Some(Json::Array(parts)) = candidate.pointer_mut("/content/parts") {
            parts.retain(|part| part.get("thought") != Some(&Json::Bool(true)));
        }
    }
}

fn words_of(answer: &Json) -> Option<String> {
    let words: Vec<&str> = parts_of(answer).filter_map(|part| part.get("text")?.as_str()).collect();
    let words: String = words.join(" ").trim().chars().take(WORDS_MAX).collect();
    (!words.is_empty()).then_some(words)
}

/// What was counted, in millions of tokens.
fn charge(begun: &Begun<'_>, answer: &Json) -> Option<Money> {
    let count =
        |place: &str| answer.pointer(place).and_then(Json::as_f64).unwrap_or_default() / 1e6;
    let (taken, given) =
        (count("/usageMetadata/promptTokenCount"), count("/usageMetadata/candidatesTokenCount"));
    let out = match output_of_kind(begun.offer, MediaKind::Audio) {
        Some(_) => Unit::MillionAudioTokensOut,
        None => Unit::MillionImageTokensOut,
    };
    let measured: Measured = BTreeMap::from([
        (Unit::MillionTokensIn, taken),
        (Unit::MillionTextTokensIn, taken),
        (out, given),
    ]);
    begun.charge(&measured)
}
