//! Dubbing, which is a job.

use std::collections::BTreeMap;

use impasto_catalog::Body;
use impasto_domain::{Error, ErrorKind, Result};
use impasto_engine::{Failure, Polled, Started, Stopped};

use super::driver::form_of;
use crate::drive::{Begun, Running, text_at};
use crate::hosted::{Ask, Handle, Payload, Purpose};

/// The path of its calls.
pub(super) const ENDPOINT: &str = "dubbing";
/// The fact of a handle that says in which language.
const LANGUAGE: &str = "language";

pub(super) async fn begin(begun: &Begun<'_>, path: &str) -> Result<Started, Failure> {
    let language = match &begun.request.body {
        Body::Map(entries) => entries.get("target_lang").and_then(Body::as_field),
        _ => None,
    };
    let letter = |char: char| char.is_ascii_alphanumeric() || char == '-';
    let language = language.filter(|code| !code.is_empty() && code.chars().all(letter));
    let language = language.ok_or_else(|| {
        Error::invalid("`target_language` is missing, or is no code of a language")
            .hint("give a code such as `es`")
    })?;
    let ask = Ask::of("POST", path).payload(Payload::Multipart(form_of(begun).await?));
    let answer = begun.submit(&begun.with_query(ask)).await?;
    let started = begun.running(&answer, text_at(&answer.json, "/dubbing_id"))?;
    let Started::Running(handle) = started else { return Ok(started) };
    let mut handle = Handle::read(&handle)?;
    handle.facts.extend(BTreeMap::from([(LANGUAGE.to_owned(), language)]));
    Ok(Started::Running(handle.write()))
}

pub(super) async fn look(running: &Running<'_>) -> Result<Polled> {
    let path = format!("/v1/{ENDPOINT}/{}", running.id()?);
    let answer = match running.look(&Ask::get(path.as_str())).await? {
        Ok(answer) => answer,
        Err(ended) => return Ok(ended),
    };
    match text_at(&answer.json, "/status").unwrap_or_default() {
        "dubbed" => {
            let options = running.account.hosted.options();
            let path = format!("{path}/audio/{}", running.handle.fact(LANGUAGE)?);
            let mut ask = Ask::get(path).timeout_ms(options.file_timeout_ms);
            ask.answer_bytes_max = Some(options.file_bytes_max);
            let answer = running.account.ask(&ask, Purpose::Ask).await?;
            running.done(&answer, None).await
        }
        "failed" => {
            let told = text_at(&answer.json, "/error").unwrap_or("it did not say why");
            let message = format!("the job ended: {told}");
            Ok(running.failed(Error::new(ErrorKind::ProviderFailed, message)))
        }
        "dubbing" | "pending" | "queued" => Ok(Polled::Running { after_ms: None }),
        other => {
            let what = format!("its word for the job is '{other}', which nobody here knows");
            Err(running.account.garbled(&answer, Purpose::Ask, &what))
        }
    }
}

/// There is no other way to stop one than to delete it.
pub(super) async fn give_up(running: &Running<'_>) -> Result<Stopped> {
    running.stop(&Ask::of("DELETE", format!("/v1/{ENDPOINT}/{}", running.id()?))).await
}
