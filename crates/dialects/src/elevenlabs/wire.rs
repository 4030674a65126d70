//! What goes over the wire in the `elevenlabs` dialect. Shared by its driver and its face.
//!
//! Everything is read leniently: what is absent has its default, what is not known is kept in `extra`
//! where a request may carry it, and left out elsewhere. Files in JSON are [`InlineBytes`], so what holds
//! one is written by [`crate::inline::to_json`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::inline::InlineBytes;

/// How a voice speaks. What is not one of its own fields is kept in `extra`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoiceSettings {
    /// 1 is the normal speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// What else was set, such as `stability`.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// `POST /v1/text-to-speech/{voice}` and what lies below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpeechRequest {
    /// What to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// By which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// In which language, as an ISO 639-1 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
    /// How the voice speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice_settings: Option<VoiceSettings>,
    /// The same seed and text sound the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What else was sent.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// When each character is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alignment {
    /// The characters.
    pub characters: Vec<String>,
    /// When each begins, in seconds.
    pub character_start_times_seconds: Vec<f64>,
    /// When each ends, in seconds.
    pub character_end_times_seconds: Vec<f64>,
}

/// Speech, or a piece of it, with the times of its characters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TimedSpeech {
    /// The sound.
    pub audio_base64: InlineBytes,
    /// The characters as they were given.
    pub alignment: Option<Alignment>,
    /// The characters as they were read aloud.
    pub normalized_alignment: Option<Alignment>,
}

/// `POST /v1/music` and what lies below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MusicRequest {
    /// What to play, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What to play, section by section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composition_plan: Option<CompositionPlan>,
    /// How long, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub music_length_ms: Option<u64>,
    /// By which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// The same seed and prompt sound the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What else was sent.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// Music, section by section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompositionPlan {
    /// What the whole is like.
    pub positive_global_styles: Vec<String>,
    /// What it is not like.
    pub negative_global_styles: Vec<String>,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// A section of music.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// What it is called.
    pub section_name: String,
    /// What it is like.
    pub positive_local_styles: Vec<String>,
    /// What it is not like.
    pub negative_local_styles: Vec<String>,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// What is sung.
    pub lines: Vec<String>,
}

/// `POST /v1/sound-generation`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SoundRequest {
    /// What to hear, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// By which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// What else was sent.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

/// A voice in a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Voice {
    /// Its id.
    pub voice_id: String,
    /// Its name.
    pub name: String,
    /// Such as `premade`.
    pub category: String,
    /// What is said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What else is said of it.
    pub labels: Map<String, Json>,
    /// Models that speak with it.
    pub high_quality_base_model_ids: Vec<String>,
}

/// The answer to `GET /v2/voices`; that to `GET /v1/voices` holds the voices only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Voices {
    /// The voices.
    pub voices: Vec<Voice>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many there are.
    pub total_count: usize,
    /// What to ask for the next page with.
    pub next_page_token: Option<String>,
}

/// A model in the list of models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Its id.
    pub model_id: String,
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub description: String,
    /// Whether it speaks.
    pub can_do_text_to_speech: bool,
    /// Whether it gives speech another voice.
    pub can_do_voice_conversion: bool,
    /// The longest text, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_text_length_per_request: Option<u64>,
    /// The languages that it speaks.
    pub languages: Vec<Language>,
}

/// A language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Language {
    /// Its code.
    pub language_id: String,
    /// Its name.
    pub name: String,
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// The error.
    pub detail: ErrorDetail,
}

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    /// In a word, such as `voice_not_found`.
    pub status: String,
    /// In a sentence.
    pub message: String,
}

/// What a client says over the socket for text that comes bit by bit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SocketRequest {
    /// The next bit of text. A blank begins, nothing at all ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether what has come is to be said if it is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub try_trigger_generation: Option<bool>,
    /// Whether what has come is to be said however little it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush: Option<bool>,
    /// How the voice speaks; in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice_settings: Option<VoiceSettings>,
    /// When enough has come; in the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<GenerationConfig>,
    /// The key, where it cannot be sent as a header; in the first message.
    #[serde(rename = "xi_api_key", alias = "xi-api-key", skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// When enough text has come to be said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    /// So many characters for the first piece, the second, and so on; the last is for all that follow.
    pub chunk_length_schedule: Option<Vec<u32>>,
}

/// What the server says over the socket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SocketAnswer {
    /// The next piece of the sound.
    pub audio: Option<InlineBytes>,
    /// Whether it is the last message.
    pub is_final: Option<bool>,
    /// The characters as they were given.
    pub alignment: Option<SocketAlignment>,
    /// The characters as they were read aloud.
    pub normalized_alignment: Option<SocketAlignment>,
}

/// When each character is said, as it is told over the socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SocketAlignment {
    /// The characters.
    pub chars: Vec<String>,
    /// When each begins, in milliseconds.
    pub char_start_times_ms: Vec<u64>,
    /// How long each takes, in milliseconds.
    pub char_durations_ms: Vec<u64>,
}

/// Something went wrong on the socket; it is closed after this.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SocketError {
    /// In a sentence.
    pub message: String,
    /// In a word.
    pub error: String,
    /// The code with which the socket is closed.
    pub code: u16,
}
