//! Text on pictures: shaping, wrapping, right-to-left scripts, soft shadows.
//!
//! Two typefaces are compiled in, so that text looks the same on every machine: Inter, and DejaVu
//! Sans for the scripts that Inter lacks. Only when neither has a character (Chinese, Devanagari,
//! emoji …) are the fonts of the machine consulted; a character that none has shows as a box.
//!
//! ```
//! use impasto_media::{Picture, text};
//! let style = text::Style { size_px: 24.0, ..text::Style::default() };
//! let extent = text::measure("Good morning", &style);
//! let mut picture = Picture::filled(320, 80, [20, 20, 20, 255]);
//! text::draw(&mut picture, "Good morning", (10.0, 10.0), &style);
//! assert!(extent.width_px > 100.0 && extent.lines == 1);
//! ```

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cosmic_text::{Attrs, Buffer, Color, Family, FontSystem, Metrics, Shaping, SwashCache, fontdb};

use crate::{Picture, Plane, color};

static INTER: &[u8] = include_bytes!("../fonts/Inter-Medium.otf");
static DEJAVU_SANS: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");

/// The largest size of letters; more is drawn at this size.
const MOST_SIZE_PX: f32 = 2048.0;

/// Where the lines of a text stand within its width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At the left edge.
    Left,
    /// In the middle.
    #[default]
    Centre,
    /// At the right edge.
    Right,
}

/// How a text looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Size of the letters in pixels (the em).
    pub size_px: f32,
    /// Distance of the lines as a multiple of the size.
    pub line_height: f32,
    /// Colour of the letters.
    pub color: [u8; 4],
    /// How dark the soft shadow behind the letters is, from 0 (none) to 1.
    pub shadow: f32,
    /// Where lines break at the latest; `None` breaks only where the text does.
    pub max_width_px: Option<f32>,
    /// Where the lines stand.
    pub align: Align,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            size_px: 32.0,
            line_height: 1.25,
            color: [255; 4],
            shadow: 0.0,
            max_width_px: None,
            align: Align::Centre,
        }
    }
}

/// The room that a text takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// Width of the widest line in pixels.
    pub width_px: f32,
    /// Height of all lines in pixels.
    pub height_px: f32,
    /// Number of lines after wrapping.
    pub lines: usize,
}

/// The room that `text` takes.
pub fn measure(text: &str, style: &Style) -> Extent {
    let mut fonts = fonts_for(text);
    extent_of(&lay_out(&mut fonts.system, text, style))
}

/// Draws `text` with the top left of its block at `position`, and says what room it took.
///
/// The block is as wide as its widest line. What falls outside the picture is left out.
pub fn draw(picture: &mut Picture, text: &str, position: (f32, f32), style: &Style) -> Extent {
    let layer = Layer::render(text, style, position);
    if style.shadow > 0.0 {
        layer.cast_shadow(picture, style);
    }
    layer.blend_onto(picture, style);
    layer.extent
}

/// The fonts, and whether those of the machine have been read.
struct Fonts {
    system: FontSystem,
    of_the_machine: bool,
}

static FONTS: LazyLock<Mutex<Fonts>> = LazyLock::new(|| {
    let mut database = fontdb::Database::new();
    for bytes in [INTER, DEJAVU_SANS] {
        database.load_font_source(fontdb::Source::Binary(Arc::new(bytes)));
    }
    database.set_sans_serif_family("Inter");
    let system = FontSystem::new_with_locale_and_db("en-US".into(), database);
    Mutex::new(Fonts { system, of_the_machine: false })
});

fn fonts_for(text: &str) -> std::sync::MutexGuard<'static, Fonts> {
    let mut fonts = FONTS.lock().unwrap_or_else(PoisonError::into_inner);
    if !fonts.of_the_machine && has_missing_glyph(&mut fonts.system, text) {
        fonts.of_the_machine = true;
        let mut database = fonts.system.db().clone();
        database.load_system_fonts();
        fonts.system = FontSystem::new_with_locale_and_db("en-US".into(), database);
    }
    fonts
}

fn has_missing_glyph(system: &mut FontSystem, text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let buffer = lay_out(system, text, &Style::default());
    buffer.layout_runs().any(|run| run.glyphs.iter().any(|glyph| glyph.glyph_id == 0))
}

fn lay_out(system: &mut FontSystem, text: &str, style: &Style) -> Buffer {
    let size = style.size_px.clamp(1.0, MOST_SIZE_PX);
    let mut buffer = Buffer::new_empty(Metrics::new(size, size * style.line_height.max(0.1)));
    buffer.set_size(style.max_width_px.map(|width| width.max(size)), None);
    let attributes = Attrs::new().family(Family::SansSerif).weight(fontdb::Weight::MEDIUM);
    buffer.set_text(text, &attributes, Shaping::Advanced, None);
    buffer.shape_until_scroll(system, false);
    buffer
}

fn extent_of(buffer: &Buffer) -> Extent {
    buffer.layout_runs().fold(Extent::default(), |extent, run| Extent {
        width_px: extent.width_px.max(run.line_w),
        height_px: extent.height_px.max(run.line_top + run.line_height),
        lines: extent.lines + 1,
    })
}

/// The letters on their own: colours with coverage, and where they lie on the picture.
struct Layer {
    left: i64,
    top: i64,
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
    extent: Extent,
}

impl Layer {
    fn render(text: &str, style: &Style, (x, y): (f32, f32)) -> Self {
        let mut fonts = fonts_for(text);
        let buffer = lay_out(&mut fonts.system, text, style);
        let extent = extent_of(&buffer);
        // Letters lean out of their line, and the shadow needs room to fade.
        let margin = style.size_px.clamp(1.0, MOST_SIZE_PX).ceil();
        let mut layer = Self {
            left: (x - margin).floor() as i64,
            top: (y - margin).floor() as i64,
            width: (extent.width_px + 2.0 * margin).ceil() as usize + 1,
            height: (extent.height_px + 2.0 * margin).ceil() as usize + 1,
            pixels: Vec::new(),
            extent,
        };
        layer.pixels = vec![[0; 4]; layer.width * layer.height];
        let origin = (x - layer.left as f32, y - layer.top as f32);
        let mut cache = SwashCache::new();
        let [red, green, blue, _] = style.color;
        for run in buffer.layout_runs() {
            let slack = extent.width_px - run.line_w;
            let indent = match style.align {
                Align::Left => 0.0,
                Align::Centre => slack / 2.0,
                Align::Right => slack,
            };
            // A right-to-left line is laid against the far edge of the given width; bring it back.
            let first = run.glyphs.iter().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
            let shift = if first.is_finite() { indent - first } else { 0.0 };
            for glyph in run.glyphs {
                let place = glyph.physical((origin.0 + shift, origin.1), 1.0);
                let base = run.line_y.round() as i32 + place.y;
                cache.with_pixels(
                    &mut fonts.system,
                    place.cache_key,
                    Color::rgb(red, green, blue),
                    |dx, dy, color| layer.put(place.x + dx, base + dy, color),
                );
            }
        }
        layer
    }

    fn put(&mut self, x: i32, y: i32, color: Color) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let pixel = &mut self.pixels[y * self.width + x];
        if color.a() >= pixel[3] {
            *pixel = [color.r(), color.g(), color.b(), color.a()];
        }
    }

    fn coverage(&self) -> Plane {
        Plane::from_fn(self.width, self.height, |x, y| {
            f32::from(self.pixels[y * self.width + x][3]) / 255.0
        })
    }

    fn cast_shadow(&self, picture: &mut Picture, style: &Style) {
        let size = style.size_px.min(MOST_SIZE_PX);
        let coverage = self.coverage();
        let (tight, wide) = (coverage.blurred(size * 0.045), coverage.blurred(size * 0.2));
        let drop = (size * 0.03) as isize;
        let strength = style.shadow.clamp(0.0, 1.0) * f32::from(style.color[3]) / 255.0;
        self.each_pixel(picture, |x, y, pixel| {
            let (x, y) = (x as isize, y as isize - drop);
            let dark = (0.75 * tight.at(x, y) + 0.9 * wide.at(x, y)).min(1.0) * strength;
            blend(pixel, [0, 0, 0], dark * 0.8);
        });
    }

    fn blend_onto(&self, picture: &mut Picture, style: &Style) {
        let opacity = f32::from(style.color[3]) / 255.0;
        self.each_pixel(picture, |x, y, pixel| {
            let [red, green, blue, coverage] = self.pixels[y * self.width + x];
            blend(pixel, [red, green, blue], f32::from(coverage) / 255.0 * opacity);
        });
    }

    /// Calls `change` with the place in the layer and the pixel of the picture beneath it.
    fn each_pixel(
        &self,
        picture: &mut Picture,
        mut change: impl FnMut(usize, usize, &mut [u8; 4]),
    ) {
        let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
        for y in self.top.max(0)..(self.top + self.height as i64).min(height) {
            for x in self.left.max(0)..(self.left + self.width as i64).min(width) {
                let pixel = picture.pixels.get_pixel_mut(x as u32, y as u32);
                change((x - self.left) as usize, (y - self.top) as usize, &mut pixel.0);
            }
        }
    }
}

/// Lays `color` with `opacity` (0 to 1) over a straight-alpha pixel, in linear light.
fn blend(pixel: &mut [u8; 4], color: [u8; 3], opacity: f32) {
    if opacity <= 0.0 {
        return;
    }
    let below = f32::from(pixel[3]) / 255.0 * (1.0 - opacity);
    let total = opacity + below;
    for (channel, over) in pixel.iter_mut().zip(color) {
        let mixed = color::to_linear(over) * opacity + color::to_linear(*channel) * below;
        *channel = color::to_byte(mixed / total);
    }
    pixel[3] = (total * 255.0).round() as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(size_px: f32, max_width_px: Option<f32>) -> Style {
        Style { size_px, max_width_px, ..Style::default() }
    }

    #[test]
    fn text_wraps_within_its_width() {
        let text = "Good mornings begin quietly, one cup at a time";
        let one = measure(text, &style(30.0, None));
        let wrapped = measure(text, &style(30.0, Some(300.0)));
        assert_eq!(one.lines, 1);
        assert!(wrapped.lines >= 3 && wrapped.width_px <= 300.5, "{wrapped:?}");
        assert_eq!(measure("a\nb\nc", &style(30.0, None)).lines, 3);
        assert_eq!(measure("", &style(30.0, None)).width_px, 0.0);
    }

    #[test]
    fn letters_cover_pixels_inside_their_extent_in_every_bundled_script() {
        for text in ["Coffee", "Кофе", "Καφές", "قهوة", "קפה", "naïve 3 €"] {
            let mut picture = Picture::filled(400, 120, [0, 0, 0, 255]);
            let style = Style { align: Align::Left, ..style(48.0, Some(380.0)) };
            let extent = draw(&mut picture, text, (20.0, 20.0), &style);
            let lit = |x: u32, y: u32| picture.pixels.get_pixel(x, y).0[0] > 128;
            let inside = (20.0 + extent.width_px) as u32 + 8;
            let places = || (0..400).flat_map(|x| (0..120).map(move |y| (x, y)));
            assert!(places().filter(|(x, y)| lit(*x, *y)).count() > 200, "{text}");
            assert!(
                places().filter(|(x, y)| lit(*x, *y)).all(|(x, _)| (12..inside).contains(&x)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_shadow_darkens_and_nothing_falls_over_the_edge() {
        let darkest = |shadow| {
            let mut picture = Picture::filled(160, 60, [200, 200, 200, 255]);
            let style = Style { shadow, ..style(40.0, None) };
            draw(&mut picture, "Wide text over the edge", (-30.0, 5.0), &style);
            picture.pixels.pixels().map(|pixel| pixel.0[0]).min()
        };
        assert_eq!(darkest(0.0), Some(200));
        assert!(darkest(1.0) < Some(150), "{:?}", darkest(1.0));
    }
}
