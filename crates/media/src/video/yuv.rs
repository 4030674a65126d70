//! Between pictures and YUV 4:2:0: BT.709, limited range, chroma in the middle of four pixels.

use rusty_h264::YuvFrame;

use crate::Picture;

/// Fractional bits of the coefficients.
const BITS: i32 = 16;

const HALF: i32 = 1 << (BITS - 1);

/// A coefficient of the transform from 8-bit RGB to limited-range YUV.
const fn scaled(value: f64) -> i32 {
    (value * (1 << BITS) as f64 + if value < 0.0 { -0.5 } else { 0.5 }) as i32
}

const Y_RANGE: f64 = 219.0 / 255.0;
const C_RANGE: f64 = 224.0 / 255.0;
const RED: f64 = 0.2126;
const BLUE: f64 = 0.0722;
const GREEN: f64 = 1.0 - RED - BLUE;

const Y: [i32; 3] = [scaled(RED * Y_RANGE), scaled(GREEN * Y_RANGE), scaled(BLUE * Y_RANGE)];
const U: [i32; 3] = [
    scaled(-RED / (2.0 - 2.0 * BLUE) * C_RANGE),
    scaled(-GREEN / (2.0 - 2.0 * BLUE) * C_RANGE),
    scaled(0.5 * C_RANGE),
];
const V: [i32; 3] = [
    scaled(0.5 * C_RANGE),
    scaled(-GREEN / (2.0 - 2.0 * RED) * C_RANGE),
    scaled(-BLUE / (2.0 - 2.0 * RED) * C_RANGE),
];

fn weigh([red, green, blue]: [i32; 3], by: [i32; 3]) -> i32 {
    red * by[0] + green * by[1] + blue * by[2]
}

/// A frame of even size: an odd last row or column of the picture is left out. Alpha is ignored.
pub(crate) fn from_picture(picture: &Picture) -> YuvFrame {
    let (width, height) = (picture.width() as usize & !1, picture.height() as usize & !1);
    let mut frame = YuvFrame {
        width,
        height,
        y: vec![0; width * height],
        u: vec![0; width * height / 4],
        v: vec![0; width * height / 4],
    };
    if width == 0 || height == 0 {
        return frame;
    }
    let stride = picture.width() as usize * 4;
    let rows = picture.pixels.as_raw().chunks_exact(2 * stride);
    let chroma = frame.u.chunks_exact_mut(width / 2).zip(frame.v.chunks_exact_mut(width / 2));
    for ((pair, luma), (u, v)) in rows.zip(frame.y.chunks_exact_mut(2 * width)).zip(chroma) {
        let (upper, lower) = pair.split_at(stride);
        let (luma_upper, luma_lower) = luma.split_at_mut(width);
        luma_row(upper, luma_upper);
        luma_row(lower, luma_lower);
        let fours = upper.chunks_exact(8).zip(lower.chunks_exact(8));
        for ((four, below), (u, v)) in fours.zip(u.iter_mut().zip(v)) {
            let sum = |channel: usize| {
                i32::from(four[channel])
                    + i32::from(four[channel + 4])
                    + i32::from(below[channel])
                    + i32::from(below[channel + 4])
            };
            let sums = [sum(0), sum(1), sum(2)];
            let middle = (128 << (BITS + 2)) + 4 * HALF;
            *u = ((weigh(sums, U) + middle) >> (BITS + 2)) as u8;
            *v = ((weigh(sums, V) + middle) >> (BITS + 2)) as u8;
        }
    }
    frame
}

fn luma_row(pixels: &[u8], luma: &mut [u8]) {
    for (pixel, luma) in pixels.chunks_exact(4).zip(luma) {
        let color = [i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2])];
        *luma = ((weigh(color, Y) + (16 << BITS) + HALF) >> BITS) as u8;
    }
}

/// The frame as a picture; chroma is interpolated.
pub(crate) fn to_picture(frame: &YuvFrame) -> Picture {
    let mut picture = Picture::filled(frame.width as u32, frame.height as u32, [0, 0, 0, 255]);
    let (width, chroma_width) = (frame.width, frame.width / 2);
    let chroma_height = frame.height / 2;
    if chroma_width == 0 || chroma_height == 0 {
        return picture;
    }
    let mut blended = [vec![0; chroma_width], vec![0; chroma_width]];
    for (y, row) in
        picture.pixels.as_flat_samples_mut().samples.chunks_exact_mut(width * 4).enumerate()
    {
        // The nearer chroma row counts three times, the farther one once.
        let near = (y / 2).min(chroma_height - 1);
        let far =
            if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(chroma_height - 1) };
        for (plane, blended) in [&frame.u, &frame.v].into_iter().zip(&mut blended) {
            let (near, far) = (&plane[near * chroma_width..], &plane[far * chroma_width..]);
            for (out, (near, far)) in blended.iter_mut().zip(near.iter().zip(far)) {
                *out = 3 * i32::from(*near) + i32::from(*far);
            }
        }
        let luma = &frame.y[y * width..(y + 1) * width];
        for (x, (pixel, luma)) in row.chunks_exact_mut(4).zip(luma).enumerate() {
            let near = (x / 2).min(chroma_width - 1);
            let far =
                if x % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(chroma_width - 1) };
            let [u, v] =
                [&blended[0], &blended[1]].map(|row| 3 * row[near] + row[far] - (128 << 4));
            pixel[..3].copy_from_slice(&color(i32::from(*luma) - 16, u, v));
        }
    }
    picture
}

/// The colour of luma above black and of chroma in sixteenths.
fn color(luma: i32, u: i32, v: i32) -> [u8; 3] {
    const LUMA: i32 = scaled(1.0 / Y_RANGE);
    const V_TO_RED: i32 = scaled((2.0 - 2.0 * RED) / C_RANGE / 16.0);
    const U_TO_BLUE: i32 = scaled((2.0 - 2.0 * BLUE) / C_RANGE / 16.0);
    const U_TO_GREEN: i32 = scaled((2.0 - 2.0 * BLUE) * BLUE / GREEN / C_RANGE / 16.0);
    const V_TO_GREEN: i32 = scaled((2.0 - 2.0 * RED) * RED / GREEN / C_RANGE / 16.0);
    let base = luma * LUMA + HALF;
    [base + v * V_TO_RED, base - u * U_TO_GREEN - v * V_TO_GREEN, base + u * U_TO_BLUE]
        .map(|value| (value >> BITS).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_trip() {
        for color in
            [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 140, 60]]
        {
            let [red, green, blue] = color;
            let picture = Picture::filled(7, 5, [red, green, blue, 255]);
            let frame = from_picture(&picture);
            assert_eq!((frame.width, frame.height), (6, 4));
            let back = to_picture(&frame).pixels.get_pixel(3, 2).0;
            let near = back[..3].iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 3);
            assert!(near, "{color:?} came back as {back:?}");
        }
        let white = from_picture(&Picture::filled(2, 2, [255; 4]));
        let black = from_picture(&Picture::filled(2, 2, [0, 0, 0, 255]));
        assert_eq!((white.y[0], white.u[0], black.y[0], black.v[0]), (235, 128, 16, 128));
    }
}
