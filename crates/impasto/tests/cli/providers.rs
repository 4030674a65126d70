//! One of these programs as the hosted provider of another, by every dialect that both speak.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, answer};

/// Offers of a server of ours at providers that it can pass for.
const DISTANT: &str = r#"
title = "Distant"
company = "test"
version = "1"
licence = "MIT"
training_data = "none"
description = "Somebody else's."
tier = "hero"
[[offers]]
"#;

/// What one passes for: the provider, the variables that say where it is, its key, an offer.
type Passing = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const PLACES: [Passing; 5] = [
    (
        "fal",
        &[
            ("IMPASTO_FAL_URL", "/fal/queue"),
            ("IMPASTO_FAL_RUN_URL", "/fal/run"),
            ("IMPASTO_FAL_REST_URL", "/fal/rest"),
        ],
        "FAL_KEY",
        "task = \"text-to-image\"\nendpoint = \"impasto/auto/text-to-image\"\n\
         input = { prompt = {}, width = {}, height = {} }\noutput = { images = \"/images/*/url\" }\n",
    ),
    (
        "replicate",
        &[("IMPASTO_REPLICATE_URL", "/replicate")],
        "REPLICATE_API_TOKEN",
        "task = \"text-to-image\"\nendpoint = \"text-to-image/auto\"\n\
         input = { prompt = \"/input/prompt\", width = \"/input/width\", height = \"/input/height\" }\n\
         output = { images = [\"/output/*\", \"/output\"] }\n",
    ),
    (
        "openai",
        &[("IMPASTO_OPENAI_URL", "/openai/v1")],
        "OPENAI_API_KEY",
        "task = \"text-to-image\"\nendpoint = \"auto\"\n\
         input = { prompt = {} }\nsize = { to = \"size\", separator = \"x\" }\n\
         output = { images = { at = \"/data/*/b64_json\", file = \"base64\" } }\n",
    ),
    (
        "google",
        &[("IMPASTO_GOOGLE_URL", "/gemini")],
        "GEMINI_API_KEY",
        "task = \"text-to-speech\"\nendpoint = \"auto\"\n\
         const = { \"/generationConfig/responseModalities\" = [\"AUDIO\"] }\n\
         input = { text = { to = \"/contents/0/parts/-\", wrap = { text = \"$\" } } }\n\
         output = { audio = { at = \"/candidates/*/content/parts/*/inlineData/data\", file = \
         \"base64\", media_type = \"audio/L16;rate=24000\" } }\n",
    ),
    (
        "elevenlabs",
        &[("IMPASTO_ELEVENLABS_URL", "/elevenlabs")],
        "ELEVENLABS_API_KEY",
        "task = \"text-to-music\"\nendpoint = \"music\"\n\
         input = { prompt = {}, duration = { to = \"music_length_ms\", times = 1000, as = \
         \"integer\" } }\noutput = { audio = { file = \"body\" } }\n",
    ),
];

/// A server with nobody but the offline models, ended when it is dropped.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn new(place: &Place, flags: &[&str]) -> Self {
        let arguments = ["--json", "serve", "--listen", "127.0.0.1:0"];
        let mut command = place.command(&[&arguments, flags].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: said["listening"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A place whose only way to do anything is the server, as the provider at that position.
fn near(position: usize) -> Place {
    let (provider, _, _, offer) = PLACES[position];
    let place = Place::new();
    std::fs::create_dir_all(place.path("catalog/models/test")).unwrap();
    let price = "{ as_of = \"2026-11-01\", source = \"test\", lines = [{ per = \"request\", usd = 0.02 }] }";
    let text =
        format!("id = \"distant\"{DISTANT}provider = \"{provider}\"\nprice = {price}\n{offer}");
    place.write("catalog/models/test/distant.toml", text);
    place
}

fn command(place: &Place, position: usize, url: &str, arguments: &[&str]) -> Command {
    let (_, variables, key, _) = PLACES[position];
    let mut command = place.command(arguments);
    command.env("IMPASTO_CATALOG", place.path("catalog")).env(key, "any key");
    for (variable, path) in variables {
        command.env(variable, format!("{url}{path}"));
    }
    command
}

const ASKED: [&str; 5] = ["-i", "width=96", "-i", "height=64", "--model=distant"];

/// The arguments of a small call of the offer at that position.
fn asked(position: usize) -> Vec<&'static str> {
    let (_, _, _, offer) = PLACES[position];
    let what: &[&str] = match offer {
        offer if offer.contains("text-to-speech") => {
            &["text-to-speech", "Hello.", "--model=distant"]
        }
        offer if offer.contains("text-to-music") => {
            &["text-to-music", "calm piano", "-i", "duration=3", "--model=distant"]
        }
        _ => &["text-to-image", "a red mug"],
    };
    let rest: &[&str] = if what.len() == 2 { &ASKED } else { &[] };
    [&["generate"], what, rest, &["-o", "out"]].concat()
}

fn runs(place: &Place) -> Vec<Value> {
    place.run(&["runs", "--json"]).json().as_array().unwrap().clone()
}

#[test]
fn one_of_us_is_the_provider_of_another_in_every_dialect() {
    let far = Place::new();
    let serving = Serving::new(&far, &[]);
    for (position, (provider, ..)) in PLACES.iter().enumerate() {
        let place = near(position);
        let made =
            answer(&command(&place, position, &serving.url, &asked(position)).output().unwrap());
        assert_eq!(made.code, 0, "{provider}\n{}\n{}", made.stdout, made.stderr);
        let report = std::fs::read(place.path("out/run.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["status"], "succeeded", "{provider}");
        assert_eq!(report["totals"]["cost"], 20_000, "{provider}: {}", report["totals"]);
        let files = std::fs::read_dir(place.path("out")).unwrap().count();
        assert!(files >= 2, "{provider}: {files} files");
        assert_eq!(runs(&far).len(), position + 1, "{provider}");
    }
}

#[test]
fn a_job_that_was_taken_is_asked_for_again_and_not_started_again() {
    let far = Place::new();
    let serving = Serving::new(&far, &["--misbehave", "latency_ms=2500"]);
    let place = near(0);
    let mut command = command(&place, 0, &serving.url, &asked(0));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let report = |run: &str| place.run(&["show", run, "--json"]).json();
    let run = loop {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody took the job");
        let run = runs(&place).first().and_then(|run| Some(run["run"].as_str()?.to_owned()));
        if let Some(run) = run.filter(|run| has_handle(&report(run))) {
            break run;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let arguments = ["resume", run.as_str(), "-o", "out"];
    let resumed = answer(&self::command(&place, 0, &serving.url, &arguments).output().unwrap());
    assert_eq!(resumed.code, 0, "{}\n{}", resumed.stdout, resumed.stderr);
    assert_eq!(runs(&far).len(), 1, "it was started once");
}

/// Whether an attempt has something by which its provider calls it.
fn has_handle(report: &Value) -> bool {
    let steps = report["steps"].as_array().into_iter().flatten();
    let mut attempts = steps.flat_map(|step| step["attempts"].as_array().into_iter().flatten());
    attempts.any(|attempt| attempt["handle"].is_string())
}
