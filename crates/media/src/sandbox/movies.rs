//! Foreign MP4 films: what their boxes say, read without decoding a frame.
//!
//! With ffmpeg a film is encoded anew by it. Without it, [`normalise`] does so for films of the one
//! pair of codecs that our own decoders read (H.264 and AAC).

use impasto_domain::{Bench, Error, MediaFacts, Result};

use super::child::{Normalised, ask_for_time, undecodable};
use super::sounds;
use crate::limits::Limits;
use crate::sniff::Kind;
use crate::video::{VideoLimits, decode_foreign_mp4};

/// What the boxes of a film say.
pub(super) struct Film {
    pub(super) has_pictures: bool,
    pub(super) facts: MediaFacts,
    codecs: Vec<[u8; 4]>,
    /// Of the first track of pictures.
    frames: u64,
}

/// Decodes a film with our own decoders and writes it anew; a file with sound alone becomes WAV.
pub(super) fn normalise(bytes: &[u8], limits: &Limits) -> Result<Normalised> {
    let film = probe(bytes, limits)?;
    if !film.has_pictures {
        return sounds::normalise(bytes, Kind::Mp4, limits);
    }
    if let Some(codec) = film.codecs.iter().find(|codec| !matches!(*codec, b"avc1" | b"mp4a")) {
        let codec =
            String::from_utf8_lossy(codec).replace(|char: char| !char.is_ascii_graphic(), "?");
        return Err(Error::unavailable(format!(
            "the film is encoded as '{codec}', which can be read only with ffmpeg, which is not installed"
        ))
        .hint("install ffmpeg 5.1 or later, or send the film as H.264 with AAC"));
    }
    let pixels =
        u64::from(film.facts.width.unwrap_or(0)) * u64::from(film.facts.height.unwrap_or(0));
    ask_for_time(limits.film_wall_ms(pixels, film.frames))?;
    let allowed = VideoLimits {
        pixels: limits.pixels.min(VideoLimits::default().pixels),
        seconds: limits.duration_ms as f64 / 1000.0,
        fps: limits.fps,
    };
    let (bytes, facts) = decode_foreign_mp4(bytes, &allowed, &Bench::default())?;
    Ok(Normalised { bytes, media_type: "video/mp4", facts })
}

/// Reads the boxes of a film and holds them against the limits.
pub(super) fn probe(bytes: &[u8], limits: &Limits) -> Result<Film> {
    let mut movie = None;
    let mut has_data = false;
    for part in Boxes(bytes) {
        let (name, content) = part?;
        match &name {
            b"moov" => movie = Some(content),
            b"mdat" => has_data = true,
            b"moof" => {
                return Err(bad("it is in fragments").hint("write it as one progressive MP4"));
            }
            _ => {}
        }
    }
    let movie =
        movie.ok_or_else(|| bad("it has no index ('moov' box): it was cut off, or is no film"))?;
    if !has_data {
        return Err(bad("it has an index but no data ('mdat' box)"));
    }
    let mut tracks = Vec::new();
    for part in Boxes(movie) {
        let (name, content) = part?;
        if &name == b"trak" {
            tracks.extend(Track::read(content)?);
            limits.check_count("streams", tracks.len() as u64, u64::from(limits.streams))?;
        }
    }
    let mut film =
        Film { has_pictures: false, facts: MediaFacts::default(), codecs: Vec::new(), frames: 0 };
    for track in &tracks {
        film.add(track, limits)?;
    }
    if film.codecs.is_empty() {
        return Err(bad("there are neither pictures nor sound in it"));
    }
    Ok(film)
}

impl Film {
    fn add(&mut self, track: &Track, limits: &Limits) -> Result<()> {
        let is_film = &track.handler == b"vide";
        if !is_film && &track.handler != b"soun" {
            return Ok(());
        }
        let duration_ms = track.duration_ms();
        limits.check_duration(if is_film { "film" } else { "sound" }, duration_ms)?;
        if is_film {
            limits.check_size("film", u32::from(track.width), u32::from(track.height))?;
            let fps = track.samples as f64 * 1000.0 / duration_ms.max(1) as f64;
            if fps > limits.fps * 1.01 {
                return Err(Error::invalid(format!(
                    "the film has {fps:.1} frames a second, the most is {}",
                    limits.fps
                ))
                .hint("reduce its frame rate before sending it"));
            }
            if !self.has_pictures {
                self.frames = track.samples;
                self.facts.width = Some(u32::from(track.width));
                self.facts.height = Some(u32::from(track.height));
                self.facts.fps = Some((fps * 1000.0).round() / 1000.0);
            }
            self.has_pictures = true;
        } else {
            self.facts.channels = Some(track.channels);
            self.facts.sample_rate = Some(track.sample_rate);
        }
        self.facts.duration_ms = Some(self.facts.duration_ms.unwrap_or(0).max(duration_ms));
        self.codecs.push(track.codec);
        Ok(())
    }
}

/// What is told of one track.
#[derive(Default)]
struct Track {
    handler: [u8; 4],
    timescale: u32,
    duration: u64,
    codec: [u8; 4],
    width: u16,
    height: u16,
    channels: u16,
    sample_rate: u32,
    samples: u64,
}

impl Track {
    /// Reads a `trak` box; `None` if it has no media.
    fn read(content: &[u8]) -> Result<Option<Self>> {
        let Some(media) = find(content, b"mdia")? else { return Ok(None) };
        let mut track = Self::default();
        if let Some(header) = find(media, b"mdhd")? {
            let long = header.first() == Some(&1);
            track.timescale = number(header, if long { 20 } else { 12 })?;
            track.duration = if long {
                u64::from(number(header, 24)?) << 32 | u64::from(number(header, 28)?)
            } else {
                u64::from(number(header, 16)?)
            };
        }
        if let Some(handler) = find(media, b"hdlr")? {
            track.handler = bytes_at(handler, 8)?;
        }
        let Some(information) = find(media, b"minf")? else { return Ok(Some(track)) };
        refuse_other_files(information)?;
        let Some(table) = find(information, b"stbl")? else { return Ok(Some(track)) };
        if let Some(times) = find(table, b"stts")? {
            let entries = times.get(8..).unwrap_or_default().chunks_exact(8);
            track.samples =
                entries.map(|entry| number(entry, 0).map(u64::from)).sum::<Result<u64>>()?;
        }
        if let Some(description) = find(table, b"stsd")? {
            track.describe(description.get(8..).unwrap_or_default())?;
        }
        Ok(Some(track))
    }

    fn describe(&mut self, entries: &[u8]) -> Result<()> {
        let Some(first) = Boxes(entries).next() else { return Ok(()) };
        let (codec, entry) = first?;
        self.codec = codec;
        match &self.handler {
            b"vide" => [self.width, self.height] = [short(entry, 24)?, short(entry, 26)?],
            b"soun" => {
                self.channels = short(entry, 16)?;
                self.sample_rate = u32::from(short(entry, 24)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn duration_ms(&self) -> u64 {
        let milliseconds = u128::from(self.duration) * 1000 / u128::from(self.timescale.max(1));
        u64::try_from(milliseconds).unwrap_or(u64::MAX)
    }
}

/// A track may say that its data lie in another file; ours may not.
fn refuse_other_files(information: &[u8]) -> Result<()> {
    let Some(data) = find(information, b"dinf")? else { return Ok(()) };
    let Some(references) = find(data, b"dref")? else { return Ok(()) };
    for part in Boxes(references.get(8..).unwrap_or_default()) {
        let (_, content) = part?;
        let in_this_file = content.get(3).is_some_and(|flags| flags & 1 == 1);
        if !in_this_file {
            return Err(bad("it names another file for its data").hint("send the film as one file"));
        }
    }
    Ok(())
}

/// The boxes that lie side by side in some bytes: name and content.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<([u8; 4], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0;
        // Four bytes of nothing end some lists.
        if rest.len() < 8 {
            return None;
        }
        Some(match split_box(rest) {
            Ok((name, content, after)) => {
                self.0 = after;
                Ok((name, content))
            }
            Err(error) => {
                self.0 = &[];
                Err(error)
            }
        })
    }
}

/// The name and the content of the first box, and what comes after it.
fn split_box(rest: &[u8]) -> Result<([u8; 4], &[u8], &[u8])> {
    let name: [u8; 4] = bytes_at(rest, 4)?;
    let (start, end) = match number(rest, 0)? {
        0 => (8, rest.len() as u64),
        1 => (16, u64::from(number(rest, 8)?) << 32 | u64::from(number(rest, 12)?)),
        size => (8, u64::from(size)),
    };
    let within = usize::try_from(end).ok().and_then(|end| rest.split_at_checked(end));
    let parts = within.and_then(|(own, after)| Some((name, own.get(start..)?, after)));
    parts.ok_or_else(|| {
        let name =
            String::from_utf8_lossy(&name).replace(|char: char| !char.is_ascii_graphic(), "?");
        bad(&format!("its box '{name}' claims {end} bytes where {} are left", rest.len()))
    })
}

fn find<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Result<Option<&'a [u8]>> {
    for part in Boxes(bytes) {
        let (name, content) = part?;
        if &name == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

fn bytes_at<const N: usize>(bytes: &[u8], place: usize) -> Result<[u8; N]> {
    let found = bytes.get(place..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().ok_or_else(|| bad("one of its boxes is too short"))
}

fn number(bytes: &[u8], place: usize) -> Result<u32> {
    bytes_at(bytes, place).map(u32::from_be_bytes)
}

fn short(bytes: &[u8], place: usize) -> Result<u16> {
    bytes_at(bytes, place).map(u16::from_be_bytes)
}

fn bad(reason: &str) -> Error {
    undecodable("MP4 film", &reason)
}
