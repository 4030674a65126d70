//! Resizing in linear light, with premultiplied alpha: no dark fringes, no false colours at edges.

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::{F32, U16x4};
use impasto_domain::{Error, Result};
use std::sync::LazyLock;

use crate::{Picture, Plane, color};

/// The most pixels that a tool makes.
pub const MOST_PIXELS: u64 = 50_000_000;

/// The longest side that a tool makes.
pub const MOST_SIDE_PX: u32 = 16_384;

/// Refuses a size that no tool makes.
pub(crate) fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::invalid(format!(
            "the picture would be {width}×{height} pixels: it would vanish"
        ))
        .hint("ask for at least one pixel each way"));
    }
    let pixels = u64::from(width) * u64::from(height);
    if width > MOST_SIDE_PX || height > MOST_SIDE_PX || pixels > MOST_PIXELS {
        return Err(Error::invalid(format!(
            "the picture would be {width}×{height} pixels; the most is {MOST_SIDE_PX} on a side and \
             {} megapixels in all",
            MOST_PIXELS / 1_000_000
        ))
        .hint("ask for a smaller size"));
    }
    Ok(())
}

static CODED: LazyLock<[u16; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| (color::to_linear(byte as u8) * 65_535.0).round() as u16)
});

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=65_535_u32).map(|value| color::to_byte(value as f32 / 65_535.0)).collect()
});

impl Picture {
    /// The picture at another size, by Lanczos filtering in linear light. Fails if the size is not
    /// one that tools make.
    pub fn resized(&self, width: u32, height: u32) -> Result<Self> {
        check_size(width, height)?;
        if (width, height) == (self.width(), self.height()) {
            return Ok(self.clone());
        }
        let (codes, bytes) = (&*CODED, &*BYTES);
        let premultiplied = |pixel: &image::Rgba<u8>| {
            let [red, green, blue, alpha] = pixel.0;
            let alpha = u32::from(alpha) * 257;
            let code = |byte: u8| {
                let linear = u32::from(codes[usize::from(byte)]);
                if alpha == 65_535 { linear as u16 } else { (linear * alpha / 65_535) as u16 }
            };
            U16x4::new([code(red), code(green), code(blue), alpha as u16])
        };
        let pixels: Vec<U16x4> = self.pixels.pixels().map(premultiplied).collect();
        let failed =
            |error: &dyn std::fmt::Display| Error::internal(format!("resizing failed: {error}"));
        let source =
            TypedImageRef::new(self.width(), self.height(), &pixels).map_err(|e| failed(&e))?;
        let mut target = TypedImage::<U16x4>::new(width, height);
        let options = lanczos();
        fir::Resizer::new().resize_typed(&source, &mut target, &options).map_err(|e| failed(&e))?;
        let straight = |pixel: &U16x4| {
            let [red, green, blue, alpha] = pixel.0.map(u32::from);
            let byte = |value: u32| {
                let value = if alpha == 65_535 {
                    value
                } else {
                    (value * 65_535 / alpha.max(1)).min(65_535)
                };
                bytes[value as usize]
            };
            [byte(red), byte(green), byte(blue), ((alpha + 128) / 257) as u8]
        };
        let mut flat = vec![0; width as usize * height as usize * 4];
        for (bytes, pixel) in flat.chunks_exact_mut(4).zip(target.pixels()) {
            bytes.copy_from_slice(&straight(pixel));
        }
        let pixels = image::RgbaImage::from_raw(width, height, flat);
        pixels.map(|pixels| Self { pixels }).ok_or_else(|| Error::internal("resizing lost pixels"))
    }

    /// The picture scaled so that neither side exceeds the given one; never enlarged.
    pub fn fitted(&self, most_width: u32, most_height: u32) -> Result<Self> {
        let share = |most: u32, side: u32| f64::from(most) / f64::from(side.max(1));
        let scale = share(most_width, self.width()).min(share(most_height, self.height())).min(1.0);
        self.resized(scaled(self.width(), scale), scaled(self.height(), scale))
    }

    /// A rectangle of the picture; what lies outside is left out.
    #[must_use]
    pub fn cropped(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let (x, y) = (x.min(self.width()), y.min(self.height()));
        let (width, height) = (width.min(self.width() - x), height.min(self.height() - y));
        Self { pixels: image::imageops::crop_imm(&self.pixels, x, y, width, height).to_image() }
    }
}

/// A side times a factor, at least one pixel.
pub(crate) fn scaled(side: u32, factor: f64) -> u32 {
    (f64::from(side) * factor).round().clamp(1.0, f64::from(u32::MAX)) as u32
}

impl Plane {
    /// The plane at another size, by Lanczos filtering. Values may overshoot.
    pub fn resized(&self, width: usize, height: usize) -> Result<Self> {
        let failed =
            |error: &dyn std::fmt::Display| Error::internal(format!("resizing failed: {error}"));
        let pixels: Vec<F32> = self.values().iter().map(|value| F32::new(*value)).collect();
        let source = TypedImageRef::new(self.width() as u32, self.height() as u32, &pixels);
        let source = source.map_err(|e| failed(&e))?;
        let mut target = TypedImage::<F32>::new(width as u32, height as u32);
        fir::Resizer::new()
            .resize_typed(&source, &mut target, &lanczos())
            .map_err(|e| failed(&e))?;
        let values = target.pixels();
        Ok(Self::from_fn(width, height, |x, y| values[y * width + x].0))
    }
}

fn lanczos() -> fir::ResizeOptions {
    let filter = fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3);
    fir::ResizeOptions::new().resize_alg(filter).use_alpha(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_keep_their_light() {
        let stripes =
            Picture::from_fn(64, 64, |x, _| if x % 2 == 0 { [255; 4] } else { [0, 0, 0, 255] });
        let small = stripes.resized(16, 16).unwrap();
        let grey = small.pixels.get_pixel(8, 8).0;
        // Half the light is byte 188; averaging bytes would give 128.
        assert!(grey[0].abs_diff(188) <= 2 && grey[3] == 255, "{grey:?}");
    }

    #[test]
    fn what_is_transparent_lends_no_colour() {
        let half =
            Picture::from_fn(64, 8, |x, _| if x < 32 { [255, 0, 0, 255] } else { [0, 255, 0, 0] });
        let small = half.resized(9, 2).unwrap();
        for pixel in small.pixels.pixels().filter(|pixel| pixel.0[3] > 8) {
            assert!(pixel.0[0] > 240 && pixel.0[1] < 16, "{pixel:?}");
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let picture = Picture::filled(2, 2, [0; 4]);
        for (width, height) in [(0, 5), (16_385, 5), (16_000, 16_000)] {
            assert!(picture.resized(width, height).is_err());
        }
    }
}
