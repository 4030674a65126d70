//! Chance without chance: a small generator and lattice noise, both fixed by a seed.
//!
//! Invariants: no state outside the values here, no floating-point sums whose order could vary.

/// A splitmix64 generator: the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// A generator for `seed`; `purpose` keeps the streams of different uses apart.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mut dice = Self { state: seed ^ hash_text(purpose) };
        dice.next();
        dice
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A whole number below `count`, which must not be 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// Whether something with this chance happens.
    pub(crate) fn chance(&mut self, chance: f32) -> bool {
        self.unit() < chance
    }

    /// -1 or 1.
    pub(crate) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { -1.0 } else { 1.0 }
    }
}

/// FNV-1a of a text.
pub(crate) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// 32 well-mixed bits for a lattice point.
pub(crate) fn lattice(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x85eb_ca6b)
        ^ (y as u32).wrapping_mul(0xc2b2_ae35)
        ^ seed.wrapping_mul(0x27d4_eb2f);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// A number from 0 to 1 for a lattice point.
pub(crate) fn lattice_unit(x: i32, y: i32, seed: u32) -> f32 {
    (lattice(x, y, seed) >> 8) as f32 / 16_777_216.0
}

fn slope(x: i32, y: i32, seed: u32, dx: f32, dy: f32) -> f32 {
    let bits = lattice(x, y, seed);
    let gx = (bits & 0xffff) as f32 / 32_767.5 - 1.0;
    let gy = (bits >> 16) as f32 / 32_767.5 - 1.0;
    gx * dx + gy * dy
}

/// The greatest whole number that is not above `x`; numbers here are small.
fn floor(x: f32) -> (f32, i32) {
    let cut = x as i32;
    let whole = if x < cut as f32 { cut.saturating_sub(1) } else { cut };
    (whole as f32, whole)
}

/// Gradient noise, about -1 to 1, smooth, one bump per unit.
pub(crate) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let ((fx, ix), (fy, iy)) = (floor(x), floor(y));
    let (dx, dy) = (x - fx, y - fy);
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (ex, ey) = (ease(dx), ease(dy));
    let (jx, jy) = (ix.wrapping_add(1), iy.wrapping_add(1));
    let near = slope(ix, iy, seed, dx, dy);
    let right = slope(jx, iy, seed, dx - 1.0, dy);
    let above = slope(ix, jy, seed, dx, dy - 1.0);
    let corner = slope(jx, jy, seed, dx - 1.0, dy - 1.0);
    let low = near + (right - near) * ex;
    let high = above + (corner - above) * ex;
    (low + (high - low) * ey) * 1.2
}

/// Noise summed over octaves, each twice as fine and half as strong; about -1 to 1.
///
/// Octaves finer than `footprint` (the width that one sample stands for) are left out smoothly.
pub(crate) fn fractal(x: f32, y: f32, octaves: u32, footprint: f32, seed: u32) -> f32 {
    let (mut sum, mut strength, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        let seen = (1.5 - 2.0 * footprint * scale).clamp(0.0, 1.0);
        if seen <= 0.0 {
            break;
        }
        // Each octave is turned a little, or the lattices would line up.
        let (rx, ry) = (0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y);
        let (px, py) = if octave % 2 == 0 { (x, y) } else { (rx, ry) };
        sum += seen * strength * noise(px * scale + 7.3 * octave as f32, py * scale, seed + octave);
        strength *= 0.5;
        scale *= 2.03;
    }
    sum
}

/// The nearest of scattered points, one per unit cell: distance, distance of the second, its bits.
pub(crate) fn cells(x: f32, y: f32, seed: u32) -> (f32, f32, u32) {
    let (ix, iy) = (x.floor() as i32, y.floor() as i32);
    let (mut first, mut second, mut bits) = (f32::MAX, f32::MAX, 0);
    for cy in iy.saturating_sub(1)..=iy.saturating_add(1) {
        for cx in ix.saturating_sub(1)..=ix.saturating_add(1) {
            let own = lattice(cx, cy, seed);
            let px = cx as f32 + (own & 0xff) as f32 / 255.0 - x;
            let py = cy as f32 + (own >> 8 & 0xff) as f32 / 255.0 - y;
            let distance = px * px + py * py;
            if distance < first {
                (second, first, bits) = (first, distance, own);
            } else {
                second = second.min(distance);
            }
        }
    }
    (first.sqrt(), second.sqrt(), bits)
}
