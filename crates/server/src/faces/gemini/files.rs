//! Files: looked at, listed, fetched, forgotten.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use impasto_dialects::gemini::wire;
use impasto_domain::{Digest, Error, Result, rfc3339};
use impasto_store::{AssetEntry, AssetRole};
use serde_json::json as value;

use super::error::Failure;
use super::{Asked, json};
use crate::app::{App, asset_of};
use crate::caller::Caller;
use crate::files::Base;

/// The media type of videos that are given out.
pub(super) const VIDEO: &str = "video/mp4";
/// The most files in one page.
const PAGE_MAX: u32 = 100;
/// Files in a page for those who do not say how many.
const PAGE: u32 = 10;

fn missing(id: &str) -> Error {
    Error::not_found(format!("there is no file 'files/{id}'")).hint("GET files lists them")
}

fn digest_of(id: &str) -> Result<Digest> {
    id.parse().map_err(|_| missing(id))
}

/// A file of the caller's, as it was known first.
pub(super) async fn file(
    app: &App,
    caller: &Caller,
    place: (&Base, &str),
    id: &str,
) -> Result<wire::File> {
    let found = app.store().asset(caller.tenant.clone(), digest_of(id)?).await?;
    shown(place, &found.ok_or_else(|| missing(id))?.first)
}

fn shown((base, version): (&Base, &str), entry: &AssetEntry) -> Result<wire::File> {
    let asset = asset_of(&entry.body)?;
    let name = format!("files/{}", asset.digest);
    let uri = format!("{}/gemini/{version}/{name}", base.0);
    let at = Some(rfc3339(entry.at_ms));
    let source = if entry.role == AssetRole::Output { "GENERATED" } else { "UPLOADED" };
    // Clients expect the digits of the checksum in base64.
    let checksum = STANDARD.encode(asset.digest.to_string());
    Ok(wire::File {
        name: Some(name),
        display_name: (!entry.name.is_empty()).then(|| entry.name.clone()),
        size_bytes: Some(asset.facts.bytes.to_string()),
        create_time: at.clone(),
        update_time: at,
        sha256_hash: Some(checksum),
        download_uri: Some(format!("{uri}:download?alt=media")),
        uri: Some(uri),
        state: Some("ACTIVE".to_owned()),
        source: Some(source.to_owned()),
        mime_type: Some(if asset.is_timeline() { VIDEO.to_owned() } else { asset.media_type }),
    })
}

/// `GET files/{id}`.
pub(super) async fn get(asked: Asked, version: String, id: String) -> Result<Response, Failure> {
    json(&file(&asked.app, &asked.caller, (&asked.base, &version), &id).await?)
}

/// `GET files`.
pub(super) async fn list(asked: Asked, version: String) -> Result<Response, Failure> {
    let size = asked.query("pageSize").and_then(|text| text.parse().ok());
    let size: u32 = size.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let before = match asked.query("pageToken").filter(|token| !token.is_empty()) {
        Some(token) => {
            Some(token.parse().map_err(|_| Error::invalid(format!("'{token}' is no page token")))?)
        }
        None => None,
    };
    let tenant = asked.caller.tenant.clone();
    let mut known = asked.app.store().assets(tenant, before, size + 1).await?;
    // Clients stumble over a page with nothing on it: there is a next one only if it has something.
    let more = known.len() > size as usize;
    known.truncate(size as usize);
    let next = known.last().filter(|_| more);
    let next_page_token = next.map(|record| record.number.to_string());
    let shown = known.iter().map(|record| shown((&asked.base, &version), &record.first));
    let files = shown.collect::<Result<_>>()?;
    json(&wire::FileList { files, next_page_token })
}

/// `DELETE files/{id}`.
pub(super) async fn delete(asked: Asked, id: String) -> Result<Response, Failure> {
    let tenant = asked.caller.tenant.clone();
    if asked.app.store().forget_asset(tenant, digest_of(&id)?).await? {
        return json(&value!({}));
    }
    Err(missing(&id).into())
}

/// `GET files/{id}:download`.
pub(super) async fn download(asked: Asked, id: String) -> Result<Response, Failure> {
    let asset = asked.app.asset(&asked.caller.tenant, digest_of(&id)?).await?;
    let whole = asked.app.whole(&asked.caller, &asset).await?;
    let bytes = asked.app.bytes(&asked.caller, &whole).await?;
    let mut response = Body::from(bytes).into_response();
    let media_type = HeaderValue::from_str(&whole.media_type);
    let media_type = media_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}
