//! Files that come back: fetched at once, checked for size and type, and taken in by one door.
//!
//! Some links live twenty minutes, so an attempt is not over before its files are here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use impasto_catalog::{FileSource, FoundFile, Outputs};
use impasto_domain::{
    AssetRef, Error, ErrorKind, MediaFacts, MediaKind, Result, SPLATS_MEDIA_TYPE, Type, Values,
    Workbench,
};
use impasto_net::{BoxFuture, Cause, NetError, Stage};
use serde_json::Value as Json;

use super::{Account, Answer, Ask, Purpose};
use crate::inline;
use crate::sound::Samples;

/// What a file is where nobody says: nothing that a browser would run.
const ANY_TYPE: &str = "application/octet-stream";

/// The bytes of a file that came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Bytes,
    /// What it is, if anybody said.
    pub media_type: Option<String>,
    /// The link that it came by.
    pub link: Option<String>,
}

/// How a dialect fetches a file that an answer only names.
pub trait FetchItem: Send + Sync {
    /// Fetches what `item` names.
    fn fetch<'f>(
        &'f self,
        account: &'f Account<'f>,
        item: &'f Json,
    ) -> BoxFuture<'f, Result<Fetched>>;
}

/// For answers that have all files or link to them.
pub struct NoItems;

impl FetchItem for NoItems {
    fn fetch<'f>(
        &'f self,
        account: &'f Account<'f>,
        _item: &'f Json,
    ) -> BoxFuture<'f, Result<Fetched>> {
        let message = format!("`{}` does not say how to fetch a named file", account.provider.id);
        Box::pin(async move { Err(Error::internal(message)) })
    }
}

impl Account<'_> {
    /// The output that an answer holds, with its files fetched and taken in.
    ///
    /// # Errors
    /// There is no output, or a file cannot be fetched or is not what it should be. An error that is
    /// retryable says that fetching again may help.
    pub async fn take_in(
        &self,
        outputs: &Outputs,
        answer: &Answer,
        items: &dyn FetchItem,
        bench: &Arc<dyn Workbench>,
    ) -> Result<Values> {
        let read = outputs.read(&answer.json)?;
        let mut assets = Vec::with_capacity(read.files.len());
        for few in read.files.chunks(self.hosted.options().fetches_at_once.max(1)) {
            let coming = few.iter().map(|file| {
                let coming: BoxFuture<'_, Result<AssetRef>> =
                    Box::pin(self.bring_in(file, answer, items, bench));
                coming
            });
            assets.extend(try_join_all(coming).await?);
        }
        Ok(read.into_values(assets))
    }

    async fn bring_in(
        &self,
        file: &FoundFile,
        answer: &Answer,
        items: &dyn FetchItem,
        bench: &Arc<dyn Workbench>,
    ) -> Result<AssetRef> {
        let named = |error: Error| error.context(format!("`{}`", file.output));
        let mut fetched = match &file.source {
            FileSource::Url(url) => self.fetch(url).await.map_err(named)?,
            FileSource::Item(item) => items.fetch(self, item).await.map_err(named)?,
            FileSource::Base64(text) => from_base64(text).map_err(named)?,
            FileSource::Hex(text) => from_hex(text).map_err(named)?,
            FileSource::Body => {
                Fetched { bytes: answer.bytes.clone(), media_type: answer.media_type(), link: None }
            }
        };
        if let Some(media_type) = &file.media_type {
            fetched.media_type = Some(media_type.clone());
        }
        self.keep(fetched, kind_of(&file.ty), bench).await.map_err(named)
    }

    /// Fetches what a URL of an answer leads to, which may be a `data:` URI. What fails is tried
    /// again a few times.
    ///
    /// # Errors
    /// It cannot be fetched. The error is retryable if it may be there later.
    pub async fn fetch(&self, url: &str) -> Result<Fetched> {
        if let Some(rest) = url.strip_prefix("data:") {
            return from_data_uri(rest);
        }
        let options = self.hosted.options();
        let mut wait = Duration::from_millis(options.fetch_wait_ms);
        for _ in 1..options.fetch_tries.max(1) {
            match self.fetch_once(url).await {
                Err(error) if error.retry || error.kind == ErrorKind::NotFound => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                settled => return settled,
            }
        }
        self.fetch_once(url).await.map_err(gone)
    }

    /// Sends a request whose answer is a file. What fails is tried again a few times.
    ///
    /// # Errors
    /// It cannot be fetched. The error is retryable if it may be there later.
    pub async fn ask_for_file(&self, ask: &Ask) -> Result<Answer> {
        let options = self.hosted.options();
        let mut wait = Duration::from_millis(options.fetch_wait_ms);
        for _ in 1..options.fetch_tries.max(1) {
            match self.ask(ask, Purpose::Ask).await {
                Err(error) if error.retry || error.kind == ErrorKind::NotFound => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                settled => return settled,
            }
        }
        self.ask(ask, Purpose::Ask).await.map_err(gone)
    }

    async fn fetch_once(&self, url: &str) -> Result<Fetched> {
        let mut request = self.foreign("GET", url).map_err(|error| not_usable(&error))?;
        if self.is_at_a_base(url) {
            request = self.with_credential(request)?;
        }
        let response = self.way_out().await?.send(request).await;
        let mut response = response.map_err(|error| lost(&error))?;
        let (status, place) = (response.status(), response.place());
        if !response.is_success() {
            let message = format!("the link to its result at {place} answers {status}");
            let error = Error::new(ErrorKind::ProviderFailed, message);
            return Err(match status {
                404 => Error { kind: ErrorKind::NotFound, ..error },
                408 | 425 | 429 | 500.. => error.retryable(),
                _ => error,
            });
        }
        let media_type = response.media_type();
        let bytes = response.bytes().await.map_err(|error| lost(&error))?;
        Ok(Fetched { bytes, media_type, link: Some(url.to_owned()) })
    }

    /// Makes an asset of bytes from outside: the one door by which anything comes in.
    ///
    /// Pictures, films, sounds and meshes are decoded and checked by the importer; what else there is
    /// is kept as it came, under a type that nothing runs.
    ///
    /// # Errors
    /// They are not what they should be.
    pub async fn keep(
        &self,
        fetched: Fetched,
        wanted: MediaKind,
        bench: &Arc<dyn Workbench>,
    ) -> Result<AssetRef> {
        let Fetched { mut bytes, media_type, link } = fetched;
        // Bare samples could not be told from noise.
        if let Some(samples) = media_type.as_deref().and_then(Samples::of_media_type)
            && wanted == MediaKind::Audio
            && !bytes.starts_with(b"RIFF")
        {
            bytes = samples.wav(&bytes).into();
        }
        let is_page = |kind: &str| {
            kind == "text/html"
                || (wanted != MediaKind::Other && matches!(kind, "application/json" | "text/plain"))
        };
        let is_decoded = !matches!(wanted, MediaKind::World | MediaKind::Other);
        if let Some(page) = media_type.as_deref().filter(|kind| is_page(kind)) {
            let message = format!("the provider gave {page} where {} was to be", a(wanted));
            return Err(Error::new(ErrorKind::ProviderFailed, message));
        }
        let (door, bench) = (Arc::clone(&self.hosted.inner.door), Arc::clone(bench));
        let working = tokio::task::spawn_blocking(move || {
            if is_decoded {
                door.keep(&bytes, "a result", &*bench)
            } else {
                let media_type = match wanted {
                    MediaKind::World => SPLATS_MEDIA_TYPE.to_owned(),
                    _ => harmless(media_type),
                };
                bench.write(bytes.to_vec(), &media_type, MediaFacts::default())
            }
        });
        let asset = working.await.map_err(|_| Error::internal("taking a file in panicked"))?;
        let asset = asset.map_err(|error| match error.kind {
            ErrorKind::InvalidInput => Error::new(ErrorKind::ProviderFailed, error.message),
            _ => error,
        })?;
        if is_decoded && asset.kind() != wanted {
            let message =
                format!("the provider gave {} where {} was to be", a(asset.kind()), a(wanted));
            return Err(Error::new(ErrorKind::ProviderFailed, message));
        }
        if let Some(link) = link {
            let kept = Duration::from_secs(self.hosted.options().own_link_kept_s);
            self.hosted.inner.remembered.keep(&self.provider.id, asset.digest, link, kept);
        }
        Ok(asset)
    }
}

/// What a provider does not find of its own is its failure, not the caller's.
fn gone(error: Error) -> Error {
    match error.kind {
        ErrorKind::NotFound => Error { kind: ErrorKind::ProviderFailed, ..error },
        _ => error,
    }
}

fn a(kind: MediaKind) -> String {
    let article = if matches!(kind, MediaKind::Image | MediaKind::Audio) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// The type under which a file is kept that nobody here decodes.
fn harmless(told: Option<String>) -> String {
    let runs = ["html", "xml", "svg", "script"];
    told.filter(|told| told.starts_with("application/") || told.starts_with("model/"))
        .filter(|told| !runs.iter().any(|word| told.contains(word)))
        .unwrap_or_else(|| ANY_TYPE.to_owned())
}

/// What an output is to be.
pub(crate) fn kind_of(ty: &Type) -> MediaKind {
    match ty {
        Type::Media(kind) => *kind,
        Type::List(item) => kind_of(item),
        _ => MediaKind::Other,
    }
}

/// A URL of an answer that cannot be asked is the provider's fault, not the caller's.
fn not_usable(error: &Error) -> Error {
    Error::new(ErrorKind::ProviderFailed, format!("the link to its result: {}", error.message))
}

fn lost(error: &NetError) -> Error {
    let message = format!("the link to its result: {error}");
    let told = Error::new(ErrorKind::ProviderFailed, message);
    let not_ours = matches!(error.cause, Cause::BadUrl | Cause::Refused);
    let again = error.is_transient() || matches!(error.stage, Stage::Answered(500..));
    if again && !not_ours { told.retryable() } else { told }
}

fn not_readable(error: &Error) -> Error {
    Error::new(
        ErrorKind::ProviderFailed,
        format!("the file inside of the answer: {}", error.message),
    )
}

fn from_base64(text: &str) -> Result<Fetched> {
    if let Some(rest) = text.strip_prefix("data:") {
        return from_data_uri(rest);
    }
    let bytes = inline::decode(text.trim()).map_err(|error| not_readable(&error))?;
    Ok(Fetched { bytes, ..Fetched::default() })
}

fn from_hex(text: &str) -> Result<Fetched> {
    let digit = |char: u8| char::from(char).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.trim().as_bytes().chunks(2).map(pair).collect();
    let bytes = bytes.ok_or_else(|| not_readable(&Error::invalid("it is not hexadecimal")))?;
    Ok(Fetched { bytes: bytes.into(), ..Fetched::default() })
}

fn from_data_uri(rest: &str) -> Result<Fetched> {
    let bad = || not_readable(&Error::invalid("its data URI is cut off"));
    let (head, data) = rest.split_once(',').ok_or_else(bad)?;
    let is_base64 = head.ends_with(";base64");
    let media_type = head.split(';').next().filter(|kind| !kind.is_empty()).map(str::to_owned);
    let bytes = if is_base64 {
        inline::decode(data).map_err(|error| not_readable(&error))?
    } else {
        Bytes::copy_from_slice(data.as_bytes())
    };
    Ok(Fetched { bytes, media_type, link: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_inside_of_answers_are_read() {
        assert_eq!(&from_hex("00fF10").unwrap().bytes[..], [0, 255, 16]);
        assert!(from_hex("0").is_err() && from_hex("0g").is_err());
        let uri = from_base64("data:image/png;base64,YWJj").unwrap();
        assert_eq!((&uri.bytes[..], uri.media_type.as_deref()), (&b"abc"[..], Some("image/png")));
        assert_eq!(&from_base64("YWJj\n").unwrap().bytes[..], b"abc");
        assert!(from_data_uri("image/png;base64").is_err());
    }

    #[test]
    fn what_is_kept_as_it_came_is_nothing_that_runs() {
        let of = |told: &str| harmless(Some(told.to_owned()));
        assert_eq!(of("application/zip"), "application/zip");
        for told in
            ["text/html", "application/xhtml+xml", "image/svg+xml", "application/javascript"]
        {
            assert_eq!(of(told), ANY_TYPE);
        }
        assert_eq!(harmless(None), ANY_TYPE);
    }
}
