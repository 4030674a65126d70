//! Assets: immutable files named by their digest, with the facts of their media.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The media type of a timeline: a video that has been described but not rendered yet.
///
/// A tool that takes videos takes timelines too and answers with one, so that a chain of video
/// steps costs one encoding pass; the bytes are made once, when someone needs them.
pub const TIMELINE_MEDIA_TYPE: &str = "application/vnd.impasto.timeline+json";

/// The media type of a world that is a cloud of Gaussian splats, in whatever format it came.
pub const SPLATS_MEDIA_TYPE: &str = "application/vnd.gaussian-splats";

/// The SHA-256 of an asset's bytes: its name everywhere. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

/// Finds the digest of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces together.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let digits = digits.map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('?'));
        f.write_str(&digits.collect::<String>())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a digest: 64 hexadecimal digits are needed");
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What sort of media an asset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A still picture.
    Image,
    /// Moving pictures, with or without sound; a timeline too.
    Video,
    /// Sound.
    Audio,
    /// A three-dimensional mesh (GLB).
    Mesh,
    /// A navigable world.
    World,
    /// Anything else.
    Other,
}

impl MediaKind {
    /// The kind that a media type (such as `image/png`) stands for.
    pub fn of_media_type(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or(media_type).trim();
        match essence {
            TIMELINE_MEDIA_TYPE => Self::Video,
            "application/vnd.impasto.world+json" | SPLATS_MEDIA_TYPE => Self::World,
            _ => match essence.split('/').next() {
                Some("image") => Self::Image,
                Some("video") => Self::Video,
                Some("audio") => Self::Audio,
                Some("model") => Self::Mesh,
                _ => Self::Other,
            },
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Mesh => "mesh",
            Self::World => "world",
            Self::Other => "file",
        })
    }
}

/// What is known of an asset's media. Absent means unknown or not applicable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaFacts {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Length in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Audio channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Audio samples per second per channel, in hertz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Whether a picture has transparent parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_alpha: Option<bool>,
    /// Number of triangles of a mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triangles: Option<u64>,
    /// Whether it is kept as somebody else wrote it. Tools of this process get a copy of it that was
    /// decoded in a child and written anew.
    #[serde(skip_serializing_if = "is_false")]
    pub foreign: bool,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

/// A reference to an asset: its name, its media type and its facts. Never its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssetRef {
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// The media type, such as `image/png`.
    pub media_type: String,
    /// What is known of the media.
    pub facts: MediaFacts,
}

impl AssetRef {
    /// What sort of media it is.
    pub fn kind(&self) -> MediaKind {
        MediaKind::of_media_type(&self.media_type)
    }

    /// Whether it is a video that has been described but not rendered yet.
    pub fn is_timeline(&self) -> bool {
        self.media_type == TIMELINE_MEDIA_TYPE
    }

    /// The usual file extension of its media type, without the dot.
    pub fn extension(&self) -> &'static str {
        match self.media_type.as_str() {
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "image/webp" => "webp",
            "image/avif" => "avif",
            "image/svg+xml" => "svg",
            "video/mp4" => "mp4",
            "audio/wav" => "wav",
            "audio/mp4" => "m4a",
            "audio/mpeg" => "mp3",
            "audio/ogg" => "ogg",
            "audio/flac" => "flac",
            "audio/aac" => "aac",
            "model/gltf-binary" => "glb",
            "text/vtt" => "vtt",
            "text/plain" => "txt",
            media_type if media_type.ends_with("json") => "json",
            _ => "bin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_refuses_what_is_none() {
        let digest = Digest::of(b"impasto");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("abc".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
    }
}
