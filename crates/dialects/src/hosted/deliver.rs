//! Files that go to a provider: uploaded first, inside of the request, or by a link that it gave us.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use impasto_catalog::{Body, Encoding, FileForm, FilePart, Put, Upload};
use impasto_domain::{AssetRef, Error, ErrorKind, Result, Value, Values, Workbench};
use impasto_net::{BoxFuture, Grade, Limits, Multipart, Request};
use serde_json::Value as Json;

use super::{Account, Answer, Ask, Part, PartContent, Payload, Purpose, ask_for, sent_by};

/// A file that is to go to a provider.
#[derive(Clone, Debug)]
pub struct OutgoingFile {
    /// The asset.
    pub asset: AssetRef,
    /// What it is called there.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A file that is with a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What names it there: a URL or an id.
    pub name: String,
    /// How long it is kept, in seconds, if anybody says.
    pub kept_s: Option<u64>,
}

/// How a dialect brings files to its providers.
pub trait Uploads: Send + Sync {
    /// Brings a file there; nothing if the provider takes no uploads.
    fn bring<'f>(
        &'f self,
        account: &'f Account<'f>,
        file: &'f OutgoingFile,
    ) -> BoxFuture<'f, Result<Option<Delivered>>>;
}

/// Brings files as the provider's file says, if it says how.
pub struct ByFile;

impl Uploads for ByFile {
    fn bring<'f>(
        &'f self,
        account: &'f Account<'f>,
        file: &'f OutgoingFile,
    ) -> BoxFuture<'f, Result<Option<Delivered>>> {
        Box::pin(async move {
            match &account.provider.upload {
                Some(upload) => account.upload(upload, file).await.map(Some),
                None => Ok(None),
            }
        })
    }
}

impl Account<'_> {
    /// Refuses a body with a file that the provider takes only by an address, where there is none: its
    /// file describes no upload, the file is not one that it gave us a moment ago, and nobody reaches
    /// us to fetch it. Nothing was sent yet, so another offer can be taken.
    ///
    /// # Errors
    /// A file has no way there. The message names the input.
    pub fn check_ways(&self, body: &Body, input: &Values, bench: &dyn Workbench) -> Result<()> {
        if self.provider.upload.is_some() {
            return Ok(());
        }
        let has_none = |file: &&FilePart| {
            matches!(file.form, FileForm::Url | FileForm::Upload)
                && !(file.form == FileForm::Url && bench.address(&file.asset).is_some())
                && self
                    .hosted
                    .inner
                    .remembered
                    .find(&self.provider.id, &file.asset.digest)
                    .is_none()
        };
        let Some(file) = body.files().into_iter().find(has_none) else { return Ok(()) };
        let holds =
            |value: &Value| value.assets().iter().any(|asset| asset.digest == file.asset.digest);
        let named = input.iter().find(|(_, value)| holds(value));
        let name = named.map_or("a file", |(name, _)| name.as_str());
        let message = format!(
            "{} takes `{name}` only by a public address, and the file has none",
            self.provider.title
        );
        Err(Error::unavailable(message).hint(
            "say where others reach this server (`serve --public-base`), use a model of another provider, or a file that this provider made within the last minutes",
        ))
    }

    /// A body as what is sent, with its files brought to the provider.
    ///
    /// # Errors
    /// A file cannot be read or brought, or is too large for where it goes.
    pub async fn payload(
        &self,
        encoding: Encoding,
        body: &Body,
        uploads: &dyn Uploads,
        bench: &Arc<dyn Workbench>,
    ) -> Result<Payload> {
        Ok(match encoding {
            Encoding::None => Payload::None,
            Encoding::Json => Payload::Json(self.hand_over(body, uploads, bench).await?),
            Encoding::Multipart => Payload::Multipart(self.form(body, uploads, bench).await?),
            Encoding::Form => {
                let parts = self.form(body, uploads, bench).await?;
                Payload::Form(parts.into_iter().filter_map(field_of).collect())
            }
            Encoding::Raw => {
                let file = body.files().into_iter().next();
                let file = file.ok_or_else(|| Error::invalid("there is no file to send"))?;
                let file = self.read_file(&file.asset, bench).await?;
                Payload::Raw { media_type: file.asset.media_type, bytes: file.bytes }
            }
        })
    }

    /// A body as JSON, with its files brought to the provider.
    ///
    /// # Errors
    /// As [`Account::payload`].
    pub async fn hand_over(
        &self,
        body: &Body,
        uploads: &dyn Uploads,
        bench: &Arc<dyn Workbench>,
    ) -> Result<Json> {
        let mut named = Vec::new();
        for file in body.files() {
            named.push(self.name_file(file, uploads, bench).await?);
        }
        let mut named = named.into_iter();
        let mut next = |_: &FilePart| {
            let name = named.next().ok_or_else(|| Error::internal("a file of a body was lost"));
            name.map(Json::String)
        };
        body.resolve(&mut next)
    }

    /// A body as the parts of a form, with its files brought to the provider.
    ///
    /// # Errors
    /// As [`Account::payload`].
    pub async fn form(
        &self,
        body: &Body,
        uploads: &dyn Uploads,
        bench: &Arc<dyn Workbench>,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (name, value) in body.parts() {
            let content = match value {
                Body::File(file) if file.form == FileForm::Part => {
                    let OutgoingFile { asset, file_name, bytes } =
                        self.read_file(&file.asset, bench).await?;
                    PartContent::File { file_name, media_type: asset.media_type, bytes }
                }
                Body::File(file) => PartContent::Text(self.name_file(file, uploads, bench).await?),
                other => PartContent::Text(other.as_field().unwrap_or_default()),
            };
            parts.push(Part { name, content });
        }
        Ok(parts)
    }

    /// What stands for a file in a text.
    async fn name_file(
        &self,
        part: &FilePart,
        uploads: &dyn Uploads,
        bench: &Arc<dyn Workbench>,
    ) -> Result<String> {
        let asset = &part.asset;
        if matches!(part.form, FileForm::Url | FileForm::Upload) {
            let remembered = &self.hosted.inner.remembered;
            if let Some(name) = remembered.find(&self.provider.id, &asset.digest) {
                return Ok(name);
            }
            if part.form == FileForm::Url
                && self.provider.upload.is_none()
                && let Some(address) = bench.address(asset)
            {
                return Ok(address);
            }
            let file = self.read_file(asset, bench).await?;
            if let Some(Delivered { name, kept_s }) = uploads.bring(self, &file).await? {
                let kept_s = kept_s.unwrap_or(self.hosted.options().upload_kept_s);
                let kept = Duration::from_secs(kept_s);
                remembered.keep(&self.provider.id, asset.digest, name.clone(), kept);
                return Ok(name);
            }
        }
        let bytes = self.read_file(asset, bench).await?.bytes;
        let most = self.hosted.options().inline_bytes_max;
        if bytes.len() as u64 > most {
            let size = bytes.len();
            let message = format!(
                "a file of {size} bytes is too large for {}, which takes files only inside of a \
                 request: the most is {most}",
                self.provider.title
            );
            return Err(Error::invalid(message).hint("make it smaller, or use another provider"));
        }
        let before = match part.form {
            FileForm::Base64 => String::new(),
            _ => format!("data:{};base64,", asset.media_type),
        };
        // Written once, into a text that has room for it: files are large.
        let mut inline = String::with_capacity(before.len() + bytes.len().div_ceil(3) * 4);
        inline.push_str(&before);
        STANDARD.encode_string(&bytes, &mut inline);
        Ok(inline)
    }

    /// The bytes of an asset, ready to go.
    ///
    /// # Errors
    /// They cannot be read, or are more than anything may have that goes out.
    pub async fn read_file(
        &self,
        asset: &AssetRef,
        bench: &Arc<dyn Workbench>,
    ) -> Result<OutgoingFile> {
        let (bench, wanted) = (Arc::clone(bench), asset.clone());
        let reading = tokio::task::spawn_blocking(move || bench.read(&wanted));
        let bytes = reading.await.map_err(|_| Error::internal("reading a file panicked"))??;
        let most = self.hosted.options().outgoing_bytes_max;
        if bytes.len() as u64 > most {
            let message = format!("a file of {} bytes is sent nowhere", bytes.len());
            return Err(Error::invalid(message).hint(format!("the most is {most}")));
        }
        let file_name = format!("{}.{}", asset.digest.short(), asset.extension());
        Ok(OutgoingFile { asset: asset.clone(), file_name, bytes: Bytes::from_owner(bytes) })
    }

    /// Uploads a file as the provider's file says.
    async fn upload(&self, upload: &Upload, file: &OutgoingFile) -> Result<Delivered> {
        if let Some(most) = upload.bytes_max.filter(|most| file.bytes.len() as u64 > *most) {
            let message = format!(
                "a file of {} bytes is too large for {}: the most is {most}",
                file.bytes.len(),
                self.provider.title
            );
            return Err(Error::invalid(message).hint("make it smaller"));
        }
        let facts = BTreeMap::from([
            ("file_name".to_owned(), file.file_name.clone()),
            ("media_type".to_owned(), file.asset.media_type.clone()),
            ("bytes".to_owned(), file.bytes.len().to_string()),
        ]);
        let ask = upload_ask(upload, &facts, file)?;
        let ask = ask.timeout_ms(self.hosted.options().file_timeout_ms);
        let answer = self.ask(&ask, Purpose::Ask).await?;
        let named = match (&upload.url, &upload.url_is) {
            (Some(place), _) => place.first(&answer.json).and_then(Json::as_str).map(str::to_owned),
            (None, Some(template)) => Some(template.fill(&facts, &answer.json)?),
            (None, None) => None,
        };
        let name = named.ok_or_else(|| {
            self.garbled(&answer, Purpose::Ask, "it does not say what the uploaded file is called")
        })?;
        if let Some(put) = &upload.put {
            self.put(put, &answer, file).await?;
        }
        Ok(Delivered { name, kept_s: upload.kept_s })
    }

    /// Carries a file to where the first answer said.
    async fn put(&self, put: &Put, answer: &Answer, file: &OutgoingFile) -> Result<()> {
        let url = put.url.first(&answer.json).and_then(Json::as_str).ok_or_else(|| {
            self.garbled(answer, Purpose::Ask, "it does not say where to send the file")
        })?;
        let request = self.foreign(put.method.as_str(), url)?;
        let request = if put.body == Encoding::Multipart {
            let fields = put.fields.as_ref().and_then(|place| place.first(&answer.json));
            let mut form = Multipart::new();
            for (name, value) in fields.and_then(Json::as_object).into_iter().flatten() {
                form = form.text(name, value.as_str().unwrap_or_default());
            }
            let media_type = &file.asset.media_type;
            request.multipart(form.file("file", &file.file_name, media_type, file.bytes.clone()))
        } else {
            let request = request.body("application/octet-stream", file.bytes.clone());
            request.header("content-type", &file.asset.media_type)?
        };
        let response = self.way_out().await?.send(request).await;
        let response = response.map_err(|error| self.broken(error, Purpose::Ask))?;
        if response.is_success() {
            return Ok(());
        }
        let status = response.status();
        let message = format!("{} took no file: it answered {status}", response.place());
        let error = Error::new(ErrorKind::ProviderFailed, message);
        Err(if status >= 500 || status == 429 { error.retryable() } else { error })
    }

    /// A request without the credential to a place that an answer named.
    pub(crate) fn foreign(&self, method: &str, url: &str) -> Result<Request> {
        let options = self.hosted.options();
        let limits = Limits {
            total_ms: options.file_timeout_ms,
            body_bytes_max: options.file_bytes_max,
            ..self.hosted.usual_limits()
        };
        Ok(Request::new(method, url, self.grade(url))?.limits(limits))
    }

    /// How far a URL of an answer is trusted: only as far as it leads to the place that the operator
    /// configured.
    pub(crate) fn grade(&self, url: &str) -> Grade {
        if self.is_at_a_base(url) { Grade::Trusted } else { Grade::Foreign }
    }
}

/// The first request of an upload.
fn upload_ask(
    upload: &Upload,
    facts: &BTreeMap<String, String>,
    file: &OutgoingFile,
) -> Result<Ask> {
    let call = &upload.start;
    let ask = ask_for(call, facts, &Json::Null)?;
    let own = sent_by(call, facts, &Json::Null, Body::Null)?;
    let fields =
        || own.parts().into_iter().filter_map(|(name, value)| Some((name, value.as_field()?)));
    let media_type = file.asset.media_type.clone();
    Ok(ask.payload(match call.body {
        Encoding::None => Payload::None,
        Encoding::Json => Payload::Json(own.plain().unwrap_or_default()),
        Encoding::Form => Payload::Form(fields().collect()),
        Encoding::Raw => Payload::Raw { media_type, bytes: file.bytes.clone() },
        Encoding::Multipart => {
            let mut parts: Vec<Part> =
                fields().map(|(name, text)| Part::text(name, text)).collect();
            let (file_name, bytes) = (file.file_name.clone(), file.bytes.clone());
            let name = upload.field.clone().unwrap_or_else(|| "file".to_owned());
            let content = PartContent::File { file_name, media_type, bytes };
            parts.push(Part { name, content });
            Payload::Multipart(parts)
        }
    }))
}

fn field_of(part: Part) -> Option<(String, String)> {
    match part.content {
        PartContent::Text(text) => Some((part.name, text)),
        PartContent::File { .. } => None,
    }
}
