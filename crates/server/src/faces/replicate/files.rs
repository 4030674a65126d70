//! Files: uploaded, listed, forgotten, and named in the input of a prediction.

use std::future::Future;
use std::pin::Pin;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use impasto_dialects::replicate::wire;
use impasto_domain::{Digest, Error, Result, TenantId, rfc3339};
use impasto_store::{AssetEntry, AssetRole};
use serde_json::{Value as Json, json};

use super::error::{Refusal, Who};
use super::predictions::{FACE, json};
use crate::app::{App, asset_of};
use crate::caller::{Caller, Scope};
use crate::faces::body::Form;
use crate::files::Base;

/// The end of the address of a file, before its id.
const FILES: &str = "/v1/files/";
/// The most files that are listed.
const LISTED_MAX: u32 = 1_000;

/// `POST /files`.
pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    base: Base,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Run)?;
    let (parts, body) = request.into_parts();
    let form = Form::read(&app, &parts.headers, body).await?;
    let (mut content, mut metadata) = (None, json!({}));
    for part in form.0 {
        match part.name.as_str() {
            "content" => content = Some(part),
            "metadata" => metadata = part.json()?,
            _ => {}
        }
    }
    let mut content = content.ok_or_else(|| {
        Error::invalid("`content` is missing").hint("send the file as the part `content` of a form")
    })?;
    let name = content.file_name.get_or_insert_with(|| "file".to_owned()).clone();
    content.media_type = content.media_type.filter(|is| is != "application/octet-stream");
    let asset = content.taken_in(&app, &caller).await?;
    note(&app, &caller.tenant, asset.digest, &name, metadata).await?;
    let shown = file(&app, &caller, &base, asset.digest).await?;
    Ok(json(StatusCode::CREATED, &shown)?)
}

/// Keeps what was noted with a file, as one more way in which it is known.
async fn note(
    app: &App,
    tenant: &TenantId,
    digest: Digest,
    name: &str,
    metadata: Json,
) -> Result<()> {
    let asset = app.asset(tenant, digest).await?;
    let mut body = serde_json::to_value(&asset)
        .map_err(|error| Error::internal(format!("it cannot be kept: {error}")))?;
    if let Some(body) = body.as_object_mut() {
        body.insert("metadata".to_owned(), metadata);
    }
    let at_ms = app.now_ms();
    let entry = AssetEntry {
        digest,
        body: body.to_string(),
        role: AssetRole::Upload,
        run: None,
        // Each upload is a way of its own in which the file is known.
        step: format!("{FACE} {at_ms}"),
        name: name.to_owned(),
        at_ms,
    };
    app.store().record_assets(tenant.clone(), vec![entry]).await
}

/// What is known of a file of the caller's.
async fn file(app: &App, caller: &Caller, base: &Base, digest: Digest) -> Result<wire::File> {
    let origins = app.store().asset_origins(caller.tenant.clone(), digest).await?;
    let noted = origins.iter().rev().find(|entry| entry.step.starts_with(FACE));
    let entry = noted.or_else(|| origins.first()).ok_or_else(|| missing(&digest.to_string()))?;
    shown(base, entry)
}

fn shown(base: &Base, entry: &AssetEntry) -> Result<wire::File> {
    let asset = asset_of(&entry.body)?;
    let mut body: Json = serde_json::from_str(&entry.body).unwrap_or_default();
    let metadata = body.get_mut("metadata").map_or_else(|| json!({}), Json::take);
    let id = asset.digest.to_string();
    Ok(wire::File {
        name: entry.name.clone(),
        content_type: asset.media_type,
        size: asset.facts.bytes,
        etag: id.clone(),
        checksums: wire::Checksums { sha256: id.clone() },
        metadata,
        created_at: rfc3339(entry.at_ms),
        expires_at: None,
        urls: wire::FileUrls { get: address(base, &id) },
        id,
    })
}

fn address(base: &Base, id: &str) -> String {
    format!("{}/replicate{FILES}{id}", base.0)
}

fn missing(id: &str) -> Error {
    Error::not_found(format!("there is no file '{id}'")).hint("GET /v1/files lists them")
}

fn digest_of(id: &str) -> Result<Digest> {
    id.parse().map_err(|_| missing(id))
}

/// `GET /files/{id}`.
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    base: Base,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Read)?;
    let shown = file(&app, &caller, &base, digest_of(&id)?).await?;
    Ok(json(StatusCode::OK, &shown)?)
}

/// `GET /files`: what was uploaded, newest first.
pub(super) async fn list(
    State(app): State<App>,
    who: Who,
    base: Base,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Read)?;
    let known = app.store().assets(caller.tenant.clone(), None, LISTED_MAX).await?;
    let mut results = Vec::new();
    for record in known.iter().filter(|record| record.first.role == AssetRole::Upload) {
        results.push(file(&app, &caller, &base, record.first.digest).await?);
    }
    Ok(json(StatusCode::OK, &wire::Page { previous: None, next: None, results })?)
}

/// `DELETE /files/{id}`.
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
) -> Result<Response, Refusal> {
    let caller = who.may(Scope::Run)?;
    if app.store().forget_asset(caller.tenant, digest_of(&id)?).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(missing(&id).into())
}

type Settling<'s> = Pin<Box<dyn Future<Output = Result<()>> + Send + 's>>;

/// Takes in every data URI of an input; its place is taken by the address of the file.
pub(super) fn settle<'s>(
    app: &'s App,
    caller: &'s Caller,
    base: &'s Base,
    input: &'s mut Json,
) -> Settling<'s> {
    Box::pin(async move {
        match input {
            Json::String(text) if is_data_uri(text) => {
                let asset = app.fetch_in(caller, text).await?;
                *text = address(base, &asset.digest.to_string());
            }
            Json::Array(items) => {
                for item in items {
                    settle(app, caller, base, item).await?;
                }
            }
            Json::Object(entries) => {
                for (name, entry) in entries {
                    let settled = settle(app, caller, base, entry).await;
                    settled.map_err(|error| error.context(format!("`{name}`")))?;
                }
            }
            _ => {}
        }
        Ok(())
    })
}

fn is_data_uri(text: &str) -> bool {
    let head = text.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    head.is_some_and(|(head, _)| {
        head.contains('/') && !head.contains(char::is_whitespace) && head.len() < 128
    })
}

/// Puts the files that addresses of ours stand for in their place.
pub(super) fn as_assets(input: &mut Json) {
    match input {
        Json::String(text) => {
            let id = text.rsplit_once(FILES).map(|(_, id)| id);
            if let Some(digest) = id.and_then(|id| id.parse::<Digest>().ok()) {
                *input = json!({ "asset": digest });
            }
        }
        Json::Array(items) => items.iter_mut().for_each(as_assets),
        Json::Object(entries) => entries.values_mut().for_each(as_assets),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_become_files_and_nothing_else_does() {
        let id = "ab".repeat(32);
        let mut input = json!({
            "image": format!("https://here/replicate/v1/files/{id}"),
            "images": [format!("https://here/v1/files/{id}"), "https://there/a.png"],
            "prompt": "data: the new oil, as a painting",
        });
        as_assets(&mut input);
        assert_eq!(
            input,
            json!({
                "image": {"asset": id},
                "images": [{"asset": id}, "https://there/a.png"],
                "prompt": "data: the new oil, as a painting",
            })
        );
        assert!(!is_data_uri("data: the new oil, as a painting"));
        assert!(is_data_uri("data:image/png;base64,AAAA"));
    }
}
