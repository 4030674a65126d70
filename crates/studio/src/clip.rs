//! Clips: the same scene through a camera that really moves, so near things pass far ones.
//!
//! Invariants: frame k of a clip depends on the scene, the move and k alone; moves begin and end at
//! rest; a camera never goes below the surface.

use impasto_domain::{Result, Workbench};
use impasto_media::Picture;

use crate::render::{Lens, Take};
use crate::scene::{Camera, Scene};
use crate::vector::smooth;

/// How the camera moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Orbit,
    PushIn,
    PullOut,
    PanLeft,
    PanRight,
    CraneUp,
    Static,
}

/// Moves by name, and words of a description that ask for them.
const MOVES: &[(&str, Move)] = &[
    ("orbit", Move::Orbit),
    ("push-in", Move::PushIn),
    ("pull-out", Move::PullOut),
    ("pan-left", Move::PanLeft),
    ("pan-right", Move::PanRight),
    ("crane-up", Move::CraneUp),
    ("static", Move::Static),
    ("push in", Move::PushIn),
    ("zoom in", Move::PushIn),
    ("dolly in", Move::PushIn),
    ("pull out", Move::PullOut),
    ("pull back", Move::PullOut),
    ("zoom out", Move::PullOut),
    ("around", Move::Orbit),
    ("circling", Move::Orbit),
    ("turntable", Move::Orbit),
    ("pan left", Move::PanLeft),
    ("pan right", Move::PanRight),
    ("panning", Move::PanRight),
    ("crane", Move::CraneUp),
    ("rises", Move::CraneUp),
    ("locked-off", Move::Static),
    ("still camera", Move::Static),
];

impl Move {
    /// The move of that name; `auto` (or any other) reads it from the description, or takes one
    /// that suits the seed.
    pub(crate) fn of(name: &str, text: &str, seed: u64) -> Self {
        let text = text.to_lowercase();
        let named = MOVES.iter().find(|row| row.0 == name);
        let said = || MOVES.iter().find(|row| text.contains(row.0));
        let usual = [Move::Orbit, Move::PushIn, Move::PanRight];
        named.or_else(said).map_or_else(
            || usual.get((seed % 3) as usize).copied().unwrap_or(Move::Orbit),
            |row| row.1,
        )
    }

    /// The camera of a frame; `t` goes from 0 to 1.
    pub(crate) fn camera(self, scene: &Scene, t: f32) -> Camera {
        let mut camera = scene.camera;
        let go = smooth(0.0, 1.0, t);
        match self {
            Self::Orbit => camera.yaw_deg += -16.0 + 32.0 * go,
            Self::PushIn => camera.distance *= 1.12 - 0.30 * go,
            Self::PullOut => camera.distance *= 0.84 + 0.30 * go,
            Self::PanLeft => camera.centre.0 += -0.07 + 0.14 * go,
            Self::PanRight => camera.centre.0 += 0.07 - 0.14 * go,
            Self::CraneUp => {
                camera.pitch_deg += -4.0 + 14.0 * go;
                camera.distance *= 1.0 + 0.06 * go;
            }
            Self::Static => {}
        }
        camera
    }

    /// The lens of a frame.
    pub(crate) fn lens(self, scene: &Scene, t: f32, aspect: f32) -> Lens {
        Lens::of(&self.camera(scene, t), aspect)
    }
}

/// What a clip is to be.
pub(crate) struct Plan {
    /// Width and height in pixels; both even.
    pub(crate) size: (u32, u32),
    /// Frames a second.
    pub(crate) fps: f64,
    /// How many frames.
    pub(crate) count: usize,
    /// How the camera moves.
    pub(crate) motion: Move,
}

/// Most frames of a clip: 15 seconds at 60 a second.
pub(crate) const MAX_FRAMES: usize = 900;

/// The frames of a clip, made as they are asked for.
pub(crate) fn frames<'a>(
    scene: &'a Scene,
    plan: &'a Plan,
    bench: &'a dyn Workbench,
) -> Result<impl Iterator<Item = Result<Picture>> + 'a> {
    let aspect = plan.size.0 as f32 / plan.size.1.max(1) as f32;
    let take = Take::new(scene, &plan.motion.lens(scene, 0.5, aspect), bench)?;
    let count = plan.count.clamp(1, MAX_FRAMES);
    Ok((0..count).map(move |index| {
        bench.progress(index as f64 / count as f64, "rendering");
        let t = index as f32 / (count.max(2) - 1) as f32;
        take.frame(&plan.motion.lens(scene, t, aspect), plan.size, bench)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_domain::Bench;

    #[test]
    fn moves_are_read_from_names_and_words() {
        for (name, text, wanted) in [
            ("push-in", "a mug, camera circling", Move::PushIn),
            ("auto", "a mug, camera circling it slowly", Move::Orbit),
            ("auto", "pull back from a mug", Move::PullOut),
        ] {
            assert_eq!(Move::of(name, text, 4), wanted, "{name} {text}");
        }
    }

    #[test]
    fn the_camera_really_moves() {
        let scene = Scene::from_description("a blue vase on marble, window light", 3);
        let bench = Bench::default();
        let frames_of = |motion| {
            let plan = Plan { size: (96, 54), fps: 8.0, count: 3, motion };
            frames(&scene, &plan, &bench)
                .unwrap()
                .map(|frame| frame.unwrap().pixels)
                .collect::<Vec<_>>()
        };
        let still = frames_of(Move::Static);
        assert!(still.windows(2).all(|pair| pair[0] == pair[1]));
        for motion in [Move::Orbit, Move::PushIn, Move::PanLeft, Move::CraneUp] {
            let moved = frames_of(motion);
            assert_eq!(moved.len(), 3);
            assert!(moved.windows(2).all(|pair| pair[0] != pair[1]), "{motion:?}");
        }
    }
}
