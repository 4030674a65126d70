//! Uploads, in every way in which clients of this dialect do them, and tokens.
//!
//! Where the address of a file must be known before its bytes are, it names the upload: whoever knows
//! that address may read the file, as everywhere with this dialect, and only who was told so may fill it.
//!
//! Invariants
//! - An upload is filled once. The same bytes again are no error, others are.
//! - An upload that is finished keeps one part, [`WHOLE`]: the file itself.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use impasto_dialects::fal::wire::{
    self, Initiate, Initiated, MultipartBegun, Part, Parts, TokenWish, UploadToken, Uploaded,
};
use impasto_domain::{AssetRef, Digest, Error, ErrorKind, Result, TenantId, rfc3339};
use impasto_store::{UploadPart, UploadRecord};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::call::{Asking, file, read};
use super::error::Fault;
use super::tokens::{self, Purpose};
use crate::app::App;
use crate::caller::{Caller, Scope, authorization};
use crate::files::{Base, suffix};
use crate::keys::drawn;
use crate::spool::joined;

/// Below what uploads are found that have an address before they have bytes.
const UPLOADS: &str = "/storage/u/";
/// The parameter that carries what allows to fill an upload.
const GRANT: &str = "grant";
/// The number of the part that is the whole file.
const WHOLE: u32 = 0;
/// How long an upload may take, in milliseconds.
const UPLOAD_MS: u64 = 24 * 3_600_000;
/// How long the address of a finished upload works, in milliseconds.
const KEPT_MS: u64 = 7 * UPLOAD_MS;
/// How long a token for uploads is good, in milliseconds.
const UPLOAD_TOKEN_MS: u64 = 3_600_000;
/// How long a token for calls is good if nobody says so, and at most, in seconds.
const CALL_TOKEN_S: (u64, u64) = (120, 24 * 3_600);
/// The most that is said in a small body.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a secret id.
const ID_BYTES: usize = 20;

type Answer = Result<Response, Fault>;

/// A request to a part of this face, `rest` or `cdn`.
struct Wish {
    asking: Asking,
    part: &'static str,
}

impl Wish {
    /// The request and its body.
    fn new(part: &'static str, base: Base, request: Request) -> (Self, Body) {
        let (parts, body) = request.into_parts();
        (Self { asking: Asking::new(&parts, base), part }, body)
    }

    fn root(&self) -> String {
        self.asking.root(self.part)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.asking.headers.get(name)?.to_str().ok()
    }

    fn media_type(&self) -> &str {
        self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default()
    }

    /// The name of the file, which may stand encoded in its header.
    fn file_name(&self) -> String {
        let name = self.header(wire::FILE_NAME).unwrap_or("upload.bin");
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    }

    /// Who uploads: one with a key, or with a token for uploads in its place.
    async fn uploader(&self, app: &App) -> Result<Caller> {
        let caller = match authorization(&self.asking.headers, &["bearer", "key"]) {
            Some(token) if token.contains('.') => {
                tokens::caller(app, token, Purpose::Uploads).await?
            }
            _ => self.asking.caller(app).await?,
        };
        caller.allow(Scope::Run)?;
        Ok(caller)
    }
}

/// What a small body says.
async fn said<T: DeserializeOwned>(body: Body) -> Result<T, Fault> {
    let bytes = read(body, SMALL_BYTES_MAX).await?;
    let bytes = if bytes.trim_ascii().is_empty() { Bytes::from_static(b"{}") } else { bytes };
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("the body is not what is needed: {error}")).into())
}

/// `POST storage/auth/token`
pub(super) async fn upload_token(State(app): State<App>, base: Base, request: Request) -> Response {
    let (wish, _) = Wish::new("rest", base, request);
    let given = async {
        let caller = wish.uploader(&app).await?;
        let expires_ms = app.now_ms().saturating_add(UPLOAD_TOKEN_MS);
        let token = UploadToken {
            token: tokens::give(&app, &caller, &[Purpose::Uploads], expires_ms)?,
            token_type: "Bearer".to_owned(),
            base_url: wish.root(),
            // The zone is written in full: some clients do not know the letter.
            expires_at: rfc3339(expires_ms).replace('Z', "+00:00"),
        };
        Ok::<_, Fault>(JsonBody(token).into_response())
    };
    given.await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST tokens/`
pub(super) async fn call_token(State(app): State<App>, base: Base, request: Request) -> Response {
    let (wish, body) = Wish::new("rest", base, request);
    let given = async {
        let caller = wish.asking.caller(&app).await?;
        caller.allow(Scope::Run)?;
        let TokenWish { allowed_apps, token_expiration } = said(body).await?;
        let seconds = token_expiration.unwrap_or(CALL_TOKEN_S.0).min(CALL_TOKEN_S.1);
        let purposes: Vec<Purpose<'_>> =
            allowed_apps.iter().map(|alias| Purpose::Call(alias)).collect();
        let expires_ms = app.now_ms().saturating_add(seconds * 1_000);
        let token = tokens::give(&app, &caller, &purposes, expires_ms)?;
        Ok::<_, Fault>(JsonBody(token).into_response())
    };
    given.await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST storage/upload/initiate` and `initiate-multipart`
pub(super) async fn initiate(State(app): State<App>, base: Base, request: Request) -> Response {
    let (wish, body) = Wish::new("rest", base, request);
    let begun = async {
        let caller = wish.uploader(&app).await?;
        let root = wish.root();
        let Initiate { file_name, content_type } = said(body).await?;
        let upload = begin(&app, &caller, &file_name, &content_type).await?;
        let file_url = upload.address(&root, &file_name);
        let expires_ms = app.now_ms().saturating_add(UPLOAD_MS);
        let grant = tokens::give(&app, &caller, &[Purpose::Upload(&upload.id)], expires_ms)?;
        let upload_url = format!("{file_url}?{GRANT}={grant}");
        Ok::<_, Fault>(JsonBody(Initiated { upload_url, file_url }).into_response())
    };
    begun.await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST files/upload`
pub(super) async fn upload(State(app): State<App>, base: Base, request: Request) -> Response {
    let (wish, body) = Wish::new("cdn", base, request);
    let uploaded = async {
        let caller = wish.uploader(&app).await?;
        let (media_type, name) = (wish.media_type().to_owned(), wish.file_name());
        let ending = suffix(Some(&media_type), Some(&name));
        let file = file(body, &ending, app.options().upload_bytes_max).await?;
        let asset = app.take_in_file(&caller, file.path(), file.digest, &name).await?;
        let access_url = app.file_url(&wish.asking.base, &caller, &asset);
        Ok::<_, Fault>(JsonBody(Uploaded { access_url }).into_response())
    };
    uploaded.await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST files/upload/multipart`
pub(super) async fn begin_parts(State(app): State<App>, base: Base, request: Request) -> Response {
    // The token says below which part: it is where this was asked for.
    let part = if request.uri().path().starts_with("/rest/") { "rest" } else { "cdn" };
    let (wish, _) = Wish::new(part, base, request);
    let begun = async {
        let caller = wish.uploader(&app).await?;
        let name = wish.file_name();
        let upload = begin(&app, &caller, &name, wish.media_type()).await?;
        let access_url = upload.address(&wish.root(), &name);
        let begun = MultipartBegun { access_url, upload_id: upload.id };
        Ok::<_, Fault>(JsonBody(begun).into_response())
    };
    begun.await.unwrap_or_else(IntoResponse::into_response)
}

/// Everything below the address of an upload.
pub(super) async fn below(
    State(app): State<App>,
    base: Base,
    Path(path): Path<String>,
    request: Request,
) -> Response {
    let method = request.method().clone();
    let (wish, body) = Wish::new("rest", base, request);
    let answer = async {
        let parts: Vec<&str> = path.split('/').collect();
        let (upload, rest) = match parts.as_slice() {
            [tenant, id, _name, rest @ ..] => (Upload::new(tenant, id), rest),
            _ => return Err(missing().into()),
        };
        // One dialect says once more which upload it is, the other does not.
        let rest = match rest {
            ["multipart", id, rest @ ..] if *id == upload.id => rest,
            rest => rest,
        };
        let reads = method == http::Method::GET || method == http::Method::HEAD;
        if reads && rest.is_empty() {
            return upload.send(&app, &wish.asking.headers).await;
        }
        let caller = upload.filler(&app, &wish).await?;
        let media_type = wish.media_type().to_owned();
        match (method.as_str(), rest) {
            ("PUT", []) => upload.fill(&app, &caller, body, &media_type).await,
            ("PUT", [number]) => {
                let number = number.parse().ok().filter(|number| *number != WHOLE);
                let number = number.ok_or_else(|| {
                    Error::invalid("that is no number of a part").hint("parts begin at 1")
                })?;
                upload.keep_part(&app, number, body).await
            }
            ("POST", ["complete"]) => {
                let wanted: Parts = said(body).await?;
                upload.complete(&app, &caller, wanted).await
            }
            _ => Err(Fault::method()),
        }
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

fn missing() -> Error {
    Error::not_found("there is no upload at this address").hint("begin it anew")
}

/// An upload that has an address before it has bytes.
struct Upload {
    tenant: TenantId,
    id: String,
}

/// Begins an upload.
async fn begin(app: &App, caller: &Caller, name: &str, media_type: &str) -> Result<Upload> {
    let id = format!("fal-{}", drawn::<ID_BYTES>()?);
    let upload = Upload { tenant: caller.tenant.clone(), id };
    upload.put(app, name, media_type, UPLOAD_MS).await?;
    Ok(upload)
}

impl Upload {
    fn new(tenant: &str, id: &str) -> Self {
        Self { tenant: TenantId::new(tenant), id: id.to_owned() }
    }

    /// The upload that an address names; none if it is not the address of one.
    fn of_address(url: &str) -> Option<Self> {
        let path = url.split_once(UPLOADS)?.1.split(['?', '#']).next()?;
        let (tenant, rest) = path.split_once('/')?;
        let tenant = percent_decode_str(tenant).decode_utf8().ok()?;
        Some(Self::new(&tenant, rest.split('/').next()?))
    }

    fn address(&self, root: &str, name: &str) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let plain: String = name
            .chars()
            .map(
                |sign| {
                    if sign.is_ascii_alphanumeric() || ".-_".contains(sign) { sign } else { '_' }
                },
            )
            .collect();
        let name = if plain.is_empty() { "file" } else { plain.as_str() };
        format!("{root}{UPLOADS}{}/{}/{name}", encoded(self.tenant.as_str()), self.id)
    }

    async fn put(&self, app: &App, name: &str, media_type: &str, for_ms: u64) -> Result<()> {
        let now_ms = app.now_ms();
        let record = UploadRecord {
            id: self.id.clone(),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            origin: super::call::FACE.to_owned(),
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(for_ms),
            parts: Vec::new(),
        };
        app.store().begin_upload(self.tenant.clone(), record).await
    }

    async fn record(&self, app: &App) -> Result<UploadRecord> {
        let found = app.store().upload(self.tenant.clone(), self.id.clone()).await?;
        let mine = |record: &UploadRecord| record.origin == super::call::FACE;
        found.filter(mine).ok_or_else(missing)
    }

    /// Who may fill it: one who was given a grant for it, or its owner.
    async fn filler(&self, app: &App, wish: &Wish) -> Result<Caller> {
        let caller = match wish.asking.query.get(GRANT) {
            Some(grant) => tokens::caller(app, grant, Purpose::Upload(&self.id)).await?,
            None => wish.uploader(app).await?,
        };
        if caller.tenant != self.tenant {
            return Err(missing());
        }
        Ok(caller)
    }

    /// The file, if it is there.
    async fn asset(&self, app: &App, record: &UploadRecord) -> Result<Option<AssetRef>> {
        match record.parts.iter().find(|part| part.number == WHOLE) {
            Some(whole) => app.asset(&self.tenant, whole.digest).await.map(Some),
            None => Ok(None),
        }
    }

    async fn send(&self, app: &App, headers: &HeaderMap) -> Answer {
        let record = self.record(app).await?;
        let asset = self.asset(app, &record).await?.ok_or_else(|| {
            Error::not_found("the upload is not finished").hint("upload the file first")
        })?;
        let reader = Caller::reader(self.tenant.clone());
        app.send(&reader, &asset, headers).await.or_else(|problem| Ok(problem.into_response()))
    }

    /// Takes the whole file.
    async fn fill(&self, app: &App, caller: &Caller, body: Body, media_type: &str) -> Answer {
        let record = self.record(app).await?;
        let known = if media_type.is_empty() { record.media_type.as_str() } else { media_type };
        let ending = suffix(Some(known), Some(&record.name));
        let file = file(body, &ending, app.options().upload_bytes_max).await?;
        let asset = app.take_in_file(caller, file.path(), file.digest, &record.name).await?;
        self.finish(app, &record, &asset).await?;
        Ok(([(header::ETAG, tag(&asset.digest))], JsonBody(serde_json::json!({}))).into_response())
    }

    async fn keep_part(&self, app: &App, number: u32, body: Body) -> Answer {
        let record = self.record(app).await?;
        let spooled = file(body, "", app.options().part_bytes_max as u64).await?;
        let others = record.parts.iter().filter(|part| part.number != number);
        check_size(app, spooled.bytes + others.map(|part| part.bytes).sum::<u64>())?;
        let (digest, bytes) = spooled.keep(app.pieces()).await?;
        let part = UploadPart { number, digest, bytes };
        app.store().put_part(self.tenant.clone(), self.id.clone(), part).await?;
        let told = Part { part_number: number, etag: format!("\"{digest}\"") };
        Ok(([(header::ETAG, tag(&digest))], JsonBody(told)).into_response())
    }

    /// Puts the parts together.
    async fn complete(&self, app: &App, caller: &Caller, wanted: Parts) -> Answer {
        let record = self.record(app).await?;
        let asset = match self.asset(app, &record).await? {
            // The answer of the first time did not arrive.
            Some(asset) => asset,
            None => {
                // Parts that came at the same time did not know of each other.
                check_size(app, record.parts.iter().map(|part| part.bytes).sum())?;
                let digests = parts_of(&record, wanted)?;
                let ending = suffix(Some(&record.media_type), Some(&record.name));
                let file = joined(Arc::clone(app.pieces()), digests, ending).await?;
                let asset =
                    app.take_in_file(caller, file.path(), file.digest, &record.name).await?;
                self.finish(app, &record, &asset).await?;
                asset
            }
        };
        let told =
            serde_json::json!({ "access_url": null, "etag": format!("\"{}\"", asset.digest) });
        Ok(JsonBody(told).into_response())
    }

    /// Notes the file that the upload became, and lets go of its parts.
    async fn finish(&self, app: &App, record: &UploadRecord, asset: &AssetRef) -> Result<()> {
        if let Some(whole) = record.parts.iter().find(|part| part.number == WHOLE) {
            if whole.digest == asset.digest {
                return Ok(());
            }
            let message = "the upload is finished, and these are other bytes";
            return Err(Error::new(ErrorKind::Conflict, message).hint("begin another upload"));
        }
        let ended = app.store().end_upload(self.tenant.clone(), self.id.clone()).await?;
        let Some(unused) = ended else {
            return Err(Error::new(ErrorKind::Conflict, "somebody else finishes this upload"));
        };
        self.put(app, &record.name, &record.media_type, KEPT_MS).await?;
        let whole = UploadPart { number: WHOLE, digest: asset.digest, bytes: asset.facts.bytes };
        app.store().put_part(self.tenant.clone(), self.id.clone(), whole).await?;
        let pieces = Arc::clone(app.pieces());
        let removing = tokio::task::spawn_blocking(move || {
            for digest in unused {
                // What stays takes room and harms nobody.
                let _stays = pieces.remove(&digest);
            }
        });
        removing.await.map_err(|_| Error::internal("removing parts panicked"))
    }
}

fn tag(digest: &Digest) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn check_size(app: &App, size: u64) -> Result<(), Fault> {
    let most = app.options().upload_bytes_max;
    if size <= most {
        return Ok(());
    }
    let message = format!("the parts have {size} bytes together, the most is {most}");
    Err(Fault::too_large(Error::invalid(message).hint("make the file smaller")))
}

/// The parts that make the file, in the order of their numbers, whatever order they are named in.
fn parts_of(record: &UploadRecord, mut wanted: Parts) -> Result<Vec<Digest>> {
    if wanted.parts.is_empty() {
        return Ok(record.parts.iter().map(|part| part.digest).collect());
    }
    wanted.parts.sort_by_key(|part| part.part_number);
    let digest = |wanted: &Part| {
        let number = wanted.part_number;
        let kept = record.parts.iter().find(|part| part.number == number);
        let kept = kept.ok_or_else(|| {
            Error::invalid(format!("part {number} was not uploaded")).hint("upload it first")
        })?;
        let named = wanted.etag.trim_matches('"');
        if !named.is_empty() && named != kept.digest.to_string() {
            let message = format!("part {number} has other bytes than its etag says");
            return Err(Error::invalid(message).hint("upload it again"));
        }
        Ok(kept.digest)
    };
    wanted.parts.iter().map(digest).collect()
}

/// The file at the address of an upload; none if it is not the address of one.
pub(crate) async fn uploaded(app: &App, caller: &Caller, url: &str) -> Result<Option<AssetRef>> {
    let Some(upload) = Upload::of_address(url) else { return Ok(None) };
    if upload.tenant != caller.tenant {
        return Err(missing());
    }
    let record = upload.record(app).await?;
    let asset = upload.asset(app, &record).await?.ok_or_else(|| {
        Error::invalid("the upload is not finished").hint("upload the file first")
    })?;
    Ok(Some(asset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_an_upload_says_which_it_is() {
        let upload = Upload::new("acme/x", "fal-12");
        let address = upload.address("https://a:1/fal/rest", "my photo.png");
        assert_eq!(address, "https://a:1/fal/rest/storage/u/acme%2Fx/fal-12/my_photo.png");
        let again = Upload::of_address(&address).unwrap();
        assert_eq!((again.tenant, again.id), (upload.tenant, upload.id));
        assert!(Upload::of_address("https://elsewhere/a.png").is_none());
    }

    #[test]
    fn parts_are_put_in_order_and_compared() {
        let part = |number: u32| UploadPart {
            number,
            digest: Digest::of(&number.to_be_bytes()),
            bytes: 1,
        };
        let record = UploadRecord {
            id: "u".into(),
            name: String::new(),
            media_type: String::new(),
            origin: String::new(),
            created_ms: 0,
            expires_ms: 0,
            parts: vec![part(1), part(2)],
        };
        let named = |number: u32, etag: &str| Part { part_number: number, etag: etag.to_owned() };
        let tag = |number: u32| format!("\"{}\"", part(number).digest);
        let check = |parts: Vec<Part>, expected: Option<Vec<u32>>| {
            let got = parts_of(&record, Parts { parts }).ok();
            let expected: Option<Vec<Digest>> =
                expected.map(|numbers| numbers.into_iter().map(|n| part(n).digest).collect());
            assert_eq!(got, expected);
        };
        check(vec![named(2, &tag(2)), named(1, &tag(1))], Some(vec![1, 2]));
        check(vec![], Some(vec![1, 2]));
        check(vec![named(1, "")], Some(vec![1]));
        check(vec![named(3, "")], None);
        check(vec![named(1, &tag(2))], None);
    }
}
