//! Encoders of sound, handed in: a server decodes and encodes nothing itself.

use bytes::Bytes;
use impasto_domain::Result;
use tokio::sync::mpsc;

/// An encoding of sound that takes an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// MP3.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// AAC-LC in ADTS frames.
    Aac,
    /// FLAC.
    Flac,
}

/// What an encoder is to make of samples of 16 bits, little-endian, channels interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundWanted {
    /// How it is encoded.
    pub codec: SoundCodec,
    /// Samples per second per channel, in hertz.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// Bits per second, if somebody says.
    pub bits_per_s: Option<u32>,
}

/// Sound that is being encoded: samples go in while what they became comes out. It ends when the samples
/// do, and is given up when nobody takes what comes.
pub struct SoundEncoding {
    /// Where samples go.
    pub samples: mpsc::Sender<Bytes>,
    /// What they became; its end is the end of the sound, an error is the last that comes.
    pub encoded: mpsc::Receiver<Result<Bytes>>,
}

/// What encodes sound while it is made.
pub trait Encoders: Send + Sync {
    /// Whether it can be made so here.
    fn can(&self, codec: SoundCodec) -> bool;

    /// Begins to encode.
    ///
    /// # Errors
    /// No encoder can be had.
    fn begin(&self, wanted: SoundWanted) -> Result<SoundEncoding>;
}

/// For a server that encodes nothing.
pub struct NoEncoders;

impl Encoders for NoEncoders {
    fn can(&self, _codec: SoundCodec) -> bool {
        false
    }

    fn begin(&self, _wanted: SoundWanted) -> Result<SoundEncoding> {
        Err(impasto_domain::Error::unavailable("this server encodes no sound"))
    }
}
