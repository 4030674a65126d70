//! Frames out of video files, in any order but best in their own.

use std::sync::Arc;

use impasto_domain::{AssetRef, Error, MediaFacts, Result, Workbench};
use rusty_h264::YuvFrame;

use super::h264::Decoder;
use super::mp4::{Movie, Track};
use super::yuv;
use crate::Picture;

/// The facts of an MP4 file.
pub(crate) fn facts(file: &[u8]) -> Result<MediaFacts> {
    let movie = Movie::parse(file)?;
    let video = movie.video.ok_or_else(|| Error::invalid("the file has no pictures"))?;
    let seconds = video.ticks as f64 / f64::from(video.ticks_per_s.max(1));
    let audio = movie.audio.as_ref();
    Ok(MediaFacts {
        bytes: file.len() as u64,
        width: Some(video.width),
        height: Some(video.height),
        duration_ms: Some((seconds * 1000.0).round() as u64),
        fps: Some(round_rate(video.fps())),
        channels: audio.map(|audio| audio.channels),
        sample_rate: audio.map(|audio| audio.sample_rate),
        ..MediaFacts::default()
    })
}

/// A frame rate without the noise of its measurement.
pub(crate) fn round_rate(fps: f64) -> f64 {
    (fps * 1000.0).round() / 1000.0
}

/// An open video file that Impasto has written: frames come in the order in which they are shown.
pub(crate) struct Clip {
    file: Arc<[u8]>,
    track: Track,
    fps: f64,
    decoder: Decoder,
    /// The next sample to decode.
    next: usize,
    /// The last frame that came out, and its place.
    last: Option<(usize, Picture)>,
}

impl Clip {
    /// Opens a file.
    pub(crate) fn open(bench: &dyn Workbench, asset: &AssetRef) -> Result<Self> {
        let file = bench.read(asset)?;
        let track = Movie::parse(&file)?.video;
        let track = track.ok_or_else(|| Error::invalid("the file has no pictures"))?;
        if track.samples.is_empty() {
            return Err(Error::invalid("the video has no frames"));
        }
        let decoder = Decoder::new(&track.codec)?;
        let fps = track.fps();
        Ok(Self { file, track, fps, decoder, next: 0, last: None })
    }

    /// The frame that is seen at a time; the first or last one outside of the video.
    pub(crate) fn at(&mut self, at_s: f64) -> Result<&Picture> {
        let place = (at_s * self.fps + 1e-3).floor().max(0.0) as usize;
        self.frame(place.min(self.track.samples.len() - 1))
    }

    fn frame(&mut self, place: usize) -> Result<&Picture> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            let frame = self.decode(place)?;
            self.last = Some((place, yuv::to_picture(&frame)));
        }
        let missing = || Error::internal("a frame was lost");
        self.last.as_ref().map(|(_, picture)| picture).ok_or_else(missing)
    }

    fn decode(&mut self, place: usize) -> Result<YuvFrame> {
        let until = self.track.samples.get(..=place).unwrap_or_default();
        let key = until.iter().rposition(|sample| sample.key).unwrap_or(0);
        if place < self.next || key > self.next {
            // Frames behind a key frame depend on nothing before it.
            self.decoder = Decoder::new(&self.track.codec)?;
            self.next = key;
        }
        let mut frame = None;
        while self.next <= place {
            let sample = self.track.samples.get(self.next).map(|sample| sample.bytes(&self.file));
            frame = self.decoder.decode(sample.unwrap_or_default())?;
            self.next += 1;
        }
        frame.ok_or_else(|| Error::invalid(format!("frame {place} of the video is empty")))
    }
}
