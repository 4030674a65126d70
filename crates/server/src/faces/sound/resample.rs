//! Another sample rate, piece by piece: a windowed sinc at every phase that occurs.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side of its middle.
const CROSSINGS: usize = 12;
/// The most phases that are told apart.
const PHASES_MAX: u64 = 1024;

/// Changes the sample rate of interleaved samples.
pub(super) struct Resampler {
    channels: usize,
    /// Input frames for each output frame, as `step / phases`.
    step: u64,
    phases: u64,
    /// How many of the phases have a filter of their own; the others take the one before them.
    told_apart: u64,
    /// Where the next output frame lies, in units of `1 / phases` frames after the first one kept.
    at: u64,
    /// Frames on each side of the middle.
    reach: usize,
    /// A filter of `2 * reach` taps for each phase.
    taps: Vec<f32>,
    kept: Vec<i16>,
}

fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

impl Resampler {
    pub(super) fn new(from_hz: u32, to_hz: u32, channels: usize) -> Self {
        let divisor = divisor(from_hz, to_hz).max(1);
        let (phases, step) = (u64::from(to_hz / divisor), u64::from(from_hz / divisor));
        let told_apart = phases.min(PHASES_MAX);
        let cutoff = (f64::from(to_hz) / f64::from(from_hz)).min(1.0) * 0.95;
        let reach = (CROSSINGS as f64 / cutoff).ceil() as usize;
        let mut taps = Vec::with_capacity(told_apart as usize * reach * 2);
        for phase in 0..told_apart {
            taps.extend(filter(phase as f64 / told_apart as f64, cutoff, reach));
        }
        let kept = vec![0; (reach - 1) * channels];
        Self { channels, step, phases, told_apart, at: 0, reach, taps, kept }
    }

    /// The output frames for which enough has come.
    pub(super) fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        self.kept.extend_from_slice(samples);
        let frames = self.kept.len() / self.channels;
        let width = self.reach * 2;
        let mut out = Vec::new();
        loop {
            let (first, phase) = ((self.at / self.phases) as usize, self.at % self.phases);
            let phase = (phase * self.told_apart / self.phases) as usize;
            let taps = self.taps.get(phase * width..(phase + 1) * width).unwrap_or_default();
            if first + width > frames || taps.is_empty() {
                break;
            }
            for channel in 0..self.channels {
                let from = self.kept.get(first * self.channels + channel..).unwrap_or_default();
                let heard = from.iter().step_by(self.channels);
                let sum: f32 = taps.iter().zip(heard).map(|(tap, s)| tap * f32::from(*s)).sum();
                out.push(sum.round().clamp(-32_768.0, 32_767.0) as i16);
            }
            self.at += self.step;
        }
        let passed = ((self.at / self.phases) as usize).min(frames);
        self.kept.drain(..passed * self.channels);
        self.at -= passed as u64 * self.phases;
        out
    }

    /// The last output frames.
    pub(super) fn finish(&mut self) -> Vec<i16> {
        let silence = vec![0; self.reach * self.channels];
        self.push(&silence)
    }
}

/// The taps for a place between two frames, so that a constant stays what it is.
fn filter(place: f64, cutoff: f64, reach: usize) -> impl Iterator<Item = f32> {
    let tap = move |index: usize| {
        let distance = index as f64 - (reach as f64 - 1.0) - place;
        let window = 0.5 + 0.5 * (PI * (distance / reach as f64).clamp(-1.0, 1.0)).cos();
        let angle = PI * distance * cutoff;
        let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
        sinc * window
    };
    let sum: f64 = (0..reach * 2).map(tap).sum();
    (0..reach * 2).map(move |index| (tap(index) / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, frames: usize) -> Vec<i16> {
        let at = |frame: usize| (2.0 * PI * 440.0 * frame as f64 / f64::from(rate)).sin();
        (0..frames).map(|frame| (at(frame) * 20_000.0).round() as i16).collect()
    }

    fn check(from: u32, to: u32) {
        let input = tone(from, from as usize / 4);
        let mut resampler = Resampler::new(from, to, 1);
        let mut got = Vec::new();
        for piece in input.chunks(777) {
            got.extend(resampler.push(piece));
        }
        got.extend(resampler.finish());
        let expected = tone(to, to as usize / 4);
        assert!(got.len().abs_diff(expected.len()) <= 2, "{from} {to} {}", got.len());
        let middle = 100..expected.len() - 100;
        let worst = middle.map(|at| (got[at] - expected[at]).abs()).max().unwrap();
        assert!(worst < 40, "{from} to {to}: off by {worst}");
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for (from, to) in [
            (24_000, 44_100),
            (48_000, 24_000),
            (44_100, 16_000),
            (22_050, 8_000),
            (47_999, 24_000),
        ] {
            check(from, to);
        }
    }
}
