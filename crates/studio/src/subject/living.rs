//! Plants and animals, in the simple way of a wooden toy.

use super::Brief;
use crate::color::from_hex;
use crate::material::{Material, Pattern};
use crate::scene::Make;
use crate::shape::{Body, Form, Outline, Part};
use crate::vector::{V3, v3};

pub(super) fn fruit(b: &mut Brief) -> Body {
    let seed = b.dice.next();
    let peel = Material::paint(b.color, 0.28).with(Pattern::Peel, seed);
    let stalk = Material::paint(from_hex(0x4a3420), 0.8);
    let leaf = Material::paint(from_hex(0x3c6a2c), 0.5);
    let outline = [
        (0.0, 0.06),
        (0.08, 0.02),
        (0.2, 0.0),
        (0.36, 0.12),
        (0.47, 0.42),
        (0.46, 0.70),
        (0.32, 0.90),
        (0.14, 0.91),
        (0.03, 0.80),
        (0.0, 0.79),
    ];
    let lean = b.dice.between(-0.08, 0.08);
    Body::new(
        vec![
            Part::new(Form::Turned(Outline::new(&outline, 3)), 0),
            Part::new(Form::Limb(v3(0.0, 0.78, 0.0), v3(lean, 1.02, 0.03), 0.018, 0.026), 1),
            Part::new(Form::Ellipsoid(v3(0.16, 0.02, 0.07)), 2)
                .at(lean + 0.15, 0.98, 0.03)
                .turned(0.3, 0.35),
        ],
        vec![peel, stalk, leaf],
    )
}

pub(super) fn plant(b: &mut Brief) -> Body {
    let clay = [0xc06a48, 0xe6e0d4, 0x3c4448];
    let pot =
        Material::paint(from_hex(clay.get(b.dice.below(3)).copied().unwrap_or(0xc06a48)), 0.7);
    let leaf = Material::paint(b.color, 0.45);
    let young = Material::paint(b.color.mix(from_hex(0x9cb850), 0.5), 0.45);
    let soil = Material::paint(from_hex(0x2a1c12), 0.95);
    let outline = [
        (0.0, 0.0),
        (0.15, 0.0),
        (0.16, 0.01),
        (0.21, 0.30),
        (0.23, 0.30),
        (0.23, 0.36),
        (0.205, 0.36),
        (0.2, 0.33),
        (0.0, 0.33),
    ];
    let mut parts = vec![
        Part::new(Form::Turned(Outline::new(&outline, 1)), 0),
        Part::new(Form::Rod(0.195, 0.02, 0.0), 3).at(0.0, 0.33, 0.0),
    ];
    let count = 9 + b.dice.below(5);
    for k in 0..count {
        let around = k as f32 * 2.4 + b.dice.between(-0.2, 0.2);
        let lift = 1.25 - 0.75 * (k as f32 / count as f32) + b.dice.between(-0.1, 0.1);
        let long = b.dice.between(0.20, 0.31);
        let stem = v3(around.cos() * lift.cos(), lift.sin(), around.sin() * lift.cos());
        let middle = v3(0.0, 0.36, 0.0) + stem * (long * 1.15);
        parts.push(Part::new(Form::Limb(v3(0.0, 0.32, 0.0), middle, 0.012, 0.008), 1));
        parts.push(
            Part::new(
                Form::Ellipsoid(v3(long * 0.92, 0.016, long * 0.34)),
                if k % 3 == 0 { 2 } else { 1 },
            )
            .at(
                middle.x + stem.x * long * 0.4,
                middle.y + stem.y * long * 0.3,
                middle.z + stem.z * long * 0.4,
            )
            .turned(-around, lift * 0.8),
        );
    }
    Body::new(parts, vec![pot, leaf, young, soil])
}

pub(super) fn tree(b: &mut Brief) -> Body {
    let seed = b.dice.next();
    let crown = Material::paint(b.color, 0.85).with(Pattern::Grass, seed);
    let bark = Material::paint(from_hex(0x5c4430), 0.9);
    let mut parts =
        vec![Part::new(Form::Limb(v3(0.0, 0.0, 0.0), v3(0.02, 0.5, 0.0), 0.06, 0.035), 1)];
    if b.dice.chance(0.4) {
        for tier in 0..4_u8 {
            let t = f32::from(tier) / 4.0;
            let (low, wide) = (0.2 + 0.55 * t, 0.34 * (1.0 - 0.72 * t));
            let cone = [
                (0.0, low),
                (wide, low),
                (wide, low + 0.02),
                (0.02, low + 0.32),
                (0.0, low + 0.32),
            ];
            parts.push(Part::new(Form::Turned(Outline::new(&cone, 1)), 0));
        }
    } else {
        for k in 0..9 {
            let around = k as f32 * 2.4;
            let (r, y) =
                (if k == 0 { 0.0 } else { b.dice.between(0.14, 0.26) }, b.dice.between(0.52, 0.84));
            let ball = Part::new(Form::Ball(b.dice.between(0.13, 0.19)), 0).at(
                r * around.cos(),
                y,
                r * around.sin(),
            );
            parts.push(if k == 0 { ball } else { ball.joined(0.05) });
        }
    }
    Body::new(parts, vec![crown, bark])
}

pub(super) fn cat(b: &mut Brief) -> Body {
    let fur = b.skin(Make::Matte);
    let pale = Material::paint(b.color.mix(V3::ONE, 0.6), 0.8);
    let dark = Material::paint(V3::all(0.015), 0.08);
    let nose = Material::paint(from_hex(0xc87878), 0.5);
    let mut parts = vec![
        Part::new(Form::Limb(v3(0.0, 0.24, -0.12), v3(0.0, 0.5, 0.04), 0.24, 0.17), 0),
        Part::new(Form::Ball(0.19), 0).at(0.0, 0.74, 0.10).joined(0.06),
        Part::new(Form::Limb(v3(-0.10, 0.40, 0.14), v3(-0.09, 0.06, 0.22), 0.07, 0.055), 0)
            .joined(0.05),
        Part::new(Form::Limb(v3(0.10, 0.40, 0.14), v3(0.09, 0.06, 0.22), 0.07, 0.055), 0)
            .joined(0.05),
        Part::new(Form::Limb(v3(0.18, 0.10, -0.28), v3(0.36, 0.08, 0.05), 0.06, 0.05), 0)
            .joined(0.06),
        Part::new(Form::Limb(v3(0.36, 0.08, 0.05), v3(0.26, 0.07, 0.26), 0.05, 0.035), 0)
            .joined(0.04),
        Part::new(Form::Ellipsoid(v3(0.10, 0.17, 0.06)), 1).at(0.0, 0.46, 0.20).joined(0.02),
        Part::new(Form::Ellipsoid(v3(0.075, 0.05, 0.05)), 1).at(0.0, 0.69, 0.265).joined(0.02),
        Part::new(Form::Ellipsoid(v3(0.02, 0.014, 0.014)), 3).at(0.0, 0.72, 0.31),
    ];
    for side in [-1.0, 1.0] {
        parts.push(
            Part::new(
                Form::Limb(
                    v3(side * 0.11, 0.86, 0.08),
                    v3(side * 0.145, 0.985, 0.07),
                    0.055,
                    0.012,
                ),
                0,
            )
            .joined(0.02),
        );
        parts.push(Part::new(Form::Ellipsoid(v3(0.026, 0.034, 0.02)), 2).at(
            side * 0.075,
            0.765,
            0.262,
        ));
    }
    Body::new(parts, vec![fur, pale, dark, nose])
}
