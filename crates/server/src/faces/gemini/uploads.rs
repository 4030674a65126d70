//! Uploads that can be resumed: begun, sent in pieces, finished.
//!
//! Invariants
//! - The address of an upload proves itself: clients send no key there.
//! - Pieces follow one another without a gap; the last one may be sent again.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use impasto_dialects::gemini::wire;
use impasto_domain::{Error, Result, TenantId};
use impasto_store::{UploadPart, UploadRecord};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::Failure;
use super::files::file;
use super::{Asked, FACE, json, parameter};
use crate::app::App;
use crate::caller::Caller;
use crate::faces::body::{parsed, spooled};
use crate::files::{Base, suffix};
use crate::keys::drawn;
use crate::spool::joined;

/// What the address of an upload is signed for.
const UPLOAD: &str = "gemini upload";
/// How long an upload may take, in milliseconds.
const UPLOAD_MS: u64 = 24 * 3_600_000;

/// `POST /upload/{version}/files`: begins an upload.
pub(super) async fn begin(asked: Asked, version: String, body: Body) -> Result<Response, Failure> {
    if asked.header("x-goog-upload-protocol") != Some("resumable") {
        return Err(Error::invalid("only resumable uploads are taken")
            .hint("send the header x-goog-upload-protocol: resumable")
            .into());
    }
    let bytes = asked.body(body).await?;
    let told: wire::FileEnvelope =
        if bytes.is_empty() { wire::FileEnvelope::default() } else { parsed(&bytes)? };
    let file = told.file;
    if file.name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Err(Error::invalid("files are named here by what is in them")
            .hint("leave `name` out and take the one of the answer")
            .into());
    }
    let size = asked.header("x-goog-upload-header-content-length").map(str::to_owned);
    check_size(&asked.app, size.or(file.size_bytes).as_deref())?;
    let media_type = asked.header("x-goog-upload-header-content-type").map(str::to_owned);
    let name =
        file.display_name.or_else(|| asked.header("x-goog-upload-file-name").map(str::to_owned));
    let now_ms = asked.app.now_ms();
    let record = UploadRecord {
        id: drawn::<16>()?,
        name: name.unwrap_or_default(),
        media_type: media_type.or(file.mime_type).unwrap_or_default(),
        origin: FACE.to_owned(),
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(UPLOAD_MS),
        parts: Vec::new(),
    };
    let (tenant, id) = (asked.caller.tenant.clone(), record.id.clone());
    asked.app.store().begin_upload(tenant.clone(), record).await?;
    let leave = asked.app.leave(UPLOAD, &format!("{tenant}\n{id}"));
    let tenant = utf8_percent_encode(tenant.as_str(), NON_ALPHANUMERIC);
    let address = format!(
        "{}/gemini/upload/{version}/files?upload_id={id}&tenant={tenant}&signature={leave}\
         &upload_protocol=resumable",
        asked.base.0
    );
    let mut response = told_where(Status::Active, None);
    let address = HeaderValue::from_str(&address)
        .map_err(|_| Error::internal("the address of an upload is none"))?;
    response.headers_mut().insert("x-goog-upload-url", address);
    Ok(response)
}

fn check_size(app: &App, told: Option<&str>) -> Result<()> {
    let size: u64 = told.and_then(|text| text.parse().ok()).unwrap_or_default();
    let most = app.options().upload_bytes_max;
    if size <= most {
        return Ok(());
    }
    let message = format!("the file has {size} bytes, the most is {most}");
    Err(Error::invalid(message).hint("make it smaller, or cut it"))
}

/// Where an upload stands.
#[derive(Clone, Copy)]
enum Status {
    Active,
    Final,
    Cancelled,
}

fn told_where(status: Status, received: Option<u64>) -> Response {
    with_status(StatusCode::OK.into_response(), status, received)
}

fn with_status(mut response: Response, status: Status, received: Option<u64>) -> Response {
    let word = match status {
        Status::Active => "active",
        Status::Final => "final",
        Status::Cancelled => "cancelled",
    };
    let headers = response.headers_mut();
    headers.insert("x-goog-upload-status", HeaderValue::from_static(word));
    if let Some(received) = received {
        headers.insert("x-goog-upload-size-received", HeaderValue::from(received));
    }
    response
}

/// An upload under way.
pub(super) struct Upload {
    pub(super) app: App,
    pub(super) base: Base,
    pub(super) version: String,
    pub(super) id: String,
    pub(super) query: String,
}

impl Upload {
    /// `POST` the address of an upload. What fails for good says so where clients look for it: they send
    /// a piece again if they do not hear where the upload stands.
    pub(super) async fn go_on(self, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
        match self.gone_on(headers, body).await {
            Err(failure) if failure.is_for_good() => {
                Ok(with_status(failure.into_response(), Status::Cancelled, None))
            }
            response => response,
        }
    }

    async fn gone_on(self, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
        let missing = || Error::not_found("there is no such upload").hint("begin it anew");
        let tenant = TenantId::new(parameter(&self.query, "tenant").unwrap_or_default());
        let signature = parameter(&self.query, "signature").unwrap_or_default();
        if !self.app.is_leave(UPLOAD, &format!("{tenant}\n{}", self.id), &signature) {
            return Err(missing().into());
        }
        let found = self.app.store().upload(tenant.clone(), self.id.clone()).await?;
        let mut record = found.filter(|record| record.origin == FACE).ok_or_else(missing)?;
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let commands = text("x-goog-upload-command").unwrap_or("upload, finalize");
        let wants = |wish| commands.split(',').any(|one| one.trim().eq_ignore_ascii_case(wish));
        if wants("cancel") {
            self.end(&tenant).await?;
            return Ok(told_where(Status::Cancelled, None));
        }
        if wants("upload") {
            let offset = text("x-goog-upload-offset").and_then(|offset| offset.parse().ok());
            self.put(&tenant, &mut record, offset, body).await?;
        }
        if wants("finalize") {
            return self.finish(tenant, record).await;
        }
        Ok(told_where(Status::Active, Some(received(&record))))
    }

    /// Keeps a piece behind those that there are, or in the place of the last one.
    async fn put(
        &self,
        tenant: &TenantId,
        record: &mut UploadRecord,
        offset: Option<u64>,
        body: Body,
    ) -> Result<(), Failure> {
        let there = received(record);
        let again = record.parts.last().filter(|last| Some(there - last.bytes) == offset);
        let again = again.filter(|_| offset != Some(there)).is_some();
        if again {
            record.parts.pop();
        } else if offset.is_some_and(|offset| offset != there) {
            let message =
                format!("a piece begins at {}, {there} bytes are there", offset.unwrap_or(0));
            return Err(Error::invalid(message).hint("go on where the upload stands").into());
        }
        let room = self.app.options().upload_bytes_max.saturating_sub(received(record));
        let piece = spooled(body, "", room).await?;
        if piece.bytes == 0 {
            return Ok(());
        }
        let (digest, size) = piece.keep(self.app.pieces()).await?;
        let number = record.parts.last().map_or(1, |last| last.number + 1);
        let part = UploadPart { number, digest, bytes: size };
        let store = self.app.store();
        store.put_part(tenant.clone(), self.id.clone(), part.clone()).await?;
        record.parts.push(part);
        Ok(())
    }

    /// Puts the pieces together and takes the file in.
    async fn finish(self, tenant: TenantId, record: UploadRecord) -> Result<Response, Failure> {
        let caller = Caller::reader(tenant.clone());
        let media_type = Some(record.media_type.as_str()).filter(|text| !text.is_empty());
        let name = Some(record.name.as_str()).filter(|text| !text.is_empty());
        let parts = record.parts.iter().map(|part| part.digest).collect();
        let pieces = Arc::clone(self.app.pieces());
        let whole = joined(pieces, parts, suffix(media_type, name)).await?;
        let taking = self.app.take_in_file(&caller, whole.path(), whole.digest, &record.name);
        let taken = taking.await.map_err(Failure::from);
        if taken.as_ref().err().is_none_or(Failure::is_for_good) {
            self.end(&tenant).await?;
        }
        let id = taken?.digest.to_string();
        let mut file = file(&self.app, &caller, (&self.base, &self.version), &id).await?;
        file.display_name = name.map(str::to_owned).or(file.display_name);
        Ok(with_status(json(&wire::FileEnvelope { file })?, Status::Final, None))
    }

    /// Ends the upload and lets go of its pieces.
    async fn end(&self, tenant: &TenantId) -> Result<()> {
        let unused = self.app.store().end_upload(tenant.clone(), self.id.clone()).await?;
        let pieces = Arc::clone(self.app.pieces());
        let removing = tokio::task::spawn_blocking(move || {
            for part in unused.unwrap_or_default() {
                // What stays takes room and harms nobody.
                let _stays = pieces.remove(&part);
            }
        });
        removing.await.map_err(|_| Error::internal("removing pieces panicked"))
    }
}

fn received(record: &UploadRecord) -> u64 {
    record.parts.iter().map(|part| part.bytes).sum()
}
