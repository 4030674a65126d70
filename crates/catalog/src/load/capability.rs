//! What an offer can do beyond its task: told by the inputs that it takes, or said by the file.

use impasto_domain::{Field, Task};

use crate::mapping::Mapping;
use crate::read::{Node, suggestion};

/// Capabilities, each with the input that tells it; those without one are said by the file.
pub const CAPABILITIES: [(&str, Option<&str>); 33] = [
    ("seed", Some("seed")),
    ("negative_prompt", Some("negative_prompt")),
    ("guidance_scale", Some("guidance_scale")),
    ("steps", Some("num_inference_steps")),
    ("lora", Some("loras")),
    ("mask", Some("mask")),
    ("first_frame", Some("image")),
    ("last_frame", Some("last_frame")),
    ("reference_images", Some("reference_images")),
    ("reference_videos", Some("reference_videos")),
    ("reference_audios", Some("reference_audios")),
    ("native_audio", None),
    ("native_audio_toggle", Some("generate_audio")),
    ("multi_shot", Some("shots")),
    ("keyframes", Some("keyframes")),
    ("elements", Some("elements")),
    ("camera_control", Some("camera")),
    ("pbr", Some("pbr")),
    ("web_search", Some("web_search")),
    ("transparent_background", Some("background")),
    ("timestamps", Some("timestamps")),
    ("diarization", Some("diarize")),
    ("instrumental", Some("instrumental")),
    ("lyrics", Some("lyrics")),
    ("streaming", None),
    ("websocket", None),
    ("realtime", None),
    ("voice_clone", None),
    ("multi_turn_edit", None),
    ("text_rendering", None),
    ("gaussian_splats", None),
    ("watermark", None),
    ("webhook", None),
];

/// Reads capabilities that a file says.
pub(super) fn read(node: Node<'_>) -> Vec<String> {
    let mut read = Vec::new();
    for item in node.items() {
        let Some(word) = item.text() else { continue };
        if CAPABILITIES.iter().any(|(known, _)| *known == word) {
            read.push(word);
            continue;
        }
        let known: Vec<&str> = CAPABILITIES.iter().map(|(known, _)| *known).collect();
        item.problem(format!("there is no capability '{word}'"), Some(suggestion(&word, &known)));
    }
    read
}

/// What an offer can do, in the order of the table.
pub(super) fn of_offer(
    task: &Task,
    map: &Mapping,
    own: &[Field],
    stated: &[String],
) -> Vec<String> {
    let taken = |input: &str| {
        let known =
            task.input_field(input).is_some() && (!map.closed || map.rules.contains_key(input));
        known || own.iter().any(|field| field.name == input)
    };
    // A picture is the first frame only where a video comes out.
    let makes_video = task.output_field("video").is_some() && task.input_field("video").is_none();
    let has = |word: &str, input: Option<&str>| {
        let told = match (word, input) {
            ("first_frame", Some(input)) => makes_video && taken(input),
            (_, Some(input)) => taken(input),
            (_, None) => false,
        };
        told || stated.iter().any(|stated| stated == word)
    };
    let found = CAPABILITIES.iter().filter(|(word, input)| has(word, *input));
    found.map(|(word, _)| (*word).to_owned()).collect()
}
