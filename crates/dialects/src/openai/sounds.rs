//! Speech, told while it comes; and what is said, written down.

use impasto_engine::{Failure, Started};
use serde_json::json;

use super::driver::{form_of, json_of, said};
use crate::drive::{Begun, of_json};
use crate::hosted::{Ask, Payload};
use crate::sound::Samples;

/// The encoding that is samples without a header, and how many there are in a second.
const BARE: (&str, u32) = ("pcm", 24_000);

pub(super) async fn speak(begun: &Begun<'_>, name: &str) -> Result<Started, Failure> {
    let ask = begun.with_query(Ask::post("/audio/speech", json_of(begun).await?));
    let bare = said(begun, "response_format") == Some(BARE.0);
    let samples = bare.then(|| Samples::linear(BARE.1));
    let answer = begun.heard(ask, name, samples).await?;
    begun.done(answer, None).await
}

pub(super) async fn transcribe(begun: &Begun<'_>) -> Result<Started, Failure> {
    let parts = form_of(begun).await?;
    let ask = Ask::of("POST", "/audio/transcriptions").payload(Payload::Multipart(parts));
    let (key, time_ms) = (&begun.call.idempotency_key, begun.call.timeout_ms);
    let answer = begun.account.start(&begun.with_query(ask), key, time_ms).await?;
    if answer.is_json {
        return begun.done(answer, None).await;
    }
    // Some formats are text and nothing else.
    let text = String::from_utf8_lossy(&answer.bytes);
    begun.done(of_json(json!({ "text": text.trim_end() })), None).await
}
