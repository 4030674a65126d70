//! Things that hold something: turned outlines with handles, stoppers and labels.

use super::Brief;
use crate::color::from_hex;
use crate::material::{Material, Pattern};
use crate::scene::Make;
use crate::shape::{Body, Form, Outline, Part};
use crate::vector::{V3, v3};

fn turned(points: &[(f32, f32)], rounds: usize, material: usize) -> Part {
    Part::new(Form::Turned(Outline::new(points, rounds)), material)
}

pub(super) fn mug(b: &mut Brief) -> Body {
    let skin = b.skin(Make::Ceramic);
    let (wide, foot) = (b.dice.between(0.40, 0.46), b.dice.between(0.30, 0.40));
    let wall = 0.05;
    let outline = [
        (0.0, 0.02),
        (foot * 0.85, 0.02),
        (foot * 0.9, 0.0),
        (foot, 0.0),
        (foot + 0.02, 0.03),
        (wide - 0.02, 0.3),
        (wide, 0.6),
        (wide, 0.9),
        (wide, 0.985),
        (wide - wall * 0.5, 1.0),
        (wide - wall, 0.985),
        (wide - wall, 0.9),
        (wide - wall, 0.55),
        (wide - 0.07, 0.22),
        (foot - 0.05, 0.10),
        (foot * 0.4, 0.07),
        (0.0, 0.07),
    ];
    let handle =
        Part::new(Form::Ring(0.24, 0.27, 0.052), 0).at(wide + 0.02, 0.52, 0.0).joined(0.05);
    let hollow = [
        (0.0, 0.071),
        (foot * 0.4, 0.071),
        (foot - 0.05, 0.102),
        (wide - 0.071, 0.222),
        (wide - wall - 0.001, 0.55),
        (wide - wall - 0.001, 0.9),
        (wide - wall - 0.001, 1.2),
        (0.0, 1.2),
    ];
    let inside = turned(&hollow, 2, 0).carved();
    let drink = [0x2a140a, 0x3a1e10, 0x9a6a3c, 0x5c2c12];
    let drink = from_hex(drink.get(b.dice.below(4)).copied().unwrap_or(0x2a140a));
    let level = b.dice.between(0.78, 0.86);
    let liquid = Part::new(Form::Rod(wide - wall * 0.5, 0.02, 0.0), 1).at(0.0, level, 0.0);
    Body::new(
        vec![turned(&outline, 2, 0), handle, inside, liquid],
        vec![skin, Material::paint(drink, 0.12)],
    )
}

pub(super) fn glass(b: &mut Brief) -> Body {
    let wide = b.dice.between(0.30, 0.36);
    let foot = wide * b.dice.between(0.78, 0.95);
    let outline = [
        (0.0, 0.0),
        (foot, 0.0),
        (foot + 0.01, 0.05),
        (wide, 0.95),
        (wide - 0.008, 1.0),
        (wide - 0.024, 0.99),
        (foot - 0.02, 0.12),
        (foot * 0.5, 0.10),
        (0.0, 0.10),
    ];
    let skin = if b.make == Make::Usual || b.make == Make::Glass {
        Material::glass(b.color.mix(V3::ONE, 0.5))
    } else {
        b.skin(Make::Glass)
    };
    Body::new(vec![turned(&outline, 1, 0)], vec![skin])
}

pub(super) fn bottle(b: &mut Brief) -> Body {
    let skin = b.skin(Make::Glass);
    let wide = b.dice.between(0.17, 0.22);
    let shoulder = b.dice.between(0.52, 0.64);
    let neck = b.dice.between(0.055, 0.07);
    let outline = [
        (0.0, 0.0),
        (wide - 0.02, 0.0),
        (wide, 0.02),
        (wide, 0.1),
        (wide, shoulder - 0.04),
        (wide, shoulder),
        (wide * 0.9, shoulder + 0.08),
        (neck + 0.02, shoulder + 0.17),
        (neck, shoulder + 0.24),
        (neck, 0.93),
        (neck + 0.012, 0.94),
        (neck + 0.012, 0.975),
        (neck, 0.98),
        (0.0, 0.98),
    ];
    let paper = Material::paint(from_hex(0xefe8d8), 0.8);
    let accent = Material::paint(b.color * 0.35 + V3::all(0.01), 0.6);
    let high = (shoulder - 0.14) * 0.5;
    Body::new(
        vec![
            turned(&outline, 2, 0),
            Part::new(Form::Rod(wide + 0.003, high, 0.004), 1).at(0.0, 0.07 + high, 0.0),
            Part::new(Form::Rod(wide + 0.005, 0.012, 0.003), 2).at(0.0, 0.07 + high * 1.5, 0.0),
            Part::new(Form::Rod(neck + 0.018, 0.06, 0.012), 2).at(0.0, 0.945, 0.0),
        ],
        vec![skin, paper, accent],
    )
}

pub(super) fn bowl(b: &mut Brief) -> Body {
    let skin = b.skin(Make::Ceramic);
    let outline = [
        (0.0, 0.05),
        (0.4, 0.05),
        (0.42, 0.0),
        (0.5, 0.0),
        (0.55, 0.06),
        (0.86, 0.36),
        (1.02, 0.8),
        (1.05, 0.98),
        (1.03, 1.0),
        (0.99, 0.97),
        (0.95, 0.8),
        (0.8, 0.42),
        (0.5, 0.16),
        (0.0, 0.12),
    ];
    let mut parts = vec![turned(&outline, 2, 0)];
    if b.dice.chance(0.6) {
        for k in 0..4_u8 {
            let angle = f32::from(k) * 1.7 + b.dice.unit();
            let r = if k == 3 { 0.0 } else { 0.42 };
            parts.push(Part::new(Form::Ball(b.dice.between(0.30, 0.36)), 1).at(
                r * angle.cos(),
                if k == 3 { 0.86 } else { 0.56 },
                r * angle.sin(),
            ));
        }
    }
    let fruit = [0xc8501e, 0xd8a82c, 0x86a03a, 0x9c1f24];
    let fruit = from_hex(fruit.get(b.dice.below(4)).copied().unwrap_or(0xc8501e));
    let seed = b.dice.next();
    Body::new(parts, vec![skin, Material::paint(fruit, 0.35).with(Pattern::Peel, seed)])
}

pub(super) fn vase(b: &mut Brief) -> Body {
    let skin = b.skin(Make::Ceramic);
    let (belly, at) = (b.dice.between(0.27, 0.38), b.dice.between(0.3, 0.52));
    let (neck, lip) = (b.dice.between(0.09, 0.14), b.dice.between(0.13, 0.19));
    let outline = [
        (0.0, 0.0),
        (0.17, 0.0),
        (0.19, 0.02),
        (belly * 0.8, at * 0.45),
        (belly, at),
        (belly * 0.85, at + 0.18),
        (neck + 0.03, at + 0.3),
        (neck, 0.86),
        (lip, 0.985),
        (lip, 1.0),
        (lip - 0.02, 1.0),
        (neck - 0.03, 0.87),
        (neck - 0.02, at + 0.3),
        (0.1, at),
        (0.0, at),
    ];
    Body::new(vec![turned(&outline, 3, 0)], vec![skin])
}

pub(super) fn perfume(b: &mut Brief) -> Body {
    let tint = b.color.mix(v3(1.0, 0.86, 0.66), 0.4).mix(V3::ONE, 0.25);
    let skin = if b.make == Make::Usual { Material::glass(tint) } else { b.skin(Make::Glass) };
    let (wide, deep) = (b.dice.between(0.28, 0.36), b.dice.between(0.14, 0.2));
    let metal = Material::metal(from_hex(0xd8b878), 0.2);
    let cap =
        if b.dice.chance(0.5) { Material::paint(from_hex(0x141416), 0.12) } else { metal.clone() };
    Body::new(
        vec![
            Part::new(Form::Block(v3(wide, 0.33, deep), 0.05), 0).at(0.0, 0.33, 0.0),
            Part::new(Form::Rod(0.10, 0.035, 0.01), 1).at(0.0, 0.69, 0.0),
            Part::new(Form::Block(v3(0.14, 0.135, 0.11), 0.025), 2).at(0.0, 0.86, 0.0),
            Part::new(Form::Block(v3(wide * 0.5, 0.11, 0.004), 0.002), 3).at(
                0.0,
                0.33,
                deep + 0.002,
            ),
        ],
        vec![skin, metal, cap, Material::paint(from_hex(0xf2ecdf), 0.7)],
    )
}

pub(super) fn can(b: &mut Brief) -> Body {
    let label = Material::paint(b.color, 0.22);
    let tin = Material::metal(from_hex(0xcacdd0), 0.2);
    let outline = [
        (0.0, 0.03),
        (0.2, 0.03),
        (0.23, 0.0),
        (0.25, 0.0),
        (0.30, 0.06),
        (0.30, 0.1),
        (0.30, 0.88),
        (0.30, 0.9),
        (0.245, 0.965),
        (0.25, 0.99),
        (0.24, 1.0),
        (0.225, 0.975),
        (0.0, 0.97),
    ];
    let stripe = Material::paint(from_hex(0xf2efe8), 0.22);
    let high = b.dice.between(0.03, 0.12);
    let at = b.dice.between(0.35, 0.65);
    Body::new(
        vec![
            turned(&outline, 1, 1),
            Part::new(Form::Rod(0.3025, 0.395, 0.004), 0).at(0.0, 0.49, 0.0),
            Part::new(Form::Rod(0.3045, high, 0.003), 2).at(0.0, at, 0.0),
            Part::new(Form::Rod(0.3045, 0.01, 0.003), 2).at(0.0, at - high - 0.04, 0.0),
        ],
        vec![label, tin, stripe],
    )
}
