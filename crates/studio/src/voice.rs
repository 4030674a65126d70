//! The voice: espeak-ng, a program of its own (it is under the GPL and never linked), sentence by
//! sentence, so that it is known when each is said.
//!
//! Invariants
//! - The text goes through standard input, never through the command line.
//! - The child gets an empty environment but for the search path, a time limit, and a limit on what
//!   it may say; it is killed when either is passed or when the call is cancelled.
//! - The same text and voice give the same bytes.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use impasto_domain::{Error, ErrorKind, Operation, Result, Value, Values, Workbench};
use impasto_media::Sound;

/// The models of this family, by the endpoint under which the catalogue names them.
pub(crate) const OPERATIONS: &[Operation] = &[Operation { name: "speak", run: speak }];

/// The program that speaks.
const PROGRAM: &str = "espeak-ng";
/// How long one sentence may take.
const TIME_MAX: Duration = Duration::from_secs(20);
/// The most that is read of one sentence, in bytes: about six minutes.
const BYTES_MAX: u64 = 16_000_000;
/// The longest cue, in characters.
const CUE_CHARS_MAX: usize = 60;
/// The pause after a sentence, in seconds.
const PAUSE_S: f64 = 0.42;
/// The pause between the parts of a long sentence, in seconds.
const BREATH_S: f64 = 0.12;
/// Words a minute at the normal speed.
const WORDS_PER_MINUTE: f64 = 158.0;
/// Below this a sample counts as silence.
const SILENCE: f32 = 0.004;

/// Voices by name: the variant of the language's voice.
const VOICES: &[(&str, &str)] = &[("default", ""), ("female", "+f3"), ("male", "+m3"), ("whisper", "+whisper")];
/// Languages that the program calls by another name.
const LANGUAGES: &[(&str, &str)] = &[("en", "en-gb"), ("zh", "cmn"), ("pt", "pt-br")];

/// Who speaks, and how.
struct Speaker {
    voice: String,
    words_per_minute: u32,
    pitch: u32,
}

/// Says a text: the sound, and when each part is said.
fn speak(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let text = input.get("text").and_then(Value::as_text).unwrap_or_default();
    let parts = parts(text);
    if parts.is_empty() {
        return Err(Error::invalid("`text` says nothing that can be spoken").hint("write at least one word"));
    }
    let speaker = Speaker::of(input)?;
    let mut samples: Vec<f32> = Vec::new();
    let mut cues = Vec::new();
    let mut sample_rate = 0;
    for (place, part) in parts.iter().enumerate() {
        bench.check_cancelled()?;
        bench.progress(place as f64 / parts.len() as f64, &part.text);
        let said = speaker.say(&part.text, bench)?;
        sample_rate = said.sample_rate;
        let rate = f64::from(sample_rate.max(1));
        let start = samples.len() as f64 / rate;
        samples.extend(trimmed(said.channels.first().map(Vec::as_slice).unwrap_or_default()));
        cues.push(cue(start, samples.len() as f64 / rate, &part.text));
        let pause = if part.ends { PAUSE_S } else { BREATH_S };
        if place + 1 < parts.len() {
            samples.extend(std::iter::repeat_n(0.0, (pause * rate) as usize));
        }
    }
    soften(&mut samples, sample_rate);
    let audio = Sound { sample_rate, channels: vec![samples] }.write(bench)?;
    Ok(Values::from([("audio".to_owned(), audio.into()), ("cues".to_owned(), Value::List(cues))]))
}

fn cue(start: f64, end: f64, text: &str) -> Value {
    let to_ms = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
    Value::Map(Values::from([
        ("start".to_owned(), Value::from(to_ms(start))),
        ("end".to_owned(), Value::from(to_ms(end))),
        ("text".to_owned(), Value::from(text)),
    ]))
}

/// A part of a text that is said in one breath and shown as one cue.
#[derive(Debug, PartialEq)]
struct Part {
    text: String,
    /// Whether a sentence ends with it.
    ends: bool,
}

/// Sentences, long ones split at commas, then at words.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for sentence in sentences(text) {
        let mut line = String::new();
        for word in sentence.split_whitespace() {
            let length = line.chars().count() + 1 + word.chars().count();
            let pauses = line.ends_with([',', ';', ':']) && line.chars().count() * 2 > CUE_CHARS_MAX;
            if !line.is_empty() && (length > CUE_CHARS_MAX || pauses) {
                parts.push(Part { text: std::mem::take(&mut line), ends: false });
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if line.contains(char::is_alphanumeric) {
            parts.push(Part { text: line, ends: true });
        }
    }
    parts
}

fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        sentence.push(letter);
        let ends = matches!(letter, '.' | '!' | '?' | '…' | '。' | '\n');
        if ends && letters.peek().is_none_or(|next| next.is_whitespace() || letter == '\n' || letter == '。') {
            sentences.push(std::mem::take(&mut sentence));
        }
    }
    sentences.push(sentence);
    sentences.retain(|sentence| sentence.contains(char::is_alphanumeric));
    sentences
}

impl Speaker {
    fn of(input: &Values) -> Result<Self> {
        let text = |name: &str, usual: &'static str| {
            input.get(name).and_then(Value::as_text).unwrap_or(usual).to_owned()
        };
        let number = |name: &str| input.get(name).and_then(Value::as_number).unwrap_or(1.0);
        let (voice, language) = (text("voice", "default"), text("language", "en"));
        let Some((_, variant)) = VOICES.iter().find(|(name, _)| *name == voice) else {
            let known: Vec<&str> = VOICES.iter().map(|(name, _)| *name).collect();
            return Err(Error::invalid(format!("there is no voice '{voice}'"))
                .hint(format!("the voices are {}", known.join(", "))));
        };
        if language.is_empty() || !language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            let error = Error::invalid(format!("'{language}' is not the code of a language"));
            return Err(error.hint("write an ISO 639-1 code, such as en or de"));
        }
        let named = LANGUAGES.iter().find(|(code, _)| *code == language).map(|(_, name)| *name);
        Ok(Self {
            voice: format!("{}{variant}", named.unwrap_or(&language)),
            words_per_minute: (WORDS_PER_MINUTE * number("speed")).round().clamp(80.0, 450.0) as u32,
            pitch: (44.0 * number("pitch")).round().clamp(0.0, 99.0) as u32,
        })
    }

    fn say(&self, text: &str, bench: &dyn Workbench) -> Result<Sound> {
        let mut child = self.start()?;
        let fed = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = std::thread::spawn(move || read_some(stdout));
        let complaints = std::thread::spawn(move || read_some(stderr));
        let status = wait(&mut child, bench)?;
        let (wav, said) = (reading.join().unwrap_or_default(), complaints.join().unwrap_or_default());
        let said = String::from_utf8_lossy(&said).into_owned();
        if !status.success() || said.contains("does not exist") || fed.is_some_and(|fed| fed.is_err()) {
            let message = format!("{PROGRAM} cannot speak with the voice '{}': {}", self.voice, said.trim());
            return Err(Error::invalid(message).hint(format!("`{PROGRAM} --voices` lists its languages")));
        }
        Sound::from_wav(&whole_wav(wav))
    }

    fn start(&self) -> Result<Child> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new(PROGRAM);
        command.args(["-v", &self.voice, "-s", &self.words_per_minute.to_string(), "-p", &self.pitch.to_string()]);
        command.args(["-z", "-b", "1", "--stdin", "--stdout"]).env_clear().env("PATH", path);
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::unavailable(format!("the program {PROGRAM} is not on this machine"))
                .hint(format!("install it: apt-get install {PROGRAM}")),
            _ => Error::unavailable(format!("{PROGRAM} cannot be started: {error}")),
        })
    }
}

fn read_some(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _cut_short = stream.map(|stream| stream.take(BYTES_MAX).read_to_end(&mut bytes));
    bytes
}

/// Waits for the child, not longer than it may take.
fn wait(child: &mut Child, bench: &dyn Workbench) -> Result<std::process::ExitStatus> {
    let began = Instant::now();
    loop {
        let ended = child.try_wait().map_err(|error| Error::internal(format!("{PROGRAM}: {error}")))?;
        if let Some(status) = ended {
            return Ok(status);
        }
        let late = began.elapsed() > TIME_MAX;
        if late || bench.cancelled() {
            let _gone = child.kill().and_then(|()| child.wait());
            let error = Error::new(ErrorKind::Timeout, format!("{PROGRAM} did not end in time")).retryable();
            return Err(if late { error } else { Error::cancelled() });
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A WAV file written to a pipe does not know its length; this writes it in.
fn whole_wav(mut wav: Vec<u8>) -> Vec<u8> {
    const HEADER: usize = 44;
    if let Ok(length) = u32::try_from(wav.len().saturating_sub(HEADER))
        && wav.len() > HEADER
    {
        let even = length - length % 2;
        wav.truncate(HEADER + even as usize);
        for (at, number) in [(4, even + 36), (40, even)] {
            if let Some(slot) = wav.get_mut(at..at + 4) {
                slot.copy_from_slice(&number.to_le_bytes());
            }
        }
    }
    wav
}

/// The samples without the silence around them.
fn trimmed(samples: &[f32]) -> &[f32] {
    let loud = |sample: &f32| sample.abs() > SILENCE;
    let first = samples.iter().position(loud).unwrap_or(0);
    let last = samples.iter().rposition(loud).map_or(samples.len(), |last| last + 1);
    samples.get(first..last).unwrap_or(samples)
}

/// Takes the edge off: a gentle low-pass above the voice, and loud parts held back a little.
fn soften(samples: &mut [f32], sample_rate: u32) {
    let cutoff_hz = 5_500.0_f32;
    let share = 1.0 - (-std::f32::consts::TAU * cutoff_hz / sample_rate.max(1) as f32).exp();
    let mut smooth = 0.0;
    let mut peak = 1e-6_f32;
    for sample in samples.iter_mut() {
        smooth += share * (*sample - smooth);
        *sample = (1.4 * smooth).tanh();
        peak = peak.max(sample.abs());
    }
    samples.iter_mut().for_each(|sample| *sample *= 0.7 / peak);
}

#[cfg(test)]
mod tests {
    use impasto_domain::Bench;

    use super::*;

    #[test]
    fn a_text_is_split_where_one_breathes() {
        let said: Vec<(String, bool)> =
            parts("Good mornings. Version 2.5 is here!\n…").into_iter().map(|part| (part.text, part.ends)).collect();
        assert_eq!(said, [("Good mornings.".to_owned(), true), ("Version 2.5 is here!".to_owned(), true)]);
        let long = "word ".repeat(40);
        let long = parts(&long);
        assert!(long.len() > 2 && long.iter().all(|part| part.text.chars().count() <= CUE_CHARS_MAX));
        assert_eq!(long.iter().filter(|part| part.ends).count(), 1);
    }

    fn call(text: &str, language: &str) -> Result<Values> {
        let input = Values::from([
            ("text".to_owned(), Value::from(text)),
            ("language".to_owned(), Value::from(language)),
        ]);
        speak(&input, &Bench::default())
    }

    #[test]
    fn cues_follow_each_other_inside_the_sound() {
        let spoken = match call("Good morning. Take a seat, and take your time.", "en") {
            Err(error) if error.kind == ErrorKind::Unavailable => {
                println!("skipped: {error}");
                return;
            }
            spoken => spoken.unwrap(),
        };
        let duration_ms = spoken["audio"].as_asset().unwrap().facts.duration_ms.unwrap() as f64;
        let mut last = 0.0;
        for cue in spoken["cues"].as_list().unwrap() {
            let time = |name: &str| cue.as_map().unwrap()[name].as_number().unwrap();
            assert!(time("start") >= last && time("end") > time("start"), "{cue:?}");
            last = time("end");
        }
        assert!(last * 1000.0 <= duration_ms + 1.0 && duration_ms > 1500.0);
        assert_eq!(spoken, call("Good morning. Take a seat, and take your time.", "en").unwrap());
        let error = call("Hello.", "xx").unwrap_err();
        assert!(error.kind == ErrorKind::InvalidInput && error.hint.is_some(), "{error}");
        assert!(call("…", "en").is_err());
    }
}
