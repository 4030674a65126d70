//! Vectors of three numbers, used for places, directions and linear colours alike.
//!
//! Invariant: plain data in `f32`; every function is pure, so equal input gives equal bits.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

/// Three numbers: a place or direction (x right, y up, z towards the viewer), or linear RGB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct V3 {
    /// Rightwards, or red.
    pub x: f32,
    /// Upwards, or green.
    pub y: f32,
    /// Towards the viewer, or blue.
    pub z: f32,
}

/// Shorthand for a vector.
pub const fn v3(x: f32, y: f32, z: f32) -> V3 {
    V3 { x, y, z }
}

impl V3 {
    /// Nothing, or black.
    pub const ZERO: V3 = v3(0.0, 0.0, 0.0);
    /// All ones, or white.
    pub const ONE: V3 = v3(1.0, 1.0, 1.0);
    /// Upwards.
    pub const UP: V3 = v3(0.0, 1.0, 0.0);

    /// The same number three times.
    pub const fn all(value: f32) -> V3 {
        v3(value, value, value)
    }

    /// The scalar product.
    pub fn dot(self, other: V3) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The vector product.
    pub fn cross(self, other: V3) -> V3 {
        v3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// The length.
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The same direction with length one; upwards if there is none.
    pub fn unit(self) -> V3 {
        let length = self.length();
        if length > 1e-12 { self / length } else { V3::UP }
    }

    /// The mirror image of this direction at a surface with normal `n`.
    pub fn reflect(self, n: V3) -> V3 {
        self - n * (2.0 * self.dot(n))
    }

    /// From this to `other` by the share `t`.
    pub fn mix(self, other: V3, t: f32) -> V3 {
        self + (other - self) * t
    }

    /// A function of each part.
    pub fn map(self, f: impl Fn(f32) -> f32) -> V3 {
        v3(f(self.x), f(self.y), f(self.z))
    }

    /// The greater of each part.
    pub fn max(self, other: V3) -> V3 {
        v3(self.x.max(other.x), self.y.max(other.y), self.z.max(other.z))
    }

    /// The lesser of each part.
    pub fn min(self, other: V3) -> V3 {
        v3(self.x.min(other.x), self.y.min(other.y), self.z.min(other.z))
    }

    /// The greatest part.
    pub fn most(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    /// How bright a linear colour is (Rec. 709).
    pub fn luminance(self) -> f32 {
        0.2126 * self.x + 0.7152 * self.y + 0.0722 * self.z
    }

    /// Turned about the vertical axis by `angle` radians.
    pub fn turned(self, angle: f32) -> V3 {
        let (sin, cos) = angle.sin_cos();
        v3(cos * self.x + sin * self.z, self.y, cos * self.z - sin * self.x)
    }
}

impl Add for V3 {
    type Output = V3;
    fn add(self, other: V3) -> V3 {
        v3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for V3 {
    fn add_assign(&mut self, other: V3) {
        *self = *self + other;
    }
}

impl Sub for V3 {
    type Output = V3;
    fn sub(self, other: V3) -> V3 {
        v3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for V3 {
    type Output = V3;
    fn mul(self, by: f32) -> V3 {
        v3(self.x * by, self.y * by, self.z * by)
    }
}

impl Mul for V3 {
    type Output = V3;
    fn mul(self, other: V3) -> V3 {
        v3(self.x * other.x, self.y * other.y, self.z * other.z)
    }
}

impl MulAssign<f32> for V3 {
    fn mul_assign(&mut self, by: f32) {
        *self = *self * by;
    }
}

impl Div<f32> for V3 {
    type Output = V3;
    fn div(self, by: f32) -> V3 {
        v3(self.x / by, self.y / by, self.z / by)
    }
}

impl Neg for V3 {
    type Output = V3;
    fn neg(self) -> V3 {
        v3(-self.x, -self.y, -self.z)
    }
}

/// From `a` to `b` by the share `t`.
pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `from`, 1 above `to`, smooth between; `from` may be the greater.
pub(crate) fn smooth(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The length of a level vector. The library's takes care of overflow that cannot happen here, and
/// takes its time for it.
pub(crate) fn hypot(a: f32, b: f32) -> f32 {
    (a * a + b * b).sqrt()
}
