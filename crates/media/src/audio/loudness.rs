//! Loudness (EBU R 128, ITU-R BS.1770): measuring it, and bringing a sound to it.
//!
//! Never by riding the gain: one gain for the whole sound, a limiter that catches true peaks, and
//! another look, until the measured loudness is the one that was asked for.

use ebur128::{EbuR128, Mode};
use impasto_domain::{Error, Result, Workbench};

use crate::Sound;

/// What silence is measured as, in LUFS: the gate of the measurement.
pub(crate) const SILENCE_LUFS: f64 = -70.0;

/// What no peak at all is measured as.
const NO_PEAK_DBTP: f64 = -120.0;

/// How near the loudness must come.
const NEAR_LU: f64 = 0.1;

/// How often gain and limiter are tried.
const MOST_ROUNDS: usize = 8;

/// The most that a sound is amplified; more would be noise.
const MOST_GAIN_DB: f64 = 60.0;

/// The limiter looks ahead this long.
const LOOK_AHEAD_S: f64 = 0.005;

/// The limiter lets go with this time constant.
const RELEASE_S: f64 = 0.08;

/// The shortest sound that can be measured as it is.
const SHORTEST_S: f64 = 0.5;

/// Length of the windows that are silent or not.
const SILENCE_WINDOW_S: f64 = 0.01;

/// A window below this is silent: -60 dBFS.
const SILENCE_LEVEL: f32 = 0.001;

/// What was measured of a sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS; -70 if it is silent.
    pub integrated_lufs: f64,
    /// Loudness range in LU.
    pub range_lu: f64,
    /// True peak in dBTP; -120 if there is none.
    pub peak_dbtp: f64,
    /// Share of silence, 0 to 1.
    pub silence: f64,
}

impl Sound {
    /// Measures the sound.
    pub fn loudness(&self) -> Result<Loudness> {
        let failed = |error| Error::internal(format!("loudness cannot be measured: {error}"));
        let mut meter = meter(self, Mode::I | Mode::LRA | Mode::TRUE_PEAK)?;
        let planes: Vec<&[f32]> = self.channels.iter().map(Vec::as_slice).collect();
        // What is shorter than a block of the measurement is heard again until it fills one.
        let block = (SHORTEST_S * f64::from(self.sample_rate)) as usize;
        let times = if self.is_empty() { 1 } else { block.div_ceil(self.len()).max(1) };
        for _ in 0..times {
            meter.add_frames_planar_f32(&planes).map_err(failed)?;
        }
        let integrated = meter.loudness_global().map_err(failed)?;
        let range = meter.loudness_range().map_err(failed)?;
        let mut peak = 0.0_f64;
        for channel in 0..self.channels.len() as u32 {
            peak = peak.max(meter.true_peak(channel).map_err(failed)?);
        }
        Ok(Loudness {
            integrated_lufs: finite_or(integrated, SILENCE_LUFS).max(SILENCE_LUFS),
            range_lu: finite_or(range, 0.0),
            peak_dbtp: finite_or(20.0 * peak.log10(), NO_PEAK_DBTP).max(NO_PEAK_DBTP),
            silence: self.silence(),
        })
    }

    /// The sound at a loudness (LUFS), with no true peak above `peak_dbtp`, and what it measures.
    /// Silence stays silence; what the peaks do not allow is not reached.
    pub fn normalized(
        &self,
        target_lufs: f64,
        peak_dbtp: f64,
        bench: &dyn Workbench,
    ) -> Result<(Self, Loudness)> {
        let before = self.loudness()?;
        if before.integrated_lufs <= SILENCE_LUFS {
            return Ok((self.clone(), before));
        }
        let mut gain_db = target_lufs - before.integrated_lufs;
        let mut ceiling_db = peak_dbtp;
        let mut best = None;
        let mut best_miss = f64::INFINITY;
        for _ in 0..MOST_ROUNDS {
            bench.check_cancelled()?;
            let sound = self.limited(gain_db.min(MOST_GAIN_DB), ceiling_db);
            let measured = sound.loudness()?;
            let miss = target_lufs - measured.integrated_lufs;
            let over = measured.peak_dbtp - peak_dbtp;
            let rank = miss.abs() + if over > 0.0 { 100.0 + over } else { 0.0 };
            let gained = best_miss - rank;
            if rank < best_miss {
                best_miss = rank;
                best = Some((sound, measured));
            }
            if (miss.abs() <= NEAR_LU && over <= 0.0) || gain_db > MOST_GAIN_DB {
                break;
            }
            if over <= 0.0 && gained < 0.01 {
                break;
            }
            gain_db += miss;
            ceiling_db -= if over > 0.0 { over + 0.02 } else { 0.0 };
        }
        best.ok_or_else(|| Error::internal("loudness was not measured"))
    }

    /// The sound with a gain, and every true peak brought under the ceiling.
    fn limited(&self, gain_db: f64, ceiling_db: f64) -> Self {
        let gain = decibels(gain_db);
        let ceiling = decibels(ceiling_db);
        let peaks = true_peaks(&self.channels, gain);
        let channels = |gains: Option<&[f32]>| {
            let scaled = |(place, sample): (usize, &f32)| {
                sample * gain * gains.and_then(|gains| gains.get(place)).copied().unwrap_or(1.0)
            };
            self.channels.iter().map(|one| one.iter().enumerate().map(scaled).collect()).collect()
        };
        let sample_rate = self.sample_rate;
        if peaks.iter().all(|peak| *peak <= ceiling) {
            return Self { sample_rate, channels: channels(None) };
        }
        let wanted: Vec<f32> =
            peaks.iter().map(|peak| if *peak > ceiling { ceiling / peak } else { 1.0 }).collect();
        let gains = smooth_gains(&wanted, f64::from(sample_rate));
        Self { sample_rate, channels: channels(Some(&gains)) }
    }

    fn silence(&self) -> f64 {
        let window = ((SILENCE_WINDOW_S * f64::from(self.sample_rate)) as usize).max(1);
        let count = self.len().div_ceil(window);
        let silent = |place: &usize| {
            let first = place * window;
            let last = (first + window).min(self.len());
            self.channels.iter().all(|channel| {
                let part = channel.get(first..last).unwrap_or_default();
                let power: f32 = part.iter().map(|sample| sample * sample).sum();
                power <= SILENCE_LEVEL * SILENCE_LEVEL * part.len() as f32
            })
        };
        if count == 0 { 1.0 } else { (0..count).filter(silent).count() as f64 / count as f64 }
    }
}

fn meter(sound: &Sound, mode: Mode) -> Result<EbuR128> {
    let channels = sound.channels.len() as u32;
    EbuR128::new(channels, sound.sample_rate, mode).map_err(|error| {
        let rate = sound.sample_rate;
        Error::invalid(format!(
            "sound of {channels} channels at {rate} Hz cannot be measured: {error}"
        ))
    })
}

/// The factor of an amplitude.
pub(super) fn decibels(level_db: f64) -> f32 {
    10.0_f64.powf(level_db / 20.0) as f32
}

fn finite_or(value: f64, instead: f64) -> f64 {
    if value.is_finite() { value } else { instead }
}

/// Taps that find the value a quarter, a half and three quarters of the way to the next sample.
const REACH: usize = 8;

fn quarter_taps() -> [[f32; 2 * REACH]; 3] {
    [0.25, 0.5, 0.75].map(|phase: f64| {
        std::array::from_fn(|tap| {
            let away = tap as f64 - (REACH as f64 - 1.0) - phase;
            let turn = std::f64::consts::PI * away;
            let window = (std::f64::consts::FRAC_PI_2 * away / REACH as f64).cos().max(0.0);
            (turn.sin() / turn * window * window) as f32
        })
    })
}

/// The highest amplitude around each sample, on any channel, between samples too.
fn true_peaks(channels: &[Vec<f32>], gain: f32) -> Vec<f32> {
    let phases = quarter_taps();
    let length = channels.first().map_or(0, Vec::len);
    let mut peaks = vec![0.0_f32; length];
    for channel in channels {
        let mut padded = vec![0.0; REACH - 1];
        padded.extend_from_slice(channel);
        padded.extend([0.0; REACH + 1]);
        let mut carried = 0.0_f32;
        for ((around, sample), peak) in padded.windows(2 * REACH).zip(channel).zip(&mut peaks) {
            let mut between = 0.0_f32;
            for taps in &phases {
                let value: f32 = around.iter().zip(taps).map(|(sample, tap)| sample * tap).sum();
                between = between.max(value.abs());
            }
            // What lies between two samples belongs to both.
            let highest = sample.abs().max(between).max(carried);
            *peak = peak.max(highest * gain);
            carried = between;
        }
    }
    peaks
}

/// Gains that are nowhere above those wanted, and change slowly.
fn smooth_gains(wanted: &[f32], sample_rate: f64) -> Vec<f32> {
    let reach = ((LOOK_AHEAD_S * sample_rate) as usize).max(1);
    let recovery = (1.0 - (-1.0 / (RELEASE_S * sample_rate)).exp()) as f32;
    let mut lowest = sliding_minimum(wanted, reach);
    let mut held = 1.0_f32;
    for gain in &mut lowest {
        held = gain.min(held + (1.0 - held) * recovery);
        *gain = held;
    }
    // Each mean is over gains whose reach includes the place, so it is not above the one wanted.
    let mut sums = vec![0.0_f64];
    for gain in &lowest {
        sums.push(sums.last().copied().unwrap_or_default() + f64::from(*gain));
    }
    (0..lowest.len())
        .map(|place| {
            let (first, last) =
                (place.saturating_sub(reach), (place + reach + 1).min(lowest.len()));
            let sum = |at: usize| sums.get(at).copied().unwrap_or_default();
            ((sum(last) - sum(first)) / (last - first) as f64) as f32
        })
        .collect()
}

/// The lowest value within `reach` of each place.
fn sliding_minimum(values: &[f32], reach: usize) -> Vec<f32> {
    let mut candidates = std::collections::VecDeque::<usize>::new();
    let mut lowest = Vec::with_capacity(values.len());
    let at = |place: usize| values.get(place).copied().unwrap_or(1.0);
    for last in 0..values.len() + reach {
        if last < values.len() {
            while candidates.back().is_some_and(|place| at(*place) >= at(last)) {
                candidates.pop_back();
            }
            candidates.push_back(last);
        }
        if last >= reach {
            let middle = last - reach;
            while candidates.front().is_some_and(|place| *place + reach < middle) {
                candidates.pop_front();
            }
            lowest.push(candidates.front().map_or(1.0, |place| at(*place)));
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use impasto_domain::Bench;

    use super::*;
    use crate::audio::resample::tone;

    /// A tone with bursts: loud now and then, so that the limiter has work.
    fn bursts(seconds: f64) -> Sound {
        let mut left = tone(48_000, 440.0, seconds, 0.05);
        for (place, sample) in left.iter_mut().enumerate() {
            if place % 24_000 < 600 {
                *sample *= 14.0;
            }
        }
        let right = left.iter().map(|sample| sample * 0.8).collect();
        Sound { sample_rate: 48_000, channels: vec![left, right] }
    }

    #[test]
    fn a_known_tone_measures_what_it_is() {
        // BS.1770: a stereo tone of 997 Hz at -18 dBFS is -18 LUFS.
        let side = tone(48_000, 997.0, 5.0, decibels(-18.0));
        let sound = Sound { sample_rate: 48_000, channels: vec![side.clone(), side] };
        let measured = sound.loudness().unwrap();
        assert!((measured.integrated_lufs + 18.0).abs() < 0.1, "{measured:?}");
        assert!((measured.peak_dbtp + 18.0).abs() < 0.1, "{measured:?}");
        assert!(measured.silence < 0.01);
    }

    #[test]
    fn the_loudness_is_reached_under_the_peak() {
        for (target, peak) in [(-16.0, -1.5), (-14.0, -3.0), (-23.0, -1.0)] {
            let (sound, told) = bursts(6.0).normalized(target, peak, &Bench::default()).unwrap();
            let measured = sound.loudness().unwrap();
            assert_eq!(measured, told);
            assert!((measured.integrated_lufs - target).abs() <= 0.3, "{target}: {measured:?}");
            assert!(measured.peak_dbtp <= peak + 1e-6, "{target}: {measured:?}");
        }
    }

    #[test]
    fn short_sounds_are_no_silence() {
        for seconds in [0.02, 0.3] {
            let sound =
                Sound { sample_rate: 48_000, channels: vec![tone(48_000, 997.0, seconds, 0.01)] };
            let (_, measured) = sound.normalized(-20.0, -1.0, &Bench::default()).unwrap();
            assert!((measured.integrated_lufs + 20.0).abs() < 0.3, "{seconds}: {measured:?}");
        }
    }

    #[test]
    fn silence_stays_silence() {
        let silent = Sound { sample_rate: 48_000, channels: vec![vec![0.0; 48_000]; 2] };
        let (sound, measured) = silent.normalized(-16.0, -1.0, &Bench::default()).unwrap();
        assert_eq!(sound, silent);
        assert_eq!((measured.integrated_lufs, measured.silence), (SILENCE_LUFS, 1.0));
    }

    #[test]
    fn the_minimum_slides() {
        let values = [1.0, 0.5, 1.0, 1.0, 1.0, 0.2, 1.0];
        assert_eq!(sliding_minimum(&values, 1), [0.5, 0.5, 0.5, 1.0, 0.2, 0.2, 0.2]);
    }
}
