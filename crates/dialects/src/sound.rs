//! Sound without a header: samples as they come over a wire, made a file, or told piece by piece.
//!
//! Some providers answer with bare samples and say in a word how to read them. Nobody could tell them
//! from noise, so they become a WAV file before they are taken in.

use impasto_domain::{News, SoundFormat, Workbench};

/// What a sample rate is where nobody says.
const USUAL_RATE_HZ: u32 = 24_000;
/// Rates that are believed.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// How long the head of a WAV file may be before its samples.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The bytes of a head that we write.
const HEAD_BYTES: usize = 44;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Sixteen bits, the lower ones first.
    Linear,
    /// Eight bits by the law of North America.
    MuLaw,
    /// Eight bits by the law of the rest of the world.
    ALaw,
}

/// How samples without a header are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    /// How each is written.
    pub coding: Coding,
    /// How many there are in a second, of each channel.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
}

impl Samples {
    /// Plain samples of one channel.
    pub fn linear(rate_hz: u32) -> Self {
        Self { coding: Coding::Linear, rate_hz, channels: 1 }
    }

    /// What a media type such as `audio/L16;rate=24000` says; nothing if it is of a file.
    ///
    /// ```
    /// use impasto_dialects::sound::Samples;
    /// assert_eq!(Samples::of_media_type("audio/L16;codec=pcm;rate=16000"), Some(Samples::linear(16_000)));
    /// assert_eq!(Samples::of_media_type("audio/mpeg"), None);
    /// ```
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let mut parts = media_type.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        let coding = match essence.as_str() {
            "audio/l16" | "audio/pcm" | "audio/x-pcm" => Coding::Linear,
            "audio/basic" | "audio/x-mulaw" => Coding::MuLaw,
            "audio/x-alaw" => Coding::ALaw,
            _ => return None,
        };
        let usual = if coding == Coding::Linear { USUAL_RATE_HZ } else { 8_000 };
        let mut samples = Self { coding, rate_hz: usual, channels: 1 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match (name.trim(), value.trim().parse::<u32>()) {
                ("rate", Ok(rate)) if RATES_HZ.contains(&rate) => samples.rate_hz = rate,
                ("channels", Ok(channels @ 1..=8)) => samples.channels = channels as u16,
                _ => {}
            }
        }
        Some(samples)
    }

    /// What the name of a format such as `pcm_16000` or `ulaw_8000` says; nothing if it is of a file.
    pub fn of_format(name: &str) -> Option<Self> {
        let (word, rate) = name.split_once('_').unwrap_or((name, ""));
        let coding = match word {
            "pcm" => Coding::Linear,
            "ulaw" => Coding::MuLaw,
            "alaw" => Coding::ALaw,
            _ => return None,
        };
        let usual = if coding == Coding::Linear { USUAL_RATE_HZ } else { 8_000 };
        let rate_hz = rate.parse().ok().filter(|rate| RATES_HZ.contains(rate)).unwrap_or(usual);
        Some(Self { coding, rate_hz, channels: 1 })
    }

    /// The same as a media type.
    pub fn media_type(self) -> String {
        let essence = match self.coding {
            Coding::Linear => "audio/pcm",
            Coding::MuLaw => "audio/x-mulaw",
            Coding::ALaw => "audio/x-alaw",
        };
        format!("{essence};rate={};channels={}", self.rate_hz, self.channels)
    }

    /// How pieces of it are told, which are always plain samples.
    pub fn told(self) -> SoundFormat {
        SoundFormat {
            media_type: "audio/pcm".to_owned(),
            sample_rate_hz: self.rate_hz,
            channels: self.channels,
        }
    }

    /// The bytes as plain samples; a sample that is not whole is left out.
    pub fn linear_of(self, bytes: &[u8]) -> Vec<u8> {
        let wide = |law: fn(u8) -> i16| bytes.iter().flat_map(move |byte| law(*byte).to_le_bytes());
        match self.coding {
            Coding::Linear => bytes.get(..bytes.len() & !1).unwrap_or_default().to_vec(),
            Coding::MuLaw => wide(from_mu_law).collect(),
            Coding::ALaw => wide(from_a_law).collect(),
        }
    }

    /// A file of the bytes.
    pub fn wav(self, bytes: &[u8]) -> Vec<u8> {
        let samples = self.linear_of(bytes);
        let size = u32::try_from(samples.len()).unwrap_or(u32::MAX - HEAD_BYTES as u32);
        let block = self.channels * 2;
        let mut file = Vec::with_capacity(HEAD_BYTES + samples.len());
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(size + HEAD_BYTES as u32 - 8).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
        file.extend_from_slice(&self.channels.to_le_bytes());
        file.extend_from_slice(&self.rate_hz.to_le_bytes());
        file.extend_from_slice(&(self.rate_hz * u32::from(block)).to_le_bytes());
        file.extend_from_slice(&block.to_le_bytes());
        file.extend_from_slice(&16_u16.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&samples);
        file
    }
}

/// ITU-T G.711, the law of North America.
fn from_mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = ((i16::from(byte & 15) << 3) + 0x84) << exponent;
    if byte & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// ITU-T G.711, the law of the rest of the world.
fn from_a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 15) << 4);
    let magnitude = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (exponent - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

/// Tells a sound while it comes.
pub struct Live<'b> {
    bench: &'b dyn Workbench,
    name: String,
    reading: Reading,
    waiting: Vec<u8>,
}

enum Reading {
    /// Samples.
    Samples(Samples),
    /// A file whose head has not come yet.
    Head,
    /// A file that is heard from its first bytes on, whose pieces are told as they come.
    File(SoundFormat),
    /// Something of which no piece can be heard by itself.
    Nothing,
}

impl<'b> Live<'b> {
    /// Pieces of the output `name`, which come as `samples`; where nobody says how, as a WAV file, as
    /// frames of which each can be heard by itself, or as something that is told as a whole only.
    pub fn new(bench: &'b dyn Workbench, name: &str, samples: Option<Samples>) -> Self {
        let reading = match samples {
            _ if !bench.wants_news() => Reading::Nothing,
            Some(samples) => Reading::Samples(samples),
            None => Reading::Head,
        };
        Self { bench, name: name.to_owned(), reading, waiting: Vec::new() }
    }

    /// The next bytes have come.
    pub fn hear(&mut self, bytes: &[u8]) {
        if matches!(self.reading, Reading::Nothing) {
            return;
        }
        self.waiting.extend_from_slice(bytes);
        if matches!(self.reading, Reading::Head) {
            let Some((reading, at)) = reading_of(&self.waiting) else { return };
            self.reading = reading;
            self.waiting.drain(..at);
        }
        match &self.reading {
            Reading::Samples(samples) => self.tell_samples(*samples),
            Reading::File(format) => {
                let (name, format) = (self.name.clone(), format.clone());
                let bytes = std::mem::take(&mut self.waiting);
                self.bench.tell(News::Sound { name, format, bytes });
            }
            Reading::Head | Reading::Nothing => self.waiting = Vec::new(),
        }
    }

    fn tell_samples(&mut self, samples: Samples) {
        // A piece ends with a whole sample of every channel.
        let width = if samples.coding == Coding::Linear { 2 } else { 1 };
        let block = width * usize::from(samples.channels.max(1));
        let whole = self.waiting.len() / block * block;
        if whole > 0 {
            let piece: Vec<u8> = self.waiting.drain(..whole).collect();
            let (name, format) = (self.name.clone(), samples.told());
            self.bench.tell(News::Sound { name, format, bytes: samples.linear_of(&piece) });
        }
    }
}

/// How a file is to be read that begins so, and where; nothing while too little has come.
fn reading_of(begun: &[u8]) -> Option<(Reading, usize)> {
    match head(begun)? {
        Ok((samples, at)) => Some((Reading::Samples(samples), at)),
        Err(NoWav) => Some((framed(begun)?.map_or(Reading::Nothing, Reading::File), 0)),
    }
}

/// Where the codec is named in the first page of an Ogg file, and the name of the one that clients take.
const OGG_CODEC: (usize, &[u8]) = (28, b"OpusHead");

/// What a file is that begins so, if it is frames that are heard from the first on; nothing while too
/// little has come.
fn framed(begun: &[u8]) -> Option<Option<SoundFormat>> {
    let of = |media_type: &str, sample_rate_hz, channels| {
        Some(SoundFormat { media_type: media_type.to_owned(), sample_rate_hz, channels })
    };
    Some(match begun.get(..4)? {
        b"OggS" => {
            let (at, name) = OGG_CODEC;
            let is_known = begun.get(at..at + name.len())? == name;
            is_known.then(|| of("audio/ogg", 0, 0)).flatten()
        }
        b"fLaC" => of("audio/flac", 0, 0),
        // Eleven bits that are set, then version and layer, which is none in AAC.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => of("audio/aac", 0, 0),
        [b'I', b'D', b'3', _] | [0xff, ..] => {
            mp3(begun)?.and_then(|(rate_hz, channels)| of("audio/mpeg", rate_hz, channels))
        }
        _ => None,
    })
}

/// How many samples there are in a second of MPEG 1, by the number that a frame says; the later versions
/// have a half and a quarter of it.
const MPEG_RATES_HZ: [u32; 3] = [44_100, 48_000, 32_000];
/// The bytes of the head of a tag before an MP3, and of the head of a frame.
const TAG_BYTES: usize = 10;
const FRAME_BYTES: usize = 4;

/// Rate and channels of an MP3, as its first frame says, if it is one; nothing while that has not come.
fn mp3(bytes: &[u8]) -> Option<Option<(u32, u16)>> {
    let at = match bytes.get(..3)? {
        b"ID3" => {
            let size = bytes.get(TAG_BYTES - 4..TAG_BYTES)?;
            TAG_BYTES + size.iter().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f))
        }
        _ => 0,
    };
    if at > HEAD_BYTES_MAX {
        return Some(None);
    }
    let &[sync, version, rate, mode] = bytes.get(at..at + FRAME_BYTES)? else { return None };
    let is_frame = sync == 0xff && version & 0xe6 == 0xe2;
    let parts = match version >> 3 & 3 {
        3 => 1,
        2 => 2,
        0 => 4,
        _ => return Some(None),
    };
    let rate_hz = MPEG_RATES_HZ.get(usize::from(rate >> 2 & 3)).filter(|_| is_frame);
    let channels = if mode >> 6 == 3 { 1 } else { 2 };
    Some(rate_hz.map(|rate_hz| (rate_hz / parts, channels)))
}

/// That bytes are no WAV file of plain samples.
struct NoWav;

/// How the samples of a WAV file are to be read and where they begin; nothing while its head has not
/// come.
fn head(bytes: &[u8]) -> Option<Result<(Samples, usize), NoWav>> {
    let known = [(0, b"RIFF"), (8, b"WAVE")];
    for (at, word) in known {
        let found = bytes.get(at..at + 4).or_else(|| bytes.get(at..)).unwrap_or_default();
        if !word.starts_with(found) {
            return Some(Err(NoWav));
        }
    }
    let number = |at: usize, count: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + count)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    let (mut at, mut samples) = (12, None);
    while at < HEAD_BYTES_MAX {
        let (name, size) = (bytes.get(at..at + 4)?, number(at + 4, 4)? as usize);
        let inside = at + 8;
        match name {
            b"fmt " => {
                let (coding, bits) = (number(inside, 2)?, number(inside + 14, 2)?);
                let (channels, rate_hz) = (number(inside + 2, 2)?, number(inside + 4, 4)?);
                let plain = matches!(coding, 1 | 0xfffe) && bits == 16;
                if !plain || !(1..=8).contains(&channels) || !RATES_HZ.contains(&rate_hz) {
                    return Some(Err(NoWav));
                }
                let channels = channels as u16;
                samples = Some(Samples { coding: Coding::Linear, rate_hz, channels });
            }
            b"data" => return Some(samples.map(|samples| (samples, inside)).ok_or(NoWav)),
            _ => {}
        }
        at = inside.saturating_add(size).saturating_add(size & 1);
    }
    Some(Err(NoWav))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use impasto_domain::{AssetRef, MediaFacts, Result};

    use super::*;

    #[derive(Default)]
    struct Ears(Mutex<Vec<(SoundFormat, Vec<u8>)>>);

    impl Workbench for Ears {
        fn read(&self, _: &AssetRef) -> Result<std::sync::Arc<[u8]>> {
            unreachable!()
        }
        fn write(&self, _: Vec<u8>, _: &str, _: MediaFacts) -> Result<AssetRef> {
            unreachable!()
        }
        fn progress(&self, _: f64, _: &str) {}
        fn cancelled(&self) -> bool {
            false
        }
        fn wants_news(&self) -> bool {
            true
        }
        fn tell(&self, news: News) {
            if let News::Sound { format, bytes, .. } = news {
                self.0.lock().unwrap().push((format, bytes));
            }
        }
    }

    fn heard(samples: Option<Samples>, pieces: &[&[u8]]) -> (Option<SoundFormat>, Vec<u8>) {
        let ears = Ears::default();
        let mut live = Live::new(&ears, "audio", samples);
        pieces.iter().for_each(|piece| live.hear(piece));
        let heard = ears.0.into_inner().unwrap();
        let bytes = heard.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        (heard.into_iter().map(|(format, _)| format).next(), bytes)
    }

    #[test]
    fn a_file_that_was_made_reads_back_however_it_is_cut() {
        let samples = Samples { coding: Coding::Linear, rate_hz: 16_000, channels: 2 };
        let bytes: Vec<u8> = (0..200).collect();
        let file = samples.wav(&bytes);
        for cut in 0..file.len() {
            let (head, tail) = file.split_at(cut);
            let (format, heard) = heard(None, &[head, tail]);
            assert_eq!((format, heard), (Some(samples.told()), bytes.clone()), "{cut}");
        }
    }

    #[test]
    fn bare_samples_are_told_whole() {
        let samples = Samples::of_format("pcm_8000").unwrap();
        let (format, bytes) = heard(Some(samples), &[&[1], &[2, 3], &[], &[4, 5]]);
        assert_eq!((format.unwrap().sample_rate_hz, bytes), (8_000, vec![1, 2, 3, 4]));
        let (_, bytes) = heard(Samples::of_format("ulaw_8000"), &[&[0xff, 0x00]]);
        assert_eq!(bytes, [0_i16.to_le_bytes(), (-32_124_i16).to_le_bytes()].concat());
        assert_eq!(Samples::of_format("mp3_44100_128"), None);
    }

    #[test]
    fn frames_are_told_as_they_come() {
        let check = |begun: &[u8], expected: Option<(&str, u32, u16)>| {
            let file = [begun, b"and so on"].concat();
            for cut in 0..file.len() {
                let (one, other) = file.split_at(cut);
                let (format, bytes) = heard(None, &[one, other]);
                let format =
                    format.as_ref().map(|it| (&*it.media_type, it.sample_rate_hz, it.channels));
                assert_eq!(format, expected, "{begun:x?} at {cut}");
                assert_eq!(bytes, if expected.is_some() { &file[..] } else { b"" }, "{cut}");
            }
        };
        check(&[0xff, 0xfb, 0x90, 0xc4], Some(("audio/mpeg", 44_100, 1)));
        check(&[0xff, 0xf3, 0x44, 0x04], Some(("audio/mpeg", 24_000, 2)));
        let tagged = b"ID3\x04\0\0\0\0\0\x02ab\xff\xe3\x18\xc4";
        check(tagged, Some(("audio/mpeg", 8_000, 1)));
        check(&[0xff, 0xfb, 0x9c, 0xc4], None);
        check(&[0xff, 0xf1, 0x50, 0x80], Some(("audio/aac", 0, 0)));
        let page = |codec: &[u8]| [b"OggS", &[0; 24][..], codec].concat();
        check(&page(b"OpusHead"), Some(("audio/ogg", 0, 0)));
        check(&page(b"\x01vorbis\0"), None);
        check(b"fLaC\0\0", Some(("audio/flac", 0, 0)));
        check(b"\0\0\0\x20ftypM4A ", None);
        check(b"RIFF\0\0\0\0AVI LIST", None);
    }

    #[test]
    fn the_laws_are_those_of_the_standard() {
        assert_eq!(from_a_law(0x55), -8);
        assert_eq!(from_a_law(0xd5), 8);
        assert_eq!(from_a_law(0xaa), 32_256);
        assert_eq!(from_mu_law(0x80), 32_124);
        assert_eq!(from_mu_law(0x7f), 0);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_fall_over(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
            file.extend(&bytes);
            let _any = (reading_of(&bytes).is_some(), reading_of(&file).is_some());
        }
    }
}
