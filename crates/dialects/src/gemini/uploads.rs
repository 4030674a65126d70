//! Files that are too large to stand in a request: uploaded, and named by their address.

use std::time::Duration;

use impasto_domain::{Error, ErrorKind, Result};
use impasto_net::BoxFuture;
use serde_json::{Value as Json, json};

use super::driver::{Side, root};
use crate::drive::text_at;
use crate::hosted::{Account, Ask, Delivered, OutgoingFile, Payload, Purpose, Uploads};

/// How long the provider keeps a file, in seconds.
const KEPT_S: u64 = 47 * 3_600;
/// How often it is looked whether a file is ready, and how long to wait in between.
const LOOKS: u32 = 60;
const LOOK: Duration = Duration::from_secs(2);

/// Brings files in two requests: the first says what comes and is told where to.
pub(super) struct Resumable;

impl Uploads for Resumable {
    fn bring<'f>(
        &'f self,
        account: &'f Account<'f>,
        file: &'f OutgoingFile,
    ) -> BoxFuture<'f, Result<Option<Delivered>>> {
        Box::pin(async move { bring(account, file).await.map(Some) })
    }
}

async fn bring(account: &Account<'_>, file: &OutgoingFile) -> Result<Delivered> {
    let (media_type, size) = (&file.asset.media_type, file.bytes.len().to_string());
    let about = json!({ "file": {
        "displayName": file.file_name, "mimeType": media_type, "sizeBytes": size,
    }});
    let path = format!("/upload{}/files", root(Side::Developer));
    let ask = Ask::post(path, about)
        .header("x-goog-upload-protocol", "resumable")
        .header("x-goog-upload-command", "start")
        .header("x-goog-upload-header-content-length", size.as_str())
        .header("x-goog-upload-header-content-type", media_type.as_str());
    let answer = account.ask(&ask, Purpose::Ask).await?;
    let told = answer.header("x-goog-upload-url").unwrap_or_default();
    let place = below(told, &account.base_url("default")?).ok_or_else(|| {
        account.garbled(&answer, Purpose::Ask, "it does not say where to send the file")
    })?;
    let bytes = file.bytes.clone();
    let ask = Ask::of("POST", place)
        .payload(Payload::Raw { media_type: media_type.clone(), bytes })
        .header("x-goog-upload-command", "upload, finalize")
        .header("x-goog-upload-offset", "0")
        .timeout_ms(account.hosted.options().file_timeout_ms);
    let answer = account.ask(&ask, Purpose::Ask).await?;
    let made = answer.json.get("file").cloned().unwrap_or_default();
    let made = ready(account, made).await?;
    let uri = text_at(&made, "/uri").or_else(|| text_at(&made, "/name"));
    let name = uri.map(str::to_owned).ok_or_else(|| {
        account.garbled(&answer, Purpose::Ask, "it does not say what the uploaded file is called")
    })?;
    Ok(Delivered { name, kept_s: Some(KEPT_S) })
}

/// The place below the base, whatever host the answer names: some servers do not know how they are
/// reached.
fn below(told: &str, base: &str) -> Option<String> {
    let path_of = |url: &str| {
        let (_, rest) = url.split_once("://")?;
        Some(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().to_owned())
    };
    let (path, before) = (path_of(told)?, path_of(base)?);
    let path = path.strip_prefix(before.trim_end_matches('/')).map(str::to_owned).unwrap_or(path);
    path.starts_with('/').then_some(path)
}

/// The file when it can be used.
async fn ready(account: &Account<'_>, mut file: Json) -> Result<Json> {
    for _ in 0..LOOKS {
        let state = text_at(&file, "/state").unwrap_or_default();
        match state {
            "PROCESSING" => {}
            "FAILED" => {
                let message = "the provider cannot read the uploaded file";
                return Err(Error::new(ErrorKind::ProviderFailed, message));
            }
            _ => return Ok(file),
        }
        tokio::time::sleep(LOOK).await;
        let name = text_at(&file, "/name").unwrap_or_default().to_owned();
        let answer = account
            .ask(&Ask::get(format!("{}/{name}", root(Side::Developer))), Purpose::Ask)
            .await?;
        file = answer.json;
    }
    let message = "the provider takes too long to read the uploaded file";
    Err(Error::new(ErrorKind::Timeout, message).retryable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_upload_is_below_the_base() {
        let check = |told: &str, base: &str, expected: Option<&str>| {
            assert_eq!(below(told, base).as_deref(), expected, "{told} {base}");
        };
        check("https://a.test/upload/x?id=1", "https://a.test", Some("/upload/x?id=1"));
        check("https://b.test/gemini/upload/x", "http://127.0.0.1:8/gemini", Some("/upload/x"));
        check("https://b.test/upload/x", "http://127.0.0.1:8/gemini", Some("/upload/x"));
        check("", "https://a.test", None);
    }
}
