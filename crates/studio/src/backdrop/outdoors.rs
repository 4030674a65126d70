//! Outdoor surroundings by direction: sky, land, woods, city lights, stars.
//!
//! Invariant: all that chance decides is decided in [`Outdoors::new`]; painting only looks.

use std::f32::consts::TAU;

use crate::noise::{Dice, cells, fractal, lattice_unit, noise};
use crate::scene::{Place, Scene};
use crate::vector::{V3, mix, smooth, v3};

/// Surroundings under the open sky.
pub(super) struct Outdoors {
    place: Place,
    sun: V3,
    sun_color: V3,
    zenith: V3,
    horizon: V3,
    haze: V3,
    accent: (V3, V3),
    clouds: f32,
    seed: u32,
}

impl Outdoors {
    pub(super) fn new(scene: &Scene, dice: &mut Dice) -> Self {
        let first = scene.palette.first().copied().unwrap_or(V3::all(0.5));
        let second = scene.palette.get(1).copied().unwrap_or(first);
        let (zenith, horizon) = match scene.place {
            Place::Sunset => (v3(0.16, 0.20, 0.42), v3(1.9, 0.80, 0.30)),
            Place::CityNight => (v3(0.006, 0.010, 0.028), v3(0.05, 0.035, 0.06)),
            Place::Space => (v3(0.002, 0.003, 0.006), v3(0.004, 0.004, 0.008)),
            Place::Forest => (v3(1.1, 1.4, 1.0), v3(1.6, 1.7, 1.0)),
            _ => (v3(0.22, 0.46, 0.95), v3(1.05, 1.25, 1.45)),
        };
        let low = matches!(scene.place, Place::Sunset | Place::Beach);
        let height = if low { dice.between(0.06, 0.13) } else { dice.between(0.35, 0.6) };
        let around = scene.light.azimuth_deg.to_radians();
        let aside = if low { dice.between(-0.3, 0.3) } else { std::f32::consts::PI - around };
        Self {
            place: scene.place,
            sun: v3(aside.sin(), height, -aside.cos()).unit(),
            sun_color: if scene.place == Place::Sunset {
                v3(14.0, 6.5, 2.2)
            } else {
                v3(12.0, 10.5, 8.5)
            },
            zenith,
            horizon,
            haze: horizon * 0.75,
            accent: (first, second),
            clouds: dice.between(-0.12, 0.25),
            seed: dice.next() as u32,
        }
    }

    pub(super) fn paint(&self, to: V3) -> V3 {
        let flat = (to.x * to.x + to.z * to.z).sqrt().max(1e-3);
        let (around, up) = (to.x.atan2(-to.z), (to.y / flat).clamp(-8.0, 8.0));
        match self.place {
            Place::Forest => self.forest(around, up, to),
            Place::CityNight => self.city(around, up),
            Place::Space => self.space(around, to),
            Place::Beach => self.beach(around, up, to),
            Place::Mountains => self.mountains(around, up, to),
            _ => self.hills(around, up, to),
        }
    }

    fn sky(&self, up: f32, to: V3) -> V3 {
        let base = self.horizon.mix(self.zenith, smooth(-0.05, 0.75, up).sqrt());
        let near = to.dot(self.sun).max(0.0);
        let glow = self.sun_color
            * (0.05 * near.powi(12) + 0.16 * near.powi(90) + smooth(0.9989, 0.9993, near));
        // Clouds lie in a plane overhead, so they gather at the horizon.
        let away = 1.0 / (to.y.max(0.0) + 0.16);
        let (cx, cy) = (to.x * away * 1.1, to.z * away * 1.1);
        let cloud = fractal(cx, cy, 6, 0.0, self.seed) + self.clouds - 0.15;
        let cover = smooth(0.0, 0.45, cloud) * smooth(0.0, 0.12, up) * 0.85;
        let lit = self.horizon.mix(V3::all(1.5), 0.5) + self.sun_color * (0.05 * near.powi(4));
        (base + glow * (1.0 - 0.7 * cover))
            .mix(lit * mix(1.0, 0.72, smooth(0.1, 0.6, cloud)), cover)
    }

    /// How high a range of hills stands in a direction.
    fn ridge(&self, around: f32, scale: f32, rough: f32, seed: u32) -> f32 {
        // Around a circle, so that it closes behind the viewer.
        let (sin, cos) = around.sin_cos();
        fractal(
            cos * scale + 9.0,
            sin * scale,
            if rough > 0.5 { 7 } else { 3 },
            0.0,
            self.seed + seed,
        )
    }

    fn hills(&self, around: f32, up: f32, to: V3) -> V3 {
        let mut color = self.sky(up.max(0.0), to);
        let green = v3(0.16, 0.25, 0.09)
            .mix(v3(0.3, 0.2, 0.12), if self.place == Place::Sunset { 0.8 } else { 0.0 });
        for (step, (high, scale)) in
            [(0.085, 2.2), (0.05, 3.6), (0.02, 6.0)].into_iter().enumerate()
        {
            let line = high * (0.6 + 0.9 * self.ridge(around, scale, 0.0, 20 + step as u32));
            let near = (step + 1) as f32 / 3.0;
            if up < line {
                let shade = 1.0 + 0.3 * fractal(around * 9.0, up * 60.0, 4, 0.0, self.seed + 50);
                color = self.haze.mix(green * shade, 0.25 + 0.65 * near);
            }
        }
        if up < -0.02 { color.mix(green * 0.7, smooth(-0.02, -0.3, up)) } else { color }
    }

    fn mountains(&self, around: f32, up: f32, to: V3) -> V3 {
        let mut color = self.sky(up.max(0.0), to);
        for (step, (high, base)) in
            [(0.34, 0.16), (0.22, 0.08), (0.09, 0.03)].into_iter().enumerate()
        {
            let line = base
                + high * self.ridge(around, 1.8 + 1.2 * step as f32, 1.0, 30 + 7 * step as u32);
            if up >= line {
                continue;
            }
            let facet =
                fractal(around * 7.0 + up * 6.0, up * 11.0 - around * 4.0, 5, 0.0, self.seed + 60);
            let lit = 0.62 + 0.75 * facet;
            let snow = smooth(0.12, 0.26, up + 0.14 * facet) * if step < 2 { 1.0 } else { 0.0 };
            let rock = v3(0.20, 0.21, 0.23).mix(v3(0.10, 0.15, 0.07), smooth(0.14, 0.0, up));
            let face = rock.mix(v3(1.05, 1.08, 1.15), snow) * lit.max(0.2);
            color = self.haze.mix(face, 0.45 + 0.25 * step as f32);
        }
        color
    }

    fn beach(&self, around: f32, up: f32, to: V3) -> V3 {
        if up > -0.004 {
            return self.sky(up, to);
        }
        let depth = smooth(0.0, -0.35, up);
        let sea = v3(0.10, 0.30, 0.38).mix(v3(0.20, 0.55, 0.55), depth);
        let wave = noise(around * 22.0 / (0.08 - up), 2.0 / (0.02 - up), self.seed + 70);
        let glitter = smooth(0.45, 0.75, wave)
            * (-(around - self.sun.x.atan2(-self.sun.z)).powi(2) * 5.0).exp();
        let sand = v3(0.62, 0.47, 0.30);
        let water =
            sea * (1.0 + 0.25 * wave) + self.sun_color * (0.22 * glitter) + self.horizon * 0.25;
        water.mix(sand, smooth(-0.22, -0.30, up + 0.03 * noise(around * 5.0, 0.0, self.seed)))
    }

    fn forest(&self, around: f32, up: f32, to: V3) -> V3 {
        let s = self.seed;
        let gap = fractal(around * 5.0, up * 5.0, 5, 0.0, s)
            + 0.5 * fractal(around * 26.0, up * 26.0, 3, 0.0, s + 1);
        let open = smooth(0.12, 0.36, gap + 0.35 * up - 0.02);
        let leaf = 0.5 + 0.6 * fractal(around * 14.0, up * 14.0, 4, 0.0, s + 2);
        let green = v3(0.05, 0.12, 0.025).mix(v3(0.42, 0.62, 0.12), leaf.clamp(0.0, 1.0));
        let mut color = green.mix(self.horizon * 2.2, open);
        for (layer, (count, width, dark)) in
            [(46.0, 0.10, 0.55), (24.0, 0.12, 0.25)].into_iter().enumerate()
        {
            let x = (around / TAU + 0.5) * count;
            let cell = x.floor() as i32;
            let own = lattice_unit(cell, layer as i32, s + 8);
            let centre = 0.25 + 0.5 * own + 0.05 * up;
            let side = (x - x.floor() - centre) / (width * (0.5 + own));
            if side.abs() < 1.0 && own > 0.3 {
                let bark = 0.8 + 0.5 * noise(around * 300.0, up * 20.0, s + 12);
                let lit = 0.5 + 0.5 * side * self.sun.x.signum();
                color = (v3(0.17, 0.11, 0.07) * bark * (0.4 + lit)).mix(color, dark * 0.6);
            }
        }
        // Overhead the crowns close, with the sky through the gaps.
        let away = 2.2 / to.y.max(0.2);
        let (cx, cz) = (to.x * away, to.z * away);
        let crown =
            fractal(cx, cz, 5, 0.0, s + 30) + 0.5 * fractal(cx * 4.0, cz * 4.0, 3, 0.0, s + 31);
        let canopy = green.mix(self.horizon * 2.2, smooth(0.12, 0.34, crown));
        let color = color.mix(canopy, smooth(0.55, 1.1, up));
        let ground =
            v3(0.10, 0.11, 0.04) * (1.0 + 0.7 * fractal(around * 12.0, up * 40.0, 4, 0.0, s + 15));
        color.mix(ground * 2.0, smooth(-0.02, -0.12, up))
    }

    fn city(&self, around: f32, up: f32) -> V3 {
        let s = self.seed;
        let mut color = self.horizon.mix(self.zenith, smooth(0.0, 0.5, up));
        let (warm, cold) = self.accent;
        for (layer, (count, high)) in [(34.0, 0.34), (22.0, 0.22)].into_iter().enumerate() {
            let x = (around / TAU + 0.5) * count;
            let own = lattice_unit(x.floor() as i32, 3 + layer as i32, s);
            if up > high * (0.25 + own) || up < -0.3 {
                continue;
            }
            color = v3(0.010, 0.012, 0.022).mix(self.horizon, 0.3 * (1.0 - layer as f32));
            let (wx, wy) = (around * 52.0, up * 60.0);
            let lamp = lattice_unit(wx.floor() as i32, wy.floor() as i32, s + 5 + layer as u32);
            let (fx, fy) = (wx - wx.floor() - 0.5, wy - wy.floor() - 0.5);
            if lamp > 0.82 && fx.abs() < 0.3 && fy.abs() < 0.34 {
                color =
                    v3(1.0, 0.66, 0.32).mix(v3(0.7, 0.85, 1.0), (lamp - 0.82) * 5.0) * (2.0 * lamp);
            }
        }
        // Street lamps, cars and signs: points that a lens turns into discs.
        let (near, _, bits) = cells(around * 11.0, up * 13.0 + 40.0, s + 20);
        let low = smooth(0.30, 0.02, up.abs());
        if near < 0.13 && (bits >> 16 & 0xff) as f32 / 255.0 < 0.75 * low {
            let tints = [
                v3(1.0, 0.55, 0.18),
                v3(1.0, 0.75, 0.45),
                v3(0.9, 0.12, 0.2),
                v3(0.15, 0.55, 1.0),
                warm * 1.4,
                cold * 1.4,
            ];
            let tint = tints.get((bits >> 24) as usize % tints.len()).copied().unwrap_or(V3::ONE);
            return tint * 13.0;
        }
        color.mix(v3(0.02, 0.018, 0.022), smooth(-0.05, -0.4, up))
    }

    fn space(&self, around: f32, to: V3) -> V3 {
        let s = self.seed;
        let cloud = fractal(to.x * 1.6 + to.z, to.y * 2.4 - to.z * 0.7, 6, 0.0, s);
        let glow = smooth(-0.05, 0.6, cloud);
        let mut color = self.zenith
            + (self.accent.0.mix(v3(0.35, 0.12, 0.5), 0.6) * 0.35).mix(v3(0.08, 0.2, 0.5), glow)
                * glow
                * glow;
        let (near, _, bits) = cells(around * 40.0, to.y * 40.0, s + 4);
        let bright = (bits >> 20 & 0xff) as f32 / 255.0;
        color += V3::ONE.mix(v3(0.7, 0.8, 1.0), bright)
            * (smooth(0.12, 0.02, near) * bright.powi(6) * 6.0);
        color
    }
}
