//! What a ray meets, and how much of the sky and the light a place sees.
//!
//! Invariant: pure functions of the stage; no sampling noise, so pictures have no grain of their own.

use crate::material::{Look, Material, Pattern};
use crate::render::stage::{Ground, Stage};
use crate::vector::{V3, hypot, mix, smooth, v3};

/// Where a ray met something.
pub(crate) struct Hit {
    pub(crate) t: f32,
    pub(crate) p: V3,
    pub(crate) n: V3,
    /// Which body; `None` for the ground.
    pub(crate) body: Option<usize>,
    /// Whether it is the floor below a plinth.
    pub(crate) floor: bool,
}

/// Rounding of a plinth's rim.
const BEVEL: f32 = 0.045;

impl Stage {
    /// The first thing that a ray meets.
    pub(crate) fn meet(&self, from: V3, to: V3) -> Option<Hit> {
        let ground = self.meet_ground(from, to);
        let most = ground.as_ref().map_or(60.0, |hit| hit.t);
        self.meet_body(from, to, most).or(ground)
    }

    /// The first body that a ray meets within `most`.
    pub(crate) fn meet_body(&self, from: V3, to: V3, most: f32) -> Option<Hit> {
        let mut nearest: Option<(f32, usize)> = None;
        for (index, body) in self.bodies.iter().enumerate() {
            let limit = nearest.map_or(most, |(t, _)| t);
            if let Some(t) = body.meet(from, to, limit) {
                nearest = Some((t, index));
            }
        }
        let (t, index) = nearest?;
        let placed = self.bodies.get(index)?;
        let p = from + to * t;
        let n = placed.body.normal(placed.local(p), 0.004).turned(placed.yaw);
        Some(Hit { t, p, n, body: Some(index), floor: false })
    }

    /// Where a ray meets what the bodies stand on.
    pub(crate) fn meet_ground(&self, from: V3, to: V3) -> Option<Hit> {
        let flat = |y: f32| (to.y < -1e-5 && from.y > y).then(|| (y - from.y) / to.y);
        let hit =
            |t: f32, n: V3, floor: bool| Some(Hit { t, p: from + to * t, n, body: None, floor });
        match self.ground {
            Ground::Plane => hit(flat(0.0)?, V3::UP, false),
            Ground::Table(back) => {
                let t = flat(0.0)?;
                let p = from + to * t;
                let edge = smooth(back + 0.05, back, p.z);
                (p.z > back).then_some(())?;
                hit(t, v3(0.0, 1.0, -1.2 * edge).unit(), false)
            }
            Ground::Board(half_width, half_depth) => {
                let t = flat(0.0)?;
                let p = from + to * t;
                (p.x.abs() < half_width && p.z.abs() < half_depth).then_some(())?;
                hit(t, V3::UP, false)
            }
            Ground::Plinth(radius, height) => {
                if let Some(t) = flat(0.0) {
                    let p = from + to * t;
                    let r = hypot(p.x, p.z);
                    if r < radius {
                        let bend = smooth(radius - BEVEL, radius, r) * 1.4;
                        return hit(
                            t,
                            v3(p.x / r.max(1e-4) * bend, 1.0, p.z / r.max(1e-4) * bend).unit(),
                            false,
                        );
                    }
                }
                self.meet_side(from, to, radius, height)
                    .or_else(|| hit(flat(-height)?, V3::UP, true))
            }
        }
    }

    fn meet_side(&self, from: V3, to: V3, radius: f32, height: f32) -> Option<Hit> {
        let a = to.x * to.x + to.z * to.z;
        let b = from.x * to.x + from.z * to.z;
        let c = from.x * from.x + from.z * from.z - radius * radius;
        let root = b * b - a * c;
        if root < 0.0 || a < 1e-9 {
            return None;
        }
        let t = (-b - root.sqrt()) / a;
        let p = from + to * t;
        if t < 1e-3 || p.y > 0.0 || p.y < -height {
            return None;
        }
        let bend = smooth(-BEVEL, 0.0, p.y) * 0.8;
        let n = v3(p.x / radius, bend, p.z / radius).unit();
        Some(Hit { t, p, n, body: None, floor: false })
    }

    /// The material where a ray met something.
    pub(crate) fn material(&self, hit: &Hit) -> &Material {
        let body = hit.body.and_then(|index| self.bodies.get(index));
        let own = body.and_then(|placed| placed.body.material(placed.local(hit.p)));
        own.unwrap_or(if hit.floor { &self.floor_material } else { &self.ground_material })
    }

    /// Colour and roughness where a ray met something, for a sample as wide as `foot`.
    pub(crate) fn look(&self, hit: &Hit, foot: f32) -> Look {
        let material = self.material(hit);
        let body = hit.body.and_then(|index| self.bodies.get(index));
        body.map_or_else(
            || material.look(hit.p, foot),
            |placed| material.look(placed.local(hit.p), foot / placed.scale),
        )
    }

    /// The normal with the relief of the material.
    pub(crate) fn bumped(&self, hit: &Hit, foot: f32) -> V3 {
        let material = self.material(hit);
        if hit.body.is_some() && material.pattern != Pattern::Stone {
            return hit.n;
        }
        let step = (foot * 0.7).max(0.004);
        let side = if hit.n.y.abs() < 0.9 { V3::UP } else { v3(1.0, 0.0, 0.0) };
        let (u, v) = (side.cross(hit.n).unit(), hit.n.cross(side.cross(hit.n).unit()));
        let Some(here) = material.relief(hit.p, foot) else { return hit.n };
        let there = |by: V3| material.relief(hit.p + by * step, foot).unwrap_or(here);
        let (du, dv) = ((there(u) - here) / step, (there(v) - here) / step);
        (hit.n - u * du - v * dv).unit()
    }

    /// How much of the light in direction `to`, of half-width `size`, reaches `p`.
    pub(crate) fn lit(&self, p: V3, n: V3, to: V3, size: f32) -> f32 {
        let mut seen = 1.0_f32;
        let from = p + n * 0.006;
        for placed in &self.bodies {
            let clear = placed.body.materials.first().is_some_and(|material| material.clear > 0.5);
            let own = placed.veil(from, to, size);
            seen = seen.min(if clear { mix(0.45, 1.0, own) } else { own });
        }
        if let Ground::Plinth(radius, height) = self.ground {
            // The floor lies in the shadow of the plinth.
            if p.y < -height + 0.01 {
                let t = -p.y / to.y.max(0.05);
                let top = p + to * t;
                let spread = 0.1 + size * 1.5;
                let away = hypot(top.x, top.z) - radius;
                let foot = hypot(p.x, p.z) - radius;
                let along = segment_distance(p, top) - radius;
                seen = seen
                    .min(smooth(-spread, spread, along.min(away)))
                    .min(smooth(-0.1, 0.05, foot).max(0.0));
            }
        }
        seen
    }

    /// How much of the sky above a place is seen.
    pub(crate) fn open(&self, p: V3, n: V3) -> f32 {
        let near: Vec<_> = self
            .bodies
            .iter()
            .filter(|placed| {
                let local = placed.local(p);
                let (low, high) = (
                    placed.body.low - V3::all(0.7 / placed.scale),
                    placed.body.high + V3::all(0.7 / placed.scale),
                );
                (low.x..high.x).contains(&local.x)
                    && (low.y..high.y).contains(&local.y)
                    && (low.z..high.z).contains(&local.z)
            })
            .collect();
        let mut shut = 0.0;
        let mut weight = 1.35;
        for step in [0.03, 0.09, 0.2, 0.4, 0.65] {
            let at = p + n * step;
            let floor = if self.above_ground(at) { at.y.max(0.0) } else { f32::MAX };
            let clear = near.iter().fold(floor, |least, placed| least.min(placed.distance(at)));
            shut += weight * (step - clear.min(step)) / step * 0.34;
            weight *= 0.78;
        }
        let foot = match self.ground {
            Ground::Plinth(radius, height) if p.y < -height + 0.01 => {
                mix(0.25, 1.0, smooth(0.0, 1.3, hypot(p.x, p.z) - radius))
            }
            _ => 1.0,
        };
        (1.0 - shut).clamp(0.05, 1.0) * foot
    }

    fn above_ground(&self, p: V3) -> bool {
        match self.ground {
            Ground::Plane => true,
            Ground::Table(back) => p.z > back,
            Ground::Board(half_width, half_depth) => {
                p.x.abs() < half_width && p.z.abs() < half_depth && p.y > -0.05
            }
            Ground::Plinth(radius, _) => hypot(p.x, p.z) < radius && p.y > -0.2,
        }
    }
}

/// Distance of the axis from the level segment below a slanted ray.
fn segment_distance(from: V3, to: V3) -> f32 {
    let (dx, dz) = (to.x - from.x, to.z - from.z);
    let t = (-(from.x * dx + from.z * dz) / (dx * dx + dz * dz).max(1e-6)).clamp(0.0, 1.0);
    hypot(from.x + dx * t, from.z + dz * t)
}
