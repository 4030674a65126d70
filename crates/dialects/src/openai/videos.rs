//! Videos, which are jobs.

use impasto_domain::{ErrorKind, Result};
use impasto_engine::{Failure, Polled, Started, Stopped};
use serde_json::Value as Json;

use super::driver::form_of;
use crate::drive::{Begun, Running, text_at};
use crate::hosted::{Ask, Payload, Purpose};

/// The header that says when to ask again, in milliseconds.
const ASK_AGAIN: &str = "openai-poll-after-ms";

pub(super) async fn begin(begun: &Begun<'_>) -> Result<Started, Failure> {
    let parts = form_of(begun).await?;
    let ask = Ask::of("POST", "/videos").payload(Payload::Multipart(parts));
    let answer = begun.submit(&begun.with_query(ask)).await?;
    begun.running(&answer, text_at(&answer.json, "/id"))
}

pub(super) async fn look(running: &Running<'_>) -> Result<Polled> {
    let path = format!("/videos/{}", running.id()?);
    let answer = match running.look(&Ask::get(path.as_str())).await? {
        Ok(answer) => answer,
        Err(ended) => return Ok(ended),
    };
    // No more is read of a video than is needed: servers differ in the rest.
    match text_at(&answer.json, "/status").unwrap_or_default() {
        "completed" => fetch(running, &path).await,
        "failed" | "cancelled" => Ok(running.failed_by(ErrorKind::ProviderFailed, &answer.json)),
        status @ ("queued" | "in_progress") => {
            let percent = answer.json.get("progress").and_then(Json::as_f64).unwrap_or_default();
            running.bench().progress(percent / 100.0, status);
            let after_ms = answer.header(ASK_AGAIN).and_then(|told| told.trim().parse().ok());
            Ok(Polled::Running { after_ms })
        }
        other => {
            let what = format!("its word for the job is '{other}', which nobody here knows");
            Err(running.account.garbled(&answer, Purpose::Ask, &what))
        }
    }
}

/// The video itself is no answer to a question about it: it is asked for apart.
async fn fetch(running: &Running<'_>, path: &str) -> Result<Polled> {
    let options = running.account.hosted.options();
    let mut ask = Ask::get(format!("{path}/content")).timeout_ms(options.file_timeout_ms);
    ask.answer_bytes_max = Some(options.file_bytes_max);
    let answer = running.account.ask(&ask, Purpose::Ask).await?;
    running.done(&answer, None).await
}

/// There is no other way to stop one than to delete it.
pub(super) async fn give_up(running: &Running<'_>) -> Result<Stopped> {
    running.stop(&Ask::of("DELETE", format!("/videos/{}", running.id()?))).await
}
