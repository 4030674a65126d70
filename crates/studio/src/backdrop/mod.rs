//! What lies behind: painted sharp, blurred by the lens, and the source of all indirect light.
//!
//! Invariant: [`Backdrop::paint`] depends on the scene, a place and a direction alone, so picture,
//! reflection, ambient light and panorama show the same surroundings.

mod interior;
mod outdoors;
mod sphere;

pub(crate) use sphere::{Sphere, direction};

use crate::noise::Dice;
use crate::scene::{Gobo, Place, Scene};
use crate::vector::{V3, mix, smooth, v3};
use interior::Interior;
use outdoors::Outdoors;

/// The surroundings of a scene.
pub(crate) struct Backdrop {
    kind: Kind,
    light: LightCard,
}

enum Kind {
    Sweep { near: V3, far: V3, glow: (f32, f32), strength: f32 },
    Interior(Interior),
    Outdoors(Outdoors),
}

/// The main light as one would see it in a mirror.
struct LightCard {
    towards: V3,
    right: V3,
    up: V3,
    half: (f32, f32),
    radiance: V3,
    barred: bool,
}

impl Backdrop {
    /// The surroundings of `scene`.
    pub(crate) fn new(scene: &Scene) -> Self {
        let mut dice = Dice::new(scene.seed, "backdrop");
        let kind = match scene.place {
            Place::Studio | Place::Plain => sweep(scene, &mut dice),
            Place::Kitchen | Place::DimRoom => Kind::Interior(Interior::new(scene, &mut dice)),
            _ => Kind::Outdoors(Outdoors::new(scene, &mut dice)),
        };
        Self { kind, light: LightCard::new(scene) }
    }

    /// What is seen from `from` in the direction `to` (of length one).
    pub(crate) fn paint(&self, from: V3, to: V3) -> V3 {
        match &self.kind {
            Kind::Sweep { near, far, glow, strength } => {
                let flat = (to.x * to.x + to.z * to.z).sqrt().max(1e-4);
                let around = to.x.atan2(-to.z);
                let (da, de) = (around - glow.0, to.y / flat - glow.1);
                let pool = (-(da * da * 2.2 + de * de * 3.0)).exp();
                let wall = far.mix(*near, smooth(0.9, -0.5, to.y / flat));
                let ceiling = smooth(0.3, 0.95, to.y);
                wall * mix(0.34, 1.15, pool) * *strength * mix(1.0, 1.6, ceiling)
            }
            Kind::Interior(room) => room.paint(from, to),
            Kind::Outdoors(land) => land.paint(to),
        }
    }

    /// The same, with the main light in it: what a mirror shows.
    pub(crate) fn reflect(&self, from: V3, to: V3) -> V3 {
        self.paint(from, to) + self.light.seen(to)
    }
}

fn sweep(scene: &Scene, dice: &mut Dice) -> Kind {
    let near = scene.palette.first().copied().unwrap_or(V3::all(0.6));
    let far = scene.palette.get(1).copied().unwrap_or(near * 0.8);
    let far = near.mix(far, 0.55);
    let side = scene.light.azimuth_deg.signum();
    let glow = (side * dice.between(-0.1, 0.34), dice.between(-0.05, 0.3));
    Kind::Sweep { near, far, glow, strength: dice.between(0.95, 1.15) }
}

/// The direction towards the main light.
pub(crate) fn towards_light(scene: &Scene) -> V3 {
    let (azimuth, elevation) =
        (scene.light.azimuth_deg.to_radians(), scene.light.elevation_deg.to_radians());
    v3(azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()).unit()
}

impl LightCard {
    fn new(scene: &Scene) -> Self {
        let towards = towards_light(scene);
        let right = V3::UP.cross(towards).unit();
        let up = towards.cross(right);
        let half = match scene.light.gobo {
            Gobo::Window | Gobo::Leaves | Gobo::Blinds => (0.42, 0.55),
            Gobo::Open => (scene.light.size * 1.1, scene.light.size * 1.3),
        };
        let whole = (4.0 * half.0 * half.1).max(0.02);
        let radiance = scene.light.color * (scene.light.strength * (1.6 / whole).min(14.0));
        let barred = scene.light.gobo != Gobo::Open;
        Self { towards, right, up, half, radiance, barred }
    }

    fn seen(&self, to: V3) -> V3 {
        let along = to.dot(self.towards);
        if along < 0.15 {
            return V3::ZERO;
        }
        let (a, b) = (to.dot(self.right) / along, to.dot(self.up) / along);
        let edge = 0.02 + 0.1 * self.half.0;
        let inside = smooth(self.half.0 + edge, self.half.0 - edge, a.abs())
            * smooth(self.half.1 + edge, self.half.1 - edge, b.abs());
        let bars = smooth(0.012, 0.03, a.abs()) * smooth(0.012, 0.03, (b - 0.1).abs());
        self.radiance * inside * if self.barred { mix(0.15, 1.0, bars) } else { 1.0 }
    }
}
