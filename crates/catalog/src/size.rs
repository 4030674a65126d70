//! The verb `size`: one size of a picture or video, made of `width`, `height`, `aspect_ratio` and
//! `resolution`, in whatever way an endpoint wants to be told.
//!
//! Two exact measures win; otherwise the ratio counts, and the resolution says how large. Where an
//! endpoint knows only certain sizes, the one of the nearest shape is taken, and of those the one of
//! the nearest size. The answer is never larger than [`SIDE_MAX`] on a side.

use std::collections::BTreeMap;

use impasto_domain::{Value, Values};
use serde::Serialize;

use crate::body::{Body, FileForm};
use crate::mapping::Place;

/// The longest side that is ever asked for, in pixels.
const SIDE_MAX: f64 = 16_384.0;
/// Two shapes are the same if their ratios differ by less than this share.
const SHAPE_TOLERANCE: f64 = 0.03;

/// How an endpoint is told a size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Where the size goes as one value.
    pub(crate) to: Option<Place>,
    /// Where width and height go on their own.
    pub(crate) sides: Option<(Place, Place)>,
    /// The provider's words for ratios (`16:9`) and sizes (`1024x1536`).
    pub(crate) names: BTreeMap<String, Value>,
    /// The only sizes there are; empty means any.
    pub(crate) sizes: Vec<(u32, u32)>,
    /// What stands between width and height in a text such as `1024x1024`.
    pub(crate) separator: Option<String>,
    /// Whether a size can be an object of width and height.
    pub(crate) object: bool,
    /// Measures are multiples of this.
    pub(crate) multiple: u32,
    /// The pixels of a picture of which only the ratio is known.
    pub(crate) pixels: f64,
    /// The measures that a task has where nothing is said: they count as nothing said.
    pub(crate) unsaid: Option<(u32, u32)>,
}

impl Size {
    /// The inputs that it is made of.
    pub(crate) const INPUTS: [&'static str; 4] = ["width", "height", "aspect_ratio", "resolution"];

    /// Why the sizes in `input` cannot be had here.
    pub(crate) fn problem(&self, input: &Values) -> Option<String> {
        let exact = self.exact(input)?;
        let (width, height) = exact;
        let named = self.names.contains_key(&format!("{width}x{height}"));
        if named || self.sizes.contains(&exact) {
            return None;
        }
        if self.sizes.is_empty() && (self.is_free() || self.names.is_empty()) {
            return None;
        }
        let sizes: Vec<String> = self.sizes.iter().map(|(w, h)| format!("{w}x{h}")).collect();
        let known = if sizes.is_empty() {
            "only a ratio can be chosen".to_owned()
        } else {
            format!("it can be {}", sizes.join(", "))
        };
        Some(format!("here the size cannot be {width}x{height}; {known}"))
    }

    /// Whether any two measures can be told.
    fn is_free(&self) -> bool {
        self.object || self.separator.is_some() || self.sides.is_some()
    }

    /// Says the size of `input` with `put`; nothing if the input says nothing of it.
    pub(crate) fn say(&self, input: &Values, put: &mut impl FnMut(&Place, Body)) {
        let ratio_text = input.get("aspect_ratio").and_then(Value::as_text);
        let exact = self.exact(input);
        if let (Some(to), None, Some(text)) = (&self.to, exact, ratio_text)
            && let Some(name) = self.names.get(text)
        {
            return put(to, Body::of(name, FileForm::default()));
        }
        let Some((width, height)) = exact.or_else(|| self.measures(input, ratio_text)) else {
            return;
        };
        let (width, height) = self.fitted(width, height);
        if let Some((across, up)) = &self.sides {
            put(across, Body::Integer(i64::from(width)));
            put(up, Body::Integer(i64::from(height)));
        }
        if let Some(to) = &self.to {
            put(to, self.written(width, height));
        }
    }

    /// Both measures, if both are said.
    fn exact(&self, input: &Values) -> Option<(u32, u32)> {
        let exact = whole(input, "width").zip(whole(input, "height"));
        exact.filter(|exact| self.unsaid != Some(*exact))
    }

    fn written(&self, width: u32, height: u32) -> Body {
        let size = format!("{width}x{height}");
        if let Some(name) = self.names.get(&size).or_else(|| self.name_of_shape(width, height)) {
            return Body::of(name, FileForm::default());
        }
        if self.object && self.separator.is_none() {
            let side = |name: &str, side: u32| (name.to_owned(), Body::Integer(i64::from(side)));
            return Body::Map([side("width", width), side("height", height)].into());
        }
        let separator = self.separator.as_deref().unwrap_or("x");
        Body::Text(format!("{width}{separator}{height}"))
    }

    /// The name of the nearest shape, where names are all there is.
    fn name_of_shape(&self, width: u32, height: u32) -> Option<&Value> {
        if self.is_free() || !self.sizes.is_empty() {
            return None;
        }
        let wanted = f64::from(width) / f64::from(height.max(1));
        let away =
            |text: &str| ratio(text).map_or(f64::INFINITY, |found| (found / wanted).ln().abs());
        let named = self.names.iter().min_by(|a, b| away(a.0).total_cmp(&away(b.0)));
        named.map(|(_, value)| value)
    }

    /// Width and height by one measure or none, the ratio and the resolution.
    fn measures(&self, input: &Values, ratio_text: Option<&str>) -> Option<(u32, u32)> {
        let shape = ratio_text.and_then(ratio);
        let both = whole(input, "width").zip(whole(input, "height"));
        let said = |name: &str| whole(input, name).filter(|_| both.is_none());
        let (width, height) = (said("width"), said("height"));
        let shape_or_square = shape.unwrap_or(1.0);
        let (across, up) = match (width, height) {
            (Some(width), _) => (f64::from(width), f64::from(width) / shape_or_square),
            (_, Some(height)) => (f64::from(height) * shape_or_square, f64::from(height)),
            (None, None) => {
                let resolution = input.get("resolution").and_then(Value::as_text);
                let short = resolution.and_then(short_side);
                if shape.is_none() && short.is_none() {
                    return None;
                }
                match short {
                    Some(short) if shape_or_square >= 1.0 => (short * shape_or_square, short),
                    Some(short) => (short, short / shape_or_square),
                    None => {
                        let up = (self.pixels / shape_or_square).sqrt();
                        (up * shape_or_square, up)
                    }
                }
            }
        };
        let step = f64::from(self.multiple.max(1));
        let rounded = |side: f64| ((side / step).round().max(1.0) * step).min(SIDE_MAX) as u32;
        Some((rounded(across), rounded(up)))
    }

    /// The size itself, or the nearest of those that there are.
    fn fitted(&self, width: u32, height: u32) -> (u32, u32) {
        let shape = |(w, h): (u32, u32)| f64::from(w) / f64::from(h.max(1));
        let area = |(w, h): (u32, u32)| f64::from(w) * f64::from(h);
        let wanted = (width, height);
        let away = |size: &(u32, u32)| {
            let bent = (shape(*size) / shape(wanted)).ln().abs();
            let bent = if bent < SHAPE_TOLERANCE { 0.0 } else { bent };
            (bent, (area(*size).max(1.0) / area(wanted).max(1.0)).ln().abs())
        };
        let nearer = |a: &&(u32, u32), b: &&(u32, u32)| {
            let (a, b) = (away(a), away(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        self.sizes.iter().min_by(nearer).copied().unwrap_or(wanted)
    }
}

fn whole(input: &Values, name: &str) -> Option<u32> {
    input
        .get(name)?
        .as_integer()
        .and_then(|whole| u32::try_from(whole).ok())
        .filter(|side| *side > 0)
}

/// The ratio in a text such as `16:9`.
pub(crate) fn ratio(text: &str) -> Option<f64> {
    let (across, up) = text.split_once(':')?;
    let (across, up): (f64, f64) = (across.trim().parse().ok()?, up.trim().parse().ok()?);
    Some(across / up).filter(|ratio| ratio.is_finite() && (0.01..=100.0).contains(ratio))
}

/// The short side that a resolution names: `720p`; `4k` as videos have it (2,160 lines), `4K` as
/// pictures have it (4,096 pixels).
pub fn short_side(text: &str) -> Option<f64> {
    let number = |text: &str| text.parse::<f64>().ok();
    let side = match text.trim().split_at_checked(text.trim().len().checked_sub(1)?)? {
        (lines, "p" | "P") => number(lines)?,
        (thousands, "k") => number(thousands)? * 540.0,
        (thousands, "K") => number(thousands)? * 1024.0,
        _ => return None,
    };
    Some(side).filter(|side| (16.0..=SIDE_MAX).contains(side))
}
