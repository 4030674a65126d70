//! What goes over the wire in the `replicate` dialect. Shared by its driver and its face.
//!
//! Everything is read leniently: what is absent has its default. What is nothing is written as `null`,
//! as clients expect it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

/// The field of a request for a prediction that says whom to tell how it goes.
pub const WEBHOOK: &str = "webhook";
/// The field that says of what to tell.
pub const WEBHOOK_EVENTS: &str = "webhook_events_filter";

/// `POST /predictions`, `POST /models/{owner}/{name}/predictions` and the same of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionRequest {
    /// The id of a version, or `owner/name`, where the path names no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the model is given.
    pub input: Map<String, Json>,
    /// Where to tell how it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Where to tell that it ended; the old name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_completed: Option<String>,
    /// What to tell of; absent means everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_events_filter: Option<Vec<WebhookEvent>>,
    /// Whether somebody will listen to the output as it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

/// Of what a webhook tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookEvent {
    /// It began.
    Start,
    /// There is some output.
    Output,
    /// Something was logged.
    Logs,
    /// It ended.
    Completed,
}

/// Where a prediction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing has happened yet.
    #[default]
    Starting,
    /// It is worked on.
    Processing,
    /// There is its output.
    Succeeded,
    /// There is none.
    Failed,
    /// Somebody gave it up.
    #[serde(alias = "aborted")]
    Canceled,
}

impl Status {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

/// A prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// Its id.
    pub id: String,
    /// The model, `owner/name`.
    #[serde(deserialize_with = "or_default")]
    pub model: String,
    /// The id of the version.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// What the model was given.
    #[serde(deserialize_with = "or_default")]
    pub input: Map<String, Json>,
    /// What was logged, as one text.
    #[serde(deserialize_with = "or_default")]
    pub logs: String,
    /// What the model gave; files are addresses or data URIs.
    pub output: Json,
    /// Whether input, output and logs were forgotten.
    #[serde(deserialize_with = "or_default")]
    pub data_removed: bool,
    /// Why it failed.
    #[serde(deserialize_with = "as_text")]
    pub error: Option<String>,
    /// Where it was asked for: `api` or `web`.
    pub source: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub created_at: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
    /// What was measured.
    #[serde(deserialize_with = "or_default")]
    pub metrics: Metrics,
    /// Where more is found.
    #[serde(deserialize_with = "or_default")]
    pub urls: PredictionUrls,
    /// Where it is told how it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Of what it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_events_filter: Option<Vec<WebhookEvent>>,
}

/// What is nothing is as if it were absent.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Errors are texts, as a rule.
fn as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Json::deserialize(deserializer)? {
        Json::Null => None,
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// What was measured of a prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// From its beginning to its end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict_time: Option<f64>,
    /// From when it was asked for to its end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_time: Option<f64>,
}

/// Where more of a prediction is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionUrls {
    /// The prediction.
    #[serde(deserialize_with = "or_default")]
    pub get: String,
    /// Gives it up.
    #[serde(deserialize_with = "or_default")]
    pub cancel: String,
    /// What happens, as it happens; needs no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The address of the page before.
    pub previous: Option<String>,
    /// The address of the next page.
    pub next: Option<String>,
    /// What is on this one.
    pub results: Vec<T>,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Its page.
    pub url: String,
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// `public` or `private`.
    pub visibility: String,
    /// Where its source is.
    pub github_url: Option<String>,
    /// Where its paper is.
    pub paper_url: Option<String>,
    /// Where its licence is.
    pub license_url: Option<String>,
    /// How often it was run.
    pub run_count: u64,
    /// A picture.
    pub cover_image_url: Option<String>,
    /// A prediction that shows what it does.
    pub default_example: Option<Json>,
    /// Its newest version.
    pub latest_version: Option<Version>,
}

/// A version of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: String,
    /// The version of what packed it.
    pub cog_version: String,
    /// What it takes and gives, as an OpenAPI document.
    pub openapi_schema: Json,
}

/// A file that was uploaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// How many bytes it has.
    pub size: u64,
    /// What changes when its bytes do.
    pub etag: String,
    /// Its checksums.
    pub checksums: Checksums,
    /// What its owner noted with it.
    pub metadata: Json,
    /// When it was uploaded.
    pub created_at: String,
    /// When it is forgotten.
    pub expires_at: Option<String>,
    /// Where it is found.
    pub urls: FileUrls,
}

/// The checksums of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checksums {
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Where a file is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileUrls {
    /// What is known of it; an input that is this address stands for the file.
    pub get: String,
}

/// Whose key it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// `user` or `organization`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name in addresses.
    pub username: String,
    /// The name for people.
    pub name: String,
    /// Where they are found elsewhere.
    pub github_url: Option<String>,
}

/// Models that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collection {
    /// Its name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What they have in common.
    pub description: String,
    /// They.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<Model>>,
}

/// The secret that signs webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// `whsec_` and the key in base64.
    pub key: String,
}

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// In a few words.
    pub title: String,
    /// In a sentence.
    pub detail: String,
    /// The status of the answer.
    pub status: u16,
    /// What kind of error it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When to come again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_client_is_read() {
        let text = r#"{"input":{"prompt":"mug"},"webhook":"https://a/b",
            "webhook_events_filter":["start","completed"],"unknown":1}"#;
        let request: PredictionRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.input["prompt"], "mug");
        let filter = [WebhookEvent::Start, WebhookEvent::Completed];
        assert_eq!(request.webhook_events_filter.as_deref(), Some(&filter[..]));
        assert!(serde_json::from_str::<PredictionRequest>(r#"{"input":[]}"#).is_err());
    }

    #[test]
    fn a_prediction_reads_back_and_says_what_is_missing() {
        let prediction = Prediction { id: "p".into(), ..Prediction::default() };
        let json = serde_json::to_value(&prediction).unwrap();
        assert_eq!(json["status"], "starting");
        assert!(json["output"].is_null() && json["error"].is_null());
        assert_eq!(serde_json::from_value::<Prediction>(json).unwrap(), prediction);
    }
}
