//! The faces: each says in its own dialect what the server does. One line for each.

mod body;
mod elevenlabs;
#[cfg(test)]
mod every;
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
use axum::response::{IntoResponse, Response};
use impasto_domain::{Error, ErrorKind};
use impasto_workflow::NO_OFFER;

use crate::app::App;
use crate::front::RequestId;
use crate::problem::Problem;
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

/// How a face tells what came up before any of its handlers was asked, and under which id.
type Tell = fn(Problem, RequestId) -> Response;

/// Below which path which face tells it.
const TELLERS: [(&str, Tell); 5] = [
    ("/fal/", fal::told),
    ("/replicate/", |problem, _| replicate::told(problem)),
    ("/openai/", |problem, _| openai::told(problem)),
    ("/gemini/", |problem, _| gemini::told(problem)),
    ("/elevenlabs/", |problem, _| elevenlabs::told(problem)),
];

/// What is told to whoever asked for this path, in the shape that clients of the path know.
pub(crate) fn told(path: &str, problem: Problem, id: RequestId) -> Response {
    let teller = TELLERS.iter().find(|(below, _)| path.starts_with(below));
    match teller {
        Some((_, tell)) => tell(problem, id),
        None => problem.into_response(),
    }
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

/// An error as somebody is told it who calls by a model's name: who runs the server reads in the run's
/// report why each offer would not do.
fn for_clients(error: Error) -> Error {
    let at = error.message.find(NO_OFFER).and_then(|at| error.message.split_at_checked(at));
    let Some((before, told)) = at else { return error };
    let mut reasons = told.split("; ");
    let first = reasons.next().unwrap_or_default();
    let more = match reasons.count() {
        0 => String::new(),
        1 => "; and 1 reason more".to_owned(),
        more => format!("; and {more} reasons more"),
    };
    let hint = match error.kind {
        ErrorKind::InvalidInput => "change what the reason names, or name another model",
        _ => "name another model, or try again later",
    };
    Error { message: format!("{before}{first}{more}"), hint: Some(hint.to_owned()), ..error }
}

/// What stands in the place of lines that are not kept.
fn missing(lines: u64) -> String {
    match lines {
        1 => "1 line of the log is missing here".to_owned(),
        lines => format!("{lines} lines of the log are missing here"),
    }
}
