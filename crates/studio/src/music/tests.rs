//! Pieces measured: length, sameness, difference, level, grid, ending.

use impasto_domain::Bench;

use super::*;

fn play(words: &str, duration_s: f64, seed: u64) -> (Sound, Form) {
    piece(words, duration_s, seed, &Bench::default()).unwrap()
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

const PROMPTS: [&str; 7] = [
    "warm, calm acoustic piece with soft piano and light percussion",
    "epic cinematic trailer with strings, in d minor",
    "driving techno, 128 bpm",
    "lo-fi beats to study to",
    "upbeat corporate pop",
    "slow ambient drone in e flat major",
    "jazz waltz",
];

#[test]
fn every_piece_is_exactly_long_enough_and_sounds_throughout() {
    for (seed, words) in PROMPTS.iter().enumerate() {
        for duration_s in [3.0, 9.77] {
            let (sound, form) = play(words, duration_s, seed as u64);
            assert_eq!(sound.len(), (duration_s * 48_000.0_f64).round() as usize, "{words}");
            let [left, right] = &sound.channels[..] else { panic!("two channels") };
            let peak = left.iter().chain(right).fold(0.0_f32, |p, s| p.max(s.abs()));
            assert!((0.70..0.709).contains(&peak), "{words}: peak {peak}");
            assert_eq!((left[0], left[left.len() - 1]), (0.0, 0.0));
            // No hole before the final chord rings out.
            let body = (form.seconds(form.beats()) * 48_000.0) as usize;
            for (place, block) in left[24_000..body].chunks_exact(24_000).enumerate() {
                assert!(rms(block) > 0.004, "{words}: silence at {} s", 0.5 + place as f64 / 2.0);
            }
            assert!(rms(left) > 0.04 && rms(left) < 0.3, "{words}: {}", rms(left));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let bytes = |seed| play(PROMPTS[0], 5.0, seed).0.to_wav().unwrap();
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn other_words_give_another_key_or_tempo() {
    let briefs: Vec<Brief> = PROMPTS.iter().map(|words| Brief::from_words(words, 7)).collect();
    for (place, brief) in briefs.iter().enumerate() {
        for other in &briefs[place + 1..] {
            let same = (brief.tonic, brief.mode, brief.tempo_bpm as i32)
                == (other.tonic, other.mode, other.tempo_bpm as i32);
            assert!(!same, "{brief:?} {other:?}");
        }
    }
}

/// Nearly all notes start near a sixteenth (or where swing puts it).
#[test]
fn notes_start_on_the_grid() {
    for words in PROMPTS {
        let brief = Brief::from_words(words, 3);
        let form = Form::fit(&brief, 30.0);
        let notes = parts::write_score(&brief, &form, 3);
        let steady = form.seconds(form.beats() - 2.0);
        let near = |note: &&parts::Note| {
            let sixteenth = note.start_s / form.beat_s() * 12.0;
            (sixteenth - sixteenth.round()).abs() / 12.0 * form.beat_s() < 0.035
        };
        let all = notes.iter().filter(|note| note.start_s < steady).count();
        let on = notes.iter().filter(|note| note.start_s < steady).filter(near).count();
        assert!(on as f64 > 0.85 * all as f64, "{words}: {on} of {all}");
        assert!(notes.iter().all(|note| note.start_s < form.seconds(form.beats()) + 0.4));
    }
}

/// The tone at `hz`, as the strength of its octaves in the samples.
fn strength(samples: &[f32], pitch_class: i32) -> f32 {
    let mut sum = 0.0;
    for octave in 3..6 {
        let hz = 440.0 * 2.0_f64.powf(f64::from(pitch_class + 12 * octave - 69 + 12) / 12.0);
        let (mut re, mut im) = (0.0_f64, 0.0_f64);
        for (place, sample) in samples.iter().enumerate() {
            let angle = hz * std::f64::consts::TAU * place as f64 / 48_000.0;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        sum += re.hypot(im);
    }
    sum as f32
}

#[test]
fn the_end_is_the_tonic_and_dies_away() {
    for words in PROMPTS {
        let (sound, form) = play(words, 9.0, 2);
        let brief = Brief::from_words(words, 2);
        let left = &sound.channels[0];
        let from = (form.seconds(form.beats()) * 48_000.0) as usize + 4_000;
        let last = &left[from..from + 30_000.min(left.len() - from)];
        let tonic = strength(last, brief.tonic);
        for foreign in [1, 6, 8, 10, 11] {
            let other = strength(last, brief.tonic + foreign);
            assert!(tonic > other, "{words}: {foreign} {other} > {tonic}");
        }
        assert!(rms(&left[left.len() - 9_600..]) < 0.35 * rms(last), "{words} does not die away");
    }
}

#[test]
fn the_operation_lists_sections_and_refuses_what_it_cannot_play() {
    let bench = Bench::default();
    let input = |json: serde_json::Value| -> Values { serde_json::from_value(json).unwrap() };
    let output =
        compose(&input(serde_json::json!({"prompt": "calm piano", "duration": 30})), &bench)
            .unwrap();
    let sections = output["sections"].as_list().unwrap();
    let number = |at: usize, name: &str| sections[at].as_map().unwrap()[name].as_number().unwrap();
    assert!(sections.len() >= 3);
    assert_eq!((number(0, "start"), number(sections.len() - 1, "end")), (0.0, 30.0));
    let facts = output["audio"].as_asset().unwrap().facts.clone();
    assert_eq!((facts.duration_ms, facts.channels), (Some(30_000), Some(2)));
    for bad in [
        serde_json::json!({"prompt": " "}),
        serde_json::json!({"prompt": "x", "duration": 1}),
        serde_json::json!({"prompt": {}}),
    ] {
        assert!(compose(&input(bad), &bench).is_err());
    }
}
