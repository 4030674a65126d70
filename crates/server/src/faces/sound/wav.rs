//! The head of a WAV file: written for a stream whose end is not known, read where our own files begin.

use impasto_domain::{Error, Result, SoundFormat};

use super::PCM;

/// Where a length is not known, this stands for it.
const UNKNOWN: u32 = u32::MAX;
/// What of the file's own length comes before the samples.
const BEFORE_SAMPLES: u32 = 36;

/// The head of a file with samples of 16 bits.
pub(super) fn header(sample_rate_hz: u32, channels: u16, bytes_total: Option<u64>) -> Vec<u8> {
    let known = bytes_total.and_then(|bytes| u32::try_from(bytes).ok());
    let known = known.filter(|bytes| *bytes < UNKNOWN - BEFORE_SAMPLES);
    let mut head = Vec::with_capacity(44);
    head.extend_from_slice(b"RIFF");
    head.extend(known.map_or(UNKNOWN, |bytes| bytes + BEFORE_SAMPLES).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    head.extend(1_u16.to_le_bytes());
    head.extend(channels.to_le_bytes());
    head.extend(sample_rate_hz.to_le_bytes());
    head.extend((sample_rate_hz.saturating_mul(u32::from(channels) * 2)).to_le_bytes());
    head.extend((channels * 2).to_le_bytes());
    head.extend(16_u16.to_le_bytes());
    head.extend_from_slice(b"data");
    head.extend(known.unwrap_or(UNKNOWN).to_le_bytes());
    head
}

/// How the samples of a file are to be read, and where they begin and end.
pub(super) fn read(file: &[u8]) -> Result<(SoundFormat, std::ops::Range<usize>)> {
    let bad = || Error::internal("the sound is no WAV file with samples of 16 bits");
    let number = |at: usize, bytes: usize| -> Option<u32> {
        let bytes = file.get(at..at + bytes)?.iter().rev();
        Some(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(bad());
    }
    let mut format = None;
    let mut at = 12;
    while let (Some(name), Some(length)) = (file.get(at..at + 4), number(at + 4, 4)) {
        let (begin, length) = (at + 8, length as usize);
        match name {
            b"fmt " if number(begin + 14, 2) == Some(16) => {
                let channels = number(begin + 2, 2).ok_or_else(bad)? as u16;
                let sample_rate_hz = number(begin + 4, 4).ok_or_else(bad)?;
                let media_type = PCM.to_owned();
                format = Some(SoundFormat { media_type, sample_rate_hz, channels });
            }
            b"data" => {
                let end = begin.saturating_add(length).min(file.len());
                return Ok((format.ok_or_else(bad)?, begin..end));
            }
            _ => {}
        }
        at = begin.saturating_add(length).saturating_add(length % 2);
    }
    Err(bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut file = header(24_000, 2, Some(4));
        file.extend([1, 2, 3, 4]);
        let (format, range) = read(&file).unwrap();
        assert_eq!((format.sample_rate_hz, format.channels), (24_000, 2));
        assert_eq!(&file[range], [1, 2, 3, 4]);
        for cut in 0..44 {
            assert!(read(&file[..cut]).is_err() || cut == 44, "{cut}");
        }
    }
}
