//! What a call is counted in: images, megapixels, seconds, characters.
//!
//! Quantities are whole millionths, so that 1.1 seconds at $0.10 are $0.11 and not a micro-dollar
//! more. What the input does not tell is taken from what the task allows, or from what the offer
//! says is usual.

use impasto_domain::{AssetRef, MediaKind, Task, Value, Values};
use serde::Serialize;

/// One of anything, in millionths.
pub(crate) const ONE: u64 = 1_000_000;
/// Pixels in a megapixel, as those count who charge for them.
const MEGAPIXEL: f64 = 1_048_576.0;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The call itself.
    Request,
    /// A picture that comes out (`num_images`, else one).
    Image,
    /// 1,048,576 pixels that come out, over all pictures.
    Megapixel,
    /// A second that comes out (`duration`), else of the media that go in.
    Second,
    /// 1,000 characters that go in (`text`, else `prompt`).
    ThousandCharacters,
}

impl Unit {
    /// Every unit, by the name it has in files.
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("request", Self::Request),
        ("image", Self::Image),
        ("megapixel", Self::Megapixel),
        ("second", Self::Second),
        ("thousand_characters", Self::ThousandCharacters),
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

    fn each(self, change: impl Fn(u64) -> u64) -> Self {
        Self { low: change(self.low), likely: change(self.likely), high: self.high.map(change) }
    }
}

/// What is taken for granted where the input does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Assumed {
    images: Count,
    megapixels: Count,
    seconds: Count,
    thousands: Count,
    /// Whether the task's `scale` says how many times larger the picture comes out.
    enlarges: bool,
}

impl Assumed {
    /// What the fields of `task` allow.
    pub(crate) fn of(task: &Task) -> Self {
        let field = |name: &str| task.input_field(name);
        let images = field("num_images").map_or(Count::exactly(ONE), |field| {
            let usual = field.default.as_ref().and_then(Value::as_number).unwrap_or(1.0);
            Count::about(usual, field.min, field.max)
        });
        let megapixels = {
            let (width, height) = (field("width"), field("height"));
            let area = |w: Option<f64>, h: Option<f64>| Some(w? * h? / MEGAPIXEL);
            let low = area(width.and_then(|f| f.min), height.and_then(|f| f.min));
            Count::about(1.0, low, area(width.and_then(|f| f.max), height.and_then(|f| f.max)))
        };
        let seconds = field("duration").map_or(Count::about(5.0, None, None), |field| {
            let usual = field.default.as_ref().and_then(Value::as_number).unwrap_or(5.0);
            Count::about(usual, field.min, field.max)
        });
        let longest = field("text").or_else(|| field("prompt")).and_then(|field| field.max_chars);
        let thousands = Count::about(0.2, None, longest.map(|most| most as f64 / 1000.0));
        // Where it can be less than one, it says something else: the size of a part, say.
        let enlarges = field("scale").and_then(|field| field.min).is_some_and(|least| least >= 1.0);
        Self { images, megapixels, seconds, thousands, enlarges }
    }

    /// Sets the usual number of a unit, and the most if `most` says one.
    pub(crate) fn set(&mut self, unit: Unit, usual: f64, most: Option<f64>) {
        let slot = match unit {
            Unit::Request => return,
            Unit::Image => &mut self.images,
            Unit::Megapixel => &mut self.megapixels,
            Unit::Second => &mut self.seconds,
            Unit::ThousandCharacters => &mut self.thousands,
        };
        let likely = millionths(usual);
        let high = most.map(millionths).or(slot.high).map(|most| most.max(likely));
        *slot = Count { low: slot.low.min(likely), likely, high };
    }

    /// Whether the most of `unit` is known before the call, whatever the input.
    pub(crate) fn bounds(&self, unit: Unit) -> bool {
        self.count(unit, false, &Values::new()).high.is_some()
    }

    /// How many of `unit` a call with `input` has. Rounding up is done for each image, as it is charged.
    pub(crate) fn count(&self, unit: Unit, round_up: bool, input: &Values) -> Count {
        let round = |millionths: u64| {
            if round_up { millionths.div_ceil(ONE).saturating_mul(ONE) } else { millionths }
        };
        match unit {
            Unit::Request => Count::exactly(ONE),
            Unit::Image => self.images(input),
            Unit::Megapixel => {
                let images = self.images(input);
                let one = megapixels(input, self.enlarges)
                    .map_or(self.megapixels, Count::exactly)
                    .each(round);
                let times = |a: u64, b: u64| a.saturating_mul(b) / ONE;
                let high = images.high.zip(one.high).map(|(a, b)| times(a, b));
                Count {
                    low: times(images.low, one.low),
                    likely: times(images.likely, one.likely),
                    high,
                }
            }
            Unit::Second => seconds(input).map_or(self.seconds, Count::exactly).each(round),
            Unit::ThousandCharacters => {
                thousands(input).map_or(self.thousands, Count::exactly).each(round)
            }
        }
    }

    fn images(&self, input: &Values) -> Count {
        let number = number(input, "num_images").map(millionths);
        number.map_or(self.images, Count::exactly)
    }
}

/// Rounded up, so that no cost falls short; what is left of a decimal fraction in binary is no reason to.
fn millionths(number: f64) -> u64 {
    const BINARY_DUST: f64 = 1e-4;
    (number * ONE as f64 - BINARY_DUST).ceil() as u64
}

fn number(input: &Values, name: &str) -> Option<f64> {
    input.get(name)?.as_number()
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

/// The seconds asked for, or those of all sounds and videos that go in.
fn seconds(input: &Values) -> Option<u64> {
    if let Some(duration) = number(input, "duration") {
        return Some(millionths(duration));
    }
    let timed = |asset: &&AssetRef| matches!(asset.kind(), MediaKind::Audio | MediaKind::Video);
    let mut lengths = input.values().flat_map(Value::assets).filter(timed).peekable();
    lengths.peek()?;
    let length = |asset: &AssetRef| asset.facts.duration_ms;
    let total = lengths.try_fold(0_u64, |total, asset| Some(total.saturating_add(length(asset)?)));
    total.map(|ms| ms.saturating_mul(ONE / 1000))
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
