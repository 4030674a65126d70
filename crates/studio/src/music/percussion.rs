//! Drums: what each kit plays, and how each drum sounds.

use super::SAMPLE_RATE;
use crate::filter::{Biquad, OnePole, round_edges};
use crate::noise::Dice;

/// A set of drums and the way it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kit {
    Soft,
    Pop,
    Electronic,
    LoFi,
    Jazz,
    Cinematic,
}

/// A drum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drum {
    Kick,
    Snare,
    Brush,
    Rim,
    Clap,
    Shaker,
    Hat,
    OpenHat,
    Ride,
    Crash,
    Tom,
    Boom,
}

/// Drum, the intensity from which it plays, and a bar in sixteenths: `X` loud, `x`, `o` soft,
/// `?` now and then.
type Pattern = (Drum, f32, &'static str);

impl Kit {
    pub(crate) fn patterns(self, beats_per_bar: usize) -> &'static [Pattern] {
        if beats_per_bar == 3 {
            return match self {
                Self::Jazz => &[
                    (Drum::Ride, 0.0, "X...x.o.x.o."),
                    (Drum::Brush, 0.0, "....x...x..."),
                    (Drum::Kick, 0.6, "o..........."),
                ],
                Self::Cinematic => {
                    &[(Drum::Boom, 0.5, "X..........."), (Drum::Tom, 0.7, "....o...o...")]
                }
                _ => &[
                    (Drum::Kick, 0.0, "x..........."),
                    (Drum::Brush, 0.4, "....x...x..."),
                    (Drum::Shaker, 0.6, "x.o.x.o.x.o."),
                ],
            };
        }
        match self {
            Self::Soft => &[
                (Drum::Shaker, 0.0, "x.o.x.o.x.o.x.o."),
                (Drum::Kick, 0.5, "x.........o....."),
                (Drum::Rim, 0.6, "....o.......o..."),
                (Drum::Brush, 0.8, "....o.......o.?."),
            ],
            Self::Pop => &[
                (Drum::Kick, 0.4, "X......ox......."),
                (Drum::Clap, 0.6, "....x.......x..."),
                (Drum::Snare, 0.85, "....o.......o..."),
                (Drum::Hat, 0.5, "x.o.x.o.x.o.x.o."),
                (Drum::Shaker, 0.8, "o.xoo.xoo.xoo.xo"),
            ],
            Self::Electronic => &[
                (Drum::Kick, 0.4, "X...X...X...X..."),
                (Drum::Clap, 0.6, "....x.......x..."),
                (Drum::OpenHat, 0.6, "..x...x...x...x."),
                (Drum::Hat, 0.4, "o?oxo?oxo?oxo?ox"),
            ],
            Self::LoFi => &[
                (Drum::Kick, 0.3, "X.....?...x....."),
                (Drum::Snare, 0.45, "....x.......x..."),
                (Drum::Hat, 0.3, "x.o.x.o.x.o.x.oo"),
                (Drum::Rim, 0.8, ".......?......?."),
            ],
            Self::Jazz => &[
                (Drum::Ride, 0.0, "x...X.o.x...X.o."),
                (Drum::Hat, 0.3, "....x.......x..."),
                (Drum::Brush, 0.5, "o...x...o...x.?."),
                (Drum::Kick, 0.7, "o.......o......."),
            ],
            Self::Cinematic => &[
                (Drum::Boom, 0.5, "X..............."),
                (Drum::Tom, 0.65, "......o.x.....o."),
                (Drum::Tom, 0.85, "x..o..........oo"),
                (Drum::Shaker, 0.75, "o.o.o.o.o.o.o.o."),
            ],
        }
    }

    /// What the kit plays on the last beat of a section, in beats after it began.
    pub(crate) fn fill(self) -> &'static [(f64, Drum, f32)] {
        match self {
            Self::Cinematic => {
                &[(0.0, Drum::Tom, 0.6), (0.25, Drum::Tom, 0.7), (0.5, Drum::Tom, 0.9)]
            }
            Self::Pop | Self::LoFi => {
                &[(0.25, Drum::Snare, 0.35), (0.5, Drum::Snare, 0.5), (0.75, Drum::Snare, 0.7)]
            }
            Self::Electronic => &[(0.5, Drum::Clap, 0.6), (0.75, Drum::Clap, 0.8)],
            Self::Soft | Self::Jazz => &[(0.5, Drum::Brush, 0.6), (0.75, Drum::Brush, 0.5)],
        }
    }
}

/// One stroke on a drum, as samples.
pub(crate) fn strike(drum: Drum, velocity: f32, dice: &mut Dice) -> Vec<f32> {
    let level = velocity * velocity.sqrt();
    let mut samples = match drum {
        Drum::Kick => thump(0.42, (150.0, 48.0), 0.028, 0.11, 0.9),
        Drum::Boom => thump(2.2, (95.0, 38.0), 0.06, 0.5, 0.9),
        Drum::Tom => {
            let hz = [82.0, 98.0, 116.0][dice.below(3)];
            thump(0.7, (hz * 1.5, hz), 0.03, 0.16, 0.6)
        }
        Drum::Snare => snare(dice),
        Drum::Brush => hiss(dice, (900.0, 6500.0), (0.018, 0.07), 0.30),
        Drum::Rim => rim(dice),
        Drum::Clap => clap(dice),
        Drum::Shaker => hiss(dice, (5500.0, 11000.0), (0.012, 0.032), 0.20),
        Drum::Hat => metal(dice, 0.028, 7500.0, 0.20),
        Drum::OpenHat => metal(dice, 0.13, 7000.0, 0.20),
        Drum::Ride => metal(dice, 0.42, 4200.0, 0.15),
        Drum::Crash => metal(dice, 0.75, 3600.0, 0.22),
    };
    for sample in &mut samples {
        *sample *= level;
    }
    round_edges(&mut samples, 0.0006, 0.01);
    samples
}

fn samples_in(seconds: f32) -> usize {
    (seconds * SAMPLE_RATE as f32) as usize
}

/// A sine that falls from one pitch to another while it dies away.
fn thump(
    length_s: f32,
    (from_hz, to_hz): (f32, f32),
    fall_s: f32,
    decay_s: f32,
    level: f32,
) -> Vec<f32> {
    let mut phase = 0.0_f32;
    (0..samples_in(length_s))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let hz = to_hz + (from_hz - to_hz) * (-t / fall_s).exp();
            phase = (phase + hz / SAMPLE_RATE as f32).fract();
            let click = (-t / 0.002).exp() * 0.12 * (t * 9000.0).sin();
            ((phase * std::f32::consts::TAU).sin() * (-t / decay_s).exp() + click) * level
        })
        .collect()
}

/// Noise in a band, rising and dying away.
fn hiss(
    dice: &mut Dice,
    (low_hz, high_hz): (f32, f32),
    (rise_s, decay_s): (f32, f32),
    level: f32,
) -> Vec<f32> {
    let (mut low, mut high) = (Biquad::high_pass(low_hz, 0.7), Biquad::low_pass(high_hz, 0.7));
    (0..samples_in(rise_s + decay_s * 7.0))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let shape = (t / rise_s).min(1.0) * (-(t - rise_s).max(0.0) / decay_s).exp();
            high.next(low.next(dice.between(-1.0, 1.0))) * shape * level
        })
        .collect()
}

fn snare(dice: &mut Dice) -> Vec<f32> {
    let (mut low, mut high) = (Biquad::high_pass(1400.0, 0.7), OnePole::low_pass(7500.0));
    (0..samples_in(0.3))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let tone = (t * 186.0 * std::f32::consts::TAU).sin()
                + 0.6 * (t * 331.0 * std::f32::consts::TAU).sin();
            let wires = high.next(low.next(dice.between(-1.0, 1.0)));
            tone * 0.26 * (-t / 0.035).exp() + wires * 0.42 * (-t / 0.055).exp()
        })
        .collect()
}

fn rim(dice: &mut Dice) -> Vec<f32> {
    let mut band = Biquad::band_pass(1750.0, 6.0);
    (0..samples_in(0.12))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let burst = if t < 0.0015 { dice.between(-1.0, 1.0) + 0.8 } else { 0.0 };
            band.next(burst) * 1.6 * (-t / 0.03).exp()
        })
        .collect()
}

/// Four hands that do not quite meet.
fn clap(dice: &mut Dice) -> Vec<f32> {
    let mut band = Biquad::band_pass(1300.0, 0.9);
    let mut low = Biquad::high_pass(600.0, 0.7);
    (0..samples_in(0.28))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let hands: f32 = [0.0, 0.010, 0.021]
                .iter()
                .filter(|start| t >= **start)
                .map(|start| (-(t - start) / 0.004).exp())
                .sum();
            let tail = if t >= 0.028 { (-(t - 0.028) / 0.055).exp() } else { 0.0 };
            band.next(low.next(dice.between(-1.0, 1.0))) * (hands * 0.6 + tail * 0.7)
        })
        .collect()
}

/// Six squares out of tune with each other through a high-pass: a cymbal.
fn metal(dice: &mut Dice, decay_s: f32, low_hz: f32, level: f32) -> Vec<f32> {
    let ratios = [1.0_f32, 1.342, 1.2312, 1.6532, 1.9523, 2.1523];
    let base_hz = 410.0 * dice.between(0.98, 1.02);
    let mut phases = ratios.map(|_| dice.unit());
    let (mut low, mut top) = (Biquad::high_pass(low_hz, 0.8), OnePole::low_pass(13_000.0));
    (0..samples_in(decay_s * 6.5))
        .map(|place| {
            let t = place as f32 / SAMPLE_RATE as f32;
            let mut sum = 0.0;
            for (phase, ratio) in phases.iter_mut().zip(ratios) {
                *phase = (*phase + base_hz * ratio / SAMPLE_RATE as f32).fract();
                // Not quite square: hard edges alias.
                sum += ((*phase - 0.5).abs() * 4.0 - 1.0).clamp(-0.4, 0.4);
            }
            let noise = dice.between(-1.0, 1.0) * 0.8;
            let shape = 0.75 * (-t / decay_s).exp() + 0.25 * (-t / (decay_s * 0.2)).exp();
            top.next(low.next(sum * 0.6 + noise)) * shape * level
        })
        .collect()
}
