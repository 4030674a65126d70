//! The page of each code that an error is told by, at the address that the error names.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::problem::Problem;

/// The pages, by code.
pub(super) const PAGES: [(&str, &str); 20] = [
    ("budget_exceeded", include_str!("../../../../docs/errors/budget_exceeded.md")),
    ("cancelled", include_str!("../../../../docs/errors/cancelled.md")),
    ("conflict", include_str!("../../../../docs/errors/conflict.md")),
    ("forbidden", include_str!("../../../../docs/errors/forbidden.md")),
    ("idempotency_key_reused", include_str!("../../../../docs/errors/idempotency_key_reused.md")),
    ("in_doubt", include_str!("../../../../docs/errors/in_doubt.md")),
    ("internal", include_str!("../../../../docs/errors/internal.md")),
    ("invalid_input", include_str!("../../../../docs/errors/invalid_input.md")),
    ("method_not_allowed", include_str!("../../../../docs/errors/method_not_allowed.md")),
    ("not_found", include_str!("../../../../docs/errors/not_found.md")),
    ("provider_failed", include_str!("../../../../docs/errors/provider_failed.md")),
    ("range_not_satisfiable", include_str!("../../../../docs/errors/range_not_satisfiable.md")),
    ("rate_limited", include_str!("../../../../docs/errors/rate_limited.md")),
    ("refused", include_str!("../../../../docs/errors/refused.md")),
    ("request_timeout", include_str!("../../../../docs/errors/request_timeout.md")),
    ("timeout", include_str!("../../../../docs/errors/timeout.md")),
    ("too_large", include_str!("../../../../docs/errors/too_large.md")),
    ("unauthorized", include_str!("../../../../docs/errors/unauthorized.md")),
    ("unavailable", include_str!("../../../../docs/errors/unavailable.md")),
    ("unsupported_media_type", include_str!("../../../../docs/errors/unsupported_media_type.md")),
];

/// `GET /docs/errors/{code}`
pub(super) async fn page(Path(code): Path<String>) -> Response {
    let name = code.strip_suffix(".md").unwrap_or(&code);
    match PAGES.iter().find(|(known, _)| *known == name) {
        Some((_, page)) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], *page).into_response()
        }
        None => Problem::no_route(&format!("/docs/errors/{code}")).into_response(),
    }
}
