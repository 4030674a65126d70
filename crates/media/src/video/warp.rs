//! Resampling a part of a picture to a frame, exact to fractions of a pixel.
//!
//! A straight view is a convolution with a crop between pixels. A view from the side is done in two
//! passes, as every column of the frame is one column of the picture, only taller or shorter.

use fast_image_resize as fir;
use fir::images::{Image, ImageRef};
use impasto_domain::{Error, Result};

use super::camera::View;
use crate::Picture;

/// Steps between two pixels in the table of weights.
const PHASES: usize = 1 << PHASE_BITS;
const PHASE_BITS: u32 = 10;

/// Fractional bits of places.
const FIXED_BITS: u32 = 32;

/// Turns views of pictures into frames. Keeps its scratch memory; one for each thread.
pub(crate) struct Warp {
    resizer: fir::Resizer,
    weights: Vec<[f32; 4]>,
    /// The picture with the columns of the frame.
    columns: Vec<[u8; 4]>,
}

impl Warp {
    pub(crate) fn new() -> Self {
        Self { resizer: fir::Resizer::new(), weights: table(), columns: Vec::new() }
    }

    /// What `view` shows of `picture`, as a frame of that size.
    pub(crate) fn frame(
        &mut self,
        picture: &Picture,
        view: &View,
        size: (u32, u32),
    ) -> Result<Picture> {
        if view.yaw_rad == 0.0 {
            return self.straight(picture, view, size);
        }
        Ok(self.sideways(picture, view, size))
    }

    fn straight(&mut self, picture: &Picture, view: &View, size: (u32, u32)) -> Result<Picture> {
        let failed = |error: String| Error::internal(format!("resampling failed: {error}"));
        let (width, height) = (picture.width(), picture.height());
        let source = ImageRef::new(width, height, picture.pixels.as_raw(), fir::PixelType::U8x4)
            .map_err(|error| failed(error.to_string()))?;
        let mut target = Image::new(size.0, size.1, fir::PixelType::U8x4);
        // The view may stick out of the picture by a rounding error.
        let span = |center: f64, size: f64, whole: u32| {
            let size = size.min(f64::from(whole));
            let start = (center - size / 2.0).clamp(0.0, f64::from(whole) - size);
            (start, size)
        };
        let (left, wide) = span(view.center.0, view.size.0, width);
        let (top, tall) = span(view.center.1, view.size.1, height);
        let options = fir::ResizeOptions::new()
            .crop(left, top, wide, tall)
            .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom))
            .use_alpha(false);
        self.resizer
            .resize(&source, &mut target, &options)
            .map_err(|error| failed(error.to_string()))?;
        let pixels = image::RgbaImage::from_raw(size.0, size.1, target.into_vec());
        pixels.map(|pixels| Picture { pixels }).ok_or_else(|| failed("pixels were lost".into()))
    }

    fn sideways(&mut self, picture: &Picture, view: &View, (width, height): (u32, u32)) -> Picture {
        let source = Rows::of(picture);
        let places: Vec<(f64, f64)> = (0..width)
            .map(|x| view.column((f64::from(x) + 0.5) / f64::from(width) - 0.5))
            .collect();
        let taps: Vec<Taps> =
            places.iter().map(|(x, _)| self.taps(fixed(x - 0.5), source.width)).collect();
        self.columns.clear();
        for y in 0..source.height {
            let row = source.row(y);
            self.columns.extend(taps.iter().map(|taps| taps.blend(|place| row[place])));
        }
        // The place in a column grows evenly from row to row.
        let step = view.size.1 / f64::from(height);
        let above = 0.5 - f64::from(height) / 2.0;
        let lines: Vec<(i64, i64)> = places
            .iter()
            .map(|(_, tall)| (fixed(view.center.1 + above * step * tall - 0.5), fixed(step * tall)))
            .collect();
        let across = width as usize;
        let mut frame = Picture::filled(width, height, [0, 0, 0, 255]);
        let rows = frame.pixels.as_flat_samples_mut().samples.chunks_exact_mut(across * 4);
        for (y, row) in rows.enumerate() {
            for (x, (pixel, (start, step))) in row.chunks_exact_mut(4).zip(&lines).enumerate() {
                let taps = self.taps(start + y as i64 * step, source.height);
                pixel.copy_from_slice(&taps.blend(|place| self.columns[place * across + x]));
            }
        }
        frame
    }

    #[inline]
    fn taps(&self, at: i64, count: usize) -> Taps {
        let at = at + (1 << (FIXED_BITS - PHASE_BITS - 1));
        let phase = (at >> (FIXED_BITS - PHASE_BITS)) & (PHASES as i64 - 1);
        let (first, last) = ((at >> FIXED_BITS) - 1, count as i64 - 1);
        let places = [0, 1, 2, 3].map(|tap| (first + tap).clamp(0, last) as usize);
        Taps { places, weights: self.weights[phase as usize] }
    }
}

/// A place in pixels as a number of [`FIXED_BITS`] fractional bits.
fn fixed(place: f64) -> i64 {
    (place * (1_i64 << FIXED_BITS) as f64).round() as i64
}

/// Four neighbours and how much each counts.
struct Taps {
    places: [usize; 4],
    weights: [f32; 4],
}

impl Taps {
    #[inline]
    fn blend(&self, pixel: impl Fn(usize) -> [u8; 4]) -> [u8; 4] {
        let mut sums = [0.5_f32; 4];
        for (place, weight) in self.places.into_iter().zip(self.weights) {
            for (sum, value) in sums.iter_mut().zip(pixel(place)) {
                *sum += f32::from(value) * weight;
            }
        }
        sums.map(|sum| sum as u8)
    }
}

struct Rows<'a> {
    pixels: &'a [[u8; 4]],
    width: usize,
    height: usize,
}

impl<'a> Rows<'a> {
    fn of(picture: &'a Picture) -> Self {
        let (pixels, _) = picture.pixels.as_raw().as_chunks::<4>();
        Self { pixels, width: picture.width() as usize, height: picture.height() as usize }
    }

    fn row(&self, y: usize) -> &'a [[u8; 4]] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }
}

/// Catmull-Rom weights of the four neighbours, for each phase.
fn table() -> Vec<[f32; 4]> {
    let weights = |phase: usize| {
        let t = phase as f32 / PHASES as f32;
        [
            t * (-0.5 + t * (1.0 - 0.5 * t)),
            1.0 + t * t * (1.5 * t - 2.5),
            t * (0.5 + t * (2.0 - 1.5 * t)),
            t * t * (0.5 * t - 0.5),
        ]
    };
    (0..PHASES).map(weights).collect()
}
