//! Values as this dialect shows them: a file is an object with an address.

use std::future::Future;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use impasto_dialects::fal::wire::File;
use impasto_domain::{AssetRef, MediaKind, Result, Value, Values};
use serde_json::{Map, Value as Json, json};

use crate::app::App;
use crate::caller::Caller;
use crate::files::Base;

/// The name under which clients of this dialect look for a mesh, beside our own.
const MESH: (&str, &str) = ("mesh", "model_mesh");

/// For whom values are shown, and how.
pub(super) struct Shown<'s> {
    pub(super) app: &'s App,
    pub(super) caller: &'s Caller,
    pub(super) base: &'s Base,
    /// Whether files stand in the answer themselves, as data URIs.
    pub(super) inline: bool,
}

impl Shown<'_> {
    /// The outputs of a run.
    pub(super) async fn outputs(&self, values: &Values) -> Result<Json> {
        let mut shown = Map::new();
        for (name, value) in values {
            let value = self.value(name, value).await?;
            if name == MESH.0 && value.is_object() {
                shown.insert(MESH.1.to_owned(), value.clone());
            }
            shown.insert(name.clone(), value);
        }
        Ok(Json::Object(shown))
    }

    fn value<'v>(
        &'v self,
        name: &'v str,
        value: &'v Value,
    ) -> Pin<Box<dyn Future<Output = Result<Json>> + Send + 'v>> {
        Box::pin(async move {
            match value {
                Value::Asset(asset) => Ok(json!(self.file(name, asset).await?)),
                Value::List(items) => {
                    let mut shown = Vec::with_capacity(items.len());
                    for item in items {
                        shown.push(self.value(name, item).await?);
                    }
                    Ok(Json::Array(shown))
                }
                Value::Map(entries) => {
                    let mut shown = Map::new();
                    for (name, entry) in entries {
                        shown.insert(name.clone(), self.value(name, entry).await?);
                    }
                    Ok(Json::Object(shown))
                }
                plain => Ok(plain.to_json()),
            }
        })
    }

    async fn file(&self, name: &str, asset: &AssetRef) -> Result<File> {
        let described = asset.is_timeline();
        let media_type = if described { "video/mp4" } else { asset.media_type.as_str() };
        let extension = if described { "mp4" } else { asset.extension() };
        let url = if self.inline && asset.kind() != MediaKind::Video {
            data_uri(media_type, &self.app.bytes(self.caller, asset).await?)
        } else {
            self.app.file_url(self.base, self.caller, asset)
        };
        Ok(File {
            url,
            content_type: Some(media_type.to_owned()),
            file_name: Some(format!("{name}.{extension}")),
            // A video that has been described has no file yet.
            file_size: (!described).then_some(asset.facts.bytes),
            width: asset.facts.width,
            height: asset.facts.height,
            duration: asset.facts.duration_ms.map(|ms| ms as f64 / 1e3),
        })
    }
}

/// A file as an address that holds it.
pub(super) fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    let mut uri = format!("data:{media_type};base64,");
    STANDARD.encode_string(bytes, &mut uri);
    uri
}
