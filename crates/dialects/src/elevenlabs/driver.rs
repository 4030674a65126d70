//! Which call an offer means.
//!
//! An offer of speech has the name of a model as its endpoint and a voice in its path; any other has
//! the path of its call as its endpoint.

use impasto_catalog::{Body, Outputs};
use impasto_domain::{Error, MediaKind, Result};
use impasto_engine::{Failure, Job, Polled, StartCall, Started, Stopped};
use serde_json::json;

use super::{dubbing, speech};
use crate::drive::{Begun, Running, output_of_kind, text_at};
use crate::hosted::{Ask, ByFile, Hosted, Part, Payload};
use crate::remote::Dialect;
use crate::sound::Samples;

/// What the place of a voice in a path is called.
const VOICE: &str = "voice";
/// Calls that take forms whether a file is in them or not.
const FORMS: [&str; 3] = [dubbing::ENDPOINT, "speech-to-text", "voices/add"];
/// Calls that tell their sound while it is made, by a path of their own.
const STREAMED: [&str; 3] = ["music", "speech-to-speech", "audio-isolation"];
/// The call that describes voices, of which one is then made.
const DESIGN: &str = "text-to-voice/design";

/// The driver.
#[derive(Clone)]
pub struct ElevenLabs {
    hosted: Hosted,
}

impl ElevenLabs {
    /// A driver that goes out by `hosted`.
    pub fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }
}

impl Dialect for ElevenLabs {
    fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    async fn begin(&self, call: &StartCall) -> Result<Started, Failure> {
        let begun = Begun::new(&self.hosted, call)?;
        let voice = begun.request.path.get(VOICE).map(|voice| voice_in_path(voice)).transpose()?;
        let has_files = !begun.request.body.files().is_empty();
        if let Some(voice) = voice.as_deref().filter(|_| !has_files) {
            return speech::speak(&begun, voice).await;
        }
        let path = match &voice {
            Some(voice) => format!("/v1/{}/{voice}", call.endpoint),
            None => format!("/v1/{}", call.endpoint),
        };
        if call.endpoint == dubbing::ENDPOINT {
            return dubbing::begin(&begun, &path).await;
        }
        if call.endpoint == DESIGN {
            return design(&begun, &path).await;
        }
        let name = output_of_kind(begun.offer, MediaKind::Audio);
        match name.filter(|_| begun.offer.outputs.as_ref().is_some_and(Outputs::is_whole_body)) {
            Some(name) => {
                let streams = begun.is_heard() && STREAMED.contains(&call.endpoint.as_str());
                let path = if streams { format!("{path}/stream") } else { path };
                let answer =
                    begun.heard(ask(&begun, path).await?, name, samples_of(&begun)).await?;
                begun.done(answer, None).await
            }
            None => {
                let answer = begun.call(ask(&begun, path).await?).await?;
                begun.done(answer, None).await
            }
        }
    }

    async fn look(&self, job: &Job) -> Result<Polled> {
        let running = Running::new(&self.hosted, job)?;
        match running.kept().await {
            Some(kept) => kept,
            None => dubbing::look(&running).await,
        }
    }

    async fn give_up(&self, job: &Job) -> Result<Stopped> {
        let running = Running::new(&self.hosted, job)?;
        if running.is_kept() { Ok(Stopped::WasOver) } else { dubbing::give_up(&running).await }
    }
}

/// A voice as it can stand in a path.
fn voice_in_path(voice: &str) -> Result<String> {
    if ["", ".", ".."].contains(&voice) {
        let message = format!("`voice` is '{voice}', which is no voice of this provider");
        return Err(Error::invalid(message).hint("give the id of a voice of the account"));
    }
    let mut path = String::new();
    for byte in voice.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                path.push(char::from(byte));
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(path)
}

/// The request of a call: a form where files or the call need one.
async fn ask(begun: &Begun<'_>, path: String) -> Result<Ask> {
    let form = FORMS.contains(&begun.call.endpoint.as_str());
    let ask = if form || !begun.request.body.files().is_empty() {
        Ask::of("POST", path).payload(Payload::Multipart(form_of(begun).await?))
    } else {
        Ask::post(path, begun.json().await?)
    };
    Ok(begun.with_query(ask))
}

pub(super) async fn form_of(begun: &Begun<'_>) -> Result<Vec<Part>> {
    begun.account.form(&begun.request.body, &ByFile, &begun.call.bench).await
}

/// How the sound that was asked for is to be read, if it has no header.
pub(super) fn samples_of(begun: &Begun<'_>) -> Option<Samples> {
    Samples::of_format(begun.request.query.get("output_format")?)
}

/// Makes a voice of the first that is described. The description alone costs; the voice is kept.
async fn design(begun: &Begun<'_>, path: &str) -> Result<Started, Failure> {
    let answer = begun.call(ask(begun, path.to_owned()).await?).await?;
    if text_at(&answer.json, "/voice_id").is_some() {
        return begun.done(answer, None).await;
    }
    let Some(made) = text_at(&answer.json, "/previews/0/generated_voice_id") else {
        let what = "it describes no voice";
        return Err(begun.account.garbled(&answer, crate::hosted::Purpose::Start, what).into());
    };
    let words = match &begun.request.body {
        Body::Map(entries) => entries.get("voice_description").and_then(Body::as_field),
        _ => None,
    };
    let words = words.unwrap_or_default();
    let name: String = words.chars().take(40).collect();
    let keep = json!({
        "voice_name": name, "voice_description": words, "generated_voice_id": made,
    });
    let kept = begun.call(Ask::post("/v1/text-to-voice", keep)).await;
    let kept = kept.map_err(|error| begun.useless(error, None))?;
    begun.done(kept, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_no_way_to_somewhere_else() {
        assert_eq!(voice_in_path("21m00Tcm4TlvDq8ikWAM").unwrap(), "21m00Tcm4TlvDq8ikWAM");
        assert_eq!(voice_in_path("../a b?é").unwrap(), "..%2Fa%20b%3F%C3%A9");
        for voice in ["", ".", ".."] {
            assert!(voice_in_path(voice).unwrap_err().hint.is_some(), "{voice}");
        }
    }
}
