//! Files: fetched, whole or in part.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};
use impasto_domain::{Digest, Error};

use super::extract::Named;
use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// The digest that a path names. What is no digest is nothing that there is.
fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|why: String| Error::not_found(why).into())
}

/// `GET /v1/assets/{digest}/content`
pub(super) async fn content(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    let asset = app.asset(&caller.tenant, digest(&name)?).await?;
    app.send(&caller, &asset, &headers).await
}

/// `GET /files/{file}`
pub(super) async fn file(
    State(app): State<App>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let missing = || {
        Error::not_found("there is no file at this address")
            .hint("addresses of files are given by answers and work as they are, for a while")
    };
    let signed = app.signed(&uri.to_string()).ok_or_else(missing)??;
    let caller = Caller::reader(signed.tenant);
    let asset = app.asset(&caller.tenant, signed.digest).await?;
    app.send(&caller, &asset, &headers).await
}
