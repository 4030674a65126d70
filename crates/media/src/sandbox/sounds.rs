//! Foreign sounds become WAV: 16 bits, the channels and the rate they had.

use std::io::Cursor;

use hound::{SampleFormat, WavSpec, WavWriter};
use impasto_domain::{Error, MediaFacts, Result};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Failure;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::child::{Normalised, undecodable};
use crate::limits::Limits;
use crate::sniff::Kind;

/// Decodes a sound and writes it as WAV.
pub(super) fn normalise(bytes: &[u8], kind: Kind, limits: &Limits) -> Result<Normalised> {
    let bad = |error: &dyn std::fmt::Display| undecodable(kind.name(), error);
    let bytes = if kind == Kind::Wav { with_true_length(bytes.to_vec())? } else { bytes.to_vec() };
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let (formats, codecs) = (symphonia::default::get_probe(), symphonia::default::get_codecs());
    let mut format = formats
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| bad(&e))?;
    let track =
        format.default_track(TrackType::Audio).ok_or_else(|| bad(&"there is no sound in it"))?;
    let track_id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or_else(|| bad(&"its codec is not known"))?;
    let mut decoder = codecs
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| bad(&e))?;
    let mut target: Option<Target> = None;
    let mut samples: Vec<i16> = Vec::new();
    while let Some(packet) = format.next_packet().map_err(|e| bad(&e))? {
        if packet.track_id != track_id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            // A damaged packet is a click, not the end.
            Err(Failure::DecodeError(_)) => continue,
            Err(error) => return Err(bad(&error)),
        };
        let spec = decoded.spec();
        let (rate, channels) = (spec.rate(), spec.channels().count());
        let target = match &mut target {
            Some(target) if (target.rate, target.channels) != (rate, channels) => {
                return Err(bad(&"its rate or its channels change on the way"));
            }
            Some(target) => target,
            None => target.insert(Target::new(rate, channels, limits)?),
        };
        samples.resize(decoded.samples_interleaved(), 0);
        decoded.copy_to_slice_interleaved(&mut samples);
        target.write(&samples, limits)?;
    }
    target.ok_or_else(|| bad(&"there is no sound in it"))?.finish()
}

/// The WAV that is being written.
struct Target {
    rate: u32,
    channels: usize,
    count: u64,
    samples: Vec<i16>,
}

impl Target {
    fn new(rate: u32, channels: usize, limits: &Limits) -> Result<Self> {
        limits.check_count("channels", channels as u64, u64::from(limits.channels))?;
        limits.check_count("samples a second", u64::from(rate), u64::from(limits.sample_rate))?;
        if rate == 0 || channels == 0 {
            return Err(undecodable("sound", &"it has no rate or no channel"));
        }
        Ok(Self { rate, channels, count: 0, samples: Vec::new() })
    }

    fn duration_ms(&self) -> u64 {
        self.count * 1000 / self.channels as u64 / u64::from(self.rate)
    }

    fn write(&mut self, samples: &[i16], limits: &Limits) -> Result<()> {
        self.samples.extend_from_slice(samples);
        self.count += samples.len() as u64;
        limits.check_duration("sound", self.duration_ms())?;
        limits.check_count("bytes once it is decoded", self.count * 2, limits.output_bytes)
    }

    fn finish(self) -> Result<Normalised> {
        let bad =
            |error: hound::Error| Error::internal(format!("the sound cannot be written: {error}"));
        let spec = WavSpec {
            channels: self.channels as u16,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::with_capacity(self.samples.len() * 2 + 64));
        let mut writer = WavWriter::new(&mut bytes, spec).map_err(bad)?;
        for sample in &self.samples {
            writer.write_sample(*sample).map_err(bad)?;
        }
        writer.finalize().map_err(bad)?;
        let facts = MediaFacts {
            duration_ms: Some(self.duration_ms()),
            channels: Some(self.channels as u16),
            sample_rate: Some(self.rate),
            ..MediaFacts::default()
        };
        Ok(Normalised { bytes: bytes.into_inner(), media_type: "audio/wav", facts })
    }
}

/// Refuses a WAV whose data claims to be longer than the file. A length of all ones means that the
/// writer did not know, which programs that write into pipes do: then the length is put right.
fn with_true_length(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut place = 12;
    while let Some([name @ .., a, b, c, d]) =
        bytes.get(place..).and_then(|rest| rest.first_chunk::<8>()).copied()
    {
        let length = u32::from_le_bytes([a, b, c, d]);
        let there = bytes.len() - place - 8;
        if &name == b"data" {
            if length == u32::MAX {
                let there = u32::try_from(there & !1).unwrap_or(u32::MAX);
                bytes[place + 4..place + 8].copy_from_slice(&there.to_le_bytes());
            } else if length as usize > there {
                return Err(undecodable(
                    "WAV sound",
                    &format!("it claims {length} bytes of sound and has {there}"),
                ));
            }
            return Ok(bytes);
        }
        place = place.saturating_add(8).saturating_add((length as usize).saturating_add(1) & !1);
    }
    Err(undecodable("WAV sound", &"there is no sound in it"))
}
