//! A call whose result is told while it is made. It has no request that could be asked for: if it
//! breaks off, nobody can tell what became of it.

use impasto_catalog::FileIn;
use impasto_domain::{Error, ErrorKind, MediaKind, News, SoundFormat, Workbench};
use impasto_engine::{Failure, Started};
use serde::Deserialize;
use serde_json::Value as Json;

use super::driver::EVENTS;
use super::wire::{File, WorkflowEvent};
use crate::drive::{Begun, of_json, output_of_kind};
use crate::hosted::{Ask, Purpose};
use crate::inline::{self, InlineBytes};

/// The next piece of a sound.
#[derive(Deserialize)]
struct Piece {
    content: InlineBytes,
    content_type: String,
    #[serde(default)]
    sample_rate: u32,
    #[serde(default = "one")]
    channels: u16,
}

fn one() -> u16 {
    1
}

pub(super) async fn follow(begun: &Begun<'_>, body: Json) -> Result<Started, Failure> {
    let path = format!("/{}/stream", begun.call.endpoint);
    let ask = Ask::post(path, body).base("run").header("accept", EVENTS);
    let response = begun.open(begun.with_query(ask)).await?;
    if response.media_type().as_deref() != Some(EVENTS) {
        let answer = begun.account.read(response, Purpose::Start).await?;
        let what = "a stream was asked for, and that is none";
        return Err(begun.account.garbled(&answer, Purpose::Start, what).into());
    }
    let outputs = begun.outputs()?;
    let mut events = response.events();
    let (mut last, mut told) = (None, 0);
    loop {
        let event = events.next().await;
        let event = event.map_err(|error| begun.account.broken(error, Purpose::Start))?;
        let Some(event) = event else { break };
        let Ok(said) = serde_json::from_str::<Json>(&event.data) else { continue };
        if let Some(error) = error_in(begun, &said) {
            return Err(error.into());
        }
        if said.get("partial") == Some(&Json::Bool(true)) {
            tell(begun, &said, &mut told);
            continue;
        }
        // Where nobody says what is only on the way, the last is the result and the others were not.
        if let Some(before) = last.replace(said) {
            tell(begun, &before, &mut told);
        }
    }
    let answer = last.map(of_json).filter(|answer| outputs.read(&answer.json).is_ok());
    match answer {
        Some(answer) => begun.done(answer, None).await,
        None => Err(Error::new(ErrorKind::InDoubt, "the stream ended without a result")
            .hint("look at the account of the provider before trying again")
            .into()),
    }
}

/// What an event means that says that there will be no result.
fn error_in(begun: &Begun<'_>, said: &Json) -> Option<Error> {
    let errors = &begun.account.provider.errors;
    if let Ok(WorkflowEvent::Error { message, error, .. }) = WorkflowEvent::deserialize(said) {
        // It says what a plain call would have been answered.
        let mut answer = of_json(error.body);
        answer.status = error.status;
        let unclear = || Error::new(ErrorKind::ProviderFailed, message);
        return Some(begun.account.judge(&answer, Purpose::Ask).unwrap_or_else(unclear));
    }
    let is_error = said.get("detail").is_some() || said.get("error").is_some_and(Json::is_string);
    is_error.then(|| errors.of_job(ErrorKind::ProviderFailed, said))
}

/// Tells what stands in the answer itself; what is only linked to is not fetched for a preview.
fn tell(begun: &Begun<'_>, said: &Json, told: &mut u32) {
    let Some(outputs) = &begun.offer.outputs else { return };
    let bench: &dyn Workbench = &*begun.call.bench;
    if let Some(name) = output_of_kind(begun.offer, MediaKind::Audio)
        && let Some(piece) = said.get(name).and_then(|found| Piece::deserialize(found).ok())
    {
        let Piece { content, content_type, sample_rate, channels } = piece;
        let format =
            SoundFormat { media_type: content_type, sample_rate_hz: sample_rate, channels };
        let (name, bytes) = (name.to_owned(), content.0.to_vec());
        bench.tell(News::Sound { name, format, bytes });
        return;
    }
    let Some(name) = output_of_kind(begun.offer, MediaKind::Image) else { return };
    let rule = outputs.rules.iter().find(|rule| rule.name == name && rule.file == FileIn::Url);
    for found in rule.into_iter().flat_map(|rule| &rule.at).flat_map(|at| at.all(said)) {
        let file = File::deserialize(found).ok().map(|file| file.url);
        let url = found.as_str().map(str::to_owned).or(file).unwrap_or_default();
        let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(','))
        else {
            continue;
        };
        let Ok(bytes) = inline::decode(data) else { continue };
        let media_type = head.split(';').next().unwrap_or_default().to_owned();
        let (name, bytes, index) = (name.to_owned(), bytes.to_vec(), *told);
        bench.tell(News::Picture { name, index, bytes, media_type });
        *told += 1;
    }
}
