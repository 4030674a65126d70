//! Writing pictures as files of the usual formats.

use std::str::FromStr;

use impasto_domain::{AssetRef, Error, MediaFacts, Result, Workbench};

use crate::{Picture, color};

/// A file format for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lossless, with transparency.
    Png,
    /// Lossy, without transparency: transparent parts become white.
    Jpeg,
    /// Lossy, with transparency.
    Webp,
    /// Lossy, with transparency; small files, slow to write.
    Avif,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "png" => Self::Png,
            "jpeg" | "jpg" => Self::Jpeg,
            "webp" => Self::Webp,
            "avif" => Self::Avif,
            _ => {
                return Err(Error::invalid(format!(
                    "'{name}' is not a picture format that can be written"
                ))
                .hint("ask for png, jpeg, webp or avif"));
            }
        })
    }
}

impl Picture {
    /// The picture as a file; `quality` (1 to 100) matters to lossy formats only.
    pub fn encode(&self, format: Format, quality: u8) -> Result<Vec<u8>> {
        match format {
            Format::Png => self.to_png(),
            Format::Jpeg => self.to_jpeg(quality),
            Format::Webp => self.to_webp(quality),
            Format::Avif => self.to_avif(quality),
        }
    }

    /// Keeps the picture as an asset of that format.
    pub fn write_as(&self, bench: &dyn Workbench, format: Format, quality: u8) -> Result<AssetRef> {
        let facts = MediaFacts {
            width: Some(self.width()),
            height: Some(self.height()),
            has_alpha: Some(format != Format::Jpeg && self.has_alpha()),
            ..MediaFacts::default()
        };
        bench.write(self.encode(format, quality)?, format.media_type(), facts)
    }

    /// The picture on a ground of one colour, opaque.
    #[must_use]
    pub fn flattened(&self, ground: [u8; 3]) -> Self {
        let mut flat = self.clone();
        for pixel in flat.pixels.pixels_mut().filter(|pixel| pixel.0[3] != 255) {
            let alpha = f32::from(pixel.0[3]) / 255.0;
            for (channel, below) in pixel.0.iter_mut().zip(ground) {
                let mixed =
                    color::to_linear(*channel) * alpha + color::to_linear(below) * (1.0 - alpha);
                *channel = color::to_byte(mixed);
            }
            pixel.0[3] = 255;
        }
        flat
    }

    fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>> {
        let too_large = |_| self.too_large("JPEG", u32::from(u16::MAX));
        let width = u16::try_from(self.width()).map_err(too_large)?;
        let height = u16::try_from(self.height()).map_err(too_large)?;
        let flat = if self.has_alpha() { self.flattened([255; 3]) } else { self.clone() };
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100));
        encoder
            .encode(flat.pixels.as_raw(), width, height, jpeg_encoder::ColorType::Rgba)
            .map_err(|error| Error::internal(format!("the JPEG cannot be written: {error}")))?;
        Ok(bytes)
    }

    fn to_webp(&self, quality: u8) -> Result<Vec<u8>> {
        const MOST_SIDE_PX: u32 = 16_383;
        if self.width() > MOST_SIDE_PX || self.height() > MOST_SIDE_PX {
            return Err(self.too_large("WebP", MOST_SIDE_PX));
        }
        let encoder = webp::Encoder::from_rgba(self.pixels.as_raw(), self.width(), self.height());
        let written = encoder.encode_simple(false, f32::from(quality.clamp(1, 100)));
        written
            .map(|bytes| bytes.to_vec())
            .map_err(|error| Error::internal(format!("the WebP cannot be written: {error:?}")))
    }

    fn to_avif(&self, quality: u8) -> Result<Vec<u8>> {
        let pixels: Vec<ravif::RGBA8> = self
            .pixels
            .pixels()
            .map(|pixel| ravif::RGBA8::new(pixel.0[0], pixel.0[1], pixel.0[2], pixel.0[3]))
            .collect();
        let written = ravif::Encoder::new()
            .with_quality(f32::from(quality.clamp(1, 100)))
            .with_alpha_quality(f32::from(quality.clamp(1, 100)))
            // The fastest: without assembler the slower ones take seconds for a gain of a few percent.
            .with_speed(10)
            .with_bit_depth(ravif::BitDepth::Eight)
            .with_num_threads(Some(1))
            .encode_rgba(ravif::Img::new(&pixels, self.width() as usize, self.height() as usize));
        written
            .map(|image| image.avif_file)
            .map_err(|error| Error::internal(format!("the AVIF cannot be written: {error}")))
    }

    fn too_large(&self, format: &str, most: u32) -> Error {
        Error::invalid(format!(
            "the picture is {}×{} pixels; a {format} has at most {most} on a side",
            self.width(),
            self.height()
        ))
        .hint("resize it first, or choose another format")
    }
}
