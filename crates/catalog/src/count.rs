//! What a call is counted in: images, megapixels, seconds, characters, tokens.
//!
//! Quantities are whole millionths, so that 1.1 seconds at $0.10 are $0.11 and not a micro-dollar
//! more. What the input does not tell is taken from what the task allows, or from what the offer
//! says is usual. What only the answer tells (tokens, seconds of a machine) is assumed before and
//! measured afterwards.

use std::collections::BTreeMap;

use impasto_domain::{AssetRef, MediaKind, Task, Type, Value, Values};
use serde::{Deserialize, Serialize};

use crate::size::{ratio, short_side};

/// One of anything, in millionths.
pub(crate) const ONE: u64 = 1_000_000;
/// Pixels in a megapixel, as those count who charge for them.
const MEGAPIXEL: f64 = 1_048_576.0;
/// Frames per second of a video of which nobody says how many it has.
const USUAL_FPS: f64 = 24.0;
/// The pixels of a frame of which nobody says how large it is: at the least, usually, at the most.
const ANY_FRAME: [f64; 3] = [640.0 * 360.0, 1280.0 * 720.0, 3840.0 * 2160.0];

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The call itself.
    Request,
    /// A picture that comes out (`num_images`, else one).
    Image,
    /// A picture that goes in.
    InputImage,
    /// 1,048,576 pixels that come out, over all pictures.
    Megapixel,
    /// 1,048,576 pixels that come out or go in, over all pictures.
    TotalMegapixel,
    /// A second that comes out (`duration`), else of the media that go in.
    Second,
    /// A second of the media that go in.
    InputSecond,
    /// 60 seconds that come out, else of the media that go in.
    Minute,
    /// A frame of the video that goes in.
    InputFrame,
    /// A million of width times height times frames divided by 1,024.
    MillionVideoTokens,
    /// A million pixels of video that come out: width times height times frames.
    VideoMegapixel,
    /// 1,000 characters that go in (`text`, else `prompt`).
    ThousandCharacters,
    /// A million tokens of text that go in.
    MillionTextTokensIn,
    /// A million tokens of pictures that go in.
    MillionImageTokensIn,
    /// A million tokens of anything that goes in.
    MillionTokensIn,
    /// A million tokens of text that come out.
    MillionTextTokensOut,
    /// A million tokens of pictures that come out.
    MillionImageTokensOut,
    /// A million tokens of sound that come out.
    MillionAudioTokensOut,
    /// A second of the machine that does the work.
    GpuSecond,
    /// A step of training (`train_steps`).
    Step,
    /// A second for which a session is open.
    SessionSecond,
}

impl Unit {
    /// Every unit, by the name it has in files.
    pub(crate) const WORDS: [(&'static str, Self); 21] = [
        ("request", Self::Request),
        ("image", Self::Image),
        ("input_image", Self::InputImage),
        ("megapixel", Self::Megapixel),
        ("total_megapixel", Self::TotalMegapixel),
        ("second", Self::Second),
        ("input_second", Self::InputSecond),
        ("minute", Self::Minute),
        ("input_frame", Self::InputFrame),
        ("million_video_tokens", Self::MillionVideoTokens),
        ("video_megapixel", Self::VideoMegapixel),
        ("thousand_characters", Self::ThousandCharacters),
        ("million_text_tokens_in", Self::MillionTextTokensIn),
        ("million_image_tokens_in", Self::MillionImageTokensIn),
        ("million_tokens_in", Self::MillionTokensIn),
        ("million_text_tokens_out", Self::MillionTextTokensOut),
        ("million_image_tokens_out", Self::MillionImageTokensOut),
        ("million_audio_tokens_out", Self::MillionAudioTokensOut),
        ("gpu_second", Self::GpuSecond),
        ("step", Self::Step),
        ("session_second", Self::SessionSecond),
    ];

    /// The name it has in files.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, unit)| *unit == self).map_or("request", |(word, _)| word)
    }
}

/// How many of a unit a call has, in millionths: the fewest, the likely number, the most.
///
/// All three are equal when the input tells. No most means that nothing limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) low: u64,
    pub(crate) likely: u64,
    pub(crate) high: Option<u64>,
}

impl Count {
    pub(crate) fn exactly(millionths: u64) -> Self {
        Self { low: millionths, likely: millionths, high: Some(millionths) }
    }

    /// A count of which only the likely number matters much.
    fn about(likely: f64, low: Option<f64>, high: Option<f64>) -> Self {
        let likely = millionths(likely);
        let low = low.map_or(0, millionths).min(likely);
        Self { low, likely, high: high.map(|high| millionths(high).max(likely)) }
    }

    pub(crate) fn each(self, change: impl Fn(u64) -> u64) -> Self {
        Self { low: change(self.low), likely: change(self.likely), high: self.high.map(change) }
    }

    fn times(self, other: Self) -> Self {
        let times = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b) / u128::from(ONE);
            u64::try_from(product).unwrap_or(u64::MAX)
        };
        Self {
            low: times(self.low, other.low),
            likely: times(self.likely, other.likely),
            high: self.high.zip(other.high).map(|(a, b)| times(a, b)),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_add(other.low),
            likely: self.likely.saturating_add(other.likely),
            high: self.high.zip(other.high).map(|(a, b)| a.saturating_add(b)),
        }
    }
}

/// What was counted when the work was done, in place of what was assumed.
pub type Measured = BTreeMap<Unit, f64>;

/// What is taken for granted where the input does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Assumed {
    /// What the task allows, or the offer says is usual.
    counts: BTreeMap<Unit, Count>,
    /// Whether the task's `scale` says how many times larger the picture comes out.
    enlarges: bool,
    /// Whether the task takes pictures at all.
    takes_pictures: bool,
    /// The size of a frame as it is really made, by resolution and ratio: `480p 16:9`.
    pub(crate) frames: BTreeMap<String, (u32, u32)>,
    /// Frames per second by which is charged, where the input does not say.
    pub(crate) fps: Option<f64>,
}

impl Assumed {
    /// What the fields of `task` allow.
    pub(crate) fn of(task: &Task) -> Self {
        let field = |name: &str| task.input_field(name);
        let usual = |name: &str, otherwise: f64| {
            let default = field(name).and_then(|field| field.default.as_ref());
            default.and_then(Value::as_number).unwrap_or(otherwise)
        };
        let images = field("num_images").map_or(Count::exactly(ONE), |field| {
            Count::about(usual("num_images", 1.0), field.min, field.max)
        });
        let megapixels = {
            let (width, height) = (field("width"), field("height"));
            let area = |w: Option<f64>, h: Option<f64>| Some(w? * h? / MEGAPIXEL);
            let low = area(width.and_then(|f| f.min), height.and_then(|f| f.min));
            Count::about(1.0, low, area(width.and_then(|f| f.max), height.and_then(|f| f.max)))
        };
        let seconds = field("duration").map_or(Count::about(5.0, None, None), |field| {
            Count::about(usual("duration", 5.0), field.min, field.max)
        });
        let longest = field("text").or_else(|| field("prompt")).and_then(|field| field.max_chars);
        let thousands = Count::about(0.2, None, longest.map(|most| most as f64 / 1000.0));
        let pictures = pictures_of(task);
        // A token of text is three characters at the least and six at the most, as a rule.
        let tokens = thousands.each(|count| count / 3000);
        // Where it can be less than one, it says something else: the size of a part, say.
        let enlarges = field("scale").and_then(|field| field.min).is_some_and(|least| least >= 1.0);
        let counts = BTreeMap::from([
            (Unit::Image, images),
            (Unit::Megapixel, megapixels),
            (Unit::Second, seconds),
            (Unit::ThousandCharacters, thousands),
            (Unit::InputImage, pictures),
            (Unit::MillionTextTokensIn, tokens),
        ]);
        let takes_pictures = pictures.high != Some(0);
        Self { counts, enlarges, takes_pictures, frames: BTreeMap::new(), fps: None }
    }

    /// Sets the usual number of a unit, and the most if `most` says one.
    pub(crate) fn set(&mut self, unit: Unit, usual: f64, most: Option<f64>) {
        let likely = millionths(usual);
        let before = self.counts.get(&unit).copied();
        let high = most.map(millionths).or(before.and_then(|count| count.high));
        let low = before.map_or(0, |count| count.low).min(likely);
        self.counts.insert(unit, Count { low, likely, high: high.map(|most| most.max(likely)) });
    }

    /// Whether the most of `unit` is known before the call, whatever the input.
    pub(crate) fn bounds(&self, unit: Unit) -> bool {
        self.count(unit, &Values::new()).high.is_some()
    }

    fn assumed(&self, unit: Unit) -> Count {
        self.counts.get(&unit).copied().unwrap_or(Count { low: 0, likely: 0, high: None })
    }

    /// How many of `unit` a call with `input` has.
    pub(crate) fn count(&self, unit: Unit, input: &Values) -> Count {
        match unit {
            Unit::Request => Count::exactly(ONE),
            Unit::Image => self.images(input),
            Unit::InputImage => self.pictures(input),
            Unit::Megapixel => self.megapixels_each(input, |one| one),
            Unit::TotalMegapixel => {
                self.images(input).times(self.megapixels(input)).plus(self.megapixels_in(input))
            }
            Unit::Second => self.seconds(input),
            Unit::Minute => self.seconds(input).each(|seconds| seconds.div_ceil(60)),
            Unit::InputSecond => {
                seconds_in(input).map_or(self.assumed(Unit::InputSecond), Count::exactly)
            }
            Unit::InputFrame => {
                frames_in(input).map_or(self.assumed(Unit::InputFrame), Count::exactly)
            }
            Unit::MillionVideoTokens => self.video(input, 1024.0 * 1e6, Unit::MillionVideoTokens),
            Unit::VideoMegapixel => self.video(input, 1e6, Unit::VideoMegapixel),
            Unit::ThousandCharacters => thousands(input).map_or(self.assumed(unit), Count::exactly),
            Unit::MillionTextTokensIn => thousands(input).map_or(self.assumed(unit), |thousands| {
                let of = |characters: u64| thousands.div_ceil(1000 * characters);
                Count { low: thousands / 6000, likely: of(4), high: Some(of(1)) }
            }),
            Unit::Step => number(input, "train_steps")
                .map(millionths)
                .map_or(self.assumed(unit), Count::exactly),
            _ => self.assumed(unit),
        }
    }

    fn images(&self, input: &Values) -> Count {
        let number = number(input, "num_images").map(millionths);
        number.map_or(self.assumed(Unit::Image), Count::exactly)
    }

    /// Pictures that go in. If any are there, all are taken to be.
    fn pictures(&self, input: &Values) -> Count {
        let there = images_in(input).count() as u64;
        if there > 0 || !self.takes_pictures {
            return Count::exactly(there.saturating_mul(ONE));
        }
        self.assumed(Unit::InputImage)
    }

    /// The size of one picture that comes out.
    fn megapixels(&self, input: &Values) -> Count {
        let known = megapixels(input, self.enlarges);
        known.map_or(self.assumed(Unit::Megapixel), Count::exactly)
    }

    /// The size of all pictures that come out, each changed by `change`.
    pub(crate) fn megapixels_each(&self, input: &Values, change: impl Fn(u64) -> u64) -> Count {
        self.images(input).times(self.megapixels(input).each(change))
    }

    fn megapixels_in(&self, input: &Values) -> Count {
        let size = |asset: &AssetRef| {
            let (width, height) = (asset.facts.width?, asset.facts.height?);
            Some(f64::from(width) * f64::from(height) / MEGAPIXEL)
        };
        let known: Option<f64> = images_in(input).map(size).sum();
        match known {
            Some(total) if images_in(input).next().is_some() => Count::exactly(millionths(total)),
            // One megapixel for each picture of which nobody knows the size.
            _ => self.pictures(input),
        }
    }

    fn seconds(&self, input: &Values) -> Count {
        let asked = number(input, "duration").map(millionths);
        asked.or_else(|| seconds_in(input)).map_or(self.assumed(Unit::Second), Count::exactly)
    }

    /// The pixels of a video that comes out, over all frames, divided by `by`.
    fn video(&self, input: &Values, by: f64, unit: Unit) -> Count {
        let frame = self.frame(input);
        if frame.is_none()
            && let Some(count) = self.counts.get(&unit)
        {
            return *count;
        }
        let pixels =
            frame.map_or(ANY_FRAME, |(width, height)| [f64::from(width) * f64::from(height); 3]);
        let fps = number(input, "fps").filter(|_| self.fps.is_none());
        let fps = fps.or(self.fps).unwrap_or(USUAL_FPS);
        let frames = number(input, "num_frames").map(millionths).map(Count::exactly);
        let frames = frames.unwrap_or_else(|| {
            self.seconds(input).each(|seconds| (seconds as f64 * fps).ceil() as u64)
        });
        let of = |frames: u64, pixels: f64| millionths(frames as f64 / ONE as f64 * pixels / by);
        let [least, usual, most] = pixels;
        Count {
            low: of(frames.low, least),
            likely: of(frames.likely, usual),
            high: frames.high.map(|frames| of(frames, most)),
        }
    }

    /// The size of a frame: from the table of those really made, as asked for, or of what goes in.
    fn frame(&self, input: &Values) -> Option<(u32, u32)> {
        let text = |name: &str| input.get(name).and_then(Value::as_text);
        let (resolution, shape) = (text("resolution"), text("aspect_ratio"));
        if let Some(resolution) = resolution {
            let shape = shape.filter(|shape| ratio(shape).is_some()).unwrap_or("16:9");
            if let Some(frame) = self.frames.get(&format!("{resolution} {shape}")) {
                return Some(*frame);
            }
        }
        let whole = |name: &str| number(input, name).map(|side| side as u32);
        if let (Some(width), Some(height)) = (whole("width"), whole("height")) {
            return Some((width, height));
        }
        let short = resolution.and_then(short_side)?;
        let shape = shape.and_then(ratio).unwrap_or(16.0 / 9.0);
        let long = short * shape.max(1.0 / shape);
        let (long, short) = (long.round() as u32, short as u32);
        Some(if shape >= 1.0 { (long, short) } else { (short, long) })
    }
}

/// How many pictures a call of `task` has that go in.
fn pictures_of(task: &Task) -> Count {
    let image = Type::Media(MediaKind::Image);
    let mut count = Count::exactly(0);
    for field in &task.input {
        let many = field.ty == Type::List(Box::new(image.clone()));
        if !many && field.ty != image {
            continue;
        }
        let least = if field.required { field.min.unwrap_or(1.0) } else { 0.0 };
        let most = if many { field.max } else { Some(1.0) };
        count = count.plus(Count::about(least, Some(least), most));
    }
    count
}

/// Rounded up, so that no cost falls short; what is left of a decimal fraction in binary is no reason to.
pub(crate) fn millionths(number: f64) -> u64 {
    const BINARY_DUST: f64 = 1e-4;
    (number * ONE as f64 - BINARY_DUST).ceil() as u64
}

fn number(input: &Values, name: &str) -> Option<f64> {
    input.get(name)?.as_number()
}

fn of_kind(input: &Values, kind: MediaKind) -> impl Iterator<Item = &AssetRef> {
    input.values().flat_map(Value::assets).filter(move |asset| asset.kind() == kind)
}

fn images_in(input: &Values) -> impl Iterator<Item = &AssetRef> {
    of_kind(input, MediaKind::Image)
}

/// The size of one picture that comes out: as asked for, or as the picture that goes in has it.
fn megapixels(input: &Values, enlarges: bool) -> Option<u64> {
    let (width, height) = (number(input, "width"), number(input, "height"));
    let pixels = match (width, height, given_size(input)) {
        (Some(width), Some(height), _) => width * height,
        (Some(width), None, Some((w, h))) if w > 0.0 => width * width * h / w,
        (None, Some(height), Some((w, h))) if h > 0.0 => height * height * w / h,
        (None, None, Some((w, h))) => {
            let scale = number(input, "scale").filter(|_| enlarges).unwrap_or(1.0);
            w * h * scale * scale
        }
        _ => return None,
    };
    Some(millionths(pixels / MEGAPIXEL))
}

/// The size of the first picture or video that goes in.
fn given_size(input: &Values) -> Option<(f64, f64)> {
    let seen =
        |asset: &AssetRef| Some((f64::from(asset.facts.width?), f64::from(asset.facts.height?)));
    input.values().flat_map(Value::assets).find_map(seen)
}

fn is_timed(asset: &&AssetRef) -> bool {
    matches!(asset.kind(), MediaKind::Audio | MediaKind::Video)
}

/// The seconds of all sounds and videos that go in.
fn seconds_in(input: &Values) -> Option<u64> {
    let mut lengths = input.values().flat_map(Value::assets).filter(is_timed).peekable();
    lengths.peek()?;
    let length = |asset: &AssetRef| asset.facts.duration_ms;
    let total = lengths.try_fold(0_u64, |total, asset| Some(total.saturating_add(length(asset)?)));
    total.map(|ms| ms.saturating_mul(ONE / 1000))
}

/// The frames of all videos that go in.
fn frames_in(input: &Values) -> Option<u64> {
    let mut videos = of_kind(input, MediaKind::Video).peekable();
    videos.peek()?;
    let frames = |asset: &AssetRef| {
        Some((asset.facts.duration_ms? as f64 / 1000.0 * asset.facts.fps?).round())
    };
    videos.try_fold(0.0, |total, asset| Some(total + frames(asset)?)).map(millionths)
}

fn thousands(input: &Values) -> Option<u64> {
    let said = input.get("text").or_else(|| input.get("prompt"))?;
    Some(characters(said) * (ONE / 1000))
}

/// The characters of every text in a value.
fn characters(value: &Value) -> u64 {
    match value {
        Value::Text(text) => text.chars().count() as u64,
        Value::List(items) => items.iter().map(characters).sum(),
        Value::Map(entries) => entries.values().map(characters).sum(),
        _ => 0,
    }
}
