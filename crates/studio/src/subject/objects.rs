//! Things of the house and of the studio table.

use super::Brief;
use crate::color::from_hex;
use crate::material::{Material, Pattern};
use crate::scene::Make;
use crate::shape::{Body, Form, Outline, Part};
use crate::vector::{V3, v3};

pub(super) fn candle(b: &mut Brief) -> Body {
    let wax = Material { glow: 0.12, ..Material::paint(b.color, 0.5) };
    let flame = Material::lamp(v3(1.0, 0.62, 0.22), 9.0);
    let wick = Material::paint(V3::all(0.02), 0.9);
    let wide = b.dice.between(0.24, 0.34);
    Body::new(
        vec![
            Part::new(Form::Rod(wide, 0.36, 0.03), 0).at(0.0, 0.36, 0.0),
            Part::new(Form::Ball(wide * 1.1), 0).at(0.0, 0.72 + wide * 0.98, 0.0).carved(),
            Part::new(Form::Limb(v3(0.0, 0.64, 0.0), v3(0.0, 0.78, 0.0), 0.012, 0.01), 2),
            Part::new(Form::Limb(v3(0.0, 0.82, 0.0), v3(0.005, 0.96, 0.0), 0.045, 0.008), 1),
        ],
        vec![wax, flame, wick],
    )
}

pub(super) fn lamp(b: &mut Brief) -> Body {
    let base = b.skin(Make::Ceramic);
    let shade = Material::lamp(v3(1.0, 0.72, 0.42), 1.5);
    let rod = Material::metal(from_hex(0xb89058), 0.25);
    let outline = [
        (0.0, 0.0),
        (0.18, 0.0),
        (0.2, 0.03),
        (0.15, 0.1),
        (0.19, 0.26),
        (0.13, 0.42),
        (0.04, 0.5),
        (0.0, 0.5),
    ];
    let hood = [(0.0, 0.56), (0.34, 0.56), (0.345, 0.57), (0.22, 0.99), (0.21, 1.0), (0.0, 1.0)];
    Body::new(
        vec![
            Part::new(Form::Turned(Outline::new(&outline, 2)), 0),
            Part::new(Form::Rod(0.018, 0.06, 0.0), 2).at(0.0, 0.53, 0.0),
            Part::new(Form::Turned(Outline::new(&hood, 1)), 1),
        ],
        vec![base, shade, rod],
    )
}

pub(super) fn book(b: &mut Brief) -> Body {
    let pages = Material::paint(from_hex(0xeae2d0), 0.85);
    let mut parts = Vec::new();
    let mut materials = vec![pages];
    let count = 3 + b.dice.below(2);
    let high = 0.95 / count as f32;
    let tints = [b.color, b.color * 0.45, from_hex(0xd8cdb8), from_hex(0x3a4a54)];
    for k in 0..count {
        materials.push(Material::paint(tints.get(k).copied().unwrap_or(b.color), 0.55));
        let y = (k as f32 + 0.5) * high;
        let (w, d) = (b.dice.between(0.72, 0.86), b.dice.between(0.5, 0.6));
        let yaw = b.dice.between(-0.25, 0.25);
        let half = high * 0.48;
        parts.push(
            Part::new(Form::Block(v3(w - 0.03, half - 0.02, d - 0.03), 0.01), 0)
                .at(0.0, y, 0.0)
                .turned(yaw, 0.0),
        );
        for side in [-1.0, 1.0] {
            parts.push(
                Part::new(Form::Block(v3(w, 0.018, d), 0.01), k + 1)
                    .at(0.0, y + side * (half - 0.018), 0.0)
                    .turned(yaw, 0.0),
            );
        }
        let (sin, cos) = yaw.sin_cos();
        let spine = Part::new(Form::Block(v3(0.02, half, d), 0.015), k + 1)
            .at(-w * cos, y, w * sin)
            .turned(yaw, 0.0);
        parts.push(spine);
    }
    Body::new(parts, materials)
}

pub(super) fn package(b: &mut Brief) -> Body {
    let card = match b.make {
        Make::Usual => Material::paint(b.color, 0.6),
        _ => b.skin(Make::Matte),
    };
    let ribbon = Material::paint(from_hex(0xf0e6d2).mix(b.color, 0.1), 0.35);
    let (w, d) = (b.dice.between(0.36, 0.5), b.dice.between(0.3, 0.44));
    let mut parts = vec![
        Part::new(Form::Block(v3(w, 0.40, d), 0.012), 0).at(0.0, 0.40, 0.0),
        Part::new(Form::Block(v3(w + 0.015, 0.09, d + 0.015), 0.012), 0).at(0.0, 0.90, 0.0),
    ];
    if b.dice.chance(0.6) {
        parts.push(Part::new(Form::Block(v3(0.05, 0.498, d + 0.02), 0.004), 1).at(0.0, 0.5, 0.0));
        parts.push(Part::new(Form::Block(v3(w + 0.02, 0.498, 0.05), 0.004), 1).at(0.0, 0.5, 0.0));
    } else {
        parts.push(Part::new(Form::Block(v3(w * 0.55, 0.14, 0.003), 0.002), 1).at(
            0.0,
            0.42,
            d + 0.001,
        ));
    }
    Body::new(parts, vec![card, ribbon])
}

pub(super) fn watch(b: &mut Brief) -> Body {
    let steel = Material::metal(from_hex(0xc8c8c6), 0.16);
    let face = Material::paint(b.color * 0.6, 0.12);
    let strap = Material::paint(from_hex(0x4a2c1a).mix(b.color, 0.4), 0.6);
    let mark = Material::paint(from_hex(0xf2efe8), 0.4);
    let tip = std::f32::consts::FRAC_PI_2;
    // The case stands upright, facing the viewer: a rod laid on its side.
    let lay = |part: Part| part;
    let disc = |radius: f32, half: f32, material: usize, z: f32| {
        let mut part = Part::new(Form::Ellipsoid(v3(radius, radius, half)), material);
        part = part.at(0.0, 0.5, z);
        part
    };
    let mut parts = vec![
        lay(Part::new(Form::Block(v3(0.15, 0.5, 0.035), 0.03), 2).at(0.0, 0.5, -0.05)),
        Part::new(Form::Ring(0.29, 0.29, 0.045), 0).at(0.0, 0.5, 0.02),
        disc(0.29, 0.05, 1, 0.02),
        Part::new(Form::Rod(0.035, 0.03, 0.008), 0).at(0.36, 0.5, 0.02).turned(0.0, tip),
    ];
    for hour in 0..12_u8 {
        let (sin, cos) = (f32::from(hour) * std::f32::consts::TAU / 12.0).sin_cos();
        let long = if hour % 3 == 0 { 0.03 } else { 0.014 };
        let (from, to) = (0.235 - long, 0.235);
        let point = |r: f32| v3(r * sin, 0.5 + r * cos, 0.06 - 0.02 * r / 0.29);
        parts.push(Part::new(Form::Limb(point(from), point(to), 0.007, 0.007), 3));
    }
    for (angle, long) in [(5.24_f32, 0.13), (1.05, 0.19)] {
        let end = v3(long * angle.sin(), 0.5 + long * angle.cos(), 0.074);
        parts.push(Part::new(Form::Limb(v3(0.0, 0.5, 0.074), end, 0.011, 0.006), 3));
    }
    Body::new(parts, vec![steel, face, strap, mark])
}

pub(super) fn headphones(b: &mut Brief) -> Body {
    let shell = b.skin(Make::Plastic);
    let pad = Material::paint(V3::all(0.03), 0.85);
    let steel = Material::metal(from_hex(0xc4c6ca), 0.2);
    let tip = std::f32::consts::FRAC_PI_2;
    let mut parts = vec![
        Part::new(Form::Ring(0.40, 0.44, 0.05), 0).at(0.0, 0.50, 0.0),
        Part::new(Form::Block(v3(0.7, 0.3, 0.2), 0.0), 0).at(0.0, -0.06, 0.0).carved(),
    ];
    for side in [-1.0, 1.0] {
        parts.push(Part::new(
            Form::Limb(v3(side * 0.40, 0.50, 0.0), v3(side * 0.40, 0.30, 0.0), 0.022, 0.022),
            2,
        ));
        parts.push(
            Part::new(Form::Rod(0.23, 0.055, 0.05), 0).at(side * 0.41, 0.24, 0.0).turned(0.0, tip),
        );
        parts.push(
            Part::new(Form::Rod(0.215, 0.06, 0.055), 1).at(side * 0.31, 0.24, 0.0).turned(0.0, tip),
        );
        parts.push(
            Part::new(Form::Rod(0.12, 0.02, 0.01), 2).at(side * 0.465, 0.24, 0.0).turned(0.0, tip),
        );
    }
    Body::new(parts, vec![shell, pad, steel])
}

pub(super) fn shoe(b: &mut Brief) -> Body {
    let upper = Material::paint(b.color, 0.6);
    let sole = Material::paint(from_hex(0xf2f0ea), 0.5);
    let accent = Material::paint(from_hex(0x24262a).mix(b.color, 0.1), 0.5);
    let ground =
        |y: f32| Part::new(Form::Block(v3(3.0, 1.0, 3.0), 0.0), 1).at(0.0, y, 0.0).carved();
    let egg = |axes: V3, x: f32, y: f32| Part::new(Form::Ellipsoid(axes), 0).at(x, y, 0.0);
    let mut parts = vec![
        // The sole is a slice of a long egg; what is above and below the slice is taken away.
        Part::new(Form::Limb(v3(-0.52, 0.08, 0.0), v3(0.56, 0.08, 0.0), 0.27, 0.285), 1),
        ground(-1.0),
        ground(1.165),
        egg(v3(0.31, 0.36, 0.235), -0.46, 0.40),
        egg(v3(0.52, 0.31, 0.225), -0.06, 0.34).joined(0.10),
        egg(v3(0.38, 0.19, 0.24), 0.46, 0.24).joined(0.16),
        egg(v3(0.23, 0.22, 0.175), -0.50, 0.66).joined(0.10),
        Part::new(Form::Limb(v3(-0.30, 0.70, 0.0), v3(0.24, 0.42, 0.0), 0.10, 0.08), 0)
            .joined(0.06),
        egg(v3(0.17, 0.30, 0.115), -0.50, 0.92).carved().joined(0.04),
        Part::new(Form::Ellipsoid(v3(0.17, 0.13, 0.225)), 1).at(0.685, 0.20, 0.0),
        Part::new(Form::Ellipsoid(v3(0.10, 0.15, 0.14)), 2).at(-0.715, 0.36, 0.0),
    ];
    for lace in 0..5_u8 {
        let t = f32::from(lace) / 4.0;
        let (x, y) = (-0.22 + 0.44 * t, 0.80 - 0.25 * t);
        let side = |z: f32| v3(x - 0.02, y - 0.07, z);
        parts.push(Part::new(Form::Limb(side(-0.125), v3(x, y, 0.0), 0.018, 0.022), 1));
        parts.push(Part::new(Form::Limb(v3(x, y, 0.0), side(0.125), 0.022, 0.018), 1));
    }
    for side in [-1.0, 1.0] {
        let (from, to) = (v3(-0.40, 0.30, side * 0.225), v3(0.16, 0.44, side * 0.172));
        parts.push(Part::new(Form::Limb(from, to, 0.035, 0.016), 2));
    }
    Body::new(parts, vec![upper, sole, accent])
}

pub(super) fn chair(b: &mut Brief) -> Body {
    let seat = b.skin(Make::Matte);
    let wood = Material::paint(from_hex(0x8a5a34), 0.45);
    let mut parts = vec![
        Part::new(Form::Block(v3(0.30, 0.045, 0.28), 0.045), 0).at(0.0, 0.46, 0.0),
        Part::new(Form::Block(v3(0.30, 0.22, 0.04), 0.04), 0).at(0.0, 0.78, -0.26),
    ];
    for (x, z) in [(-1.0, 1.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)] {
        let foot = v3(x * 0.28, 0.018, z * 0.27);
        parts.push(Part::new(Form::Limb(foot, v3(x * 0.22, 0.44, z * 0.20), 0.018, 0.026), 1));
        if z < 0.0 {
            parts.push(Part::new(
                Form::Limb(v3(x * 0.22, 0.44, -0.22), v3(x * 0.24, 0.92, -0.29), 0.022, 0.02),
                1,
            ));
        }
    }
    Body::new(parts, vec![seat, wood])
}

pub(super) fn ball(b: &mut Brief) -> Body {
    let skin = b.skin(Make::Ceramic);
    Body::new(vec![Part::new(Form::Ball(0.5), 0).at(0.0, 0.5, 0.0)], vec![skin])
}

/// A still life of plain bodies: what stands for anything that has no form of its own here.
pub(super) fn still_life(b: &mut Brief) -> Body {
    let main = b.skin(Make::Matte);
    let seed = b.dice.next();
    let materials = vec![
        main,
        Material::paint(b.color.mix(from_hex(0xf0e6d6), 0.65), 0.7).with(Pattern::Stone, seed),
        Material::metal(from_hex(0xd4a860), 0.18),
        Material::paint(b.color * 0.4, 0.3),
    ];
    let mut parts = Vec::new();
    let high = b.dice.between(0.5, 0.72);
    match b.dice.below(3) {
        0 => {
            parts.push(Part::new(Form::Rod(0.24, high * 0.5, 0.02), 0).at(-0.1, high * 0.5, -0.05));
        }
        1 => parts.push(
            Part::new(Form::Block(v3(0.22, high * 0.5, 0.2), 0.015), 0)
                .at(-0.1, high * 0.5, -0.05)
                .turned(0.5, 0.0),
        ),
        _ => {
            let cone = [(0.0, 0.0), (0.3, 0.0), (0.3, 0.02), (0.02, high), (0.0, high)];
            parts.push(Part::new(Form::Turned(Outline::new(&cone, 0)), 0).at(-0.1, 0.0, -0.05));
        }
    }
    let ball = b.dice.between(0.14, 0.2);
    parts.push(Part::new(Form::Ball(ball), 3).at(0.30, ball, 0.16));
    let arch = b.dice.between(0.24, 0.32);
    parts.push(
        Part::new(Form::Ring(arch, arch, 0.055), 1)
            .at(0.32, arch + 0.055, -0.22)
            .turned(b.dice.between(-0.5, 0.5), 0.0),
    );
    let top = b.dice.between(0.10, 0.15);
    parts.push(Part::new(Form::Ball(top), 2).at(-0.1, high + top * 0.98, -0.05));
    parts.push(Part::new(Form::Rod(0.16, 0.06, 0.015), 1).at(-0.38, 0.06, 0.2));
    Body::new(parts, materials)
}
