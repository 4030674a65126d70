//! Pictures of words, and of pictures and words; with previews where somebody looks.

use std::collections::BTreeMap;

use impasto_catalog::{Body, Measured, Unit};
use impasto_domain::{Error, ErrorKind, Money, News};
use impasto_engine::{Failure, Started};
use serde_json::{Value as Json, json};

use super::driver::{EVENTS, form_of, json_of, said};
use crate::drive::{Begun, of_json, text_at};
use crate::hosted::{Answer, Ask, Part, Payload, Purpose};
use crate::inline;

/// Previews that are asked for.
const PREVIEWS: u32 = 2;
/// Encodings of which there are previews.
const PREVIEWED: [&str; 3] = ["png", "jpeg", "webp"];

pub(super) async fn draw(begun: &Begun<'_>, name: &str) -> Result<Started, Failure> {
    let streams = begun.is_heard() && is_previewed(begun);
    let ask = if begun.request.body.files().is_empty() {
        let mut body = json_of(begun).await?;
        if let Some(body) = body.as_object_mut().filter(|_| streams) {
            body.insert("stream".to_owned(), true.into());
            body.insert("partial_images".to_owned(), PREVIEWS.into());
        }
        Ask::post("/images/generations", body)
    } else {
        let mut parts = form_of(begun).await?;
        if streams {
            parts.push(Part::text("stream", "true"));
            parts.push(Part::text("partial_images", PREVIEWS.to_string()));
        }
        Ask::of("POST", "/images/edits").payload(Payload::Multipart(parts))
    };
    let ask = begun.with_query(ask);
    let answer = if streams { streamed(begun, ask, name).await? } else { begun.call(ask).await? };
    let cost = charge(begun, &answer.json);
    begun.done(answer, cost).await
}

/// Previews are of one picture, in an encoding that has some.
fn is_previewed(begun: &Begun<'_>) -> bool {
    let format = said(begun, "output_format").is_none_or(|format| PREVIEWED.contains(&format));
    let one = match &begun.request.body {
        Body::Map(entries) => {
            !matches!(entries.get("n"), Some(Body::Integer(count)) if *count != 1)
        }
        _ => true,
    };
    format && one
}

/// The answer put together of what comes piece by piece.
async fn streamed(begun: &Begun<'_>, ask: Ask, name: &str) -> Result<Answer, Failure> {
    let response = begun.open(ask.header("accept", EVENTS)).await?;
    if response.media_type().as_deref() != Some(EVENTS) {
        // Some do not stream, and answer with the whole.
        let answer = begun.account.read(response, Purpose::Start).await?;
        if let Some(error) = begun.account.judge(&answer, Purpose::Start) {
            return Err(error.into());
        }
        if answer.is_json {
            return Ok(answer);
        }
        let what = "a stream was asked for, and that is none";
        return Err(begun.account.garbled(&answer, Purpose::Start, what).into());
    }
    let mut events = response.events();
    let (mut made, mut usage) = (Vec::new(), Json::Null);
    loop {
        let event = events.next().await;
        let event = event.map_err(|error| begun.account.broken(error, Purpose::Start))?;
        let Some(event) = event else { break };
        let Ok(mut said) = serde_json::from_str::<Json>(&event.data) else { continue };
        if said.get("error").is_some_and(|error| !error.is_null()) {
            return Err(error_in(begun, said).into());
        }
        let kind = text_at(&said, "/type").unwrap_or_default().to_owned();
        if kind.ends_with(".partial_image") {
            tell(begun, name, &said);
        } else if kind.ends_with(".completed") {
            usage = said.get_mut("usage").map(Json::take).unwrap_or_default();
            made.push(json!({ "b64_json": said.get_mut("b64_json").map(Json::take) }));
        }
    }
    if made.is_empty() {
        return Err(Error::new(ErrorKind::InDoubt, "the stream ended without a picture")
            .hint("look at the account of the provider before trying again")
            .into());
    }
    Ok(of_json(json!({ "data": made, "usage": usage })))
}

/// What an event means that says that there will be no picture: what a plain call would have meant.
fn error_in(begun: &Begun<'_>, said: Json) -> Error {
    let mut answer = of_json(said);
    answer.status = match text_at(&answer.json, "/error/type") {
        Some("server_error") => 502,
        Some("rate_limit_error") => 429,
        _ => 400,
    };
    let unclear = || Error::new(ErrorKind::ProviderFailed, "the stream ended with an error");
    begun.account.judge(&answer, Purpose::Ask).unwrap_or_else(unclear)
}

fn tell(begun: &Begun<'_>, name: &str, said: &Json) {
    let Some(Ok(bytes)) = text_at(said, "/b64_json").map(inline::decode) else { return };
    let index = said.get("partial_image_index").and_then(Json::as_u64).unwrap_or_default() as u32;
    let media_type = format!("image/{}", text_at(said, "/output_format").unwrap_or("png"));
    let (name, bytes) = (name.to_owned(), bytes.to_vec());
    begun.call.bench.tell(News::Picture { name, index, bytes, media_type });
}

/// What was counted, in millions of tokens.
fn charge(begun: &Begun<'_>, answer: &Json) -> Option<Money> {
    let count =
        |place: &str| answer.pointer(place).and_then(Json::as_f64).unwrap_or_default() / 1e6;
    let measured: Measured = BTreeMap::from([
        (Unit::MillionTextTokensIn, count("/usage/input_tokens_details/text_tokens")),
        (Unit::MillionImageTokensIn, count("/usage/input_tokens_details/image_tokens")),
        (Unit::MillionTokensIn, count("/usage/input_tokens")),
        (Unit::MillionImageTokensOut, count("/usage/output_tokens")),
    ]);
    begun.charge(&measured)
}
