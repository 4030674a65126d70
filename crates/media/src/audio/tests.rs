//! The tools through their endpoints.

use impasto_domain::{AssetRef, Bench, Value, Values, Workbench};

use super::resample::tone;
use crate::Sound;

fn run(name: &str, input: &[(&str, Value)], bench: &Bench) -> Values {
    let operations = crate::operations();
    let operation = operations.iter().find(|operation| operation.name == name).unwrap();
    let input = input.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    (operation.run)(&input, bench).unwrap()
}

fn sound(bench: &Bench, output: &Values) -> Sound {
    Sound::read(bench, output["audio"].as_asset().unwrap()).unwrap()
}

fn keep(bench: &Bench, rate: u32, channels: Vec<Vec<f32>>) -> AssetRef {
    Sound { sample_rate: rate, channels }.write(bench).unwrap()
}

/// Syllables: half a second of tone, then a pause.
fn voice(rate: u32, seconds: f64) -> Vec<f32> {
    let mut samples = tone(rate, 210.0, seconds, 0.2);
    for (place, sample) in samples.iter_mut().enumerate() {
        let part = place as f64 / f64::from(rate) % 0.75 / 0.5;
        *sample *= if part < 1.0 { (part * std::f64::consts::PI).sin() as f32 } else { 0.0 };
    }
    samples
}

#[test]
fn cutting_and_joining_keep_count_of_samples() {
    let bench = Bench::default();
    let a = keep(&bench, 24_000, vec![tone(24_000, 300.0, 2.0, 0.3)]);
    let b = keep(&bench, 48_000, vec![tone(48_000, 500.0, 1.0, 0.3); 2]);
    let part = run(
        "trim-audio",
        &[("audio", a.clone().into()), ("start", 0.5.into()), ("duration", 0.25.into())],
        &bench,
    );
    assert_eq!(sound(&bench, &part).len(), 6_000);
    let both = Value::from(vec![Value::from(a), Value::from(b)]);
    for (gap, length) in [(0.0, 72_000), (0.5, 84_000), (-0.25, 66_000)] {
        let joined = run("concat-audio", &[("audios", both.clone()), ("gap", gap.into())], &bench);
        let joined = sound(&bench, &joined);
        assert_eq!((joined.sample_rate, joined.channels.len(), joined.len()), (24_000, 2, length));
    }
}

#[test]
fn fades_begin_and_end_in_silence() {
    let bench = Bench::default();
    let flat = keep(&bench, 8_000, vec![vec![0.5; 8_000]]);
    let input = [("audio", flat.into()), ("fade_in", 0.25.into()), ("fade_out", 0.5.into())];
    let faded = sound(&bench, &run("fade-audio", &input, &bench));
    let level = |at: usize| faded.channels[0][at];
    assert!(level(0) < 0.01 && level(7_999) < 0.01);
    assert!((level(2_500) - 0.5).abs() < 1e-3 && level(6_000) < 0.45);
}

#[test]
fn resampling_changes_rate_and_channels() {
    let bench = Bench::default();
    let stereo = keep(&bench, 44_100, vec![vec![0.4; 44_100], vec![0.2; 44_100]]);
    let input = [("audio", stereo.into()), ("sample_rate", 16_000.into()), ("channels", 1.into())];
    let mono = sound(&bench, &run("resample-audio", &input, &bench));
    assert_eq!((mono.sample_rate, mono.channels.len(), mono.len()), (16_000, 1, 16_000));
    assert!((mono.channels[0][8_000] - 0.3).abs() < 1e-3);
}

/// What ffmpeg measures, in LUFS; `None` where it is not installed.
fn ffmpeg_loudness(wav: &[u8]) -> Option<f64> {
    let file = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
    std::fs::write(file.path(), wav).unwrap();
    let output = std::process::Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-i"])
        .arg(file.path())
        .args(["-af", "ebur128", "-f", "null", "-"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary = text.rsplit_once("Integrated loudness:")?.1;
    summary.split_once("I:")?.1.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_mix_has_the_loudness_that_was_asked_for() {
    let bench = Bench::default();
    let voice = keep(&bench, 22_050, vec![voice(22_050, 8.0)]);
    let chord = [110.0, 138.6, 164.8].map(|frequency| tone(44_100, frequency, 12.0, 0.25));
    let music = (0..chord[0].len()).map(|at| chord.iter().map(|note| note[at]).sum()).collect();
    let music = keep(&bench, 44_100, vec![music]);
    let input = [
        ("voice", voice.into()),
        ("music", music.into()),
        ("voice_delay", 0.8.into()),
        ("duration", 11.0.into()),
        ("loudness", (-16.0).into()),
    ];
    let mixed = run("mix-audio", &input, &bench);
    let told = mixed["loudness"].as_number().unwrap();
    assert!((told + 16.0).abs() <= 0.3 && mixed["peak"].as_number().unwrap() <= -1.5, "{mixed:?}");
    let asset = mixed["audio"].as_asset().unwrap();
    assert_eq!(asset.facts.duration_ms, Some(11_000));
    match ffmpeg_loudness(&bench.read(asset).unwrap()) {
        Some(measured) => assert!((measured + 16.0).abs() <= 0.5, "ffmpeg says {measured}"),
        None => println!("ffmpeg is not installed: no second opinion on the loudness"),
    }
    let again = run("mix-audio", &input, &bench);
    assert_eq!(again, mixed, "the same input gives the same bytes");
}
