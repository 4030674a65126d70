//! The parts besides the melody: chords, pad, bass and drums, note by note.

use super::brief::{Brief, Genre};
use super::form::{Form, Section};
use super::harmony::{Span, chords, voice};
use super::melody::melody;
use super::percussion::{Drum, Kit};
use crate::noise::Dice;

/// Who plays a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Lead,
    Chords,
    Pad,
    Bass,
    Drums(Drum),
}

/// A note in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) part: Part,
    pub(crate) start_s: f64,
    pub(crate) held_s: f64,
    /// In semitones; 60 is middle C. Drums have none.
    pub(crate) pitch: i32,
    pub(crate) velocity: f32,
}

/// The notes of a piece as they are written down.
pub(crate) struct Score<'a> {
    brief: &'a Brief,
    form: &'a Form,
    dice: Dice,
    pub(crate) notes: Vec<Note>,
}

/// Every note of the piece.
pub(crate) fn write_score(brief: &Brief, form: &Form, seed: u64) -> Vec<Note> {
    let key = super::harmony::Key::of(brief);
    let spans = chords(&key, form, seed);
    let mut score = Score { brief, form, dice: Dice::new(seed, "hands"), notes: Vec::new() };
    if brief.band.lead.is_some() {
        for sung in melody(brief, form, &spans, seed) {
            score.play(Part::Lead, sung.beat, sung.beats, sung.pitch, sung.velocity);
        }
    }
    let mut voicing = Vec::new();
    for (place, span) in spans.iter().enumerate() {
        voicing = voice(&span.chord, &voicing, 58);
        if place + 1 == spans.len() {
            score.final_chord(span, &voicing);
        } else if let Some(section) = section_at(form, span.beat) {
            let next_root = spans.get(place + 1).map_or(span.chord.root, |next| next.chord.root);
            score.chord_bar(section, span, &voicing);
            score.bass_bar(section, span, next_root);
        }
    }
    score.pads(&spans);
    score.drums();
    score.notes.sort_by(|one, other| one.start_s.total_cmp(&other.start_s));
    score.notes
}

fn section_at(form: &Form, beat: f64) -> Option<&Section> {
    let bar = (beat / form.beats_per_bar as f64) as usize;
    form.sections.iter().rev().find(|section| section.first_bar <= bar && section.bars > 0)
}

/// Places in a bar of four beats where chords are struck: (beat, length, weight).
type Strokes = &'static [(f64, f64, f32)];
const STRUM: Strokes = &[
    (0.0, 1.0, 1.0),
    (1.0, 0.5, 0.7),
    (1.5, 0.5, 0.55),
    (2.5, 0.5, 0.75),
    (3.0, 0.5, 0.7),
    (3.5, 0.5, 0.55),
];
const COMP: Strokes = &[(0.0, 1.4, 0.9), (1.5, 1.0, 0.7), (3.0, 0.9, 0.6)];
const CHARLESTON: Strokes = &[(0.0, 1.2, 0.85), (1.5, 0.6, 0.75)];
const LATE: Strokes = &[(0.5, 0.9, 0.7), (2.5, 1.2, 0.8)];
const HALVES: Strokes = &[(0.0, 2.0, 0.9), (2.0, 2.0, 0.75)];
const WALTZ: Strokes = &[(1.0, 0.8, 0.7), (2.0, 0.8, 0.6)];

impl Score<'_> {
    /// Writes a note at a beat; hands are never quite on time.
    fn play(&mut self, part: Part, beat: f64, beats: f64, pitch: i32, velocity: f32) {
        let (start_s, end_s) =
            (self.form.seconds(self.swung(beat)), self.form.seconds(self.swung(beat + beats)));
        let spread_s = if self.brief.genre == Genre::Electronic { 0.001 } else { 0.005 };
        let late_s =
            f64::from(self.dice.between(-1.0, 1.0) + self.dice.between(-1.0, 1.0)) * spread_s;
        let velocity = velocity * self.dice.between(0.93, 1.07);
        let start_s = (start_s + late_s).max(0.0);
        let held_s = (end_s - start_s).max(0.05);
        self.notes.push(Note { part, start_s, held_s, pitch, velocity: velocity.clamp(0.05, 1.0) });
    }

    /// Moves the off-beat eighth towards the next beat.
    fn swung(&self, beat: f64) -> f64 {
        let half = 0.5 + f64::from(self.brief.swing) / 6.0;
        let (whole, part) = (beat.floor(), beat.fract());
        let bent =
            if part < 0.5 { part * 2.0 * half } else { half + (part - 0.5) * 2.0 * (1.0 - half) };
        whole + bent
    }

    fn chord_bar(&mut self, section: &Section, span: &Span, voicing: &[i32]) {
        if self.brief.band.chords.is_none() {
            return;
        }
        let weight = 0.42 + 0.25 * section.intensity;
        let calm = section.intensity < 0.45;
        match (self.brief.genre, self.brief.beats_per_bar) {
            (_, 3) => self.strike(WALTZ, span, voicing, weight),
            (Genre::Acoustic | Genre::Cinematic, _) if calm => {
                self.roll(span, voicing, 1.0, weight);
            }
            (Genre::Acoustic, _) => self.roll(span, voicing, 0.5, weight),
            (Genre::Cinematic, _) => self.roll(span, voicing, 0.5, weight),
            (Genre::Ambient, _) => self.roll(span, voicing, 1.0, weight),
            (Genre::Electronic, _) => {
                let step = if calm { 0.5 } else { 0.25 };
                self.roll(span, voicing, step, weight * 0.9);
            }
            (Genre::Upbeat, _) if calm => self.strike(HALVES, span, voicing, weight),
            (Genre::Upbeat, _) => self.strike(STRUM, span, voicing, weight),
            (Genre::LoFi, _) => self.strike(COMP, span, voicing, weight),
            (Genre::Jazz, _) => {
                let strokes = if self.dice.chance(0.5) { CHARLESTON } else { LATE };
                self.strike(strokes, span, voicing, weight * 0.85);
            }
        }
    }

    /// Strikes the whole chord, its notes a few milliseconds after one another.
    fn strike(&mut self, strokes: Strokes, span: &Span, voicing: &[i32], weight: f32) {
        for (offset, beats, stress) in strokes {
            if *offset >= span.beats {
                continue;
            }
            let spread = 0.012 / self.form.beat_s();
            for (place, pitch) in voicing.iter().enumerate() {
                let beat = span.beat + offset + place as f64 * spread;
                let beats = beats.min(span.beats - offset);
                self.play(Part::Chords, beat, beats, *pitch, weight * stress);
            }
        }
    }

    /// Plays the chord one note after another, root first, up and down.
    fn roll(&mut self, span: &Span, voicing: &[i32], step: f64, weight: f32) {
        let low = 36 + (span.chord.root - 36).rem_euclid(12) + 12;
        let top = voicing.last().map_or(72, |pitch| pitch.max(&66) - 60);
        let high = voicing.iter().copied().find(|pitch| *pitch >= low + 7).unwrap_or(low + 12);
        let mut path: Vec<i32> = vec![low, high];
        path.extend(voicing.iter().filter(|pitch| **pitch > high));
        let first = voicing.first().copied().unwrap_or(low);
        path.push(if top > 9 { first + 12 } else { high + 12 });
        let count = (span.beats / step).ceil() as usize;
        let turn = (path.len() - 1).max(1);
        for place in 0..count {
            // Up and down again, like a hand.
            let along = place % (2 * turn);
            let index = if along <= turn { along } else { 2 * turn - along };
            let Some(pitch) = path.get(index) else { continue };
            let stress = if place == 0 {
                1.0
            } else if place % 4 == 0 {
                0.9
            } else {
                0.74
            };
            let offset = place as f64 * step;
            // Notes ring on while the chord lasts.
            let beats = (span.beats - offset).min(step * 4.0);
            self.play(Part::Chords, span.beat + offset, beats, *pitch, weight * stress);
        }
    }

    fn pads(&mut self, spans: &[Span]) {
        if self.brief.band.pad.is_none() {
            return;
        }
        let mut voicing = Vec::new();
        for span in spans {
            let intensity =
                section_at(self.form, span.beat).map_or(0.4, |section| section.intensity);
            voicing = voice(&span.chord, &voicing, 62);
            for pitch in &voicing {
                self.play(Part::Pad, span.beat, span.beats, *pitch, 0.4 + 0.3 * intensity);
            }
        }
    }

    /// Whether bass and drums are silent: they join after the intro, except in jazz.
    fn waits(&self, section: &Section) -> bool {
        section.name == "intro" && self.brief.genre != Genre::Jazz
    }

    fn bass_bar(&mut self, section: &Section, span: &Span, next_root: i32) {
        if self.brief.band.bass.is_none() || self.waits(section) {
            return;
        }
        let root = low_root(span.chord.root);
        let fifth = if root + 7 > 47 { root - 5 } else { root + 7 };
        let weight = 0.5 + 0.25 * section.intensity;
        let full = section.intensity >= 0.6;
        let bar = span.beats;
        let notes: Vec<(f64, f64, i32, f32)> = match self.brief.genre {
            Genre::Jazz if bar >= 3.0 => {
                let third = low_root(*span.chord.tones.get(1).unwrap_or(&span.chord.root));
                let approach = low_root(next_root) + if self.dice.chance(0.5) { 1 } else { -1 };
                let walk = [root, third, fifth, approach];
                let last = bar as usize - 1;
                (0..bar as usize)
                    .map(|beat| {
                        (
                            beat as f64,
                            0.95,
                            if beat == last { approach } else { walk[beat % 4] },
                            0.9,
                        )
                    })
                    .collect()
            }
            Genre::Electronic if full => (0..(bar * 2.0) as usize)
                .map(|eighth| {
                    (eighth as f64 / 2.0, 0.4, root, if eighth % 2 == 1 { 1.0 } else { 0.6 })
                })
                .collect(),
            Genre::Upbeat if full => (0..(bar * 2.0) as usize)
                .map(|eighth| {
                    (eighth as f64 / 2.0, 0.48, root, if eighth % 2 == 0 { 1.0 } else { 0.75 })
                })
                .collect(),
            Genre::LoFi => vec![
                (0.0, 1.4, root, 1.0),
                (1.5, 0.5, root, 0.6),
                (2.5, 1.0, fifth, 0.8),
                (3.5, 0.5, root, 0.6),
            ],
            Genre::Acoustic | Genre::Upbeat if bar >= 4.0 => {
                vec![(0.0, 1.9, root, 1.0), (2.0, 1.5, if full { fifth } else { root }, 0.8)]
            }
            _ => vec![(0.0, bar * 0.97, root, 0.95)],
        };
        for (offset, beats, pitch, stress) in notes {
            if offset < bar {
                self.play(
                    Part::Bass,
                    span.beat + offset,
                    beats.min(bar - offset),
                    pitch,
                    weight * stress,
                );
            }
        }
    }

    /// The last chord: everybody together, rolled a little, held until it has rung out.
    fn final_chord(&mut self, span: &Span, voicing: &[i32]) {
        let spread = 0.028 / self.form.beat_s();
        if self.brief.band.chords.is_some() {
            let root = 36 + (span.chord.root - 36).rem_euclid(12);
            let all = [root, root + 12].into_iter().chain(voicing.iter().copied());
            let held = all.filter(|pitch| *pitch >= 40);
            for (place, pitch) in held.enumerate() {
                let beat = span.beat + place as f64 * spread;
                self.play(Part::Chords, beat, span.beats, pitch, 0.55);
            }
        }
        if self.brief.band.bass.is_some() {
            self.play(Part::Bass, span.beat, span.beats, low_root(span.chord.root), 0.65);
        }
        match self.brief.band.drums {
            Some(Kit::Cinematic) => self.play(Part::Drums(Drum::Boom), span.beat, 1.0, 0, 0.7),
            Some(Kit::Jazz | Kit::LoFi | Kit::Soft) => {
                self.play(Part::Drums(Drum::Ride), span.beat, 1.0, 0, 0.4);
            }
            Some(Kit::Pop | Kit::Electronic) => {
                self.play(Part::Drums(Drum::Kick), span.beat, 1.0, 0, 0.8);
                self.play(Part::Drums(Drum::Crash), span.beat, 1.0, 0, 0.5);
            }
            None => {}
        }
    }

    fn drums(&mut self) {
        let Some(kit) = self.brief.band.drums else { return };
        let form = self.form;
        for (place, section) in form.sections.iter().enumerate() {
            if section.bars == 0 || self.waits(section) {
                continue;
            }
            // A cymbal marks where something new begins.
            if place > 0 && section.intensity > 0.75 && kit != Kit::Jazz {
                let beat = (section.first_bar * form.beats_per_bar) as f64;
                self.play(Part::Drums(Drum::Crash), beat, 1.0, 0, 0.45);
            }
            for bar in 0..section.bars {
                let is_last = bar + 1 == section.bars && section.bars > 1;
                self.drum_bar(
                    kit,
                    section,
                    (section.first_bar + bar) * form.beats_per_bar,
                    is_last,
                );
            }
        }
    }

    fn drum_bar(&mut self, kit: Kit, section: &Section, first_beat: usize, is_last: bool) {
        let steps = self.brief.beats_per_bar * 4;
        let weight = 0.5 + 0.45 * section.intensity;
        for (drum, least_intensity, pattern) in kit.patterns(self.brief.beats_per_bar) {
            if section.intensity < *least_intensity {
                continue;
            }
            for (step, mark) in pattern.bytes().take(steps).enumerate() {
                let stress = match mark {
                    b'X' => 1.0,
                    b'x' => 0.75,
                    b'o' => 0.45,
                    b'?' if self.dice.chance(0.3) => 0.4,
                    _ => continue,
                };
                let beat = first_beat as f64 + step as f64 / 4.0;
                self.play(Part::Drums(*drum), beat, 0.25, 0, weight * stress);
            }
        }
        if is_last && section.intensity >= 0.6 {
            let start = (first_beat + self.brief.beats_per_bar - 1) as f64;
            for (offset, drum, stress) in kit.fill() {
                self.play(Part::Drums(*drum), start + offset, 0.25, 0, weight * stress);
            }
        }
    }
}

/// The root in the octave of the bass, from E1 to D#2.
fn low_root(class: i32) -> i32 {
    28 + (class - 28).rem_euclid(12)
}
