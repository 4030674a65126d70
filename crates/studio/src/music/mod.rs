//! Music by our own hand: words to a brief, a brief to a form, a form to notes, notes to sound.
//!
//! Invariants: the same words, duration and seed give the same samples; a piece is exactly as long
//! as it was asked to be, and closes with a cadence. No samples and no weights: everything is
//! computed.

mod brief;
mod form;
mod harmony;
mod instrument;
mod melody;
mod mix;
mod partials;
mod parts;
mod percussion;
mod string;
mod wave;

use impasto_domain::{Error, Operation, Result, Value, Values, Workbench};
use impasto_media::Sound;

pub(crate) use crate::filter::SAMPLE_RATE;
use crate::noise::hash_text;
use brief::Brief;
use form::Form;

/// The operations of this family.
pub(crate) const OPERATIONS: &[Operation] = &[Operation { name: "compose", run: compose }];

/// The shortest and the longest piece, in seconds.
const SHORTEST_S: f64 = 3.0;
const LONGEST_S: f64 = 600.0;

fn compose(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let words = words_of(input.get("prompt").unwrap_or(&Value::Null));
    if words.trim().is_empty() {
        return Err(Error::invalid("`prompt` is empty").hint("say what the music should be like"));
    }
    let duration_s = input.get("duration").and_then(Value::as_number).unwrap_or(20.0);
    if !(SHORTEST_S..=LONGEST_S).contains(&duration_s) {
        let message =
            format!("`duration` is {duration_s} s; it can be {SHORTEST_S} to {LONGEST_S} s");
        return Err(Error::invalid(message));
    }
    // Where no seed is given, the words are the seed.
    let seed = input.get("seed").and_then(Value::as_integer).unwrap_or(0) as u64;
    let (sound, form) = piece(&words, duration_s, seed, bench)?;
    let audio = sound.write(bench)?;
    bench.progress(1.0, "done");
    let sections = form.times().into_iter().map(|(name, start_s, end_s)| {
        Value::from(Values::from([
            ("name".to_owned(), Value::from(name)),
            ("start".to_owned(), Value::from(thousandths(start_s))),
            ("end".to_owned(), Value::from(thousandths(end_s))),
        ]))
    });
    Ok(Values::from([
        ("audio".to_owned(), Value::from(audio)),
        ("sections".to_owned(), Value::from(sections.collect::<Vec<_>>())),
    ]))
}

/// The piece that the words ask for.
fn piece(words: &str, duration_s: f64, seed: u64, bench: &dyn Workbench) -> Result<(Sound, Form)> {
    let brief = Brief::from_words(words, seed);
    let form = Form::fit(&brief, duration_s);
    let seed = seed ^ hash_text(words);
    let notes = parts::write_score(&brief, &form, seed);
    let channels = mix::mix(&brief, &form, &notes, seed, bench)?;
    Ok((Sound { sample_rate: SAMPLE_RATE, channels: channels.into() }, form))
}

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// All words of a prompt, whether it is a text or a map of parts.
fn words_of(prompt: &Value) -> String {
    match prompt {
        Value::Text(text) => text.clone(),
        Value::List(items) => items.iter().map(words_of).collect::<Vec<_>>().join(", "),
        // What is not wanted must not be heard.
        Value::Map(parts) => parts
            .iter()
            .filter(|(name, _)| !name.starts_with("negative"))
            .map(|(_, part)| words_of(part))
            .collect::<Vec<_>>()
            .join(", "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
