//! When each character is said, and what that makes of sentences.

use serde_json::{Value as Json, json};

use super::wire::{Alignment, SocketAlignment};

/// What ends a sentence.
const ENDS: [&str; 5] = [".", "!", "?", "…", "\n"];

/// Adds the times of the next piece, which follow those that are there.
pub(super) fn extend(whole: &mut Alignment, next: Alignment) {
    whole.characters.extend(next.characters);
    whole.character_start_times_seconds.extend(next.character_start_times_seconds);
    whole.character_end_times_seconds.extend(next.character_end_times_seconds);
}

/// The times of a piece that came over a socket: they count from where the piece begins.
pub(super) fn of_socket(piece: SocketAlignment, begins_s: f64) -> Alignment {
    let at = |ms: u64| begins_s + ms as f64 / 1e3;
    let starts = &piece.char_start_times_ms;
    let ends = starts.iter().zip(&piece.char_durations_ms).map(|(start, long)| at(start + long));
    Alignment {
        character_end_times_seconds: ends.collect(),
        character_start_times_seconds: starts.iter().map(|start| at(*start)).collect(),
        characters: piece.chars,
    }
}

/// When each sentence is said: start and end in seconds, and text.
pub(super) fn cues(alignment: &Alignment) -> Vec<Json> {
    let (mut cues, mut text, mut begins, mut ends) = (Vec::new(), String::new(), None, 0.0);
    let times =
        alignment.character_start_times_seconds.iter().zip(&alignment.character_end_times_seconds);
    let mut characters = alignment.characters.iter().zip(times).peekable();
    while let Some((character, (start, end))) = characters.next() {
        if !character.trim().is_empty() && begins.is_none() {
            begins = Some(*start);
        }
        text.push_str(character);
        ends = f64::max(ends, *end);
        // Three dots are one end, and `3.5` has none.
        let goes_on = characters.peek().is_some_and(|(next, _)| !next.trim().is_empty());
        if (ENDS.contains(&character.as_str()) && !goes_on) || characters.peek().is_none() {
            let said = std::mem::take(&mut text);
            if let Some(begins) = begins.take() {
                cues.push(json!({ "start": begins, "end": ends, "text": said.trim() }));
            }
        }
    }
    cues
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alignment(text: &str) -> Alignment {
        let count = text.chars().count();
        Alignment {
            characters: text.chars().map(String::from).collect(),
            character_start_times_seconds: (0..count).map(|at| at as f64).collect(),
            character_end_times_seconds: (1..=count).map(|at| at as f64).collect(),
        }
    }

    fn check(text: &str, expected: &[Json]) {
        assert_eq!(cues(&alignment(text)), expected, "{text}");
    }

    #[test]
    fn sentences_are_told_by_their_ends() {
        check("", &[]);
        check(
            "Hi. It is 3.5!",
            &[
                json!({"start": 0.0, "end": 3.0, "text": "Hi."}),
                json!({"start": 4.0, "end": 14.0, "text": "It is 3.5!"}),
            ],
        );
        check(
            " So...\nyes",
            &[
                json!({"start": 1.0, "end": 6.0, "text": "So..."}),
                json!({"start": 7.0, "end": 10.0, "text": "yes"}),
            ],
        );
        let mut short = alignment("ab");
        short.character_end_times_seconds.pop();
        assert_eq!(cues(&short), [json!({"start": 0.0, "end": 1.0, "text": "a"})]);
    }
}
