//! A picture of all directions: what shiny things reflect, blurred as far as they are rough, and
//! the diffuse light that falls on everything.
//!
//! Invariant: built once per scene, row by row, in a fixed order.

use std::f32::consts::{PI, TAU};

use crate::vector::{V3, v3};

/// Radiance from all directions, in several blurs.
pub(crate) struct Sphere {
    levels: Vec<Level>,
    harmonics: [V3; 9],
}

struct Level {
    width: usize,
    height: usize,
    pixels: Vec<V3>,
}

/// Rows of the sharpest level.
const ROWS: usize = 192;
/// Blurs.
const LEVELS: usize = 7;

impl Sphere {
    /// Pictures of all directions: `mirror` for reflections, `ambient` for diffuse light.
    pub(crate) fn new(mirror: impl Fn(V3) -> V3, ambient: impl Fn(V3) -> V3) -> Self {
        let mut levels = vec![Level::painted(ROWS * 2, ROWS, mirror)];
        for _ in 1..LEVELS {
            let next = levels.last().map(Level::halved);
            levels.extend(next);
        }
        let harmonics = harmonics(&Level::painted(64, 32, ambient));
        Self { levels, harmonics }
    }

    /// Light from around the direction `to`, as a surface of that roughness gathers it.
    pub(crate) fn reflect(&self, to: V3, rough: f32) -> V3 {
        let level = (rough.sqrt() * 1.15 * (LEVELS - 1) as f32).clamp(0.0, (LEVELS - 1) as f32);
        let (low, share) = (level.floor() as usize, level.fract());
        let at = |index: usize| {
            self.levels.get(index.min(LEVELS - 1)).map_or(V3::ZERO, |level| level.at(to))
        };
        if share < 0.01 { at(low) } else { at(low).mix(at(low + 1), share) }
    }

    /// Diffuse light on a surface that faces `n`, as a white one would send it on.
    pub(crate) fn diffuse(&self, n: V3) -> V3 {
        let basis = basis(n);
        let weights = [1.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 0.25, 0.25, 0.25, 0.25, 0.25];
        let mut sum = V3::ZERO;
        for ((value, weight), part) in basis.iter().zip(weights).zip(self.harmonics) {
            sum += part * (value * weight);
        }
        sum.max(V3::ZERO)
    }
}

impl Level {
    fn painted(width: usize, height: usize, color: impl Fn(V3) -> V3) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                pixels.push(color(direction(
                    (column as f32 + 0.5) / width as f32,
                    (row as f32 + 0.5) / height as f32,
                )));
            }
        }
        Self { width, height, pixels }
    }

    fn pixel(&self, x: isize, y: isize) -> V3 {
        let x = x.rem_euclid(self.width as isize) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.pixels.get(y * self.width + x).copied().unwrap_or_default()
    }

    /// Half as large, each pixel a tent over 4 × 4.
    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(2), (self.height / 2).max(1));
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height as isize {
            for column in 0..width as isize {
                let mut sum = V3::ZERO;
                for (dy, wy) in [(-1, 1.0), (0, 3.0), (1, 3.0), (2, 1.0)] {
                    for (dx, wx) in [(-1, 1.0), (0, 3.0), (1, 3.0), (2, 1.0)] {
                        sum += self.pixel(2 * column + dx, 2 * row + dy) * (wx * wy / 64.0);
                    }
                }
                pixels.push(sum);
            }
        }
        Self { width, height, pixels }
    }

    fn at(&self, to: V3) -> V3 {
        let u = to.x.atan2(-to.z) / TAU + 0.5;
        let v = to.y.clamp(-1.0, 1.0).acos() / PI;
        let (x, y) = (u * self.width as f32 - 0.5, v * self.height as f32 - 0.5);
        let (fx, fy) = (x - x.floor(), y - y.floor());
        let (ix, iy) = (x.floor() as isize, y.floor() as isize);
        let low = self.pixel(ix, iy).mix(self.pixel(ix + 1, iy), fx);
        let high = self.pixel(ix, iy + 1).mix(self.pixel(ix + 1, iy + 1), fx);
        low.mix(high, fy)
    }
}

/// The direction at a place of an equirectangular picture; its middle looks away from the viewer.
pub(crate) fn direction(u: f32, v: f32) -> V3 {
    let (around, down) = ((u - 0.5) * TAU, v * PI);
    v3(around.sin() * down.sin(), down.cos(), -around.cos() * down.sin())
}

fn basis(n: V3) -> [f32; 9] {
    [
        0.282_095,
        0.488_603 * n.y,
        0.488_603 * n.z,
        0.488_603 * n.x,
        1.092_548 * n.x * n.y,
        1.092_548 * n.y * n.z,
        0.315_392 * (3.0 * n.z * n.z - 1.0),
        1.092_548 * n.x * n.z,
        0.546_274 * (n.x * n.x - n.y * n.y),
    ]
}

fn harmonics(level: &Level) -> [V3; 9] {
    let mut sums = [V3::ZERO; 9];
    for row in 0..level.height {
        let down = (row as f32 + 0.5) / level.height as f32 * PI;
        let patch = down.sin() * (PI / level.height as f32) * (TAU / level.width as f32);
        for column in 0..level.width {
            let u = (column as f32 + 0.5) / level.width as f32;
            let radiance = level.pixel(column as isize, row as isize).min(V3::all(8.0));
            let basis = basis(direction(u, down / PI));
            for (sum, value) in sums.iter_mut().zip(basis) {
                *sum += radiance * (value * patch);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_sky_lights_evenly() {
        let sphere = Sphere::new(|_| V3::all(0.5), |_| V3::all(0.5));
        for n in [V3::UP, v3(1.0, 0.0, 0.0), v3(0.0, -1.0, 0.0)] {
            assert!((sphere.diffuse(n).x - 0.5).abs() < 0.01);
            assert!((sphere.reflect(n, 0.5).x - 0.5).abs() < 0.01);
        }
    }

    #[test]
    fn light_from_the_right_falls_on_the_right() {
        let side = |to: V3| if to.x > 0.0 { V3::ONE } else { V3::ZERO };
        let sphere = Sphere::new(side, side);
        assert!(sphere.diffuse(v3(1.0, 0.0, 0.0)).x > 3.0 * sphere.diffuse(v3(-1.0, 0.0, 0.0)).x);
    }
}
