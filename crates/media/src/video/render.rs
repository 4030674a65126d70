//! Rendering: every frame is made, converted and encoded once, in segments that begin with a key
//! frame, so that each core can work on one of its own.
//!
//! Where segments begin depends on the timeline alone. The same timeline gives the same bytes, on
//! one core or on sixteen.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use impasto_domain::{Error, ErrorKind, MediaFacts, Result, Workbench};
use rusty_h264::YuvFrame;

use super::caption::Overlay;
use super::h264::{Encoder, Quality};
use super::mp4::{self, Packet, VideoTrack};
use super::stage::Stage;
use super::timeline::{INSTANT_S, Timeline, Transition, even};
use super::{aac, sound, yuv};
use crate::{Picture, Sound};

/// The longest segment; also the longest way to the next key frame.
const SEGMENT_S: f64 = 2.0;

/// Frames that may wait for the encoder when they come from elsewhere.
const WAITING_FRAMES: usize = 4;

/// Share of the work that is pictures, for progress.
const PICTURES_SHARE: f64 = 0.96;

/// The file of a timeline, and its facts.
pub(crate) fn render(
    timeline: &Timeline,
    quality: Quality,
    bench: &dyn Workbench,
) -> Result<(Vec<u8>, MediaFacts)> {
    let overlays = Overlay::all(timeline, bench)?;
    let (packets, sets) = pictures(timeline, &overlays, quality, bench)?;
    bench.progress(PICTURES_SHARE, "sound");
    let sound = sound::mix_down(timeline, bench)?;
    finish((timeline.width, timeline.height), timeline.fps, (packets, sets), sound.as_ref())
}

/// Encodes pictures of one size as they come, with a sound, as an MP4 file: H.264 and AAC, ready to
/// stream.
///
/// An odd last row or column is left out. The first error of `frames` ends the work and is returned;
/// so does a wish of the bench to stop.
pub fn encode_mp4(
    frames: &mut dyn Iterator<Item = Result<Picture>>,
    fps: f64,
    audio: Option<&Sound>,
    bench: &dyn Workbench,
) -> Result<(Vec<u8>, MediaFacts)> {
    if !(1.0..=120.0).contains(&fps) {
        return Err(Error::invalid(format!("{fps} frames per second cannot be encoded"))
            .hint("use 1 to 120"));
    }
    let empty = || Error::invalid("a video needs at least one frame");
    let first = frames.next().ok_or_else(empty)??;
    let size = (first.width() & !1, first.height() & !1);
    let encoded = std::thread::scope(|scope| {
        let (give, take) = sync_channel::<YuvFrame>(WAITING_FRAMES);
        let encoder = scope.spawn(move || encode_stream(&take, size, fps));
        let fed = feed(first, frames, size, bench, &give);
        drop(give);
        let encoded =
            encoder.join().map_err(|_| Error::internal("the video encoder broke down"))?;
        fed.and(encoded)
    })?;
    let audio =
        audio.map(|audio| Ok::<_, Error>(audio.resampled(aac::SAMPLE_RATE)?.with_channels(2)));
    finish(size, fps, encoded, audio.transpose()?.as_ref())
}

fn feed(
    first: Picture,
    frames: &mut dyn Iterator<Item = Result<Picture>>,
    size: (u32, u32),
    bench: &dyn Workbench,
    give: &std::sync::mpsc::SyncSender<YuvFrame>,
) -> Result<()> {
    for frame in std::iter::once(Ok(first)).chain(frames) {
        bench.check_cancelled()?;
        let frame = frame?;
        if (frame.width() & !1, frame.height() & !1) != size {
            return Err(Error::invalid(format!(
                "a frame has {}×{} pixels, the first one {}×{}",
                frame.width(),
                frame.height(),
                size.0,
                size.1
            )));
        }
        if give.send(yuv::from_picture(&frame)).is_err() {
            // The encoder has stopped; its error is told by the caller.
            return Ok(());
        }
    }
    Ok(())
}

/// Sequence and picture parameter sets.
type ParameterSets = (Vec<u8>, Vec<u8>);

/// The packets of a segment, and how to decode them.
type Segment = (Vec<Packet>, ParameterSets);

fn encode_stream(frames: &Receiver<YuvFrame>, size: (u32, u32), fps: f64) -> Result<Segment> {
    let most = ((SEGMENT_S * fps).round() as usize).max(1);
    let mut encoder = Encoder::new(size, fps, Quality::Good)?;
    let mut packets = Vec::new();
    for frame in frames {
        if packets.len() % most == 0 && !packets.is_empty() {
            encoder = Encoder::new(size, fps, Quality::Good)?;
        }
        packets.push(encoder.encode(&frame)?);
    }
    let missing = || Error::internal("the video encoder gave no parameters");
    let sets = encoder.parameter_sets().cloned().ok_or_else(missing)?;
    Ok((packets, sets))
}

fn finish(
    (width, height): (u32, u32),
    fps: f64,
    (packets, (sps, pps)): (Vec<Packet>, ParameterSets),
    sound: Option<&Sound>,
) -> Result<(Vec<u8>, MediaFacts)> {
    let frames = packets.len();
    let audio = sound.filter(|sound| !sound.is_empty()).map(aac::encode).transpose()?;
    let track = VideoTrack { width, height, fps, sps, pps, packets };
    let bytes = mp4::write(&track, audio.as_ref())?;
    let facts = MediaFacts {
        bytes: bytes.len() as u64,
        width: Some(width),
        height: Some(height),
        duration_ms: Some((frames as f64 / fps * 1000.0).round() as u64),
        fps: Some(fps),
        channels: audio.as_ref().map(|audio| audio.channels),
        sample_rate: audio.as_ref().map(|audio| audio.sample_rate),
        ..MediaFacts::default()
    };
    Ok((bytes, facts))
}

/// The first frame of each segment: at every hard cut, and evenly between.
fn segments(timeline: &Timeline) -> Vec<u64> {
    let frames = timeline.frames();
    let most = ((SEGMENT_S * timeline.fps).round() as u64).max(2);
    let number = |time_s: f64| ((time_s - INSTANT_S) * timeline.fps).ceil().max(0.0) as u64;
    let mut cuts: Vec<u64> = timeline
        .shots
        .iter()
        .filter(|shot| shot.entry.as_ref().is_none_or(|entry| entry.transition == Transition::Cut))
        .map(|shot| number(shot.from_s))
        .filter(|cut| *cut > 0 && *cut < frames)
        .collect();
    cuts.push(frames);
    cuts.sort_unstable();
    cuts.dedup();
    let mut starts = Vec::new();
    let mut start = 0;
    for cut in cuts {
        let length = cut - start;
        let count = length.div_ceil(most);
        starts.extend((0..count).map(|part| start + length * part / count));
        start = cut;
    }
    // Two neighbouring key frames would need numbers of their own; a segment has two frames or more.
    let mut kept: Vec<u64> = Vec::new();
    for start in starts {
        if kept.last().is_none_or(|last| start >= last + 2) {
            kept.push(start);
        }
    }
    kept
}

/// What the threads share.
struct Work<'a> {
    timeline: &'a Timeline,
    overlays: &'a [Overlay],
    quality: Quality,
    bench: &'a dyn Workbench,
    starts: Vec<u64>,
    next: AtomicUsize,
    done: AtomicU64,
    failed: AtomicBool,
    results: Mutex<Vec<(usize, Result<Segment>)>>,
}

fn pictures(
    timeline: &Timeline,
    overlays: &[Overlay],
    quality: Quality,
    bench: &dyn Workbench,
) -> Result<Segment> {
    let work = Work {
        timeline,
        overlays,
        quality,
        bench,
        starts: segments(timeline),
        next: AtomicUsize::new(0),
        done: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        results: Mutex::new(Vec::new()),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(work.starts.len()) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let mut results = work.results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    let mut packets = Vec::with_capacity(timeline.frames() as usize);
    let mut first_sets = None;
    // A segment that stopped because another one failed is not the reason.
    let stopped = |error: &Error| error.kind == ErrorKind::Cancelled;
    if let Some(place) =
        results.iter().position(|(_, result)| result.as_ref().is_err_and(|error| !stopped(error)))
    {
        results.swap(0, place);
    }
    for (_, result) in results {
        let (mut segment, sets) = result?;
        packets.append(&mut segment);
        first_sets.get_or_insert(sets);
    }
    if packets.len() as u64 != timeline.frames() {
        return Err(Error::internal("frames were lost while rendering"));
    }
    first_sets.map(|sets| (packets, sets)).ok_or_else(|| Error::internal("nothing was rendered"))
}

impl Work<'_> {
    /// Takes segments until there are none left, or one has failed.
    fn run(&self) {
        let mut stage = Stage::new(self.timeline, self.overlays, self.bench);
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(start) = self.starts.get(place) else { return };
            let end = self.starts.get(place + 1).copied().unwrap_or(self.timeline.frames());
            let result = self.segment(&mut stage, *start, end);
            if result.is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    }

    fn segment(&self, stage: &mut Stage<'_>, start: u64, end: u64) -> Result<Segment> {
        let size = (even(self.timeline.width), even(self.timeline.height));
        let mut encoder = Encoder::new(size, self.timeline.fps, self.quality)?;
        let mut packets = Vec::with_capacity((end - start) as usize);
        for number in start..end {
            self.bench.check_cancelled()?;
            if self.failed.load(Ordering::Relaxed) {
                return Err(Error::cancelled());
            }
            let frame = stage.frame(number)?;
            packets.push(encoder.encode(&yuv::from_picture(&frame))?);
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(8) {
                let share = done as f64 / self.timeline.frames() as f64;
                self.bench.progress(share * PICTURES_SHARE, "pictures");
            }
        }
        let missing = || Error::internal("the video encoder gave no parameters");
        let sets = encoder.parameter_sets().cloned().ok_or_else(missing)?;
        Ok((packets, sets))
    }
}
