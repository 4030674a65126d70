//! Things that move, and houses.

use super::Brief;
use crate::color::from_hex;
use crate::material::{Material, Pattern};
use crate::scene::Make;
use crate::shape::{Body, Form, Outline, Part};
use crate::vector::{V3, v3};

pub(super) fn house(b: &mut Brief) -> Body {
    let seed = b.dice.next();
    let wall = Material::paint(b.color, 0.85).with(Pattern::Concrete, seed);
    let roof = Material::paint(from_hex(0x8c4630), 0.8).with(Pattern::Stone, seed + 1);
    let pane = Material { glow: 1.0, ..Material::paint(v3(1.0, 0.78, 0.42), 0.1) };
    let door = Material::paint(from_hex(0x3c5a54), 0.5);
    let (w, d) = (b.dice.between(0.38, 0.5), b.dice.between(0.3, 0.38));
    let tip = std::f32::consts::FRAC_PI_4;
    let side = (w + 0.05) * std::f32::consts::FRAC_1_SQRT_2;
    let mut parts = vec![
        Part::new(Form::Block(v3(w, 0.28, d), 0.01), 0).at(0.0, 0.28, 0.0),
        // A block on its edge, its lower half in the walls, is a roof.
        Part::new(Form::Block(v3(side, side, d + 0.05), 0.012), 1)
            .at(0.0, 0.53, 0.0)
            .turned(0.0, tip),
        Part::new(Form::Block(v3(2.0, 0.5, 2.0), 0.0), 0).at(0.0, 0.03, 0.0).carved(),
        Part::new(Form::Block(v3(w, 0.27, d), 0.01), 0).at(0.0, 0.27, 0.0),
        Part::new(Form::Block(v3(0.05, 0.16, 0.05), 0.006), 1).at(w * 0.55, 0.90, -0.05),
        Part::new(Form::Block(v3(0.075, 0.15, 0.012), 0.006), 3).at(0.0, 0.15, d + 0.004),
    ];
    for x in [-0.6, 0.6] {
        parts.push(Part::new(Form::Block(v3(0.075, 0.085, 0.012), 0.006), 2).at(
            x * w,
            0.33,
            d + 0.004,
        ));
        parts.push(Part::new(Form::Block(v3(0.012, 0.085, 0.07), 0.006), 2).at(
            w + 0.004,
            0.33,
            x * d * 0.8,
        ));
    }
    Body::new(parts, vec![wall, roof, pane, door])
}

pub(super) fn car(b: &mut Brief) -> Body {
    let paint = Material::paint(b.color, 0.10);
    let dark = Material::paint(V3::all(0.012), 0.08);
    let tyre = Material::paint(V3::all(0.02), 0.8);
    let rim = Material::metal(from_hex(0xc8cacc), 0.22);
    let lamp = Material::lamp(v3(1.0, 0.94, 0.8), 2.2);
    let tip = std::f32::consts::FRAC_PI_2;
    let long = b.dice.between(0.98, 1.1);
    let mut parts = vec![
        Part::new(Form::Block(v3(long, 0.17, 0.40), 0.13), 0).at(0.0, 0.34, 0.0),
        Part::new(Form::Ellipsoid(v3(long * 0.62, 0.32, 0.345)), 0)
            .at(-0.1, 0.50, 0.0)
            .joined(0.10),
        Part::new(Form::Ellipsoid(v3(long * 0.54, 0.26, 0.352)), 1).at(-0.1, 0.535, 0.0),
        Part::new(Form::Ellipsoid(v3(long * 0.47, 0.30, 0.3)), 0).at(-0.12, 0.525, 0.0),
    ];
    for (x, z) in [(-0.62, 1.0), (0.62, 1.0), (-0.62, -1.0), (0.62, -1.0)] {
        // Rods stand upright; a wheel's axle lies along z.
        let hub = v3(x * long, 0.19, z * 0.40);
        parts.push(Part::new(Form::Ball(0.235), 0).at(hub.x, hub.y, hub.z).carved());
        parts.push(Part::new(Form::Ring(0.125, 0.125, 0.065), 2).at(
            hub.x,
            hub.y,
            hub.z - z * 0.05,
        ));
        parts.push(Part::new(Form::Ellipsoid(v3(0.11, 0.11, 0.05)), 3).at(
            hub.x,
            hub.y,
            hub.z - z * 0.05,
        ));
    }
    for z in [-0.26, 0.26] {
        parts.push(
            Part::new(Form::Ellipsoid(v3(0.04, 0.045, 0.085)), 4)
                .at(long - 0.03, 0.37, z)
                .turned(0.0, tip * 0.0),
        );
    }
    Body::new(parts, vec![paint, dark, tyre, rim, lamp])
}

pub(super) fn rocket(b: &mut Brief) -> Body {
    let hull = b.skin(Make::Plastic);
    let accent = Material::paint(from_hex(0xb8301e), 0.25);
    let pane = Material::paint(from_hex(0x16324a), 0.05);
    let steel = Material::metal(from_hex(0xb4b8bc), 0.25);
    let outline = [
        (0.0, 0.12),
        (0.10, 0.12),
        (0.12, 0.14),
        (0.165, 0.34),
        (0.17, 0.55),
        (0.13, 0.78),
        (0.06, 0.93),
        (0.012, 0.995),
        (0.0, 1.0),
    ];
    let nose =
        [(0.0, 0.80), (0.128, 0.80), (0.122, 0.82), (0.075, 0.92), (0.015, 1.005), (0.0, 1.01)];
    let nozzle = [(0.0, 0.03), (0.12, 0.03), (0.12, 0.04), (0.075, 0.14), (0.0, 0.15)];
    let mut parts = vec![
        Part::new(Form::Turned(Outline::new(&outline, 2)), 0),
        Part::new(Form::Turned(Outline::new(&nose, 1)), 1),
        Part::new(Form::Turned(Outline::new(&nozzle, 1)), 3),
        Part::new(Form::Ring(0.055, 0.055, 0.014), 3).at(0.0, 0.60, 0.155),
        Part::new(Form::Ellipsoid(v3(0.055, 0.055, 0.02)), 2).at(0.0, 0.60, 0.155),
    ];
    for fin in 0..3_u8 {
        let around = f32::from(fin) * 2.094 + 0.5;
        let (sin, cos) = around.sin_cos();
        let at = |r: f32, y: f32| v3(r * sin, y, r * cos);
        parts.push(
            Part::new(Form::Limb(at(0.13, 0.34), at(0.27, 0.10), 0.03, 0.022), 1).joined(0.02),
        );
        parts.push(
            Part::new(Form::Limb(at(0.27, 0.10), at(0.29, 0.02), 0.024, 0.02), 1).joined(0.02),
        );
        parts.push(
            Part::new(Form::Limb(at(0.13, 0.22), at(0.26, 0.09), 0.028, 0.02), 1).joined(0.03),
        );
    }
    Body::new(parts, vec![hull, accent, pane, steel])
}

pub(super) fn robot(b: &mut Brief) -> Body {
    let shell = b.skin(Make::Plastic);
    let dark = Material::paint(V3::all(0.02), 0.1);
    let eye = Material::lamp(v3(0.2, 0.8, 1.0), 1.5);
    let steel = Material::metal(from_hex(0xa8acb0), 0.28);
    let mut parts = vec![
        Part::new(Form::Block(v3(0.20, 0.19, 0.14), 0.07), 0).at(0.0, 0.42, 0.0),
        Part::new(Form::Block(v3(0.22, 0.15, 0.17), 0.09), 0).at(0.0, 0.79, 0.0),
        Part::new(Form::Block(v3(0.165, 0.085, 0.05), 0.05), 1).at(0.0, 0.79, 0.135),
        Part::new(Form::Rod(0.06, 0.05, 0.01), 3).at(0.0, 0.63, 0.0),
        Part::new(Form::Limb(v3(0.0, 0.93, 0.0), v3(0.03, 0.985, 0.0), 0.012, 0.012), 3),
        Part::new(Form::Ball(0.028), 2).at(0.03, 0.99, 0.0),
        Part::new(Form::Ellipsoid(v3(0.05, 0.05, 0.02)), 2).at(0.08, 0.46, 0.135),
    ];
    for side in [-1.0, 1.0] {
        let s = side;
        parts.push(Part::new(Form::Ellipsoid(v3(0.032, 0.040, 0.02)), 2).at(
            s * 0.075,
            0.79,
            0.178,
        ));
        parts.push(Part::new(Form::Ball(0.065), 3).at(s * 0.235, 0.53, 0.0));
        parts.push(Part::new(
            Form::Limb(v3(s * 0.245, 0.52, 0.0), v3(s * 0.30, 0.34, 0.06), 0.05, 0.045),
            0,
        ));
        parts.push(Part::new(Form::Ball(0.062), 3).at(s * 0.305, 0.30, 0.08));
        parts.push(Part::new(
            Form::Limb(v3(s * 0.10, 0.24, 0.0), v3(s * 0.11, 0.10, 0.0), 0.06, 0.055),
            3,
        ));
        parts.push(Part::new(Form::Block(v3(0.085, 0.05, 0.12), 0.045), 0).at(
            s * 0.115,
            0.05,
            0.03,
        ));
    }
    Body::new(parts, vec![shell, dark, eye, steel])
}
