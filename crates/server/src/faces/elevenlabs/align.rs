//! When each character is said, from when each sentence is.
//!
//! Models tell the times of sentences, at best. Within a sentence the characters share its time evenly:
//! good enough to highlight words, and no better than that.

use impasto_dialects::elevenlabs::wire::{Alignment, SocketAlignment};
use impasto_domain::{Value, Values};

/// A stretch of text and its time, in seconds.
struct Cue<'v> {
    start: f64,
    end: f64,
    text: &'v str,
}

fn cues(outputs: &Values) -> Vec<Cue<'_>> {
    let cues = outputs.get("cues").and_then(Value::as_list).unwrap_or_default();
    let cue = |cue| {
        let cue = Value::as_map(cue)?;
        let number = |name: &str| cue.get(name).and_then(Value::as_number);
        let text = cue.get("text").and_then(Value::as_text)?;
        Some(Cue { start: number("start")?, end: number("end")?, text })
    };
    cues.iter().filter_map(cue).collect()
}

/// The times of the characters of `text`. Where nothing is known, they share the whole time.
pub(super) fn characters(text: &str, outputs: &Values, duration_s: f64) -> Alignment {
    let mut alignment = Alignment::default();
    let (mut rest, mut now) = (text, 0.0);
    for cue in cues(outputs) {
        let said = cue.text.trim();
        let Some(at) = rest.find(said).filter(|_| !said.is_empty()) else { continue };
        let (before, from) = rest.split_at(at);
        let (own, after) = from.split_at(said.len());
        spread(&mut alignment, before, now, cue.start.max(now));
        spread(&mut alignment, own, cue.start.max(now), cue.end.max(now));
        (rest, now) = (after, cue.end.max(now));
    }
    let end = if alignment.characters.is_empty() { duration_s } else { now };
    spread(&mut alignment, rest, now, end);
    alignment
}

/// Characters that share a time evenly.
fn spread(alignment: &mut Alignment, text: &str, start: f64, end: f64) {
    let each = (end - start).max(0.0) / text.chars().count().max(1) as f64;
    let thousandths = |seconds: f64| (seconds * 1e3).round() / 1e3;
    for (place, character) in text.chars().enumerate() {
        let begins = start + each * place as f64;
        alignment.characters.push(character.to_string());
        alignment.character_start_times_seconds.push(thousandths(begins));
        alignment.character_end_times_seconds.push(thousandths(begins + each));
    }
}

/// The same as it is told over the socket.
pub(super) fn for_socket(alignment: &Alignment) -> SocketAlignment {
    let ms = |seconds: &f64| (seconds * 1e3).round() as u64;
    let starts = &alignment.character_start_times_seconds;
    let ends = &alignment.character_end_times_seconds;
    SocketAlignment {
        chars: alignment.characters.clone(),
        char_start_times_ms: starts.iter().map(ms).collect(),
        char_durations_ms: starts.iter().zip(ends).map(|(start, end)| ms(&(end - start))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(cues: &[(f64, f64, &str)]) -> Values {
        let cue = |(start, end, text): &(f64, f64, &str)| {
            let cue = serde_json::json!({"start": start, "end": end, "text": text});
            Value::from_json(cue).unwrap()
        };
        let cues: Vec<Value> = cues.iter().map(cue).collect();
        Values::from([("cues".to_owned(), Value::from(cues))])
    }

    fn check(text: &str, known: &[(f64, f64, &str)], starts: &[f64], end: f64) {
        let got = characters(text, &outputs(known), 2.0);
        assert_eq!(got.characters.concat(), text);
        assert_eq!(got.character_start_times_seconds, starts, "{text}");
        assert_eq!(got.character_end_times_seconds.last().copied(), Some(end), "{text}");
    }

    #[test]
    fn every_character_has_its_time() {
        check("ab cd", &[(0.0, 1.0, "ab"), (1.5, 2.0, "cd")], &[0.0, 0.5, 1.0, 1.5, 1.75], 2.0);
        check("abcd", &[], &[0.0, 0.5, 1.0, 1.5], 2.0);
        check("ab", &[(0.0, 1.0, "other")], &[0.0, 1.0], 2.0);
        check("é.", &[(0.5, 1.5, "é.")], &[0.5, 1.0], 1.5);
    }
}
