//! What is done at the other end: pictures, sounds and words, with everything that there is to tell on
//! the way, as the words of the prompt say.
//!
//! - `gate NAME …` waits after its first news until the test opens that gate, or until it is cancelled.
//! - `fail KIND …` fails with an error of that kind, `break KIND …` does so after its first news.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use impasto_domain::{
    Error, ErrorKind, MediaFacts, News, Operation, Result, SoundFormat, Value, Values, Workbench,
};
use impasto_media::Picture;

/// Operations by the endpoints of `there`.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation { name: "show", run: show },
        Operation { name: "say", run: say },
        Operation { name: "hear", run: hear },
    ]
}

pub(crate) const RATE_HZ: u32 = 24_000;
/// Pieces of a sound, and the samples of each.
const PIECES: usize = 4;
const PIECE_SAMPLES: usize = 2_400;
/// The longest that a gate is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

static OPEN: (Mutex<BTreeSet<String>>, Condvar) = (Mutex::new(BTreeSet::new()), Condvar::new());
static REACHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Lets those pass who wait at this gate.
pub(crate) fn open(gate: &str) {
    OPEN.0.lock().unwrap().insert(gate.to_owned());
    OPEN.1.notify_all();
}

/// Whether somebody has come to this gate.
pub(crate) fn is_reached(gate: &str) -> bool {
    REACHED.lock().unwrap().contains(gate)
}

/// The words of an input that say what happens.
fn words(input: &Values) -> String {
    let said = ["prompt", "text"].iter().find_map(|name| input.get(*name)?.as_text());
    said.unwrap_or_default().to_owned()
}

/// Does what the words say before there are any news.
fn begin(words: &str) -> Result<()> {
    fail("fail", words)
}

/// Does what the words say once there are some, and before there is a result.
fn obey(words: &str, bench: &dyn Workbench) -> Result<()> {
    let mut parts = words.split_whitespace();
    match (parts.next(), parts.next()) {
        (Some("gate"), Some(gate)) => wait_at(gate, bench),
        _ => fail("break", words),
    }
}

fn fail(wish: &str, words: &str) -> Result<()> {
    let mut parts = words.split_whitespace();
    match (parts.next(), parts.next()) {
        (Some(word), Some(kind)) if word == wish => {
            let kind = ErrorKind::parse(kind).unwrap_or(ErrorKind::ProviderFailed);
            Err(Error::new(kind, format!("it ended with {kind}")))
        }
        _ => Ok(()),
    }
}

fn wait_at(gate: &str, bench: &dyn Workbench) -> Result<()> {
    REACHED.lock().unwrap().insert(gate.to_owned());
    let began = Instant::now();
    let mut open = OPEN.0.lock().unwrap();
    while !open.contains(gate) {
        bench.check_cancelled()?;
        assert!(began.elapsed() < PATIENCE, "nobody opened {gate}");
        open = OPEN.1.wait_timeout(open, Duration::from_millis(20)).unwrap().0;
    }
    Ok(())
}

fn log(bench: &dyn Workbench, message: &str) {
    bench.tell(News::Log { level: "info".to_owned(), message: message.to_owned() });
}

/// A picture of two colours that depend on the words, the number and the pictures given.
pub(crate) fn picture(words: &str, number: u32, given: usize) -> Vec<u8> {
    let sum = words.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let [red, green, ..] = (sum.wrapping_add(number * 97)).to_le_bytes();
    let picture = Picture::from_fn(48, 32, |x, _| {
        if x < 8 * given as u32 { [250, 250, 250, 255] } else { [red, green, x as u8, 255] }
    });
    picture.to_png().unwrap()
}

fn show(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let words = words(input);
    let given: usize = input.values().map(|value| value.assets().len()).sum();
    let count = input.get("num_images").and_then(Value::as_integer).unwrap_or(1).clamp(1, 4) as u32;
    begin(&words)?;
    log(bench, "mixing the colours");
    bench.progress(0.25, "mixing");
    for index in 0..2 {
        if bench.wants_news() {
            let (name, media_type) = ("images".to_owned(), "image/png".to_owned());
            let bytes = picture(&words, 90 + index, given);
            bench.tell(News::Picture { name, index, bytes, media_type });
        }
        if index == 0 {
            obey(&words, bench)?;
        }
    }
    log(bench, "painting");
    let facts = MediaFacts { width: Some(48), height: Some(32), ..MediaFacts::default() };
    let mut pictures = Vec::new();
    for number in 0..count {
        let bytes = picture(&words, number, given);
        pictures.push(Value::from(bench.write(bytes, "image/png", facts.clone())?));
    }
    Ok(Values::from([
        ("images".to_owned(), Value::from(pictures)),
        ("seed".to_owned(), Value::from(11)),
    ]))
}

fn piece(number: usize) -> Vec<u8> {
    let sample = |at: usize| (((number * PIECE_SAMPLES + at) as f64 * 0.07).sin() * 9_000.0) as i16;
    (0..PIECE_SAMPLES).flat_map(|at| sample(at).to_le_bytes()).collect()
}

/// The samples of every sound that is made here.
pub(crate) fn samples() -> Vec<u8> {
    (0..PIECES).flat_map(piece).collect()
}

/// Samples as a file.
pub(crate) fn wav(samples: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((36 + samples.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE_HZ.to_le_bytes());
    file.extend((RATE_HZ * 2).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((samples.len() as u32).to_le_bytes());
    file.extend(samples);
    file
}

fn say(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let words = words(input);
    let format =
        SoundFormat { media_type: "audio/pcm".to_owned(), sample_rate_hz: RATE_HZ, channels: 1 };
    begin(&words)?;
    for number in 0..PIECES {
        if bench.wants_news() {
            let (name, format) = ("audio".to_owned(), format.clone());
            bench.tell(News::Sound { name, format, bytes: piece(number) });
        }
        if number == 0 {
            obey(&words, bench)?;
        }
    }
    let duration_ms = Some((PIECES * PIECE_SAMPLES) as u64 * 1000 / u64::from(RATE_HZ));
    let facts = MediaFacts { duration_ms, ..MediaFacts::default() };
    let audio = bench.write(wav(&samples()), "audio/wav", facts)?;
    let cue = serde_json::json!({"start": 0.0, "end": 0.4, "text": words});
    Ok(Values::from([
        ("audio".to_owned(), Value::from(audio)),
        ("cues".to_owned(), Value::from(vec![Value::from_json(cue).map_err(Error::internal)?])),
    ]))
}

fn hear(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let audio = input.get("audio").and_then(Value::as_asset);
    let audio = audio.ok_or_else(|| Error::invalid("`audio` is missing"))?;
    let words = format!("{} bytes were heard.", bench.read(audio)?.len());
    let segment = serde_json::json!([{"start": 0.0, "end": 0.4, "text": words}]);
    Ok(Values::from([
        ("text".to_owned(), Value::from(words.as_str())),
        ("segments".to_owned(), Value::from_json(segment).map_err(Error::internal)?),
    ]))
}
