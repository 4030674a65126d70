//! Speech, by a program that is installed beside us: sentence by sentence, so that every caption
//! knows when it is said.
//!
//! The program speaks by rule and sounds like it; what comes out is made milder, not human.
//! While it is spoken, the raw voice is told to whoever listens.
//! Invariants: the cues follow each other, do not overlap, and lie inside the sound; the same input
//! gives the same samples.

mod live;
mod polish;
mod program;
mod script;

use impasto_domain::{Error, Operation, Result, Value, Values, Workbench};
use impasto_media::Sound;

use crate::filter::SAMPLE_RATE;
use live::Live;

/// The operations of this family.
pub(crate) const OPERATIONS: &[Operation] = &[Operation { name: "speak", run: speak }];

/// Voices by the names of ours, and how the program names the variant.
const VOICES: &[(&str, &str)] = &[
    ("default", "+f2"),
    ("female", "+f3"),
    ("female-low", "+f4"),
    ("female-soft", "+f5"),
    ("male", "+m3"),
    ("male-deep", "+m7"),
    ("male-light", "+m1"),
    ("plain", ""),
    ("whisper", "+whisper"),
];

/// Languages that the program knows under another code.
const LANGUAGE_NAMES: &[(&str, &str)] =
    &[("en", "en-us"), ("fr", "fr-fr"), ("no", "nb"), ("zh", "cmn")];

/// Seconds before the first and after the last word.
const LEAD_S: f64 = 0.04;
const TAIL_S: f64 = 0.25;

/// How to speak, checked.
struct Manner {
    /// Language and variant, both from closed lists.
    voice: String,
    words_per_minute: String,
    pitch: String,
    speed: f64,
}

/// When something is said.
#[derive(Clone, Debug, PartialEq)]
struct Cue {
    start_s: f64,
    end_s: f64,
    text: String,
}

fn speak(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let text = input.get("text").and_then(Value::as_text).unwrap_or_default();
    let sentences = script::sentences(text);
    if sentences.is_empty() {
        return Err(Error::invalid("`text` holds nothing that can be said")
            .hint("give at least one word or number"));
    }
    let manner = Manner::of(input, bench)?;
    let (sound, cues) = read_aloud(&sentences, &manner, bench)?;
    let audio = sound.write(bench)?;
    bench.progress(1.0, "done");
    let cues = cues.into_iter().map(|cue| {
        Value::from(Values::from([
            ("start".to_owned(), Value::from(thousandths(cue.start_s))),
            ("end".to_owned(), Value::from(thousandths(cue.end_s))),
            ("text".to_owned(), Value::from(cue.text)),
        ]))
    });
    Ok(Values::from([
        ("audio".to_owned(), Value::from(audio)),
        ("cues".to_owned(), Value::from(cues.collect::<Vec<_>>())),
    ]))
}

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

impl Manner {
    fn of(input: &Values, bench: &dyn Workbench) -> Result<Self> {
        let text =
            |name: &str, default| input.get(name).and_then(Value::as_text).unwrap_or(default);
        let voice = text("voice", "default");
        let Some((_, variant)) = VOICES.iter().find(|(name, _)| *name == voice) else {
            let names: Vec<&str> = VOICES.iter().map(|(name, _)| *name).collect();
            return Err(Error::invalid(format!("`voice` is '{voice}', which is not a voice"))
                .hint(format!("use one of {}", names.join(", "))));
        };
        let factor = |name: &str| -> Result<f64> {
            let factor = input.get(name).and_then(Value::as_number).unwrap_or(1.0);
            if (0.5..=2.0).contains(&factor) {
                return Ok(factor);
            }
            Err(Error::invalid(format!("`{name}` is {factor}; it can be 0.5 to 2")))
        };
        let (speed, pitch) = (factor("speed")?, factor("pitch")?);
        let language = language(text("language", "en"), program::languages(bench)?)?;
        Ok(Self {
            voice: format!("{language}{variant}"),
            words_per_minute: format!("{:.0}", 158.0 * speed),
            pitch: format!("{:.0}", (48.0 + 38.0 * pitch.log2()).clamp(0.0, 99.0)),
            speed,
        })
    }

    /// The sentence as samples at our rate, without silence around it.
    fn say(&self, text: &str, live: &Live<'_>, bench: &dyn Workbench) -> Result<Vec<f32>> {
        let arguments = [
            "--stdin",
            "--stdout",
            "-z",
            "-b",
            "1",
            "-g",
            "1",
            "-v",
            &self.voice,
            "-s",
            &self.words_per_minute,
            "-p",
            &self.pitch,
        ];
        live.begin();
        let bytes = program::run(&arguments, text, bench, &|piece| live.hear(piece))?;
        let (rate, samples) = polish::decode(&bytes)?;
        Ok(polish::resample(polish::trim(&samples, rate), rate))
    }
}

/// The program's code for a language of the caller's.
fn language(asked: &str, known: &[String]) -> Result<String> {
    let code = asked.trim().to_lowercase().replace('_', "-");
    let named = LANGUAGE_NAMES.iter().find(|(name, _)| *name == code).map(|(_, theirs)| *theirs);
    let short = code.split('-').next().unwrap_or_default();
    let candidates = [named.unwrap_or(&code), &code, short];
    let found = candidates.iter().find(|wanted| known.iter().any(|code| code == *wanted));
    found.map(|found| (*found).to_owned()).ok_or_else(|| {
        let own: Vec<&str> = known.iter().map(String::as_str).filter(|c| c.len() <= 3).collect();
        Error::invalid(format!("`language` is '{asked}', which no installed voice speaks"))
            .hint(format!("use one of {}", own.join(", ")))
    })
}

fn read_aloud(
    sentences: &[script::Sentence],
    manner: &Manner,
    bench: &dyn Workbench,
) -> Result<(Sound, Vec<Cue>)> {
    let rate = f64::from(SAMPLE_RATE);
    let samples_in = |seconds: f64| (seconds * rate).round() as usize;
    let mut samples = vec![0.0_f32; samples_in(LEAD_S)];
    let mut cues = Vec::new();
    let live = Live::new(bench);
    for (place, sentence) in sentences.iter().enumerate() {
        bench.check_cancelled()?;
        bench.progress(0.9 * place as f64 / sentences.len() as f64, "speaking");
        let said = manner.say(&sentence.text, &live, bench)?;
        // What the program cannot pronounce leaves nothing, and a cue for nothing would be wrong.
        if said.is_empty() {
            continue;
        }
        let start = samples.len();
        samples.extend_from_slice(&said);
        cues.extend(cues_of(&sentence.text, &said, start));
        let pause_s = sentence.pause_s / manner.speed;
        samples.resize(samples.len() + samples_in(pause_s), 0.0);
        live.pause(pause_s);
    }
    if cues.is_empty() {
        return Err(Error::invalid("nothing of `text` can be pronounced in this language")
            .hint("set `language` to that of the text"));
    }
    let end = cues.last().map_or(0.0, |cue: &Cue| cue.end_s) + TAIL_S;
    samples.resize(samples_in(end), 0.0);
    bench.check_cancelled()?;
    polish::polish(&mut samples);
    Ok((Sound { sample_rate: SAMPLE_RATE, channels: vec![samples] }, cues))
}

/// The cues of a sentence that begins at sample `start`.
fn cues_of(text: &str, said: &[f32], start: usize) -> Vec<Cue> {
    let rate = f64::from(SAMPLE_RATE);
    let pieces = script::pieces(text);
    let whole: usize = pieces.iter().map(|piece| piece.chars().count()).sum();
    let gaps = gaps(said);
    let (mut spoken, mut from) = (0, 0_usize);
    let mut cues = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        spoken += piece.chars().count();
        let guess = said.len() * spoken / whole.max(1);
        let (end, next) = if place + 1 == pieces.len() {
            (said.len(), said.len())
        } else {
            // The voice breathes at commas: the nearest breath is where the piece ends.
            let reach = SAMPLE_RATE as usize * 6 / 10;
            let near = gaps.iter().filter(|(begin, end)| {
                *begin > from + reach / 3 && (begin + end) / 2 < said.len() - reach / 4
            });
            let nearest = near.min_by_key(|(begin, end)| ((begin + end) / 2).abs_diff(guess));
            let close = nearest.filter(|(begin, end)| ((begin + end) / 2).abs_diff(guess) < reach);
            close.copied().unwrap_or((guess.max(from), guess.max(from)))
        };
        cues.push(Cue {
            start_s: (start + from) as f64 / rate,
            end_s: (start + end) as f64 / rate,
            text: piece.clone(),
        });
        from = next;
    }
    cues
}

/// Where the voice is silent for at least 50 ms: first sample, and the one after the last.
fn gaps(said: &[f32]) -> Vec<(usize, usize)> {
    const BLOCK: usize = 240;
    let mut gaps = Vec::new();
    let mut began = None;
    for (place, block) in said.chunks(BLOCK).enumerate() {
        let silent = block.iter().all(|sample| sample.abs() < 0.012);
        match (silent, began) {
            (true, None) => began = Some(place),
            (false, Some(first)) => {
                if place - first >= 10 {
                    gaps.push((first * BLOCK, place * BLOCK));
                }
                began = None;
            }
            _ => {}
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_domain::{Bench, ErrorKind};

    fn input(json: serde_json::Value) -> Values {
        serde_json::from_value(json).unwrap()
    }

    /// Whether the program is there; says so where it is not.
    fn can_speak() -> bool {
        let there = program::languages(&Bench::default()).is_ok();
        if !there {
            println!("skipped: the speech program is not installed");
        }
        there
    }

    fn say(json: serde_json::Value) -> (Sound, Vec<Cue>) {
        let bench = Bench::default();
        let output = speak(&input(json), &bench).unwrap();
        let sound = Sound::read(&bench, output["audio"].as_asset().unwrap()).unwrap();
        let cues = output["cues"].as_list().unwrap().iter().map(|cue| {
            let cue = cue.as_map().unwrap();
            Cue {
                start_s: cue["start"].as_number().unwrap(),
                end_s: cue["end"].as_number().unwrap(),
                text: cue["text"].as_text().unwrap().to_owned(),
            }
        });
        (sound, cues.collect())
    }

    #[test]
    fn cues_follow_the_voice() {
        if !can_speak() {
            return;
        }
        let text = "A small blue mug. Made by hand, one at a time, in a quiet workshop by the sea, \
                    where the light comes in from the north. Take a seat.";
        let (sound, cues) = say(serde_json::json!({"text": text}));
        assert_eq!((sound.sample_rate, sound.channels.len()), (48_000, 1));
        assert!(cues.len() >= 4, "{cues:?}");
        assert!(cues.iter().all(|cue| cue.start_s < cue.end_s && cue.text.chars().count() <= 60));
        assert!(cues.windows(2).all(|pair| pair[0].end_s <= pair[1].start_s), "{cues:?}");
        assert!(cues[0].start_s >= 0.0 && cues.last().unwrap().end_s <= sound.duration_s());
        let power = |from: f64, to: f64| {
            let part = &sound.channels[0][(from * 48e3) as usize..(to * 48e3) as usize];
            (part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32).sqrt()
        };
        for cue in &cues {
            assert!(power(cue.start_s, cue.end_s) > 0.03, "silence in {cue:?}");
        }
        // Between the sentences there is a pause.
        assert!(power(cues[0].end_s + 0.2, cues[1].start_s - 0.05) < 0.01);
        let joined = cues.iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, text.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn the_same_text_sounds_the_same_and_speed_counts() {
        if !can_speak() {
            return;
        }
        let text = "The same words, said again.";
        let (one, _) = say(serde_json::json!({"text": text, "voice": "male"}));
        let (same, _) = say(serde_json::json!({"text": text, "voice": "male"}));
        let (slow, _) = say(serde_json::json!({"text": text, "voice": "male", "speed": 0.6}));
        let (high, _) = say(serde_json::json!({"text": text, "voice": "male", "pitch": 1.8}));
        assert_eq!(one, same);
        assert!(slow.duration_s() > 1.3 * one.duration_s());
        assert_ne!(one.channels, high.channels);
        let peak = one.channels[0].iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!((0.2..0.71).contains(&peak), "{peak}");
    }

    #[test]
    fn who_listens_hears_it_early_and_gets_the_same() {
        if !can_speak() {
            return;
        }
        let input = input(serde_json::json!({"text": "This is said first. And this comes later."}));
        let (quiet, listener) = (Bench::default(), crate::listener::Listener::default());
        let expected = speak(&input, &quiet).unwrap();
        assert_eq!(speak(&input, &listener).unwrap(), expected, "the output is the same");
        let pieces = listener.news().len();
        assert!(pieces > 4, "it comes in {pieces} pieces, the first one long before the last");
        let (format, bytes) = listener.sound("audio").unwrap();
        let heard_s = bytes.len() as f64 / 2.0 / f64::from(format.sample_rate_hz);
        let sound = Sound::read(&quiet, expected["audio"].as_asset().unwrap()).unwrap();
        assert!((heard_s - sound.duration_s()).abs() < 0.6, "{heard_s}");
        let loud = |pair: &[u8; 2]| i16::from_le_bytes(*pair).unsigned_abs() > 2_000;
        assert!(bytes.as_chunks::<2>().0.iter().any(loud), "it can be heard");
    }

    #[test]
    fn hostile_text_is_only_text() {
        if !can_speak() {
            return;
        }
        for text in ["-w pwned.wav; $(reboot) `id` --version", "<speak>&amp;[[@]]\u{0}\u{1b}[2J hi"]
        {
            assert!(say(serde_json::json!({"text": text})).0.duration_s() > 0.5);
        }
    }

    #[test]
    fn what_cannot_be_said_is_explained() {
        let check = |json: serde_json::Value, part: &str| {
            let error = speak(&input(json), &Bench::default()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput);
            assert!(error.to_string().contains(part), "{error}");
        };
        check(serde_json::json!({"text": "…"}), "nothing that can be said");
        check(serde_json::json!({"text": "hi", "voice": "Bob"}), "female-low");
        check(serde_json::json!({"text": "hi", "speed": 9}), "`speed` is 9");
        if can_speak() {
            check(serde_json::json!({"text": "hi", "language": "xx"}), "use one of af, am");
        }
    }

    #[test]
    fn languages_are_found_under_their_usual_names() {
        let known = ["cmn", "de", "en-us", "fr-fr", "nb"].map(str::to_owned);
        for (asked, found) in
            [("en", "en-us"), ("de_AT", "de"), ("ZH", "cmn"), ("no", "nb"), ("fr", "fr-fr")]
        {
            assert_eq!(language(asked, &known).unwrap(), found);
        }
        assert!(language("; rm", &known).is_err());
    }
}
