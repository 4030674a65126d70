//! The working copy: a small version of the picture, as colours, texture and edges.

use impasto_domain::Result;

use super::mixture::{Look, distance};
use crate::{Picture, Plane, color};

/// The longest side of the working copy.
const SIDE_PX: u32 = 400;

/// A small version of the picture.
pub(super) struct Working {
    pub(super) width: usize,
    pub(super) height: usize,
    /// OKLab colour and texture, in rows.
    pub(super) colors: Vec<Look>,
    /// The same, smoothed: texture such as wood grain is told from a surface by its mean.
    pub(super) smooth: Vec<Look>,
    /// What an outline costs at each pixel: less along edges.
    pub(super) edges: Plane,
}

impl Working {
    pub(super) fn of(picture: &Picture) -> Result<Self> {
        let small = picture.fitted(SIDE_PX, SIDE_PX)?;
        let (width, height) = (small.width() as usize, small.height() as usize);
        let texture = texture(&Plane::lightness(&small));
        let of = |(pixel, texture): (&image::Rgba<u8>, &f32)| {
            let [red, green, blue, _] = pixel.0.map(color::to_linear);
            let [lightness, a, b] = color::oklab([red, green, blue]);
            [lightness, a, b, *texture]
        };
        let colors: Vec<Look> = small.pixels.pixels().zip(texture.values()).map(of).collect();
        let channel =
            |axis: usize| Plane::from_fn(width, height, |x, y| colors[y * width + x][axis]);
        let blurred: [Plane; 3] = std::array::from_fn(|axis| channel(axis).blurred(1.2));
        let smooth = |at: usize| {
            let [lightness, a, b] = blurred.each_ref().map(|plane| plane.values()[at]);
            [lightness, a, b, texture.values()[at]]
        };
        let smooth: Vec<Look> = (0..width * height).map(smooth).collect();
        let edges = edge_costs(width, height, &smooth);
        Ok(Self { width, height, colors, smooth, edges })
    }
}

fn edge_costs(width: usize, height: usize, smooth: &[Look]) -> Plane {
    let strength = Plane::from_fn(width, height, |x, y| {
        let at = |x: usize, y: usize| smooth[y.min(height - 1) * width + x.min(width - 1)];
        let across = distance(at(x + 1, y), at(x.saturating_sub(1), y));
        let down = distance(at(x, y + 1), at(x, y.saturating_sub(1)));
        across + down
    });
    // The scale is that of the picture: a soft picture has soft outlines.
    let scale = 2.5 * strength.mean().max(1e-6);
    strength.map(|strength| 0.06 + 0.94 * (-strength / scale).exp())
}

/// How much happens around each pixel, on a scale on which 0.1 is about as different as it is for a
/// colour. Tells what is in focus from what is not, and a glazed surface from a grained one.
fn texture(lightness: &Plane) -> Plane {
    /// A hard edge is an outline, not texture.
    const MOST: f32 = 0.06;
    let ripple = Plane::from_fn(lightness.width(), lightness.height(), |x, y| {
        let (x, y) = (x as isize, y as isize);
        let around =
            [(-1, 0), (1, 0), (0, -1), (0, 1)].map(|(dx, dy)| lightness.at(x + dx, y + dy));
        (lightness.at(x, y) - around.iter().sum::<f32>() / 4.0).abs().min(MOST)
    });
    ripple.blurred(3.0).map(|energy| 0.03 * (1.0 + energy / 0.002).log2())
}
