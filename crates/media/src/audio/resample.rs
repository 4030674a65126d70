//! Other sample rates and channel counts.
//!
//! Rates change by a windowed sinc with one set of taps for each phase between two samples: flat to
//! 90 % of the lower Nyquist frequency, about 100 dB down beyond it.

use impasto_domain::{Error, Result};

use crate::Sound;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 40.0;

/// Shape of the Kaiser window: 100 dB.
const KAISER: f64 = 10.06;

/// Where the filter's edge lies, as a share of the lower Nyquist frequency.
const EDGE: f64 = 0.95;

/// The most phases; rates whose ratio needs more are rounded to the nearest phase.
const MOST_PHASES: u64 = 4096;

/// The lowest and the highest sample rate.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

impl Sound {
    /// The sound at another sample rate.
    pub fn resampled(&self, sample_rate: u32) -> Result<Self> {
        if sample_rate == self.sample_rate {
            return Ok(self.clone());
        }
        for rate in [sample_rate, self.sample_rate] {
            if !RATES.contains(&rate) {
                let message = format!("{rate} Hz is not a sample rate that tools use");
                return Err(Error::invalid(message).hint("use 8000 to 192000 Hz"));
            }
        }
        let filter = Filter::new(self.sample_rate, sample_rate);
        let ratio = f64::from(sample_rate) / f64::from(self.sample_rate);
        let length = (self.len() as f64 * ratio).round() as usize;
        let channels = self.channels.iter().map(|channel| filter.apply(channel, length)).collect();
        Ok(Self { sample_rate, channels })
    }

    /// The sound with one or two channels.
    #[must_use]
    pub fn with_channels(&self, count: u16) -> Self {
        let channels = match (self.channels.as_slice(), count) {
            (channels, count) if channels.len() == usize::from(count) => channels.to_vec(),
            ([], _) => vec![Vec::new(); usize::from(count)],
            (channels, 1) => {
                let share = 1.0 / channels.len() as f32;
                let mean = |place| sum_at(channels, place) * share;
                vec![(0..self.len()).map(mean).collect()]
            }
            ([only], count) => vec![only.clone(); usize::from(count)],
            ([left, right, rest @ ..], _) => {
                // Surround comes from both sides, 3 dB lower.
                let beside = |place| {
                    sum_at(rest, place) * std::f32::consts::FRAC_1_SQRT_2 / rest.len().max(1) as f32
                };
                let side = |channel: &Vec<f32>| {
                    channel
                        .iter()
                        .enumerate()
                        .map(|(place, sample)| sample + beside(place))
                        .collect()
                };
                vec![side(left), side(right)]
            }
        };
        Self { sample_rate: self.sample_rate, channels }
    }
}

fn sum_at(channels: &[Vec<f32>], place: usize) -> f32 {
    channels.iter().filter_map(|channel| channel.get(place)).sum()
}

/// Taps for each phase between two samples.
struct Filter {
    /// Samples of the source for one of the target, as a fraction.
    step: (u64, u64),
    phases: u64,
    /// Samples before and behind the place, half each.
    reach: usize,
    taps: Vec<Vec<f32>>,
}

impl Filter {
    fn new(from: u32, to: u32) -> Self {
        let shared = gcd(u64::from(from), u64::from(to));
        let (from, to) = (u64::from(from) / shared, u64::from(to) / shared);
        let phases = to.min(MOST_PHASES);
        // Going down, the sinc is as wide as the slower rate needs it.
        let edge = EDGE * (to as f64 / from as f64).min(1.0);
        let reach = (CROSSINGS / edge).ceil() as usize;
        let taps =
            (0..=phases).map(|phase| taps(phase as f64 / phases as f64, edge, reach)).collect();
        Self { step: (from, to), phases, reach, taps }
    }

    fn apply(&self, channel: &[f32], length: usize) -> Vec<f32> {
        let (from, to) = self.step;
        let mut out = Vec::with_capacity(length);
        for place in 0..length as u64 {
            let (whole, rest) = (place * from / to, place * from % to);
            let phase = (rest * self.phases + to / 2) / to;
            let taps = self.taps.get(phase as usize).map_or(&[][..], Vec::as_slice);
            let first = whole as i64 - self.reach as i64 + 1;
            let skip = (-first).max(0) as usize;
            let source = channel.get((first.max(0)) as usize..).unwrap_or_default();
            let taps = taps.get(skip..).unwrap_or_default();
            out.push(dot(source, taps));
        }
        out
    }
}

/// The sum of products, in eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len());
    let (a, b) = (&a[..count], &b[..count]);
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn taps(phase: f64, edge: f64, reach: usize) -> Vec<f32> {
    let half = reach as f64;
    let weights: Vec<f64> = (0..2 * reach)
        .map(|tap| {
            let away = tap as f64 - (half - 1.0) - phase;
            let turn = std::f64::consts::PI * away * edge;
            let sinc = if turn.abs() < 1e-9 { 1.0 } else { turn.sin() / turn };
            sinc * kaiser(away / half)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

fn kaiser(away: f64) -> f64 {
    if away.abs() >= 1.0 {
        0.0
    } else {
        bessel(KAISER * (1.0 - away * away).sqrt()) / bessel(KAISER)
    }
}

/// The modified Bessel function of order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for step in 1..60 {
        term *= (x / 2.0 / f64::from(step)).powi(2);
        sum += term;
    }
    sum
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
pub(super) fn tone(sample_rate: u32, frequency_hz: f64, seconds: f64, level: f32) -> Vec<f32> {
    let step = std::f64::consts::TAU * frequency_hz / f64::from(sample_rate);
    let count = (seconds * f64::from(sample_rate)) as usize;
    (0..count).map(|place| (place as f64 * step).sin() as f32 * level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn tones_keep_their_place_and_height() {
        for (from, to) in [(44_100, 48_000), (48_000, 44_100), (22_050, 48_000), (96_000, 16_000)] {
            let sound = Sound { sample_rate: from, channels: vec![tone(from, 997.0, 0.4, 0.5)] };
            let other = sound.resampled(to).unwrap();
            let wanted = tone(to, 997.0, 0.4, 0.5);
            assert!(other.len().abs_diff(wanted.len()) <= 1, "{from} -> {to}");
            let middle = to as usize / 20..to as usize / 4;
            let errors: Vec<f32> = other.channels[0][middle.clone()]
                .iter()
                .zip(&wanted[middle])
                .map(|(a, b)| a - b)
                .collect();
            let noise_db = 20.0 * (rms(&errors) / 0.35).log10();
            assert!(noise_db < -90.0, "{from} -> {to}: {noise_db} dB");
        }
    }

    #[test]
    fn what_does_not_fit_is_filtered_out() {
        let sound = Sound { sample_rate: 48_000, channels: vec![tone(48_000, 15_000.0, 0.3, 0.5)] };
        let low = sound.resampled(16_000).unwrap();
        let level = rms(&low.channels[0][1000..4000]);
        assert!(level < 1e-4, "{level}");
    }
}
