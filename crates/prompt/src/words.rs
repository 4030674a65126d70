//! Words that give a part of a prompt away. Flat tables: a word more is a line more.

use crate::Part;

/// Words and the part of a prompt that a phrase with one of them speaks of, first match first.
pub(crate) const SIGNS: &[(Part, &[&str])] = &[
    (
        Part::Lighting,
        &[
            "light",
            "lit",
            "lighting",
            "sunlight",
            "backlit",
            "softbox",
            "golden hour",
            "candlelight",
            "neon",
            "moonlight",
            "overcast",
            "shadow",
            "shadows",
            "rim",
            "glow",
            "noon",
            "dusk",
            "dawn",
            "sunset",
            "sunrise",
            "lamp",
            "lamps",
        ],
    ),
    (
        Part::Perspective,
        &[
            "eye level",
            "low angle",
            "high angle",
            "top-down",
            "overhead",
            "flat lay",
            "close-up",
            "closeup",
            "macro",
            "wide shot",
            "wide angle",
            "three-quarter",
            "bird's eye",
            "worm's eye",
            "perspective",
            "isometric",
        ],
    ),
    (
        Part::Composition,
        &[
            "centred",
            "centered",
            "rule of thirds",
            "negative space",
            "empty space",
            "symmetrical",
            "framing",
            "composition",
            "depth of field",
            "bokeh",
            "foreground",
            "copy space",
        ],
    ),
    (
        Part::Camera,
        &["35mm", "50mm", "85mm", "lens", "f/1.8", "f/2.8", "dolly", "tripod", "handheld"],
    ),
    (
        Part::Mood,
        &[
            "calm",
            "cosy",
            "cozy",
            "moody",
            "cheerful",
            "fresh",
            "elegant",
            "quiet",
            "dramatic",
            "serene",
            "intimate",
            "playful",
            "nostalgic",
            "melancholic",
            "energetic",
            "mysterious",
            "mood",
            "uplifting",
        ],
    ),
    (
        Part::Style,
        &[
            "photography",
            "photo",
            "photograph",
            "photorealistic",
            "illustration",
            "watercolour",
            "watercolor",
            "oil painting",
            "editorial",
            "minimal",
            "minimalist",
            "vintage",
            "cinematic",
            "style",
            "render",
            "3d",
            "sketch",
            "anime",
            "flat design",
            "film still",
        ],
    ),
    (Part::Palette, &["palette", "pastel", "monochrome", "colours", "colors", "tones", "hues"]),
];

/// Words that say nothing to a model.
pub(crate) const EMPTY: &[&str] = &[
    "beautiful",
    "amazing",
    "nice",
    "stunning",
    "awesome",
    "masterpiece",
    "best quality",
    "8k",
    "4k",
    "trending on artstation",
    "perfect",
    "incredible",
    "cool",
    "great",
    "ultra detailed",
];

/// Words that cannot both be true of one picture.
pub(crate) const CONTRADICTIONS: &[(&[&str], &[&str])] = &[
    (&["low angle"], &["high angle", "top-down", "overhead", "flat lay", "bird's eye"]),
    (&["night", "moonlight", "midnight"], &["noon", "daylight", "sunlight", "morning"]),
    (&["close-up", "closeup", "macro"], &["wide shot", "wide angle"]),
    (&["minimal", "minimalist"], &["cluttered", "busy", "ornate"]),
    (
        &["monochrome", "black and white"],
        &["colourful", "colorful", "vibrant colours", "vibrant colors"],
    ),
    (&["calm", "serene", "quiet"], &["frantic", "chaotic"]),
];

/// Whether `text` holds `phrase` as whole words. Both are in small letters.
pub(crate) fn says(text: &str, phrase: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(phrase).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        is_edge(before) && is_edge(after)
    })
}

/// The part that a phrase speaks of; a phrase without a sign speaks of the subject.
pub(crate) fn part_of(phrase: &str) -> Option<Part> {
    let phrase = phrase.to_lowercase();
    SIGNS
        .iter()
        .find(|(_, words)| words.iter().any(|word| says(&phrase, word)))
        .map(|(part, _)| *part)
}
