//! Reading MP4: the sample tables of the first H.264 and the first AAC track.
//!
//! Every number in the file is doubted: counts are held against the bytes that are there, ranges
//! against the length of the file. A sample that lies outside of the file makes the file unreadable.

use std::ops::Range;

use impasto_domain::{Error, Result};

/// The most samples of a track.
const MOST_SAMPLES: usize = 2_000_000;

type Body<'a> = &'a [u8];

/// What a track is coded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// H.264 with its parameter sets, as NAL units.
    Avc { parameter_sets: Vec<Vec<u8>>, length_bytes: usize },
    /// AAC with its `AudioSpecificConfig`.
    Aac { config: Vec<u8> },
    /// Something else, by its four letters.
    Other(String),
}

/// One frame or packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    range: Range<usize>,
    /// When it is shown, in ticks of its track.
    pub(crate) shown_ticks: i64,
    /// Whether decoding can begin here.
    pub(crate) key: bool,
}

impl Sample {
    /// Its bytes in the file.
    pub(crate) fn bytes<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        file.get(self.range.clone()).unwrap_or_default()
    }
}

/// A track.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) codec: Codec,
    pub(crate) ticks_per_s: u32,
    pub(crate) samples: Vec<Sample>,
    /// All durations added up, in ticks.
    pub(crate) ticks: u64,
    /// Where the presentation starts, in ticks.
    pub(crate) start_ticks: u64,
    /// How long the presentation is, in ticks, if the file says so.
    pub(crate) length_ticks: Option<u64>,
    /// As stored, before it is turned.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// How often the pictures are to be turned clockwise by 90 degrees.
    pub(crate) quarter_turns: u8,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
}

impl Track {
    /// Mean frames per second.
    pub(crate) fn fps(&self) -> f64 {
        let seconds = self.ticks as f64 / f64::from(self.ticks_per_s.max(1));
        if seconds > 0.0 { self.samples.len() as f64 / seconds } else { 0.0 }
    }
}

/// The tracks that Impasto can use.
#[derive(Debug)]
pub(crate) struct Movie {
    pub(crate) video: Option<Track>,
    pub(crate) audio: Option<Track>,
}

impl Movie {
    /// Reads the tables of a file.
    pub(crate) fn parse(file: &[u8]) -> Result<Self> {
        let movie = child(file, b"moov").ok_or_else(|| broken("it has no `moov` box"))?;
        let clock = child(movie, b"mvhd").and_then(header_clock).unwrap_or(1).max(1);
        let mut found = Self { video: None, audio: None };
        for body in children(movie).filter(|(name, _)| name == b"trak").map(|(_, body)| body) {
            let Some(media) = child(body, b"mdia") else { continue };
            let kind = child(media, b"hdlr").and_then(|handler| handler.get(8..12));
            let slot = match kind {
                Some(b"vide") if found.video.is_none() => &mut found.video,
                Some(b"soun") if found.audio.is_none() => &mut found.audio,
                _ => continue,
            };
            *slot = Some(track(file, body, media, clock)?);
        }
        let empty =
            |track: &Option<Track>| track.as_ref().is_none_or(|track| track.samples.is_empty());
        if child(movie, b"mvex").is_some() && empty(&found.video) {
            return Err(broken("it is fragmented").hint("write it as a plain MP4"));
        }
        Ok(found)
    }
}

fn broken(what: &str) -> Error {
    Error::invalid(format!("the video file cannot be read: {what}"))
}

fn track(file: &[u8], body: Body, media: Body, movie_clock: u32) -> Result<Track> {
    let missing = |name: &'static str| move || broken(&format!("a track has no usable `{name}`"));
    let clock = child(media, b"mdhd").and_then(header_clock).filter(|clock| *clock > 0);
    let ticks_per_s = clock.ok_or_else(missing("mdhd"))?;
    let table = child(media, b"minf").and_then(|info| child(info, b"stbl"));
    let table = table.ok_or_else(missing("stbl"))?;
    let entry = child(table, b"stsd").and_then(|body| children(body.get(8..)?).next());
    let (name, entry) = entry.ok_or_else(missing("stsd"))?;
    let (samples, ticks) = samples(file, table)?;
    let mut track = Track {
        codec: Codec::Other(String::from_utf8_lossy(&name).into_owned()),
        ticks_per_s,
        samples,
        ticks,
        start_ticks: 0,
        length_ticks: None,
        width: 0,
        height: 0,
        quarter_turns: child(body, b"tkhd").and_then(turns).unwrap_or(0),
        channels: 0,
        sample_rate: 0,
    };
    if let Some((length, start)) = child(body, b"edts").and_then(edit) {
        track.start_ticks = start;
        track.length_ticks = (length > 0)
            .then(|| u128::from(length) * u128::from(ticks_per_s) / u128::from(movie_clock))
            .and_then(|length| u64::try_from(length).ok());
    }
    match &name {
        b"avc1" | b"avc3" => {
            track.width = number(entry, 24, 2).unwrap_or(0) as u32;
            track.height = number(entry, 26, 2).unwrap_or(0) as u32;
            let config = entry.get(78..).and_then(|inner| child(inner, b"avcC"));
            track.codec = config.and_then(avc).ok_or_else(missing("avcC"))?;
        }
        b"mp4a" => {
            track.channels = number(entry, 16, 2).unwrap_or(0) as u16;
            track.sample_rate = (number(entry, 24, 4).unwrap_or(0) >> 16) as u32;
            let config = entry.get(28..).and_then(|inner| child(inner, b"esds"));
            if let Some(config) = config.and_then(aac) {
                track.codec = Codec::Aac { config };
            }
        }
        _ => {}
    }
    Ok(track)
}

/// How a track is turned, by the matrix in its head. Mirrored and slanted ones are left as they are.
fn turns(head: Body) -> Option<u8> {
    let at = if *head.first()? == 1 { 52 } else { 40 };
    let entry = |place: usize| number(head, at + place * 4, 4).map(|value| value as u32 as i32);
    let signs = [entry(0)?, entry(1)?, entry(3)?, entry(4)?].map(i32::signum);
    Some(match signs {
        [0, 1, -1, 0] => 1,
        [-1, 0, 0, -1] => 2,
        [0, -1, 1, 0] => 3,
        _ => 0,
    })
}

/// Length in ticks of the movie, and start in ticks of the track, of the first edit that shows
/// anything.
fn edit(edits: Body) -> Option<(u64, u64)> {
    let list = child(edits, b"elst")?;
    let wide = list.first()? == &1;
    let count = number(list, 4, 4)?.min(8);
    (0..count).find_map(|place| {
        let (length, start) = if wide {
            let at = 8 + place as usize * 20;
            (number(list, at, 8)?, number(list, at + 8, 8)?)
        } else {
            let at = 8 + place as usize * 12;
            let start = number(list, at + 4, 4)?;
            (number(list, at, 4)?, if start == 0xffff_ffff { u64::MAX } else { start })
        };
        // A start of -1 is a pause before the track begins.
        (start != u64::MAX).then_some((length, start))
    })
}

fn avc(config: Body) -> Option<Codec> {
    let length_bytes = usize::from(config.get(4)? & 3) + 1;
    let mut sets = Vec::new();
    let mut rest = config.get(5..)?;
    for mask in [0x1f, 0xff] {
        let count = rest.first()? & mask;
        rest = rest.get(1..)?;
        for _ in 0..count {
            let length = number(rest, 0, 2)? as usize;
            sets.push(rest.get(2..2 + length)?.to_vec());
            rest = rest.get(2 + length..)?;
        }
    }
    Some(Codec::Avc { parameter_sets: sets, length_bytes })
}

/// The `AudioSpecificConfig` in an `esds`, if it is of MPEG-4 audio.
fn aac(esds: Body) -> Option<Vec<u8>> {
    let (3, stream) = descriptor(esds.get(4..)?)? else { return None };
    // Stream dependence, URL and clock reference are never used by AAC files.
    let (4, decoder) = descriptor(stream.get(3..)?)? else { return None };
    if *decoder.first()? != 0x40 {
        return None;
    }
    let (5, config) = descriptor(decoder.get(13..)?)? else { return None };
    Some(config.to_vec())
}

fn descriptor(bytes: Body) -> Option<(u8, Body)> {
    let tag = *bytes.first()?;
    let mut length = 0_usize;
    for place in 1..=4 {
        let byte = *bytes.get(place)?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let end = (place + 1).checked_add(length)?;
            return Some((tag, bytes.get(place + 1..end)?));
        }
    }
    None
}

/// The samples in decoding order, and the sum of their durations.
fn samples(file: &[u8], table: Body) -> Result<(Vec<Sample>, u64)> {
    let bad = |name: &'static str| move || broken(&format!("`{name}` is damaged"));
    let sizes = sizes(table).ok_or_else(bad("stsz"))?;
    let offsets = offsets(table, &sizes).ok_or_else(bad("stco"))?;
    let durations = runs(table, b"stts", sizes.len()).ok_or_else(bad("stts"))?;
    let delays = match child(table, b"ctts") {
        Some(_) => runs(table, b"ctts", sizes.len()).ok_or_else(bad("ctts"))?,
        None => Vec::new(),
    };
    let keys = child(table, b"stss").map(|body| entries(body, 4, 4));
    let mut samples = Vec::with_capacity(sizes.len());
    let mut now = 0_u64;
    for (place, (size, offset)) in sizes.iter().zip(&offsets).enumerate() {
        let end = offset.checked_add(*size).filter(|end| *end <= file.len());
        let end = end.ok_or_else(|| broken("a sample lies outside of the file"))?;
        let delay = delays.get(place).map_or(0, |delay| i64::from(*delay as i32));
        let key = keys.as_ref().is_none_or(|keys| keys.binary_search(&(place as u64 + 1)).is_ok());
        samples.push(Sample { range: *offset..end, shown_ticks: now as i64 + delay, key });
        now += u64::from(durations.get(place).copied().unwrap_or_default());
    }
    Ok((samples, now))
}

fn sizes(table: Body) -> Option<Vec<usize>> {
    let body = child(table, b"stsz")?;
    let (all, count) = (number(body, 4, 4)? as usize, number(body, 8, 4)? as usize);
    if count > MOST_SAMPLES {
        return None;
    }
    if all > 0 {
        return Some(vec![all; count]);
    }
    let sizes: Vec<usize> =
        body.get(12..)?.chunks_exact(4).take(count).map(|four| be(four) as usize).collect();
    (sizes.len() == count).then_some(sizes)
}

fn offsets(table: Body, sizes: &[usize]) -> Option<Vec<usize>> {
    let chunks = match child(table, b"stco") {
        Some(body) => entries(body, 4, 4),
        None => entries(child(table, b"co64")?, 4, 8),
    };
    let runs = entries(child(table, b"stsc")?, 4, 12);
    let body = child(table, b"stsc")?.get(8..)?;
    let run = |place: usize| {
        let at = place * 12;
        Some((number(body, at, 4)? as usize, number(body, at + 4, 4)? as usize))
    };
    let mut offsets = Vec::with_capacity(sizes.len());
    for place in 0..runs.len() {
        let (first, count) = run(place)?;
        let last = run(place + 1).map_or(chunks.len() + 1, |(next, _)| next);
        for chunk in first..last.min(chunks.len() + 1) {
            let mut offset = usize::try_from(*chunks.get(chunk.checked_sub(1)?)?).ok()?;
            for _ in 0..count {
                let Some(size) = sizes.get(offsets.len()) else { return Some(offsets) };
                offsets.push(offset);
                offset = offset.checked_add(*size)?;
            }
        }
    }
    (offsets.len() == sizes.len()).then_some(offsets)
}

/// Values that are written as (how often, value), one for each of `count` samples.
fn runs(table: Body, name: &[u8; 4], count: usize) -> Option<Vec<u32>> {
    let body = child(table, name)?;
    let mut values = Vec::with_capacity(count);
    for pair in body.get(8..)?.chunks_exact(8).take(number(body, 4, 4)? as usize) {
        let (times, value) = (number(pair, 0, 4)? as usize, number(pair, 4, 4)? as u32);
        values.extend(std::iter::repeat_n(value, times.min(count - values.len())));
    }
    Some(values)
}

/// The first number of each entry, of `size` bytes, of a counted list.
fn entries(body: Body, count_at: usize, size: usize) -> Vec<u64> {
    let count = number(body, count_at, 4).unwrap_or(0) as usize;
    let width = if size == 8 { 8 } else { 4 };
    let list = body.get(count_at + 4..).unwrap_or_default();
    list.chunks_exact(size).take(count).filter_map(|entry| number(entry, 0, width)).collect()
}

/// Ticks per second in an `mvhd` or `mdhd`.
fn header_clock(body: Body) -> Option<u32> {
    let at = if *body.first()? == 1 { 20 } else { 12 };
    number(body, at, 4).map(|clock| clock as u32)
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn number(bytes: Body, at: usize, length: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(length)?).map(be)
}

fn child<'a>(bytes: Body<'a>, name: &[u8; 4]) -> Option<Body<'a>> {
    children(bytes).find(|(found, _)| found == name).map(|(_, body)| body)
}

/// The boxes in `bytes`: name and body.
fn children(mut bytes: Body) -> impl Iterator<Item = ([u8; 4], Body)> {
    std::iter::from_fn(move || {
        let name: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let (head, size) = match number(bytes, 0, 4)? as usize {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(number(bytes, 8, 8)?).ok()?),
            size => (8, size),
        };
        let body = bytes.get(head..size)?;
        bytes = bytes.get(size..)?;
        Some((name, body))
    })
}
