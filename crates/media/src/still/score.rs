//! Measures of a picture, and the comparison of two.
//!
//! The numbers rank candidates for the same place; they are no judgement of taste. Sharpness is that
//! of the sharpest tenth of the picture, so that a shallow depth of field costs nothing. The overall
//! score looks at the picture alone: `against` adds `ssim` and `hash_distance` but does not move it.

use impasto_domain::{Result, Value, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::{Picture, Plane, color};

/// The size at which pictures are measured, so that numbers of different sizes compare.
const MEASURED_SIDE_PX: u32 = 640;

/// `score-image`.
pub(super) fn score(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let full = input.picture("image", bench)?.flattened([128; 3]);
    let picture = full.fitted(MEASURED_SIDE_PX, MEASURED_SIDE_PX)?;
    let lightness = Plane::lightness(&picture);
    let calm = input.shares("free_area")?.map(|area| calm(&lightness, area));
    let (sharpness, exposure) = (sharpness(&lightness), exposure(&lightness));
    let (contrast, colourfulness) = (contrast(&lightness), colourfulness(&picture));
    let parts = [
        (0.30, Some(sharpness)),
        (0.25, Some(exposure)),
        (0.20, Some(contrast)),
        (0.10, Some(colourfulness)),
        (0.35, calm),
    ];
    let given = || parts.iter().filter_map(|(weight, part)| part.map(|part| (weight, part)));
    let total = given().map(|(weight, part)| weight * part).sum::<f32>()
        / given().map(|(weight, _)| weight).sum::<f32>();
    let hash = perceptual_hash(&picture)?;
    let number = |value: f32| Value::from((f64::from(value) * 10_000.0).round() / 10_000.0);
    let mut values = output([
        ("score", number(total)),
        ("sharpness", number(sharpness)),
        ("exposure", number(exposure)),
        ("contrast", number(contrast)),
        ("colourfulness", number(colourfulness)),
        ("calm", calm.map_or(Value::Null, number)),
        ("hash", format!("{hash:016x}").into()),
    ]);
    if input.get("against").and_then(Value::as_asset).is_some() {
        let other = input.picture("against", bench)?.flattened([128; 3]);
        let other_hash = perceptual_hash(&other)?;
        let other = other.resized(picture.width(), picture.height())?;
        values.insert("ssim".into(), number(ssim(&lightness, &Plane::lightness(&other))));
        values.insert("hash_distance".into(), i64::from((hash ^ other_hash).count_ones()).into());
    }
    Ok(values)
}

fn sharpness(lightness: &Plane) -> f32 {
    const TILE: usize = 16;
    let (across, down) = (lightness.width() / TILE, lightness.height() / TILE);
    let mut tiles: Vec<f32> = (0..across * down)
        .map(|tile| {
            let (left, top) = (tile % across * TILE, tile / across * TILE);
            let places = (top..top + TILE)
                .flat_map(|y| (left..left + TILE).map(move |x| (x as isize, y as isize)));
            let energy: f32 = places.map(|(x, y)| laplacian(lightness, x, y).powi(2)).sum();
            (energy / (TILE * TILE) as f32).sqrt()
        })
        .collect();
    tiles.sort_by(|a, b| b.total_cmp(a));
    let best = &tiles[..tiles.len().div_ceil(10)];
    let mean = best.iter().sum::<f32>() / best.len().max(1) as f32;
    1.0 - (-mean / 0.06).exp()
}

fn laplacian(plane: &Plane, x: isize, y: isize) -> f32 {
    let around = plane.at(x - 1, y) + plane.at(x + 1, y) + plane.at(x, y - 1) + plane.at(x, y + 1);
    around - 4.0 * plane.at(x, y)
}

/// 1 for a mean near the middle and nothing clipped.
fn exposure(lightness: &Plane) -> f32 {
    let count = lightness.values().len().max(1) as f32;
    let share = |clipped: fn(f32) -> bool| {
        lightness.values().iter().filter(|v| clipped(**v)).count() as f32 / count
    };
    let (black, white) = (share(|value| value < 0.06), share(|value| value > 0.985));
    let off = (lightness.mean() - 0.58) / 0.3;
    let clipping = (black - 0.15).max(0.0) * 1.2 + (white - 0.10).max(0.0) * 1.5;
    ((-off * off).exp() * (1.0 - clipping)).clamp(0.0, 1.0)
}

fn contrast(lightness: &Plane) -> f32 {
    (lightness.deviation() / 0.20).min(1.0)
}

/// The colourfulness of Hasler and Süsstrunk (2003); 80 counts as full.
fn colourfulness(picture: &Picture) -> f32 {
    let plane = |of: fn([f32; 3]) -> f32| {
        Plane::from_fn(picture.width() as usize, picture.height() as usize, |x, y| {
            let [red, green, blue, _] =
                picture.pixels.get_pixel(x as u32, y as u32).0.map(f32::from);
            of([red, green, blue])
        })
    };
    let red_green = plane(|[red, green, _]| red - green);
    let yellow_blue = plane(|[red, green, blue]| 0.5 * (red + green) - blue);
    let spread = red_green.deviation().hypot(yellow_blue.deviation());
    let mean = red_green.mean().hypot(yellow_blue.mean());
    ((spread + 0.3 * mean) / 80.0).min(1.0)
}

/// How little happens in an area: few edges, little texture.
fn calm(lightness: &Plane, [left, top, right, bottom]: [f32; 4]) -> f32 {
    let (width, height) = (lightness.width() as f32, lightness.height() as f32);
    let columns =
        (left * width) as isize..((right * width) as isize).max((left * width) as isize + 1);
    let rows =
        (top * height) as isize..((bottom * height) as isize).max((top * height) as isize + 1);
    let mut busy = 0.0;
    for y in rows.clone() {
        for x in columns.clone() {
            let across = lightness.at(x + 1, y) - lightness.at(x - 1, y);
            let down = lightness.at(x, y + 1) - lightness.at(x, y - 1);
            // One hard line should cost less than texture everywhere.
            busy += across.hypot(down).min(0.12);
        }
    }
    (-busy / (columns.len() * rows.len()) as f32 / 0.02).exp()
}

/// Structural similarity (Wang et al., 2004) with a Gaussian window of 1.5 px.
pub(crate) fn ssim(first: &Plane, second: &Plane) -> f32 {
    const SIGMA: f32 = 1.5;
    let (c1, c2) = (0.01_f32.powi(2), 0.03_f32.powi(2));
    let (mean_a, mean_b) = (first.blurred(SIGMA), second.blurred(SIGMA));
    let moment = |a: &Plane, b: &Plane, mean_a: &Plane, mean_b: &Plane| {
        a.zip(b, |a, b| a * b)
            .blurred(SIGMA)
            .zip(&mean_a.zip(mean_b, |a, b| a * b), |raw, means| raw - means)
    };
    let variance_a = moment(first, first, &mean_a, &mean_a);
    let variance_b = moment(second, second, &mean_b, &mean_b);
    let covariance = moment(first, second, &mean_a, &mean_b);
    let structure = covariance.zip(&variance_a.zip(&variance_b, |a, b| a + b), |joint, own| {
        (2.0 * joint + c2) / (own + c2)
    });
    let brightness = mean_a.zip(&mean_b, |a, b| (2.0 * a * b + c1) / (a * a + b * b + c1));
    structure.zip(&brightness, |structure, brightness| structure * brightness).mean()
}

/// A 64-bit perceptual hash: which of the lowest 8×8 cosine terms exceed their median.
pub(crate) fn perceptual_hash(picture: &Picture) -> Result<u64> {
    const SIDE: usize = 32;
    let small = picture.flattened([128; 3]).resized(SIDE as u32, SIDE as u32)?;
    let light = Plane::from_fn(SIDE, SIDE, |x, y| {
        let [red, green, blue, _] =
            small.pixels.get_pixel(x as u32, y as u32).0.map(color::to_linear);
        color::luminance([red, green, blue]).sqrt()
    });
    let cosine = |place: usize, term: usize| {
        (std::f32::consts::PI / SIDE as f32 * (place as f32 + 0.5) * term as f32).cos()
    };
    let term = |across: usize, down: usize| -> f32 {
        (0..SIDE * SIDE)
            .map(|at| light.values()[at] * cosine(at % SIDE, across) * cosine(at / SIDE, down))
            .sum()
    };
    let terms: Vec<f32> = (0..64).map(|at| term(at % 8 + 1, at / 8 + 1)).collect();
    let mut sorted = terms.clone();
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    Ok(terms.iter().fold(0, |hash, term| hash << 1 | u64::from(*term > median)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(shift: u32) -> Picture {
        Picture::from_fn(320, 240, |x, y| {
            let x = x + shift;
            let disc = (x as f32 - 110.0).hypot(y as f32 - 130.0) < 60.0;
            let ground = 90 + (y / 4) as u8;
            if disc { [200, 70, 40, 255] } else { [ground, ground, ground + 20, 255] }
        })
    }

    #[test]
    fn blur_lowers_sharpness_and_similarity() {
        let sharp = Plane::lightness(&scene(0));
        let soft = sharp.blurred(3.0);
        assert!(sharpness(&sharp) > sharpness(&soft) + 0.2);
        assert!((ssim(&sharp, &sharp) - 1.0).abs() < 1e-4);
        let speckled = Plane::from_fn(320, 240, |x, y| {
            sharp.at(x as isize, y as isize) + ((x * 7 + y * 13) % 11) as f32 * 0.02
        });
        assert!(ssim(&sharp, &soft) < 0.999);
        assert!(ssim(&sharp, &speckled) < 0.7);
    }

    #[test]
    fn an_empty_area_is_calmer_than_a_busy_one() {
        let busy = Plane::from_fn(200, 200, |x, y| {
            if x > 100 { ((x * 7 + y * 13) % 11) as f32 / 11.0 } else { 0.5 }
        });
        assert!(calm(&busy, [0.1, 0.1, 0.4, 0.9]) > 0.99);
        assert!(calm(&busy, [0.6, 0.1, 0.9, 0.9]) < 0.1);
    }

    #[test]
    fn the_hash_knows_a_resized_copy_and_not_another_picture() {
        let hash = |picture: &Picture| perceptual_hash(picture).unwrap();
        let same = (hash(&scene(0)) ^ hash(&scene(0).resized(200, 150).unwrap())).count_ones();
        let other = Picture::from_fn(320, 240, |x, y| [(x / 2) as u8, (y % 64 * 3) as u8, 30, 255]);
        let different = (hash(&scene(0)) ^ hash(&other)).count_ones();
        assert!(same <= 4 && different >= 16, "{same} {different}");
    }

    #[test]
    fn exposure_prefers_the_middle() {
        let flat = |value| exposure(&Plane::from_fn(10, 10, |_, _| value));
        assert!(flat(0.58) > 0.99 && flat(0.02) < 0.1 && flat(0.99) < 0.1);
    }
}
