//! The things that a scene can be about, as bodies one unit high whose foot stands at the origin.
//!
//! Invariant: a body depends on its kind, colour, make and seed alone, so that picture and mesh of a
//! subject are of the same thing.

mod living;
mod objects;
mod vehicles;
mod vessels;

use crate::material::{Material, Pattern};
use crate::noise::Dice;
use crate::scene::{Make, Scene, Subject, SubjectKind, SurfaceForm};
use crate::shape::{Body, Form, Part, Placed};
use crate::vector::{V3, v3};

/// What a builder may draw on.
pub(crate) struct Brief {
    color: V3,
    make: Make,
    dice: Dice,
}

impl Brief {
    /// The main material: the make that was asked for, or `usual`.
    fn skin(&mut self, usual: Make) -> Material {
        let make = if self.make == Make::Usual { usual } else { self.make };
        let seed = self.dice.next();
        let bright = self.color.mix(V3::ONE, 0.25).max(V3::all(0.25));
        match make {
            Make::Ceramic | Make::Usual => {
                Material::paint(self.color, 0.14).with(Pattern::Glaze, seed)
            }
            Make::Glass => Material::glass(self.color.mix(V3::ONE, 0.35)),
            Make::Metal => Material::metal(bright, 0.22),
            Make::Wood => Material::paint(self.color.mix(v3(0.42, 0.26, 0.13), 0.6), 0.45)
                .with(Pattern::Wood, seed),
            Make::Stone => {
                Material::paint(self.color.mix(V3::all(0.5), 0.3), 0.7).with(Pattern::Stone, seed)
            }
            Make::Plastic => Material::paint(self.color, 0.3),
            Make::Matte => Material::paint(self.color, 0.75).with(Pattern::Glaze, seed),
        }
    }
}

/// The body of a subject.
pub(crate) fn body(subject: &Subject) -> Body {
    let mut brief = Brief {
        color: subject.color,
        make: subject.make,
        dice: Dice::new(subject.seed, "subject"),
    };
    let b = &mut brief;
    match subject.kind {
        SubjectKind::Mug => vessels::mug(b),
        SubjectKind::Glass => vessels::glass(b),
        SubjectKind::Bottle => vessels::bottle(b),
        SubjectKind::Bowl => vessels::bowl(b),
        SubjectKind::Vase => vessels::vase(b),
        SubjectKind::Perfume => vessels::perfume(b),
        SubjectKind::Can => vessels::can(b),
        SubjectKind::Candle => objects::candle(b),
        SubjectKind::Lamp => objects::lamp(b),
        SubjectKind::Book => objects::book(b),
        SubjectKind::Box => objects::package(b),
        SubjectKind::Watch => objects::watch(b),
        SubjectKind::Headphones => objects::headphones(b),
        SubjectKind::Shoe => objects::shoe(b),
        SubjectKind::Chair => objects::chair(b),
        SubjectKind::Fruit => living::fruit(b),
        SubjectKind::Plant => living::plant(b),
        SubjectKind::Tree => living::tree(b),
        SubjectKind::Cat => living::cat(b),
        SubjectKind::House => vehicles::house(b),
        SubjectKind::Car => vehicles::car(b),
        SubjectKind::Rocket => vehicles::rocket(b),
        SubjectKind::Robot => vehicles::robot(b),
        SubjectKind::Ball => objects::ball(b),
        SubjectKind::Abstract => objects::still_life(b),
    }
}

/// Everything of a scene that stands on its surface.
pub(crate) fn bodies(scene: &Scene) -> Vec<Placed> {
    let mut dice = Dice::new(scene.seed, "placing");
    let count = scene.subjects.len();
    let mut placed = Vec::new();
    for (index, subject) in scene.subjects.iter().enumerate() {
        let body = body(subject);
        let size = usual_height(subject.kind) * if index == 0 { 1.0 } else { 0.85 };
        // The main one in the middle, the others beside and a little behind.
        let (x, z) = match (count, index) {
            (_, 0) => (if count == 2 { -0.32 } else { 0.0 }, 0.08),
            (2, _) => (0.62, -0.14),
            (_, 1) => (0.95, -0.25),
            _ => (-0.95, -0.3),
        };
        let widest = (body.high.x - body.low.x).max(body.high.y - body.low.y).max(0.2);
        let scale = size.min(1.7 / widest);
        let yaw = facing(subject.kind, &mut dice);
        placed.push(Placed::new(body, v3(x, 0.0, z), scale, yaw));
    }
    for prop in &scene.props {
        let subject =
            Subject { kind: prop.kind, color: prop.color, make: Make::Usual, seed: prop.seed };
        let yaw = dice.between(0.0, std::f32::consts::TAU);
        placed.push(Placed::new(body(&subject), v3(prop.at.0, 0.0, prop.at.1), prop.height, yaw));
    }
    placed
}

/// A table below what stands on it: its top ends a hair below nothing, its feet on the floor.
pub(crate) fn table((half_width, half_depth): (f32, f32), top: &Material) -> Body {
    let block = |half: V3, y: f32| Part::new(Form::Block(half, 0.02), 0).at(0.0, y, 0.0);
    let mut parts = vec![block(v3(half_width, 0.09, half_depth), -0.095)];
    for (x, z) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
        let leg = Part::new(Form::Block(v3(0.11, 2.41, 0.11), 0.02), 1);
        parts.push(leg.at(x * (half_width - 0.25), -2.59, z * (half_depth - 0.25)));
    }
    let legs = Material::paint(top.color.mix(v3(0.1, 0.07, 0.05), 0.5), 0.5);
    Body::new(parts, vec![top.clone(), legs])
}

/// The plinth, or the slab, of an empty stage as a body of its own.
pub(crate) fn empty_stage(scene: &Scene) -> Body {
    let material = Material::of_surface(&scene.surface, scene.seed);
    let form = match scene.surface.form {
        SurfaceForm::Plinth => Form::Rod(0.7, 0.5, 0.03),
        _ => return table((0.8, 0.5), &material),
    };
    Body::new(vec![Part::new(form, 0).at(0.0, 0.5, 0.0)], vec![material])
}

/// How high a thing stands beside others.
fn usual_height(kind: SubjectKind) -> f32 {
    match kind {
        SubjectKind::Bowl | SubjectKind::Fruit | SubjectKind::Book => 0.8,
        SubjectKind::Bottle | SubjectKind::Vase | SubjectKind::Rocket | SubjectKind::Lamp => 1.25,
        SubjectKind::Plant | SubjectKind::Tree | SubjectKind::Chair | SubjectKind::Robot => 1.2,
        _ => 1.0,
    }
}

fn facing(kind: SubjectKind, dice: &mut Dice) -> f32 {
    match kind {
        SubjectKind::Mug => dice.between(-0.75, 0.25),
        SubjectKind::Watch | SubjectKind::Headphones => dice.between(-0.3, 0.3),
        SubjectKind::Shoe | SubjectKind::Car => dice.between(-0.6, -0.2),
        SubjectKind::Book => dice.between(0.2, 0.7),
        _ => dice.between(-0.6, 0.6),
    }
}
