//! Sound in memory: 32-bit float samples, one vector a channel.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use impasto_domain::{AssetRef, Error, MediaFacts, Result, Workbench};

/// A sound: samples from -1 to 1, one vector of equal length for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples per second per channel, in hertz.
    pub sample_rate: u32,
    /// The samples of each channel; all of equal length, at least one channel.
    pub channels: Vec<Vec<f32>>,
}

impl Sound {
    /// Number of samples of each channel.
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.len() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// Decodes a WAV file that Impasto wrote or has checked.
    pub fn from_wav(bytes: &[u8]) -> Result<Self> {
        let bad = |error| Error::invalid(format!("the sound cannot be decoded: {error}"));
        let mut reader = WavReader::new(Cursor::new(bytes)).map_err(bad)?;
        let spec = reader.spec();
        let samples: Vec<f32> = match spec.sample_format {
            SampleFormat::Float => {
                reader.samples::<f32>().collect::<Result<_, _>>().map_err(bad)?
            }
            SampleFormat::Int => {
                let full = f64::from(2_u32).powi(i32::from(spec.bits_per_sample) - 1);
                let whole = reader.samples::<i32>();
                whole
                    .map(|s| s.map(|s| (f64::from(s) / full) as f32))
                    .collect::<Result<_, _>>()
                    .map_err(bad)?
            }
        };
        let count = usize::from(spec.channels.max(1));
        let channel = |first| samples.iter().skip(first).step_by(count).copied().collect();
        Ok(Self { sample_rate: spec.sample_rate, channels: (0..count).map(channel).collect() })
    }

    /// The sound as a 16-bit WAV file; samples beyond full scale are clipped.
    pub fn to_wav(&self) -> Result<Vec<u8>> {
        let bad = |error| Error::internal(format!("the sound cannot be written: {error}"));
        let spec = WavSpec {
            channels: self.channels.len() as u16,
            sample_rate: self.sample_rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).map_err(bad)?;
        for place in 0..self.len() {
            for channel in &self.channels {
                let sample = channel.get(place).copied().unwrap_or_default().clamp(-1.0, 1.0);
                writer.write_sample((sample * 32767.0).round() as i16).map_err(bad)?;
            }
        }
        writer.finalize().map_err(bad)?;
        Ok(bytes.into_inner())
    }

    /// Reads an audio asset from the bench.
    pub fn read(bench: &dyn Workbench, asset: &AssetRef) -> Result<Self> {
        Self::from_wav(&bench.read(asset)?)
    }

    /// Keeps the sound as a WAV asset.
    pub fn write(&self, bench: &dyn Workbench) -> Result<AssetRef> {
        let facts = MediaFacts {
            duration_ms: Some((self.duration_s() * 1000.0).round() as u64),
            channels: Some(self.channels.len() as u16),
            sample_rate: Some(self.sample_rate),
            ..MediaFacts::default()
        };
        bench.write(self.to_wav()?, "audio/wav", facts)
    }
}
