//! Sustained tones: several readers, slightly out of tune, of a bandlimited wave.

use super::SAMPLE_RATE;
use super::instrument::Tone;
use crate::filter::{Biquad, round_edges};
use crate::noise::Dice;

/// How a sustained tone is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sustained {
    pub(crate) voices: usize,
    pub(crate) detune_cents: f32,
    pub(crate) rise_s: f32,
    pub(crate) fall_s: f32,
    /// The harmonic above which the spectrum falls steeply.
    pub(crate) corner: f32,
    pub(crate) vibrato_cents: f32,
    /// Seconds in which it loses brightness and level while held; 0 keeps both.
    pub(crate) decay_s: f32,
    /// Resonances: hertz and decibels.
    pub(crate) body: &'static [(f32, f32)],
    pub(crate) level: f32,
}

impl Default for Sustained {
    fn default() -> Self {
        Self {
            voices: 1,
            detune_cents: 0.0,
            rise_s: 0.01,
            fall_s: 0.1,
            corner: 4.0,
            vibrato_cents: 0.0,
            decay_s: 0.0,
            body: &[],
            level: 0.2,
        }
    }
}

const TABLE: usize = 2048;

/// One period of a saw whose spectrum falls steeply above `corner` harmonics and stops below the
/// limit of hearing, so that nothing folds back.
fn table(hz: f32, corner: f32) -> Vec<f32> {
    let mut wave = vec![0.0_f32; TABLE + 1];
    let most = ((15_000.0 / hz) as usize).clamp(1, 64);
    for n in 1..=most {
        let order = n as f32;
        let level = 1.0 / order / (1.0 + (order / corner).powi(3));
        if level < 1e-4 {
            break;
        }
        let angle = f64::from(order) * std::f64::consts::TAU / TABLE as f64;
        let (turn_sine, turn_cosine) = angle.sin_cos();
        // Phases spread out keep the peak of the wave low.
        let (mut sine, mut cosine) = (f64::from(order * order) * 0.7).sin_cos();
        for sample in &mut wave {
            *sample += level * sine as f32;
            (sine, cosine) =
                (sine * turn_cosine + cosine * turn_sine, cosine * turn_cosine - sine * turn_sine);
        }
    }
    wave
}

fn read(table: &[f32], phase: f32) -> f32 {
    let place = phase * TABLE as f32;
    let (index, share) = (place as usize % TABLE, place.fract());
    table[index] + (table[index + 1] - table[index]) * share
}

/// One sustained note.
pub(crate) fn sustain(tone: &Tone, dice: &mut Dice, how: &Sustained) -> Vec<f32> {
    let rate = SAMPLE_RATE as f32;
    let openness = (0.55 + 0.9 * tone.brightness) * (0.7 + 0.6 * tone.velocity);
    let bright = table(tone.hz, how.corner * openness);
    let dark = table(tone.hz, (how.corner * openness * 0.35).max(0.8));
    let length = ((tone.held_s + how.fall_s * 1.2) * rate) as usize;
    let mut samples = vec![0.0_f32; length];
    let (drift_hz, drift_at) = (dice.between(0.11, 0.23), dice.unit());
    for voice in 0..how.voices.max(1) {
        let spread =
            if how.voices > 1 { voice as f32 / (how.voices - 1) as f32 * 2.0 - 1.0 } else { 0.0 };
        let cents = how.detune_cents * (spread + dice.between(-0.25, 0.25));
        let step = tone.hz * 2.0_f32.powf(cents / 1200.0) / rate;
        let vibrato = Vibrato::new(how.vibrato_cents, dice);
        let mut phase = dice.unit();
        let mut pace = step;
        for (place, sample) in samples.iter_mut().enumerate() {
            if place % 64 == 0 {
                pace = step * vibrato.at(place as f32 / rate);
            }
            phase = (phase + pace).fract();
            let t = place as f32 / rate;
            let open = open_at(t, how, drift_hz, drift_at);
            *sample += read(&dark, phase) * (1.0 - open) + read(&bright, phase) * open;
        }
    }
    shape(&mut samples, tone, how);
    samples
}

/// How much of the bright wave is heard at a time.
fn open_at(t: f32, how: &Sustained, drift_hz: f32, drift_at: f32) -> f32 {
    if how.decay_s > 0.0 {
        // A filter that closes, without an exponential for every sample.
        let x = t / (how.decay_s * 0.7);
        return 1.0 / (1.0 + x + x * x);
    }
    let wave = (t * drift_hz + drift_at).fract() * 2.0 - 1.0;
    let slow = 1.0 - 2.0 * wave.abs();
    (t / (how.rise_s * 2.0)).min(1.0) * (0.68 + 0.22 * slow)
}

/// Level over time, and the resonances of the body.
fn shape(samples: &mut [f32], tone: &Tone, how: &Sustained) {
    let rate = SAMPLE_RATE as f32;
    let gain = how.level * tone.velocity / (how.voices.max(1) as f32).sqrt();
    let mut body: Vec<Biquad> =
        how.body.iter().map(|(hz, gain_db)| Biquad::peak(*hz, 2.2, *gain_db)).collect();
    // A note shorter than its rise must still be heard.
    let rise_s = how.rise_s.min(tone.held_s * 0.6).max(0.002);
    for (place, sample) in samples.iter_mut().enumerate() {
        let t = place as f32 / rate;
        let up = (t / rise_s).min(1.0);
        let held = if how.decay_s > 0.0 { 1.0 / (1.0 + (t / how.decay_s).powi(2)) } else { 1.0 };
        let down = 1.0 - ((t - tone.held_s) / (how.fall_s * 1.2)).clamp(0.0, 1.0);
        let level = up * up * (3.0 - 2.0 * up) * held * down * down;
        *sample = body.iter_mut().fold(*sample * gain * level, |sample, part| part.next(sample));
    }
    round_edges(samples, 0.001, 0.01);
}

/// A pitch that wavers once the tone has settled.
struct Vibrato {
    depth: f32,
    hz: f32,
    at: f32,
}

impl Vibrato {
    fn new(cents: f32, dice: &mut Dice) -> Self {
        Self { depth: cents * 0.000_577_8, hz: dice.between(4.6, 5.8), at: dice.unit() }
    }

    fn at(&self, t: f32) -> f32 {
        let settled = ((t - 0.12) / 0.5).clamp(0.0, 1.0);
        1.0 + self.depth * settled * ((t * self.hz + self.at) * std::f32::consts::TAU).sin()
    }
}
