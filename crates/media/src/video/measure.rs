//! Endpoint `measure-video`: what can be said of a video without opinions.

use impasto_domain::{Result, Value, Values, Workbench};

use super::stage::Stage;
use super::timeline::Timeline;
use crate::Picture;
use crate::arguments::{Arguments, output};

/// Columns of the grid on which frames are compared; details finer than this do not count.
const COLUMNS: usize = 160;

/// Side of the squares that are compared.
const BLOCK: usize = 8;

/// A mean change of less than this, of 255, is no change: it is the noise of coding.
const STILL: f64 = 0.15;

/// A frame whose mean brightness is less than this, of 255, is black (16 would be limited range).
const BLACK: f64 = 6.0;

pub(super) fn measure(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let timeline = Timeline::read(bench, input.asset("video")?)?;
    let overlays = super::caption::Overlay::all(&timeline, bench)?;
    let mut stage = Stage::new(&timeline, &overlays, bench);
    let mut sums = Sums::default();
    let mut before: Option<Grid> = None;
    for number in 0..timeline.frames() {
        bench.check_cancelled()?;
        let grid = Grid::of(&stage.frame(number)?);
        sums.black += f64::from(u8::from(grid.mean() < BLACK));
        if let Some(before) = &before {
            let change = grid.change(before);
            sums.consistency += grid.similarity(before);
            sums.flicker += (grid.mean() - before.mean()).abs() / 255.0;
            sums.motion += change / 255.0;
            sums.frozen += f64::from(u8::from(change < STILL));
        }
        before = Some(grid);
        bench.progress(number as f64 / timeline.frames() as f64, "frames");
    }
    let frames = timeline.frames() as f64;
    let pairs = (frames - 1.0).max(1.0);
    let alone = timeline.frames() == 1;
    let value = |sum: f64, count: f64| Value::from(sum / count);
    Ok(output([
        ("consistency", if alone { Value::from(1.0) } else { value(sums.consistency, pairs) }),
        ("flicker", value(sums.flicker, pairs)),
        ("motion", value(sums.motion, pairs)),
        ("frozen", value(sums.frozen, pairs)),
        ("black", value(sums.black, frames)),
    ]))
}

#[derive(Default)]
struct Sums {
    consistency: f64,
    flicker: f64,
    motion: f64,
    frozen: f64,
    black: f64,
}

/// The brightness of a frame, averaged over cells of a coarse grid.
struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<f64>,
}

impl Grid {
    fn of(frame: &Picture) -> Self {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let columns = COLUMNS.min(width).max(1);
        let rows = (columns * height / width.max(1)).clamp(1, height.max(1));
        let mut cells = vec![0.0; columns * rows];
        let mut counts = vec![0.0; columns * rows];
        for (x, y, pixel) in frame.pixels.enumerate_pixels() {
            let cell = (y as usize * rows / height) * columns + x as usize * columns / width;
            let [red, green, blue, _] = pixel.0.map(f64::from);
            cells[cell] += 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            counts[cell] += 1.0;
        }
        cells.iter_mut().zip(counts).for_each(|(cell, count)| *cell /= f64::max(count, 1.0));
        Self { columns, rows, cells }
    }

    fn mean(&self) -> f64 {
        self.cells.iter().sum::<f64>() / self.cells.len().max(1) as f64
    }

    fn change(&self, other: &Self) -> f64 {
        let sum: f64 = self.cells.iter().zip(&other.cells).map(|(a, b)| (a - b).abs()).sum();
        sum / self.cells.len().max(1) as f64
    }

    /// Mean SSIM over squares. Source: Wang et al., "Image quality assessment: from error
    /// visibility to structural similarity", 2004.
    fn similarity(&self, other: &Self) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for top in (0..self.rows).step_by(BLOCK) {
            for left in (0..self.columns).step_by(BLOCK) {
                sum += self.block_similarity(other, left, top);
                count += 1.0;
            }
        }
        sum / f64::max(count, 1.0)
    }

    fn block_similarity(&self, other: &Self, left: usize, top: usize) -> f64 {
        const MEAN_GUARD: f64 = (0.01 * 255.0) * (0.01 * 255.0);
        const SPREAD_GUARD: f64 = (0.03 * 255.0) * (0.03 * 255.0);
        let places = (top..(top + BLOCK).min(self.rows)).flat_map(|y| {
            (left..(left + BLOCK).min(self.columns)).map(move |x| y * self.columns + x)
        });
        let pairs: Vec<(f64, f64)> =
            places.map(|place| (self.cells[place], other.cells[place])).collect();
        let count = pairs.len() as f64;
        let mean = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        let (a, b) = (mean.0 / count, mean.1 / count);
        let spread = |f: fn(f64, f64) -> f64| {
            pairs.iter().map(|pair| f(pair.0 - a, pair.1 - b)).sum::<f64>() / count
        };
        let (aa, bb, ab) = (spread(|a, _| a * a), spread(|_, b| b * b), spread(|a, b| a * b));
        (2.0 * a * b + MEAN_GUARD) * (2.0 * ab + SPREAD_GUARD)
            / ((a * a + b * b + MEAN_GUARD) * (aa + bb + SPREAD_GUARD))
    }
}
