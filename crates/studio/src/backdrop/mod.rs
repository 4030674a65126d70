//! What lies behind: painted sharp, blurred by the lens, and the source of all indirect light.
//!
//! Invariant: [`Backdrop::paint`] depends on the scene, a place and a direction alone, so picture,
//! reflection, ambient light and panorama show the same surroundings.

mod interior;
mod outdoors;
mod sphere;

pub(crate) use sphere::{Sphere, direction};

use crate::noise::{Dice, lattice_unit};
use crate::scene::{Gobo, Place, Scene};
use crate::vector::{V3, hypot, mix, smooth, v3};
use interior::Interior;
use outdoors::Outdoors;

/// The surroundings of a scene.
pub(crate) struct Backdrop {
    kind: Kind,
    light: LightCard,
}

enum Kind {
    Sweep(Sweep),
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
            Place::Studio | Place::Plain => Kind::Sweep(Sweep::new(scene, &mut dice)),
            Place::Kitchen | Place::DimRoom => Kind::Interior(Interior::new(scene, &mut dice)),
            _ => Kind::Outdoors(Outdoors::new(scene, &mut dice)),
        };
        Self { kind, light: LightCard::new(scene) }
    }

    /// What is seen from `from` in the direction `to` (of length one).
    pub(crate) fn paint(&self, from: V3, to: V3) -> V3 {
        match &self.kind {
            Kind::Sweep(sweep) => sweep.paint(to),
            Kind::Interior(room) => room.paint(from, to),
            Kind::Outdoors(land) => land.paint(to),
        }
    }

    /// How far the walls are in a direction; far away where there are none.
    pub(crate) fn room_reach(&self, from: V3, to: V3) -> f32 {
        if let Kind::Interior(room) = &self.kind { room.reach(from, to) } else { 60.0 }
    }

    /// The same, with the main light in it: what a mirror shows.
    pub(crate) fn reflect(&self, from: V3, to: V3) -> V3 {
        self.paint(from, to) + self.light.seen(to)
    }
}

/// A sheet of paper or a painted wall that runs out of the floor.
struct Sweep {
    near: V3,
    far: V3,
    glow: (f32, f32),
    strength: f32,
    feature: Feature,
    at: (f32, f32),
    size: f32,
    seed: u32,
}

/// What is done with the wall.
enum Feature {
    Bare,
    /// A disc of another shade.
    Disc,
    /// A niche with a round top.
    Arch,
    /// A slanting patch of light, as from a window.
    Slant,
    /// Shadows of palm leaves.
    Boughs,
}

impl Sweep {
    fn new(scene: &Scene, dice: &mut Dice) -> Self {
        let near = scene.palette.first().copied().unwrap_or(V3::all(0.6));
        let far =
            near.mix(scene.palette.get(1).copied().unwrap_or(near * 0.8), dice.between(0.3, 0.9));
        let side = scene.light.azimuth_deg.signum();
        let feature = match dice.below(5) {
            _ if scene.place == Place::Plain => Feature::Bare,
            0 => Feature::Disc,
            1 => Feature::Arch,
            2 => Feature::Slant,
            3 => Feature::Boughs,
            _ => Feature::Bare,
        };
        Self {
            near,
            far,
            glow: (side * dice.between(-0.12, 0.38), dice.between(-0.16, 0.12)),
            strength: dice.between(0.95, 1.15),
            feature,
            at: (-side * dice.between(0.02, 0.22), dice.between(-0.16, -0.10)),
            size: dice.between(0.11, 0.17),
            seed: dice.next() as u32,
        }
    }

    /// The shadow of leaves that reach in from above: each a fan of narrow blades.
    fn fronds(&self, around: f32, up: f32) -> f32 {
        let mut shadow: f32 = 0.0;
        for leaf in 0..3 {
            let own = |k: i32| lattice_unit(leaf, k, self.seed);
            let (x, y) = (around + 0.42 - 0.84 * own(1), up - 0.10 - 0.10 * own(2));
            let (away, lean) = (hypot(x, y), 0.9 * (own(3) - 0.5));
            let angle = x.atan2(-y) + lean + 0.9 * away * (own(4) - 0.5);
            let blade =
                smooth(-0.25, 0.45, (angle * 15.0 + 6.0 * own(5)).sin() - 2.4 * (away - 0.14));
            let within = smooth(1.25, 0.95, angle.abs())
                * smooth(0.02, 0.07, away)
                * smooth(0.42, 0.26, away);
            shadow = shadow.max(blade * within);
        }
        shadow
    }

    fn paint(&self, to: V3) -> V3 {
        let flat = (to.x * to.x + to.z * to.z).sqrt().max(1e-4);
        let (around, up) = (to.x.atan2(-to.z), to.y / flat);
        let (da, de) = (around - self.glow.0, up - self.glow.1);
        let pool = (-(da * da * 3.4 + de * de * 5.0)).exp();
        let wall = self.far.mix(self.near, smooth(0.5, -0.4, up));
        let ceiling = smooth(0.3, 0.95, to.y);
        let lit = wall * mix(0.42, 1.28, pool) * self.strength * mix(1.0, 1.6, ceiling);
        let (x, y) = (around - self.at.0, up - self.at.1);
        match self.feature {
            Feature::Bare => lit,
            Feature::Disc => {
                lit * mix(1.0, 1.45, smooth(self.size, self.size - 0.006, hypot(x, y)))
            }
            Feature::Arch => {
                let round = if y > 0.0 { hypot(x, y) } else { x.abs() };
                let within = smooth(self.size, self.size - 0.006, round);
                // The light comes from one side: the other side of the niche catches it.
                let depth = smooth(-self.size, self.size, x * -self.glow.0.signum());
                lit * mix(1.0, mix(0.62, 1.05, depth), within)
            }
            Feature::Boughs => lit * mix(1.22, 0.66, self.fronds(around, up)),
            Feature::Slant => {
                let lean = x + y * 0.7 * self.glow.0.signum();
                let edge = smooth(0.0, 0.035, 0.30 - lean.abs()) * smooth(-0.30, -0.22, y);
                let bar = smooth(0.008, 0.024, lean.abs()) * smooth(0.006, 0.02, (y - 0.02).abs());
                lit * mix(0.86, 1.5, edge * mix(0.25, 1.0, bar))
            }
        }
    }
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
