//! Looks: exposure, white balance, contrast, saturation, split tones, vignette, grain.
//!
//! A look is a set of numbers and not a picture table, so a caller's own values add to it and
//! `strength` fades it evenly. The order is that of a darkroom: light first (exposure, white
//! balance, vignette, in linear light), then tone and colour (in OKLab), then grain.

use impasto_domain::{Error, Result, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::{Picture, color};

/// A look. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// In stops.
    pub exposure: f32,
    /// 1 leaves it.
    pub contrast: f32,
    /// 1 leaves it.
    pub saturation: f32,
    /// Below 0 colder, above 0 warmer.
    pub temperature: f32,
    /// Below 0 greener, above 0 more magenta.
    pub tint: f32,
    /// How dark the corners get, from 0 to 1.
    pub vignette: f32,
    /// How much grain, from 0 to 1.
    pub grain: f32,
    /// How far black is lifted, in OKLab lightness.
    pub fade: f32,
    /// What is added to the OKLab colour of the shadows.
    pub shadows: [f32; 2],
    /// What is added to the OKLab colour of the highlights.
    pub highlights: [f32; 2],
}

impl Default for Grade {
    fn default() -> Self {
        Self {
            exposure: 0.0,
            contrast: 1.0,
            saturation: 1.0,
            temperature: 0.0,
            tint: 0.0,
            vignette: 0.0,
            grain: 0.0,
            fade: 0.0,
            shadows: [0.0; 2],
            highlights: [0.0; 2],
        }
    }
}

impl Grade {
    /// The look of that name.
    pub fn look(name: &str) -> Result<Self> {
        let none = Self::default();
        Ok(match name {
            "none" => none,
            "warm-film" => Self {
                exposure: 0.08,
                contrast: 1.08,
                saturation: 0.94,
                temperature: 0.2,
                vignette: 0.22,
                grain: 0.22,
                fade: 0.035,
                shadows: [-0.004, 0.004],
                highlights: [0.008, 0.022],
                ..none
            },
            "cool-clean" => Self {
                exposure: 0.12,
                contrast: 1.06,
                saturation: 0.92,
                temperature: -0.2,
                highlights: [-0.004, -0.008],
                ..none
            },
            "noir" => Self { contrast: 1.38, saturation: 0.0, vignette: 0.5, grain: 0.4, ..none },
            "golden-hour" => Self {
                exposure: 0.1,
                contrast: 1.05,
                saturation: 1.1,
                temperature: 0.42,
                tint: 0.06,
                vignette: 0.18,
                fade: 0.015,
                shadows: [0.004, -0.006],
                highlights: [0.014, 0.04],
                ..none
            },
            "teal-orange" => Self {
                contrast: 1.14,
                saturation: 1.06,
                vignette: 0.2,
                shadows: [-0.028, -0.026],
                highlights: [0.018, 0.032],
                ..none
            },
            "pastel" => Self {
                exposure: 0.22,
                contrast: 0.82,
                saturation: 0.72,
                fade: 0.07,
                shadows: [0.006, -0.012],
                highlights: [0.008, 0.006],
                ..none
            },
            _ => {
                return Err(Error::invalid(format!("there is no look '{name}'")).hint(
                    "choose none, warm-film, cool-clean, noir, golden-hour, teal-orange or pastel",
                ));
            }
        })
    }

    /// The look faded: 0 changes nothing, 1 is the look.
    #[must_use]
    pub fn faded(&self, strength: f32) -> Self {
        let from_one = |value: f32| 1.0 + (value - 1.0) * strength;
        Self {
            exposure: self.exposure * strength,
            contrast: from_one(self.contrast),
            saturation: from_one(self.saturation),
            temperature: self.temperature * strength,
            tint: self.tint * strength,
            vignette: self.vignette * strength,
            grain: self.grain * strength,
            fade: self.fade * strength,
            shadows: self.shadows.map(|value| value * strength),
            highlights: self.highlights.map(|value| value * strength),
        }
    }

    /// This look with the caller's own values on top.
    fn with_values(mut self, input: &Values) -> Self {
        self.exposure += input.number_or("exposure", 0.0);
        self.contrast *= input.number_or("contrast", 1.0);
        self.saturation *= input.number_or("saturation", 1.0);
        self.temperature += input.number_or("temperature", 0.0);
        self.tint += input.number_or("tint", 0.0);
        self.vignette = (self.vignette + input.number_or("vignette", 0.0)).min(1.0);
        self.grain = (self.grain + input.number_or("grain", 0.0)).min(1.0);
        self
    }

    /// Grades a picture in place. `seed` chooses the grain, so that frames of a film can differ.
    pub fn apply(&self, picture: &mut Picture, seed: u32) {
        if *self == Self::default() {
            return;
        }
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let gains = self.gains();
        let grain = Grain { size: (height / 1080.0).max(1.0), seed };
        for (x, y, pixel) in picture.pixels.enumerate_pixels_mut() {
            let [red, green, blue, alpha] = pixel.0;
            let across = (x as f32 + 0.5) / width * 2.0 - 1.0;
            let down = (y as f32 + 0.5) / height * 2.0 - 1.0;
            let falloff = self.falloff(across, down);
            let lit: [f32; 3] = std::array::from_fn(|channel| {
                color::to_linear([red, green, blue][channel]) * gains[channel] * falloff
            });
            let mut lab = self.toned(color::oklab(lit));
            if self.grain > 0.0 {
                // Grain shows in the middle tones, not in black and white.
                let visible = (4.0 * lab[0] * (1.0 - lab[0])).clamp(0.15, 1.0);
                lab[0] += grain.at(x, y) * self.grain * 0.07 * visible;
            }
            let [red, green, blue] = color::from_oklab(lab).map(color::to_byte);
            pixel.0 = [red, green, blue, alpha];
        }
    }

    /// Gains of exposure and white balance; white balance keeps the luminance of grey.
    fn gains(&self) -> [f32; 3] {
        let balance = [
            (0.30 * self.temperature + 0.10 * self.tint).exp2(),
            (-0.16 * self.tint).exp2(),
            (-0.42 * self.temperature + 0.10 * self.tint).exp2(),
        ];
        let scale = self.exposure.exp2() / color::luminance(balance);
        balance.map(|gain| gain * scale)
    }

    fn falloff(&self, across: f32, down: f32) -> f32 {
        if self.vignette <= 0.0 {
            return 1.0;
        }
        let distance = (across * across + down * down) / 2.0;
        1.0 - self.vignette * 0.85 * distance.powf(1.4)
    }

    fn toned(&self, [lightness, a, b]: [f32; 3]) -> [f32; 3] {
        const MIDDLE_GREY: f32 = 0.57;
        // Highlights that exposure or white balance pushed over the edge roll off.
        let lightness = if lightness > 0.9 {
            0.9 + 0.1 * (1.0 - (-(lightness - 0.9) / 0.1).exp())
        } else {
            lightness
        };
        let curved = contrasted(lightness, MIDDLE_GREY, self.contrast);
        let lifted = self.fade + curved * (1.0 - self.fade);
        let in_shadow = (1.0 - lifted / 0.6).clamp(0.0, 1.0);
        let in_light = ((lifted - 0.45) / 0.55).clamp(0.0, 1.0);
        // Black and white take no colour, or they would look dirty.
        let room = (lifted * 8.0).min(1.0) * ((1.0 - lifted) * 8.0).clamp(0.2, 1.0);
        let toned = |value: f32, shadow: f32, light: f32| {
            value * self.saturation + (shadow * in_shadow + light * in_light) * room
        };
        [
            lifted,
            toned(a, self.shadows[0], self.highlights[0]),
            toned(b, self.shadows[1], self.highlights[1]),
        ]
    }
}

/// A curve through black, `pivot` and white whose slope at the pivot is `contrast`.
fn contrasted(value: f32, pivot: f32, contrast: f32) -> f32 {
    if contrast <= 1.0 {
        return pivot + (value - pivot) * contrast.max(0.0);
    }
    let value = value.clamp(0.0, 1.0);
    if value < pivot {
        pivot * (value / pivot).powf(contrast)
    } else {
        1.0 - (1.0 - pivot) * ((1.0 - value) / (1.0 - pivot)).powf(contrast)
    }
}

/// Film grain: noise whose value depends on the place and the seed only.
struct Grain {
    size: f32,
    seed: u32,
}

impl Grain {
    /// From about -1 to 1.
    fn at(&self, x: u32, y: u32) -> f32 {
        let fine = self.noise(x as f32 / self.size, y as f32 / self.size, 1);
        let coarse = self.noise(x as f32 / (self.size * 2.3), y as f32 / (self.size * 2.3), 2);
        0.75 * fine + 0.5 * coarse
    }

    fn noise(&self, x: f32, y: f32, layer: u32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = (x - left, y - top);
        let at = |dx: u32, dy: u32| self.hash(left as u32 + dx, top as u32 + dy, layer);
        let upper = at(0, 0) * (1.0 - across) + at(1, 0) * across;
        let lower = at(0, 1) * (1.0 - across) + at(1, 1) * across;
        upper * (1.0 - down) + lower * down
    }

    /// Mixes place, layer and seed (the finaliser of MurmurHash3).
    fn hash(&self, x: u32, y: u32, layer: u32) -> f32 {
        let mut bits = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
        bits ^= layer.wrapping_mul(0xC2B2_AE3D) ^ self.seed.wrapping_mul(0x27D4_EB2F);
        bits = (bits ^ (bits >> 16)).wrapping_mul(0x85EB_CA6B);
        bits = (bits ^ (bits >> 13)).wrapping_mul(0xC2B2_AE35);
        (bits ^ (bits >> 16)) as f32 / (u32::MAX as f32 / 2.0) - 1.0
    }
}

/// `grade-image`.
pub(super) fn grade(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut picture = input.picture("image", bench)?;
    let look = Grade::look(input.text("look", "none"))?.faded(input.number_or("strength", 1.0));
    look.with_values(input).apply(&mut picture, 1);
    Ok(output([("image", picture.write(bench)?.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(grade: Grade, color: [u8; 4]) -> [f32; 3] {
        let mut picture = Picture::filled(32, 32, color);
        grade.apply(&mut picture, 1);
        std::array::from_fn(|channel| {
            picture.pixels.pixels().map(|pixel| f32::from(pixel.0[channel])).sum::<f32>() / 1024.0
        })
    }

    #[test]
    fn looks_do_what_their_names_say() {
        let grey = [128, 128, 128, 255];
        let of = |name: &str| mean(Grade::look(name).unwrap(), grey);
        let warmth = |name: &str| of(name)[0] - of(name)[2];
        assert!(warmth("warm-film") > 8.0);
        assert!(warmth("golden-hour") > warmth("warm-film"));
        assert!(warmth("cool-clean") < -8.0);
        let [red, green, blue] = mean(Grade::look("noir").unwrap(), [220, 60, 40, 255]);
        assert!((red - green).abs() < 1.5 && (green - blue).abs() < 1.5, "noir is grey");
        let teal = mean(Grade::look("teal-orange").unwrap(), [50, 50, 50, 255]);
        assert!(teal[2] > teal[0] + 5.0, "{teal:?}");
        assert!(Grade::look("sepia").is_err());
    }

    #[test]
    fn no_look_changes_nothing_and_fading_leads_there() {
        let look = Grade::look("teal-orange").unwrap();
        assert_eq!(look.faded(0.0), Grade::default());
        let noisy = Picture::from_fn(16, 16, |x, y| [(x * 16) as u8, (y * 16) as u8, 90, 200]);
        let mut same = noisy.clone();
        Grade::default().apply(&mut same, 1);
        assert!(same == noisy);
        let mut graded = noisy.clone();
        look.apply(&mut graded, 1);
        assert!(graded.pixels.pixels().all(|pixel| pixel.0[3] == 200), "alpha stays");
    }

    #[test]
    fn contrast_keeps_black_grey_and_white() {
        for contrast in [1.0, 1.2, 2.5] {
            for value in [0.0, 0.57, 1.0] {
                assert!((contrasted(value, 0.57, contrast) - value).abs() < 1e-6);
            }
        }
    }
}
