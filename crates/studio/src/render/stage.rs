//! A scene made ready for rays: bodies, the surface they stand on, the light of the surroundings.
//!
//! Invariant: nothing here changes once it is built, so any number of threads may look.

use crate::backdrop::{Backdrop, Sphere, towards_light};
use crate::material::Material;
use crate::noise::fractal;
use crate::render::lens::Lens;
use crate::scene::{Gobo, Scene, SurfaceForm};
use crate::shape::Placed;
use crate::subject;
use crate::vector::{V3, mix, smooth, v3};

/// Everything that a ray can meet.
pub(crate) struct Stage {
    pub(crate) bodies: Vec<Placed>,
    pub(crate) ground: Ground,
    pub(crate) ground_material: Material,
    pub(crate) floor_material: Material,
    pub(crate) backdrop: Backdrop,
    pub(crate) sphere: Sphere,
    pub(crate) key: Key,
    pub(crate) rim: Option<(V3, V3)>,
    /// The sweep's own blending into the backdrop begins at this distance.
    pub(crate) fade: (f32, f32),
    /// Whether the ground goes on to the horizon.
    pub(crate) endless: bool,
}

/// The main light.
pub(crate) struct Key {
    pub(crate) towards: V3,
    pub(crate) color: V3,
    pub(crate) size: f32,
    right: V3,
    up: V3,
    gobo: Gobo,
    shift: (f32, f32),
    seed: u32,
}

/// Half width and half depth of a table that one can walk around.
pub(crate) const TABLE: (f32, f32) = (3.2, 1.9);

/// What the bodies stand on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ground {
    /// A slab whose far edge is at this depth; it goes on beyond the picture on its other sides.
    Table(f32),
    /// A slab of this half width and half depth.
    Board(f32, f32),
    /// A round block of this radius and height on a floor.
    Plinth(f32, f32),
    /// A plane without end.
    Plane,
}

impl Stage {
    /// The stage as one finds it on walking in: the table ends on all sides and has legs.
    pub(crate) fn furnished(scene: &Scene, lens: &Lens) -> Self {
        let mut stage = Self::new(scene, lens);
        if matches!(stage.ground, Ground::Table(_)) {
            stage.ground = Ground::Board(TABLE.0, TABLE.1);
            for body in &mut stage.bodies {
                body.at.x = body.at.x.clamp(0.4 - TABLE.0, TABLE.0 - 0.4);
                body.at.z = body.at.z.clamp(0.4 - TABLE.1, TABLE.1 - 0.4);
            }
            stage.bodies.push(Placed::new(
                subject::table(TABLE, &stage.ground_material),
                V3::ZERO,
                1.0,
                0.0,
            ));
        }
        stage
    }

    /// The stage of `scene`, with the table's edge where `lens` wants it.
    pub(crate) fn new(scene: &Scene, lens: &Lens) -> Self {
        let backdrop = Backdrop::new(scene);
        let eye = v3(0.0, 0.5, 0.0);
        let sphere = Sphere::new(|to| backdrop.reflect(eye, to), |to| backdrop.paint(eye, to));
        let towards = towards_light(scene);
        let strength = scene.light.color * scene.light.strength;
        let back = v3(-towards.x, 0.35, -towards.z.abs() - 0.35).unit();
        let rim_color = if scene.light.rim > 2.0 && scene.palette.len() > 1 {
            scene.palette.get(1).copied().unwrap_or(V3::ONE).mix(V3::ONE, 0.35)
        } else {
            V3::ONE.mix(scene.light.color, 0.5)
        };
        let floor = scene.palette.first().copied().unwrap_or(V3::all(0.6));
        let ground = ground(scene, lens);
        let mut bodies = subject::bodies(scene);
        if let Ground::Table(back) = ground {
            for body in &mut bodies {
                // Nothing hangs over the far edge.
                let reach = (body.body.high.z - body.body.low.z)
                    .max(body.body.high.x - body.body.low.x)
                    * 0.5;
                body.at.z = body.at.z.max(back + 0.08 + reach * body.scale);
            }
        }
        Self {
            bodies,
            ground,
            ground_material: Material::of_surface(&scene.surface, scene.seed),
            floor_material: Material::paint(floor, 0.7),
            backdrop,
            sphere,
            key: Key::new(scene, towards, strength),
            rim: (scene.light.rim > 0.0).then_some((back, rim_color * scene.light.rim)),
            endless: scene.surface.form == SurfaceForm::Ground,
            fade: if scene.surface.form == SurfaceForm::Ground { (9.0, 38.0) } else { (0.3, 7.0) },
        }
    }
}

fn ground(scene: &Scene, lens: &Lens) -> Ground {
    match scene.surface.form {
        SurfaceForm::Table => {
            let ray = lens.ray(scene.camera.centre.0, scene.camera.edge);
            let depth = if ray.y < -0.02 { lens.at.z - ray.z * lens.at.y / ray.y } else { -30.0 };
            let flat = scene.camera.pitch_deg > 40.0;
            Ground::Table(if flat { -60.0 } else { depth.clamp(-30.0, -0.75) })
        }
        SurfaceForm::Plinth => {
            Ground::Plinth(if scene.subjects.is_empty() { 1.42 } else { 0.95 }, 2.0)
        }
        SurfaceForm::Ground | SurfaceForm::Sweep => Ground::Plane,
    }
}

impl Key {
    fn new(scene: &Scene, towards: V3, color: V3) -> Self {
        let right = V3::UP.cross(towards).unit();
        let mut dice = crate::noise::Dice::new(scene.seed, "gobo");
        Self {
            towards,
            color,
            size: scene.light.size.clamp(0.008, 0.6),
            right,
            up: towards.cross(right),
            gobo: scene.light.gobo,
            shift: (dice.between(-0.45, 0.45), dice.between(-0.3, 0.3)),
            seed: dice.next() as u32,
        }
    }

    /// The light is near: it is stronger on its own side.
    pub(crate) fn falloff(&self, p: V3) -> f32 {
        let nearer = p.x * self.towards.x + p.z * self.towards.z;
        (1.0 + 0.9 * self.size.sqrt() * nearer).clamp(0.45, 1.7)
    }

    /// How much of the light gets through what it shines through, at `p`.
    pub(crate) fn gobo(&self, p: V3) -> f32 {
        let (a, b) = (p.dot(self.right) + self.shift.0, p.dot(self.up) + self.shift.1);
        let soft = 0.05 + 0.55 * self.size;
        match self.gobo {
            Gobo::Open => 1.0,
            Gobo::Window => {
                let bar = |at: f32, every: f32, width: f32| {
                    let off = (at / every - (at / every).round()).abs() * every;
                    smooth(width - soft, width + soft, off)
                };
                let (half, low, high) = (2.7, -1.5, 1.5);
                let inside = smooth(half + 2.0 * soft, half - 2.0 * soft, a.abs())
                    * smooth(low - 2.0 * soft, low + 2.0 * soft, b)
                    * smooth(high + 2.0 * soft, high - 2.0 * soft, b);
                let leaf = fractal(a * 1.4, b * 1.4, 3, 0.0, self.seed);
                let branch = 1.0 - 0.5 * smooth(0.02, 0.40, leaf);
                mix(
                    0.16,
                    1.0,
                    inside * bar(a + 0.6, 1.35, 0.085) * bar(b + 0.5, 1.5, 0.07) * branch,
                )
            }
            Gobo::Blinds => {
                let slat = (b * 15.0 + 0.2 * a).sin();
                mix(0.10, 1.0, smooth(-0.35 - 4.0 * soft, 0.15 + 4.0 * soft, slat))
            }
            Gobo::Leaves => {
                let leaf = fractal(a * 1.25, b * 1.25, 4, 0.0, self.seed)
                    + 0.3 * fractal(a * 4.0, b * 4.0, 2, 0.1, self.seed + 8);
                mix(0.14, 1.0, smooth(0.20, -0.14, leaf))
            }
        }
    }
}
