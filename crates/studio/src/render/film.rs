//! From light to picture: blur of the lens, glow, exposure, tones, grain.
//!
//! Invariant: every value of the picture depends on the samples alone, in a fixed order.

use impasto_domain::{Result, Workbench};
use impasto_media::Picture;

use crate::color::{decode, encode, saturate};
use crate::noise::{fractal, lattice_unit};
use crate::render::lens::Lens;
use crate::render::stage::Stage;
use crate::render::{Quality, Sample, rows};
use crate::scene::{Finish, Place, Scene};
use crate::vector::{V3, mix, smooth, v3};

/// The backdrop as the lens shows it, out of focus.
pub(crate) struct Backcloth {
    width: usize,
    height: usize,
    pixels: Vec<V3>,
}

/// Widest picture of the backdrop; it is blurred, so it needs no more.
const BACKCLOTH_WIDTH: usize = 640;
/// Taps of the blur of the backdrop.
const BACKCLOTH_TAPS: usize = 110;
/// Taps of the blur of what is in front of it.
const LENS_TAPS: usize = 56;
/// The golden angle: taps on this spiral cover a disc evenly.
const GOLDEN: f32 = 2.399_963;

impl Backcloth {
    pub(crate) fn new(
        stage: &Stage,
        lens: &Lens,
        (width, height): (usize, usize),
        bench: &dyn Workbench,
    ) -> Result<Self> {
        let small_width = (width / 2).clamp(2, BACKCLOTH_WIDTH);
        let small_height = (height * small_width / width.max(1)).max(2);
        let radius = lens.backdrop_circle() * small_width as f32;
        // Room at the edges, for what the blur brings in.
        let margin = radius.ceil() as usize + 1;
        let (wide, high) = (small_width + 2 * margin, small_height + 2 * margin);
        let place = |x: usize, y: usize| {
            let u = (x as f32 + 0.5 - margin as f32) / small_width as f32;
            (u, (y as f32 + 0.5 - margin as f32) / small_height as f32)
        };
        let sharp = rows(wide, high, bench, |row, line: &mut [V3]| {
            for (column, pixel) in line.iter_mut().enumerate() {
                let (u, v) = place(column, row);
                *pixel = stage.backdrop.paint(lens.at, lens.ray(u, v)).min(V3::all(40.0));
            }
        })?;
        let taps = spiral(BACKCLOTH_TAPS, radius);
        let pixels = rows(small_width, small_height, bench, |row, line: &mut [V3]| {
            for (column, pixel) in line.iter_mut().enumerate() {
                let mut sum = V3::ZERO;
                for (dx, dy) in &taps {
                    let x = (column + margin) as isize + dx;
                    let y = (row + margin) as isize + dy;
                    sum += sharp.get(y as usize * wide + x as usize).copied().unwrap_or_default();
                }
                *pixel = sum / taps.len() as f32;
            }
        })?;
        Ok(Self { width: small_width, height: small_height, pixels })
    }

    pub(crate) fn at(&self, u: f32, v: f32) -> V3 {
        bilinear(&self.pixels, (self.width, self.height), u, v)
    }
}

/// Offsets that cover a disc evenly, the nearest first.
fn spiral(count: usize, radius: f32) -> Vec<(isize, isize)> {
    if radius < 0.5 {
        return vec![(0, 0)];
    }
    let tap = |index: usize| {
        let r = ((index as f32 + 0.5) / count as f32).sqrt() * radius;
        let (sin, cos) = (index as f32 * GOLDEN).sin_cos();
        ((r * cos).round() as isize, (r * sin).round() as isize)
    };
    (0..count).map(tap).collect()
}

fn bilinear(pixels: &[V3], (width, height): (usize, usize), u: f32, v: f32) -> V3 {
    let x = (u * width as f32 - 0.5).clamp(0.0, (width - 1) as f32);
    let y = (v * height as f32 - 0.5).clamp(0.0, (height - 1) as f32);
    let (ix, iy) = (x as usize, y as usize);
    let at = |x: usize, y: usize| {
        pixels.get(y.min(height - 1) * width + x.min(width - 1)).copied().unwrap_or_default()
    };
    let low = at(ix, iy).mix(at(ix + 1, iy), x.fract());
    let high = at(ix, iy + 1).mix(at(ix + 1, iy + 1), x.fract());
    low.mix(high, y.fract())
}

/// What came through the lens.
pub(crate) struct Film {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) samples: Vec<Sample>,
    /// How carefully the lens was used; `None` if there was none, and nothing of a lens is to be seen.
    pub(crate) lens: Option<Quality>,
}

impl Film {
    /// The exposure that its middle tones ask for.
    pub(crate) fn metered(&self, scene: &Scene) -> f32 {
        let light: Vec<V3> = self.samples.iter().map(|sample| sample.color).collect();
        exposure(&light, scene)
    }

    /// The finished picture; of one exposure with others if it is given.
    pub(crate) fn develop(
        self,
        scene: &Scene,
        fixed: Option<f32>,
        bench: &dyn Workbench,
    ) -> Result<Picture> {
        let (width, height) = (self.width, self.height);
        let blurred = self.lens.is_some() && scene.camera.blur > 0.0;
        let light = if blurred {
            self.blurred(bench)?
        } else {
            self.samples.iter().map(|s| s.color).collect()
        };
        let exposure = fixed.unwrap_or_else(|| exposure(&light, scene));
        let glow = Glow::new(&light, width, height);
        let painted = if scene.finish == Finish::Watercolour {
            paint(&light, (width, height), scene.seed as u32)
        } else {
            light
        };
        let grain = self.grain(scene);
        let corners = if self.lens.is_some() { 0.42 } else { 0.0 };
        let bytes = rows(width, height, bench, |row, line: &mut [[u8; 4]]| {
            for (column, pixel) in line.iter_mut().enumerate() {
                let (u, v) =
                    ((column as f32 + 0.5) / width as f32, (row as f32 + 0.5) / height as f32);
                let raw = painted.get(row * width + column).copied().unwrap_or_default();
                let lit = raw * 0.94 + glow.at(u, v) * 0.06;
                let (dx, dy) = (u - 0.5, v - 0.5);
                let fall = 1.0 - corners * smooth(0.18, 0.75, dx * dx * 1.3 + dy * dy);
                let tone = finish(lit * (exposure * fall), scene);
                let speck =
                    grain * (speckle(column, row, scene.seed) * (1.0 - 0.6 * tone.luminance()));
                let painted = scene.finish == Finish::Watercolour;
                let tone = if painted { on_paper(tone, (u, v), scene.seed as u32) } else { tone };
                *pixel = bytes_of(tone + V3::all(speck));
            }
        })?;
        Ok(Picture::from_fn(width as u32, height as u32, |x, y| {
            bytes.get(y as usize * width + x as usize).copied().unwrap_or([0, 0, 0, 255])
        }))
    }

    /// How strong the grain is; frames have none, as it would stand still.
    fn grain(&self, scene: &Scene) -> f32 {
        match (self.lens, scene.finish) {
            (Some(Quality::Frame), _) => 0.004,
            (_, Finish::Vintage) => 0.045,
            _ => 0.011,
        }
    }

    /// The light with everything out of focus spread over its disc, at half size, mixed back.
    fn blurred(&self, bench: &dyn Workbench) -> Result<Vec<V3>> {
        let (half_width, half_height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let at = |x: usize, y: usize| {
            self.samples
                .get(y.min(self.height - 1) * self.width + x.min(self.width - 1))
                .copied()
                .unwrap_or_default()
        };
        let half = rows(half_width, half_height, bench, |row, line: &mut [Sample]| {
            for (column, sample) in line.iter_mut().enumerate() {
                let four = [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .map(|(dx, dy)| at(2 * column + dx, 2 * row + dy));
                let nearest = four
                    .iter()
                    .min_by(|a, b| a.depth.total_cmp(&b.depth))
                    .copied()
                    .unwrap_or_default();
                let sum = four.iter().fold(V3::ZERO, |sum, other| sum + other.color);
                *sample = Sample { color: sum * 0.25, ..nearest };
            }
        })?;
        let widest = half
            .iter()
            .fold(0.0_f32, |most, s| if s.depth < 1e3 { most.max(s.circle.abs()) } else { most });
        let reach = widest * half_width as f32;
        if reach < 0.6 {
            return Ok(self.samples.iter().map(|s| s.color).collect());
        }
        let taps: Vec<(f32, f32, f32)> = (0..LENS_TAPS)
            .map(|index| {
                let r = ((index as f32 + 0.5) / LENS_TAPS as f32).sqrt() * reach;
                let (sin, cos) = (index as f32 * GOLDEN).sin_cos();
                (r, r * cos, r * sin)
            })
            .collect();
        let soft = rows(half_width, half_height, bench, |row, line: &mut [(V3, f32)]| {
            for (column, out) in line.iter_mut().enumerate() {
                *out = gather(&half, (half_width, half_height), (column, row), &taps);
            }
        })?;
        rows(self.width, self.height, bench, |row, line: &mut [V3]| {
            for (column, out) in line.iter_mut().enumerate() {
                let own = at(column, row);
                let (u, v) = (
                    (column as f32 + 0.5) / self.width as f32,
                    (row as f32 + 0.5) / self.height as f32,
                );
                let (blurred, spread) = soft_at(&soft, (half_width, half_height), u, v);
                let radius = (own.circle.abs() * self.width as f32).max(spread * 2.0);
                *out = own.color.mix(blurred, smooth(0.7, 2.2, radius));
            }
        })
    }
}

/// A number from -1 to 1 for a pixel; those in the middle are more likely.
fn speckle(column: usize, row: usize, seed: u64) -> f32 {
    let (x, y, seed) = (column as i32, row as i32, seed as u32 ^ 0x51ed_270b);
    lattice_unit(x, y, seed) + lattice_unit(y, x, seed.wrapping_add(1)) - 1.0
}

/// A wash of colour on white paper, which shows through and stays bare at its edges.
fn on_paper(tone: V3, (u, v): (f32, f32), seed: u32) -> V3 {
    let edge = u.min(1.0 - u).min(v).min(1.0 - v);
    let ragged = 0.05 * fractal(u * 7.0, v * 7.0, 5, 0.0, seed + 21);
    let wet = smooth(0.015, 0.055, edge + ragged);
    // Paint gathers where a wash ends.
    let rim = smooth(0.03, 0.05, edge + ragged) * smooth(0.085, 0.055, edge + ragged);
    let paper = v3(0.965, 0.955, 0.93);
    let wash = paper.mix(saturate(tone, 1.25), 0.80 + 0.12 * rim);
    paper.mix(wash, wet)
}

fn bytes_of(tone: V3) -> [u8; 4] {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    [byte(tone.x), byte(tone.y), byte(tone.z), 255]
}

fn soft_at(soft: &[(V3, f32)], (width, height): (usize, usize), u: f32, v: f32) -> (V3, f32) {
    let x = (u * width as f32 - 0.5).clamp(0.0, (width - 1) as f32);
    let y = (v * height as f32 - 0.5).clamp(0.0, (height - 1) as f32);
    let (ix, iy) = (x as usize, y as usize);
    let at = |x: usize, y: usize| {
        soft.get(y.min(height - 1) * width + x.min(width - 1)).copied().unwrap_or_default()
    };
    let ((a, ra), (b, rb), (c, rc), (d, rd)) =
        (at(ix, iy), at(ix + 1, iy), at(ix, iy + 1), at(ix + 1, iy + 1));
    let (fx, fy) = (x.fract(), y.fract());
    (a.mix(b, fx).mix(c.mix(d, fx), fy), mix(mix(ra, rb, fx), mix(rc, rd, fx), fy))
}

/// The blurred light at one place, and by how much nearer things spill over it (in pixels).
fn gather(
    half: &[Sample],
    (width, height): (usize, usize),
    (column, row): (usize, usize),
    taps: &[(f32, f32, f32)],
) -> (V3, f32) {
    let own = half.get(row * width + column).copied().unwrap_or_default();
    let own_radius = own.circle.abs() * width as f32;
    let (mut sum, mut count, mut spill) = (own.color, 1.0_f32, 0.0_f32);
    for &(r, dx, dy) in taps {
        let x = (column as f32 + dx + 0.5).clamp(0.0, (width - 1) as f32) as usize;
        let y = (row as f32 + dy + 0.5).clamp(0.0, (height - 1) as f32) as usize;
        let other = half.get(y * width + x).copied().unwrap_or_default();
        let mut radius = other.circle.abs() * width as f32;
        // A tiny glint, spread over so few taps, would show the pattern of the taps.
        let most = if other.depth < 1e3 { 1.6 } else { 40.0 };
        let other = Sample { color: other.color.min(V3::all(most)), ..other };
        // What lies behind cannot spill over what is sharp before it.
        if other.depth > own.depth + 0.05 {
            radius = radius.min(own_radius * 2.0);
        } else if other.depth < own.depth - 0.2 {
            spill += smooth(r - 0.5, r + 0.5, radius) * radius.min(2.0) / LENS_TAPS as f32 * 4.0;
        }
        let covers = smooth(r - 0.5, r + 0.5, radius);
        sum += (sum / count).mix(other.color, covers);
        count += 1.0;
    }
    (sum / count, spill)
}

/// Light that the lens scatters around bright places.
struct Glow {
    width: usize,
    height: usize,
    pixels: Vec<V3>,
}

impl Glow {
    fn new(light: &[V3], width: usize, height: usize) -> Self {
        let by = (width.min(height) / 90).max(2);
        let (small_width, small_height) = (width.div_ceil(by), height.div_ceil(by));
        let mut pixels = vec![V3::ZERO; small_width * small_height];
        let mut counts = vec![0.0_f32; small_width * small_height];
        for (index, color) in light.iter().enumerate() {
            let place = index / width / by * small_width + index % width / by;
            if let (Some(sum), Some(count)) = (pixels.get_mut(place), counts.get_mut(place)) {
                *sum += color.min(V3::all(16.0));
                *count += 1.0;
            }
        }
        for (sum, count) in pixels.iter_mut().zip(counts) {
            *sum = *sum / count.max(1.0);
        }
        let mut glow = Self { width: small_width, height: small_height, pixels };
        for _ in 0..3 {
            glow.pixels = glow.smeared(1, 0);
            glow.pixels = glow.smeared(0, 1);
        }
        glow
    }

    fn smeared(&self, dx: isize, dy: isize) -> Vec<V3> {
        let mut out = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height as isize {
            for x in 0..self.width as isize {
                let mut sum = V3::ZERO;
                for step in -3..=3_isize {
                    let px = (x + dx * step).clamp(0, self.width as isize - 1) as usize;
                    let py = (y + dy * step).clamp(0, self.height as isize - 1) as usize;
                    sum += self.pixels.get(py * self.width + px).copied().unwrap_or_default();
                }
                out.push(sum / 7.0);
            }
        }
        out
    }

    fn at(&self, u: f32, v: f32) -> V3 {
        bilinear(&self.pixels, (self.width, self.height), u, v)
    }
}

/// What the light is multiplied by, so that the middle tones are where the mood wants them.
fn exposure(light: &[V3], scene: &Scene) -> f32 {
    let (mut sum, mut count) = (0.0_f64, 0.0_f64);
    for color in light.iter().step_by(7) {
        sum += f64::from((color.luminance() + 0.004).ln());
        count += 1.0;
    }
    let mean = (sum / count.max(1.0)).exp() as f32;
    // A dark scene is meant to be dark: the film makes up for only part of it.
    let usual = match scene.place {
        Place::DimRoom | Place::CityNight | Place::Space => 0.115,
        Place::Kitchen => 0.27,
        _ => 0.19,
    };
    let wanted = usual * scene.mood.brightness;
    (wanted / mean).powf(0.62).clamp(0.25, 3.2)
}

/// A colour for something that carries its own light: the tone it would have in a picture, as linear
/// light.
pub(crate) fn tone(light: V3, scene: &Scene) -> V3 {
    finish(light * 0.9, scene).map(|part| decode(part.clamp(0.0, 1.0)))
}

/// Linear light to screen values, in the way of the finish.
fn finish(light: V3, scene: &Scene) -> V3 {
    let mood = &scene.mood;
    let warm = v3(1.0 + 0.16 * mood.warmth, 1.0, 1.0 - 0.20 * mood.warmth);
    let mut tone = filmic(saturate(light * warm, 0.92 * mood.colour));
    tone = tone.map(|part| {
        let bent = smooth(0.0, 1.0, part);
        (part + (bent - part) * ((mood.contrast - 0.92) * 2.2)).clamp(0.0, 1.0)
    });
    match scene.finish {
        Finish::Photograph | Finish::Watercolour => tone,
        Finish::BlackAndWhite => V3::all(tone.luminance()),
        Finish::Vintage => saturate(tone, 0.62) * v3(0.90, 0.84, 0.74) + v3(0.075, 0.055, 0.06),
        Finish::Flat => {
            let bright = tone.most().max(1e-3);
            let step = ((bright * 6.0).round() / 6.0).max(0.08);
            saturate(tone * (step / bright), 1.25)
        }
    }
}

/// A film curve: gentle shoulder, a little toe, bright colours go towards white.
fn filmic(light: V3) -> V3 {
    let peak = light.most();
    let pale = smooth(1.2, 9.0, peak) * 0.65;
    let light = light.mix(V3::all(peak), pale);
    light.map(|x| {
        let x = (x * 0.82).max(0.0);
        let mapped = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14);
        encode(mapped.clamp(0.0, 1.0))
    })
}

/// A watercolour: washes of even colour with soft, darker edges, on grained paper.
fn paint(light: &[V3], (width, height): (usize, usize), seed: u32) -> Vec<V3> {
    let at = |x: isize, y: isize| {
        let (x, y) =
            (x.clamp(0, width as isize - 1) as usize, y.clamp(0, height as isize - 1) as usize);
        light.get(y * width + x).copied().unwrap_or_default()
    };
    let reach = (width as isize / 220).max(2);
    let mut out = Vec::with_capacity(light.len());
    for y in 0..height as isize {
        for x in 0..width as isize {
            let (u, v) = (x as f32 / width as f32 * 24.0, y as f32 / width as f32 * 24.0);
            let wx = (fractal(u, v, 3, 0.0, seed) * 2.2 * reach as f32) as isize;
            let wy = (fractal(u + 40.0, v, 3, 0.0, seed) * 2.2 * reach as f32) as isize;
            // Of four quarters around, the calmest: edges stay, detail goes.
            let mut best = (f32::MAX, V3::ZERO);
            for (qx, qy) in [(-1, -1), (1, -1), (-1, 1), (1, 1)] {
                let (mut sum, mut squares) = (V3::ZERO, 0.0);
                for step in 0..9 {
                    let c = at(
                        x + wx + qx * reach * (step % 3) / 2,
                        y + wy + qy * reach * (step / 3) / 2,
                    )
                    .min(V3::all(2.5));
                    sum += c / 9.0;
                    squares += c.luminance() * c.luminance() / 9.0;
                }
                let spread = squares - sum.luminance() * sum.luminance();
                if spread < best.0 {
                    best = (spread, sum);
                }
            }
            let wash = 1.0 + 0.20 * fractal(u * 0.5, v * 0.5, 4, 0.0, seed + 3);
            let paper = 1.0 + 0.10 * fractal(u * 14.0, v * 14.0, 2, 0.0, seed + 7);
            out.push((best.1 * wash + V3::all(0.05)) * paper);
        }
    }
    out
}
