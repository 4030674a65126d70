//! A plain backdrop: a smooth colour surface fitted to the border of the picture.

use super::working::Working;

/// Terms of the surface: 1, x, y, x², xy, y².
const TERMS: usize = 6;

/// A quadratic OKLab surface over the picture.
pub(super) struct Backdrop {
    coefficients: [[f32; 3]; TERMS],
    /// The typical distance of the border's colours from the surface, in OKLab.
    pub(super) residual: f32,
}

impl Backdrop {
    /// Fits the surface to the pixels that count as border, leaving outliers out step by step: where
    /// the subject touches the border it must not bend the surface.
    pub(super) fn fit(working: &Working, is_border: impl Fn(usize, usize) -> bool) -> Self {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for y in 0..working.height {
            places.extend((0..working.width).filter(|x| is_border(*x, y)).map(|x| (x, y)));
        }
        let mut backdrop = Self { coefficients: [[0.0; 3]; TERMS], residual: f32::INFINITY };
        for _ in 0..4 {
            let far = (backdrop.residual * 2.5).powi(2);
            let near: Vec<_> = places
                .iter()
                .copied()
                .filter(|(x, y)| far.is_infinite() || backdrop.distance(working, *x, *y) < far)
                .collect();
            backdrop.coefficients = least_squares(working, &near);
            let mut off: Vec<f32> =
                places.iter().map(|(x, y)| backdrop.distance(working, *x, *y).sqrt()).collect();
            off.sort_by(f32::total_cmp);
            backdrop.residual = off.get(off.len() * 7 / 10).copied().unwrap_or(1.0).max(0.004);
        }
        backdrop
    }

    /// The squared OKLab distance of a pixel from the surface; darker pixels of the same hue, which
    /// may be the subject's shadow, count as nearer.
    pub(super) fn distance(&self, working: &Working, x: usize, y: usize) -> f32 {
        let ground = self.color(working, x, y);
        let [lightness, a, b, _] = working.colors[y * working.width + x];
        let color = [lightness, a, b];
        let plain = distance(ground, color);
        let darker = ground[0] - color[0];
        if darker <= 0.0 || ground[0] <= 0.0 {
            return plain;
        }
        // A shadow scales the light, and OKLab's chroma with it.
        let scale = color[0] / ground[0];
        let shaded = [color[0], ground[1] * scale, ground[2] * scale];
        let as_shadow = distance(shaded, color) + (darker * 0.35).powi(2);
        plain.min(as_shadow)
    }

    fn color(&self, working: &Working, x: usize, y: usize) -> [f32; 3] {
        let terms = terms(working, x, y);
        std::array::from_fn(|channel| {
            self.coefficients.iter().zip(&terms).map(|(term, value)| term[channel] * value).sum()
        })
    }
}

fn terms(working: &Working, x: usize, y: usize) -> [f32; TERMS] {
    let x = x as f32 / working.width as f32 * 2.0 - 1.0;
    let y = y as f32 / working.height as f32 * 2.0 - 1.0;
    [1.0, x, y, x * x, x * y, y * y]
}

fn distance(first: [f32; 3], second: [f32; 3]) -> f32 {
    first.iter().zip(&second).map(|(first, second)| (first - second).powi(2)).sum()
}

fn least_squares(working: &Working, places: &[(usize, usize)]) -> [[f32; 3]; TERMS] {
    let mut matrix = [[0.0_f64; TERMS + 3]; TERMS];
    for (x, y) in places {
        let terms = terms(working, *x, *y);
        let color = working.colors[y * working.width + x];
        for (row, left) in matrix.iter_mut().zip(&terms) {
            for (cell, right) in row.iter_mut().zip(terms.iter().chain(&color[..3])) {
                *cell += f64::from(left * right);
            }
        }
    }
    for (at, row) in matrix.iter_mut().enumerate() {
        // A little ridge keeps the surface flat where the border says nothing.
        row[at] += 1e-3 * places.len().max(1) as f64 * if at == 0 { 1e-3 } else { 1.0 };
    }
    for pivot in 0..TERMS {
        let row = matrix[pivot].map(|cell| cell / matrix[pivot][pivot]);
        matrix[pivot] = row;
        for (at, other) in matrix.iter_mut().enumerate() {
            if at != pivot {
                let factor = other[pivot];
                other.iter_mut().zip(&row).for_each(|(cell, own)| *cell -= factor * own);
            }
        }
    }
    matrix.map(|row| std::array::from_fn(|channel| row[TERMS + channel] as f32))
}
