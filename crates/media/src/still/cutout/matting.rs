//! From a small, hard mask to soft edges at full size, and subject colours without the old ground.

use impasto_domain::Result;

use crate::{Picture, Plane, color};

/// The alpha of the subject at the size of the picture: the mask enlarged, then fitted to the
/// picture's own edges.
///
/// A guided filter (K. He, J. Sun, X. Tang, "Guided image filtering", 2013) with the colours as guide;
/// it is trusted only near the outline, so that nothing inside becomes see-through.
pub(super) fn alpha(picture: &Picture, mask: &Plane) -> Result<Plane> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let scale = width as f32 / mask.width() as f32;
    let coarse = enlarged(&mask.blurred(0.7), width, height);
    let radius = ((2.5 * scale).round() as usize).max(2);
    let refined = guided(picture, &coarse, radius, 3e-4);
    let band = coarse.blurred(scale * 1.5);
    Ok(refined.zip(&band, |refined, around| {
        let steep = ((refined - 0.5) * 1.5 + 0.5).clamp(0.0, 1.0);
        let sure = smooth_step((around - 0.5).abs() * 2.0, 0.80, 0.97);
        steep * (1.0 - sure) + if around > 0.5 { sure } else { 0.0 }
    }))
}

fn smooth_step(value: f32, from: f32, to: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

fn enlarged(mask: &Plane, width: usize, height: usize) -> Plane {
    let (across, down) = (mask.width() as f32 / width as f32, mask.height() as f32 / height as f32);
    Plane::from_fn(width, height, |x, y| {
        mask.between((x as f32 + 0.5) * across - 0.5, (y as f32 + 0.5) * down - 0.5)
    })
}

/// Within each window the result is an affine function of the guide's three channels.
fn guided(picture: &Picture, mask: &Plane, radius: usize, softness: f32) -> Plane {
    let guide: [Plane; 3] = std::array::from_fn(|channel| {
        Plane::from_fn(mask.width(), mask.height(), |x, y| {
            f32::from(picture.pixels.get_pixel(x as u32, y as u32).0[channel]) / 255.0
        })
    });
    let mean = |plane: &Plane| plane.box_blurred(radius);
    let product = |a: &Plane, b: &Plane| a.zip(b, |a, b| a * b);
    let means = guide.each_ref().map(mean);
    let mask_mean = mean(mask);
    let covariance = |a: usize, b: usize| {
        mean(&product(&guide[a], &guide[b]))
            .zip(&product(&means[a], &means[b]), |raw, own| raw - own)
    };
    let with_mask: [Plane; 3] = std::array::from_fn(|channel| {
        mean(&product(&guide[channel], mask))
            .zip(&product(&means[channel], &mask_mean), |raw, own| raw - own)
    });
    let [rr, rg, rb] = [covariance(0, 0), covariance(0, 1), covariance(0, 2)];
    let [gg, gb, bb] = [covariance(1, 1), covariance(1, 2), covariance(2, 2)];
    let mut slopes: [Plane; 3] = std::array::from_fn(|_| Plane::new(mask.width(), mask.height()));
    for at in 0..mask.values().len() {
        let of = |plane: &Plane| plane.values()[at];
        let matrix = [
            [of(&rr) + softness, of(&rg), of(&rb)],
            [of(&rg), of(&gg) + softness, of(&gb)],
            [of(&rb), of(&gb), of(&bb) + softness],
        ];
        let slope = solved(matrix, with_mask.each_ref().map(of));
        (0..3).for_each(|channel| slopes[channel].values_mut()[at] = slope[channel]);
    }
    let mut offset = mask_mean;
    for (slope, mean) in slopes.iter().zip(&means) {
        offset = offset.zip(&product(slope, mean), |offset, part| offset - part);
    }
    let mut result = mean(&offset);
    for (slope, guide) in slopes.iter().zip(&guide) {
        result = result.zip(&product(&mean(slope), guide), |sum, part| sum + part);
    }
    result
}

/// Solves three linear equations by Cramer's rule.
fn solved(m: [[f32; 3]; 3], right: [f32; 3]) -> [f32; 3] {
    let determinant = |m: [[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(m);
    std::array::from_fn(|column| {
        let mut replaced = m;
        replaced.iter_mut().zip(right).for_each(|(row, value)| row[column] = value);
        if whole.abs() > 1e-20 { determinant(replaced) / whole } else { 0.0 }
    })
}

/// The picture with that alpha. Where a pixel is partly background, its colour is replaced by that of
/// the subject nearby, or the old ground would show as a rim on a new one.
pub(super) fn cut_out(picture: &Picture, alpha: &Plane, reach: f32) -> Picture {
    let solid = alpha.map(|alpha| ((alpha - 0.9) * 10.0).clamp(0.0, 1.0) + 1e-6 * alpha);
    let weight = solid.blurred(reach).map(|weight| weight.max(1e-9));
    let subject: [Plane; 3] = std::array::from_fn(|channel| {
        let light = Plane::from_fn(alpha.width(), alpha.height(), |x, y| {
            let byte = picture.pixels.get_pixel(x as u32, y as u32).0[channel];
            color::to_linear(byte) * solid.at(x as isize, y as isize)
        });
        light.blurred(reach).zip(&weight, |sum, weight| sum / weight)
    });
    let mut cut = picture.clone();
    for (at, pixel) in cut.pixels.pixels_mut().enumerate() {
        let share = alpha.values()[at].clamp(0.0, 1.0);
        let keep = smooth_step(share, 0.75, 0.99);
        for (channel, plane) in pixel.0.iter_mut().zip(&subject) {
            *channel = color::to_byte(
                color::to_linear(*channel) * keep + plane.values()[at] * (1.0 - keep),
            );
        }
        pixel.0[3] = (f32::from(pixel.0[3]) * share).round() as u8;
        if pixel.0[3] == 0 {
            pixel.0 = [0; 4];
        }
    }
    cut
}
