//! The desk: every note in its place, a room, and a gentle hand on the whole.
//!
//! Invariants: the mix is exactly as long as the form says; its highest peak is -3 dBFS; its first
//! and last samples are silent.

use super::SAMPLE_RATE;
use super::brief::{Brief, Genre};
use super::form::Form;
use super::instrument::{Timbre, Tone};
use super::parts::{Note, Part};
use super::percussion::{Drum, strike};
use crate::filter::{Biquad, OnePole};
use crate::noise::Dice;
use crate::reverb::{Room, reverberate};
use impasto_domain::{Result, Workbench};

/// The highest peak, -3 dBFS.
const PEAK: f32 = 0.707_945_8;
/// The loudness that is aimed at, as the power mean of the louder half: about -17 dBFS.
const LOUDNESS: f32 = 0.14;

/// Both sides, and what goes into the room.
struct Desk {
    left: Vec<f32>,
    right: Vec<f32>,
    send: Vec<f32>,
}

/// Where a part stands: gain, place from -1 (left) to 1, share sent into the room.
#[derive(Clone, Copy)]
struct Place {
    gain: f32,
    pan: f32,
    send: f32,
}

/// Plays and mixes all notes.
pub(crate) fn mix(
    brief: &Brief,
    form: &Form,
    notes: &[Note],
    seed: u64,
    bench: &dyn Workbench,
) -> Result<[Vec<f32>; 2]> {
    let length = (form.duration_s * f64::from(SAMPLE_RATE)).round() as usize;
    let silent = || vec![0.0_f32; length];
    let mut desk = Desk { left: silent(), right: silent(), send: silent() };
    let mut dice = Dice::new(seed, "sounds");
    for (place, note) in notes.iter().enumerate() {
        if place % 16 == 0 {
            bench.check_cancelled()?;
            bench.progress(0.85 * place as f64 / notes.len().max(1) as f64, "playing");
        }
        desk.add(brief, note, &mut dice);
    }
    bench.progress(0.88, "mixing");
    let (room, gain) = room_for(brief.genre);
    let Desk { mut left, mut right, send } = desk;
    reverberate(&send, &room, gain, [&mut left, &mut right]);
    drop(send);
    bench.check_cancelled()?;
    master(&mut left, &mut right);
    end_on_time(&mut left, form);
    end_on_time(&mut right, form);
    set_peak(&mut left, &mut right);
    Ok([left, right])
}

fn room_for(genre: Genre) -> (Room, f32) {
    let room = |size, decay_s, damping_hz, early_s| Room { size, decay_s, damping_hz, early_s };
    match genre {
        Genre::Ambient => (room(1.0, 4.5, 4500.0, 0.03), 0.55),
        Genre::Cinematic => (room(0.95, 2.8, 5200.0, 0.028), 0.5),
        Genre::Acoustic => (room(0.7, 1.5, 6000.0, 0.015), 0.42),
        Genre::LoFi => (room(0.6, 1.1, 3800.0, 0.012), 0.36),
        Genre::Jazz => (room(0.65, 1.2, 5500.0, 0.014), 0.36),
        Genre::Upbeat => (room(0.7, 1.3, 6500.0, 0.018), 0.34),
        Genre::Electronic => (room(0.8, 1.8, 6500.0, 0.022), 0.38),
    }
}

impl Desk {
    fn add(&mut self, brief: &Brief, note: &Note, dice: &mut Dice) {
        let timbre = match note.part {
            Part::Lead => brief.band.lead,
            Part::Chords => brief.band.chords,
            Part::Pad => brief.band.pad,
            Part::Bass => brief.band.bass,
            Part::Drums(drum) => {
                let samples = strike(drum, note.velocity, dice);
                self.place(note.start_s, &samples, drum_place(brief.genre, drum));
                return;
            }
        };
        let Some(timbre) = timbre else { return };
        let octave = timbre.octave(note.part == Part::Lead);
        let semitones = (note.pitch + 12 * octave - 69) as f32;
        let tone = Tone {
            hz: 440.0 * 2.0_f32.powf(semitones / 12.0),
            velocity: note.velocity,
            held_s: note.held_s as f32,
            brightness: brief.brightness,
        };
        let place = part_place(brief, note.part, timbre, note.pitch);
        if timbre.is_wide() {
            for side in [-0.85, 0.85] {
                let samples = timbre.play(&tone, dice);
                self.place(
                    note.start_s,
                    &samples,
                    Place { pan: side, gain: place.gain * 0.75, ..place },
                );
            }
        } else {
            let samples = timbre.play(&tone, dice);
            self.place(note.start_s, &samples, place);
        }
    }

    fn place(&mut self, start_s: f64, samples: &[f32], place: Place) {
        let start = (start_s * f64::from(SAMPLE_RATE)) as usize;
        // Equal power: the sum of squares of both sides does not depend on the place.
        let angle = (place.pan + 1.0) * std::f32::consts::FRAC_PI_4;
        let gains = [angle.cos() * place.gain, angle.sin() * place.gain, place.send * place.gain];
        for (buffer, gain) in
            [&mut self.left, &mut self.right, &mut self.send].into_iter().zip(gains)
        {
            for (slot, sample) in buffer.iter_mut().skip(start).zip(samples) {
                *slot += sample * gain;
            }
        }
    }
}

fn drum_place(genre: Genre, drum: Drum) -> Place {
    let (gain, pan, send) = match drum {
        Drum::Kick => (0.62, 0.0, 0.03),
        Drum::Boom => (0.6, 0.0, 0.4),
        Drum::Tom => (0.5, -0.15, 0.45),
        Drum::Snare => (0.42, 0.05, 0.22),
        Drum::Brush => (0.62, 0.1, 0.25),
        Drum::Rim => (0.8, -0.2, 0.3),
        Drum::Clap => (0.55, 0.08, 0.3),
        Drum::Shaker => (0.85, 0.38, 0.15),
        Drum::Hat => (0.42, 0.3, 0.08),
        Drum::OpenHat => (0.32, 0.28, 0.1),
        Drum::Ride => (0.3, 0.35, 0.18),
        Drum::Crash => (0.3, -0.3, 0.3),
    };
    let quieter = match genre {
        Genre::Acoustic | Genre::Ambient => 0.7,
        Genre::LoFi => 0.85,
        _ => 1.0,
    };
    Place { gain: gain * quieter, pan, send }
}

fn part_place(brief: &Brief, part: Part, timbre: Timbre, pitch: i32) -> Place {
    // Low strings of a keyboard stand left of high ones.
    let across = ((pitch - 60) as f32 / 40.0).clamp(-0.5, 0.5);
    let roomy = if brief.genre == Genre::Ambient { 1.4 } else { 1.0 };
    let (gain, pan, send) = match part {
        Part::Lead => (0.62, 0.08 + across * 0.25, 0.34),
        Part::Chords if timbre == Timbre::Guitar => (0.46, -0.28, 0.28),
        Part::Chords => (0.46, across * 0.7 - 0.1, 0.28),
        Part::Pad => (0.19, 0.0, 0.34),
        // A section of basses is softer than one plucked string.
        Part::Bass if timbre == Timbre::Strings => (0.9, 0.0, 0.2),
        Part::Bass => (0.5, 0.0, 0.04),
        Part::Drums(_) => (0.5, 0.0, 0.1),
    };
    Place { gain, pan, send: send * roomy }
}

/// Cleans the bottom, holds the loud passages together, and brings the whole to its loudness.
fn master(left: &mut [f32], right: &mut [f32]) {
    for side in [&mut *left, &mut *right] {
        let (mut floor, mut air) = (Biquad::high_pass(30.0, 0.7), Biquad::high_shelf(9000.0, 1.5));
        for sample in side.iter_mut() {
            *sample = air.next(floor.next(*sample));
        }
    }
    let gain = LOUDNESS / loud_half(left, right).max(1e-6);
    let mut level = OnePole::over(0.12);
    let mut reduction = OnePole::over(0.03);
    for (left, right) in left.iter_mut().zip(right.iter_mut()) {
        let power = level.next((*left * *left + *right * *right) * 0.5 * gain * gain);
        // Two to one above the loudness aimed at.
        let over = (power.sqrt() / LOUDNESS).max(1.0);
        let held = gain * reduction.next(1.0 / over.sqrt());
        *left *= held;
        *right *= held;
    }
    limit(left, right);
}

/// The power mean of the louder half of the piece, measured in blocks of 0.4 s.
fn loud_half(left: &[f32], right: &[f32]) -> f32 {
    let block = (SAMPLE_RATE as usize * 2) / 5;
    let power =
        |samples: &[f32]| samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32;
    let mut powers: Vec<f32> = left
        .chunks(block)
        .zip(right.chunks(block))
        .map(|(left, right)| 0.5 * (power(left) + power(right)))
        .collect();
    powers.sort_by(|one, other| other.total_cmp(one));
    let half = powers.len().div_ceil(2);
    (powers.iter().take(half).sum::<f32>() / half.max(1) as f32).sqrt()
}

/// Looks ahead and turns down before a peak, so that nothing is clipped.
fn limit(left: &mut [f32], right: &mut [f32]) {
    const AHEAD: usize = 240;
    let length = left.len();
    let mut gains: Vec<f32> = left
        .iter()
        .zip(right.iter())
        .map(|(left, right)| (PEAK / left.abs().max(right.abs()).max(1e-9)).min(1.0))
        .collect();
    // Down: a straight line of 5 ms to each peak. Up: slowly.
    let slope = 1.0 / AHEAD as f32;
    for place in (0..length.saturating_sub(1)).rev() {
        gains[place] = gains[place].min(gains[place + 1] + slope);
    }
    let rise = 1.0 / (0.25 * SAMPLE_RATE as f32);
    let mut gain = 1.0_f32;
    for ((slot, left), right) in gains.iter().zip(left).zip(right) {
        gain = slot.min(gain + rise);
        *left *= gain;
        *right *= gain;
    }
}

/// Fades what still rings so that the last sample is silent, and nothing before the last chord.
fn end_on_time(samples: &mut [f32], form: &Form) {
    let tail_s = form.duration_s - form.seconds(form.beats());
    let fade = ((tail_s * 0.75) * f64::from(SAMPLE_RATE)) as usize;
    for (place, sample) in samples.iter_mut().rev().take(fade).enumerate() {
        let level = place as f32 / fade as f32;
        *sample *= level * level * (3.0 - 2.0 * level);
    }
    for (place, sample) in samples.iter_mut().take(96).enumerate() {
        *sample *= place as f32 / 96.0;
    }
}

fn set_peak(left: &mut [f32], right: &mut [f32]) {
    let peak = left.iter().chain(right.iter()).fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let gain = PEAK / peak.max(1e-6);
    for sample in left.iter_mut().chain(right) {
        *sample *= gain;
    }
}
