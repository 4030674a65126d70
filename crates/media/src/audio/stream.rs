//! Sound that is encoded while it comes, in this process.

use impasto_domain::{Error, Result};
use syom::{EncodeOptions, Encoder};

use super::flac::{self, Flac};

/// Bits per second of a channel of AAC.
const AAC_BITS_PER_S: u32 = 96_000;
/// Full scale of samples of 16 bits.
const FULL: f32 = 32_768.0;

/// An encoding of sound that is made in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCodec {
    /// AAC-LC in ADTS frames.
    Aac,
    /// FLAC, without loss.
    Flac,
}

/// Encodes samples of 16 bits, little-endian, channels interleaved, as they come.
pub struct SoundStream {
    channels: usize,
    coder: Coder,
    /// Bytes of a frame that has not come as a whole.
    rest: Vec<u8>,
    is_empty: bool,
}

enum Coder {
    Aac(Box<Encoder>),
    Flac(Flac),
}

impl SoundStream {
    /// A stream in that encoding.
    ///
    /// # Errors
    /// The encoding has no such sample rate, or not so many channels.
    pub fn new(codec: OwnCodec, sample_rate: u32, channels: u16) -> Result<Self> {
        let channels = usize::from(channels);
        let coder = match codec {
            OwnCodec::Aac => {
                let bits_per_s = AAC_BITS_PER_S.saturating_mul(channels as u32);
                let options = EncodeOptions::adts().with_bitrate_bps(bits_per_s);
                let encoder =
                    Encoder::new(sample_rate, channels, &options).map_err(|e| failed(&e))?;
                Coder::Aac(Box::new(encoder))
            }
            OwnCodec::Flac => {
                let rates = 1..=flac::RATE_MAX;
                if !rates.contains(&sample_rate) || !(1..=flac::CHANNELS_MAX).contains(&channels) {
                    let what = format!("{channels} channels at {sample_rate} Hz");
                    return Err(failed(&format_args!("FLAC has no {what}")));
                }
                Coder::Flac(Flac::new(sample_rate, channels))
            }
        };
        Ok(Self { channels, coder, rest: Vec::new(), is_empty: true })
    }

    /// Takes samples in, and gives what is encoded by now.
    ///
    /// # Errors
    /// The encoder gives up.
    pub fn push(&mut self, pcm: &[u8]) -> Result<Vec<u8>> {
        self.rest.extend_from_slice(pcm);
        let whole = self.rest.len() / (self.channels * 2) * self.channels * 2;
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        let samples: Vec<i16> =
            bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        self.is_empty &= samples.is_empty();
        match &mut self.coder {
            Coder::Flac(flac) => Ok(flac.push(&samples)),
            Coder::Aac(encoder) => {
                let plane = |first: usize| -> Vec<f32> {
                    let samples = samples.iter().skip(first).step_by(self.channels);
                    samples.map(|sample| f32::from(*sample) / FULL).collect()
                };
                let planes: Vec<Vec<f32>> = (0..self.channels).map(plane).collect();
                let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
                let mut out = Vec::new();
                let keep = |frame: syom::EncodedFrame<'_>| {
                    out.extend_from_slice(frame.au);
                    Ok(())
                };
                encoder.feed(&planes, keep).map_err(|e| failed(&e))?;
                Ok(out)
            }
        }
    }

    /// What is left when everything has come.
    ///
    /// # Errors
    /// The encoder gives up.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        match &mut self.coder {
            Coder::Flac(flac) => Ok(flac.finish()),
            Coder::Aac(_) if self.is_empty => Ok(Vec::new()),
            Coder::Aac(encoder) => {
                let mut out = Vec::new();
                let keep = |frame: syom::EncodedFrame<'_>| {
                    out.extend_from_slice(frame.au);
                    Ok(())
                };
                encoder.finish(keep).map_err(|e| failed(&e))?;
                Ok(out)
            }
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("sound cannot be encoded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_comes_while_samples_come_and_decodes() {
        let mut stream = SoundStream::new(OwnCodec::Aac, 24_000, 1).unwrap();
        let wave = |at: u32| ((f64::from(at) * 0.05).sin() * 9_000.0) as i16;
        let pcm: Vec<u8> = (0..24_000).flat_map(|at| wave(at).to_le_bytes()).collect();
        let mut file = Vec::new();
        for piece in pcm.chunks(4_801) {
            file.extend(stream.push(piece).unwrap());
        }
        assert!(!file.is_empty(), "nothing is held back to the end");
        file.extend(stream.finish().unwrap());
        let decoded = syom::decode_with(&file, &syom::DecodeOptions::unbounded()).unwrap();
        assert!(decoded.channels[0].len() >= 24_000);
        assert!(SoundStream::new(OwnCodec::Aac, 24_001, 1).is_err());
        let silent = SoundStream::new(OwnCodec::Aac, 24_000, 1).unwrap();
        assert_eq!(silent.finish(), Ok(Vec::new()));
    }
}
