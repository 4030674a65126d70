//! A room: a feedback network of eight delay lines behind four diffusers.

use crate::filter::{OnePole, SAMPLE_RATE};

/// What room it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Length of the lines, as a share of those of a large hall.
    pub(crate) size: f32,
    /// Seconds in which the sound falls by 60 dB.
    pub(crate) decay_s: f32,
    /// Corner above which the walls swallow, in hertz.
    pub(crate) damping_hz: f32,
    /// Seconds before the first reflection.
    pub(crate) early_s: f32,
}

/// Samples of the lines at full size, without common factors.
const LINES: [f32; 8] = [1687.0, 1931.0, 2273.0, 2531.0, 2801.0, 3109.0, 3413.0, 3797.0];
const DIFFUSERS: [usize; 4] = [229, 347, 491, 677];

struct Line {
    samples: Vec<f32>,
    place: usize,
    keep: f32,
    walls: OnePole,
}

impl Line {
    fn new(length: usize, room: &Room) -> Self {
        let turns_s = length as f32 / SAMPLE_RATE as f32;
        Self {
            samples: vec![0.0; length.max(1)],
            place: 0,
            keep: 10.0_f32.powf(-3.0 * turns_s / room.decay_s.max(0.05)),
            walls: OnePole::low_pass(room.damping_hz),
        }
    }

    fn out(&mut self) -> f32 {
        let sample = self.samples.get(self.place).copied().unwrap_or_default();
        self.walls.next(sample) * self.keep
    }

    fn take(&mut self, sample: f32) {
        if let Some(slot) = self.samples.get_mut(self.place) {
            *slot = sample;
        }
        self.place = if self.place + 1 == self.samples.len() { 0 } else { self.place + 1 };
    }
}

struct Diffuser {
    samples: Vec<f32>,
    place: usize,
}

impl Diffuser {
    fn next(&mut self, sample: f32) -> f32 {
        let Some(slot) = self.samples.get_mut(self.place) else { return sample };
        let held = *slot;
        let into = sample - 0.62 * held;
        *slot = into;
        self.place = if self.place + 1 == self.samples.len() { 0 } else { self.place + 1 };
        held + 0.62 * into
    }
}

/// Adds what the room answers to `send` to both sides, times `gain`.
pub(crate) fn reverberate(send: &[f32], room: &Room, gain: f32, sides: [&mut [f32]; 2]) {
    let mut lines = LINES.map(|length| Line::new((length * room.size) as usize, room));
    let mut diffusers = DIFFUSERS.map(|length| {
        let length = ((length as f32 * room.size.sqrt()) as usize).max(1);
        Diffuser { samples: vec![0.0; length], place: 0 }
    });
    let early = (room.early_s * SAMPLE_RATE as f32) as usize;
    let mut floor = OnePole::low_pass(140.0);
    let [left, right] = sides;
    for (place, (left, right)) in left.iter_mut().zip(right).enumerate() {
        let sample = place.checked_sub(early).and_then(|at| send.get(at)).copied().unwrap_or(0.0);
        // A bass in the room only blurs.
        let sample = sample - floor.next(sample) * 0.8;
        let spread = diffusers.iter_mut().fold(sample, |sample, part| part.next(sample));
        let mut outs = [0.0_f32; 8];
        for (out, line) in outs.iter_mut().zip(&mut lines) {
            *out = line.out();
        }
        // Householder mixing: every line answers every other one, and no energy is made.
        let share = outs.iter().sum::<f32>() * 0.25;
        for (line, out) in lines.iter_mut().zip(outs) {
            line.take(spread * 0.35 + out - share);
        }
        let [a, b, c, d, e, f, g, h] = outs;
        *left += gain * (a - c + e - g + 0.5 * (b - f));
        *right += gain * (b - d + f - h + 0.5 * (c - e));
    }
}
