//! Bodies as signed distances: simple forms, joined smoothly or carved away.
//!
//! Invariant: [`Body::distance`] never exceeds the true distance by much, so rays may step by it;
//! it is what pictures are traced from and what meshes are made of.

use std::sync::Arc;

use crate::material::Material;
use crate::vector::{V3, hypot, smooth, v3};

/// A form around its own origin.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// A ball of this radius.
    Ball(f32),
    /// An ellipsoid with these half axes.
    Ellipsoid(V3),
    /// A block with these half sides and rounded edges.
    Block(V3, f32),
    /// An upright cylinder: radius, half height, rounding.
    Rod(f32, f32, f32),
    /// From one point to another, with a radius at each.
    Limb(V3, V3, f32, f32),
    /// A ring about the z axis: its half width, half height, and the radius of its rod.
    Ring(f32, f32, f32),
    /// An outline turned about the vertical axis.
    Turned(Arc<Outline>),
}

/// One form of a body, where it is and what of.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    form: Form,
    at: V3,
    /// Rows of the rotation into the form's own frame.
    frame: Option<[V3; 3]>,
    material: usize,
    blend: f32,
    carve: bool,
}

impl Part {
    /// A form of a material, at the origin.
    pub(crate) fn new(form: Form, material: usize) -> Self {
        Self { form, at: V3::ZERO, frame: None, material, blend: 0.0, carve: false }
    }

    /// Moved there.
    pub(crate) fn at(mut self, x: f32, y: f32, z: f32) -> Self {
        self.at = v3(x, y, z);
        self
    }

    /// Turned about the vertical, then tilted about z; radians.
    pub(crate) fn turned(mut self, yaw: f32, tilt: f32) -> Self {
        let (sin, cos) = tilt.sin_cos();
        let rows = [v3(cos, sin, 0.0), v3(-sin, cos, 0.0), v3(0.0, 0.0, 1.0)];
        self.frame = Some(rows.map(|row| row.turned(yaw)));
        self
    }

    /// Joined to what comes before it with a fillet of this width.
    pub(crate) fn joined(mut self, blend: f32) -> Self {
        self.blend = blend;
        self
    }

    /// Taken away from what comes before it instead of added.
    pub(crate) fn carved(mut self) -> Self {
        self.carve = true;
        self
    }

    fn distance(&self, p: V3) -> f32 {
        let p = p - self.at;
        let p = self.frame.map_or(p, |[x, y, z]| v3(x.dot(p), y.dot(p), z.dot(p)));
        match &self.form {
            Form::Ball(radius) => p.length() - radius,
            Form::Ellipsoid(axes) => {
                let near = v3(p.x / axes.x, p.y / axes.y, p.z / axes.z);
                let steep = v3(near.x / axes.x, near.y / axes.y, near.z / axes.z).length();
                let k = near.length();
                if steep < 1e-6 { -axes.x.min(axes.y).min(axes.z) } else { k * (k - 1.0) / steep }
            }
            Form::Block(half, round) => {
                let q = v3(p.x.abs() - half.x, p.y.abs() - half.y, p.z.abs() - half.z)
                    + V3::all(*round);
                q.max(V3::ZERO).length() + q.most().min(0.0) - round
            }
            Form::Rod(radius, half, round) => {
                let across = (p.x * p.x + p.z * p.z).sqrt() - radius + round;
                let along = p.y.abs() - half + round;
                across.max(along).min(0.0) + hypot(across.max(0.0), along.max(0.0)) - round
            }
            Form::Limb(a, b, from, to) => {
                let (pa, ba) = (p - *a, *b - *a);
                let t = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
                (pa - ba * t).length() - from - (to - from) * t
            }
            Form::Ring(wide, high, rod) => {
                // A rounded rectangle of which only the corners bend: the usual handle.
                let bend = wide.min(*high);
                let qx = (p.x.abs() - (wide - bend)).max(0.0);
                let qy = (p.y.abs() - (high - bend)).max(0.0);
                hypot(hypot(qx, qy) - bend, p.z) - rod
            }
            Form::Turned(outline) => outline.distance((p.x * p.x + p.z * p.z).sqrt(), p.y),
        }
    }
}

/// A closed outline beside the vertical axis, as a grid of distances.
#[derive(Debug)]
pub(crate) struct Outline {
    low: f32,
    cell: f32,
    columns: usize,
    rows: usize,
    distances: Vec<f32>,
    reach: (f32, f32, f32),
}

/// Cells along the longer side of an outline's grid.
const OUTLINE_CELLS: f32 = 200.0;

impl Outline {
    /// The body turned from `points` (radius, height), from the axis at the bottom to the axis at
    /// the top; corners are rounded off `rounds` times.
    pub(crate) fn new(points: &[(f32, f32)], rounds: usize) -> Arc<Self> {
        let mut line = points.to_vec();
        for _ in 0..rounds {
            line = cut_corners(&line);
        }
        let wide = line.iter().fold(0.0_f32, |most, point| most.max(point.0));
        let low = line.iter().fold(f32::MAX, |least, point| least.min(point.1));
        let high = line.iter().fold(f32::MIN, |most, point| most.max(point.1));
        let margin = 0.06 * wide.max(high - low);
        let cell = (wide + margin).max(high - low + 2.0 * margin) / OUTLINE_CELLS;
        let columns = ((wide + margin) / cell).ceil() as usize + 2;
        let rows = ((high - low + 2.0 * margin) / cell).ceil() as usize + 2;
        let bottom = low - margin;
        let mut distances = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                distances.push(signed(&line, column as f32 * cell, bottom + row as f32 * cell));
            }
        }
        Arc::new(Self { low: bottom, cell, columns, rows, distances, reach: (wide, low, high) })
    }

    fn distance(&self, across: f32, along: f32) -> f32 {
        let (x, y) = (across / self.cell, (along - self.low) / self.cell);
        let (cx, cy) =
            (x.clamp(0.0, self.columns as f32 - 1.001), y.clamp(0.0, self.rows as f32 - 1.001));
        let outside = hypot(x - cx, y - cy) * self.cell;
        let (ix, iy) = (cx as usize, cy as usize);
        let (fx, fy) = (cx - ix as f32, cy - iy as f32);
        let at =
            |x: usize, y: usize| self.distances.get(y * self.columns + x).copied().unwrap_or(0.0);
        let below = at(ix, iy) + (at(ix + 1, iy) - at(ix, iy)) * fx;
        let above = at(ix, iy + 1) + (at(ix + 1, iy + 1) - at(ix, iy + 1)) * fx;
        below + (above - below) * fy + outside
    }
}

/// Each corner replaced by two points on its sides; the ends stay.
fn cut_corners(line: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let mut cut = Vec::with_capacity(line.len() * 2);
    cut.extend(line.first());
    for pair in line.windows(2) {
        if let [a, b] = pair {
            cut.push((0.75 * a.0 + 0.25 * b.0, 0.75 * a.1 + 0.25 * b.1));
            cut.push((0.25 * a.0 + 0.75 * b.0, 0.25 * a.1 + 0.75 * b.1));
        }
    }
    cut.extend(line.last());
    cut
}

/// Distance from a point to the outline, negative inside.
fn signed(line: &[(f32, f32)], x: f32, y: f32) -> f32 {
    let (mut nearest, mut inside) = (f32::MAX, false);
    let ends = line.last().zip(line.first()).map(|(last, first)| (*last, *first));
    let sides = line.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
    for (a, b, axis) in sides.map(|(a, b)| (a, b, false)).chain(ends.map(|(a, b)| (a, b, true))) {
        if (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0 {
            inside = !inside;
        }
        if axis {
            continue;
        }
        let (ex, ey) = (b.0 - a.0, b.1 - a.1);
        let (px, py) = (x - a.0, y - a.1);
        let t = ((px * ex + py * ey) / (ex * ex + ey * ey).max(1e-12)).clamp(0.0, 1.0);
        let (dx, dy) = (px - ex * t, py - ey * t);
        nearest = nearest.min(dx * dx + dy * dy);
    }
    if inside { -nearest.sqrt() } else { nearest.sqrt() }
}

/// A body of parts; its foot is at y = 0.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    parts: Vec<Part>,
    /// What its parts are made of.
    pub(crate) materials: Vec<Material>,
    /// Its lowest corner.
    pub(crate) low: V3,
    /// Its highest corner.
    pub(crate) high: V3,
}

impl Body {
    /// A body of parts with room for all of them.
    pub(crate) fn new(parts: Vec<Part>, materials: Vec<Material>) -> Self {
        let (mut low, mut high) = (V3::all(f32::MAX), V3::all(f32::MIN));
        for part in parts.iter().filter(|part| !part.carve) {
            let (from, to) = reach(part);
            low = low.min(from);
            high = high.max(to);
        }
        Self { parts, materials, low: low - V3::all(0.01), high: high + V3::all(0.01) }
    }

    /// Signed distance to its skin.
    pub(crate) fn distance(&self, p: V3) -> f32 {
        let mut distance = f32::MAX;
        for part in &self.parts {
            let own = part.distance(p);
            distance = match (part.carve, part.blend > 0.0) {
                (true, false) => distance.max(-own),
                (true, true) => -soft_least(-distance, own, part.blend),
                (false, false) => distance.min(own),
                (false, true) => soft_least(distance, own, part.blend),
            };
        }
        distance
    }

    /// What it is made of nearest to `p`.
    pub(crate) fn material(&self, p: V3) -> Option<&Material> {
        self.materials.get(self.material_index(p)?)
    }

    /// Which of its materials is nearest to `p`.
    pub(crate) fn material_index(&self, p: V3) -> Option<usize> {
        let (mut distance, mut material) = (f32::MAX, None);
        for part in &self.parts {
            let own = part.distance(p);
            if part.carve {
                distance = distance.max(-own);
            } else if own < distance {
                (distance, material) = (own, Some(part.material));
            }
        }
        material
    }

    /// The direction away from its skin at `p`.
    pub(crate) fn normal(&self, p: V3, step: f32) -> V3 {
        let corners = [v3(1.0, -1.0, -1.0), v3(-1.0, -1.0, 1.0), v3(-1.0, 1.0, -1.0), V3::ONE];
        let sum = corners.iter().fold(V3::ZERO, |sum, k| sum + *k * self.distance(p + *k * step));
        sum.unit()
    }
}

fn soft_least(a: f32, b: f32, width: f32) -> f32 {
    let near = (width - (a - b).abs()).max(0.0) / width;
    a.min(b) - near * near * width * 0.25
}

fn reach(part: &Part) -> (V3, V3) {
    let (low, high) = match &part.form {
        Form::Ball(radius) => (V3::all(-radius), V3::all(*radius)),
        Form::Ellipsoid(axes) => (-*axes, *axes),
        Form::Block(half, _) => (-*half, *half),
        Form::Rod(radius, half, _) => (v3(-radius, -half, -radius), v3(*radius, *half, *radius)),
        Form::Limb(a, b, from, to) => {
            let room = V3::all(from.max(*to));
            (a.min(*b) - room, a.max(*b) + room)
        }
        Form::Ring(wide, high, rod) => {
            let corner = v3(wide + rod, high + rod, *rod);
            (-corner, corner)
        }
        Form::Turned(outline) => {
            let (wide, low, high) = outline.reach;
            (v3(-wide, low, -wide), v3(wide, high, wide))
        }
    };
    let Some(rows) = part.frame else { return (low + part.at, high + part.at) };
    let (mut least, mut most) = (V3::all(f32::MAX), V3::all(f32::MIN));
    for corner in 0..8 {
        let pick = |bit: u32, a: f32, b: f32| if corner & bit == 0 { a } else { b };
        let local = v3(pick(1, low.x, high.x), pick(2, low.y, high.y), pick(4, low.z, high.z));
        let turned = rows[0] * local.x + rows[1] * local.y + rows[2] * local.z;
        least = least.min(turned);
        most = most.max(turned);
    }
    (least + part.at, most + part.at)
}

/// A body somewhere in the world.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// The body.
    pub(crate) body: Body,
    /// Where its foot stands.
    pub(crate) at: V3,
    /// How much larger than drawn.
    pub(crate) scale: f32,
    /// How far it is turned about the vertical; radians.
    pub(crate) yaw: f32,
    /// Sine and cosine of that, as every step of every ray needs them.
    spin: (f32, f32),
}

impl Placed {
    /// A body at a place, of a size, turned by an angle.
    pub(crate) fn new(body: Body, at: V3, scale: f32, yaw: f32) -> Self {
        Self { body, at, scale, yaw, spin: yaw.sin_cos() }
    }

    /// A direction in the world as the body sees it.
    fn inward(&self, d: V3) -> V3 {
        let (sin, cos) = self.spin;
        v3(cos * d.x - sin * d.z, d.y, cos * d.z + sin * d.x)
    }

    /// A place in the world as the body sees it.
    pub(crate) fn local(&self, p: V3) -> V3 {
        self.inward(p - self.at) * (1.0 / self.scale)
    }

    /// Signed distance in the world.
    pub(crate) fn distance(&self, p: V3) -> f32 {
        self.body.distance(self.local(p)) * self.scale
    }

    /// The part of the ray that is within `room` of its box.
    pub(crate) fn span(&self, from: V3, to: V3, room: f32) -> Option<(f32, f32)> {
        let (o, d) = (self.inward(from - self.at), self.inward(to));
        let (low, high) = (
            self.body.low * self.scale - V3::all(room),
            self.body.high * self.scale + V3::all(room),
        );
        let (mut near, mut far) = (0.0_f32, f32::MAX);
        for (o, d, low, high) in
            [(o.x, d.x, low.x, high.x), (o.y, d.y, low.y, high.y), (o.z, d.z, low.z, high.z)]
        {
            if d.abs() < 1e-9 {
                if o < low || o > high {
                    return None;
                }
                continue;
            }
            let (a, b) = ((low - o) / d, (high - o) / d);
            near = near.max(a.min(b));
            far = far.min(a.max(b));
        }
        (near < far).then_some((near, far))
    }

    /// Where a ray first meets it, searched from `start` to `end` along the ray.
    pub(crate) fn meet(&self, from: V3, to: V3, most: f32) -> Option<f32> {
        let (near, far) = self.span(from, to, 0.0)?;
        let (mut t, far) = (near, far.min(most));
        for _ in 0..110 {
            if t > far {
                return None;
            }
            let distance = self.distance(from + to * t);
            if distance < 0.000_4 * t.max(0.5) {
                return Some(t);
            }
            t += distance * 0.94;
        }
        None
    }

    /// How much of a round light of half-width `size` (tangent) at the end of the ray is seen: 0 to 1.
    pub(crate) fn veil(&self, from: V3, to: V3, size: f32) -> f32 {
        let reach = (self.body.high - self.body.low).length() * self.scale;
        let Some((near, far)) = self.span(from, to, (size * reach).min(0.6 * reach)) else {
            return 1.0;
        };
        let (mut t, mut seen) = (near.max(0.004), 1.0_f32);
        for _ in 0..32 {
            if t > far {
                break;
            }
            let distance = self.distance(from + to * t);
            seen = seen.min(distance / (size * t));
            if seen < -1.0 {
                return 0.0;
            }
            t += (0.8 * distance.abs()).clamp(0.012 + 0.012 * t, 0.6);
        }
        let share = 0.5 + 0.5 * seen.clamp(-1.0, 1.0);
        smooth(0.0, 1.0, share)
    }
}
