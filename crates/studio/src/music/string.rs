//! Plucked strings: noise that runs round a delay line and loses its edge each time
//! (K. Karplus and A. Strong, 1983; tuned with an all-pass as by D. Jaffe and J. Smith).

use super::SAMPLE_RATE;
use super::instrument::{Tone, scale};
use super::partials::damp;
use crate::filter::{Biquad, OnePole, round_edges};
use crate::noise::Dice;

/// A kind of string and of body.
pub(crate) struct Strung {
    /// Seconds for a middle A to fall by 60 dB.
    ring_s: f32,
    /// Where it is plucked, as a share of its length.
    place: f32,
    /// Corner of what the finger lets into the string, in hertz.
    finger_hz: f32,
    /// How much the highs die with each turn, from 0 to 0.5.
    dullness: f32,
    /// Resonances of the body: hertz and decibels.
    body: &'static [(f32, f32)],
    damper_s: f32,
    level: f32,
}

pub(crate) const GUITAR: Strung = Strung {
    ring_s: 2.6,
    place: 0.19,
    finger_hz: 3800.0,
    dullness: 0.16,
    body: &[(105.0, 4.0), (215.0, 4.5), (430.0, 2.0)],
    damper_s: 0.12,
    level: 0.5,
};
pub(crate) const HARP: Strung = Strung {
    ring_s: 3.6,
    place: 0.42,
    finger_hz: 2400.0,
    dullness: 0.2,
    body: &[(180.0, 3.0), (360.0, 2.0)],
    damper_s: 0.35,
    level: 0.55,
};
pub(crate) const UPRIGHT_BASS: Strung = Strung {
    ring_s: 1.6,
    place: 0.3,
    finger_hz: 900.0,
    dullness: 0.36,
    body: &[(62.0, 2.0), (110.0, 3.0), (800.0, 2.0)],
    damper_s: 0.07,
    level: 0.62,
};
pub(crate) const ELECTRIC_BASS: Strung = Strung {
    ring_s: 2.6,
    place: 0.22,
    finger_hz: 1300.0,
    dullness: 0.3,
    body: &[(90.0, 2.0), (700.0, 1.5)],
    damper_s: 0.05,
    level: 0.66,
};

/// One plucked note.
pub(crate) fn pluck(tone: &Tone, dice: &mut Dice, string: &Strung) -> Vec<f32> {
    let rate = SAMPLE_RATE as f32;
    let turn = rate / tone.hz;
    let dullness = (string.dullness * (1.25 - 0.5 * tone.brightness)).clamp(0.02, 0.5);
    // The averaging in the loop delays by about its share of a sample.
    let wanted = turn - dullness;
    let whole = (wanted - 0.3).floor().max(2.0);
    let fraction = wanted - whole;
    let all_pass = (1.0 - fraction) / (1.0 + fraction);
    let ring_s = (string.ring_s * (220.0 / tone.hz).powf(0.35)).clamp(0.4, 5.0);
    let keep = 10.0_f32.powf(-3.0 / (ring_s * tone.hz)).min(0.99995);
    let mut line = excitation(whole as usize, tone, dice, string);
    let length = ((tone.held_s + string.damper_s * 9.0).min(ring_s * 1.3) * rate) as usize;
    let mut samples = Vec::with_capacity(length);
    let seam = line.last().copied().unwrap_or_default();
    let (mut before, mut passed_in, mut passed_out, mut place) = (seam, seam, seam, 0);
    for _ in 0..length {
        let Some(slot) = line.get_mut(place) else { break };
        let out = *slot;
        let averaged = out * (1.0 - dullness) + before * dullness;
        before = out;
        let tuned = all_pass * (averaged - passed_out) + passed_in;
        passed_in = averaged;
        passed_out = tuned;
        *slot = tuned * keep;
        samples.push(out);
        place = if place + 1 == whole as usize { 0 } else { place + 1 };
    }
    let mut floor = Biquad::high_pass(32.0, 0.7);
    let mut body: Vec<Biquad> =
        string.body.iter().map(|(hz, gain_db)| Biquad::peak(*hz, 1.4, *gain_db)).collect();
    for sample in &mut samples {
        *sample = body.iter_mut().fold(floor.next(*sample), |sample, part| part.next(sample));
    }
    damp(&mut samples, tone.held_s, string.damper_s);
    scale(&mut samples, string.level * tone.velocity.powf(1.1));
    round_edges(&mut samples, 0.0015, 0.03);
    samples
}

/// What the finger leaves on the string: noise, softened, with a notch where it plucked.
fn excitation(length: usize, tone: &Tone, dice: &mut Dice, string: &Strung) -> Vec<f32> {
    let corner = string.finger_hz * (0.45 + 0.9 * tone.velocity) * (0.6 + 0.8 * tone.brightness);
    let (mut soft, mut softer) = (OnePole::low_pass(corner), OnePole::low_pass(corner * 1.6));
    let mut noise: Vec<f32> = (0..length).map(|_| dice.between(-1.0, 1.0)).collect();
    // Once round before it counts: the line is a circle, and a seam would click at every turn.
    for sample in &noise {
        softer.next(soft.next(*sample));
    }
    for sample in &mut noise {
        *sample = softer.next(soft.next(*sample));
    }
    let mean = noise.iter().sum::<f32>() / length.max(1) as f32;
    for sample in &mut noise {
        *sample -= mean;
    }
    let shift = ((length as f32 * string.place) as usize).max(1);
    let plucked: Vec<f32> = (0..length)
        .map(|place| noise[place] - noise[(place + length - shift % length) % length])
        .collect();
    // Noise differs from note to note; the hand does not.
    let power = plucked.iter().map(|sample| sample * sample).sum::<f32>() / length.max(1) as f32;
    let gain = 0.42 / power.sqrt().max(1e-6);
    plucked.into_iter().map(|sample| sample * gain).collect()
}
