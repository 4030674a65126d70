//! Foreign pictures become PNG: upright, sRGB, without metadata.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use impasto_domain::{MediaFacts, Result};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::child::{Normalised, undecodable};
use crate::Picture;
use crate::limits::Limits;
use crate::sniff::Kind;

/// The longest colour profile that is honoured, packed or not. A profile for a display takes a few
/// hundred bytes; a bomb wants to be long.
const MOST_PROFILE_BYTES: usize = 64 * 1024;

/// Decodes a picture and writes it as PNG.
pub(super) fn normalise(bytes: &[u8], kind: Kind, limits: &Limits) -> Result<Normalised> {
    let bad = |error: &dyn std::fmt::Display| undecodable(kind.name(), error);
    limits.check_count("frames", count_frames(bytes, kind), u64::from(limits.frames))?;
    let stripped;
    let bytes = if kind == Kind::Png {
        stripped = essential_chunks(bytes);
        &stripped
    } else {
        bytes
    };
    let format = format(kind);
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(|e| bad(&e))?;
    limits.check_size(kind.name(), width, height)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_image_width = Some(limits.side_px);
    allowed.max_image_height = Some(limits.side_px);
    allowed.max_alloc = Some(limits.memory_bytes);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(|e| bad(&e))?;
    // Metadata that cannot be read is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder
        .icc_profile()
        .ok()
        .flatten()
        .filter(|profile| profile.len() <= MOST_PROFILE_BYTES * 64);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(&e))?;
    image.apply_orientation(orientation);
    let mut picture = Picture { pixels: image.into_rgba8() };
    if let Some(profile) = profile {
        to_srgb(&mut picture, &profile);
    }
    let facts = MediaFacts {
        width: Some(picture.width()),
        height: Some(picture.height()),
        has_alpha: Some(picture.has_alpha()),
        ..MediaFacts::default()
    };
    Ok(Normalised { bytes: picture.to_png()?, media_type: "image/png", facts })
}

fn format(kind: Kind) -> ImageFormat {
    match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Webp => ImageFormat::WebP,
        Kind::Gif => ImageFormat::Gif,
        Kind::Bmp => ImageFormat::Bmp,
        _ => ImageFormat::Png,
    }
}

/// Converts the colours of a picture to sRGB if its profile is one for RGB that can be read.
fn to_srgb(picture: &mut Picture, profile: &[u8]) {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return };
    if profile.color_space != DataColorSpace::Rgb {
        return;
    }
    let target = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let Ok(transform) = profile.create_transform_8bit(Layout::Rgba, &target, Layout::Rgba, options)
    else {
        return;
    };
    let row_bytes = picture.width() as usize * 4;
    let mut converted = vec![0; row_bytes];
    for row in picture.pixels.as_mut().chunks_exact_mut(row_bytes) {
        if transform.transform(row, &mut converted).is_ok() {
            row.copy_from_slice(&converted);
        }
    }
}

/// A PNG with nothing but what its pixels need: no text, no animation, no profile that is long.
/// Whatever is left unread cannot unfold.
fn essential_chunks(bytes: &[u8]) -> Vec<u8> {
    const SIGNATURE_BYTES: usize = 8;
    const FRAME_BYTES: usize = 12;
    let mut kept = bytes.get(..SIGNATURE_BYTES).unwrap_or_default().to_vec();
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    while let Some((header, _)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, name @ ..] = *header;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let keep = match &name {
            b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND" => true,
            b"eXIf" | b"iCCP" => length <= MOST_PROFILE_BYTES,
            _ => false,
        };
        let end = length.saturating_add(FRAME_BYTES).min(rest.len());
        if keep {
            kept.extend_from_slice(&rest[..end]);
        }
        rest = &rest[end..];
    }
    kept
}

/// How many frames an animated picture has, without decoding any; 1 for a still one.
fn count_frames(bytes: &[u8], kind: Kind) -> u64 {
    match kind {
        Kind::Gif => count_gif_frames(bytes).max(1),
        Kind::Webp => count_webp_frames(bytes).max(1),
        _ => 1,
    }
}

fn count_gif_frames(bytes: &[u8]) -> u64 {
    const SCREEN_BYTES: usize = 13;
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = SCREEN_BYTES + bytes.get(10).map_or(0, |flags| table(*flags));
    let mut frames = 0;
    loop {
        at = match bytes.get(at) {
            Some(b'!') => at + 2,
            Some(b',') => {
                frames += 1;
                at + 11 + bytes.get(at + 9).map_or(0, |flags| table(*flags))
            }
            _ => return frames,
        };
        // The data of a block: pieces, each after its length, up to one of no length.
        while let Some(length) = bytes.get(at).filter(|length| **length > 0) {
            at += 1 + usize::from(*length);
        }
        at += 1;
    }
}

fn count_webp_frames(bytes: &[u8]) -> u64 {
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut frames = 0;
    while let Some((header, _)) = rest.split_first_chunk::<8>() {
        let [name @ .., a, b, c, d] = *header;
        frames += u64::from(&name == b"ANMF");
        let length = (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(9) & !1;
        rest = rest.get(length..).unwrap_or_default();
    }
    frames
}
