//! Tones as sums of partials that die away, each a damped rotation.

use super::SAMPLE_RATE;
use super::instrument::Tone;

/// One partial of a struck tone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partial {
    /// Its frequency above that of the tone.
    pub(crate) ratio: f32,
    pub(crate) level: f32,
    /// Seconds in which it falls by 8.7 dB.
    pub(crate) decay_s: f32,
}

/// What is quieter than this is not worth computing: -86 dB.
const SILENCE: f32 = 5e-5;
const LANES: usize = 8;

/// The sum of the partials until it is silent or the damper has stopped it.
pub(crate) fn ring(partials: &[Partial], tone: &Tone, damper_s: f32) -> Vec<f32> {
    let rate = SAMPLE_RATE as f32;
    let lasts_s = |partial: &Partial| partial.decay_s * (partial.level / SILENCE).max(1.0).ln();
    let longest_s = partials.iter().map(lasts_s).fold(0.0, f32::max);
    let whole_s = longest_s.min(tone.held_s + damper_s * 9.0);
    let mut samples = vec![0.0_f32; (whole_s * rate) as usize + 1];
    // The longest first, so that a group ends when its first partial does.
    let mut sorted = partials.to_vec();
    sorted.sort_by(|one, other| lasts_s(other).total_cmp(&lasts_s(one)));
    for group in sorted.chunks(LANES) {
        let length = group.first().map_or(0.0, lasts_s) * rate;
        let length = (length as usize).min(samples.len());
        if let Some(samples) = samples.get_mut(..length) {
            add_group(group, tone.hz, samples);
        }
    }
    damp(&mut samples, tone.held_s, damper_s);
    samples
}

/// Adds up to eight partials; the lanes run side by side in one vector register.
fn add_group(group: &[Partial], hz: f32, samples: &mut [f32]) {
    let (mut sine, mut cosine) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (mut turn_sine, mut turn_cosine) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    for (lane, partial) in group.iter().enumerate().take(LANES) {
        let angle = f64::from(hz * partial.ratio) * std::f64::consts::TAU / f64::from(SAMPLE_RATE);
        let shrink = (-1.0 / (f64::from(partial.decay_s) * f64::from(SAMPLE_RATE))).exp();
        turn_sine[lane] = (angle.sin() * shrink) as f32;
        turn_cosine[lane] = (angle.cos() * shrink) as f32;
        // Every partial starts at another place, or the attack would be a needle.
        let phase = lane as f32 * 2.4;
        sine[lane] = partial.level * phase.sin();
        cosine[lane] = partial.level * phase.cos();
    }
    for sample in samples {
        for lane in 0..LANES {
            let (s, c) = (sine[lane], cosine[lane]);
            sine[lane] = s * turn_cosine[lane] + c * turn_sine[lane];
            cosine[lane] = c * turn_cosine[lane] - s * turn_sine[lane];
        }
        *sample += sine.iter().sum::<f32>();
    }
}

/// Lets the tone die quickly once it is no longer held.
pub(crate) fn damp(samples: &mut Vec<f32>, held_s: f32, damper_s: f32) {
    let from = (held_s * SAMPLE_RATE as f32) as usize;
    let shrink = (-1.0 / (damper_s * SAMPLE_RATE as f32)).exp();
    let mut level = 1.0;
    for sample in samples.iter_mut().skip(from) {
        level *= shrink;
        *sample *= level;
    }
    let most = from + (damper_s * 9.0 * SAMPLE_RATE as f32) as usize;
    samples.truncate(most);
}
