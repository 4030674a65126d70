//! Size and frame: resize, crop, pad, upscale.

use impasto_domain::{Error, Result, Value, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::resize::{check_size, scaled};
use crate::{Picture, Plane, color};

/// `resize-image`.
pub(super) fn resize(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let (own_width, own_height) = (picture.width(), picture.height());
    let ratio = |side: u32, own: u32| f64::from(side) / f64::from(own);
    let resized = match (input.count("width"), input.count("height")) {
        (None, None) => {
            return Err(
                Error::invalid("neither `width` nor `height` is given").hint("give one, or both")
            );
        }
        (Some(width), None) => {
            picture.resized(width, scaled(own_height, ratio(width, own_width)))?
        }
        (None, Some(height)) => {
            picture.resized(scaled(own_width, ratio(height, own_height)), height)?
        }
        (Some(width), Some(height)) => {
            let (across, down) = (ratio(width, own_width), ratio(height, own_height));
            match input.text("fit", "contain") {
                "stretch" => picture.resized(width, height)?,
                "cover" => covering(&picture, width, height)?,
                _ => {
                    let scale = across.min(down);
                    picture.resized(scaled(own_width, scale), scaled(own_height, scale))?
                }
            }
        }
    };
    Ok(output([("image", resized.write(bench)?.into())]))
}

/// The picture scaled and cropped around its middle so that it fills `width` × `height`.
pub(crate) fn covering(picture: &Picture, width: u32, height: u32) -> Result<Picture> {
    check_size(width, height)?;
    let (across, down) = (
        f64::from(picture.width()) / f64::from(width),
        f64::from(picture.height()) / f64::from(height),
    );
    // Crop first: the scale of the far side may exceed what tools make.
    let step = across.min(down);
    let (kept_width, kept_height) = (scaled(width, step), scaled(height, step));
    let x = picture.width().saturating_sub(kept_width) / 2;
    let y = picture.height().saturating_sub(kept_height) / 2;
    picture.cropped(x, y, kept_width, kept_height).resized(width, height)
}

/// `crop-image`.
pub(super) fn crop(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let (width, height) = (picture.width(), picture.height());
    let cropped = match input.get("aspect_ratio").and_then(Value::as_text) {
        Some(text) => {
            let ratio = aspect_ratio(text)?;
            let kept_width = scaled(height, ratio).min(width);
            let kept_height = scaled(width, 1.0 / ratio).min(height);
            picture.cropped(
                (width - kept_width) / 2,
                (height - kept_height) / 2,
                kept_width,
                kept_height,
            )
        }
        None => {
            let (x, y) = (input.count("x").unwrap_or(0), input.count("y").unwrap_or(0));
            if x >= width || y >= height {
                return Err(Error::invalid(format!(
                    "`x`, `y` is {x}, {y}, which lies outside of the picture of {width}×{height} pixels"
                )));
            }
            let kept_width = input.count("width").unwrap_or(width - x);
            let kept_height = input.count("height").unwrap_or(height - y);
            if kept_width > width - x || kept_height > height - y {
                return Err(Error::invalid(format!(
                    "the rectangle of {kept_width}×{kept_height} pixels at {x}, {y} reaches out of the \
                     picture of {width}×{height}"
                ))
                .hint("make it smaller, or leave `width` and `height` out"));
            }
            check_size(kept_width, kept_height)?;
            picture.cropped(x, y, kept_width, kept_height)
        }
    };
    Ok(output([("image", cropped.write(bench)?.into())]))
}

/// Reads `16:9`, `16x9`, `16/9` or `1.78`.
pub(crate) fn aspect_ratio(text: &str) -> Result<f64> {
    let mut parts = text.split([':', 'x', '/']).map(|part| part.trim().parse::<f64>());
    let ratio = match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(width)), Some(Ok(height)), None) => width / height,
        (Some(Ok(ratio)), None, None) => ratio,
        _ => f64::NAN,
    };
    if ratio.is_finite() && (0.01..=100.0).contains(&ratio) {
        return Ok(ratio);
    }
    Err(Error::invalid(format!("`aspect_ratio` is '{text}', which is not a ratio"))
        .hint("write it as 16:9"))
}

/// `pad-image`.
pub(super) fn pad(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let ground = color::parse(input.text("color", "#00000000"))?;
    let (own_width, own_height) = (picture.width(), picture.height());
    let (width, height) = match input.count("margin") {
        Some(margin) => {
            (own_width.saturating_add(2 * margin), own_height.saturating_add(2 * margin))
        }
        None => {
            (input.count("width").unwrap_or(own_width), input.count("height").unwrap_or(own_height))
        }
    };
    if width < own_width || height < own_height {
        return Err(Error::invalid(format!(
            "the padded picture would be {width}×{height} pixels, smaller than it is ({own_width}×{own_height})"
        ))
        .hint("ask for a larger size, or resize it first"));
    }
    check_size(width, height)?;
    let mut padded = Picture::filled(width, height, ground);
    let (x, y) = ((width - own_width) / 2, (height - own_height) / 2);
    image::imageops::replace(&mut padded.pixels, &picture.pixels, i64::from(x), i64::from(y));
    Ok(output([("image", padded.write(bench)?.into())]))
}

/// `upscale-image`: Lanczos, then back-projection, so that the enlarged picture shrinks back to
/// exactly the given one. It invents no detail.
pub(super) fn upscale(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let picture = input.picture("image", bench)?;
    let factor = match input.count("width") {
        Some(width) => f64::from(width) / f64::from(picture.width()),
        None => input.number("scale").unwrap_or(2.0),
    };
    let (width, height) = (scaled(picture.width(), factor), scaled(picture.height(), factor));
    check_size(width, height)?;
    let large = if factor <= 1.0 {
        picture.resized(width, height)?
    } else {
        enlarged(&picture, width, height, bench)?
    };
    Ok(output([("image", large.write(bench)?.into())]))
}

fn enlarged(picture: &Picture, width: u32, height: u32, bench: &dyn Workbench) -> Result<Picture> {
    let channels = if picture.has_alpha() { 4 } else { 3 };
    let mut target = Picture::filled(width, height, [0, 0, 0, 255]);
    // The last channel first: colours are stored straight, but filtered premultiplied.
    for channel in (0..channels).rev() {
        bench.check_cancelled()?;
        bench
            .progress(f64::from(channels as u8 - 1 - channel as u8) / channels as f64, "enlarging");
        let small = Plane::from_fn(picture.width() as usize, picture.height() as usize, |x, y| {
            let pixel = picture.pixels.get_pixel(x as u32, y as u32).0;
            let share = if channel == 3 { 1.0 } else { f32::from(pixel[3]) / 255.0 };
            f32::from(pixel[channel]) * share
        });
        let large = back_projected(&small, width as usize, height as usize)?;
        for (pixel, value) in target.pixels.pixels_mut().zip(large.values()) {
            let alpha = if channel == 3 { 255.0 } else { f32::from(pixel.0[3]).max(1.0) };
            pixel.0[channel] = (value * 255.0 / alpha).round().clamp(0.0, 255.0) as u8;
        }
    }
    Ok(target)
}

fn back_projected(small: &Plane, width: usize, height: usize) -> Result<Plane> {
    const ROUNDS: usize = 4;
    let mut large = small.resized(width, height)?;
    for _ in 0..ROUNDS {
        let seen = large.resized(small.width(), small.height())?;
        let missing = small.zip(&seen, |wanted, seen| wanted - seen).resized(width, height)?;
        large = large.zip(&missing, |value, missing| value + missing);
    }
    Ok(large)
}
