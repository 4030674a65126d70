//! Frames out of video files, in any order but best in their own.

use std::collections::BTreeMap;
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

/// Decoded frames that are kept: a frame that is shown later may be decoded earlier.
const KEPT_FRAMES: usize = 6;

/// An open video file: frames come in the order in which they are shown, whatever the order in the
/// file, and at their own times, even or not.
pub(crate) struct Clip {
    file: Arc<[u8]>,
    track: Track,
    /// When each frame is shown, in ticks, and its place in the file; in the order of showing.
    shown: Vec<(i64, usize)>,
    decoder: Decoder,
    /// The next sample to decode.
    next: usize,
    /// The frames decoded last, by their place in the file.
    kept: BTreeMap<usize, YuvFrame>,
    /// The picture that was asked for last, by its place in the file.
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
        let mut shown: Vec<(i64, usize)> =
            (0..).zip(&track.samples).map(|(place, sample)| (sample.shown_ticks, place)).collect();
        shown.sort_unstable();
        let decoder = Decoder::new(&track.codec)?;
        Ok(Self { file, track, shown, decoder, next: 0, kept: BTreeMap::new(), last: None })
    }

    /// The frame that is seen at a time; the first or last one outside of the video.
    pub(crate) fn at(&mut self, at_s: f64) -> Result<&Picture> {
        let first = self.shown.first().map_or(0, |(ticks, _)| *ticks);
        // An edit list may begin where the first frame is shown, or later.
        let start = first.max(i64::try_from(self.track.start_ticks).unwrap_or(first));
        // A thousandth of a second is nothing, but times are rounded.
        let now = start + ((at_s + 0.001) * f64::from(self.track.ticks_per_s)).floor() as i64;
        let count = self.shown.partition_point(|(ticks, _)| *ticks <= now);
        let place = self.shown.get(count.saturating_sub(1)).map_or(0, |(_, place)| *place);
        if self.last.as_ref().is_none_or(|(last, _)| *last != place) {
            let picture = yuv::to_picture(self.decoded(place)?);
            self.last = Some((place, picture));
        }
        let missing = || Error::internal("a frame was lost");
        self.last.as_ref().map(|(_, picture)| picture).ok_or_else(missing)
    }

    /// The frame of a place in the file.
    fn decoded(&mut self, place: usize) -> Result<&YuvFrame> {
        let until = self.track.samples.get(..=place).unwrap_or_default();
        let key = until.iter().rposition(|sample| sample.key).unwrap_or(0);
        if (place < self.next && !self.kept.contains_key(&place)) || key > self.next {
            // Frames behind a key frame depend on nothing before it.
            self.decoder = Decoder::new(&self.track.codec)?;
            self.kept.clear();
            self.next = key;
        }
        while self.next <= place {
            let sample = self.track.samples.get(self.next).map(|sample| sample.bytes(&self.file));
            if let Some(frame) = self.decoder.decode(sample.unwrap_or_default())? {
                self.kept.insert(self.next, frame);
            }
            self.next += 1;
            while self.kept.len() > KEPT_FRAMES {
                self.kept.pop_first();
            }
        }
        let empty = || Error::invalid(format!("frame {place} of the video is empty"));
        self.kept.get(&place).ok_or_else(empty)
    }
}
