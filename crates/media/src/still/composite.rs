//! `composite-image`: a cut-out stands in a picture.
//!
//! What makes it stand rather than float: a dark line where it touches the ground, a shadow that
//! leans away from the light and softens with distance, colours pulled towards the light of the
//! place, a shade on its own foot, and edges blended in linear light with a little of the background
//! wrapped around them. Shadows are worked out on a small copy: they are soft, and the cost does not
//! grow with the picture.

use impasto_domain::{Error, Result, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::resize::{check_size, scaled};
use crate::{Picture, Plane, color};

/// The longest side of the copy on which shadows are worked out.
const SHADOW_SIDE_PX: u32 = 1024;

/// Where the cut-out stands and how it is lit.
struct Stand {
    /// Left and top of the cut-out on the background, in pixels.
    left: i64,
    top: i64,
    /// Where the light comes from: -1 is left, 1 is right, 0 is above.
    light: f32,
    /// How dark the shadow is, from 0 to 1.
    shadow: f32,
    /// How far the colours move, from 0 to 1.
    match_color: f32,
}

/// `composite-image`.
pub(super) fn composite(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut ground = input.picture("background", bench)?;
    let cutout = trimmed(&input.picture("foreground", bench)?)?;
    let height = scaled(ground.height(), f64::from(input.number_or("scale", 0.5)));
    let width = scaled(cutout.width(), f64::from(height) / f64::from(cutout.height()));
    check_size(width, height)?;
    let mut cutout = cutout.resized(width, height)?;
    let foot = (
        f64::from(input.number_or("x", 0.5)) * f64::from(ground.width()),
        f64::from(input.number_or("y", 0.86)) * f64::from(ground.height()),
    );
    let small = ground.fitted(SHADOW_SIDE_PX, SHADOW_SIDE_PX)?;
    let stand = Stand {
        left: (foot.0 - f64::from(width) / 2.0).round() as i64,
        top: (foot.1 - f64::from(height)).round() as i64,
        light: match input.text("light", "auto") {
            "left" => -1.0,
            "right" => 1.0,
            "top" => 0.0,
            _ => light_of(&small),
        },
        shadow: input.number_or("shadow", 0.6).clamp(0.0, 1.0),
        match_color: input.number_or("match_color", 0.5).clamp(0.0, 1.0),
    };
    bench.progress(0.3, "casting the shadow");
    let scale = small.width() as f32 / ground.width() as f32;
    let shadow =
        Shadow::of(&cutout, &stand, scale, (small.width() as usize, small.height() as usize));
    darken(&mut ground, &shadow.cast(), stand.shadow, scale);
    bench.check_cancelled()?;
    bench.progress(0.7, "matching colours");
    match_colors(&mut cutout, &small, &stand, scale);
    place(&mut ground, &cutout, &small, &stand, scale);
    Ok(output([("image", ground.write(bench)?.into())]))
}

/// The cut-out without its transparent rim.
fn trimmed(cutout: &Picture) -> Result<Picture> {
    let seen = cutout.pixels.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] >= 24);
    let bounds = seen.fold(None, |bounds: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
    });
    let [left, top, right, bottom] = bounds.ok_or_else(|| {
        Error::invalid("`foreground` is transparent everywhere")
            .hint("give a cut-out that shows something")
    })?;
    Ok(cutout.cropped(left, top, right + 1 - left, bottom + 1 - top))
}

/// Where the light comes from, from the brightness of the two sides: -1 is left, 1 is right.
fn light_of(small: &Picture) -> f32 {
    let lightness = Plane::lightness(small);
    let (mut slope, mut weight) = (0.0, 0.0);
    for (at, value) in lightness.values().iter().enumerate() {
        let across = ((at % lightness.width()) as f32 + 0.5) / lightness.width() as f32 * 2.0 - 1.0;
        slope += across * value;
        weight += across * across;
    }
    let slope = slope / f32::max(weight, 1.0);
    if slope.abs() < 0.008 { 0.0 } else { (slope / 0.06).clamp(-1.0, 1.0) }
}

/// The cut-out's outline on the small copy of the background.
struct Shadow {
    mask: Plane,
    /// Height of the cut-out on the small copy, in pixels.
    height: f32,
    /// Row of its foot.
    foot: f32,
    light: f32,
}

impl Shadow {
    fn of(cutout: &Picture, stand: &Stand, scale: f32, (width, height): (usize, usize)) -> Self {
        let alpha = Plane::alpha(cutout).blurred(0.4 / scale - 0.4);
        let mask = Plane::from_fn(width, height, |x, y| {
            let across = (x as f32 + 0.5) / scale - stand.left as f32 - 0.5;
            let down = (y as f32 + 0.5) / scale - stand.top as f32 - 0.5;
            let inside = |value: f32, side: u32| value > -1.0 && value < side as f32;
            if inside(across, cutout.width()) && inside(down, cutout.height()) {
                alpha.between(across, down)
            } else {
                0.0
            }
        });
        let tall = cutout.height() as f32 * scale;
        Self { mask, height: tall, foot: stand.top as f32 * scale + tall, light: stand.light }
    }

    /// How dark the ground is at each place, from 0 to 1.
    fn cast(&self) -> Plane {
        let contact = self.beneath(0.006, 0.008);
        let close = self.beneath(0.02, 0.03);
        let around = self.beneath(0.03, 0.08);
        let mut lit =
            contact.zip(&close, |contact, close| (1.0 - 0.9 * contact) * (1.0 - 0.65 * close));
        lit = lit.zip(&around, |lit, around| lit * (1.0 - 0.45 * around));
        for (layer, sigma, depth) in self.leaning() {
            lit = lit.zip(&layer.blurred(sigma * self.height), |lit, dark| {
                lit * (1.0 - depth * dark.min(1.0))
            });
        }
        lit.map(|lit| 1.0 - lit)
    }

    /// The lower part of the outline, moved down and blurred: what shows around it is the dark that
    /// gathers where things touch. Lengths are shares of the height.
    fn beneath(&self, drop: f32, sigma: f32) -> Plane {
        let moved = Plane::from_fn(self.mask.width(), self.mask.height(), |x, y| {
            let above_foot = (self.foot - y as f32) / self.height;
            let low = ((0.5 - above_foot) / 0.4).clamp(0.0, 1.0);
            low * self.mask.between(x as f32, y as f32 - drop * self.height)
        });
        moved.blurred(sigma * self.height)
    }

    /// The outline laid on the ground, away from the light, in layers from near to far: each with
    /// its blur (a share of the height) and its depth.
    ///
    /// Each column stands on its own lowest point, so that the shadow of something round or seen
    /// from above begins at its rim and not on one straight line.
    fn leaning(&self) -> [(Plane, f32, f32); 3] {
        const LEAN: f32 = 0.62;
        const RISE: f32 = 0.10;
        let (width, height) = (self.mask.width(), self.mask.height());
        let mut layers: [Plane; 3] = std::array::from_fn(|_| Plane::new(width, height));
        let away = -self.light;
        let tallest = 0.5 * self.height.max(1.0);
        for x in 0..width {
            let solid = |y: &usize| self.mask.values()[y * width + x] > 0.5;
            let Some(base) = (0..height).rev().find(solid) else { continue };
            for y in (0..=base).filter(solid) {
                // Heights are flattened: the upper half of what is seen is often depth, not height.
                let above = tallest * (1.0 - (-((base - y) as f32) / tallest).exp());
                let to_x = x as f32 + away * LEAN * above;
                let to_y = base as f32 - RISE * above;
                let layer = ((above / tallest * 3.0) as usize).min(2);
                splat(&mut layers[layer], to_x, to_y);
            }
        }
        let [near, middle, far] = layers;
        let strength = 0.25 + 0.75 * self.light.abs();
        [
            (near, 0.012, 0.6 * strength),
            (middle, 0.03, 0.5 * strength),
            (far, 0.055, 0.4 * strength),
        ]
    }
}

/// Marks the four places around a point.
fn splat(plane: &mut Plane, x: f32, y: f32) {
    let (width, height) = (plane.width() as isize, plane.height() as isize);
    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (x, y) = (x as isize + dx, y as isize + dy);
        if (0..width).contains(&x) && (0..height).contains(&y) {
            plane.values_mut()[(y * width + x) as usize] = 1.0;
        }
    }
}

fn darken(ground: &mut Picture, shadow: &Plane, strength: f32, scale: f32) {
    for (x, y, pixel) in ground.pixels.enumerate_pixels_mut() {
        let dark = shadow.between((x as f32 + 0.5) * scale - 0.5, (y as f32 + 0.5) * scale - 0.5)
            * strength;
        if dark < 0.002 {
            continue;
        }
        for (channel, share) in pixel.0.iter_mut().take(3).zip([1.0, 0.985, 0.96]) {
            // The sky or the walls still light a shadow, a little bluer than the lamp.
            *channel = color::to_byte(color::to_linear(*channel) * (1.0 - dark * share));
        }
    }
}

/// Mean OKLab colour of those pixels, each counted by its weight.
fn mean_lab(pixels: impl Iterator<Item = ([u8; 4], f32)>) -> [f32; 3] {
    let (mut sum, mut total) = ([0.0_f32; 3], 1e-6);
    for ([red, green, blue, _], weight) in pixels.filter(|(_, weight)| *weight > 0.0) {
        let lab = color::oklab([red, green, blue].map(color::to_linear));
        (0..3).for_each(|axis| sum[axis] += lab[axis] * weight);
        total += weight;
    }
    sum.map(|value| value / total)
}

/// Pulls exposure and white balance of the cut-out towards the place, shades its foot, and lights
/// the side that faces the light.
fn match_colors(cutout: &mut Picture, small: &Picture, stand: &Stand, scale: f32) {
    let amount = stand.match_color;
    let (width, height) = (cutout.width() as f32, cutout.height() as f32);
    let own =
        mean_lab(cutout.pixels.pixels().map(|pixel| (pixel.0, f32::from(pixel.0[3]) / 255.0)));
    let (middle_x, middle_y) =
        ((stand.left as f32 + width / 2.0) * scale, (stand.top as f32 + height / 2.0) * scale);
    let reach = (width.max(height) * scale).max(1.0);
    let around = mean_lab(small.pixels.enumerate_pixels().map(|(x, y, pixel)| {
        let away = (x as f32 - middle_x).hypot(y as f32 - middle_y) / reach;
        (pixel.0, (-away * away).exp())
    }));
    // The colour of the light shows in what is bright.
    let bright = mean_lab(small.pixels.pixels().map(|pixel| {
        let [red, green, blue, _] = pixel.0.map(color::to_linear);
        (pixel.0, color::luminance([red, green, blue]).powi(2))
    }));
    let toward = |axis: usize| 0.6 * (bright[axis] * 0.6 + around[axis] * 0.4 - own[axis] * 0.35);
    let (shift_a, shift_b) = (toward(1).clamp(-0.03, 0.03), toward(2).clamp(-0.045, 0.045));
    let exposure = (0.45 * (around[0] - own[0])).clamp(-0.10, 0.08);
    for (x, y, pixel) in cutout.pixels.enumerate_pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let mut lab = color::oklab([red, green, blue].map(color::to_linear));
        let visible = (lab[0] * 3.0).min(1.0);
        lab[0] += amount * exposure * visible;
        lab[1] += amount * shift_a * visible;
        lab[2] += amount * shift_b * visible;
        let across = (x as f32 + 0.5) / width * 2.0 - 1.0;
        let from_foot = (height - y as f32 - 0.5) / height;
        let side = 1.0 + 0.10 * amount * across * stand.light;
        let foot = 1.0 - 0.28 * stand.shadow * (-from_foot / 0.06).exp();
        let lit = color::from_oklab(lab).map(|value| color::to_byte(value * side * foot));
        pixel.0 = [lit[0], lit[1], lit[2], alpha];
    }
}

/// Blends the cut-out over the ground in linear light, its rim touched by the light behind it.
fn place(ground: &mut Picture, cutout: &Picture, small: &Picture, stand: &Stand, scale: f32) {
    let reach = (0.006 * cutout.height() as f32).clamp(0.8, 12.0);
    let inner = Plane::alpha(cutout).blurred(reach);
    let behind: [Plane; 3] = std::array::from_fn(|channel| {
        let light = |x: usize, y: usize| {
            color::to_linear(small.pixels.get_pixel(x as u32, y as u32).0[channel])
        };
        Plane::from_fn(small.width() as usize, small.height() as usize, light).blurred(6.0)
    });
    for (x, y, pixel) in cutout.pixels.enumerate_pixels() {
        let (to_x, to_y) = (i64::from(x) + stand.left, i64::from(y) + stand.top);
        let inside = to_x >= 0
            && to_y >= 0
            && to_x < i64::from(ground.width())
            && to_y < i64::from(ground.height());
        if pixel.0[3] == 0 || !inside {
            continue;
        }
        let alpha = f32::from(pixel.0[3]) / 255.0;
        let rim =
            (1.0 - inner.at(x as isize, y as isize)).clamp(0.0, 0.6) * 0.45 * stand.match_color;
        let target = ground.pixels.get_pixel_mut(to_x as u32, to_y as u32);
        let below = f32::from(target.0[3]) / 255.0 * (1.0 - alpha);
        let total = alpha + below;
        for (channel, light) in behind.iter().enumerate() {
            let wrapped =
                light.between((to_x as f32 + 0.5) * scale - 0.5, (to_y as f32 + 0.5) * scale - 0.5);
            let own = color::to_linear(pixel.0[channel]) * (1.0 - rim) + wrapped * rim;
            let mixed =
                (own * alpha + color::to_linear(target.0[channel]) * below) / total.max(1e-6);
            target.0[channel] = color::to_byte(mixed);
        }
        target.0[3] = (total * 255.0).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use impasto_domain::{Bench, Value};

    use super::*;

    fn composed(light: &str, shadow: f64) -> Picture {
        let bench = Bench::default();
        let ground = Picture::filled(300, 200, [200, 200, 200, 255]);
        let cutout =
            Picture::from_fn(60, 80, |x, _| if x > 5 { [180, 40, 30, 255] } else { [0; 4] });
        let asset = |picture: &Picture| Value::from(picture.write(&bench).unwrap());
        let input = output([
            ("background", asset(&ground)),
            ("foreground", asset(&cutout)),
            ("light", light.into()),
            ("shadow", shadow.into()),
        ]);
        let done = composite(&input, &bench).unwrap();
        Picture::read(&bench, done["image"].as_asset().unwrap()).unwrap()
    }

    fn brightness(picture: &Picture, columns: std::ops::Range<u32>) -> u32 {
        columns
            .map(|x| {
                (150..185).map(|y| u32::from(picture.pixels.get_pixel(x, y).0[1])).sum::<u32>()
            })
            .sum()
    }

    #[test]
    fn the_shadow_falls_away_from_the_light() {
        let (left, right) = (105..112, 190..197);
        let lit_from_left = composed("left", 0.8);
        assert!(
            brightness(&lit_from_left, right.clone()) < brightness(&lit_from_left, left.clone())
        );
        let lit_from_right = composed("right", 0.8);
        assert!(
            brightness(&lit_from_right, left.clone()) < brightness(&lit_from_right, right.clone())
        );
        let none = composed("left", 0.0);
        assert_eq!(brightness(&none, right), brightness(&none, left));
    }

    #[test]
    fn the_cut_out_touches_the_ground_where_it_was_put() {
        let picture = composed("top", 0.6);
        let foot = (200.0_f64 * 0.86) as u32;
        assert!(
            picture.pixels.get_pixel(150, foot - 4).0[0]
                > picture.pixels.get_pixel(150, foot - 4).0[1] + 40
        );
        let contact = picture.pixels.get_pixel(150, foot + 1).0[1];
        assert!(contact < 170 && picture.pixels.get_pixel(20, 20).0[1] == 200, "{contact}");
    }

    #[test]
    fn light_is_seen() {
        let from_left = Picture::from_fn(64, 32, |x, _| [255 - x as u8 * 3, 200, 180, 255]);
        assert!(light_of(&from_left) < -0.3);
        assert!(light_of(&Picture::filled(64, 32, [99, 99, 99, 255])).abs() < 1e-6);
    }
}
