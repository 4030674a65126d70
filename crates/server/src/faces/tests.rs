//! The faces over models that tell what there is of a result before it is done, which offline models do
//! for some tasks only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use impasto_catalog::{Catalog, Finding, Layer};
use impasto_domain::{
    AssetRef, Error, MediaFacts, News, Operation, Result, SoundFormat, Value, Values, Workbench,
};
use impasto_engine::{
    Driver, Engine, EngineOptions, FileTools, Importer, OperationsDriver, Parts as EngineParts,
    SystemClock,
};
use impasto_store::{MemoryBlobs, MemoryRuns};
use impasto_testkit::model_file;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::{
    Encoders, Front, NoEncoders, NoFetch, Parts, ServerOptions, SoundCodec, SoundEncoding,
    SoundWanted, front_of,
};

const PROVIDER: &str = "id = \"here\"\ntitle = \"Here\"\ndescription = \"In this process.\"\n\
                        dialect = \"here\"\nconcurrency = 8\n";

/// The endpoints of the teller, by task.
const OFFERS: [(&str, &str); 5] = [
    ("text-to-speech", "say"),
    ("text-to-image", "show"),
    ("edit-image", "show"),
    ("text-to-sound", "say"),
    ("transcribe-audio", "hear"),
];

const RATE_HZ: u32 = 24_000;
/// Pieces of a sound, and the bytes of each.
const PIECES: usize = 3;
const PIECE: usize = 4_800;

/// Gates that are open: an operation waits at the one that its text names.
static OPEN: (Mutex<BTreeSet<String>>, Condvar) = (Mutex::new(BTreeSet::new()), Condvar::new());

pub(super) fn open(gate: &str) {
    OPEN.0.lock().unwrap().insert(gate.to_owned());
    OPEN.1.notify_all();
}

fn pass(gate: &str) {
    let open = OPEN.0.lock().unwrap();
    let wait = Duration::from_secs(10);
    let (_open, late) = OPEN.1.wait_timeout_while(open, wait, |open| !open.contains(gate)).unwrap();
    assert!(!late.timed_out(), "nobody opened {gate}");
}

fn piece(number: usize) -> Vec<u8> {
    (0..PIECE / 2).flat_map(|at| ((number * 1_000 + at % 97) as i16).to_le_bytes()).collect()
}

fn whole() -> Vec<u8> {
    (0..PIECES).flat_map(piece).collect()
}

fn wav(samples: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF____WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(RATE_HZ.to_le_bytes());
    file.extend((RATE_HZ * 2).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((samples.len() as u32).to_le_bytes());
    file.extend(samples);
    file
}

fn say(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let text = input.get("text").and_then(Value::as_text).unwrap_or_default();
    let format =
        SoundFormat { media_type: "audio/pcm".to_owned(), sample_rate_hz: RATE_HZ, channels: 1 };
    for number in 0..PIECES {
        if bench.wants_news() {
            let (name, format) = ("audio".to_owned(), format.clone());
            bench.tell(News::Sound { name, format, bytes: piece(number) });
        }
        if number == 0 && text.starts_with("gate") {
            pass(text);
        }
        if number == 1 && text.contains("fails") {
            return Err(Error::new(impasto_domain::ErrorKind::ProviderFailed, "the voice broke"));
        }
    }
    let facts = MediaFacts { duration_ms: Some(300), ..MediaFacts::default() };
    let audio = bench.write(wav(&whole()), "audio/wav", facts)?;
    Ok(Values::from([("audio".to_owned(), Value::from(audio))]))
}

/// Bytes that stand for an encoded sound.
fn coded() -> Vec<u8> {
    (0..PIECES).flat_map(coded_piece).collect()
}

fn coded_piece(number: usize) -> Vec<u8> {
    format!("mp3 frame {number}\n").into_bytes()
}

/// Speaks in MP3: while it is made, or only when it is done.
fn code(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let text = input.get("text").and_then(Value::as_text).unwrap_or_default();
    let media_type = "audio/mpeg".to_owned();
    let format = SoundFormat { media_type, sample_rate_hz: 44_100, channels: 1 };
    // The last piece is found in the file only.
    let told = if text.contains("late") { 0 } else { PIECES - 1 };
    for number in 0..told {
        let (name, format) = ("audio".to_owned(), format.clone());
        bench.tell(News::Sound { name, format, bytes: coded_piece(number) });
        if number == 0 && text.starts_with("gate") {
            pass(text);
        }
    }
    if text.contains("fails") {
        return Err(Error::new(impasto_domain::ErrorKind::ProviderFailed, "the voice broke"));
    }
    let facts = MediaFacts {
        duration_ms: Some(300),
        sample_rate: Some(44_100),
        channels: Some(1),
        foreign: true,
        ..MediaFacts::default()
    };
    let audio = bench.write(coded(), "audio/mpeg", facts)?;
    Ok(Values::from([("audio".to_owned(), Value::from(audio))]))
}

/// Speaks as it is asked to.
fn obey(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    match input.get("output_format").and_then(Value::as_text) {
        Some("mp3") => code(input, bench),
        Some("pcm") => say(input, bench),
        other => Err(Error::internal(format!("nobody asked for a format: {other:?}"))),
    }
}

fn show(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let prompt = input.get("prompt").map(|prompt| prompt.to_json().to_string()).unwrap_or_default();
    let prompt = prompt.trim_matches('"');
    // What is asked of a provider is decided once, when it is asked.
    let is_heard = bench.wants_news();
    for index in 0..2 {
        if is_heard {
            let (name, media_type) = ("images".to_owned(), "image/png".to_owned());
            let bytes = format!("preview {index}").into_bytes();
            bench.tell(News::Picture { name, index, bytes, media_type });
        }
        if index == 0 && prompt.starts_with("gate") {
            pass(prompt);
        }
    }
    let facts = MediaFacts { width: Some(8), height: Some(8), ..MediaFacts::default() };
    let picture = bench.write(b"the picture".to_vec(), "image/png", facts)?;
    Ok(Values::from([("images".to_owned(), Value::from(vec![Value::from(picture)]))]))
}

fn hear(_: &Values, _: &dyn Workbench) -> Result<Values> {
    let segment = json!([{"start": 0.0, "end": 1.5, "text": "Hello."}]);
    Ok(Values::from([
        ("text".to_owned(), Value::from("Hello.")),
        ("segments".to_owned(), Value::from_json(segment).map_err(Error::internal)?),
    ]))
}

/// Takes everything in as what the test sent it for.
struct Trusting;

impl Importer for Trusting {
    fn import(&self, path: &Path, bench: &dyn Workbench) -> Result<AssetRef> {
        self.import_bytes(&std::fs::read(path).unwrap(), "", bench)
    }

    fn import_bytes(&self, bytes: &[u8], _name: &str, bench: &dyn Workbench) -> Result<AssetRef> {
        if bytes.starts_with(b"mp3") {
            return bench.write(wav(&whole()), "audio/wav", MediaFacts::default());
        }
        let media_type = if bytes.starts_with(b"RIFF") { "audio/wav" } else { "image/png" };
        bench.write(bytes.to_vec(), media_type, MediaFacts::default())
    }
}

fn offer(task: &str, endpoint: &str) -> String {
    format!(
        "[[offers]]\nprovider = \"here\"\ntask = \"{task}\"\nendpoint = \"{endpoint}\"\n\
         time = {{ fixed_ms = 1 }}\nprice = \"free\"\n"
    )
}

/// What the obeyer takes.
const OBEYED: &str =
    "[offers.input]\ntext = {}\nvoice = {}\noutput_format = { values = [\"mp3\", \"pcm\"] }\n";

fn catalog() -> Catalog {
    let mut teller = String::new();
    for (task, endpoint) in OFFERS {
        teller.push_str(&offer(task, endpoint));
    }
    let files = vec![
        ("providers/here.toml".to_owned(), PROVIDER.to_owned()),
        model_file("teller", &teller),
        model_file("coder", &offer("text-to-speech", "code")),
        model_file("obeyer", &format!("{}{OBEYED}", offer("text-to-speech", "obey"))),
    ];
    let layer = Layer { name: "test".to_owned(), files };
    let shown = |findings: Vec<Finding>| findings.iter().map(Finding::render).collect::<String>();
    Catalog::load(&[Layer::embedded(), layer]).map_err(shown).unwrap().0
}

/// Writes what it is given as text, a line a piece.
struct Spelling;

impl Encoders for Spelling {
    fn can(&self, codec: SoundCodec) -> bool {
        codec != SoundCodec::Opus
    }

    fn begin(&self, wanted: SoundWanted) -> Result<SoundEncoding> {
        let (samples, mut input) = mpsc::channel::<Bytes>(1);
        let (output, encoded) = mpsc::channel(1);
        tokio::spawn(async move {
            let head = format!("{:?} {}\n", wanted.codec, wanted.sample_rate_hz);
            output.send(Ok(head.into())).await.unwrap();
            while let Some(piece) = input.recv().await {
                if output.send(Ok(format!("{}\n", piece.len()).into())).await.is_err() {
                    return;
                }
            }
            output.send(Ok("end".into())).await.unwrap();
        });
        Ok(SoundEncoding { samples, encoded })
    }
}

fn front() -> Front {
    front_with(Arc::new(NoEncoders))
}

fn front_with(encoders: Arc<dyn Encoders>) -> Front {
    front_that(encoders, ServerOptions::default())
}

pub(super) fn front_that(encoders: Arc<dyn Encoders>, options: ServerOptions) -> Front {
    let runs = Arc::new(MemoryRuns::default());
    let blobs = Arc::new(MemoryBlobs::default());
    let operations = vec![
        Operation { name: "say", run: say },
        Operation { name: "code", run: code },
        Operation { name: "obey", run: obey },
        Operation { name: "show", run: show },
        Operation { name: "hear", run: hear },
    ];
    let here: Arc<dyn Driver> = Arc::new(OperationsDriver::new(operations));
    let parts = EngineParts {
        catalog: Arc::new(catalog()),
        runs: runs.clone(),
        blobs: blobs.clone(),
        drivers: BTreeMap::from([("here".to_owned(), here)]),
        importer: Arc::new(Trusting),
        tools: FileTools::none(),
        clock: Arc::new(SystemClock),
    };
    let parts = Parts {
        engine: Engine::new(parts, EngineOptions::default()),
        store: runs,
        blobs,
        pieces: Arc::new(MemoryBlobs::default()),
        reload: None,
        fetch: Arc::new(NoFetch),
        encoders,
        clock: Arc::new(SystemClock),
        secret: [7; 32],
    };
    front_of(parts, options)
}

async fn post(
    front: &Front,
    path: &str,
    media_type: &str,
    body: impl Into<Body>,
) -> http::Response<Body> {
    let request = Request::post(path).header("content-type", media_type).body(body.into()).unwrap();
    front.answer(request).await
}

async fn call(front: &Front, path: &str, body: Json) -> http::Response<Body> {
    post(front, path, "application/json", body.to_string()).await
}

async fn next(body: &mut Body) -> Bytes {
    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
    frame.expect("a piece in time").expect("a piece").expect("no error").into_data().unwrap()
}

async fn all(response: http::Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// A form with these parts: name, file name or nothing, text.
fn form(parts: &[(&str, &str, &str)]) -> String {
    let part = |(name, file, text): &(&str, &str, &str)| {
        let file = if file.is_empty() { String::new() } else { format!("; filename=\"{file}\"") };
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--b--\r\n"
}

const FORM: &str = "multipart/form-data; boundary=b";

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_forwarded_before_it_is_done() {
    let front = front();
    let asked = json!({"model": "teller", "voice": "any", "input": "gate of openai", "response_format": "pcm"});
    let response = call(&front, "/openai/v1/audio/speech", asked).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await, piece(0));
    open("gate of openai");
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!([piece(0), rest.to_vec()].concat(), whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_forwarded_in_every_way() {
    let front = front();
    let check = async |path: &str, asked: Json, text: &str, seen: &[u8]| {
        let response = call(&front, path, asked).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let mut body = response.into_body();
        let first = next(&mut body).await;
        let has = first.windows(seen.len()).any(|window| window == seen);
        assert!(has, "{path}: {:?}", first.slice(..first.len().min(200)));
        open(text);
        let rest = body.collect().await.unwrap().to_bytes();
        [first, rest].concat()
    };
    let encoded = STANDARD.encode(piece(0));
    let asked = json!({
        "model": "teller", "voice": "any", "input": "gate of events", "response_format": "pcm",
        "stream_format": "sse",
    });
    let delta = format!(r#"data: {{"type":"speech.audio.delta","audio":"{encoded}"}}"#);
    let got = check("/openai/v1/audio/speech", asked, "gate of events", delta.as_bytes()).await;
    assert!(String::from_utf8(got).unwrap().contains("speech.audio.done"));

    let asked = |text: &str| json!({"model_id": "teller", "text": text});
    let path = "/elevenlabs/v1/text-to-speech/any/stream?output_format=pcm_24000";
    let got = check(path, asked("gate of stream"), "gate of stream", &piece(0)).await;
    assert_eq!(got, whole());

    let path = "/elevenlabs/v1/text-to-speech/any/stream/with-timestamps?output_format=pcm_24000";
    let got = check(path, asked("gate of lines"), "gate of lines", encoded.as_bytes()).await;
    let mut sound = Vec::new();
    let mut text = String::new();
    for line in got.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Json = serde_json::from_slice(line).unwrap();
        sound.extend(STANDARD.decode(line["audio_base64"].as_str().unwrap()).unwrap());
        let characters = line["alignment"]["characters"].as_array().cloned().unwrap_or_default();
        text.extend(characters.iter().filter_map(Json::as_str));
    }
    assert_eq!((sound, text.as_str()), (whole(), "gate of lines"));

    let path = "/elevenlabs/v1/sound-generation?output_format=wav";
    let got = check(path, asked("gate of sounds"), "gate of sounds", b"RIFF").await;
    assert_eq!(&got[44..], whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_an_encoder_is_forwarded_too() {
    let front = front_with(Arc::new(Spelling));
    let asked = json!({"model": "teller", "voice": "any", "input": "gate of mp3"});
    let response = call(&front, "/openai/v1/audio/speech", asked.clone()).await;
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    let mut body = response.into_body();
    let mut first = next(&mut body).await.to_vec();
    while first.len() < "Mp3 24000\n4800\n".len() {
        first.extend(next(&mut body).await);
    }
    assert_eq!(first, b"Mp3 24000\n4800\n", "before the sound is made");
    open("gate of mp3");
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"\nend"), "{rest:?}");
    let spelt: usize = rest.split(|byte| *byte == b'\n').filter_map(number).sum();
    assert_eq!(spelt + PIECE, whole().len());

    let path = "/elevenlabs/v1/text-to-speech/any";
    let asked = json!({"model_id": "teller", "text": "Said."});
    let said = all(call(&front, path, asked.clone()).await).await;
    assert!(said.starts_with(b"Mp3 44100\n") && said.ends_with(b"end"), "{said:?}");
    let timed = call(&front, &format!("{path}/with-timestamps"), asked.clone()).await;
    let timed: Json = serde_json::from_slice(&all(timed).await).unwrap();
    let sound = STANDARD.decode(timed["audio_base64"].as_str().unwrap()).unwrap();
    assert!(sound.ends_with(b"end") && timed["alignment"]["characters"][0] == "S");
    let lines = call(&front, &format!("{path}/stream/with-timestamps"), asked.clone()).await;
    let lines = String::from_utf8(all(lines).await.to_vec()).unwrap();
    assert!(lines.contains("characters"), "{lines}");
    let refused = call(&front, &format!("{path}?output_format=opus_48000_64"), asked).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_the_encoding_that_is_wanted_is_passed_on_as_it_comes() {
    let front = front_with(Arc::new(Spelling));
    let spoken = |text: &str| json!({"model": "coder", "voice": "any", "input": text});
    let said = |text: &str| json!({"model_id": "coder", "text": text});
    let ways = [
        ("/openai/v1/audio/speech", spoken("gate of coded openai")),
        ("/elevenlabs/v1/text-to-speech/any/stream", said("gate of coded stream")),
        ("/elevenlabs/v1/text-to-speech/any", said("gate of coded speech")),
        (
            "/elevenlabs/v1/text-to-speech/any/stream?output_format=mp3_44100_192",
            said("gate of named format"),
        ),
    ];
    for (path, asked) in ways {
        let text = asked.get("input").or(asked.get("text")).and_then(Json::as_str).unwrap();
        let response = call(&front, path, asked.clone()).await;
        assert_eq!(response.headers()["content-type"], "audio/mpeg", "{path}");
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await, coded_piece(0), "{path}, before the sound is made");
        open(text);
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!([&coded_piece(0), &rest[..]].concat(), coded(), "{path}");
        // The same once more is a run of its own that may be taken from the cache.
        let whole = all(call(&front, path, asked).await).await;
        assert_eq!(whole, coded(), "{path}, once it is there");
    }
    let late = all(call(&front, "/openai/v1/audio/speech", spoken("Said late.")).await).await;
    assert_eq!(late, coded(), "what was not told while it was made");
    let path = "/elevenlabs/v1/text-to-speech/any/with-timestamps";
    let timed = all(call(&front, path, said("Said with times.")).await).await;
    let timed: Json = serde_json::from_slice(&timed).unwrap();
    assert_eq!(STANDARD.decode(timed["audio_base64"].as_str().unwrap()).unwrap(), coded());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_make_the_encoding_that_is_wanted_is_asked_for_it() {
    let front = front();
    let check = async |path: &str, format: Option<&str>, expected: (&str, Vec<u8>)| {
        let mut asked = match path.starts_with("/openai") {
            true => json!({"model": "obeyer", "voice": "any", "input": "Said."}),
            false => json!({"model_id": "obeyer", "text": "Said."}),
        };
        if let Some(format) = format {
            asked["response_format"] = format.into();
        }
        let response = call(&front, path, asked).await;
        assert_eq!(response.headers()["content-type"], expected.0, "{path} {format:?}");
        assert_eq!(all(response).await, expected.1, "{path} {format:?}");
    };
    let (mp3, pcm) = (("audio/mpeg", coded()), ("audio/pcm", whole()));
    // This server makes no MP3 itself.
    check("/openai/v1/audio/speech", None, mp3.clone()).await;
    check("/openai/v1/audio/speech", Some("mp3"), mp3.clone()).await;
    check("/openai/v1/audio/speech", Some("pcm"), pcm.clone()).await;
    check("/elevenlabs/v1/text-to-speech/any", None, mp3.clone()).await;
    check("/elevenlabs/v1/text-to-speech/any/stream", None, mp3).await;
    check("/elevenlabs/v1/text-to-speech/any/stream?output_format=pcm_24000", None, pcm).await;
    let asked = json!({
        "model": "obeyer", "voice": "any", "input": "Said.", "response_format": "opus",
    });
    let refused = call(&front, "/openai/v1/audio/speech", asked).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_another_encoding_is_decoded_when_it_is_there() {
    let front = front_with(Arc::new(Spelling));
    let mut spoken =
        json!({"model": "coder", "voice": "any", "input": "Said.", "response_format": "pcm"});
    let pcm = all(call(&front, "/openai/v1/audio/speech", spoken.clone()).await).await;
    assert_eq!(pcm, whole());
    spoken["response_format"] = "wav".into();
    let wav = all(call(&front, "/openai/v1/audio/speech", spoken.clone()).await).await;
    assert_eq!((&wav[..4], &wav[44..]), (&b"RIFF"[..], &whole()[..]));
    let said = json!({"model_id": "coder", "text": "Said."});
    let path = "/elevenlabs/v1/text-to-speech/any/stream?output_format=mp3_22050_32";
    let other = all(call(&front, path, said).await).await;
    assert!(other.starts_with(b"Mp3 22050\n"), "{other:?}");
    let asked = json!({"model": "coder", "voice": "any", "input": "gate of coded fails"});
    let mut body = call(&front, "/openai/v1/audio/speech", asked).await.into_body();
    assert_eq!(next(&mut body).await, coded_piece(0));
    open("gate of coded fails");
    let mut ended = Ok(());
    while let Some(frame) = body.frame().await {
        ended = frame.map(drop);
    }
    assert!(ended.is_err(), "half of a sound must not look like all of it");
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_encoder_the_usual_is_wav_and_says_so() {
    let front = front();
    let asked = json!({"model": "teller", "voice": "any", "input": "Said."});
    let response = call(&front, "/openai/v1/audio/speech", asked.clone()).await;
    assert_eq!(response.headers()["content-type"], "audio/wav");
    assert!(response.headers()["x-impasto-sound"].to_str().unwrap().contains("mp3"));
    assert!(all(response).await.starts_with(b"RIFF"));
    let mut named = asked;
    named["response_format"] = "mp3".into();
    let refused = call(&front, "/openai/v1/audio/speech", named.clone()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    named["response_format"] = "wav".into();
    let response = call(&front, "/openai/v1/audio/speech", named).await;
    assert!(!response.headers().contains_key("x-impasto-sound"));
    let path = "/elevenlabs/v1/text-to-speech/any/stream";
    let response = call(&front, path, json!({"model_id": "teller", "text": "Said."})).await;
    assert_eq!(response.headers()["content-type"], "audio/wav");
    assert!(response.headers().contains_key("x-impasto-sound"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_piece_is_a_status_and_one_after_it_is_no_end() {
    let front = front();
    let asked = |text: &str| json!({"model": "teller", "voice": "any", "input": text, "response_format": "pcm"});
    let response = call(&front, "/openai/v1/audio/speech", asked("gate then fails")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    next(&mut body).await;
    open("gate then fails");
    let mut ended = Ok(());
    while let Some(frame) = body.frame().await {
        ended = frame.map(drop);
    }
    assert!(ended.is_err(), "half of a sound must not look like all of it");
    let mut sse = asked("gate in events fails");
    sse["stream_format"] = "sse".into();
    let response = call(&front, "/openai/v1/audio/speech", sse).await;
    open("gate in events fails");
    let events = String::from_utf8(all(response).await.to_vec()).unwrap();
    assert!(events.contains(r#"data: {"error":"#) && !events.contains("done"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_of_pictures_come_before_the_pictures() {
    let front = front();
    let asked = json!({"model": "teller", "prompt": "gate of previews", "stream": true, "partial_images": 3});
    let response = call(&front, "/openai/v1/images/generations", asked).await;
    let mut body = response.into_body();
    let first = String::from_utf8(next(&mut body).await.to_vec()).unwrap();
    assert!(first.contains("image_generation.partial_image"), "{first}");
    assert!(first.contains(&STANDARD.encode("preview 0")), "{first}");
    open("gate of previews");
    let rest = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(rest.contains(r#""partial_image_index":1"#), "{rest}");
    assert!(rest.contains("image_generation.completed"), "{rest}");
    assert!(rest.contains(&STANDARD.encode("the picture")), "{rest}");
    let asked = json!({"model": "teller", "prompt": "a tree", "stream": true, "partial_images": 9});
    let refused = call(&front, "/openai/v1/images/generations", asked).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_edited_by_words_where_a_model_does_so() {
    let front = front();
    let sent = form(&[
        ("image[]", "a.png", "one"),
        ("image[]", "b.png", "two"),
        ("prompt", "", "2026"),
        ("model", "", "auto"),
    ]);
    let response = post(&front, "/openai/v1/images/edits", FORM, sent).await;
    let answer: Json = serde_json::from_slice(&all(response).await).unwrap();
    assert_eq!(answer["data"][0]["b64_json"], STANDARD.encode("the picture"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_taken_down_where_a_model_does_so() {
    let front = front();
    let sound = String::from_utf8(b"RIFF and so on".to_vec()).unwrap();
    for (format, expected) in [
        ("json", r#"{"text":"Hello."}"#),
        ("text", "Hello.\n"),
        ("vtt", "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.500\nHello.\n\n"),
    ] {
        let sent = form(&[
            ("file", "a.wav", &sound),
            ("model", "", "teller"),
            ("response_format", "", format),
        ]);
        let response = post(&front, "/openai/v1/audio/transcriptions", FORM, sent).await;
        assert_eq!(response.status(), StatusCode::OK, "{format}");
        assert_eq!(all(response).await, expected, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_in_the_shape_of_the_face() {
    let front = front();
    for (path, media_type, body, status) in [
        ("/openai/v1/images/generations", "application/json", "{", 400),
        ("/openai/v1/images/generations", "application/json", "[]", 400),
        ("/openai/v1/images/edits", "text/plain", "x", 400),
        ("/openai/v1/images/edits", FORM, "--b--\r\n", 400),
        ("/openai/v1/nothing", "application/json", "{}", 404),
        ("/openai/v1/models", "application/json", "{}", 404),
        ("/openai/elsewhere", "application/json", "{}", 404),
        ("/elevenlabs/v1/text-to-speech/any", "application/json", "", 400),
        ("/elevenlabs/v1/text-to-speech/any", "application/json", r#"{"text": 3}"#, 400),
        ("/elevenlabs/v1/nothing", "application/json", "{}", 404),
    ] {
        let response = post(&front, path, media_type, body).await;
        assert_eq!(response.status().as_u16(), status, "{path} {body}");
        let told: Json = serde_json::from_slice(&all(response).await).unwrap();
        let message = match path.starts_with("/openai") {
            true => &told["error"]["message"],
            false => &told["detail"]["message"],
        };
        assert!(message.as_str().is_some_and(|message| message.len() > 5), "{path} {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_part_of_a_form_goes_by_the_disk_and_a_short_one_is_text() {
    let front = front();
    let path = "/openai/v1/audio/transcriptions";
    let long = format!("RIFF{}", "long ".repeat(100_000));
    let sent = form(&[("model", "", "teller"), ("file", "a.wav", &long)]);
    let heard = post(&front, path, FORM, sent.clone()).await;
    assert_eq!(heard.status(), StatusCode::OK);
    let heard: Json = serde_json::from_slice(&all(heard).await).unwrap();
    assert_eq!(heard["text"], "Hello.");
    let odd = form(&[("model", "", &long), ("file", "a.wav", "RIFF")]);
    assert_eq!(post(&front, path, FORM, odd).await.status(), StatusCode::BAD_REQUEST);
    let cut = sent.as_bytes()[..sent.len() / 2].to_vec();
    assert_eq!(post(&front, path, FORM, cut).await.status(), StatusCode::BAD_REQUEST);
    let other = post(&front, path, "text/plain", sent).await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_will_listen_gets_what_is_told_from_then_on() {
    let front = front();
    let asked = json!({"task": "text-to-image", "model": "teller", "partials": true,
                       "input": {"prompt": "gate of partials"}});
    let request = Request::post("/v1/runs")
        .header("content-type", "application/json")
        .header("prefer", "respond-async")
        .body(asked.to_string().into())
        .unwrap();
    let accepted = front.answer(request).await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let place = accepted.headers()["location"].to_str().unwrap();
    let events = Request::get(format!("{place}/events")).body(Body::empty()).unwrap();
    let mut told = front.answer(events).await.into_body();
    let began = next(&mut told).await;
    open("gate of partials");
    let rest = told.collect().await.unwrap().to_bytes();
    let told = String::from_utf8([began, rest].concat()).unwrap();
    assert!(told.contains(&STANDARD.encode("preview 1")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_means_what_the_input_fits() {
    let front = front();
    let words = json!({"text": "make it blue"});
    let picture =
        json!({"inlineData": {"mimeType": "image/png", "data": STANDARD.encode("a picture")}});
    for parts in [json!([words]), json!([words, picture])] {
        let asked = json!({"contents": [{"role": "user", "parts": parts}]});
        let response = call(&front, "/gemini/v1beta/models/auto:generateContent", asked).await;
        assert_eq!(response.status(), StatusCode::OK, "{parts}");
    }
}
