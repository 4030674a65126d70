//! The formats of sound that clients of this dialect name, such as `pcm_16000`.

use impasto_domain::{Error, Result};

use crate::faces::sound::{Encoding, Wanted};

/// Encodings by the first word of a format.
const ENCODINGS: [(&str, Encoding); 4] = [
    ("wav", Encoding::Wav),
    ("pcm", Encoding::Pcm),
    ("ulaw", Encoding::Ulaw),
    ("alaw", Encoding::Alaw),
];
/// Sample rates that can be asked for, in hertz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// What a format means. What is not said is what can be made without loss.
pub(super) fn wanted(format: Option<&str>) -> Result<Wanted> {
    let Some(format) = format.filter(|format| !format.is_empty()) else {
        return Ok(Wanted::natural(Encoding::Wav));
    };
    let unknown = || {
        Error::invalid(format!("`output_format` is '{format}', which is not made here"))
            .hint("use wav, pcm_24000 or another rate, ulaw_8000 or alaw_8000")
    };
    let (name, rate) = match format.split_once('_') {
        Some((name, rate)) => {
            let rate: u32 = rate.parse().map_err(|_| unknown())?;
            (name, Some(rate).filter(|rate| RATES_HZ.contains(rate)).ok_or_else(unknown)?.into())
        }
        None => (format, None),
    };
    let (_, encoding) =
        ENCODINGS.into_iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    if encoding == Encoding::Wav {
        return Ok(Wanted { encoding, sample_rate_hz: rate, channels: None });
    }
    let rate = rate.ok_or_else(unknown)?;
    Ok(Wanted { encoding, sample_rate_hz: Some(rate), channels: Some(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_an_encoding_and_a_rate() {
        let check = |format: &str, expected: Option<(Encoding, Option<u32>)>| {
            let got = wanted(Some(format)).ok().map(|got| (got.encoding, got.sample_rate_hz));
            assert_eq!(got, expected, "{format}");
        };
        check("", Some((Encoding::Wav, None)));
        check("wav", Some((Encoding::Wav, None)));
        check("wav_16000", Some((Encoding::Wav, Some(16_000))));
        check("pcm_44100", Some((Encoding::Pcm, Some(44_100))));
        check("ulaw_8000", Some((Encoding::Ulaw, Some(8_000))));
        for bad in ["pcm", "pcm_1", "pcm_x", "mp3_44100_128", "_", "pcm_99999999999"] {
            check(bad, None);
        }
    }
}
