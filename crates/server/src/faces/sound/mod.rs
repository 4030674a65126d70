//! Sound on its way to a client: from the samples that are made to the encoding that was asked for,
//! piece by piece.
//!
//! Invariant: what needs no change is passed on as it is; nothing is held back longer than the few
//! samples that a change of the sample rate looks ahead.

mod asked;
mod flow;
mod resample;
mod source;
mod wav;

pub(crate) use flow::Flow;
pub(crate) use source::{sound_of, succeeded};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use impasto_domain::{AssetRef, Error, Result, SoundFormat};

use crate::app::App;
use resample::Resampler;

/// Samples as the engine tells and keeps them: 16 bits, little-endian, channels interleaved.
pub(crate) const PCM: &str = "audio/pcm";

/// An encoding in which sound is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// A WAV file.
    Wav,
    /// Bare samples of 16 bits.
    Pcm,
    /// Bare samples of 8 bits by the µ-law.
    Ulaw,
    /// Bare samples of 8 bits by the A-law.
    Alaw,
    /// MP3.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// AAC in ADTS frames.
    Aac,
    /// FLAC.
    Flac,
}

impl Encoding {
    /// The media type under which it is sent.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Pcm => PCM,
            Self::Ulaw => "audio/basic",
            Self::Alaw => "audio/x-alaw-basic",
            Self::Mp3 => "audio/mpeg",
            Self::Opus => "audio/ogg",
            Self::Aac => "audio/aac",
            Self::Flac => "audio/flac",
        }
    }

    /// How the name of its file ends.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Pcm => "pcm",
            Self::Ulaw => "ulaw",
            Self::Alaw => "alaw",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::Flac => "flac",
        }
    }

    /// Whether this server can make it.
    pub(crate) fn is_made_by(self, app: &App) -> bool {
        self.codec().is_none_or(|codec| app.encoders().can(codec))
    }
}

/// What sound a client asks for. What is left open stays as it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) encoding: Encoding,
    pub(crate) sample_rate_hz: Option<u32>,
    pub(crate) channels: Option<u16>,
    /// Of what an encoder makes.
    pub(crate) bits_per_s: Option<u32>,
    /// Whether it is not what clients of this face are used to, which this server cannot make.
    pub(crate) is_instead: bool,
}

/// What is told of sound that comes in another encoding than clients are used to.
const INSTEAD: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-impasto-sound"),
    HeaderValue::from_static("wav instead of mp3, which this server cannot make without ffmpeg"),
);

impl Wanted {
    /// In this encoding, as it is made.
    pub(crate) fn natural(encoding: Encoding) -> Self {
        Self { encoding, sample_rate_hz: None, channels: None, bits_per_s: None, is_instead: false }
    }

    /// This, which clients of a face are used to, or WAV where it cannot be made.
    pub(crate) fn usual(self, app: &App) -> Self {
        if self.encoding.is_made_by(app) {
            return self;
        }
        Self { is_instead: true, ..Self::natural(Encoding::Wav) }
    }

    /// What is told beside the sound.
    pub(crate) fn headers(self) -> Option<(HeaderName, HeaderValue)> {
        self.is_instead.then_some(INSTEAD)
    }

    /// Whether pieces that are told are this already, so that they are passed on as they come.
    fn is_told_as(&self, told: &SoundFormat) -> bool {
        let fits = self.sample_rate_hz.is_none_or(|rate| [rate, 0].contains(&told.sample_rate_hz))
            && self.channels.is_none_or(|channels| [channels, 0].contains(&told.channels));
        fits && told.media_type != PCM && told.media_type == self.encoding.media_type()
    }

    /// Whether a file is this already.
    fn is_made_as(&self, asset: &AssetRef) -> bool {
        let facts = &asset.facts;
        let fits = self.sample_rate_hz.is_none_or(|rate| facts.sample_rate == Some(rate))
            && self.channels.is_none_or(|channels| facts.channels == Some(channels));
        // Bare samples do not say what they are, and no file is kept as such.
        let is_file = !matches!(self.encoding, Encoding::Pcm | Encoding::Ulaw | Encoding::Alaw);
        fits && is_file && asset.media_type == self.encoding.media_type()
    }
}

/// Turns samples into what was asked for, piece by piece; what takes an encoder stays samples.
pub(crate) struct Encoder {
    from: SoundFormat,
    wanted: Wanted,
    resampler: Option<Resampler>,
    /// Bytes of a frame that has not come as a whole.
    rest: Vec<u8>,
    begun: bool,
}

impl Encoder {
    pub(crate) fn new(from: SoundFormat, wanted: Wanted) -> Result<Self> {
        if from.media_type != PCM || from.channels == 0 || from.sample_rate_hz == 0 {
            let message = format!("sound comes as '{}', which is not known here", from.media_type);
            return Err(Error::internal(message));
        }
        let rate = wanted.sample_rate_hz.unwrap_or(from.sample_rate_hz);
        let channels = wanted.channels.unwrap_or(from.channels).max(1);
        let changed = rate != from.sample_rate_hz;
        let resampler =
            changed.then(|| Resampler::new(from.sample_rate_hz, rate, usize::from(channels)));
        Ok(Self { from, wanted, resampler, rest: Vec::new(), begun: false })
    }

    fn rate_hz(&self) -> u32 {
        self.wanted.sample_rate_hz.unwrap_or(self.from.sample_rate_hz)
    }

    fn channels(&self) -> u16 {
        self.wanted.channels.unwrap_or(self.from.channels).max(1)
    }

    /// Whether the samples are sent as they come.
    fn is_plain(&self) -> bool {
        self.resampler.is_none()
            && self.channels() == self.from.channels
            && !matches!(self.wanted.encoding, Encoding::Ulaw | Encoding::Alaw)
    }

    /// The next piece, encoded. `bytes_total` is how many bytes of samples there will be, if it is known.
    pub(crate) fn push(&mut self, pcm: Bytes, bytes_total: Option<u64>) -> Bytes {
        let header = self.header(bytes_total);
        if self.is_plain() {
            return match header {
                Some(header) => [header.as_slice(), &pcm].concat().into(),
                None => pcm,
            };
        }
        let mut out = header.unwrap_or_default();
        let samples = self.samples(&pcm);
        let samples = match &mut self.resampler {
            Some(resampler) => resampler.push(&samples),
            None => samples,
        };
        self.write(&samples, &mut out);
        out.into()
    }

    /// What is left when everything has come.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = self.header(Some(0)).unwrap_or_default();
        let samples = self.resampler.as_mut().map(Resampler::finish).unwrap_or_default();
        self.write(&samples, &mut out);
        out.into()
    }

    fn header(&mut self, bytes_total: Option<u64>) -> Option<Vec<u8>> {
        if std::mem::replace(&mut self.begun, true) || self.wanted.encoding != Encoding::Wav {
            return None;
        }
        let known = bytes_total.filter(|_| self.is_plain());
        Some(wav::header(self.rate_hz(), self.channels(), known))
    }

    /// The samples of whole frames, in the number of channels that is wanted.
    fn samples(&mut self, pcm: &[u8]) -> Vec<i16> {
        let frame = usize::from(self.from.channels) * 2;
        self.rest.extend_from_slice(pcm);
        let whole = self.rest.len() / frame * frame;
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        let samples = bytes.chunks_exact(2).map(sample);
        let (from, to) = (usize::from(self.from.channels), usize::from(self.channels()));
        if from == to {
            return samples.collect();
        }
        let samples: Vec<i16> = samples.collect();
        let mixed = samples.chunks_exact(from).flat_map(|frame| {
            let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
            std::iter::repeat_n((sum / from as i32) as i16, to)
        });
        mixed.collect()
    }

    fn write(&self, samples: &[i16], out: &mut Vec<u8>) {
        match self.wanted.encoding {
            Encoding::Wav
            | Encoding::Pcm
            | Encoding::Mp3
            | Encoding::Opus
            | Encoding::Aac
            | Encoding::Flac => {
                out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
            Encoding::Ulaw => out.extend(samples.iter().map(|sample| ulaw(*sample))),
            Encoding::Alaw => out.extend(samples.iter().map(|sample| alaw(*sample))),
        }
    }
}

fn sample(bytes: &[u8]) -> i16 {
    let low = bytes.first().copied().unwrap_or_default();
    let high = bytes.get(1).copied().unwrap_or_default();
    i16::from_le_bytes([low, high])
}

/// The place of the highest bit that is set, counted from `lowest`.
fn segment(magnitude: u32, lowest: u32) -> u32 {
    (31 - magnitude.max(1).leading_zeros()).saturating_sub(lowest)
}

/// A sample by the µ-law of ITU-T G.711.
fn ulaw(sample: i16) -> u8 {
    const BIAS: u32 = 132;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = u32::from(sample.unsigned_abs()).min(32_635) + BIAS;
    let segment = segment(magnitude, 7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

/// A sample by the A-law of ITU-T G.711.
fn alaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // Below zero the steps count from -1.
    let magnitude = if sample < 0 { !sample as u32 } else { sample as u32 };
    let segment = segment(magnitude, 7);
    let shift = if segment == 0 { 4 } else { segment + 3 };
    let step = (magnitude >> shift) & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(sample_rate_hz: u32, channels: u16) -> SoundFormat {
        SoundFormat { media_type: PCM.to_owned(), sample_rate_hz, channels }
    }

    #[test]
    fn the_laws_are_those_of_the_tables() {
        for (sample, u, a) in
            [(0, 0xff, 0xd5), (-1, 0x7f, 0x55), (1000, 0xce, 0xfa), (-32768, 0x00, 0x2a)]
        {
            assert_eq!((ulaw(sample), alaw(sample)), (u, a), "{sample}");
        }
    }

    #[test]
    fn what_needs_no_change_is_passed_on() {
        let mut encoder = Encoder::new(format(24_000, 1), Wanted::natural(Encoding::Pcm)).unwrap();
        assert_eq!(&encoder.push(Bytes::from_static(b"abc"), None)[..], b"abc");
        assert_eq!(&encoder.push(Bytes::from_static(b"d"), None)[..], b"d");
        assert!(encoder.finish().is_empty());
    }

    #[test]
    fn frames_that_come_in_bits_are_put_together_and_mixed() {
        let wanted = Wanted { channels: Some(1), ..Wanted::natural(Encoding::Pcm) };
        let mut encoder = Encoder::new(format(24_000, 2), wanted).unwrap();
        assert!(encoder.push(Bytes::from_static(&[100, 0, 44]), None).is_empty());
        assert_eq!(&encoder.push(Bytes::from_static(&[1, 7]), None)[..], [200, 0]);
    }

    #[test]
    fn a_wav_begins_with_its_header_once() {
        let mut encoder = Encoder::new(format(24_000, 1), Wanted::natural(Encoding::Wav)).unwrap();
        let first = encoder.push(Bytes::from_static(&[1, 0]), None);
        assert_eq!((&first[..4], first.len()), (&b"RIFF"[..], 46));
        assert_eq!(encoder.push(Bytes::from_static(&[1, 0]), None).len(), 2);
    }
}
