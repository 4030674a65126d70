//! Captions: lines of balanced length, at most two, inside the safe area, drawn once and laid over
//! every frame that shows them.

use impasto_domain::{Result, Workbench};

use super::timeline::{Caption, CaptionLook, Timeline};
use crate::Picture;
use crate::text::{self, Align, Style};

/// Share of the frame's width that lines may take.
const SAFE_WIDTH: f32 = 0.84;

/// Distance of the lowest line from the lower edge, as a share of the height.
const SAFE_BELOW: f32 = 0.045;

/// The most lines that are shown at once.
const MOST_LINES: usize = 2;

/// Marks behind which a line breaks well.
const PAUSES: [char; 7] = ['.', ',', ';', ':', '!', '?', '—'];

/// Seconds in which a caption comes and goes.
const FADE_S: f64 = 0.12;

/// A caption that has been drawn.
pub(crate) struct Overlay {
    from_s: f64,
    to_s: f64,
    left: u32,
    top: u32,
    picture: Picture,
}

impl Overlay {
    /// Draws every caption of a timeline.
    pub(crate) fn all(timeline: &Timeline, bench: &dyn Workbench) -> Result<Vec<Self>> {
        let mut overlays = Vec::new();
        for caption in &timeline.captions {
            bench.check_cancelled()?;
            overlays.extend(draw(caption, timeline.width, timeline.height));
        }
        Ok(overlays)
    }

    /// Lays the caption over a frame of the time `at_s`, if it is its time.
    pub(crate) fn lay(&self, frame: &mut Picture, at_s: f64) {
        if at_s < self.from_s || at_s >= self.to_s {
            return;
        }
        let near = (at_s - self.from_s + 0.02).min(self.to_s - at_s);
        let opacity = ((near / FADE_S).clamp(0.0, 1.0) * 256.0) as u32;
        let (width, height) = (frame.width(), frame.height());
        let across = self.picture.width().min(width.saturating_sub(self.left)) as usize;
        let stride = width as usize * 4;
        let rows = self.picture.pixels.as_raw().chunks_exact(self.picture.width() as usize * 4);
        let below = frame.pixels.as_flat_samples_mut().samples;
        for (row, y) in rows.zip(self.top..height) {
            let start = y as usize * stride + self.left as usize * 4;
            let line = &mut below[start..start + across * 4];
            for (under, over) in line.chunks_exact_mut(4).zip(row.chunks_exact(4)) {
                let alpha = u32::from(over[3]) * opacity / 256;
                if alpha == 0 {
                    continue;
                }
                for (under, over) in under[..3].iter_mut().zip(over) {
                    let sum = u32::from(*over) * alpha + u32::from(*under) * (255 - alpha);
                    *under = ((sum + 127) / 255) as u8;
                }
            }
        }
    }
}

fn draw(caption: &Caption, width: u32, height: u32) -> Vec<Overlay> {
    let (wide, tall) = (width as f32, height as f32);
    // On an upright frame a share of the height would be huge letters on a narrow line.
    let basis = tall.min(wide * 0.75);
    let scale = if caption.look == CaptionLook::Bold { 1.25 } else { 1.0 };
    let style = Style {
        size_px: (caption.size as f32 * basis * scale).max(8.0),
        line_height: 1.22,
        shadow: if caption.look == CaptionLook::Boxed { 0.0 } else { 1.0 },
        align: Align::Centre,
        ..Style::default()
    };
    let pages = pages(&caption.text, wide * SAFE_WIDTH, &style);
    let letters: usize = pages.iter().map(|page| page.chars().count()).sum();
    let mut from_s = caption.from_s;
    let mut overlays = Vec::new();
    for (place, page) in pages.iter().enumerate() {
        let share = page.chars().count() as f64 / letters.max(1) as f64;
        let last = place + 1 == pages.len();
        let to_s =
            if last { caption.to_s } else { from_s + share * (caption.to_s - caption.from_s) };
        overlays.push(draw_page(page, (from_s, to_s), caption.look, &style, (wide, tall)));
        from_s = to_s;
    }
    overlays
}

fn draw_page(
    page: &str,
    (from_s, to_s): (f64, f64),
    look: CaptionLook,
    style: &Style,
    (wide, tall): (f32, f32),
) -> Overlay {
    let extent = text::measure(page, style);
    let margin = style.size_px.ceil();
    let left = ((wide - extent.width_px) / 2.0 - margin).max(0.0).floor();
    let top = (tall * (1.0 - SAFE_BELOW) - extent.height_px - margin).max(0.0).floor();
    let size = (
        (extent.width_px + 2.0 * margin).ceil().min(wide - left) as u32,
        (extent.height_px + 2.0 * margin).ceil().min(tall - top) as u32,
    );
    let mut picture = Picture::filled(size.0.max(1), size.1.max(1), [0; 4]);
    let at = ((wide - extent.width_px) / 2.0 - left, margin);
    let ground = match look {
        CaptionLook::Boxed => Some(Ground { opacity: 0.72, pad: 0.35, softness: 0.0 }),
        // Just enough to take the detail out of what is behind the letters.
        CaptionLook::Plain => Some(Ground { opacity: 0.36, pad: 0.55, softness: 0.9 }),
        CaptionLook::Bold => None,
    };
    if let Some(ground) = ground {
        ground.draw(&mut picture, at, (extent.width_px, extent.height_px), style.size_px);
    }
    // Shadows upon shadows make up for the missing box.
    let layers = match look {
        CaptionLook::Boxed => 1,
        CaptionLook::Plain => 2,
        CaptionLook::Bold => 3,
    };
    for _ in 0..layers {
        text::draw(&mut picture, page, at, style);
    }
    Overlay { from_s, to_s, left: left as u32, top: top as u32, picture }
}

/// What lies behind letters: a dark box with round corners.
struct Ground {
    /// How dark it is in the middle, from 0 to 1.
    opacity: f32,
    /// How far it goes beyond the letters, and over how much of that again it fades, in sizes of a
    /// letter.
    pad: f32,
    softness: f32,
}

impl Ground {
    fn draw(&self, picture: &mut Picture, at: (f32, f32), extent: (f32, f32), size_px: f32) {
        let (pad, fade) = (self.pad * size_px, (self.softness * size_px).max(1.0));
        let (left, top) = (at.0 - pad, at.1 - pad * 0.5);
        let (right, bottom) = (at.0 + extent.0 + pad, at.1 + extent.1 + pad * 0.5);
        for (x, y, pixel) in picture.pixels.enumerate_pixels_mut() {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let beyond_x = (left + pad - x).max(x - (right - pad)).max(0.0);
            let beyond_y = (top + pad - y).max(y - (bottom - pad)).max(0.0);
            let inside = ((pad - beyond_x.hypot(beyond_y)) / fade + 0.5).clamp(0.0, 1.0);
            let smooth = inside * inside * (3.0 - 2.0 * inside);
            pixel.0 = [12, 12, 14, (smooth * self.opacity * 255.0).round() as u8];
        }
    }
}

/// The text in parts of at most two lines, each with its line breaks.
fn pages(caption: &str, most_width: f32, style: &Style) -> Vec<String> {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let width = |words: &[&str]| text::measure(&words.join(" "), style).width_px;
    let space = width(&["n n"]) - width(&["nn"]);
    let widths: Vec<f32> = words.iter().map(|word| width(&[word])).collect();
    let lines = greedy(&widths, space, most_width);
    if lines.is_empty() {
        return Vec::new();
    }
    // Even shares: three lines become pages of two and one only if nothing else fits.
    let count = lines.len().div_ceil(MOST_LINES);
    let mut pages = Vec::new();
    let mut start = 0;
    for page in 0..count {
        let end = match page + 1 {
            last if last == count => words.len(),
            next => split_near(&words, start, words.len() * next / count),
        };
        let part = &widths[start..end];
        let place = balanced(&words[start..end], part, space, most_width);
        pages.push(match place.map(|place| words[start..end].split_at(place)) {
            Some((upper, lower)) => format!("{}\n{}", upper.join(" "), lower.join(" ")),
            None => words[start..end].join(" "),
        });
        start = end;
    }
    pages.retain(|page| !page.trim().is_empty());
    pages
}

/// A place to part words near `wanted`, behind a mark of punctuation if one is close.
fn split_near(words: &[&str], start: usize, wanted: usize) -> usize {
    let reach = (words.len() / 8).max(1);
    let ends = |place: &usize| words.get(place - 1).is_some_and(|word| word.ends_with(PAUSES));
    let candidates =
        wanted.saturating_sub(reach).max(start + 1)..=(wanted + reach).min(words.len());
    let best = candidates.filter(ends).min_by_key(|place| place.abs_diff(wanted));
    best.unwrap_or(wanted).clamp(start + 1, words.len())
}

/// Where lines begin (but the first) when each takes as many words as fit.
fn greedy(widths: &[f32], space: f32, most: f32) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut line = f32::INFINITY;
    for (place, width) in widths.iter().enumerate() {
        if line + space + width > most {
            lines.push(place);
            line = *width;
        } else {
            line += space + width;
        }
    }
    lines
}

/// Where a line breaks, if it must: near the middle, better behind a mark of punctuation, and better
/// with the longer line below.
fn balanced(words: &[&str], widths: &[f32], space: f32, most: f32) -> Option<usize> {
    if greedy(widths, space, most).len() < 2 {
        return None;
    }
    let length = |part: &[f32]| part.iter().sum::<f32>() + space * (part.len() as f32 - 1.0);
    let cost = |place: usize| {
        let (upper, lower) = widths.split_at(place);
        let (upper, lower) = (length(upper), length(lower));
        let longest = upper.max(lower);
        let too_long = (longest - most).max(0.0) * 100.0;
        let pause = words[place - 1].ends_with(PAUSES);
        let top_heavy = if upper > lower { 0.03 * most } else { 0.0 };
        longest + too_long + top_heavy - if pause { 0.15 * most } else { 0.0 }
    };
    (1..widths.len()).min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
}

/// How far letters stand out from their surroundings: WCAG contrast of white with a mean colour.
#[cfg(test)]
pub(crate) fn contrast_with_white(picture: &Picture) -> f32 {
    let light = |pixel: &image::Rgba<u8>| {
        let [red, green, blue, _] = pixel.0.map(crate::color::to_linear);
        crate::color::luminance([red, green, blue])
    };
    let count = picture.pixels.pixels().len().max(1) as f32;
    1.05 / (picture.pixels.pixels().map(light).sum::<f32>() / count + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style() -> Style {
        Style { size_px: 40.0, ..Style::default() }
    }

    #[test]
    fn lines_are_few_and_balanced() {
        let pages =
            pages("Made by hand, one at a time, in a small workshop by the sea", 800.0, &style());
        assert_eq!(pages.len(), 1);
        let lines: Vec<f32> =
            pages[0].lines().map(|line| text::measure(line, &style()).width_px).collect();
        assert_eq!(lines.len(), 2, "{pages:?}");
        assert!((lines[0] - lines[1]).abs() < 0.4 * lines[0].max(lines[1]), "{lines:?}");
    }

    #[test]
    fn long_texts_are_shown_in_turn() {
        let text = "Good mornings begin quietly. ".repeat(12);
        let caption =
            Caption { text, from_s: 1.0, to_s: 13.0, look: CaptionLook::Plain, size: 0.055 };
        let overlays = draw(&caption, 1280, 720);
        assert!(overlays.len() >= 3, "{}", overlays.len());
        assert_eq!((overlays[0].from_s, overlays[overlays.len() - 1].to_s), (1.0, 13.0));
        assert!(overlays.windows(2).all(|pair| pair[0].to_s == pair[1].from_s));
        for overlay in &overlays {
            assert!(overlay.left as f32 > 1280.0 * 0.03, "{}", overlay.left);
            assert!(overlay.left + overlay.picture.width() <= 1280);
            assert!(overlay.top + overlay.picture.height() <= 720);
        }
    }

    #[test]
    fn letters_can_be_read_on_white() {
        for look in [CaptionLook::Plain, CaptionLook::Boxed, CaptionLook::Bold] {
            let caption =
                Caption { text: "Take a seat".into(), from_s: 0.0, to_s: 2.0, look, size: 0.06 };
            let mut frame = Picture::filled(640, 360, [255; 4]);
            draw(&caption, 640, 360).iter().for_each(|overlay| overlay.lay(&mut frame, 1.0));
            let around = frame.cropped(270, 312, 100, 16);
            let contrast = contrast_with_white(&around);
            assert!(contrast > 1.5, "{look:?}: {contrast}");
        }
    }

    #[test]
    fn one_endless_word_does_not_hang() {
        let caption = Caption {
            text: "x".repeat(300),
            from_s: 0.0,
            to_s: 1.0,
            look: CaptionLook::Boxed,
            size: 0.2,
        };
        let mut frame = Picture::filled(64, 64, [255; 4]);
        draw(&caption, 64, 64).iter().for_each(|overlay| overlay.lay(&mut frame, 0.5));
    }
}
