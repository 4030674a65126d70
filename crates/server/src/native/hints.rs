//! Hints of providers: each makes us ask for a job now that we would have asked for later anyway.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use http_body_util::BodyExt;
use impasto_domain::Error;

use super::extract::Named;
use crate::app::App;
use crate::problem::Problem;

/// `POST /v1/hints/{hint}`
///
/// What it says is not read: whoever wants to know asks the provider. It comes to its end all the same,
/// as far as that is not too far, because a sender who is cut off sends again.
pub(super) async fn take(
    State(app): State<App>,
    Named(ticket): Named<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let name = app.hinted(&ticket).ok_or_else(|| {
        Error::not_found("there is nothing at this address")
            .hint("addresses for hints are given to providers and work as they are")
    })?;
    app.engine().hint(name);
    let (wait, most) = (app.options().hint_wait_ms, app.options().hint_bytes_max);
    let _in_time = tokio::time::timeout(Duration::from_millis(wait), let_pass(body, most)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a body pass without keeping anything of it, until it ends, breaks off or is too long.
async fn let_pass(mut body: Body, bytes_max: u64) {
    let mut passed = 0;
    while let Some(Ok(frame)) = body.frame().await {
        passed += frame.data_ref().map_or(0, |piece| piece.len() as u64);
        if passed > bytes_max {
            return;
        }
    }
}
