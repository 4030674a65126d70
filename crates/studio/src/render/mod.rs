//! Pictures of a scene: rays, then lens, then film.
//!
//! Invariants: the same scene and size give the same bytes whatever the number of threads, since
//! each pixel is computed alone and nothing is summed across threads; whoever asks for it to stop is
//! heard at every row.

mod film;
mod lens;
mod shade;
mod stage;
mod trace;

pub(crate) use film::tone;
pub(crate) use lens::Lens;
pub(crate) use stage::{Stage, TABLE};

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use impasto_domain::{Result, Workbench};
use impasto_media::Picture;

use crate::scene::Scene;
use crate::vector::V3;
use film::Film;

/// How much work a picture may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// Edges are smoothed.
    Still,
    /// One ray a pixel, for frames of a clip.
    Frame,
}

/// Most pixels of one picture.
pub(crate) const MAX_PIXELS: u64 = 4096 * 4096;

/// What one ray brought back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Linear light.
    pub(crate) color: V3,
    /// Blur radius as a share of the width; negative before the focus.
    pub(crate) circle: f32,
    /// Distance; very large for the backdrop.
    pub(crate) depth: f32,
    /// What was met: 0 is the backdrop, 1 the ground, 2 and on the bodies.
    id: u16,
}

const BACKDROP_DEPTH: f32 = 1e4;

/// A picture of `scene`, `width` × `height` pixels.
pub(crate) fn picture(
    scene: &Scene,
    (width, height): (u32, u32),
    quality: Quality,
    bench: &dyn Workbench,
) -> Result<Picture> {
    let lens = Lens::new(scene, width as f32 / height.max(1) as f32);
    let stage = Stage::new(scene, &lens);
    expose(&stage, &lens, ((width, height), quality), bench)?.develop(scene, None, bench)
}

/// What comes through a lens that looks at a stage.
fn expose(
    stage: &Stage,
    lens: &Lens,
    (size, quality): ((u32, u32), Quality),
    bench: &dyn Workbench,
) -> Result<Film> {
    let (width, height) = (size.0.max(1) as usize, size.1.max(1) as usize);
    let backdrop = film::Backcloth::new(stage, lens, (width, height), bench)?;
    let shot = Shot { stage, lens, width, height, backdrop: &backdrop };
    let first = rows(width, height, bench, |row, line: &mut [Sample]| {
        for (column, sample) in line.iter_mut().enumerate() {
            *sample = shot.sample(column as f32 + 0.5, row as f32 + 0.5);
        }
    })?;
    let samples = match quality {
        Quality::Frame => first,
        Quality::Still => rows(width, height, bench, |row, line: &mut [Sample]| {
            for (column, sample) in line.iter_mut().enumerate() {
                *sample = shot.smoothed(&first, column, row);
            }
        })?,
    };
    Ok(Film { width, height, samples, lens: Some(quality) })
}

/// A scene that is filmed: its stage is built and its exposure is measured once.
pub(crate) struct Take<'a> {
    scene: &'a Scene,
    stage: Stage,
    exposure: f32,
}

impl<'a> Take<'a> {
    /// Makes everything ready; `lens` is that of the middle of the take.
    pub(crate) fn new(scene: &'a Scene, lens: &Lens, bench: &dyn Workbench) -> Result<Self> {
        let stage = Stage::new(scene, &Lens::new(scene, lens.aspect()));
        let meter = (160, (160.0 / lens.aspect()).round().max(2.0) as u32);
        let exposure = expose(&stage, lens, (meter, Quality::Frame), bench)?.metered(scene);
        Ok(Self { scene, stage, exposure })
    }

    /// One frame.
    pub(crate) fn frame(
        &self,
        lens: &Lens,
        size: (u32, u32),
        bench: &dyn Workbench,
    ) -> Result<Picture> {
        expose(&self.stage, lens, (size, Quality::Frame), bench)?.develop(
            self.scene,
            Some(self.exposure),
            bench,
        )
    }
}

struct Shot<'a> {
    stage: &'a Stage,
    lens: &'a Lens,
    width: usize,
    height: usize,
    backdrop: &'a film::Backcloth,
}

impl Shot<'_> {
    fn sample(&self, x: f32, y: f32) -> Sample {
        let (u, v) = (x / self.width as f32, y / self.height as f32);
        let to = self.lens.ray(u, v);
        match self.stage.see(self.lens.at, to, self.lens.pixel(self.height as u32)) {
            Some((color, hit)) => {
                let depth = self.lens.depth(hit.p);
                let id = hit.body.map_or(1, |index| index as u16 + 2);
                Sample {
                    color: color.min(V3::all(60.0)),
                    circle: self.lens.circle(depth),
                    depth,
                    id,
                }
            }
            None => Sample {
                color: self.backdrop.at(u, v),
                circle: self.lens.backdrop_circle(),
                depth: BACKDROP_DEPTH,
                id: 0,
            },
        }
    }

    /// The sample of a pixel, taken anew with more rays if an edge goes through it.
    fn smoothed(&self, first: &[Sample], column: usize, row: usize) -> Sample {
        let at = |x: usize, y: usize| {
            first
                .get(y.min(self.height - 1) * self.width + x.min(self.width - 1))
                .copied()
                .unwrap_or_default()
        };
        let mut own = at(column, row);
        let around = [
            at(column.saturating_sub(1), row),
            at(column + 1, row),
            at(column, row.saturating_sub(1)),
            at(column, row + 1),
        ];
        let tone = |sample: &Sample| sample.color.luminance() / (0.4 + sample.color.luminance());
        let rough = around.iter().any(|other| {
            let step = (tone(other) - tone(&own)).abs();
            // What will be blurred anyway needs no more rays.
            let sharp = own.circle.abs().min(other.circle.abs()) * (self.width as f32) < 2.5;
            other.id != own.id || sharp && step > 0.055
        });
        if rough {
            let mut sum = own.color.min(V3::all(12.0));
            for (dx, dy) in [(0.125, 0.625), (0.375, 0.125), (0.625, 0.875), (0.875, 0.375)] {
                let extra = self.sample(column as f32 + dx, row as f32 + dy);
                sum += extra.color.min(V3::all(12.0));
            }
            own.color = sum / 5.0;
        }
        own
    }
}

/// Fills `width` × `height` values row by row on every core.
pub(crate) fn rows<T, F>(
    width: usize,
    height: usize,
    bench: &dyn Workbench,
    fill: F,
) -> Result<Vec<T>>
where
    T: Copy + Default + Send,
    F: Fn(usize, &mut [T]) + Sync,
{
    let mut all = vec![T::default(); width * height];
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(16);
    let done = AtomicUsize::new(0);
    // Rows are dealt out in turn, so that no worker gets only sky.
    let mut shares: Vec<Vec<(usize, &mut [T])>> = (0..workers).map(|_| Vec::new()).collect();
    for (row, line) in all.chunks_mut(width).enumerate() {
        if let Some(share) = shares.get_mut(row % workers) {
            share.push((row, line));
        }
    }
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                for (row, line) in share {
                    if bench.cancelled() {
                        return;
                    }
                    fill(row, line);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    bench.check_cancelled()?;
    Ok(all)
}

/// The view all around from `eye`, equirectangular, `height` × 2 pixels wide.
pub(crate) fn panorama(
    scene: &Scene,
    stage: &Stage,
    eye: V3,
    height: u32,
    bench: &dyn Workbench,
) -> Result<Picture> {
    let (width, height) = (height as usize * 2, height as usize);
    let pixel = std::f32::consts::PI / height as f32;
    let samples = rows(width, height, bench, |row, line: &mut [Sample]| {
        for (column, sample) in line.iter_mut().enumerate() {
            let mut sum = V3::ZERO;
            for (dx, dy) in [(0.3, 0.3), (0.7, 0.7)] {
                let to = crate::backdrop::direction(
                    (column as f32 + dx) / width as f32,
                    (row as f32 + dy) / height as f32,
                );
                let seen = stage.see(eye, to, pixel).map(|(color, _)| color);
                sum += seen.unwrap_or_else(|| stage.backdrop.paint(eye, to)).min(V3::all(12.0));
            }
            *sample = Sample { color: sum * 0.5, circle: 0.0, depth: 1.0, id: 0 };
        }
    })?;
    let mut plain = scene.clone();
    plain.camera.blur = 0.0;
    Film { width, height, samples, lens: None }.develop(&plain, None, bench)
}
