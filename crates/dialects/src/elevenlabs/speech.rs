//! Speech: as a whole, as it comes, with the times of its characters, and over a socket.
//!
//! An offer whose output stands in JSON is asked for with times; one that is able to use a socket is
//! spoken to over one. Beside what the provider says, the answer has `/cues`: when each sentence is
//! said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_domain::MediaKind;
use impasto_engine::{Failure, Started};
use impasto_net::Response;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::driver::samples_of;
use super::wire::{Alignment, TimedSpeech};
use super::{align, socket};
use crate::drive::{Begun, headers_of, of_json, of_sound, output_of_kind, outputs_of};
use crate::hosted::{Answer, Ask, Purpose};
use crate::sound::{Live, Samples};

/// What an offer is able to do that is spoken to over a socket.
const SOCKET: &str = "websocket";
/// What the output is called where the offer does not say.
const USUAL_NAME: &str = "audio";

/// Speech that was made, and when each character is said.
#[derive(Default)]
pub(super) struct Spoken {
    pub(super) sound: Vec<u8>,
    pub(super) alignment: Alignment,
    pub(super) media_type: String,
}

pub(super) async fn speak(begun: &Begun<'_>, voice: &str) -> Result<Started, Failure> {
    let name = output_of_kind(begun.offer, MediaKind::Audio).unwrap_or(USUAL_NAME);
    let samples = samples_of(begun);
    let is_timed = !outputs_of(begun.offer)?.is_whole_body();
    if begun.offer.capabilities.iter().any(|word| word == SOCKET) {
        let spoken =
            socket::speak(begun, voice, Live::new(&*begun.call.bench, name, samples)).await?;
        return begun.done(answer_of(spoken, samples, is_timed), None).await;
    }
    let body = begun.json().await?;
    let (streams, path) = (begun.is_heard(), format!("/v1/text-to-speech/{voice}"));
    let post = |path: String| begun.with_query(Ask::post(path, body.clone()));
    let answer = match (is_timed, streams) {
        (false, false) => begun.heard(post(path), name, samples).await?,
        (false, true) => begun.heard(post(format!("{path}/stream")), name, samples).await?,
        (true, false) => timed(begun, post(format!("{path}/with-timestamps")), samples).await?,
        (true, true) => {
            let response = begun.open(post(format!("{path}/stream/with-timestamps"))).await?;
            let headers = headers_of(&response);
            let live = Live::new(&*begun.call.bench, name, samples);
            answer_of(lines(begun, response, live).await?, samples, true).told_by(headers)
        }
    };
    begun.done(answer, None).await
}

/// The answer with its sound as a file, and the times of its sentences.
async fn timed(begun: &Begun<'_>, ask: Ask, samples: Option<Samples>) -> Result<Answer, Failure> {
    let answer = begun.call(ask).await?;
    let read = TimedSpeech::deserialize(&answer.json).map_err(|error| {
        begun.account.garbled(&answer, Purpose::Start, &format!("that is no speech: {error}"))
    })?;
    let spoken = Spoken {
        sound: read.audio_base64.0.to_vec(),
        alignment: read.alignment.unwrap_or_default(),
        media_type: String::new(),
    };
    Ok(answer_of(spoken, samples, true).told_by(answer.headers))
}

/// The speech that comes in lines of JSON, told while it comes.
async fn lines(
    begun: &Begun<'_>,
    mut response: Response,
    mut live: Live<'_>,
) -> Result<Spoken, Failure> {
    let (mut spoken, mut waiting) = (Spoken::default(), Vec::new());
    loop {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| begun.account.broken(error, Purpose::Start))?;
        let is_end = piece.is_none();
        waiting.extend_from_slice(&piece.unwrap_or_default());
        while let Some(at) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=at).collect();
            line_of(begun, &line, &mut spoken, &mut live)?;
        }
        if is_end {
            line_of(begun, &waiting, &mut spoken, &mut live)?;
            return Ok(spoken);
        }
    }
}

fn line_of(
    begun: &Begun<'_>,
    line: &[u8],
    spoken: &mut Spoken,
    live: &mut Live<'_>,
) -> Result<(), Failure> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<TimedSpeech>(line) {
        Ok(piece) => {
            live.hear(&piece.audio_base64.0);
            spoken.sound.extend_from_slice(&piece.audio_base64.0);
            align::extend(&mut spoken.alignment, piece.alignment.unwrap_or_default());
            Ok(())
        }
        Err(error) => {
            let said: Json = serde_json::from_slice(line).unwrap_or_default();
            let what = format!("a line of it is not understood: {error}");
            Err(begun.account.garbled(&of_json(said), Purpose::Start, &what).into())
        }
    }
}

/// The speech as an answer: the sound itself, or JSON that holds it with its times.
fn answer_of(spoken: Spoken, samples: Option<Samples>, is_timed: bool) -> Answer {
    let answer = of_sound(spoken.sound, &spoken.media_type, samples);
    if !is_timed {
        return answer;
    }
    let cues = align::cues(&spoken.alignment);
    of_json(json!({
        "audio_base64": STANDARD.encode(&answer.bytes),
        "alignment": spoken.alignment,
        "cues": cues,
    }))
}
