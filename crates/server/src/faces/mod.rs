//! The faces: each says in its own dialect what the server does. One line for each.

mod body;
mod elevenlabs;
mod fal;
mod gemini;
mod models;
mod openai;
mod pieces;
mod replicate;
mod sound;
mod standing;
#[cfg(test)]
mod tests;
mod voices;

use axum::Router;

use crate::app::App;
use crate::webhooks::{Compose, ComposeSigned};

/// The file at the address of an upload that had one before it had bytes; none if it is no such address.
pub(crate) use fal::uploaded;

/// Every face below its prefix.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .nest("/fal", fal::routes())
        .nest("/replicate", replicate::routes())
        .nest("/openai", openai::routes())
        .nest("/gemini", gemini::routes())
        .nest("/elevenlabs", elevenlabs::routes())
}

/// Faces that tell in their own way what happened to runs that came by them with a webhook: the face,
/// as in [`crate::calls::Origin`], and what makes the message. Other faces' webhooks, and all
/// endpoints, are told by the Standard Webhooks specification.
pub(crate) const WEBHOOKS: &[(&str, Compose)] =
    &[("fal", fal::compose), ("replicate", replicate::compose)];

/// Faces that tell endpoints which were made by them in their own way: how the ids of these begin, and
/// what makes the message.
pub(crate) const ENDPOINTS: &[(&str, ComposeSigned)] =
    &[(openai::ENDPOINT_PREFIX, openai::endpoint_message)];

/// What stands in the place of lines that are not kept.
fn missing(lines: u64) -> String {
    match lines {
        1 => "1 line of the log is missing here".to_owned(),
        lines => format!("{lines} lines of the log are missing here"),
    }
}
