//! Chords: progressions of a key, their tones, and voicings that move as little as they can.

use super::brief::{Brief, Genre, Mode};
use super::form::{Form, Section};
use crate::noise::Dice;

/// A chord as pitch classes: root, third, fifth, and perhaps a fourth tone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chord {
    pub(crate) root: i32,
    pub(crate) tones: Vec<i32>,
}

/// A chord that sounds for some beats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) beat: f64,
    pub(crate) beats: f64,
    pub(crate) chord: Chord,
}

/// The fourth tone that a manner of playing adds to a triad.
#[derive(Clone, Copy, PartialEq)]
enum Colour {
    Plain,
    Seventh,
    Ninth,
}

/// Progressions as steps of the scale, 0 is the tonic.
const MAJOR: &[[usize; 4]] =
    &[[0, 4, 5, 3], [0, 5, 3, 4], [0, 2, 3, 4], [0, 3, 0, 4], [5, 3, 0, 4], [0, 5, 1, 4]];
const MINOR: &[[usize; 4]] =
    &[[0, 5, 2, 6], [0, 3, 5, 4], [0, 6, 5, 4], [0, 2, 6, 5], [5, 6, 0, 2], [0, 3, 0, 4]];
const JAZZ: &[[usize; 4]] = &[[1, 4, 0, 5], [0, 5, 1, 4], [2, 5, 1, 4], [3, 2, 1, 4]];
const MODAL: &[[usize; 4]] = &[[0, 1, 0, 4], [0, 3, 1, 0], [0, 6, 3, 0], [0, 1, 4, 0]];

/// The key and the habits of a piece's harmony.
pub(crate) struct Key {
    pub(crate) tonic: i32,
    pub(crate) mode: Mode,
    genre: Genre,
}

impl Key {
    pub(crate) fn of(brief: &Brief) -> Self {
        Self { tonic: brief.tonic, mode: brief.mode, genre: brief.genre }
    }

    /// The pitch, in semitones above a C, of a step of the scale; steps go on past the octave.
    pub(crate) fn pitch(&self, step: i32) -> i32 {
        let within = step.rem_euclid(7) as usize;
        self.tonic + 12 * step.div_euclid(7) + self.mode.steps()[within]
    }

    fn colour(&self, step: usize) -> Colour {
        match self.genre {
            Genre::Jazz | Genre::LoFi => Colour::Seventh,
            Genre::Ambient => Colour::Ninth,
            Genre::Acoustic if step == 3 => Colour::Ninth,
            _ => Colour::Plain,
        }
    }

    fn chord(&self, step: usize) -> Chord {
        self.coloured(step, self.colour(step))
    }

    fn coloured(&self, step: usize, colour: Colour) -> Chord {
        let step = step as i32;
        let mut offsets = vec![0, 2, 4];
        match colour {
            Colour::Plain => {}
            Colour::Seventh => offsets.push(6),
            Colour::Ninth => offsets.push(8),
        }
        let mut tones: Vec<i32> =
            offsets.iter().map(|offset| self.pitch(step + offset).rem_euclid(12)).collect();
        // A ninth a semitone above the root grates.
        if colour == Colour::Ninth && (tones[3] - tones[0]).rem_euclid(12) == 1 {
            tones.pop();
        }
        let leads_home = step == 4 && self.mode != Mode::Lydian;
        if leads_home {
            // The leading note makes the fifth chord a dominant in every mode.
            tones[1] = (tones[0] + 4).rem_euclid(12);
            if self.genre == Genre::Jazz {
                tones[3] = (tones[0] + 10).rem_euclid(12);
            }
        }
        // A diminished triad in root position is too harsh for this music.
        if (tones[2] - tones[0]).rem_euclid(12) == 6 {
            tones[2] = (tones[0] + 7).rem_euclid(12);
        }
        Chord { root: tones[0], tones }
    }

    /// The chord that the piece ends on.
    pub(crate) fn home(&self) -> Chord {
        let mut chord = self.coloured(0, Colour::Plain);
        match self.genre {
            Genre::Jazz => chord.tones.push((self.tonic + 9).rem_euclid(12)),
            Genre::LoFi | Genre::Ambient => chord.tones.push((self.tonic + 2).rem_euclid(12)),
            _ => {}
        }
        chord
    }

    fn progressions(&self) -> &'static [[usize; 4]] {
        match (self.genre, self.mode) {
            (Genre::Jazz, _) => JAZZ,
            (Genre::LoFi, Mode::Major) => JAZZ,
            (_, Mode::Lydian | Mode::Mixolydian) => MODAL,
            (_, mode) if mode.is_minor() => MINOR,
            _ => MAJOR,
        }
    }
}

/// Every chord of the piece, in order; the last is the final one.
pub(crate) fn chords(key: &Key, form: &Form, seed: u64) -> Vec<Span> {
    let bar_beats = form.beats_per_bar as f64;
    let mut spans: Vec<Span> = Vec::new();
    for section in &form.sections {
        let steps = section_steps(key, section, seed);
        for bar in 0..section.bars {
            let beat = ((section.first_bar + bar) * form.beats_per_bar) as f64;
            let chord = key.chord(steps[bar % steps.len()]);
            spans.push(Span { beat, beats: bar_beats, chord });
        }
    }
    cadence(key, &mut spans, bar_beats);
    let rest = (form.duration_s - form.seconds(form.beats())) / form.beat_s();
    spans.push(Span { beat: form.beats(), beats: rest, chord: key.home() });
    spans
}

fn section_steps(key: &Key, section: &Section, seed: u64) -> [usize; 4] {
    let table = key.progressions();
    // Sections of one letter share their chords; other letters take other ones.
    let first = Dice::new(seed, "progression").below(table.len());
    let letter = (section.letter as usize).wrapping_sub('A' as usize);
    table[(first + letter) % table.len()]
}

/// Makes the last bars lead home: a chord before the dominant, then the dominant.
fn cadence(key: &Key, spans: &mut Vec<Span>, bar_beats: f64) {
    let before = if matches!(key.genre, Genre::Jazz | Genre::LoFi) || key.mode == Mode::Major {
        1
    } else {
        3
    };
    let Some(last) = spans.pop() else { return };
    let bars = spans.len() + 1;
    if bars >= 4 {
        if let Some(previous) = spans.last_mut() {
            previous.chord = key.chord(before);
        }
        spans.push(Span { chord: key.coloured(4, key.colour(4)), ..last });
    } else {
        // No room for a bar each: both in one bar.
        let half = (bar_beats / 2.0).floor().max(1.0);
        spans.push(Span { beats: half, ..last.clone() });
        spans.push(Span { beat: last.beat + half, beats: bar_beats - half, chord: key.chord(4) });
    }
}

/// Pitches for `chord` near `centre`, close to those of the chord before.
pub(crate) fn voice(chord: &Chord, before: &[i32], centre: i32) -> Vec<i32> {
    let mut classes = chord.tones.clone();
    classes.sort_by_key(|tone| tone.rem_euclid(12));
    let mut best: Option<(i32, Vec<i32>)> = None;
    for first in 0..classes.len() {
        for octave in 3..7 {
            let mut pitches: Vec<i32> = Vec::with_capacity(classes.len());
            for offset in 0..classes.len() {
                let mut pitch = octave * 12 + classes[(first + offset) % classes.len()];
                while pitches.last().is_some_and(|last| pitch <= *last) {
                    pitch += 12;
                }
                pitches.push(pitch);
            }
            let cost = voicing_cost(&pitches, before, centre);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, pitches));
            }
        }
    }
    best.map(|(_, pitches)| pitches).unwrap_or_default()
}

fn voicing_cost(pitches: &[i32], before: &[i32], centre: i32) -> i32 {
    let nearest = |pitch: &i32| before.iter().map(|other| (pitch - other).abs()).min().unwrap_or(0);
    let moved: i32 = pitches.iter().map(nearest).sum();
    let mean = pitches.iter().sum::<i32>() / pitches.len().max(1) as i32;
    // Semitones at the bottom of a voicing are mud.
    let mud = pitches.windows(2).filter(|pair| pair[1] - pair[0] == 1).count() as i32;
    moved * 2 + (mean - centre).abs() * 2 + mud * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_with_dominant_and_tonic() {
        for text in ["calm piano in d minor", "jazz in g major", "ambient", "epic trailer", "lo-fi"]
        {
            for duration_s in [3.0, 8.0, 20.0, 61.5] {
                let brief = Brief::from_words(text, 5);
                let (key, form) = (Key::of(&brief), Form::fit(&brief, duration_s));
                let spans = chords(&key, &form, 5);
                let [.., dominant, home] = &spans[..] else { panic!("two chords at least") };
                assert_eq!(home.chord.root, brief.tonic % 12, "{text}");
                assert_eq!((dominant.chord.root - home.chord.root).rem_euclid(12), 7, "{text}");
                assert_eq!(home.beat, form.beats());
            }
        }
    }

    #[test]
    fn voices_move_little() {
        let brief = Brief::from_words("calm piano in c major", 1);
        let key = Key::of(&brief);
        let mut before = voice(&key.chord(0), &[], 60);
        for step in [4, 5, 3, 1, 4, 0] {
            let now = voice(&key.chord(step), &before, 60);
            let far = now.iter().map(|p| before.iter().map(|b| (p - b).abs()).min().unwrap()).max();
            assert!(far.unwrap() <= 5, "{before:?} -> {now:?}");
            before = now;
        }
    }
}
