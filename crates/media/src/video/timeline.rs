//! Timelines: videos that have been described but not rendered.
//!
//! A timeline is a flat list of shots with absolute times, so that nothing nests: putting a timeline
//! into another one copies its shots, moved in time and placed in the frame. Both are exact, so the
//! order in which videos were trimmed, joined and scaled costs nothing and loses nothing.
//!
//! Invariants of a timeline that was read or written here: even size, a frame rate from 1 to 120, a
//! positive duration, finite times, at most [`MOST_SHOTS`] shots.

use impasto_domain::{AssetRef, Error, MediaFacts, Result, TIMELINE_MEDIA_TYPE, Workbench};
use serde::{Deserialize, Serialize};

use super::camera::{Camera, Easing};

/// The most shots of a timeline.
pub(crate) const MOST_SHOTS: usize = 2_000;

/// The most captions of a timeline.
pub(crate) const MOST_CAPTIONS: usize = 10_000;

/// The longest timeline.
pub(crate) const MOST_SECONDS: f64 = 4.0 * 3600.0;

/// Times closer than this are the same: far less than a frame, far more than rounding.
pub(crate) const INSTANT_S: f64 = 1e-6;

/// A video that has been described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeline {
    /// Width in pixels; even.
    pub(crate) width: u32,
    /// Height in pixels; even.
    pub(crate) height: u32,
    /// Frames per second.
    pub(crate) fps: f64,
    /// Length in seconds.
    pub(crate) duration_s: f64,
    /// What is seen; a later shot lies over an earlier one.
    pub(crate) shots: Vec<Shot>,
    /// What is written over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) captions: Vec<Caption>,
    /// What is heard, added up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sounds: Vec<SoundCue>,
}

/// A picture or a clip for some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shot {
    pub(crate) source: Source,
    /// Where it lies in the frame.
    #[serde(default)]
    pub(crate) place: Area,
    /// What of the frame it may cover.
    #[serde(default)]
    pub(crate) window: Area,
    /// When its own time is zero; may lie before the timeline begins.
    pub(crate) origin_s: f64,
    /// When it is first seen.
    pub(crate) from_s: f64,
    /// When it is no longer seen.
    pub(crate) to_s: f64,
    /// How it comes in over what was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<Entry>,
}

/// Where the pixels of a shot come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Source {
    /// A camera moves over a picture.
    Still {
        picture: AssetRef,
        /// The size of the frame that the move was made for; its aspect is what counts.
        frame: (u32, u32),
        camera: Camera,
        easing: Easing,
        amount: f64,
        /// How long the whole move takes.
        span_s: f64,
    },
    /// A video file that Impasto has written.
    Clip { video: AssetRef },
}

/// How one shot becomes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transition {
    Cut,
    Crossfade,
    FadeBlack,
    WipeLeft,
    SlideLeft,
}

/// A transition and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) transition: Transition,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

/// A rectangle in shares of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Default for Area {
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, width: 1.0, height: 1.0 }
    }
}

impl Area {
    /// The area within another one.
    fn within(&self, outer: &Self) -> Self {
        Self {
            x: outer.x + self.x * outer.width,
            y: outer.y + self.y * outer.height,
            width: self.width * outer.width,
            height: self.height * outer.height,
        }
    }

    fn clipped(&self) -> Self {
        let (left, top) = (self.x.clamp(0.0, 1.0), self.y.clamp(0.0, 1.0));
        Self {
            x: left,
            y: top,
            width: (self.x + self.width).clamp(left, 1.0) - left,
            height: (self.y + self.height).clamp(top, 1.0) - top,
        }
    }
}

/// How a picture fills a frame of another aspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Contain,
    Cover,
    Stretch,
}

impl Fit {
    /// Where a picture of the size `inner` lies in a frame of the size `outer`.
    pub(crate) fn area(self, inner: (u32, u32), outer: (u32, u32)) -> Area {
        let (wide, tall) = (
            f64::from(outer.0) / f64::from(inner.0.max(1)),
            f64::from(outer.1) / f64::from(inner.1.max(1)),
        );
        let scale = match self {
            Self::Contain => wide.min(tall),
            Self::Cover => wide.max(tall),
            Self::Stretch => return Area::default(),
        };
        let (width, height) = (scale / wide, scale / tall);
        Area { x: (1.0 - width) / 2.0, y: (1.0 - height) / 2.0, width, height }
    }
}

/// A text for some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caption {
    pub(crate) text: String,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    pub(crate) look: CaptionLook,
    /// Height of a line as a share of the height of the frame.
    pub(crate) size: f64,
}

/// How captions look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CaptionLook {
    Plain,
    Boxed,
    Bold,
}

/// A sound, or the sound of a video, for some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SoundCue {
    pub(crate) asset: AssetRef,
    /// When its own time is zero; may lie before the timeline begins.
    pub(crate) origin_s: f64,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    #[serde(default)]
    pub(crate) fade_in_s: f64,
    #[serde(default)]
    pub(crate) fade_out_s: f64,
}

impl Timeline {
    /// The timeline that a video asset is: read if it is one, made of one clip if it is a file.
    pub(crate) fn read(bench: &dyn Workbench, asset: &AssetRef) -> Result<Self> {
        if asset.is_timeline() {
            let bytes = bench.read(asset)?;
            let timeline: Self = serde_json::from_slice(&bytes)
                .map_err(|error| Error::invalid(format!("the timeline cannot be read: {error}")))?;
            timeline.check()?;
            return Ok(timeline);
        }
        if asset.media_type != "video/mp4" {
            let message = format!("{} is not a video that tools take", asset.media_type);
            return Err(Error::invalid(message).hint("give an MP4 file"));
        }
        let video = match &asset.facts {
            MediaFacts {
                width: Some(_),
                height: Some(_),
                fps: Some(_),
                duration_ms: Some(_),
                ..
            } => asset.clone(),
            facts => AssetRef {
                facts: MediaFacts {
                    bytes: facts.bytes,
                    ..super::clip::facts(&bench.read(asset)?)?
                },
                ..asset.clone()
            },
        };
        let timeline = Self::of_clip(video);
        timeline.check()?;
        Ok(timeline)
    }

    fn of_clip(video: AssetRef) -> Self {
        let MediaFacts { width, height, fps, duration_ms, channels, .. } = video.facts;
        let fps = fps.unwrap_or(0.0);
        // Milliseconds are too coarse to count frames with.
        let frames = (duration_ms.unwrap_or(0) as f64 / 1000.0 * fps).round();
        let duration_s = if fps > 0.0 { frames / fps } else { 0.0 };
        let sound = channels.map(|_| SoundCue {
            asset: video.clone(),
            origin_s: 0.0,
            from_s: 0.0,
            to_s: duration_s,
            fade_in_s: 0.0,
            fade_out_s: 0.0,
        });
        let shot = Shot {
            source: Source::Clip { video },
            place: Area::default(),
            window: Area::default(),
            origin_s: 0.0,
            from_s: 0.0,
            to_s: duration_s,
            entry: None,
        };
        Self {
            width: even(width.unwrap_or(0)),
            height: even(height.unwrap_or(0)),
            fps,
            duration_s,
            shots: vec![shot],
            captions: Vec::new(),
            sounds: sound.into_iter().collect(),
        }
    }

    /// Keeps the timeline as an asset with the facts of the video that it describes.
    pub(crate) fn write(&self, bench: &dyn Workbench) -> Result<AssetRef> {
        self.check()?;
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::internal(format!("the timeline cannot be written: {error}")))?;
        bench.write(bytes, TIMELINE_MEDIA_TYPE, self.facts())
    }

    /// The facts of the video that it describes.
    pub(crate) fn facts(&self) -> MediaFacts {
        let heard = !self.sounds.is_empty();
        MediaFacts {
            width: Some(self.width),
            height: Some(self.height),
            fps: Some(self.fps),
            duration_ms: Some((self.frames() as f64 / self.fps * 1000.0).round() as u64),
            channels: heard.then_some(2),
            sample_rate: heard.then_some(super::aac::SAMPLE_RATE),
            ..MediaFacts::default()
        }
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> u64 {
        ((self.duration_s * self.fps).round() as u64).max(1)
    }

    /// The assets that it is made of.
    pub(crate) fn assets(&self) -> impl Iterator<Item = &AssetRef> {
        let seen = self.shots.iter().map(|shot| match &shot.source {
            Source::Still { picture, .. } => picture,
            Source::Clip { video } => video,
        });
        seen.chain(self.sounds.iter().map(|cue| &cue.asset))
    }

    /// Refuses what cannot be rendered.
    fn check(&self) -> Result<()> {
        let wrong =
            |what: String| Err(Error::invalid(format!("the timeline is not usable: {what}")));
        let Self { width, height, fps, duration_s, .. } = self;
        if !(2..=8192).contains(width) || !(2..=8192).contains(height) || (width | height) & 1 == 1
        {
            return wrong(format!(
                "its size is {width}×{height}; even sides from 2 to 8192 will do"
            ));
        }
        if !(1.0..=120.0).contains(fps) {
            return wrong(format!("it has {fps} frames per second; 1 to 120 will do"));
        }
        if !(INSTANT_S..=MOST_SECONDS).contains(duration_s) {
            return wrong(format!(
                "it takes {duration_s} s; more than 0 and at most {MOST_SECONDS} s will do"
            ));
        }
        let (shots, captions) = (self.shots.len(), self.captions.len());
        if shots > MOST_SHOTS || captions > MOST_CAPTIONS || self.sounds.len() > MOST_SHOTS {
            return wrong(format!(
                "it has {shots} shots, {captions} captions and {} sounds; the most are {MOST_SHOTS}, \
                 {MOST_CAPTIONS} and {MOST_SHOTS}",
                self.sounds.len()
            ));
        }
        let times = self
            .shots
            .iter()
            .flat_map(|shot| [shot.origin_s, shot.from_s, shot.to_s])
            .chain(self.captions.iter().flat_map(|caption| [caption.from_s, caption.to_s]))
            .chain(self.sounds.iter().flat_map(|cue| [cue.origin_s, cue.from_s, cue.to_s]));
        match times.into_iter().find(|time| time.is_nan() || time.abs() > MOST_SECONDS) {
            Some(time) => wrong(format!("{time} s is not a time in it")),
            None => Ok(()),
        }
    }

    /// The timeline, later by some seconds.
    pub(crate) fn shift(&mut self, by_s: f64) {
        for shot in &mut self.shots {
            for time in [&mut shot.origin_s, &mut shot.from_s, &mut shot.to_s] {
                *time += by_s;
            }
            if let Some(entry) = &mut shot.entry {
                entry.from_s += by_s;
                entry.to_s += by_s;
            }
        }
        for caption in &mut self.captions {
            caption.from_s += by_s;
            caption.to_s += by_s;
        }
        for cue in &mut self.sounds {
            for time in [&mut cue.origin_s, &mut cue.from_s, &mut cue.to_s] {
                *time += by_s;
            }
        }
    }

    /// Leaves out what is neither seen nor heard between two times.
    pub(crate) fn clip(&mut self, from_s: f64, to_s: f64) {
        let narrow = |from: &mut f64, to: &mut f64| {
            *from = from.max(from_s);
            *to = to.min(to_s);
            *to - *from > INSTANT_S
        };
        self.shots.retain_mut(|shot| narrow(&mut shot.from_s, &mut shot.to_s));
        self.captions.retain_mut(|caption| narrow(&mut caption.from_s, &mut caption.to_s));
        self.sounds.retain_mut(|cue| narrow(&mut cue.from_s, &mut cue.to_s));
    }

    /// Gives it another size; what was the frame now fills the new one by `fit`.
    pub(crate) fn reframe(&mut self, (width, height): (u32, u32), fit: Fit) {
        let area = fit.area((self.width, self.height), (width, height));
        for shot in &mut self.shots {
            shot.place = shot.place.within(&area);
            shot.window = shot.window.within(&area).clipped();
        }
        (self.width, self.height) = (even(width), even(height));
    }
}

/// The even number at or above, at least 2.
pub(crate) fn even(side: u32) -> u32 {
    side.clamp(2, 16_384).next_multiple_of(2)
}
