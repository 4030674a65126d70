//! Work that takes long: looked at, given up.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use impasto_dialects::gemini::wire;
use impasto_dialects::inline::InlineBytes;
use impasto_domain::{AssetRef, Error, ErrorKind, MediaKind, Result, RunId, Value};
use serde_json::json as value;

use super::error::{Failure, of_operation};
use super::files::VIDEO;
use super::route::Kind;
use super::{Asked, json};
use crate::calls::{RunView, Ticket};
use crate::faces::body::parsed;
use crate::faces::standing::Standing;

/// How long it is waited for the end of work that was given up.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

fn run_of(name: &str) -> RunId {
    RunId::new(name.rsplit('/').next().unwrap_or(name))
}

/// `GET {model}/operations/{id}`.
pub(super) async fn get(asked: Asked, name: String, kind: Kind) -> Result<Response, Failure> {
    let view = asked.app.view(&asked.caller, &run_of(&name)).await?;
    json(&asked.operation(name, kind, view).await?)
}

/// `POST {model}:fetchPredictOperation`.
pub(super) async fn fetch(asked: Asked, body: Body) -> Result<Response, Failure> {
    let bytes = asked.body(body).await?;
    let request: wire::FetchOperationRequest = parsed(&bytes)?;
    get(asked, request.operation_name, Kind::Cloud).await
}

/// `POST {model}/operations/{id}:cancel`.
pub(super) async fn cancel(asked: Asked, name: String) -> Result<Response, Failure> {
    let run = run_of(&name);
    match asked.app.cancel(&asked.caller, &run).await {
        // It has ended already.
        Err(error) if error.kind != ErrorKind::Conflict => return Err(error.into()),
        _ => {}
    }
    asked.app.wait(&asked.caller, Ticket { run, handle: None }, CANCEL_WAIT).await?;
    json(&value!({}))
}

impl Asked {
    async fn operation(&self, name: String, kind: Kind, view: RunView) -> Result<wire::Operation> {
        let (done, error) = outcome(&view);
        let (error, response) = match error {
            None if done => (None, Some(self.videos(kind, &view).await?)),
            None => (None, None),
            Some(error) if error.kind == ErrorKind::Refused => (None, Some(refused(kind, &error))),
            Some(error) => (Some(of_operation(&error)), None),
        };
        Ok(wire::Operation { name, done, error, response })
    }

    async fn videos(&self, kind: Kind, view: &RunView) -> Result<wire::OperationResponse> {
        let assets = view.outputs.values().flat_map(Value::assets);
        let videos: Vec<&AssetRef> =
            assets.filter(|asset| asset.kind() == MediaKind::Video).collect();
        if videos.is_empty() {
            return Err(Error::internal("the run gave no video"));
        }
        let mut response = wire::OperationResponse::default();
        if kind == Kind::Developer {
            let sample = |asset| wire::GeneratedSample { video: self.by_address(asset) };
            response.generate_video_response = Some(wire::GenerateVideoResponse {
                generated_samples: videos.into_iter().map(sample).collect(),
                ..Default::default()
            });
            return Ok(response);
        }
        let mut inline = Vec::new();
        for asset in videos {
            let bytes = self.app.bytes(&self.caller, asset).await?;
            inline.push(wire::Media {
                bytes_base64_encoded: Some(InlineBytes(bytes)),
                mime_type: Some(VIDEO.to_owned()),
                uri: None,
            });
        }
        response.videos = Some(inline);
        Ok(response)
    }

    /// A video by its address. Clients read the id of a file out of an address that begins with
    /// `https:`, or out of the name of the file.
    fn by_address(&self, asset: &AssetRef) -> wire::Media {
        let uri = if self.base.0.starts_with("https:") {
            format!("{}/gemini/v1beta/files/{}:download?alt=media", self.base.0, asset.digest)
        } else {
            format!("files/{}", asset.digest)
        };
        wire::Media { uri: Some(uri), mime_type: Some(VIDEO.to_owned()), ..Default::default() }
    }
}

/// Whether work is done, and why there is nothing to show for it.
fn outcome(view: &RunView) -> (bool, Option<Error>) {
    match Standing::of(view) {
        Standing::Queued | Standing::Working => (false, None),
        Standing::Succeeded => (true, None),
        Standing::Failed(error) | Standing::Cancelled(error) => (true, Some(error)),
    }
}

/// That a video was not made for what it would show.
fn refused(kind: Kind, error: &Error) -> wire::OperationResponse {
    let (count, reasons) = (Some(1), Some(vec![error.message.clone()]));
    match kind {
        Kind::Developer => wire::OperationResponse {
            generate_video_response: Some(wire::GenerateVideoResponse {
                rai_media_filtered_count: count,
                rai_media_filtered_reasons: reasons,
                ..Default::default()
            }),
            ..Default::default()
        },
        Kind::Cloud => wire::OperationResponse {
            videos: Some(Vec::new()),
            rai_media_filtered_count: count,
            rai_media_filtered_reasons: reasons,
            ..Default::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faces::standing::tests::check_all;

    #[test]
    fn work_is_done_when_there_is_nothing_to_wait_for() {
        let told = |view: &RunView| {
            let (done, error) = outcome(view);
            (done, error.map(|error| error.kind))
        };
        let goes_on = (false, None);
        check_all(
            told,
            [
                goes_on,
                goes_on,
                goes_on,
                goes_on,
                (true, None),
                (true, Some(ErrorKind::ProviderFailed)),
                (true, Some(ErrorKind::InDoubt)),
                (true, Some(ErrorKind::Cancelled)),
            ],
        );
    }
}
