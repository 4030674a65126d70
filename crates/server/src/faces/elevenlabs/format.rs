//! The formats of sound that clients of this dialect name, such as `pcm_16000`.

use impasto_domain::{Error, Result};

use crate::app::App;
use crate::calls::Call;
use crate::faces::sound::{Encoding, Wanted};

/// Encodings by the first word of a format.
const ENCODINGS: [(&str, Encoding); 6] = [
    ("wav", Encoding::Wav),
    ("pcm", Encoding::Pcm),
    ("ulaw", Encoding::Ulaw),
    ("alaw", Encoding::Alaw),
    ("mp3", Encoding::Mp3),
    ("opus", Encoding::Opus),
];
/// Sample rates that can be asked for, in hertz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Kilobits per second that can be asked for.
const KBPS: std::ops::RangeInclusive<u32> = 16..=320;
/// What clients get that name no format.
const USUAL: &str = "mp3_44100_128";

/// What a format means, if this server can make it.
pub(super) fn wanted(app: &App, format: Option<&str>) -> Result<Wanted> {
    settled(app, format, |_| false)
}

/// What a format means, if whoever makes the sound can be asked for it, or this server can make it.
pub(super) fn agreed(app: &App, format: Option<&str>, call: &mut Call) -> Result<Wanted> {
    settled(app, format, |wanted| wanted.ask_for(app, call))
}

fn settled(
    app: &App,
    format: Option<&str>,
    is_asked: impl FnOnce(Wanted) -> bool,
) -> Result<Wanted> {
    let named = format.filter(|format| !format.is_empty());
    let wanted = meant(named.unwrap_or(USUAL))?;
    if is_asked(wanted) || wanted.encoding.is_made_by(app) {
        return Ok(wanted);
    }
    let Some(format) = named else { return Ok(wanted.usual(app)) };
    let message =
        format!("`output_format` is '{format}', which this server cannot make: it has no ffmpeg");
    let hint = "install ffmpeg where the server runs, or use wav, pcm_24000 or another rate";
    Err(Error::invalid(message).hint(hint))
}

fn meant(format: &str) -> Result<Wanted> {
    let unknown = || {
        let hint = "use mp3_44100_128, opus_48000_64, wav, pcm_24000, ulaw_8000 or alaw_8000";
        Error::invalid(format!("`output_format` is '{format}', which is not made here")).hint(hint)
    };
    let mut words = format.split('_');
    let name = words.next().unwrap_or_default();
    let (_, encoding) =
        ENCODINGS.into_iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    let mut number = |range: std::ops::RangeInclusive<u32>| match words.next() {
        Some(word) => {
            let number = word.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(unknown).map(Some)
        }
        None => Ok(None),
    };
    let sample_rate_hz = number(RATES_HZ)?;
    let is_coded = matches!(encoding, Encoding::Mp3 | Encoding::Opus);
    let kbps = if is_coded { number(KBPS)? } else { None };
    if words.next().is_some() || (sample_rate_hz.is_none() && encoding != Encoding::Wav) {
        return Err(unknown());
    }
    let bare = matches!(encoding, Encoding::Pcm | Encoding::Ulaw | Encoding::Alaw);
    Ok(Wanted {
        sample_rate_hz,
        channels: bare.then_some(1),
        bits_per_s: kbps.map(|kbps| kbps * 1_000),
        ..Wanted::natural(encoding)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_an_encoding_and_a_rate() {
        let check = |format: &str, expected: Option<(Encoding, Option<u32>)>| {
            let got = meant(format).ok().map(|got| (got.encoding, got.sample_rate_hz));
            assert_eq!(got, expected, "{format}");
        };
        check("wav", Some((Encoding::Wav, None)));
        check("wav_16000", Some((Encoding::Wav, Some(16_000))));
        check("pcm_44100", Some((Encoding::Pcm, Some(44_100))));
        check("ulaw_8000", Some((Encoding::Ulaw, Some(8_000))));
        check("mp3_44100_128", Some((Encoding::Mp3, Some(44_100))));
        check("opus_48000_64", Some((Encoding::Opus, Some(48_000))));
        assert_eq!(meant("mp3_22050_32").unwrap().bits_per_s, Some(32_000));
        for bad in [
            "",
            "pcm",
            "pcm_1",
            "pcm_x",
            "mp3",
            "mp3_44100_999",
            "wav_16000_1",
            "mp3_44100_32_1",
            "_",
            "pcm_99999999999",
        ] {
            check(bad, None);
        }
    }
}
