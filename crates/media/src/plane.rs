//! Planes: one number for each pixel. Masks, coverages, brightness.
//!
//! Blurs are made of running sums, so their cost does not depend on the radius.

use crate::{Picture, color};

/// A rectangle of numbers, in rows from the top left.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Plane {
    /// A plane of zeros.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// A plane whose values are computed from column and row.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut value: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            values.extend((0..width).map(|x| value(x, y)));
        }
        Self { width, height, values }
    }

    /// The perceived lightness of a picture (OKLab), 0 to 1.
    pub fn lightness(picture: &Picture) -> Self {
        let of = |pixel: &image::Rgba<u8>| {
            let [red, green, blue, _] = pixel.0.map(color::to_linear);
            color::oklab([red, green, blue])[0]
        };
        let values = picture.pixels.pixels().map(of).collect();
        Self { width: picture.width() as usize, height: picture.height() as usize, values }
    }

    /// The alpha of a picture, 0 to 1.
    pub fn alpha(picture: &Picture) -> Self {
        let values = picture.pixels.pixels().map(|pixel| f32::from(pixel.0[3]) / 255.0).collect();
        Self { width: picture.width() as usize, height: picture.height() as usize, values }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All values, in rows.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, in rows.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The value at a place; the nearest one if the place lies outside. 0 of an empty plane.
    pub fn at(&self, x: isize, y: isize) -> f32 {
        if self.values.is_empty() {
            return 0.0;
        }
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.values[y * self.width + x]
    }

    /// The value between places, bilinear; pixel centres lie at whole numbers.
    pub fn between(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, bottom_share) = (x - left, y - top);
        let (left, top) = (left as isize, top as isize);
        let upper = self.at(left, top) * (1.0 - right_share) + self.at(left + 1, top) * right_share;
        let lower =
            self.at(left, top + 1) * (1.0 - right_share) + self.at(left + 1, top + 1) * right_share;
        upper * (1.0 - bottom_share) + lower * bottom_share
    }

    /// Each value changed by itself.
    #[must_use]
    pub fn map(&self, change: impl Fn(f32) -> f32) -> Self {
        Self { values: self.values.iter().map(|value| change(*value)).collect(), ..*self }
    }

    /// Each value joined with the value at the same place of an equally large plane.
    #[must_use]
    pub fn zip(&self, other: &Self, join: impl Fn(f32, f32) -> f32) -> Self {
        debug_assert_eq!((self.width, self.height), (other.width, other.height));
        let values = self.values.iter().zip(&other.values).map(|(a, b)| join(*a, *b)).collect();
        Self { values, ..*self }
    }

    /// The mean of all values; 0 if there are none.
    pub fn mean(&self) -> f32 {
        let sum: f64 = self.values.iter().map(|value| f64::from(*value)).sum();
        (sum / self.values.len().max(1) as f64) as f32
    }

    /// The standard deviation of all values.
    pub fn deviation(&self) -> f32 {
        let mean = f64::from(self.mean());
        let sum: f64 = self.values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
        (sum / self.values.len().max(1) as f64).sqrt() as f32
    }

    /// The mean over the square of `2 * radius + 1` places around each place; the edge is repeated.
    #[must_use]
    pub fn box_blurred(&self, radius: usize) -> Self {
        self.averaged(radius, 0.0)
    }

    /// A blur close to a Gaussian of that standard deviation: three box blurs whose outermost places
    /// count in part, so that their variance is exact.
    #[must_use]
    pub fn blurred(&self, sigma: f32) -> Self {
        let variance = sigma.clamp(0.0, 4096.0).powi(2) / 3.0;
        let radius = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
        let whole = 2.0 * radius + 1.0;
        let squares = radius * (radius + 1.0) * whole / 3.0;
        let share = (variance * whole - squares) / (2.0 * ((radius + 1.0).powi(2) - variance));
        let pass = |plane: &Self| plane.averaged(radius as usize, share.clamp(0.0, 1.0));
        pass(&pass(&pass(self)))
    }

    /// The plane as a grey, opaque picture; 0 is black and 1 is white.
    pub fn to_picture(&self) -> Picture {
        Picture::from_fn(self.width as u32, self.height as u32, |x, y| {
            let grey = (self.at(x as isize, y as isize).clamp(0.0, 1.0) * 255.0).round() as u8;
            [grey, grey, grey, 255]
        })
    }

    /// The mean over a square; the places just outside of `radius` count by `share`.
    fn averaged(&self, radius: usize, share: f32) -> Self {
        if self.values.is_empty() || (radius == 0 && share <= 0.0) {
            return self.clone();
        }
        let along_rows =
            |plane: &Self| plane.averaged_along_rows(radius, f64::from(share)).transposed();
        along_rows(&along_rows(self))
    }

    fn averaged_along_rows(&self, radius: usize, share: f64) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        let scale = 1.0 / ((2 * radius + 1) as f64 + 2.0 * share);
        let reach = radius as isize;
        for row in self.values.chunks_exact(self.width) {
            let at =
                |place: isize| f64::from(row[place.clamp(0, self.width as isize - 1) as usize]);
            let mut sum: f64 = (-reach..=reach).map(at).sum();
            for place in 0..self.width as isize {
                let (before, after) = (at(place - reach - 1), at(place + reach + 1));
                values.push(((sum + share * (before + after)) * scale) as f32);
                sum += after - at(place - reach);
            }
        }
        Self { values, ..*self }
    }

    fn transposed(&self) -> Self {
        const TILE: usize = 32;
        let mut values = vec![0.0; self.values.len()];
        for top in (0..self.height).step_by(TILE) {
            for left in (0..self.width).step_by(TILE) {
                for y in top..(top + TILE).min(self.height) {
                    for x in left..(left + TILE).min(self.width) {
                        values[x * self.height + y] = self.values[y * self.width + x];
                    }
                }
            }
        }
        Self { width: self.height, height: self.width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_the_mean_and_spreads_a_point() {
        let mut plane = Plane::new(41, 33);
        plane.values_mut()[16 * 41 + 20] = 1.0;
        for sigma in [0.3_f32, 1.0, 3.3] {
            let blurred = plane.blurred(sigma);
            let sum: f32 = blurred.values().iter().sum();
            assert!((sum - 1.0).abs() < 1e-3, "{sigma}: {sum}");
            let offset = |place: usize| (place % 41) as f32 - 20.0;
            let spread =
                blurred.values().iter().enumerate().map(|(place, v)| v * offset(place).powi(2));
            assert!((spread.sum::<f32>() - sigma * sigma).abs() < 0.02 * sigma * sigma, "{sigma}");
            assert!((blurred.at(18, 16) - blurred.at(22, 16)).abs() < 1e-6);
        }
        assert_eq!(plane.blurred(0.0), plane);
    }

    #[test]
    fn an_empty_plane_does_nothing() {
        assert_eq!(Plane::new(0, 0).blurred(3.0).mean(), 0.0);
        assert_eq!(Plane::new(0, 7).at(3, 3), 0.0);
    }
}
