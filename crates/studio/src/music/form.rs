//! The form of a piece: how many bars, which sections, and when each beat sounds.
//!
//! Invariants: the sections follow each other without a gap from 0 to the duration asked for; the
//! last chord falls on the first beat of the outro's ring-out, and what rings out ends on time.

use super::brief::{Brief, Genre};

/// A section of the piece, in bars of the body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    /// Its name: `intro`, `A`, `B`, `A'`, …, `outro`.
    pub(crate) name: String,
    /// Which material it uses; sections of one letter share a melody.
    pub(crate) letter: char,
    /// How often the letter was heard before.
    pub(crate) repeat: usize,
    pub(crate) first_bar: usize,
    pub(crate) bars: usize,
    /// From 0 to 1: how many play, and how much they play.
    pub(crate) intensity: f32,
}

/// The plan in time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Form {
    pub(crate) sections: Vec<Section>,
    pub(crate) bars: usize,
    pub(crate) beats_per_bar: usize,
    pub(crate) duration_s: f64,
    beat_s: f64,
    /// How much longer the last two beats before the final chord take together.
    slowing_s: f64,
}

impl Form {
    /// The form that fits `duration_s` at about the tempo of the brief.
    pub(crate) fn fit(brief: &Brief, duration_s: f64) -> Self {
        let bar_s = brief.beats_per_bar as f64 * 60.0 / brief.tempo_bpm;
        let least_tail_s = (duration_s * 0.12).clamp(0.8, 2.2);
        let most_tail_s = (duration_s * 0.3).clamp(1.3, 5.5);
        let slows = !matches!(brief.genre, Genre::Electronic | Genre::LoFi | Genre::Upbeat);
        let guess = (duration_s - most_tail_s) / bar_s;
        let candidates = (guess.floor() as usize).max(1)..=(guess.ceil() as usize + 3).max(1);
        let fit = |bars: usize| {
            let body_s =
                (bars as f64 * bar_s).clamp(duration_s - most_tail_s, duration_s - least_tail_s);
            let bend = (body_s / (bars as f64 * bar_s)).ln().abs();
            // Phrases of four bars are worth a slightly different tempo.
            let odd = if bars.is_multiple_of(4) {
                0.0
            } else if bars.is_multiple_of(2) {
                0.02
            } else {
                0.05
            };
            (bend + odd / (1.0 + bars as f64 / 16.0), bars, body_s)
        };
        let best = candidates.map(fit).min_by(|one, other| one.0.total_cmp(&other.0));
        let (_, bars, body_s) = best.unwrap_or((0.0, 1, duration_s - least_tail_s));
        let beats = (bars * brief.beats_per_bar) as f64;
        let slowing_s = if slows && bars > 3 { 0.35 * body_s / beats } else { 0.0 };
        Self {
            sections: sections(bars),
            bars,
            beats_per_bar: brief.beats_per_bar,
            duration_s,
            beat_s: (body_s - slowing_s) / beats,
            slowing_s,
        }
    }

    /// Beats before the final chord.
    pub(crate) fn beats(&self) -> f64 {
        (self.bars * self.beats_per_bar) as f64
    }

    /// Seconds of a beat where nothing slows down.
    pub(crate) fn beat_s(&self) -> f64 {
        self.beat_s
    }

    /// When a beat sounds, in seconds. Beats after the final chord are as long as any.
    pub(crate) fn seconds(&self, beat: f64) -> f64 {
        let into_slowing = ((beat - (self.beats() - 2.0)) / 2.0).clamp(0.0, 1.0);
        beat * self.beat_s + self.slowing_s * into_slowing * into_slowing
    }

    /// Name, start and end of each section in seconds; the outro lasts to the end.
    pub(crate) fn times(&self) -> Vec<(String, f64, f64)> {
        let starts: Vec<f64> = self
            .sections
            .iter()
            .map(|section| self.seconds((section.first_bar * self.beats_per_bar) as f64))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([self.duration_s]);
        let named = self.sections.iter().map(|section| section.name.clone());
        named.zip(starts.iter().copied()).zip(ends).map(|((name, s), e)| (name, s, e)).collect()
    }
}

/// The letters of the sections between intro and outro.
fn letters(count: usize) -> Vec<char> {
    match count {
        1 => vec!['A'],
        2 => vec!['A', 'B'],
        3 => vec!['A', 'B', 'A'],
        4 => vec!['A', 'A', 'B', 'A'],
        _ => {
            // Verses and refrains, with a bridge every third time, home at the end.
            let cycle = ['A', 'B', 'A', 'C', 'B'];
            let mut letters: Vec<char> = cycle.iter().cycle().take(count).copied().collect();
            if let Some(last) = letters.last_mut() {
                *last = 'A';
            }
            letters
        }
    }
}

fn sections(bars: usize) -> Vec<Section> {
    let intro = match bars {
        0..=5 => 0,
        6..=9 => 1,
        10..=19 => 2,
        _ => 4,
    };
    let outro = match bars {
        0..=9 => 0,
        10..=19 => 2,
        _ => 4,
    };
    let middle = bars - intro - outro;
    let size = if middle <= 16 { 4 } else { 8 };
    let count = ((middle as f64 / size as f64).round() as usize).max(1);
    let letters = letters(count);
    let mut sections = Vec::new();
    let mut next_bar = 0;
    let mut push = |name: String, letter, repeat, bars, intensity| {
        sections.push(Section { name, letter, repeat, first_bar: next_bar, bars, intensity });
        next_bar += bars;
    };
    if intro > 0 {
        push("intro".into(), 'A', 0, intro, 0.42);
    }
    for (place, letter) in letters.iter().enumerate() {
        let repeat = letters.iter().take(place).filter(|other| *other == letter).count();
        // The last one takes what the sizes leave over.
        let length = if place + 1 == count { middle - size * (count - 1) } else { size };
        let along = (place + 1) as f32 / count as f32;
        let intensity = match letter {
            'A' => 0.55 + 0.35 * along,
            'B' => 0.7 + 0.3 * along,
            _ => 0.5,
        };
        push(format!("{letter}{}", "'".repeat(repeat)), *letter, repeat, length, intensity);
    }
    push("outro".into(), 'A', 1, outro, 0.4);
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_filled_without_a_gap() {
        for text in ["calm acoustic", "jazz waltz 140 bpm", "techno", "ambient 40 bpm"] {
            let brief = Brief::from_words(text, 3);
            for tenth in 30..900 {
                let form = Form::fit(&brief, f64::from(tenth) / 10.0);
                let times = form.times();
                assert_eq!(times[0].1, 0.0);
                assert_eq!(times.last().unwrap().2, form.duration_s);
                assert!(
                    times.windows(2).all(|pair| pair[0].2 == pair[1].1 && pair[0].1 < pair[0].2)
                );
                let tail_s = form.duration_s - form.seconds(form.beats());
                assert!((0.79..=5.6).contains(&tail_s), "{text} {tenth}: tail of {tail_s} s");
                let bend = 60.0 / form.beat_s() / brief.tempo_bpm;
                // A few seconds hold one bar of anything, however slow it was meant to be.
                let most = if tenth < 150 { 2.8 } else { 1.16 };
                assert!((1.0 / most..most).contains(&bend), "{text} {tenth}: {bend}");
            }
        }
    }
}
