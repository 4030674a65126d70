//! Camera moves over a still picture: which part of the picture a frame shows.
//!
//! A move is a function of its progress from 0 to 1; it is continuous, so that frames fall between
//! the pixels of the picture wherever they must. Nothing is ever rounded to whole pixels.

use std::str::FromStr;

use impasto_domain::{Error, Result};
use serde::{Deserialize, Serialize};

/// Distance of the camera that orbits, in widths of the frame.
const ORBIT_DISTANCE: f64 = 1.2;

/// How the camera moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Camera {
    PushIn,
    PullOut,
    PanLeft,
    PanRight,
    TiltUp,
    TiltDown,
    Orbit,
    Static,
}

impl FromStr for Camera {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        serde_json::from_value(name.into()).map_err(|_| {
            Error::invalid(format!("'{name}' is not a camera move")).hint(
                "use push-in, pull-out, pan-left, pan-right, tilt-up, tilt-down, orbit or static",
            )
        })
    }
}

/// How a movement starts and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Easing {
    Smooth,
    Linear,
    EaseIn,
    EaseOut,
}

impl FromStr for Easing {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        serde_json::from_value(name.into()).map_err(|_| {
            Error::invalid(format!("'{name}' is not an easing"))
                .hint("use smooth, linear, ease-in or ease-out")
        })
    }
}

impl Easing {
    /// Progress of the movement at a share of its time.
    ///
    /// The eased forms spend a fifth of the time gathering speed and are straight otherwise: a move
    /// that never reaches a steady speed looks like a lurch.
    pub(crate) fn at(self, share: f64) -> f64 {
        const RAMP: f64 = 0.2;
        let share = share.clamp(0.0, 1.0);
        // Speed grows evenly over each ramp; the area under it is the way.
        let ramps = match self {
            Self::Linear => return share,
            Self::Smooth => (true, true),
            Self::EaseIn => (true, false),
            Self::EaseOut => (false, true),
        };
        let way = |share: f64| {
            let start = if ramps.0 && share < RAMP { share * share / (2.0 * RAMP) } else { share };
            let lost = if ramps.0 && share >= RAMP { RAMP / 2.0 } else { 0.0 };
            let over = if ramps.1 { (share - (1.0 - RAMP)).max(0.0) } else { 0.0 };
            start - lost - over * over / (2.0 * RAMP)
        };
        way(share) / way(1.0)
    }
}

/// The part of a picture that a frame shows, in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    /// The middle.
    pub(crate) center: (f64, f64),
    /// Width and height.
    pub(crate) size: (f64, f64),
    /// By how much the camera stands to the side, as an angle; 0 looks straight on.
    pub(crate) yaw_rad: f64,
    /// The widest that could be seen, straight on.
    whole_width: f64,
}

impl View {
    /// All of a picture.
    pub(crate) fn whole(picture: (f64, f64)) -> Self {
        let center = (picture.0 / 2.0, picture.1 / 2.0);
        Self { center, size: picture, yaw_rad: 0.0, whole_width: picture.0 }
    }

    /// What a camera sees of a picture at `progress`, in a frame of the aspect `frame`. `amount` is
    /// how far it moves, as a share of what fits.
    pub(crate) fn of(
        camera: Camera,
        amount: f64,
        progress: f64,
        picture: (f64, f64),
        frame: (f64, f64),
    ) -> Self {
        let scale = (picture.0 / frame.0).min(picture.1 / frame.1);
        let whole = (frame.0 * scale, frame.1 * scale);
        let near = 1.0 - amount.clamp(0.0, 0.9);
        let middle = (picture.0 / 2.0, picture.1 / 2.0);
        let still = |share: f64| Self {
            center: middle,
            size: (whole.0 * share, whole.1 * share),
            yaw_rad: 0.0,
            whole_width: whole.0,
        };
        let beside = |x: f64, y: f64| {
            // From one side of the middle to the other, by `amount` of the frame.
            let way = (1.0 - near) * (progress - 0.5);
            let view = still(near);
            let center = (middle.0 + x * way * whole.0, middle.1 + y * way * whole.1);
            Self { center, ..view }
        };
        match camera {
            Camera::Static => still(1.0),
            // Equal factors in equal times look like an even speed.
            Camera::PushIn => still(near.powf(progress)),
            Camera::PullOut => still(near.powf(1.0 - progress)),
            Camera::PanLeft => beside(-1.0, 0.0),
            Camera::PanRight => beside(1.0, 0.0),
            Camera::TiltUp => beside(0.0, -1.0),
            Camera::TiltDown => beside(0.0, 1.0),
            Camera::Orbit => {
                let reach = 1.0 - near;
                // Seen from the side, the far edge of the picture comes into the frame: stand closer.
                let closest = ORBIT_DISTANCE * reach.cos() / (ORBIT_DISTANCE + reach.sin() / 2.0);
                Self { yaw_rad: (progress * 2.0 - 1.0) * reach, ..still(closest) }
            }
        }
    }

    /// Where in the picture a column of the frame lies, from -0.5 to 0.5: the place along the width,
    /// and how much of the height is seen there, as a factor.
    pub(crate) fn column(&self, across: f64) -> (f64, f64) {
        if self.yaw_rad == 0.0 {
            return (self.center.0 + across * self.size.0, 1.0);
        }
        let (sin, cos) = self.yaw_rad.sin_cos();
        let seen = across * self.size.0 / self.whole_width;
        let along = seen * ORBIT_DISTANCE / (ORBIT_DISTANCE * cos - seen * sin);
        (self.center.0 + along * self.whole_width, (ORBIT_DISTANCE + along * sin) / ORBIT_DISTANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Camera; 8] = [
        Camera::PushIn,
        Camera::PullOut,
        Camera::PanLeft,
        Camera::PanRight,
        Camera::TiltUp,
        Camera::TiltDown,
        Camera::Orbit,
        Camera::Static,
    ];

    #[test]
    fn every_move_stays_within_the_picture_and_is_steady() {
        for picture in [(1920.0, 1080.0), (800.0, 1600.0), (640.0, 360.0)] {
            for camera in ALL {
                for amount in [0.0, 0.12, 0.5] {
                    let view = |step: i32| {
                        let progress = f64::from(step) / 100.0;
                        View::of(camera, amount, progress, picture, (1280.0, 720.0))
                    };
                    for step in 0..=100 {
                        let view = view(step);
                        for across in [-0.5, 0.0, 0.5] {
                            let (x, tall) = view.column(across);
                            let half = view.size.1 * tall / 2.0;
                            let inside = x >= -1e-6
                                && x <= picture.0 + 1e-6
                                && view.center.1 - half >= -1e-6
                                && view.center.1 + half <= picture.1 + 1e-6;
                            assert!(inside, "{camera:?} {amount} {step} {x} {half}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn easings_go_from_end_to_end_without_turning_back() {
        for easing in [Easing::Smooth, Easing::Linear, Easing::EaseIn, Easing::EaseOut] {
            let places: Vec<f64> =
                (0..=100).map(|step| easing.at(f64::from(step) / 100.0)).collect();
            assert!(places[0].abs() < 1e-9 && (places[100] - 1.0).abs() < 1e-9, "{easing:?}");
            assert!(places.windows(2).all(|pair| pair[1] > pair[0]), "{easing:?}");
            let speed = |at: usize| places[at + 1] - places[at];
            assert!((speed(50) - speed(45)).abs() < 1e-9, "{easing:?}");
        }
    }
}
