//! Masks: pictures that say what of another picture may change, in one of three forms.

use image::Rgba;
use impasto_domain::{Error, Result, Values, Workbench};

use crate::arguments::{Arguments, output};

/// How a mask says what may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    White,
    Black,
    Transparent,
}

impl Form {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "white" => Self::White,
            "black" => Self::Black,
            "transparent" => Self::Transparent,
            _ => {
                return Err(Error::invalid(format!("'{name}' is no form of a mask"))
                    .hint("write white, black or transparent"));
            }
        })
    }

    /// How much may change where the mask has this pixel: nothing is 0, all is 255. Where a mask of
    /// colours is transparent, nothing may.
    fn change(self, Rgba([red, green, blue, alpha]): Rgba<u8>) -> u8 {
        // Weights of the three colours, 256 together, so that grey stays what it is.
        let light = (54 * u32::from(red) + 183 * u32::from(green) + 19 * u32::from(blue)) / 256;
        let shown = |light: u32| ((light * u32::from(alpha) + 127) / 255) as u8;
        match self {
            Self::White => shown(light),
            Self::Black => shown(255 - light),
            Self::Transparent => 255 - alpha,
        }
    }

    /// The pixel where so much may change.
    fn pixel(self, change: u8) -> Rgba<u8> {
        match self {
            Self::White => Rgba([change, change, change, 255]),
            Self::Black => Rgba([255 - change, 255 - change, 255 - change, 255]),
            // Its colours say the same, for those who look at them.
            Self::Transparent => Rgba([change, change, change, 255 - change]),
        }
    }
}

/// `convert-mask`.
pub(super) fn convert(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut mask = input.picture("mask", bench)?;
    let from = Form::named(input.text("from", "transparent"))?;
    let to = Form::named(input.text("to", "white"))?;
    if from == Form::Transparent && !mask.has_alpha() {
        let message = "`mask` is opaque everywhere, so nothing of the picture may change";
        return Err(Error::invalid(message)
            .hint("make those parts transparent that may change, and write it as PNG"));
    }
    for pixel in mask.pixels.pixels_mut() {
        *pixel = to.pixel(from.change(*pixel));
    }
    Ok(output([("mask", mask.write(bench)?.into())]))
}
