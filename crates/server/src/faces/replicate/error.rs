//! Errors as this dialect tells them, and who calls.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use impasto_dialects::replicate::wire;
use impasto_domain::{Error, ErrorKind};

use crate::app::App;
use crate::caller::{Caller, Scope, authorization};
use crate::faces::body::Unread;
use crate::faces::for_clients;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: Error,
}

/// The status and the title of each kind.
fn told(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (StatusCode::UNPROCESSABLE_ENTITY, "Input validation failed"),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthenticated"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "Conflict"),
        ErrorKind::BudgetExceeded => (StatusCode::PAYMENT_REQUIRED, "Spend limit reached"),
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        ErrorKind::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "Content refused"),
        ErrorKind::ProviderFailed => (StatusCode::BAD_GATEWAY, "Provider failed"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
        ErrorKind::Cancelled => (StatusCode::CONFLICT, "Canceled"),
        ErrorKind::InDoubt => (StatusCode::CONFLICT, "In doubt"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let error = for_clients(error);
        Self { status: told(error.kind).0, error }
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        let (status, error) = unread.told();
        Self { status, error }
    }
}

impl Refusal {
    /// An error that was given its status elsewhere.
    pub(super) fn of(error: Error, status: StatusCode) -> Self {
        Self { status, error }
    }

    /// There is nothing at that address.
    pub(super) fn no_route(path: &str) -> Self {
        let hint = "predictions, models, files, collections, account and webhooks are served";
        Error::not_found(format!("there is nothing at '{path}'")).hint(hint).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        if status.is_server_error() {
            tracing::warn!(code = error.kind.as_str(), error = %error.message, "a call failed");
        }
        let title = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Payload too large",
            StatusCode::FORBIDDEN => "Forbidden",
            _ => told(error.kind).1,
        };
        let retry_after = error.retry_after_ms.map(|ms| ms.div_ceil(1000));
        let detail = match &error.hint {
            Some(hint) => format!("{}; {hint}", error.message),
            None => error.message,
        };
        let problem = wire::Problem {
            title: title.to_owned(),
            detail,
            status: status.as_u16(),
            kind: Some(format!("urn:impasto:{}", error.kind)),
            retry_after,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Who calls, by `Authorization: Bearer` (or `Token`, as old clients say).
pub(super) struct Who(pub(super) Caller);

impl FromRequestParts<App> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let secret = authorization(&parts.headers, &["bearer", "token"]);
        Ok(Self(app.caller(secret).await?))
    }
}

impl Who {
    /// The caller, if its key may do this.
    pub(super) fn may(self, scope: Scope) -> Result<Caller, Refusal> {
        match self.0.allow(scope) {
            Ok(()) => Ok(self.0),
            Err(error) => Err(Refusal { status: StatusCode::FORBIDDEN, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_an_error_for_clients() {
        for kind in ErrorKind::ALL {
            let response = Refusal::from(Error::new(kind, "no").retry_after(1_500)).into_response();
            assert!(response.status().as_u16() >= 400, "{kind}");
            assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        }
    }
}
