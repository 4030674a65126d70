//! What goes over the wire in the `gemini` dialect. Shared by its driver and its face.
//!
//! Everything is read leniently: in camel case and in snake case, and what is absent has its default.
//! Files in JSON are [`InlineBytes`], so what holds one is written by [`crate::inline::to_json`].

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

use crate::inline::InlineBytes;

/// `POST models/{model}:generateContent` and `:streamGenerateContent`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentRequest {
    /// What was said so far, the newest last.
    pub contents: Vec<Content>,
    /// What always holds.
    #[serde(alias = "system_instruction", skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<Content>,
    /// How to answer.
    #[serde(alias = "generation_config")]
    pub generation_config: GenerationConfig,
    /// What the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Json>,
}

/// Something that was said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// `user` or `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// It, in parts.
    pub parts: Vec<Part>,
}

/// A part of something that was said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A file itself.
    #[serde(alias = "inline_data", skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<Blob>,
    /// A file by its address.
    #[serde(alias = "file_data", skip_serializing_if = "Option::is_none")]
    pub file_data: Option<FileData>,
    /// Whether it is only on the way to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
}

/// A file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Blob {
    /// Its media type.
    #[serde(alias = "mime_type")]
    pub mime_type: String,
    /// Its bytes.
    pub data: InlineBytes,
}

/// A file by its address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileData {
    /// Its media type.
    #[serde(alias = "mime_type", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its address.
    #[serde(alias = "file_uri")]
    pub file_uri: String,
}

/// How to answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerationConfig {
    /// `TEXT`, `IMAGE`, `AUDIO`.
    #[serde(alias = "response_modalities", skip_serializing_if = "Vec::is_empty")]
    pub response_modalities: Vec<String>,
    /// How many answers.
    #[serde(alias = "candidate_count", skip_serializing_if = "Option::is_none")]
    pub candidate_count: Option<u32>,
    /// The same seed and input give the same answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What a picture is like.
    #[serde(alias = "image_config", skip_serializing_if = "Option::is_none")]
    pub image_config: Option<ImageConfig>,
    /// What speech is like.
    #[serde(alias = "speech_config", skip_serializing_if = "Option::is_none")]
    pub speech_config: Option<SpeechConfig>,
    /// What else was said.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// What a picture is like.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageConfig {
    /// Width to height, such as `16:9`.
    #[serde(alias = "aspect_ratio", skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<String>,
    /// `512`, `1K`, `2K` or `4K`.
    #[serde(alias = "image_size", skip_serializing_if = "Option::is_none")]
    pub image_size: Option<String>,
}

/// What speech is like.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpeechConfig {
    /// Whose voice.
    #[serde(alias = "voice_config", skip_serializing_if = "Option::is_none")]
    pub voice_config: Option<VoiceConfig>,
    /// Which language.
    #[serde(alias = "language_code", skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
}

/// Whose voice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VoiceConfig {
    /// One that there is.
    #[serde(alias = "prebuilt_voice_config", skip_serializing_if = "Option::is_none")]
    pub prebuilt_voice_config: Option<PrebuiltVoiceConfig>,
}

/// A voice that there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrebuiltVoiceConfig {
    /// Its name.
    #[serde(alias = "voice_name", skip_serializing_if = "Option::is_none")]
    pub voice_name: Option<String>,
}

/// The answer to a call for content, or a part of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentResponse {
    /// The answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_feedback: Option<PromptFeedback>,
    /// What it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<Json>,
    /// The model that answered.
    pub model_version: String,
    /// The id of the answer.
    pub response_id: String,
}

/// An answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Candidate {
    /// It.
    pub content: Content,
    /// Why it ends here; absent if there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Which of the answers it is.
    pub index: u32,
}

/// Why there is no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptFeedback {
    /// In a word.
    pub block_reason: String,
    /// In a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_reason_message: Option<String>,
}

/// `POST models/{model}:predict` and `:predictLongRunning`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictRequest {
    /// What is wanted; one.
    pub instances: Vec<Instance>,
    /// How it is wanted.
    pub parameters: Map<String, Json>,
}

/// What is wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Instance {
    /// What to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The picture to begin with, or to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Media>,
    /// The picture to end with.
    #[serde(alias = "last_frame", skip_serializing_if = "Option::is_none")]
    pub last_frame: Option<Media>,
    /// The video to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<Media>,
    /// Pictures to go by.
    #[serde(alias = "reference_images", skip_serializing_if = "Vec::is_empty")]
    pub reference_images: Vec<ReferenceImage>,
}

/// A picture to go by.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReferenceImage {
    /// It.
    #[serde(alias = "referenceImage", alias = "reference_image")]
    pub image: Media,
    /// What for, such as `asset` or `style`.
    #[serde(alias = "reference_type", skip_serializing_if = "Option::is_none")]
    pub reference_type: Option<String>,
}

/// A file in a prediction: itself or by its address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Media {
    /// Its bytes.
    #[serde(
        alias = "imageBytes",
        alias = "videoBytes",
        alias = "encodedVideo",
        skip_serializing_if = "Option::is_none"
    )]
    pub bytes_base64_encoded: Option<InlineBytes>,
    /// Its address.
    #[serde(alias = "gcsUri", alias = "fileUri", skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its media type.
    #[serde(alias = "mime_type", alias = "encoding", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
}

/// The answer to `:predict`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictResponse {
    /// What was made.
    pub predictions: Vec<ImagePrediction>,
}

/// A picture that was made, or why there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImagePrediction {
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_base64_encoded: Option<InlineBytes>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rai_filtered_reason: Option<String>,
}

/// Work that takes long.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// Its name, `models/{model}/operations/{id}`.
    pub name: String,
    /// Whether it is over.
    pub done: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Status>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<OperationResponse>,
}

/// What came of work that took long, for both kinds of clients.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationResponse {
    /// For those with a key of the developers' API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_video_response: Option<GenerateVideoResponse>,
    /// For those of the cloud's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videos: Option<Vec<Media>>,
    /// How many were made and not given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rai_media_filtered_count: Option<u32>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rai_media_filtered_reasons: Option<Vec<String>>,
}

/// Videos that were made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateVideoResponse {
    /// They.
    pub generated_samples: Vec<GeneratedSample>,
    /// How many were made and not given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rai_media_filtered_count: Option<u32>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rai_media_filtered_reasons: Option<Vec<String>>,
}

/// A video that was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratedSample {
    /// It.
    pub video: Media,
}

/// `POST …:fetchPredictOperation`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FetchOperationRequest {
    /// The name of the operation.
    pub operation_name: String,
}

/// A file that was uploaded or made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// `files/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What people call it.
    #[serde(alias = "display_name", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its media type.
    #[serde(alias = "mime_type", skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// How many bytes it has, as text.
    #[serde(
        alias = "size_bytes",
        deserialize_with = "text_or_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub size_bytes: Option<String>,
    /// When it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_time: Option<String>,
    /// When it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_time: Option<String>,
    /// Its SHA-256, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256_hash: Option<String>,
    /// What stands for it in a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Where its bytes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_uri: Option<String>,
    /// `PROCESSING`, `ACTIVE` or `FAILED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `UPLOADED` or `GENERATED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Clients write numbers of bytes as numbers and as text.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Json::deserialize(deserializer)? {
        Json::String(text) => Some(text),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// What begins and ends an upload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FileEnvelope {
    /// The file.
    pub file: File,
}

/// A page of files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileList {
    /// They.
    pub files: Vec<File>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Model {
    /// `models/{id}`.
    pub name: String,
    /// Its id.
    pub base_model_id: String,
    /// Its version.
    pub version: String,
    /// What people call it.
    pub display_name: String,
    /// What it does.
    pub description: String,
    /// How it can be called.
    pub supported_generation_methods: Vec<String>,
}

/// A page of models, for both kinds of clients.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelList {
    /// For those with a key of the developers' API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<Model>>,
    /// For those of the cloud's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_models: Option<Vec<Model>>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// It.
    pub error: Status,
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// As a number: a status of HTTP, or in an operation one of gRPC.
    pub code: u16,
    /// In a sentence.
    pub message: String,
    /// In a word, such as `NOT_FOUND`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What more is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Json>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::to_json;

    #[test]
    fn both_cases_are_read() {
        for text in [
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"YWJj"}}]}],
               "generationConfig":{"imageConfig":{"aspectRatio":"16:9"},"temperature":1}}"#,
            r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"YWJj"}}]}],
               "generation_config":{"image_config":{"aspect_ratio":"16:9"},"temperature":1}}"#,
        ] {
            let request: GenerateContentRequest = serde_json::from_str(text).unwrap();
            let blob = request.contents[0].parts[0].inline_data.as_ref().unwrap();
            assert_eq!((blob.mime_type.as_str(), &blob.data.0[..]), ("image/png", &b"abc"[..]));
            let config = request.generation_config;
            assert_eq!(config.image_config.unwrap().aspect_ratio.as_deref(), Some("16:9"));
            assert!(config.extra.contains_key("temperature"));
        }
    }

    #[test]
    fn an_answer_holds_its_file_as_base64() {
        let blob = Blob { mime_type: "image/png".into(), data: b"abc".to_vec().into() };
        let part = Part { inline_data: Some(blob), ..Part::default() };
        let json = to_json(&part).unwrap();
        let expected = r#"{"inlineData":{"mimeType":"image/png","data":"YWJj"}}"#;
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }

    #[test]
    fn sizes_are_read_as_text_and_as_numbers() {
        for text in [r#"{"file":{"sizeBytes":"12"}}"#, r#"{"file":{"size_bytes":12}}"#] {
            let begun: FileEnvelope = serde_json::from_str(text).unwrap();
            assert_eq!(begun.file.size_bytes.as_deref(), Some("12"), "{text}");
        }
    }
}
