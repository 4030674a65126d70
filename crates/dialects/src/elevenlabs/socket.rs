//! Speech over a socket: the text goes bit by bit, and the first sound comes before all of it is there.
//!
//! A socket has no request that could be asked for: if it breaks off, nobody can tell what became of
//! what was said.

use impasto_domain::{Error, ErrorKind};
use impasto_engine::Failure;
use impasto_net::{Message, WebSocket};
use serde_json::{Value as Json, json};

use super::align;
use super::driver::samples_of;
use super::speech::Spoken;
use super::wire::{ErrorBody, ErrorDetail, SocketAnswer, SocketError, SocketRequest};
use crate::drive::{Begun, of_json, text_at};
use crate::hosted::{Ask, Purpose};
use crate::sound::{Coding, Live, Samples};

/// About so much text goes at once, in bytes.
const BIT_BYTES: usize = 400;

pub(super) async fn speak(
    begun: &Begun<'_>,
    voice: &str,
    mut live: Live<'_>,
) -> Result<Spoken, Failure> {
    let body = begun.json().await?;
    let mut socket = open(begun, voice, &body).await?;
    let broken = |error| Failure::from(begun.account.broken(error, Purpose::Start));
    for said in sayings(&body) {
        let text = serde_json::to_string(&said).unwrap_or_default();
        socket.send(Message::Text(text)).await.map_err(broken)?;
    }
    let (mut spoken, samples) = (Spoken::default(), samples_of(begun));
    while let Some(message) = socket.next().await.map_err(broken)? {
        let text = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        };
        if let Some(failure) = error_in(begun, text) {
            return Err(failure);
        }
        let Ok(answer) = serde_json::from_slice::<SocketAnswer>(text) else { continue };
        let begins_s = length_s(spoken.sound.len(), samples);
        if let Some(audio) = answer.audio {
            live.hear(&audio.0);
            spoken.sound.extend_from_slice(&audio.0);
        }
        if let Some(times) = answer.alignment {
            align::extend(&mut spoken.alignment, align::of_socket(times, begins_s));
        }
        if answer.is_final == Some(true) {
            break;
        }
    }
    Ok(spoken)
}

async fn open(begun: &Begun<'_>, voice: &str, body: &Json) -> Result<WebSocket, Failure> {
    let mut ask = Ask::get(format!("/v1/text-to-speech/{voice}/stream-input"));
    for name in ["model_id", "language_code", "seed"] {
        let said = body.get(name).and_then(|value| match value {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        });
        ask = match said {
            Some(said) => ask.query(name, said),
            None => ask,
        };
    }
    let mut ask = begun.with_query(ask).timeout_ms(begun.call.timeout_ms).dripping();
    ask.answer_bytes_max = Some(begun.account.hosted.options().file_bytes_max);
    let request = begun.account.request(&ask)?;
    let socket = begun.account.way_out().await?.websocket(request).await;
    socket.map_err(|error| begun.account.broken(error, Purpose::Start).into())
}

/// What is said over the socket: a blank that begins, the text, nothing that ends.
fn sayings(body: &Json) -> Vec<SocketRequest> {
    let settings = body.get("voice_settings").cloned();
    let begins = SocketRequest {
        text: Some(" ".to_owned()),
        voice_settings: settings.and_then(|settings| serde_json::from_value(settings).ok()),
        ..SocketRequest::default()
    };
    let say =
        |text: &str| SocketRequest { text: Some(text.to_owned()), ..SocketRequest::default() };
    let mut sayings = vec![begins];
    sayings.extend(bits(text_at(body, "/text").unwrap_or_default()).map(say));
    sayings.push(say(""));
    sayings
}

/// The text in bits that end with a blank, as words do.
fn bits(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().find(|(at, char)| *at >= BIT_BYTES && char.is_whitespace());
        let end = end.map_or(rest.len(), |(at, char)| at + char.len_utf8());
        let (bit, after) = rest.split_at(end);
        rest = after;
        Some(bit)
    })
}

/// What a message means that says that something went wrong.
fn error_in(begun: &Begun<'_>, text: &[u8]) -> Option<Failure> {
    let SocketError { message, error, .. } = serde_json::from_slice(text).ok()?;
    if error.is_empty() {
        return None;
    }
    let is_callers = ["invalid", "not_found"].iter().any(|word| error.contains(word));
    let body = ErrorBody { detail: ErrorDetail { status: error, message } };
    let mut answer = of_json(json!(body));
    answer.status = 400;
    let told = begun.account.judge(&answer, Purpose::Ask)?;
    // A socket has no status: what the table does not know is told by the word alone.
    Some(match begun.account.knows(&answer) || is_callers {
        true => told.into(),
        false => Error { kind: ErrorKind::ProviderFailed, ..told }.into(),
    })
}

/// How long so many bytes sound, where that can be told.
fn length_s(bytes: usize, samples: Option<Samples>) -> f64 {
    samples.map_or(0.0, |samples| {
        let width = if samples.coding == Coding::Linear { 2 } else { 1 };
        bytes as f64 / f64::from(samples.rate_hz * width * u32::from(samples.channels))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_in_bits_that_end_with_words() {
        let text = "word ".repeat(200) + "é";
        let cut: Vec<&str> = bits(&text).collect();
        assert!(cut.len() > 2 && cut.concat() == text);
        assert!(cut.iter().rev().skip(1).all(|bit| bit.ends_with(' ')), "{cut:?}");
        assert_eq!(bits("").count(), 0);
        let said = sayings(&json!({"text": "Hi.", "voice_settings": {"speed": 2, "style": 0.5}}));
        let texts: Vec<&str> = said.iter().filter_map(|said| said.text.as_deref()).collect();
        assert_eq!(texts, [" ", "Hi.", ""]);
        assert_eq!(said[0].voice_settings.as_ref().unwrap().extra["style"], 0.5);
    }
}
