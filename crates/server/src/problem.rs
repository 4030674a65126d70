//! Errors as the native API tells them: `application/problem+json` with a code that has a page.
//!
//! This table of kinds and statuses is the native one; every face has its own.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use impasto_domain::{Error, ErrorKind, Side};

/// Where the page of a code is, on this server.
const PAGES: &str = "/docs/errors/";

/// An error with the status and the code under which it is told.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    error: Error,
}

/// The status of each kind.
pub(crate) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Cancelled | ErrorKind::InDoubt => StatusCode::CONFLICT,
        ErrorKind::BudgetExceeded => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::ProviderFailed => StatusCode::BAD_GATEWAY,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Codes that are no kind: what HTTP itself has to say.
pub(crate) mod code {
    pub(crate) const FORBIDDEN: &str = "forbidden";
    pub(crate) const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    pub(crate) const TOO_LARGE: &str = "too_large";
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    pub(crate) const RANGE_NOT_SATISFIABLE: &str = "range_not_satisfiable";
    pub(crate) const REQUEST_TIMEOUT: &str = "request_timeout";
    pub(crate) const IDEMPOTENCY_KEY_REUSED: &str = "idempotency_key_reused";

    /// Every one of them.
    #[cfg(test)]
    pub(crate) const ALL: [&str; 7] = [
        FORBIDDEN,
        METHOD_NOT_ALLOWED,
        TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        RANGE_NOT_SATISFIABLE,
        REQUEST_TIMEOUT,
        IDEMPOTENCY_KEY_REUSED,
    ];
}

impl Problem {
    pub(crate) fn with(status: StatusCode, code: &'static str, error: Error) -> Self {
        Self { status, code, error }
    }

    /// The caller is known and may not do this.
    pub(crate) fn forbidden(message: impl Into<String>, hint: &str) -> Self {
        let error = Error::new(ErrorKind::Unauthorized, message).hint(hint);
        Self::with(StatusCode::FORBIDDEN, code::FORBIDDEN, error)
    }

    pub(crate) fn too_large(bytes_max: u64) -> Self {
        let message = format!("the body is too large, the most is {bytes_max} bytes");
        let error = Error::invalid(message).hint("upload files in parts and name them in the call");
        Self::with(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, error)
    }

    pub(crate) fn unsupported_media_type(given: &str, wanted: &str) -> Self {
        let error = Error::invalid(format!("the body is '{given}', this takes {wanted}"))
            .hint(format!("send {wanted} and say so in the header content-type"));
        Self::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::UNSUPPORTED_MEDIA_TYPE, error)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let error = Error::invalid("this address does not take that method")
            .hint("the header allow says which it takes; /docs has every route");
        Self::with(StatusCode::METHOD_NOT_ALLOWED, code::METHOD_NOT_ALLOWED, error)
    }

    pub(crate) fn no_route(path: &str) -> Self {
        Error::not_found(format!("there is nothing at '{path}'")).hint("see /docs").into()
    }

    pub(crate) fn range_not_satisfiable(size: u64) -> Self {
        let error = Error::invalid(format!("the file has {size} bytes, there is nothing there"))
            .hint("ask for bytes that it has, or leave the header range out");
        Self::with(StatusCode::RANGE_NOT_SATISFIABLE, code::RANGE_NOT_SATISFIABLE, error)
    }

    pub(crate) fn request_timeout() -> Self {
        let error = Error::new(ErrorKind::Timeout, "the body stood still for too long")
            .hint("send it again")
            .retryable();
        let error = Error { side: Side::Caller, ..error };
        Self::with(StatusCode::REQUEST_TIMEOUT, code::REQUEST_TIMEOUT, error)
    }

    /// The same error under a code of its own.
    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The error alone, for those who tell errors in another way.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }

    /// What it says.
    pub(crate) fn view(&self) -> impasto_api::Problem {
        let error = &self.error;
        let side = match error.side {
            Side::Ours => "ours",
            Side::Caller => "caller",
            Side::Provider => "provider",
        };
        impasto_api::Problem {
            page: format!("{PAGES}{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: error.message.clone(),
            hint: error.hint.clone(),
            side: side.to_owned(),
            retry: error.retry,
            retry_after_ms: error.retry_after_ms,
            offer: error.offer.as_ref().map(ToString::to_string),
        }
    }
}

/// The code in words.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { status: status_of(error.kind), code: error.kind.as_str(), error }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(code = self.code, error = %self.error.message, "a call failed");
        }
        let body = serde_json::to_vec(&self.view()).unwrap_or_default();
        let mut response = (self.status, Bytes::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after_ms) = self.error.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after_ms.div_ceil(1000)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
