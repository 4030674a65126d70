//! What a file is, by its first bytes.
//!
//! Neither the name nor the declared media type has a say: a playlist called `film.mp4` is a
//! playlist.

use impasto_domain::{Error, Result};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
    /// Graphics Interchange Format.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// AV1 still picture.
    Avif,
    /// HEVC still picture.
    Heic,
    /// Tagged Image File Format.
    Tiff,
    /// Scalable Vector Graphics, or another XML document.
    Xml,
    /// PostScript.
    PostScript,
    /// Portable Document Format.
    Pdf,
    /// RIFF WAVE.
    Wav,
    /// MPEG audio.
    Mp3,
    /// Free Lossless Audio Codec.
    Flac,
    /// Ogg with Vorbis or FLAC in it.
    Ogg,
    /// Ogg with Opus in it.
    Opus,
    /// MP4, QuickTime and kin.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    /// Binary glTF.
    Glb,
    /// A list of other files: HLS, DASH, ffconcat.
    Playlist,
    /// Text of some other sort.
    Text,
    /// None of these.
    Unknown,
}

/// What is done with a kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Decoded by our own decoders.
    Own,
    /// Decoded by ffmpeg if the machine has it, with this demuxer and no other.
    Ffmpeg {
        /// The only demuxer that may look at it, by ffmpeg's name.
        demuxer: &'static str,
        /// Whether our own decoders can do something with it without ffmpeg.
        or_own: bool,
    },
    /// Not taken.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

impl Kind {
    /// The kind of file that begins with these bytes. A few hundred are enough.
    pub fn sniff(bytes: &[u8]) -> Self {
        let at = |place: usize, magic: &[u8]| bytes.get(place..place + magic.len()) == Some(magic);
        match bytes {
            _ if at(0, b"\x89PNG\r\n\x1a\n") => Self::Png,
            _ if at(0, b"\xff\xd8\xff") => Self::Jpeg,
            _ if at(0, b"RIFF") && at(8, b"WEBP") => Self::Webp,
            _ if at(0, b"RIFF") && at(8, b"WAVE") => Self::Wav,
            _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Self::Gif,
            _ if at(0, b"BM") && at(6, &[0, 0, 0, 0]) => Self::Bmp,
            _ if at(4, b"ftyp") => Self::of_brand(bytes),
            _ if at(0, b"II*\0") || at(0, b"MM\0*") || at(0, b"II+\0") || at(0, b"MM\0+") => {
                Self::Tiff
            }
            _ if at(0, b"%!PS") || at(0, b"\xc5\xd0\xd3\xc6") => Self::PostScript,
            _ if at(0, b"%PDF") => Self::Pdf,
            _ if at(0, b"fLaC") => Self::Flac,
            _ if at(0, b"OggS") && contains(bytes, b"OpusHead") => Self::Opus,
            _ if at(0, b"OggS") => Self::Ogg,
            _ if at(0, b"ID3") => Self::Mp3,
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Self::Mp3,
            _ if at(0, b"\x1a\x45\xdf\xa3") => Self::Matroska,
            _ if at(0, b"glTF") => Self::Glb,
            _ => Self::of_text(bytes),
        }
    }

    fn of_brand(bytes: &[u8]) -> Self {
        let size = bytes.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize);
        let brands = bytes.get(8..size.clamp(8, 256).min(bytes.len())).unwrap_or_default();
        // The minor version sits between the major brand and the compatible ones; no brand equals it.
        let has = |wanted: &[&[u8]]| brands.chunks_exact(4).any(|brand| wanted.contains(&brand));
        if has(&[b"avif", b"avis"]) {
            Self::Avif
        } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"]) {
            Self::Heic
        } else {
            Self::Mp4
        }
    }

    fn of_text(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let start =
            bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
        let text = bytes[start..].get(..512).unwrap_or(&bytes[start..]);
        let is_text = !text.is_empty()
            && text
                .iter()
                .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b) || *byte >= 0x20);
        if !is_text {
            Self::Unknown
        } else if text.starts_with(b"#EXTM3U")
            || text.starts_with(b"ffconcat")
            || contains(text, b"<MPD")
        {
            Self::Playlist
        } else if text.starts_with(b"<") {
            Self::Xml
        } else {
            Self::Text
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG picture",
            Self::Jpeg => "JPEG picture",
            Self::Webp => "WebP picture",
            Self::Gif => "GIF picture",
            Self::Bmp => "BMP picture",
            Self::Avif => "AVIF picture",
            Self::Heic => "HEIC picture",
            Self::Tiff => "TIFF picture",
            Self::Xml => "SVG or XML document",
            Self::PostScript => "PostScript document",
            Self::Pdf => "PDF document",
            Self::Wav => "WAV sound",
            Self::Mp3 => "MP3 sound",
            Self::Flac => "FLAC sound",
            Self::Ogg => "Ogg sound",
            Self::Opus => "Opus sound",
            Self::Mp4 => "MP4 film",
            Self::Matroska => "Matroska or WebM film",
            Self::Glb => "GLB mesh",
            Self::Playlist => "playlist",
            Self::Text => "text",
            Self::Unknown => "file of an unknown kind",
        }
    }

    /// What is done with it.
    pub fn treatment(self) -> Treatment {
        let refused = |reason, remedy| Treatment::Refused { reason, remedy };
        let ffmpeg = |demuxer, or_own| Treatment::Ffmpeg { demuxer, or_own };
        match self {
            Self::Png | Self::Jpeg | Self::Webp | Self::Gif | Self::Bmp => Treatment::Own,
            Self::Wav | Self::Mp3 | Self::Flac | Self::Ogg | Self::Glb => Treatment::Own,
            Self::Avif => ffmpeg("mov", false),
            Self::Mp4 => ffmpeg("mov", true),
            Self::Matroska => ffmpeg("matroska", false),
            Self::Opus => ffmpeg("ogg", false),
            Self::Heic => {
                refused("its decoders are covered by patents", "send it as JPEG, WebP or PNG")
            }
            Self::Tiff => refused("its decoders have crashed on valid files", "send it as PNG"),
            Self::Xml => {
                refused("such documents can name other files and never end", "send it as PNG")
            }
            Self::PostScript => refused("it is a program, not a picture", "send it as PNG"),
            Self::Pdf => refused("it is a document, not a picture", "send its page as PNG"),
            Self::Playlist => refused(
                "it names other files, here or elsewhere",
                "send the film itself as one file",
            ),
            Self::Text => {
                refused("it is text, not media", "send a picture, a sound, a film or a mesh")
            }
            Self::Unknown => refused(
                "its first bytes are those of no kind that is taken",
                "send PNG, JPEG, WebP, GIF or BMP; WAV, MP3, FLAC or Ogg; MP4 or WebM; or GLB",
            ),
        }
    }

    /// The kind of these bytes, or why it is not taken.
    pub fn admitted(bytes: &[u8]) -> Result<Self> {
        let kind = Self::sniff(bytes);
        if bytes.is_empty() {
            return Err(Error::invalid("the file is empty").hint("check that it was sent whole"));
        }
        match kind.treatment() {
            Treatment::Refused { reason, remedy } => Err(Error::invalid(format!(
                "this is a {}, which is not taken: {reason}",
                kind.name()
            ))
            .hint(remedy)),
            _ => Ok(kind),
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let start = bytes.get(..512).unwrap_or(bytes);
    start.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], kind: Kind) {
        assert_eq!(Kind::sniff(bytes), kind, "{bytes:?}");
    }

    #[test]
    fn bytes_tell_the_kind() {
        check(b"\x89PNG\r\n\x1a\n....", Kind::Png);
        check(b"\xff\xd8\xff\xe0", Kind::Jpeg);
        check(b"RIFF\0\0\0\0WAVEfmt ", Kind::Wav);
        check(b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", Kind::Mp4);
        check(b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", Kind::Avif);
        check(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Kind::Heic);
        check(b"#EXTM3U\n#EXTINF:1,\nhttp://x", Kind::Playlist);
        check(b"ffconcat version 1.0\nfile '/etc/passwd'\n", Kind::Playlist);
        check(b"  <?xml version='1.0'?><svg/>", Kind::Xml);
        check(b"just some text", Kind::Text);
        check(b"\xff\xfb\x90\x00", Kind::Mp3);
        check(b"MM\0*", Kind::Tiff);
        check(b"\0\0\0\0", Kind::Unknown);
        check(b"", Kind::Unknown);
        check(b"\0\0\0\x18ftyp", Kind::Mp4);
    }
}
