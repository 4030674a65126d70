//! Colour: notation, the sRGB transfer curve, and a perceptual space.
//!
//! Pictures are stored as sRGB bytes. Light adds up only in *linear* values, so whatever blends,
//! resizes or shadows goes through [`to_linear`] and back; whatever compares colours as people see
//! them uses [`oklab`].

use std::sync::LazyLock;

use impasto_domain::{Error, Result};

static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let value = byte as f32 / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
});

/// Steps of the table that leads back from linear light to bytes.
const BYTE_STEPS: usize = 16_384;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=BYTE_STEPS)
        .map(|step| {
            let value = step as f32 / BYTE_STEPS as f32;
            let curved = if value <= 0.003_130_8 {
                value * 12.92
            } else {
                1.055 * value.powf(1.0 / 2.4) - 0.055
            };
            (curved * 255.0).round() as u8
        })
        .collect()
});

/// Linear light, 0 to 1, of an sRGB byte.
pub fn to_linear(byte: u8) -> f32 {
    LINEAR[usize::from(byte)]
}

/// The sRGB byte of linear light; values outside 0 to 1 are clipped.
pub fn to_byte(linear: f32) -> u8 {
    let step = (linear.clamp(0.0, 1.0) * BYTE_STEPS as f32 + 0.5) as usize;
    BYTES.get(step).copied().unwrap_or(255)
}

/// Relative luminance of a linear colour.
pub fn luminance([red, green, blue]: [f32; 3]) -> f32 {
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// OKLab (lightness 0 to 1, green–red, blue–yellow) of a linear colour.
///
/// Source: B. Ottosson, "A perceptual color space for image processing", 2020.
pub fn oklab([red, green, blue]: [f32; 3]) -> [f32; 3] {
    let long = (0.412_221_46 * red + 0.536_332_55 * green + 0.051_445_995 * blue).max(0.0).cbrt();
    let middle = (0.211_903_5 * red + 0.680_699_5 * green + 0.107_396_96 * blue).max(0.0).cbrt();
    let short = (0.088_302_46 * red + 0.281_718_85 * green + 0.629_978_7 * blue).max(0.0).cbrt();
    [
        0.210_454_26 * long + 0.793_617_8 * middle - 0.004_072_047 * short,
        1.977_998_5 * long - 2.428_592_2 * middle + 0.450_593_7 * short,
        0.025_904_037 * long + 0.782_771_77 * middle - 0.808_675_77 * short,
    ]
}

/// The linear colour of an OKLab one; may lie outside 0 to 1.
pub fn from_oklab([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let middle = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * long - 3.307_711_6 * middle + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * middle - 0.341_319_38 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * middle + 1.707_614_7 * short,
    ]
}

/// Reads `#rgb`, `#rrggbb` or `#rrggbbaa`; the hash may be left out.
///
/// ```
/// assert_eq!(impasto_media::color::parse("#ff800080").unwrap(), [255, 128, 0, 128]);
/// assert!(impasto_media::color::parse("red").is_err());
/// ```
pub fn parse(text: &str) -> Result<[u8; 4]> {
    let bad = || {
        Error::invalid(format!("'{text}' is not a colour")).hint("write it as #rrggbb or #rrggbbaa")
    };
    let digits: Vec<u8> = text
        .trim()
        .trim_start_matches('#')
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(bad)?;
    Ok(match digits[..] {
        [r, g, b] => [r * 17, g * 17, b * 17, 255],
        [r, s, g, h, b, c] => [r * 16 + s, g * 16 + h, b * 16 + c, 255],
        [r, s, g, h, b, c, a, d] => [r * 16 + s, g * 16 + h, b * 16 + c, a * 16 + d],
        _ => return Err(bad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_linear_light() {
        for byte in 0..=255 {
            assert_eq!(to_byte(to_linear(byte)), byte);
        }
    }

    #[test]
    fn oklab_reads_back() {
        for color in [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.8, 0.1, 0.3]] {
            let back = from_oklab(oklab(color));
            assert!(
                back.iter().zip(color).all(|(a, b)| (a - b).abs() < 1e-3),
                "{back:?} {color:?}"
            );
        }
    }

    #[test]
    fn notation() {
        assert_eq!(parse("#fff").unwrap(), [255; 4]);
        assert_eq!(parse("102030").unwrap(), [16, 32, 48, 255]);
        for bad in ["", "#", "#12", "#gggggg", "#1234567", "#éé"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
