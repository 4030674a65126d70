//! What goes over the wire in the `openai` dialect. Shared by its driver and its face.
//!
//! Everything is read leniently: what is absent has its default, what is not known is kept in `extra`
//! where a request may carry it, and left out elsewhere. Files in JSON are [`InlineBytes`], so what holds
//! one is written by [`crate::inline::to_json`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::inline::InlineBytes;

/// `POST /images/generations`, and the fields of `POST /images/edits` that are no files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageRequest {
    /// What to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// By which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// `WIDTHxHEIGHT`, or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// `low`, `medium`, `high`, …, or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// `transparent`, `opaque` or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// `png`, `jpeg` or `webp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// How good a lossy format is, from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_compression: Option<u32>,
    /// `b64_json` or `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<String>,
    /// Whether the answer is a stream of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// How many previews a stream holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_images: Option<u32>,
    /// What else was sent.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// A picture in an answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// The file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<InlineBytes>,
    /// Where the file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The prompt that was used instead of the one that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
}

/// The answer to a call for pictures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImagesResponse {
    /// When, in seconds since 1970.
    pub created: u64,
    /// The pictures.
    pub data: Vec<Image>,
    /// `transparent` or `opaque`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// How the pictures are encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// The quality that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// `WIDTHxHEIGHT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// What was counted, where tokens are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Tokens that were counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Those of the request.
    pub input_tokens: u64,
    /// Those of the request by kind.
    pub input_tokens_details: InputTokens,
    /// Those of the answer.
    pub output_tokens: u64,
    /// All of them.
    pub total_tokens: u64,
}

/// Tokens of a request by kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InputTokens {
    /// Those of pictures.
    pub image_tokens: u64,
    /// Those of text.
    pub text_tokens: u64,
}

/// An event in a stream of pictures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageEvent {
    /// `image_generation.partial_image`, `image_generation.completed`, or the same with `image_edit`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The picture as far as it is.
    pub b64_json: InlineBytes,
    /// Which preview it is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_image_index: Option<u32>,
    /// `transparent`, `opaque` or `auto`.
    pub background: String,
    /// When, in seconds since 1970.
    pub created_at: u64,
    /// How the picture is encoded.
    pub output_format: String,
    /// The quality that was asked for.
    pub quality: String,
    /// `WIDTHxHEIGHT`.
    pub size: String,
    /// What was counted; in the last event of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A voice: its name, or an object with its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Voice {
    /// By name.
    Name(String),
    /// By id.
    Id {
        /// The id.
        id: String,
    },
}

impl Voice {
    /// The name or the id.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Id { id: name } => name,
        }
    }
}

/// `POST /audio/speech`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpeechRequest {
    /// What to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// By which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whose voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<Voice>,
    /// How to say it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// `mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<String>,
    /// 1 is the normal speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// `audio` for the bytes, `sse` for events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_format: Option<String>,
    /// What else was sent.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// An event in a stream of speech.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum SpeechEvent {
    /// The next piece.
    #[serde(rename = "speech.audio.delta")]
    Delta {
        /// Its bytes.
        audio: InlineBytes,
    },
    /// Everything has been said.
    #[serde(rename = "speech.audio.done")]
    Done {
        /// What was counted, where tokens are counted.
        #[serde(default)]
        usage: SpeechUsage,
    },
}

/// Tokens of speech.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpeechUsage {
    /// Those of the text.
    pub input_tokens: u64,
    /// Those of the sound.
    pub output_tokens: u64,
    /// All of them.
    pub total_tokens: u64,
}

/// The answer to `POST /audio/transcriptions`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcription {
    /// `transcribe`; in the verbose form only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The language that is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How long the sound is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// What is said.
    pub text: String,
    /// What is said when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
    /// Which word is said when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// A stretch of speech.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Segment {
    /// Its number, from 0.
    pub id: u32,
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
    /// What is said.
    pub text: String,
}

/// A word that is said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Word {
    /// The word.
    pub word: String,
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
}

/// A video, which is a job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Video {
    /// Its id.
    pub id: String,
    /// Always `video`.
    pub object: String,
    /// `queued`, `in_progress`, `completed` or `failed`.
    pub status: String,
    /// From 0 to 100.
    pub progress: u32,
    /// When it was asked for, in seconds since 1970.
    pub created_at: u64,
    /// When it was done.
    pub completed_at: Option<u64>,
    /// Until when it can be fetched.
    pub expires_at: Option<u64>,
    /// The model that was asked for.
    pub model: String,
    /// How long it is, in seconds, as text.
    pub seconds: String,
    /// `WIDTHxHEIGHT`.
    pub size: String,
    /// What it shows.
    pub prompt: Option<String>,
    /// Why it failed.
    pub error: Option<VideoError>,
    /// The video that it was made from.
    pub remixed_from_video_id: Option<String>,
}

/// Why a video failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VideoError {
    /// In a word.
    pub code: String,
    /// In a sentence.
    pub message: String,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// Always `list`.
    pub object: String,
    /// What is in it.
    pub data: Vec<T>,
    /// Whether there is more.
    #[serde(default)]
    pub has_more: bool,
    /// The id of the first.
    #[serde(default)]
    pub first_id: Option<String>,
    /// The id of the last.
    #[serde(default)]
    pub last_id: Option<String>,
}

/// The answer to a wish that something be no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deleted {
    /// What was deleted.
    pub id: String,
    /// Such as `video.deleted`.
    pub object: String,
    /// Whether it was.
    pub deleted: bool,
}

/// A model in the list of models.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Since when it is there, in seconds since 1970.
    pub created: u64,
    /// Whose it is.
    pub owned_by: String,
    /// Until when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_date: Option<String>,
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// An error.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    /// In a sentence.
    pub message: String,
    /// Such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The parameter that is meant.
    pub param: Option<String>,
    /// In a word.
    pub code: Option<String>,
}

/// What a webhook tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookEvent {
    /// Its id.
    pub id: String,
    /// Always `event`.
    pub object: String,
    /// When it happened, in seconds since 1970.
    pub created_at: u64,
    /// Such as `video.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub data: WebhookSubject,
}

/// What a webhook is about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookSubject {
    /// Its id.
    pub id: String,
}

/// Somewhere that wants to be told of what happens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: String,
    /// Always `webhook_endpoint`.
    pub object: String,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// What it wants to be told of.
    pub event_types: Vec<String>,
    /// What people call it.
    pub name: String,
    /// Where.
    pub url: String,
    /// The end of the secret that signs what is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret_hint: Option<String>,
    /// The secret; once, in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
}
