//! Errors as this dialect tells them. The one table of kinds, statuses and words.
//!
//! Clients count every status but 200 as an error, and try again only where they were told to.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use impasto_dialects::gemini::wire;
use impasto_domain::{Error, ErrorKind};
use serde_json::json;

use crate::faces::body::Unread;
use crate::faces::for_clients;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    status: u16,
    error: Error,
}

/// The status for a client that closed or cancelled its request.
const CLOSED: u16 = 499;

/// The status of each kind, its word, and its number where there is no HTTP.
fn told(kind: ErrorKind) -> (u16, &'static str, u16) {
    match kind {
        ErrorKind::InvalidInput => (400, "INVALID_ARGUMENT", 3),
        ErrorKind::Unauthorized => (401, "UNAUTHENTICATED", 16),
        ErrorKind::NotFound => (404, "NOT_FOUND", 5),
        ErrorKind::Conflict => (409, "ABORTED", 10),
        ErrorKind::BudgetExceeded => (400, "FAILED_PRECONDITION", 9),
        ErrorKind::RateLimited => (429, "RESOURCE_EXHAUSTED", 8),
        ErrorKind::Refused => (400, "INVALID_ARGUMENT", 3),
        ErrorKind::ProviderFailed => (500, "INTERNAL", 13),
        ErrorKind::Timeout => (504, "DEADLINE_EXCEEDED", 4),
        ErrorKind::Cancelled => (CLOSED, "CANCELLED", 1),
        ErrorKind::InDoubt => (409, "ABORTED", 10),
        ErrorKind::Unavailable => (503, "UNAVAILABLE", 14),
        ErrorKind::Internal => (500, "INTERNAL", 13),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = for_clients(error);
        Self { status: told(error.kind).0, error }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        let (status, error) = unread.told();
        Self { status: status.as_u16(), error }
    }
}

impl Failure {
    pub(super) fn no_route(path: &str) -> Self {
        let hint =
            "generateContent, predict, predictLongRunning, operations, files and models are served";
        Error::not_found(format!("there is nothing at '{path}'")).hint(hint).into()
    }

    /// The caller is known and may not do this.
    pub(super) fn forbidden(error: Error) -> Self {
        Self { status: 403, error }
    }

    /// Whether the same request will fail again.
    pub(super) fn is_for_good(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 408 && self.status != 429
    }

    /// The error as it stands in a body.
    pub(super) fn problem(&self) -> wire::Problem {
        let word = if self.status == 403 { "PERMISSION_DENIED" } else { told(self.error.kind).1 };
        wire::Problem {
            error: wire::Status {
                code: self.status,
                message: said(&self.error),
                status: word.to_owned(),
                details: details(&self.error),
            },
        }
    }
}

/// The error of an operation that failed.
pub(super) fn of_operation(error: &Error) -> wire::Status {
    let (_, _, code) = told(error.kind);
    let error = &for_clients(error.clone());
    wire::Status { code, message: said(error), details: details(error), ..Default::default() }
}

fn said(error: &Error) -> String {
    match &error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message.clone(),
    }
}

fn details(error: &Error) -> Vec<serde_json::Value> {
    let reason = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.kind.as_str().to_ascii_uppercase(),
        "domain": "impasto",
    });
    let retry = error.retry_after_ms.map(|ms| {
        let seconds = ms as f64 / 1000.0;
        json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")})
    });
    [Some(reason), retry].into_iter().flatten().collect()
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status >= 500 {
            let Self { error, .. } = &self;
            tracing::warn!(code = error.kind.as_str(), error = %error.message, "a call failed");
        }
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.error.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_an_error_for_clients() {
        for kind in ErrorKind::ALL {
            let failure = Failure::from(Error::new(kind, "no").retry_after(1_500));
            let problem = failure.problem().error;
            assert!(problem.code >= 400 && !problem.status.is_empty(), "{kind}");
            assert_eq!(problem.details.len(), 2, "{kind}");
            assert_eq!(failure.into_response().headers()[header::RETRY_AFTER], "2");
        }
    }
}
