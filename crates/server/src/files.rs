//! Files: taken in from uploads, data URIs and foreign addresses; given out under signed addresses that
//! expire.
//!
//! Invariant: a file that comes from outside has been through the engine's importer before anything
//! else reads it.

use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::request::Parts;
use http::{HeaderMap, header};
use impasto_catalog::MaskForm;
use impasto_domain::{AssetRef, Digest, Error, Result, TenantId, Value};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::spool::{Spool, joined};

/// Files up to so many bytes are read where they are needed: another thread would take longer to come.
const READ_AT_ONCE_MAX: u64 = 64 * 1024;

/// Scheme and host as the client sees us, such as `https://queue.fal.localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base(pub(crate) String);

/// Put on a request by the listener: whether the connection is encrypted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted(pub(crate) bool);

impl FromRequestParts<App> for Base {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let forwarded = |name: &str| {
            let value = app.options().trust_proxy.then(|| text_of(&parts.headers, name)).flatten();
            value.map(str::to_owned)
        };
        let encrypted = parts.extensions.get::<Encrypted>().is_some_and(|Encrypted(is)| *is);
        let scheme = forwarded("x-forwarded-proto")
            .unwrap_or_else(|| if encrypted { "https" } else { "http" }.to_owned());
        let host = forwarded("x-forwarded-host")
            .or_else(|| text_of(&parts.headers, header::HOST.as_str()).map(str::to_owned))
            .or_else(|| parts.uri.authority().map(ToString::to_string))
            .unwrap_or_else(|| "localhost".to_owned());
        Ok(Self(format!("{scheme}://{host}")))
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A file that was taken in, as an input of a call.
pub(crate) fn named(asset: &AssetRef) -> Json {
    json!({ "asset": asset.digest })
}

impl App {
    /// The file that an input names: an address, a data URI, or one that was taken in.
    pub(crate) async fn file(&self, caller: &Caller, json: Json) -> Result<Value> {
        let needed = || {
            Error::invalid("a file is needed")
                .hint("give a URL, a data URI, or {\"asset\": \"<digest>\"} of an upload")
        };
        let asset = match json {
            Json::String(url) => self.fetch_in(caller, &url).await?,
            Json::Object(mut entries) => {
                let digest = entries
                    .remove("asset")
                    .or_else(|| entries.remove("$asset")?.get_mut("digest").map(Json::take));
                match (digest, entries.remove("url")) {
                    (Some(Json::String(digest)), _) => {
                        let digest = digest.parse().map_err(Error::invalid)?;
                        self.asset(&caller.tenant, digest).await?
                    }
                    (None, Some(Json::String(url))) => self.fetch_in(caller, &url).await?,
                    _ => return Err(needed()),
                }
            }
            _ => return Err(needed()),
        };
        Ok(Value::from(asset))
    }

    /// Takes bytes in as a file of the caller's. They are decoded where they can do no harm.
    pub(crate) async fn take_in(
        &self,
        caller: &Caller,
        bytes: Bytes,
        media_type: Option<&str>,
        name: Option<&str>,
    ) -> Result<AssetRef> {
        check_size(self, bytes.len() as u64)?;
        let suffix = suffix(media_type, name);
        let mut spool = Spool::begin(&suffix, self.options().upload_bytes_max)?;
        spool.write(&bytes).await.map_err(Problem::into_error)?;
        let file = spool.finish().await?;
        self.take_in_file(caller, file.path(), file.digest, name.unwrap_or_default()).await
    }

    /// Takes a file in that lies in a place of ours and has that digest.
    pub(crate) async fn take_in_file(
        &self,
        caller: &Caller,
        path: &Path,
        original: Digest,
        name: &str,
    ) -> Result<AssetRef> {
        let asset = match self.taken_in(&original) {
            Some(asset) => asset,
            None => {
                let _turn = self.intakes().acquire().await.map_err(|_| Error::cancelled())?;
                let (app, path) = (self.clone(), path.to_owned());
                let working = tokio::task::spawn_blocking(move || app.import(&path, original));
                working.await.map_err(|_| Error::internal("the importer panicked"))??
            }
        };
        self.remember(&caller.tenant, &asset, name).await?;
        Ok(asset)
    }

    /// A copy of a file that somebody else wrote, written anew, so that it can be read here; a file of
    /// ours is its own. Nobody is given the copy.
    pub(crate) async fn own_copy(&self, asset: &AssetRef) -> Result<AssetRef> {
        if !asset.facts.foreign {
            return Ok(asset.clone());
        }
        if let Some(known) = self.taken_in(&asset.digest) {
            return Ok(known);
        }
        let _turn = self.intakes().acquire().await.map_err(|_| Error::cancelled())?;
        let kept = vec![asset.digest];
        let ending = format!(".{}", asset.extension());
        let file = joined(Arc::clone(self.blobs()), kept, ending).await?;
        let app = self.clone();
        let working = tokio::task::spawn_blocking(move || app.import(file.path(), file.digest));
        working.await.map_err(|_| Error::internal("the importer panicked"))?
    }

    /// The mask that a task understands, for one that came in another form.
    pub(crate) async fn own_mask(
        &self,
        caller: &Caller,
        mask: AssetRef,
        form: MaskForm,
    ) -> Result<AssetRef> {
        let _turn = self.intakes().acquire().await.map_err(|_| Error::cancelled())?;
        let app = self.clone();
        let work = move || app.engine().convert_mask(&mask, form, MaskForm::White);
        let working = tokio::task::spawn_blocking(work);
        let own = working.await.map_err(|_| Error::internal("converting a mask panicked"))??;
        self.remember(&caller.tenant, &own, "mask").await?;
        Ok(own)
    }

    fn import(&self, path: &Path, original: Digest) -> Result<AssetRef> {
        let asset = self.engine().import(path).map_err(|error| {
            // Where we kept it is nobody's business.
            let place = path.display().to_string();
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            let bare = |text: String| {
                let quoted = |text: String, it: &str| text.replace(&format!("'{it}'"), it);
                let text = quoted(quoted(text, &place), &name);
                text.replace(&place, "the file").replace(&*name, "the file")
            };
            Error { message: bare(error.message), hint: error.hint.map(bare), ..error }
        })?;
        self.note_taken_in(original, &asset);
        Ok(asset)
    }

    /// The file at an address: one of ours, a data URI, or a foreign one.
    pub(crate) async fn fetch_in(&self, caller: &Caller, url: &str) -> Result<AssetRef> {
        if let Some(uri) = url.strip_prefix("data:") {
            let (media_type, bytes) = data_uri(uri)?;
            return self.take_in(caller, bytes, Some(&media_type), None).await;
        }
        if let Some(signed) = self.signed(url) {
            let signed = signed?;
            if signed.tenant != caller.tenant {
                return Err(Error::not_found(format!("there is no file at '{url}'")));
            }
            return self.asset(&caller.tenant, signed.digest).await;
        }
        if let Some(asset) = crate::faces::uploaded(self, caller, url).await? {
            return Ok(asset);
        }
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let shown: String = url.chars().take(60).collect();
            return Err(Error::invalid(format!("'{shown}' is no address of a file")).hint(
                "give a URL that begins with https:// or http://, a data URI, or upload the file",
            ));
        }
        let fetched = self.fetch().get(url.to_owned(), self.options().upload_bytes_max).await?;
        let name = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next());
        self.take_in(caller, fetched.bytes, fetched.media_type.as_deref(), name).await
    }

    /// The bytes of a file; a video that has been described is rendered.
    pub(crate) async fn bytes(&self, caller: &Caller, asset: &AssetRef) -> Result<Bytes> {
        let asset = self.whole(caller, asset).await?;
        let blobs = Arc::clone(self.blobs());
        if asset.facts.bytes <= READ_AT_ONCE_MAX {
            return blobs.get(&asset.digest).map(Bytes::from_owner);
        }
        let reading = tokio::task::spawn_blocking(move || blobs.get(&asset.digest));
        let bytes = reading.await.map_err(|_| Error::internal("reading a file panicked"))??;
        Ok(Bytes::from_owner(bytes))
    }

    /// The file itself, or the video that a description becomes; made once.
    pub(crate) async fn whole(&self, caller: &Caller, asset: &AssetRef) -> Result<AssetRef> {
        if !asset.is_timeline() {
            return Ok(asset.clone());
        }
        if let Some(rendered) = self.rendered(&asset.digest) {
            return Ok(rendered);
        }
        let (app, described) = (self.clone(), asset.clone());
        let working = tokio::task::spawn_blocking(move || {
            let bytes = app.engine().bytes(&described, Arc::new(|_, _| ()))?;
            let digest = app.blobs().put(&bytes)?;
            let mut facts = described.facts.clone();
            facts.bytes = bytes.len() as u64;
            Ok(AssetRef { digest, media_type: "video/mp4".to_owned(), facts })
        });
        let rendered: Result<AssetRef> =
            working.await.map_err(|_| Error::internal("the renderer panicked"))?;
        let rendered = rendered?;
        self.note_rendered(asset.digest, &rendered);
        self.remember(&caller.tenant, &rendered, "").await?;
        Ok(rendered)
    }

    /// The address of a file, signed and good for a while.
    pub(crate) fn file_url(&self, base: &Base, caller: &Caller, asset: &AssetRef) -> String {
        let extension = if asset.is_timeline() { DESCRIBED } else { asset.extension() };
        let file = format!("{}.{extension}", asset.digest);
        let expires = self.now_ms().saturating_add(self.options().file_url_ms) / 1000;
        let tenant = caller.tenant.as_str();
        let signature =
            URL_SAFE_NO_PAD.encode(self.mac(&file, expires, tenant).finalize().into_bytes());
        let tenant = utf8_percent_encode(tenant, NON_ALPHANUMERIC);
        format!("{}{FILES}{file}?expires={expires}&tenant={tenant}&signature={signature}", base.0)
    }

    fn mac(&self, file: &str, expires: u64, tenant: &str) -> Hmac<Sha256> {
        self.derive("file", &format!("{file}\n{expires}\n{tenant}"))
    }

    /// What a signed address of ours stands for; none if it is no address of ours at all.
    pub(crate) fn signed(&self, url: &str) -> Option<Result<Signed>> {
        let at = url.find(FILES)?;
        let rest = url.get(at + FILES.len()..)?;
        let (file, query) = rest.split_once('?')?;
        let part = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let expires: u64 = part("expires")?.parse().ok()?;
        let tenant = percent_decode_str(part("tenant")?).decode_utf8().ok()?.into_owned();
        let signature = URL_SAFE_NO_PAD.decode(part("signature")?).ok()?;
        self.mac(file, expires, &tenant).verify_slice(&signature).ok()?;
        let (digest, _extension) = file.split_once('.')?;
        let signed = Signed { digest: digest.parse().ok()?, tenant: TenantId::new(tenant) };
        if expires.saturating_mul(1000) < self.now_ms() {
            let message = "the address of the file has expired";
            return Some(
                Err(Error::not_found(message).hint("ask for the run again for a new one")),
            );
        }
        Some(Ok(signed))
    }
}

/// Where files are found.
const FILES: &str = "/files/";
/// The extension of the address of a video that has been described and not rendered yet.
pub(crate) const DESCRIBED: &str = "timeline.mp4";

/// What a signed address stands for.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) digest: Digest,
    pub(crate) tenant: TenantId,
}

/// Refuses a file that is too large to be taken in.
pub(crate) fn check_size(app: &App, bytes: u64) -> Result<()> {
    let most = app.options().upload_bytes_max;
    if bytes <= most {
        return Ok(());
    }
    let message = format!("the file has {bytes} bytes, the most is {most}");
    Err(Error::invalid(message).hint("make it smaller, or cut it"))
}

/// The end of the name of a file that is looked at: it may help to tell what it is.
pub(crate) fn suffix(media_type: Option<&str>, name: Option<&str>) -> String {
    let of_name = name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    let of_type = media_type.and_then(|media_type| {
        let (_, kind) = media_type.split(';').next()?.trim().split_once('/')?;
        Some(kind.rsplit(['-', '.', '+']).next().unwrap_or(kind))
    });
    let usable = |extension: &&str| {
        (1..=8).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let extension = of_name.filter(usable).or(of_type.filter(usable));
    extension.map(|extension| format!(".{}", extension.to_ascii_lowercase())).unwrap_or_default()
}

/// The media type and the bytes of what follows `data:`.
fn data_uri(uri: &str) -> Result<(String, Bytes)> {
    let bad = |why: &str| {
        Error::invalid(format!("a data URI {why}")).hint("write data:image/png;base64,iVBOR…")
    };
    let (head, data) = uri.split_once(',').ok_or_else(|| bad("has no comma"))?;
    let (media_type, bytes) = match head.strip_suffix(";base64") {
        Some(media_type) => {
            let decoded = if data.contains('%') {
                STANDARD.decode(percent_decode_str(data).collect::<Vec<u8>>())
            } else {
                STANDARD.decode(data)
            };
            (media_type, decoded.map_err(|error| bad(&format!("is not base64: {error}")))?)
        }
        None => (head, percent_decode_str(data).collect()),
    };
    let media_type = if media_type.is_empty() { "text/plain" } else { media_type };
    Ok((media_type.to_owned(), bytes.into()))
}
