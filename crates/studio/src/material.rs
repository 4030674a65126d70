//! Materials: what a surface does with light at each place of it.
//!
//! Invariant: patterns are functions of place and seed alone, in the units of the scene; detail
//! finer than the footprint of a sample fades out instead of flickering.

use crate::color::from_hex;
use crate::noise::{cells, fractal, lattice_unit, noise};
use crate::scene::{Substance, Surface};
use crate::vector::{V3, mix, smooth, v3};

/// What a body is made of.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    /// Main colour, linear.
    pub(crate) color: V3,
    /// 0 is a mirror, 1 chalk.
    pub(crate) rough: f32,
    /// 0 or 1: whether it is metal.
    pub(crate) metal: f32,
    /// Share of light that goes through.
    pub(crate) clear: f32,
    /// Light that it sends out itself.
    pub(crate) glow: f32,
    /// How its colour varies.
    pub(crate) pattern: Pattern,
    /// Seed of the pattern.
    pub(crate) seed: u32,
}

/// How a colour varies over a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Plain,
    Marble,
    Wood,
    Stone,
    Concrete,
    Linen,
    Sand,
    Water,
    Grass,
    Snow,
    Paper,
    Glaze,
    Brushed,
    Peel,
}

/// A surface at one place.
pub(crate) struct Look {
    pub(crate) color: V3,
    pub(crate) rough: f32,
}

impl Material {
    /// Smooth plastic or paint of a colour.
    pub(crate) fn paint(color: V3, rough: f32) -> Self {
        Self { color, rough, metal: 0.0, clear: 0.0, glow: 0.0, pattern: Pattern::Plain, seed: 0 }
    }

    /// Metal of a colour.
    pub(crate) fn metal(color: V3, rough: f32) -> Self {
        Self { metal: 1.0, ..Self::paint(color, rough) }
    }

    /// Glass with a tint.
    pub(crate) fn glass(color: V3) -> Self {
        Self { clear: 1.0, ..Self::paint(color, 0.03) }
    }

    /// Something that shines.
    pub(crate) fn lamp(color: V3, glow: f32) -> Self {
        Self { glow, ..Self::paint(color, 0.8) }
    }

    /// With a pattern.
    pub(crate) fn with(mut self, pattern: Pattern, seed: u64) -> Self {
        self.pattern = pattern;
        self.seed = seed as u32;
        self
    }

    /// The material of a surface to stand on.
    pub(crate) fn of_surface(surface: &Surface, seed: u64) -> Self {
        let (pattern, rough) = match surface.substance {
            Substance::Marble => (Pattern::Marble, 0.16),
            Substance::DarkWood => (Pattern::Wood, 0.34),
            Substance::LightWood => (Pattern::Wood, 0.42),
            Substance::Stone => (Pattern::Stone, 0.72),
            Substance::Concrete => (Pattern::Concrete, 0.62),
            Substance::Linen => (Pattern::Linen, 0.95),
            Substance::Sand => (Pattern::Sand, 0.95),
            Substance::Water => (Pattern::Water, 0.05),
            Substance::Glass => (Pattern::Plain, 0.04),
            Substance::Metal => (Pattern::Brushed, 0.3),
            Substance::Grass => (Pattern::Grass, 0.95),
            Substance::Snow => (Pattern::Snow, 0.85),
            Substance::Paper => (Pattern::Paper, 0.8),
        };
        let metal = if surface.substance == Substance::Metal { 1.0 } else { 0.0 };
        Self { metal, ..Self::paint(surface.color, rough) }.with(pattern, seed)
    }

    /// Colour and roughness at `p`, for a sample as wide as `foot`.
    pub(crate) fn look(&self, p: V3, foot: f32) -> Look {
        let (c, s) = (self.color, self.seed);
        let plain = Look { color: c, rough: self.rough };
        match self.pattern {
            Pattern::Plain => plain,
            Pattern::Marble => marble(c, self.rough, p, foot, s),
            Pattern::Wood => wood(c, self.rough, p, foot, s),
            Pattern::Stone => {
                let broad = fractal(p.x * 1.3 + p.y, p.z * 1.3 - p.y * 0.6, 4, foot * 1.3, s);
                let fine = fractal(p.x * 26.0, p.z * 26.0 + p.y * 26.0, 3, foot * 26.0, s + 9);
                let (near, _, bits) =
                    cells(p.x * 38.0 + p.y * 11.0, p.z * 38.0 + p.y * 31.0, s + 3);
                let seen = smooth(0.025, 0.006, foot);
                let speck = seen
                    * smooth(0.34, 0.2, near)
                    * ((bits >> 16 & 0xff) as f32 / 255.0 - 0.62).max(0.0);
                let shade = 1.0 + 0.24 * broad + 0.16 * fine - 1.1 * speck;
                Look { color: c * shade.max(0.2), rough: self.rough }
            }
            Pattern::Concrete => {
                let broad = fractal(p.x * 0.9 + p.y, p.z * 0.9, 6, foot * 0.9, s);
                let (near, _, bits) = cells(p.x * 9.0, p.z * 9.0 + p.y * 9.0, s + 3);
                let hole = if bits & 3 == 0 {
                    smooth(0.12, 0.05, near) * smooth(0.03, 0.01, foot)
                } else {
                    0.0
                };
                Look {
                    color: c * (1.0 + 0.3 * broad - 0.5 * hole),
                    rough: self.rough + 0.2 * broad,
                }
            }
            Pattern::Linen | Pattern::Sand | Pattern::Grass | Pattern::Snow => self.loose(p, foot),
            Pattern::Paper => plain,
            Pattern::Water => {
                let depth = fractal(p.x * 0.15, p.z * 0.15, 3, foot * 0.15, s);
                Look { color: c * (1.0 + 0.3 * depth), rough: self.rough + (foot * 0.5).min(0.25) }
            }
            Pattern::Glaze => {
                let pool = fractal(p.x * 3.0 + p.z * 2.0, p.y * 5.0, 3, foot * 5.0, s);
                let (near, _, bits) = cells(p.x * 30.0 + p.z * 17.0, p.y * 30.0, s + 5);
                let fleck = if bits & 7 == 0 {
                    smooth(0.26, 0.14, near) * smooth(0.02, 0.008, foot)
                } else {
                    0.0
                };
                Look {
                    color: c * (1.0 + 0.10 * pool - 0.35 * fleck),
                    rough: self.rough + 0.04 * pool,
                }
            }
            Pattern::Brushed => {
                let line = fractal(p.x * 1.5, (p.z + p.y) * 120.0, 3, foot * 30.0, s);
                Look { color: c * (1.0 + 0.06 * line), rough: (self.rough + 0.08 * line).max(0.08) }
            }
            Pattern::Peel => {
                let blush = fractal(p.x * 2.0 + p.z, p.y * 1.4, 3, foot * 2.0, s);
                let streak = noise(p.x.atan2(p.z) * 9.0, p.y * 1.2, s + 2);
                let warm = v3(1.25, 0.95, 0.5);
                Look {
                    color: c
                        .mix(c * warm * 1.3, (0.25 + 0.6 * blush + 0.3 * streak).clamp(0.0, 0.8)),
                    rough: self.rough,
                }
            }
        }
    }

    fn loose(&self, p: V3, foot: f32) -> Look {
        let (c, s) = (self.color, self.seed);
        let shade = match self.pattern {
            Pattern::Linen => {
                let (u, v) = (p.x * 60.0, p.z * 60.0);
                let wobble = 0.25 * noise(p.x * 7.0, p.z * 7.0, s);
                let weave = ((u + wobble) * 3.1).sin()
                    * ((v - wobble) * 3.1).sin()
                    * smooth(0.014, 0.004, foot);
                let thread = fractal(p.x * 4.0, p.z * 70.0, 3, foot * 40.0, s)
                    + fractal(p.x * 70.0, p.z * 4.0, 3, foot * 40.0, s + 1);
                1.0 + 0.14 * weave + 0.12 * thread + 0.1 * fractal(p.x, p.z, 3, foot, s + 7)
            }
            Pattern::Sand => {
                let grain =
                    lattice_unit((p.x * 160.0).floor() as i32, (p.z * 160.0).floor() as i32, s)
                        - 0.5;
                let seen = smooth(0.02, 0.004, foot);
                1.0 + 0.14 * fractal(p.x * 0.7, p.z * 0.7, 4, foot * 0.7, s) + 0.22 * grain * seen
            }
            Pattern::Grass => {
                let broad = fractal(p.x * 0.4, p.z * 0.4, 4, foot * 0.4, s);
                let blade = fractal(p.x * 34.0, p.z * 9.0, 4, foot * 9.0, s + 4);
                (1.0 + 0.4 * broad + 0.75 * blade).max(0.25)
            }
            _ => 1.0 + 0.05 * fractal(p.x * 1.5, p.z * 1.5, 5, foot * 1.5, s),
        };
        let tint = if self.pattern == Pattern::Grass {
            v3(1.0 + 0.5 * (shade - 1.0), 1.0, 0.9)
        } else {
            V3::ONE
        };
        Look { color: c * tint * shade, rough: self.rough }
    }

    /// How high the surface stands out at `p`; `None` if it is smooth.
    pub(crate) fn relief(&self, p: V3, foot: f32) -> Option<f32> {
        let s = self.seed;
        Some(match self.pattern {
            Pattern::Stone => {
                0.006 * fractal(p.x * 9.0 + p.y * 7.0, p.z * 9.0 + p.y * 9.0, 4, foot * 9.0, s + 20)
            }
            Pattern::Concrete => {
                0.003 * fractal(p.x * 12.0, p.z * 12.0 + p.y * 9.0, 3, foot * 12.0, s + 20)
            }
            Pattern::Wood => 0.0012 * fractal(p.x * 3.0, p.z * 90.0, 3, foot * 40.0, s + 20),
            Pattern::Linen => {
                let weave = (p.x * 186.0).sin() * (p.z * 186.0).sin() * smooth(0.014, 0.004, foot);
                0.0015 * weave + 0.03 * fractal(p.x * 0.8, p.z * 1.3, 3, foot, s + 20)
            }
            Pattern::Sand => {
                let ripple = (p.z * 9.0 + 2.2 * noise(p.x * 0.8, p.z * 0.7, s) + p.x * 1.2).sin();
                0.013 * ripple * smooth(0.3, 0.05, foot)
                    + 0.05 * fractal(p.x * 0.5, p.z * 0.5, 3, foot * 0.5, s + 20)
            }
            Pattern::Grass => 0.05 * fractal(p.x * 22.0, p.z * 9.0, 4, foot * 9.0, s + 20),
            Pattern::Snow => 0.05 * fractal(p.x * 0.9, p.z * 0.9, 6, foot * 0.9, s + 20),
            Pattern::Water => {
                0.02 * fractal(p.x * 1.1, p.z * 2.4, 4, foot * 2.4, s + 20) * smooth(1.5, 0.0, foot)
            }
            _ => return None,
        })
    }
}

fn marble(base: V3, rough: f32, p: V3, foot: f32, s: u32) -> Look {
    let (x, z) = (p.x + p.y * 0.4, p.z - p.y * 0.7);
    let wx = fractal(x * 0.55, z * 0.55, 4, foot * 0.55, s + 11);
    let wz = fractal(x * 0.55 + 9.0, z * 0.55, 4, foot * 0.55, s + 12);
    let (u, v) = (x + 1.5 * wx, z + 1.5 * wz);
    let lean = lattice_unit(1, 2, s) * 1.4 - 0.7;
    let (along, across) = (u + lean * v, v - lean * u);
    // A vein is where slow noise passes through nothing; how dark it is varies along it.
    let vein = |scale: f32, widths: [f32; 2], seed: u32| {
        let field = fractal(along * 0.4 * scale, across * scale, 3, foot * scale, seed).abs();
        let strong = smooth(-0.42, 0.28, noise(x * 0.7 * scale + 3.0, z * 0.7 * scale, seed + 5));
        widths.map(|width| {
            let reach = (width + foot * scale).max(1e-4);
            (width / reach) * strong * reach / (field + reach)
        })
    };
    let [bold, halo] = vein(0.85, [0.030, 0.20], s);
    let [thin, _] = vein(2.0, [0.020, 0.0], s + 31);
    let [hair, _] = vein(4.3, [0.016, 0.0], s + 57);
    let cloud = fractal(u * 0.9, v * 0.9, 3, foot * 0.9, s + 40);
    let grey = v3(0.15, 0.16, 0.175);
    let gold = from_hex(0xa08258);
    let ink = grey.mix(gold, 0.45 * smooth(-0.1, 0.5, noise(x * 0.8, z * 0.8, s + 70)));
    let ground = base * (0.985 + 0.09 * cloud);
    let veined = ground
        .mix(grey * 1.9, (0.46 * halo).min(0.6))
        .mix(ink, (0.85 * bold).min(0.9))
        .mix(ink * 1.3, (0.55 * thin).min(0.6))
        .mix(grey * 1.6, (0.22 * hair).min(0.4));
    Look { color: veined, rough: rough + 0.05 * (bold + thin) }
}

fn wood(base: V3, rough: f32, p: V3, foot: f32, s: u32) -> Look {
    // Boards lie along x; each is cut from its own place of a trunk.
    let board_width = 0.92;
    let board = (p.z / board_width).floor();
    let own = |k: i32| lattice_unit(board as i32, k, s);
    let local = p.z - (board + 0.5) * board_width;
    let (x, z) = (p.x + 31.0 * own(1), local + 0.34 * (own(2) - 0.5));
    let depth = 0.28 + 0.5 * own(3) + p.y;
    let bend = 0.10 * noise(x * 0.4, z * 0.7, s + 1) + 0.015 * noise(x * 1.7, z * 3.0, s + 2);
    let trunk = ((z + bend) * (z + bend)
        + depth * depth * (1.0 + 0.12 * noise(x * 0.5, 3.0, s + 6)))
    .sqrt();
    let ring = trunk * 30.0 + 0.5 * noise(x * 0.6, z * 9.0, s + 3);
    let phase = ring - ring.floor();
    let sharp = smooth(0.0, 0.72, phase) * (1.0 - smooth(0.86, 1.0, phase));
    let seen = smooth(0.05, 0.012, foot);
    let late = mix(0.42, sharp, seen);
    let fibre = fractal(x * 1.6, z * 70.0, 3, foot * 30.0, s + 5);
    let pore_line = noise(x * 3.2, z * 150.0, s + 8);
    let pore = smooth(0.42, 0.75, pore_line) * smooth(0.014, 0.003, foot);
    let flame = fractal(x * 0.5, z * 5.0, 4, foot * 2.4, s + 9);
    let dark = base * v3(0.42, 0.37, 0.33);
    let light = base * v3(1.32, 1.26, 1.18);
    let tone = light.mix(dark, (0.28 + 0.36 * late + 0.34 * fibre).clamp(0.0, 1.0));
    let tone = tone * (1.0 + 0.42 * flame + 0.22 * (own(4) - 0.5)) * (1.0 - 0.45 * pore);
    let edge = (local.abs() - board_width * 0.5).abs();
    let gap = 0.006 + foot * 0.4;
    let seam = (0.006 / gap) * smooth(gap, 0.0, edge);
    Look {
        color: tone * (1.0 - 0.75 * seam),
        rough: (rough + 0.10 * fibre + 0.12 * pore).clamp(0.1, 1.0),
    }
}
