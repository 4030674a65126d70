//! Sound that the machine's ffmpeg encodes while it comes.
//!
//! The child raises its fences and then becomes ffmpeg: samples go in at its standard input and the
//! encoded sound comes out at its standard output, nothing else is open. It is one process: whoever
//! kills it has ended everything.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use impasto_domain::{Error, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::exchange::{self, Request};
use super::{Ffmpeg, Sandbox};

/// Bits per second of a channel, where nobody says how many.
const BITS_PER_S: u32 = 64_000;

/// An encoding of sound that is made by ffmpeg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignCodec {
    /// MP3.
    Mp3,
    /// Opus in Ogg.
    Opus,
}

impl ForeignCodec {
    /// The name of ffmpeg's encoder.
    fn encoder(self) -> &'static str {
        match self {
            Self::Mp3 => "libmp3lame",
            Self::Opus => "libopus",
        }
    }

    /// What else its output is told: no head that is filled in at the end, short pages.
    fn output(self) -> &'static [&'static str] {
        match self {
            Self::Mp3 => &["-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"],
            Self::Opus => &["-page_duration", "40000", "-f", "ogg"],
        }
    }
}

/// Sound that ffmpeg is to encode: samples of 16 bits, little-endian, channels interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// How.
    pub codec: ForeignCodec,
    /// Samples per second per channel, in hertz.
    pub sample_rate: u32,
    /// Its channels.
    pub channels: u16,
    /// Bits per second of what comes out, if somebody says.
    pub bits_per_s: Option<u32>,
}

/// A child that encodes, ready to be started.
pub struct EncoderChild {
    /// How it is started: both ends are pipes.
    pub command: Command,
    /// Its folder, which must be there as long as it runs.
    pub folder: TempDir,
}

impl Sandbox {
    /// Whether sound can be encoded so on this machine.
    pub fn can_encode(&self, codec: ForeignCodec) -> bool {
        self.ffmpeg.as_ref().is_some_and(|ffmpeg| ffmpeg.has(codec.encoder()))
    }

    /// A child that encodes sound as it comes.
    ///
    /// # Errors
    /// This machine has no ffmpeg that can, or there is no folder for it.
    pub fn encoder(&self, encoding: Encoding) -> Result<EncoderChild> {
        let ffmpeg = self.ffmpeg.clone().filter(|_| self.can_encode(encoding.codec));
        let ffmpeg = ffmpeg.ok_or_else(|| {
            let name = encoding.codec.encoder();
            Error::unavailable(format!("this machine has no ffmpeg with {name}"))
                .hint("install ffmpeg 5.1 or later (on Debian: apt-get install ffmpeg)")
        })?;
        let request = Request {
            limits: self.limits.clone(),
            ffmpeg: Some(ffmpeg),
            own_film: false,
            drawing: false,
            encoding: Some(encoding),
        };
        let (command, folder) = exchange::child(self, &request)?;
        Ok(EncoderChild { command, folder })
    }
}

/// Becomes ffmpeg; comes back only if that fails. Runs in the child.
pub(super) fn become_ffmpeg(ffmpeg: &Ffmpeg, encoding: Encoding) -> Error {
    let usual = BITS_PER_S.saturating_mul(u32::from(encoding.channels.clamp(1, 2)));
    let error = Command::new(&ffmpeg.program)
        .env_clear()
        .args(["-nostdin", "-hide_banner", "-loglevel", "quiet", "-protocol_whitelist", "pipe"])
        // Nothing is looked at before it is encoded: what comes is known.
        .args(["-probesize", "32", "-analyzeduration", "0", "-fflags", "nobuffer"])
        .args(["-f", "s16le", "-ar", &encoding.sample_rate.to_string()])
        .args(["-ac", &encoding.channels.to_string(), "-i", "pipe:0"])
        .args(["-map_metadata", "-1", "-threads", "1", "-c:a", encoding.codec.encoder()])
        .args(["-b:a", &encoding.bits_per_s.unwrap_or(usual).to_string()])
        .args(encoding.codec.output())
        .args(["-flush_packets", "1", "pipe:1"])
        .exec();
    Error::unavailable(format!("ffmpeg cannot be started: {error}")).hint("install it anew")
}
