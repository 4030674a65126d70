//! The camera in numbers: rays for places in the picture and back.
//!
//! Invariant: the lens is shifted, not tilted, to put what it aims at where the scene wants it, so
//! upright things stay upright.

use crate::scene::{Camera, Scene};
use crate::vector::{V3, v3};

/// A camera at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lens {
    /// Where it is.
    pub(crate) at: V3,
    forward: V3,
    right: V3,
    up: V3,
    tangent: f32,
    aspect: f32,
    centre: (f32, f32),
    /// How far away things are sharp.
    pub(crate) focus: f32,
    /// Blur radius of the infinitely far, as a share of the picture's width.
    pub(crate) blur: f32,
}

impl Lens {
    /// The camera of `scene` for pictures of that width to height.
    pub(crate) fn new(scene: &Scene, aspect: f32) -> Self {
        Self::of(&scene.camera, aspect)
    }

    /// A camera for pictures of that width to height.
    pub(crate) fn of(camera: &Camera, aspect: f32) -> Self {
        let (pitch, yaw) = (camera.pitch_deg.to_radians(), camera.yaw_deg.to_radians());
        let back = v3(yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos());
        let aim = v3(0.0, camera.aim, 0.0);
        let right = v3(yaw.cos(), 0.0, -yaw.sin());
        // A tall picture must still have room for what is wide.
        let wider = (1.05 / aspect).clamp(1.0, 1.7);
        let mut at = aim + back * camera.distance;
        at.y = at.y.max(0.06);
        Self {
            at,
            forward: -back,
            right,
            up: back.cross(right),
            tangent: (camera.view_deg.to_radians() * 0.5).tan() * wider,
            aspect,
            centre: camera.centre,
            focus: camera.distance,
            blur: camera.blur * 0.042,
        }
    }

    /// Width to height of its pictures.
    pub(crate) fn aspect(&self) -> f32 {
        self.aspect
    }

    /// The direction of a place in the picture (shares from the left and from the top).
    pub(crate) fn ray(&self, x: f32, y: f32) -> V3 {
        let across = (x - self.centre.0) * 2.0 * self.tangent * self.aspect;
        let upward = (self.centre.1 - y) * 2.0 * self.tangent;
        (self.forward + self.right * across + self.up * upward).unit()
    }

    /// How far along the view a place is.
    pub(crate) fn depth(&self, p: V3) -> f32 {
        (p - self.at).dot(self.forward)
    }

    /// Width of a pixel at distance one, for a picture so many pixels high.
    pub(crate) fn pixel(&self, height: u32) -> f32 {
        2.0 * self.tangent / height.max(1) as f32
    }

    /// Blur radius at a depth as a share of the picture's width; negative before the focus.
    pub(crate) fn circle(&self, depth: f32) -> f32 {
        let depth = depth.max(0.3);
        // What is meant to be seen is a whole thing: nearby depths stay sharp.
        let off = depth - self.focus;
        let sharp = if off < 0.0 { 0.8 } else { 0.35 };
        let off = off.signum() * (off.abs() - sharp).max(0.0);
        (self.blur * off / depth).clamp(-0.03, 0.03)
    }

    /// Blur radius of the backdrop: less than optics would have it, so that one can tell what it is.
    pub(crate) fn backdrop_circle(&self) -> f32 {
        self.blur * 0.40
    }
}
