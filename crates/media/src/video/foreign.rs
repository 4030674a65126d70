//! Foreign MP4 files, for the sandbox: decoded here and written again, if they are H.264 and AAC.
//!
//! To be called in a process with limits of its own: a decoder reads what a stranger has written.

use std::collections::BTreeMap;

use impasto_domain::{Error, MediaFacts, Result, Workbench};
use rusty_h264::YuvFrame;

use super::h264::Decoder;
use super::mp4::{Codec, Movie, Track};
use super::{aac, clip, render, yuv};
use crate::Picture;

/// Frames that may wait for their turn: H.264 allows sixteen.
const MOST_WAITING: usize = 16;

/// What a foreign video may be at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoLimits {
    /// The most pixels of a frame.
    pub pixels: u64,
    /// The longest duration in seconds.
    pub seconds: f64,
    /// The most frames per second.
    pub fps: f64,
}

impl Default for VideoLimits {
    fn default() -> Self {
        Self { pixels: 3840 * 2160, seconds: 600.0, fps: 120.0 }
    }
}

/// Decodes a foreign MP4 file and writes it again as Impasto writes videos. Fails with the name of
/// the codec if it is not H.264 with AAC or no sound.
pub fn decode_foreign_mp4(
    file: &[u8],
    limits: &VideoLimits,
    bench: &dyn Workbench,
) -> Result<(Vec<u8>, MediaFacts)> {
    let movie = Movie::parse(file)?;
    let video = movie.video.ok_or_else(|| Error::invalid("the file has no pictures"))?;
    if let Codec::Other(name) = &video.codec {
        return Err(needs_ffmpeg("pictures", name));
    }
    let fps = checked_rate(&video, limits)?;
    let sound = match &movie.audio {
        Some(track) if track.samples.is_empty() => None,
        Some(track) => match &track.codec {
            Codec::Aac { .. } => Some(aac::decode(file, track)?),
            Codec::Other(name) => return Err(needs_ffmpeg("sound", name)),
            Codec::Avc { .. } => return Err(needs_ffmpeg("sound", "avc1")),
        },
        None => None,
    };
    let mut frames = Frames::new(file, &video, fps, limits)?;
    render::encode_mp4(&mut frames, fps, sound.as_ref(), bench)
}

fn needs_ffmpeg(what: &str, codec: &str) -> Error {
    Error::invalid(format!("the video has {what} coded as '{}'", codec.trim()))
        .hint("convert it to H.264 and AAC, or install ffmpeg, which can decode it")
}

fn checked_rate(video: &Track, limits: &VideoLimits) -> Result<f64> {
    let seconds = video.ticks as f64 / f64::from(video.ticks_per_s.max(1));
    let pixels = u64::from(video.width) * u64::from(video.height);
    let fps = clip::round_rate(video.fps());
    let refuse = |what: String| Err(Error::invalid(what).hint("give a smaller or shorter video"));
    if pixels == 0 || pixels > limits.pixels {
        let (width, height) = (video.width, video.height);
        return refuse(format!(
            "the video has {width}×{height} pixels, the most is {} in all",
            limits.pixels
        ));
    }
    if seconds <= 0.0 || seconds > limits.seconds {
        return refuse(format!("the video takes {seconds:.1} s, the most is {} s", limits.seconds));
    }
    if !(1.0..=limits.fps).contains(&fps) {
        return refuse(format!(
            "the video has {fps} frames per second, the most is {}",
            limits.fps
        ));
    }
    Ok(fps)
}

/// The frames of a track, evenly in time: where its own times are uneven, some are shown twice or
/// not at all.
struct Frames<'a> {
    file: &'a [u8],
    track: &'a Track,
    decoder: Decoder,
    next: usize,
    waiting: BTreeMap<i64, YuvFrame>,
    /// For each frame that is to come, when the one was meant to be shown that is seen then.
    due: std::vec::IntoIter<i64>,
    /// The picture given last, and when it was meant to be shown.
    last: Option<(i64, Picture)>,
    most_pixels: u64,
}

impl<'a> Frames<'a> {
    fn new(file: &'a [u8], track: &'a Track, fps: f64, limits: &VideoLimits) -> Result<Self> {
        Ok(Self {
            file,
            track,
            decoder: Decoder::new(&track.codec)?,
            next: 0,
            waiting: BTreeMap::new(),
            due: seen(track, fps).into_iter(),
            last: None,
            most_pixels: limits.pixels,
        })
    }

    fn decode_next(&mut self) -> Result<bool> {
        let Some(sample) = self.track.samples.get(self.next) else { return Ok(false) };
        self.next += 1;
        if let Some(frame) = self.decoder.decode(sample.bytes(self.file))? {
            let pixels = frame.width as u64 * frame.height as u64;
            if pixels > self.most_pixels {
                let message = format!("the video has {pixels} pixels, more than it says");
                return Err(Error::invalid(message).hint("give a smaller video"));
            }
            self.waiting.insert(sample.shown_ticks, frame);
        }
        Ok(true)
    }

    /// Decodes until the frame is there that is due, or will not come.
    fn decode_until(&mut self, due: i64) -> Result<Option<YuvFrame>> {
        loop {
            // What is older than what is due is not seen any more.
            while self.waiting.first_key_value().is_some_and(|(shown, _)| *shown < due) {
                self.waiting.pop_first();
            }
            if let Some(frame) = self.waiting.remove(&due) {
                return Ok(Some(frame));
            }
            if self.waiting.len() >= MOST_WAITING || !self.decode_next()? {
                return Ok(None);
            }
        }
    }
}

/// For each frame at an even rate, when the frame of the track was meant to be shown that is seen in
/// the middle of its time.
fn seen(track: &Track, fps: f64) -> Vec<i64> {
    let mut shown: Vec<i64> = track.samples.iter().map(|sample| sample.shown_ticks).collect();
    shown.sort_unstable();
    let first = shown.first().copied().unwrap_or(0);
    let ticks = f64::from(track.ticks_per_s) / fps;
    let at = |place: usize| {
        let middle = first + ((place as f64 + 0.5) * ticks) as i64;
        let count = shown.partition_point(|time| *time <= middle);
        shown.get(count.saturating_sub(1)).copied().unwrap_or(first)
    };
    (0..shown.len()).map(at).collect()
}

impl Iterator for Frames<'_> {
    type Item = Result<Picture>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let due = self.due.next()?;
            if self.last.as_ref().is_none_or(|(shown, _)| *shown != due) {
                match self.decode_until(due) {
                    Ok(Some(frame)) => {
                        let picture = upright(yuv::to_picture(&frame), self.track.quarter_turns);
                        self.last = Some((due, picture));
                    }
                    // A frame that is missing: the one before it stays.
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            if let Some((_, picture)) = &self.last {
                return Some(Ok(picture.clone()));
            }
        }
    }
}

/// A picture as it is to be held.
fn upright(picture: Picture, quarter_turns: u8) -> Picture {
    use image::imageops::{rotate90, rotate180, rotate270};
    match quarter_turns {
        1 => Picture { pixels: rotate90(&picture.pixels) },
        2 => Picture { pixels: rotate180(&picture.pixels) },
        3 => Picture { pixels: rotate270(&picture.pixels) },
        _ => picture,
    }
}
