//! Pictures in memory: eight bits a channel, sRGB, straight alpha.

use std::io::Cursor;

use image::{ImageFormat, RgbaImage};
use impasto_domain::{AssetRef, Error, MediaFacts, Result, Workbench};

/// A picture: rows of RGBA pixels from the top left, sRGB, eight bits a channel, straight alpha.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The pixels.
    pub pixels: RgbaImage,
}

impl Picture {
    /// A picture of `width` × `height` pixels of one colour.
    pub fn filled(width: u32, height: u32, color: [u8; 4]) -> Self {
        Self { pixels: RgbaImage::from_pixel(width, height, image::Rgba(color)) }
    }

    /// A picture whose pixels are computed, row by row.
    pub fn from_fn(width: u32, height: u32, mut color: impl FnMut(u32, u32) -> [u8; 4]) -> Self {
        Self { pixels: RgbaImage::from_fn(width, height, |x, y| image::Rgba(color(x, y))) }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.pixels.height()
    }

    /// Decodes a picture that Impasto wrote or has checked. Foreign bytes go through the sandbox.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let decoded = image::load_from_memory(bytes)
            .map_err(|error| Error::invalid(format!("the picture cannot be decoded: {error}")))?;
        Ok(Self { pixels: decoded.into_rgba8() })
    }

    /// The picture as PNG.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        self.pixels
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| Error::internal(format!("the picture cannot be written: {error}")))?;
        Ok(bytes.into_inner())
    }

    /// Whether any pixel is not opaque.
    pub fn has_alpha(&self) -> bool {
        self.pixels.pixels().any(|pixel| pixel.0[3] != 255)
    }

    /// Reads an image asset from the bench.
    pub fn read(bench: &dyn Workbench, asset: &AssetRef) -> Result<Self> {
        if asset.media_type == "image/svg+xml" {
            let message = "this is a drawing (SVG), and the tools read only pictures of pixels";
            return Err(Error::invalid(message).hint("ask the model for PNG"));
        }
        Self::decode(&bench.read(asset)?)
    }

    /// Keeps the picture as a PNG asset.
    pub fn write(&self, bench: &dyn Workbench) -> Result<AssetRef> {
        let facts = MediaFacts {
            width: Some(self.width()),
            height: Some(self.height()),
            has_alpha: Some(self.has_alpha()),
            ..MediaFacts::default()
        };
        bench.write(self.to_png()?, "image/png", facts)
    }
}
