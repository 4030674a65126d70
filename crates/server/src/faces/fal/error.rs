//! Errors as this dialect tells them. The one table of kinds, statuses and types.
//!
//! What a client does after an error hangs on its status alone: 408, 409, 429, 502, 503 and 504 make it
//! send the request again, on its own account and without a key. So none of them is ever the answer to a
//! request that became a run, but for a start that came too late, which is marked as the caller's limit.

use axum::Json as JsonBody;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use impasto_dialects::fal::wire::{self, Detail, ErrorBody};
use impasto_domain::{Error, ErrorKind, RunId};
use serde_json::{Value as Json, json};

use crate::calls::RunView;
use crate::faces::for_clients;
use crate::faces::standing::Standing;
use crate::problem::Problem;

/// What is answered when it went wrong.
#[derive(Debug)]
pub(super) struct Fault {
    status: u16,
    kind: &'static str,
    error: Box<Error>,
    run: Option<RunId>,
    is_users_limit: bool,
}

/// The status for a client that closed or cancelled its request.
const CLOSED: u16 = 499;

/// What is answered before there is a run.
fn refusal(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (422, "value_error"),
        ErrorKind::Unauthorized => (401, "unauthorized"),
        ErrorKind::NotFound => (404, "not_found"),
        ErrorKind::Conflict => (400, "bad_request"),
        ErrorKind::BudgetExceeded => (403, "budget_exceeded"),
        ErrorKind::RateLimited => (429, "concurrent_requests_limit"),
        ErrorKind::Refused => (422, "content_policy_violation"),
        ErrorKind::ProviderFailed => (500, "downstream_service_error"),
        ErrorKind::Timeout => (500, "generation_timeout"),
        ErrorKind::Cancelled => (CLOSED, "client_cancelled"),
        ErrorKind::InDoubt => (500, "runner_server_error"),
        ErrorKind::Unavailable => (503, "runner_scheduling_failure"),
        ErrorKind::Internal => (500, "internal_error"),
    }
}

/// What is answered when a run ended so.
fn outcome(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::Unauthorized
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::RateLimited => (500, "downstream_service_error"),
        ErrorKind::Unavailable => (500, "downstream_service_unavailable"),
        kind => refusal(kind),
    }
}

impl From<Error> for Fault {
    /// Of a call that became no run.
    fn from(error: Error) -> Self {
        let error = for_clients(error);
        let (status, kind) = refusal(error.kind);
        Self { status, kind, error: Box::new(error), run: None, is_users_limit: false }
    }
}

impl Fault {
    /// Of a run that gave no result; none if it did, or may yet.
    pub(super) fn of_run(view: &RunView) -> Option<Self> {
        let (error, came_late) = match Standing::of(view) {
            Standing::Failed(error) => (error, false),
            Standing::Cancelled(error) => {
                let came_late = error.kind == ErrorKind::Timeout;
                (error, came_late)
            }
            Standing::Queued | Standing::Working | Standing::Succeeded => return None,
        };
        let (status, kind) = if came_late { (504, "request_timeout") } else { outcome(error.kind) };
        let (error, run) = (Box::new(for_clients(error)), Some(view.id.clone()));
        Some(Self { status, kind, error, run, is_users_limit: came_late })
    }

    /// Of a run that takes longer than anybody waits here. The client must not ask for another one.
    pub(super) fn too_long(run: &RunId) -> Self {
        let message = format!("it takes longer than a call is held; it goes on as {run}");
        let error = Error::new(ErrorKind::Timeout, message)
            .hint("submit it to the queue, and ask for its result there");
        Self {
            status: 504,
            kind: "request_timeout",
            error: Box::new(error),
            run: Some(run.clone()),
            is_users_limit: true,
        }
    }

    /// Of a result that was asked for too early.
    pub(super) fn in_progress(run: &RunId) -> Self {
        let fault = Self::bad_request(Error::invalid("Request is still in progress"));
        Self { run: Some(run.clone()), ..fault }
    }

    /// Of a request that is none.
    pub(super) fn bad_request(error: Error) -> Self {
        Self { status: 400, kind: "bad_request", ..error.into() }
    }

    /// Of a body that is too large.
    pub(super) fn too_large(error: Error) -> Self {
        Self { status: 413, kind: "request_too_large", ..error.into() }
    }

    /// Of a method that an address does not take.
    pub(super) fn method() -> Self {
        Self { status: 405, ..Self::bad_request(Error::invalid("Method Not Allowed")) }
    }

    /// Of a problem that came up before any handler was asked.
    pub(super) fn of_problem(problem: Problem) -> Self {
        match problem.status() {
            StatusCode::FORBIDDEN => {
                Self { status: 403, kind: "forbidden", ..problem.into_error().into() }
            }
            _ => problem.into_error().into(),
        }
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The type of the error.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What went wrong and what to do about it, as a sentence.
    pub(super) fn message(&self) -> String {
        match &self.error.hint {
            Some(hint) => format!("{}; {hint}", self.error.message),
            None => self.error.message.clone(),
        }
    }

    /// The body as it is sent.
    pub(super) fn body(&self) -> ErrorBody {
        let message = self.message();
        if self.status == 422 {
            return ErrorBody {
                detail: Detail::List(self.problems()),
                error_type: None,
                message: Some(message),
            };
        }
        ErrorBody {
            detail: Detail::Text(message.clone()),
            error_type: Some(self.kind.to_owned()),
            message: Some(message),
        }
    }

    /// What is wrong, field by field.
    fn problems(&self) -> Vec<wire::Problem> {
        let whole = [self.error.message.as_str()];
        let apart: Vec<&str> = self.error.message.split("; ").collect();
        let each_names_a_field = apart.iter().all(|one| field(one).is_some());
        let messages: &[&str] = if each_names_a_field { &apart } else { &whole };
        let problem = |message: &&str| wire::Problem {
            loc: ["body"].into_iter().chain(field(message)).map(Json::from).collect(),
            msg: match (&self.error.hint, messages) {
                (Some(hint), [_]) => format!("{message}; {hint}"),
                _ => (*message).to_owned(),
            },
            kind: if message.contains("` is missing") { "missing" } else { self.kind }.to_owned(),
            ctx: Json::Null,
        };
        messages.iter().map(problem).collect()
    }

    /// What else was told to whoever streams.
    pub(super) fn event_error(&self) -> wire::EventError {
        let body = serde_json::to_value(self.body()).unwrap_or_default();
        wire::EventError { status: self.status, body }
    }
}

/// The field that a message begins with, or names as what there is not.
fn field(message: &str) -> Option<&str> {
    let message = message.strip_prefix("there is no input ").unwrap_or(message);
    message.strip_prefix('`')?.split_once('`').map(|(field, _)| field)
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(kind = self.kind, error = %self.error.message, "a call failed");
        }
        let mut response = (status, JsonBody(json!(self.body()))).into_response();
        let headers = response.headers_mut();
        headers.insert(wire::ERROR_TYPE, HeaderValue::from_static(self.kind));
        if let Some(after_ms) = self.error.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after_ms.div_ceil(1000)));
        }
        if self.is_users_limit {
            let users = HeaderValue::from_static("user");
            headers.insert(HeaderName::from_static(wire::REQUEST_TIMEOUT_TYPE), users);
        }
        if let Some(run) = &self.run {
            headers.extend(request_id(run));
        }
        response
    }
}

/// The header that tells the id of a request.
pub(super) fn request_id(run: &RunId) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(run.as_str()).ok()?;
    Some((HeaderName::from_static(wire::REQUEST_ID), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::ViewStatus;
    use crate::faces::standing::tests::{check_all, standing};

    #[test]
    fn what_can_go_on_is_no_fault() {
        check_all(
            |view| Fault::of_run(view).map(|fault| (fault.status, fault.kind)),
            [
                None,
                None,
                None,
                None,
                None,
                Some((500, "downstream_service_error")),
                Some((500, "runner_server_error")),
                Some((CLOSED, "client_cancelled")),
            ],
        );
    }

    #[test]
    fn a_run_is_never_answered_with_what_makes_a_client_try_again() {
        const AGAIN: [u16; 6] = [408, 409, 429, 502, 503, 504];
        for kind in ErrorKind::ALL {
            for status in [ViewStatus::Failed, ViewStatus::Cancelled] {
                let fault = Fault::of_run(&standing(status, Some(kind))).unwrap();
                assert!(fault.is_users_limit || !AGAIN.contains(&fault.status), "{kind}");
            }
        }
    }

    fn check(error: Error, expected: &Json) {
        assert_eq!(&serde_json::to_value(Fault::from(error).body().detail).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_with_the_input_names_its_field() {
        check(
            Error::invalid("`prompt` is missing (text); `seed` is -1, the least is 0").hint("see"),
            &json!([
                {"loc": ["body", "prompt"], "msg": "`prompt` is missing (text)", "type": "missing"},
                {"loc": ["body", "seed"], "msg": "`seed` is -1, the least is 0", "type": "value_error"},
            ]),
        );
        check(
            Error::invalid("there is no input `promt`").hint("did you mean `prompt`?"),
            &json!([{
                "loc": ["body", "promt"],
                "msg": "there is no input `promt`; did you mean `prompt`?",
                "type": "value_error",
            }]),
        );
        check(
            Error::new(ErrorKind::Refused, "not that"),
            &json!([{"loc": ["body"], "msg": "not that", "type": "content_policy_violation"}]),
        );
        check(Error::not_found("no"), &json!("no"));
    }
}
