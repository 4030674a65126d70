//! Light at a place: diffuse and glossy, direct and from the surroundings, through glass.
//!
//! Invariant: energy that is reflected is not diffused as well; every loop has a fixed bound.

use crate::render::stage::{Ground, Stage};
use crate::render::trace::Hit;
use crate::vector::{V3, hypot, mix, smooth};

/// Interfaces of glass that a ray goes through at most.
const MAX_INTERFACES: usize = 6;
/// Steps within one piece of glass.
const MAX_GLASS_STEPS: usize = 48;

impl Stage {
    /// Light that comes to `from` along `-to`, and how far away it was sent; `None` from behind all.
    pub(crate) fn see(&self, from: V3, to: V3, pixel: f32) -> Option<(V3, Hit)> {
        let hit = self.meet(from, to)?;
        let color = self.shade(&hit, to, pixel);
        let color = self.fade(color, &hit, from, to);
        Some((color, hit))
    }

    /// Ground without end goes over into the backdrop.
    fn fade(&self, color: V3, hit: &Hit, from: V3, to: V3) -> V3 {
        let endless = hit.floor || matches!(self.ground, Ground::Plane);
        if hit.body.is_some() || !endless {
            return color;
        }
        let away = hypot(hit.p.x, hit.p.z);
        let share = smooth(self.fade.0, self.fade.1, away);
        if share <= 0.0 {
            return color;
        }
        let mut level = to;
        if self.endless {
            // Land meets the sky at the horizon; a sweep is painted all the way down.
            level.y = level.y.max(-0.012);
        }
        color.mix(self.backdrop.paint(from, level.unit()), share)
    }

    fn shade(&self, hit: &Hit, to: V3, pixel: f32) -> V3 {
        // At a slant a pixel covers more of the surface.
        let slant = (-to.dot(hit.n)).max(0.12);
        let foot = pixel * hit.t / slant.sqrt();
        let material = self.material(hit);
        if material.clear > 0.5 {
            return self.glass(hit, to, material.color);
        }
        let n = self.bumped(hit, foot);
        let look = self.look(hit, foot);
        let open = self.open(hit.p, hit.n);
        let diffuse = self.diffuse(hit, n, open, true);
        let base = V3::all(0.04).mix(look.color, material.metal);
        let facing = (-to.dot(n)).clamp(0.02, 1.0);
        let gloss = self.gloss(hit, to, n, (look.rough, open));
        let shine = gloss * fresnel(base, facing, look.rough);
        let matte = look.color * (1.0 - material.metal) * (1.0 - 0.04);
        matte * diffuse
            + shine
            + self.glint(hit, (to, n), base, look.rough)
            + look.color * material.glow
    }

    /// Diffuse light on a place.
    fn diffuse(&self, hit: &Hit, n: V3, open: f32, shadows: bool) -> V3 {
        let mut sum = self.sphere.diffuse(n) * open;
        let facing = smooth(-0.08, 1.0, n.dot(self.key.towards)) * 0.15
            + n.dot(self.key.towards).max(0.0) * 0.85;
        if facing > 0.0 {
            let seen =
                if shadows { self.lit(hit.p, hit.n, self.key.towards, self.key.size) } else { 0.8 };
            sum +=
                self.key.color * (facing * seen * self.key.gobo(hit.p) * self.key.falloff(hit.p));
        }
        if let Some((towards, color)) = self.rim {
            let facing = n.dot(towards).max(0.0);
            if facing > 0.0 && hit.body.is_some() {
                sum += color * facing * 0.6;
            }
        }
        if hit.body.is_some() {
            // What it stands on throws light back.
            let under = (0.5 - 0.5 * n.y) * smooth(1.6, 0.0, hit.p.y);
            let ground = self.ground_material.color
                * (self.key.color * self.key.towards.y.max(0.0) + self.sphere.diffuse(V3::UP));
            sum += ground * (0.42 * under * open.sqrt());
        }
        sum
    }

    /// What a glossy place reflects.
    fn gloss(&self, hit: &Hit, to: V3, n: V3, (rough, open): (f32, f32)) -> V3 {
        let towards = to.reflect(n).unit();
        let sky = self.sphere.reflect(towards, rough);
        if rough > 0.7 {
            return sky * open;
        }
        let from = hit.p + hit.n * 0.01;
        let body = self.meet_body(from, towards, 8.0);
        if let Some(other) = body {
            // The rougher the surface and the farther the thing, the less of it is left.
            let near = self.glimpse(&other, towards).min(V3::all(1.2));
            return near.mix(sky * open, (0.15 * rough + 2.4 * rough * other.t).clamp(0.0, 1.0));
        }
        if towards.y < -0.01
            && let Some(ground) = self.meet_ground(from, towards)
        {
            let near = self.glimpse(&ground, towards);
            return self.fade(near, &ground, from, towards).mix(sky, smooth(0.3, 0.9, rough) * 0.4);
        }
        sky * mix(1.0, open, rough.min(0.5))
    }

    /// The highlight of the main light, where the surroundings do not already show it.
    fn glint(&self, hit: &Hit, (to, n): (V3, V3), base: V3, rough: f32) -> V3 {
        let mut sum = V3::ZERO;
        let small = self.key.size < 0.07;
        let lights = [
            (small.then_some((self.key.towards, self.key.color))),
            self.rim.filter(|_| hit.body.is_some()),
        ];
        for (towards, color) in lights.into_iter().flatten() {
            let half = (towards - to).unit();
            let (nh, nl, nv) =
                (n.dot(half).max(0.0), n.dot(towards).max(0.0), (-n.dot(to)).max(0.05));
            if nl <= 0.0 {
                continue;
            }
            let a = (rough * rough + 0.02).min(1.0);
            let d = nh * nh * (a * a - 1.0) + 1.0;
            let spread = a * a / (d * d).max(1e-6);
            let k = a * 0.5;
            let mask = 1.0 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k));
            let f = base + (V3::ONE - base) * (1.0 - half.dot(towards).max(0.0)).powi(5);
            sum += f * color * (spread * mask * 0.25 * nl).min(12.0);
        }
        if sum.most() > 1e-3 {
            sum * self.lit(hit.p, hit.n, self.key.towards, self.key.size) * self.key.gobo(hit.p)
        } else {
            sum
        }
    }

    /// A quick look at something seen in a reflection or through glass.
    fn glimpse(&self, hit: &Hit, to: V3) -> V3 {
        let look = self.look(hit, 0.03);
        let material = self.material(hit);
        if material.clear > 0.5 {
            return self.sphere.reflect(to, 0.1) * 0.8;
        }
        let open = if hit.body.is_some() { smooth(-0.1, 0.35, hit.p.y) * 0.5 + 0.5 } else { 0.9 };
        let diffuse = self.diffuse(hit, hit.n, open, hit.body.is_none());
        let base = V3::all(0.04).mix(look.color, material.metal);
        let facing = (-to.dot(hit.n)).clamp(0.02, 1.0);
        let sky = self.sphere.reflect(to.reflect(hit.n), look.rough.max(0.15)) * open;
        look.color * (1.0 - material.metal) * diffuse
            + sky * fresnel(base, facing, look.rough)
            + look.color * material.glow
    }

    /// A ray through glass: what it reflects at its skin, and what is seen through it.
    fn glass(&self, hit: &Hit, to: V3, tint: V3) -> V3 {
        let facing = (-to.dot(hit.n)).clamp(0.0, 1.0);
        let mirror = 0.04 + 0.96 * (1.0 - facing).powi(5);
        let towards = to.reflect(hit.n).unit();
        let reflected = match self.meet_body(hit.p + hit.n * 0.01, towards, 6.0) {
            Some(other) if other.body != hit.body => self.glimpse(&other, towards),
            _ if towards.y < -0.05 => {
                let ground = self.meet_ground(hit.p + hit.n * 0.01, towards);
                ground.map_or_else(
                    || self.sphere.reflect(towards, 0.0),
                    |ground| self.glimpse(&ground, towards),
                )
            }
            _ => self.sphere.reflect(towards, 0.0),
        };
        let (p, through, path) = self.refracted(hit, to);
        let beyond = match self.meet(p, through) {
            Some(other) => {
                let near = self.glimpse(&other, through);
                self.fade(near, &other, p, through)
            }
            None => self.sphere.reflect(through, 0.04),
        };
        let rim = self.rim.map_or(V3::ZERO, |(towards, color)| {
            color * (towards.reflect(hit.n).dot(to).max(0.0).powi(24))
        });
        let absorbed = tint.max(V3::all(0.02)).map(|part| part.powf(0.25 + path * 1.6));
        (beyond * absorbed * (1.0 - mirror)).min(V3::all(2.5))
            + (reflected * mirror).min(V3::all(4.0))
            + rim * 0.4
    }

    /// Follows a ray through the glass it has met: where it leaves, in which direction, and the
    /// way that it went through glass.
    fn refracted(&self, hit: &Hit, to: V3) -> (V3, V3, f32) {
        let (mut p, mut direction, mut path) = (hit.p, to, 0.0);
        let mut n = hit.n;
        let Some(placed) = hit.body.and_then(|index| self.bodies.get(index)) else {
            return (p, direction, path);
        };
        for interface in 0..MAX_INTERFACES {
            let entering = interface % 2 == 0;
            let (ratio, facing) = if entering { (1.0 / 1.46, n) } else { (1.46, -n) };
            direction =
                bend(direction, facing, ratio).unwrap_or_else(|| direction.reflect(facing)).unit();
            p += direction * 0.012;
            let sign = if entering { -1.0 } else { 1.0 };
            let mut left = true;
            for _ in 0..MAX_GLASS_STEPS {
                let distance = placed.distance(p) * sign;
                if distance < 0.000_8 {
                    left = false;
                    break;
                }
                p += direction * distance.max(0.002);
                path += if entering { distance.max(0.002) } else { 0.0 };
                if !entering && distance > 1.2 {
                    break;
                }
            }
            let other =
                placed.body.material(placed.local(p)).is_some_and(|material| material.clear < 0.5);
            if left || !entering && (other || self.span_left(placed, p, direction)) {
                break;
            }
            n = placed.body.normal(placed.local(p), 0.004).turned(placed.yaw);
            if !entering && n.dot(direction) > 0.0 {
                break;
            }
        }
        (p, direction, path)
    }

    fn span_left(&self, placed: &crate::shape::Placed, p: V3, direction: V3) -> bool {
        placed.span(p, direction, 0.0).is_none()
    }
}

/// A ray bent at a surface; `None` if it is thrown back whole.
fn bend(to: V3, n: V3, ratio: f32) -> Option<V3> {
    let cos = -to.dot(n);
    let k = 1.0 - ratio * ratio * (1.0 - cos * cos);
    (k >= 0.0).then(|| to * ratio + n * (ratio * cos - k.sqrt()))
}

/// Share of light that a rough surface reflects of an even surrounding (a fit by B. Karis).
fn fresnel(base: V3, facing: f32, rough: f32) -> V3 {
    let r = (1.0 - rough, rough * -0.0275 + 0.0425);
    let a = (r.0 * r.0).min((-9.28 * facing).exp2()) * r.0 + r.1;
    let (scale, bias) = (-1.04 * a + (1.04 - 0.572 * rough), 1.04 * a - 0.04 + 0.022 * rough);
    (base * scale.clamp(0.0, 1.0) + V3::all(bias.clamp(0.0, 1.0))).min(V3::ONE)
}
