//! Errors in the shape of this dialect. The one table of kinds, statuses and codes.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use impasto_dialects::openai::wire::{ErrorBody, ErrorDetail};
use impasto_domain::{Error, ErrorKind};

use crate::faces::body::Unread;
use crate::faces::for_clients;

/// The client tries again, or not, if this says so.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    error: Error,
}

/// Status, type and code of each kind.
fn of_kind(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "invalid_value"),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        ErrorKind::BudgetExceeded => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
        ErrorKind::Refused => (StatusCode::BAD_REQUEST, "content_policy_violation"),
        ErrorKind::ProviderFailed => (StatusCode::BAD_GATEWAY, "provider_failed"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        ErrorKind::Cancelled => (StatusCode::CONFLICT, "cancelled"),
        ErrorKind::InDoubt => (StatusCode::CONFLICT, "in_doubt"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl Failure {
    /// The key may not do this.
    pub(crate) fn forbidden(scope: crate::Scope) -> Self {
        let error = Error::new(
            ErrorKind::Unauthorized,
            format!("this key does not have the scope `{scope}`"),
        );
        let error = error.hint("use a key with that scope");
        Self { status: StatusCode::FORBIDDEN, code: "insufficient_permissions", error }
    }

    /// There is nothing at that address.
    pub(crate) fn no_route(method: &http::Method, path: &str) -> Self {
        let error = Error::not_found(format!("there is nothing at {method} {path}"));
        Self { status: StatusCode::NOT_FOUND, code: "unknown_url", error }
    }

    /// The same with the status that it was given elsewhere.
    pub(crate) fn of_status(self, status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self { status, code: "insufficient_permissions", ..self },
            _ => self,
        }
    }

    /// The same with another code.
    pub(crate) fn coded(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// Whether what was asked for is still under way.
    pub(crate) fn goes_on(&self) -> bool {
        self.error.kind == ErrorKind::Timeout && self.error.retry
    }

    /// The error as it is told.
    pub(crate) fn body(&self) -> ErrorBody {
        let error = &self.error;
        let message = match &error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message.clone(),
        };
        let kind = match self.status {
            _ if error.kind == ErrorKind::BudgetExceeded => "insufficient_quota",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let param = match self.code {
            "model_not_found" => Some("model".to_owned()),
            _ => parameter(&error.message)
                .filter(|_| error.kind == ErrorKind::InvalidInput)
                .map(str::to_owned),
        };
        let detail =
            ErrorDetail { message, kind: kind.to_owned(), param, code: Some(self.code.to_owned()) };
        ErrorBody { error: detail }
    }
}

/// The parameter that a message names first; a value in it is none.
fn parameter(message: &str) -> Option<&str> {
    let named = message.split('`').nth(1)?;
    let is_name = named.starts_with(|first: char| first.is_ascii_alphabetic());
    Some(named).filter(|named| is_name && !["true", "false", "null"].contains(named))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = for_clients(error);
        let (status, code) = of_kind(error.kind);
        Self { status, code, error }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        let (status, error) = unread.told();
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
            _ => of_kind(error.kind).1,
        };
        Self { status, code, error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(code = self.code, error = %self.error.message, "a call failed");
        }
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What has been tried as often as makes sense is not tried again by the client.
        let retry = HeaderValue::from_static(if self.error.retry { "true" } else { "false" });
        headers.insert(SHOULD_RETRY, retry);
        if let Some(after_ms) = self.error.retry_after_ms {
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(after_ms));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after_ms.div_ceil(1000)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_name() {
        let check = |message: &str, expected: Option<&str>| {
            assert_eq!(parameter(message), expected, "{message}");
        };
        check("`text` holds nothing that can be said", Some("text"));
        check("missing field `prompt` at line 1", Some("prompt"));
        check("invalid type: integer `1`, expected a string", None);
        check("invalid type: boolean `true`, expected a string", None);
        check("the body is empty", None);
    }
}
