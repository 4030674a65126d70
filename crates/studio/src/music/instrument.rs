//! Instruments: one note in, samples out.
//!
//! Three ways of making a tone: damped partials (piano, bells, mallets), a plucked string as a delay
//! line, and bandlimited waves read from a table (pads, strings, basses, leads).

use super::SAMPLE_RATE;
use super::partials::{Partial, ring};
use super::string::pluck;
use super::wave::{Sustained, sustain};
use crate::filter::{Biquad, OnePole, round_edges};
use crate::noise::Dice;

/// What a note is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timbre {
    Piano,
    FeltPiano,
    ElectricPiano,
    Guitar,
    Harp,
    Marimba,
    Vibraphone,
    Bell,
    Flute,
    SoloString,
    SynthLead,
    SynthPluck,
    Strings,
    Choir,
    WarmPad,
    UprightBass,
    ElectricBass,
    SubBass,
}

/// A note for an instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    pub(crate) hz: f32,
    pub(crate) velocity: f32,
    pub(crate) held_s: f32,
    /// From 0 (dark) to 1 (bright).
    pub(crate) brightness: f32,
}

impl Timbre {
    /// Whether two takes, one a side, make it wide.
    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::Strings | Self::Choir | Self::WarmPad | Self::SynthPluck)
    }

    /// How many octaves above its written notes it likes to play.
    pub(crate) fn octave(self, is_lead: bool) -> i32 {
        match self {
            Self::Bell if is_lead => 1,
            Self::SoloString if is_lead => -1,
            Self::SynthPluck => 1,
            _ => 0,
        }
    }

    /// The samples of one note, at a level at which instruments balance.
    pub(crate) fn play(self, tone: &Tone, dice: &mut Dice) -> Vec<f32> {
        let mut samples = match self {
            Self::Piano => piano(tone, dice, 1.0),
            Self::FeltPiano => piano(tone, dice, 0.45),
            Self::ElectricPiano => electric_piano(tone),
            Self::Marimba | Self::Vibraphone | Self::Bell => mallet(self, tone),
            Self::Guitar => pluck(tone, dice, &super::string::GUITAR),
            Self::Harp => pluck(tone, dice, &super::string::HARP),
            Self::UprightBass => pluck(tone, dice, &super::string::UPRIGHT_BASS),
            Self::ElectricBass => pluck(tone, dice, &super::string::ELECTRIC_BASS),
            _ => sustain(tone, dice, &sustained(self)),
        };
        if self == Self::Flute {
            breathe(&mut samples, tone, dice);
        }
        samples
    }
}

/// A hammer on two strings: stiff partials that die in two stages, and the knock of the wood.
fn piano(tone: &Tone, dice: &mut Dice, openness: f32) -> Vec<f32> {
    let stiffness = 0.00011 * (tone.hz / 220.0).powf(1.2).min(9.0);
    let decay_s = (2.6 * (220.0 / tone.hz).powf(0.55)).clamp(0.35, 4.5);
    // A harder stroke is not only louder but brighter.
    let hardness = openness * (0.35 + 0.65 * tone.velocity) * (0.6 + 0.8 * tone.brightness);
    let mut partials = Vec::with_capacity(24);
    for n in 1..=12_u32 {
        let order = n as f32;
        let ratio = order * (1.0 + stiffness * order * order).sqrt();
        if tone.hz * ratio > 14_000.0 {
            break;
        }
        // The hammer strikes at about an eighth of the string and silences what has a node there.
        let struck = (order * std::f32::consts::PI / 7.6).sin().abs() + 0.08;
        let level = struck * (-(order - 1.0) / (1.2 + 5.0 * hardness)).exp() / order.powf(0.4);
        let decay_s = decay_s / (1.0 + 0.16 * (order - 1.0));
        partials.push(Partial { ratio, level: level * 0.75, decay_s: decay_s * 0.38 });
        let detuned = ratio * (1.0 + 0.00022 * dice.between(0.6, 1.4));
        partials.push(Partial { ratio: detuned, level: level * 0.33, decay_s: decay_s * 1.5 });
    }
    let mut samples = ring(&partials, tone, 0.11);
    let (mut wood, mut knock) =
        (OnePole::low_pass(900.0 + 1500.0 * hardness), 0.05 * tone.velocity);
    for sample in samples.iter_mut().take((SAMPLE_RATE / 12) as usize) {
        *sample += wood.next(dice.between(-1.0, 1.0)) * knock;
        knock *= 0.9982;
    }
    scale(&mut samples, 0.66 * tone.velocity.powf(1.2));
    round_edges(&mut samples, if openness < 0.6 { 0.006 } else { 0.002 }, 0.02);
    samples
}

/// A tine beside a bar: a round fundamental and a short bright stroke, trembling.
fn electric_piano(tone: &Tone) -> Vec<f32> {
    let decay_s = (1.9 * (220.0 / tone.hz).powf(0.35)).clamp(0.5, 3.0);
    let bite = 0.2 + 0.9 * tone.velocity * (0.5 + tone.brightness);
    let partial = |ratio, level, share: f32| Partial { ratio, level, decay_s: decay_s * share };
    let partials = [
        partial(1.0, 1.0, 1.0),
        partial(2.0, 0.24 * bite, 0.55),
        partial(3.0, 0.13 * bite, 0.4),
        partial(4.0, 0.05 * bite, 0.3),
        partial(7.03, 0.09 * bite, 0.07),
        partial(14.1, 0.03 * bite, 0.03),
    ];
    let mut samples = ring(&partials, tone, 0.09);
    tremble(&mut samples, 4.6, 0.14);
    scale(&mut samples, 0.30 * tone.velocity.powf(1.1));
    round_edges(&mut samples, 0.003, 0.02);
    samples
}

fn mallet(timbre: Timbre, tone: &Tone) -> Vec<f32> {
    let (partials, decay_s, level): (&[(f32, f32, f32)], f32, f32) = match timbre {
        // Ratio, level, share of the decay.
        Timbre::Marimba => (&[(1.0, 1.0, 1.0), (3.93, 0.30, 0.28), (9.2, 0.10, 0.12)], 0.42, 0.42),
        Timbre::Vibraphone => {
            (&[(1.0, 1.0, 1.0), (3.99, 0.22, 0.35), (10.1, 0.06, 0.1)], 1.6, 0.27)
        }
        _ => (
            &[(1.0, 1.0, 1.0), (2.76, 0.36, 0.5), (5.40, 0.20, 0.28), (8.93, 0.08, 0.14)],
            1.5,
            0.22,
        ),
    };
    let decay_s = (decay_s * (440.0 / tone.hz).powf(0.4)).clamp(0.15, 3.0);
    let soft = 0.5 + 0.6 * tone.velocity * (0.6 + 0.8 * tone.brightness);
    let partials: Vec<Partial> = partials
        .iter()
        .enumerate()
        .map(|(place, (ratio, level, share))| Partial {
            ratio: *ratio,
            level: if place == 0 { *level } else { level * soft },
            decay_s: decay_s * share,
        })
        .filter(|partial| partial.ratio * tone.hz < 15_000.0)
        .collect();
    // Bars and bells are not damped when the hand leaves.
    let rings_on = Tone { held_s: tone.held_s + 0.7, ..*tone };
    let mut samples = ring(&partials, &rings_on, 0.2);
    if timbre == Timbre::Vibraphone {
        tremble(&mut samples, 5.1, 0.2);
    }
    scale(&mut samples, level * tone.velocity.powf(1.1));
    round_edges(&mut samples, 0.0015, 0.02);
    samples
}

/// One player.
fn sustained(timbre: Timbre) -> Sustained {
    let plain = Sustained::default();
    match timbre {
        Timbre::SoloString => Sustained {
            voices: 1,
            rise_s: 0.09,
            fall_s: 0.16,
            corner: 9.0,
            vibrato_cents: 16.0,
            level: 0.21,
            body: &[(480.0, 4.0), (1250.0, 3.0), (2900.0, 3.0)],
            ..plain
        },
        Timbre::Flute => Sustained {
            rise_s: 0.06,
            fall_s: 0.12,
            corner: 2.0,
            vibrato_cents: 9.0,
            level: 0.26,
            ..plain
        },
        Timbre::SynthLead => Sustained {
            voices: 3,
            detune_cents: 7.0,
            rise_s: 0.008,
            fall_s: 0.14,
            corner: 9.0,
            vibrato_cents: 6.0,
            decay_s: 1.2,
            level: 0.17,
            ..plain
        },
        Timbre::SynthPluck => Sustained {
            voices: 2,
            detune_cents: 6.0,
            rise_s: 0.003,
            fall_s: 0.12,
            corner: 11.0,
            decay_s: 0.17,
            level: 0.26,
            ..plain
        },
        Timbre::SubBass => Sustained {
            rise_s: 0.006,
            fall_s: 0.07,
            corner: 3.5,
            decay_s: 0.9,
            level: 0.42,
            ..plain
        },
        _ => sustained_together(timbre),
    }
}

/// Many players at once; whatever has no better way is a warm pad.
fn sustained_together(timbre: Timbre) -> Sustained {
    let plain = Sustained::default();
    match timbre {
        Timbre::Strings => Sustained {
            voices: 5,
            detune_cents: 9.0,
            rise_s: 0.28,
            fall_s: 0.55,
            corner: 7.0,
            vibrato_cents: 7.0,
            level: 0.16,
            body: &[(500.0, 2.5), (1100.0, 2.0), (2600.0, 1.5)],
            ..plain
        },
        Timbre::Choir => Sustained {
            voices: 5,
            detune_cents: 11.0,
            rise_s: 0.35,
            fall_s: 0.6,
            corner: 5.0,
            vibrato_cents: 14.0,
            level: 0.17,
            // The first formants of an open "ah".
            body: &[(680.0, 9.0), (1080.0, 7.0), (2600.0, 4.0)],
            ..plain
        },
        _ => Sustained {
            voices: 4,
            detune_cents: 12.0,
            rise_s: 0.6,
            fall_s: 0.9,
            corner: 4.5,
            vibrato_cents: 3.0,
            level: 0.17,
            ..plain
        },
    }
}

/// The air that a flute loses.
fn breathe(samples: &mut [f32], tone: &Tone, dice: &mut Dice) {
    let mut band = Biquad::band_pass(tone.hz * 2.0, 1.2);
    let mut follow = OnePole::over(0.01);
    for sample in samples {
        let loud = follow.next(sample.abs());
        *sample += band.next(dice.between(-1.0, 1.0)) * loud * 0.22;
    }
}

fn tremble(samples: &mut [f32], hz: f32, depth: f32) {
    for (place, sample) in samples.iter_mut().enumerate() {
        let t = place as f32 / SAMPLE_RATE as f32;
        *sample *= 1.0 - depth * (0.5 - 0.5 * (t * hz * std::f32::consts::TAU).cos());
    }
}

pub(crate) fn scale(samples: &mut [f32], gain: f32) {
    for sample in samples {
        *sample *= gain;
    }
}
