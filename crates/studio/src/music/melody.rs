//! The melody: a motif of two bars for each letter of the form, repeated, answered and varied.

use super::brief::Brief;
use super::form::{Form, Section};
use super::harmony::{Chord, Key, Span};
use crate::noise::Dice;

/// A note of the melody, in beats from the start of the piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sung {
    pub(crate) beat: f64,
    pub(crate) beats: f64,
    pub(crate) pitch: i32,
    pub(crate) velocity: f32,
}

/// A motif: places in beats within two bars, and steps above a starting tone.
#[derive(Clone, Debug)]
struct Motif {
    notes: Vec<(f64, f64, i32)>,
}

/// Rhythms of one bar of four beats: (place, length), calmest first.
const RHYTHMS_IN_FOUR: &[&[(f64, f64)]] = &[
    &[(0.0, 3.0)],
    &[(0.0, 2.0), (2.0, 2.0)],
    &[(0.0, 3.0), (3.0, 1.0)],
    &[(0.0, 1.5), (1.5, 0.5), (2.0, 2.0)],
    &[(0.0, 1.0), (1.0, 1.0), (2.0, 2.0)],
    &[(0.5, 0.5), (1.0, 1.0), (2.0, 1.5), (3.5, 0.5)],
    &[(0.0, 1.5), (1.5, 1.5), (3.0, 1.0)],
    &[(0.0, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (2.5, 1.5)],
    &[(0.0, 0.75), (0.75, 0.75), (1.5, 0.5), (2.0, 1.0), (3.0, 0.5), (3.5, 0.5)],
];
const RHYTHMS_IN_THREE: &[&[(f64, f64)]] = &[
    &[(0.0, 3.0)],
    &[(0.0, 2.0), (2.0, 1.0)],
    &[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)],
    &[(0.0, 1.5), (1.5, 0.5), (2.0, 1.0)],
    &[(0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0)],
];

/// The melody of the whole piece, the last note upon the final chord.
pub(crate) fn melody(brief: &Brief, form: &Form, chords: &[Span], seed: u64) -> Vec<Sung> {
    let mut singer = Singer { key: Key::of(brief), brief, form, chords, seed, sung: Vec::new() };
    for section in &form.sections {
        // The intro leaves room, except where there is nothing else.
        if section.name != "intro" {
            singer.sing(section);
        }
    }
    close(&singer.key, form, chords, &mut singer.sung);
    singer.sung
}

fn motif(brief: &Brief, letter: char, seed: u64) -> Motif {
    let mut dice = Dice::new(seed, &format!("motif {letter}"));
    let rhythms = if brief.beats_per_bar == 3 { RHYTHMS_IN_THREE } else { RHYTHMS_IN_FOUR };
    // Calm music draws from the calm end of the table; the refrain moves more than the verse.
    let lively = brief.energy + if letter == 'B' { 0.15 } else { 0.0 };
    let most = ((rhythms.len() as f32 * (0.45 + 0.6 * lively)) as usize).clamp(2, rhythms.len());
    let mut notes = Vec::new();
    let mut step = [0, 2, 4][dice.below(3)];
    let mut direction = if dice.chance(0.6) { 1 } else { -1 };
    for bar in 0..2 {
        let rhythm = rhythms[1 + dice.below(most - 1)];
        for (place, beats) in rhythm {
            notes.push((place + (bar * brief.beats_per_bar) as f64, *beats, step));
            let leap = if dice.chance(0.25) { 2 } else { 1 };
            step += direction * leap;
            // A line that has gone far turns round.
            if !(-3..=6).contains(&step) || dice.chance(0.3) {
                direction = if step > 4 {
                    -1
                } else if step < -1 {
                    1
                } else {
                    -direction
                };
            }
        }
    }
    Motif { notes }
}

/// What a melody is sung from, and what has been sung.
struct Singer<'a> {
    key: Key,
    brief: &'a Brief,
    form: &'a Form,
    chords: &'a [Span],
    seed: u64,
    sung: Vec<Sung>,
}

impl Singer<'_> {
    fn sing(&mut self, section: &Section) {
        let motif = motif(self.brief, section.letter, self.seed);
        let purpose = format!("variation {} {}", section.letter, section.repeat);
        let mut dice = Dice::new(self.seed, &purpose);
        let bar_beats = self.form.beats_per_bar as f64;
        let first_beat = section.first_bar as f64 * bar_beats;
        for pair in 0..section.bars.div_ceil(2) {
            let start = first_beat + pair as f64 * 2.0 * bar_beats;
            // Motif, motif a step elsewhere, motif, answer.
            let shift = [0, [1, -1, 2][dice.below(3)], 0, -1][pair % 4];
            let is_answer = pair % 2 == 1;
            self.phrase(section, &motif, (start, shift, is_answer), &mut dice);
            // The second time round there is more to tell: an ornament between two notes.
            if section.repeat > 0 && !is_answer {
                ornament(&self.key, self.chords, &mut self.sung, &mut dice);
            }
        }
    }

    /// The pitch, in the octave that a voice reaches from where it is.
    fn within_reach(&self, pitch: i32) -> i32 {
        let Some(before) = self.sung.last().map(|note| note.pitch) else { return pitch };
        if (pitch - before).abs() < 10 && (58..=84).contains(&pitch) {
            return pitch;
        }
        let strain = |pitch: &i32| (pitch - before).abs() * 2 + (pitch - 71).abs();
        [pitch - 12, pitch, pitch + 12].into_iter().min_by_key(strain).unwrap_or(pitch)
    }

    /// Sings the motif once, from beat `start`, moved by `shift` steps; an answer closes early, on
    /// a long tone, and breathes.
    fn phrase(
        &mut self,
        section: &Section,
        motif: &Motif,
        (start, shift, is_answer): (f64, i32, bool),
        dice: &mut Dice,
    ) {
        let bar_beats = self.form.beats_per_bar as f64;
        let end_beat = (section.first_bar + section.bars) as f64 * bar_beats;
        let centre = if section.letter == 'B' { 2 } else { 0 };
        for (place, (offset, beats, step)) in motif.notes.iter().enumerate() {
            let beat = start + offset;
            let closes = is_answer && *offset >= bar_beats;
            if beat >= end_beat - 0.01 || (closes && *offset > bar_beats + 0.51) {
                break;
            }
            let is_last = place + 1 == motif.notes.len();
            let step = match section.repeat {
                _ if closes => centre + shift,
                repeat if repeat > 0 && dice.chance(0.2) => step + centre + shift + 1,
                _ => step + centre + shift,
            };
            let on_beat = offset.fract() == 0.0;
            let strong = on_beat && (*offset as usize).is_multiple_of(2) || *beats >= 1.5;
            let pitch = realise(&self.key, self.chords, beat, step, strong || closes || is_last);
            let pitch = self.within_reach(pitch);
            let beats = if closes { (bar_beats * 0.75).min(3.0) } else { *beats };
            let accent = if on_beat { 0.06 } else { -0.04 };
            let velocity = 0.5 + 0.25 * section.intensity + accent;
            self.sung.push(Sung { beat, beats: beats.min(end_beat - beat), pitch, velocity });
            if closes {
                break;
            }
        }
    }
}

/// The pitch of a step near the middle of the singing range; strong notes belong to the chord.
fn realise(key: &Key, chords: &[Span], beat: f64, step: i32, strong: bool) -> i32 {
    let mut pitch = key.pitch(step) + 60;
    // The tonic that a melody circles lies between F4 and E5.
    if key.tonic < 5 {
        pitch += 12;
    }
    let Some(chord) = chord_at(chords, beat) else { return pitch };
    if strong {
        return nearest_tone(chord, pitch);
    }
    // A chord with a raised leading note and a scale without it clash by a semitone.
    let class = pitch.rem_euclid(12);
    let raised = (class + 1).rem_euclid(12);
    if chord.tones.contains(&raised) && !chord.tones.contains(&class) && key.mode.is_minor() {
        let leading = (key.tonic + 11).rem_euclid(12);
        if raised == leading {
            return pitch + 1;
        }
    }
    pitch
}

fn chord_at(chords: &[Span], beat: f64) -> Option<&Chord> {
    let place = chords.partition_point(|span| span.beat <= beat + 1e-6);
    chords.get(place.checked_sub(1)?).map(|span| &span.chord)
}

/// Whether a pitch lies a semitone below a tone of the chord without belonging to it.
fn clashes(chord: &Chord, pitch: i32) -> bool {
    !chord.tones.contains(&pitch.rem_euclid(12))
        && chord.tones.contains(&(pitch + 1).rem_euclid(12))
}

fn nearest_tone(chord: &Chord, pitch: i32) -> i32 {
    let in_chord = |candidate: &i32| chord.tones.contains(&candidate.rem_euclid(12));
    let order = [0, -1, 1, -2, 2, -3, 3, -4, 4, 5];
    order.iter().map(|offset| pitch + offset).find(|p| in_chord(p)).unwrap_or(pitch)
}

/// Splits the last long note into itself and the step below or above, leading on.
fn ornament(key: &Key, chords: &[Span], sung: &mut Vec<Sung>, dice: &mut Dice) {
    let Some(last) = sung.last_mut() else { return };
    if last.beats < 1.5 {
        return;
    }
    let whole = *last;
    last.beats = whole.beats - 0.5;
    let beat = whole.beat + last.beats;
    let in_scale = |pitch: &i32| key.mode.steps().contains(&(pitch - key.tonic).rem_euclid(12));
    let fits = |pitch: &i32| {
        in_scale(pitch) && chord_at(chords, beat).is_some_and(|chord| !clashes(chord, *pitch))
    };
    let neighbour = [-2, -1, 2, 1].iter().map(|offset| whole.pitch + offset).find(fits);
    let pitch = neighbour.filter(|_| dice.chance(0.8)).unwrap_or(whole.pitch);
    sung.push(Sung { beat, beats: 0.5, pitch, velocity: whole.velocity - 0.08 });
}

/// Ends the melody: a tone of the dominant, then the tonic on the final chord.
fn close(key: &Key, form: &Form, chords: &[Span], sung: &mut Vec<Sung>) {
    let end = form.beats();
    let last_bar = end - form.beats_per_bar as f64;
    sung.retain(|note| note.beat < last_bar + 0.01);
    let around = sung.last().map_or(72, |note| note.pitch);
    // The tonic nearest to where the melody is.
    let tonic = (60..85)
        .filter(|pitch| (pitch - key.tonic).rem_euclid(12) == 0)
        .min_by_key(|pitch| (pitch - around).abs())
        .unwrap_or(72);
    if let Some(last) = sung.last_mut().filter(|note| note.beat + note.beats > end - 1.0) {
        last.beats = (end - 1.0 - last.beat).max(0.5);
    }
    let step_above = tonic + 2;
    let leading = chord_at(chords, end - 1.0).map_or(step_above, |chord| {
        if chord.tones.contains(&step_above.rem_euclid(12)) { step_above } else { tonic - 1 }
    });
    sung.push(Sung { beat: end - 1.0, beats: 1.0, pitch: leading, velocity: 0.5 });
    sung.push(Sung { beat: end, beats: 4.0, pitch: tonic, velocity: 0.55 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::harmony::chords;

    #[test]
    fn melodies_are_singable_and_end_at_home() {
        for text in ["calm piano", "techno in a minor", "jazz", "waltz in e flat major", "ambient"]
        {
            for seed in 0..8 {
                let brief = Brief::from_words(text, seed);
                let form = Form::fit(&brief, 45.0);
                let spans = chords(&Key::of(&brief), &form, seed);
                let sung = melody(&brief, &form, &spans, seed);
                assert!(sung.len() > 12, "{text}: {} notes", sung.len());
                assert!(sung.iter().all(|note| (55..=91).contains(&note.pitch)), "{sung:?}");
                assert!(sung.windows(2).all(|pair| pair[0].beat < pair[1].beat), "{text} {seed}");
                let leaps = sung.windows(2).map(|pair| (pair[1].pitch - pair[0].pitch).abs());
                assert!(leaps.max().unwrap() <= 12, "{text} {seed}: {sung:?}");
                let last = sung.last().unwrap();
                assert_eq!((last.pitch - brief.tonic).rem_euclid(12), 0);
                assert_eq!(last.beat, form.beats());
            }
        }
    }
}
