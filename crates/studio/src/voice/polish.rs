//! From the program's samples to speech that is pleasant: another rate, less hiss, less bite, even
//! level, a touch of room.

use impasto_domain::{Error, Result};

use crate::filter::{Biquad, OnePole, SAMPLE_RATE, round_edges};
use crate::reverb::{Room, reverberate};

/// The head of a WAV stream as the program writes it.
pub(crate) const HEAD_BYTES: usize = 44;

/// Samples a second, by the head of a WAV stream; `None` if it is not mono of 16 bits.
pub(crate) fn rate_of(head: &[u8; HEAD_BYTES]) -> Option<u32> {
    let number = |at: usize| {
        let four: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(four))
    };
    let wave = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE");
    // Format 1 with one channel.
    let mono = number(20) == Some(0x0001_0001) && number(34).map(|bits| bits & 0xffff) == Some(16);
    number(24).filter(|rate| wave && mono && (8_000..=96_000).contains(rate))
}

/// Samples of a WAV stream whose header may not know its own length: mono, 16 bits.
pub(crate) fn decode(bytes: &[u8]) -> Result<(u32, Vec<f32>)> {
    let bad = || Error::internal("the speech program wrote no sound that can be read");
    let (head, body) = bytes.split_first_chunk().ok_or_else(bad)?;
    let rate = rate_of(head).ok_or_else(bad)?;
    let samples = body
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0)
        .collect();
    Ok((rate, samples))
}

/// The samples from the first to the last that can be heard, with a little air.
pub(crate) fn trim(samples: &[f32], rate: u32) -> &[f32] {
    let heard = |sample: &f32| sample.abs() > 0.004;
    let air = rate as usize / 100;
    let first = samples.iter().position(heard).unwrap_or(0).saturating_sub(air);
    let last = samples.iter().rposition(heard).map_or(0, |at| at + air).min(samples.len());
    samples.get(first..last).unwrap_or_default()
}

/// The samples at the studio's rate, through a windowed sinc.
pub(crate) fn resample(samples: &[f32], rate: u32) -> Vec<f32> {
    if rate == SAMPLE_RATE {
        return samples.to_vec();
    }
    const REACH: i64 = 16;
    let divisor = greatest_divisor(rate, SAMPLE_RATE);
    let (up, down) = (i64::from(SAMPLE_RATE / divisor), i64::from(rate / divisor));
    // A little below the lower of both limits, so that nothing folds back.
    let cut = 0.94 * (f64::from(SAMPLE_RATE) / f64::from(rate)).min(1.0);
    let kernel = |distance: f64| {
        let x = std::f64::consts::PI * distance * cut;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        let window = (std::f64::consts::FRAC_PI_2 * distance / REACH as f64).cos();
        (cut * sinc * window * window) as f32
    };
    let phases: Vec<Vec<f32>> = (0..up)
        .map(|phase| {
            let fraction = phase as f64 / up as f64;
            (1 - REACH..=REACH).map(|tap| kernel(tap as f64 - fraction)).collect()
        })
        .collect();
    let length = samples.len() as i64 * up / down;
    (0..length)
        .map(|place| {
            let (whole, phase) = (place * down / up, (place * down % up) as usize);
            let taps = phases.get(phase).map_or(&[][..], Vec::as_slice);
            let sample = |tap: usize| {
                usize::try_from(whole + 1 - REACH + tap as i64).ok().and_then(|at| samples.get(at))
            };
            taps.iter().enumerate().map(|(tap, weight)| sample(tap).unwrap_or(&0.0) * weight).sum()
        })
        .collect()
}

fn greatest_divisor(mut one: u32, mut other: u32) -> u32 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one.max(1)
}

/// Takes the bite out of the voice and holds its level. As long as it was.
pub(crate) fn polish(samples: &mut [f32]) {
    let mut bands = [
        Biquad::high_pass(75.0, 0.7),
        Biquad::peak(190.0, 0.9, 2.0),
        Biquad::peak(3100.0, 1.0, -3.5),
        Biquad::low_pass(8600.0, 0.65),
    ];
    for sample in samples.iter_mut() {
        *sample = bands.iter_mut().fold(*sample, |sample, band| band.next(sample));
    }
    soften_hiss(samples);
    even_out(samples);
    let send: Vec<f32> = samples.to_vec();
    let mut other_side = vec![0.0; samples.len()];
    let room = Room { size: 0.32, decay_s: 0.24, damping_hz: 4200.0, early_s: 0.006 };
    reverberate(&send, &room, 0.07, [samples, &mut other_side]);
    set_level(samples);
}

/// Turns the band of hisses down while it stands out from the rest.
fn soften_hiss(samples: &mut [f32]) {
    let (mut band, mut hiss, mut whole) =
        (Biquad::high_pass(4800.0, 0.7), OnePole::over(0.004), OnePole::over(0.004));
    for sample in samples.iter_mut() {
        let high = band.next(*sample);
        let (hiss, whole) = (hiss.next(high.abs()), whole.next(sample.abs()));
        let share = hiss / (whole + 1e-4);
        let cut = ((share - 0.3) * 1.4).clamp(0.0, 0.65);
        *sample -= high * cut;
    }
}

/// Two and a half to one above the usual level of speech.
fn even_out(samples: &mut [f32]) {
    let usual = level_of(samples).max(1e-4);
    let (mut power, mut gain) = (OnePole::over(0.015), OnePole::over(0.02));
    for sample in samples.iter_mut() {
        let level = power.next(*sample * *sample).sqrt();
        let over = (level / usual).max(1.0);
        *sample *= gain.next(over.powf(-0.6) - 1.0) + 1.0;
    }
}

/// The power mean where there is speech at all.
fn level_of(samples: &[f32]) -> f32 {
    let powers = samples.chunks(960).map(|b| b.iter().map(|s| s * s).sum::<f32>() / b.len() as f32);
    let heard: Vec<f32> = powers.filter(|power| *power > 1e-5).collect();
    (heard.iter().sum::<f32>() / heard.len().max(1) as f32).sqrt()
}

/// Speech at -20 dBFS, its peaks at -3 dBFS at most.
fn set_level(samples: &mut [f32]) {
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let gain = (0.1 / level_of(samples).max(1e-4)).min(0.7079 / peak.max(1e-4));
    for sample in samples.iter_mut() {
        *sample *= gain;
    }
    round_edges(samples, 0.004, 0.02);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_pitch_and_level_when_resampled() {
        let tone = |rate: f32, count: usize| -> Vec<f32> {
            (0..count).map(|at| (at as f32 * 1000.0 * std::f32::consts::TAU / rate).sin()).collect()
        };
        let made = resample(&tone(22_050.0, 22_050), 22_050);
        let wanted = tone(48_000.0, 48_000);
        assert_eq!(made.len(), 48_000);
        let worst = made[200..47_000].iter().zip(&wanted[200..]).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 0.01);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for bytes in [&b""[..], b"RIFF", b"RIFFxxxxWAVE", &[0; 64]] {
            assert!(decode(bytes).is_err());
        }
    }

    #[test]
    fn silence_is_trimmed_away() {
        let mut samples = vec![0.0; 4800];
        samples[2000] = 0.5;
        assert_eq!(trim(&samples, 48_000).len(), 960);
        assert!(trim(&[0.0; 100], 48_000).is_empty());
    }
}
