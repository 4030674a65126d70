//! Errors in the shape of this dialect. The one table of kinds, statuses and words.
//!
//! Its clients try again whatever has a status of 500 or more, and cannot be told not to: a run that was
//! begun and failed is therefore told with a status below.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use impasto_dialects::elevenlabs::wire::{ErrorBody, ErrorDetail};
use impasto_domain::{Error, ErrorKind};

use crate::faces::body::Unread;
use crate::faces::for_clients;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    word: &'static str,
    error: Error,
}

/// Status and word of each kind.
fn of_kind(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "invalid_parameters"),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ErrorKind::Conflict => (StatusCode::FAILED_DEPENDENCY, "conflict"),
        ErrorKind::BudgetExceeded => (StatusCode::UNAUTHORIZED, "quota_exceeded"),
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "too_many_concurrent_requests"),
        ErrorKind::Refused => (StatusCode::FORBIDDEN, "content_against_policy"),
        ErrorKind::ProviderFailed => (StatusCode::FAILED_DEPENDENCY, "provider_failed"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        ErrorKind::Cancelled => (StatusCode::FAILED_DEPENDENCY, "cancelled"),
        ErrorKind::InDoubt => (StatusCode::FAILED_DEPENDENCY, "in_doubt"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    }
}

impl Failure {
    /// The key may not do this.
    pub(crate) fn forbidden(scope: crate::Scope) -> Self {
        let message = format!("this key does not have the scope `{scope}`");
        let error = Error::new(ErrorKind::Unauthorized, message).hint("use a key with that scope");
        Self { status: StatusCode::FORBIDDEN, word: "missing_permissions", error }
    }

    /// There is nothing at that address.
    pub(crate) fn no_route(method: &http::Method, path: &str) -> Self {
        Error::not_found(format!("there is nothing at {method} {path}")).into()
    }

    /// A run that was accepted failed: a client that tries again by itself does so only where nothing
    /// was bought, or to go on waiting.
    pub(crate) fn of_run(error: Error) -> Self {
        let failure = Self::from(error);
        let again = match failure.error.kind {
            ErrorKind::RateLimited => true,
            ErrorKind::Unavailable => failure.error.retry,
            ErrorKind::Timeout => failure.goes_on(),
            _ => false,
        };
        let clients_retry = failure.status.is_server_error();
        match clients_retry && !again {
            true => Self { status: StatusCode::FAILED_DEPENDENCY, ..failure },
            false => failure,
        }
    }

    /// The same with another word.
    pub(crate) fn said(self, status: StatusCode, word: &'static str) -> Self {
        Self { status, word, ..self }
    }

    /// Whether what was asked for is still under way.
    pub(crate) fn goes_on(&self) -> bool {
        self.error.kind == ErrorKind::Timeout && self.error.retry && self.error.offer.is_none()
    }

    /// In a word and in a sentence.
    pub(crate) fn detail(&self) -> ErrorDetail {
        let message = match &self.error.hint {
            Some(hint) => format!("{}; {hint}", self.error.message),
            None => self.error.message.clone(),
        };
        ErrorDetail { status: self.word.to_owned(), message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = for_clients(error);
        let (status, word) = of_kind(error.kind);
        Self { status, word, error }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        let (status, error) = unread.told();
        let word = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            _ => of_kind(error.kind).1,
        };
        Self { status, word, error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(word = self.word, error = %self.error.message, "a call failed");
        }
        let body = serde_json::to_vec(&ErrorBody { detail: self.detail() }).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after_ms) = self.error.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after_ms.div_ceil(1000)));
        }
        response
    }
}
