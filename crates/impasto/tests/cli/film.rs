//! The main job, small: a film from a photograph, with everything that it should be.

use std::process::Command;

use crate::harness::{Place, repository_text, small_photo};

/// A film in which every kind of work of the product film is done, on small pictures.
pub(crate) const SMALL_FILM: &str = r#"
workflow: small-film
version: 1
inputs:
  photo: { type: image, required: true }
  look: { type: text, default: warm-film }
steps:
  cutout:
    task: remove-background
    input: { image: "{{ inputs.photo }}" }
  background:
    each: [an empty marble tabletop in a kitchen, an empty walnut table in a dim room]
    vary: { seed: [1, 2] }
    task: text-to-image
    input:
      prompt: { subject: "{{ item }}", lighting: soft light from the left, perspective: eye level, style: photo, mood: calm }
      width: 320
      height: 180
      seed: "{{ vary.seed }}"
  score:
    each: background
    task: score-image
    input: { image: "{{ steps.background.images[0] }}" }
  best:
    pick: background
    by: "{{ steps.score.score }}"
  placed:
    each: best
    task: composite-image
    input: { background: "{{ steps.best.images[0] }}", foreground: "{{ steps.cutout.image }}" }
  graded:
    each: best
    task: grade-image
    input: { image: "{{ steps.placed.image }}", look: "{{ inputs.look }}" }
  shot:
    each: best
    task: image-to-video
    input: { image: "{{ steps.graded.image }}", duration: 1.2, width: 320, height: 180, fps: 12 }
  film:
    task: stitch-video
    input: { videos: "{{ steps.shot.video }}", transition_duration: 0.4 }
  music:
    task: text-to-music
    input: { prompt: warm calm piano, duration: 3, seed: 1 }
  sound:
    task: mix-audio
    input: { music: "{{ steps.music.audio }}", duration: "{{ steps.film.video.duration }}" }
  captioned:
    task: caption-video
    input: { video: "{{ steps.film.video }}", cues: [{ start: 0.2, end: 1.0, text: Good morning }] }
  finished:
    task: mux-video
    input: { video: "{{ steps.captioned.video }}", audio: "{{ steps.sound.audio }}" }
  sheet:
    task: contact-sheet
    input:
      images: "{{ steps.background.images | flatten | flatten }}"
      labels: "{{ steps.best.labels | flatten }}"
      marked: "{{ steps.best.marked | flatten }}"
outputs:
  film: { value: "{{ steps.finished.video }}", file: film.mp4 }
  sheet: { value: "{{ steps.sheet.image }}", file: sheet.png }
"#;

fn film(place: &Place, more: &[&str]) -> serde_json::Value {
    let workflow = place.write("film.yaml", SMALL_FILM).to_string_lossy().into_owned();
    let photo = format!("photo=@{}", place.write("photo.png", small_photo()).display());
    let arguments = [&["run", &workflow, "-i", &photo, "-o", "out"], more].concat();
    place.succeed(&arguments);
    serde_json::from_slice(&std::fs::read(place.path("out/run.json")).unwrap()).unwrap()
}

fn statuses(report: &serde_json::Value, step: &str) -> Vec<bool> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .filter(|one| one["key"]["step"] == step)
        .map(|one| one["status"]["reused"] == true)
        .collect()
}

#[test]
fn a_film_and_its_record() {
    let place = Place::new();
    let report = film(&place, &[]);
    assert_eq!(report["status"], "succeeded");
    for step in report["steps"].as_array().unwrap() {
        assert_eq!(step["status"]["status"], "done", "{step}");
        if !step["task"].is_null() {
            assert!(step["decision"]["ranked"][0]["reason"].is_string(), "{step}");
            assert_eq!(step["attempts"].as_array().unwrap().len(), 1, "{step}");
        }
    }
    let mp4 = std::fs::read(place.path("out/film.mp4")).unwrap();
    let facts = impasto_media::mp4_facts(&mp4).unwrap();
    assert_eq!((facts.width, facts.height), (Some(320), Some(180)));
    assert!(facts.duration_ms.is_some_and(|ms| (1_900..2_200).contains(&ms)), "{facts:?}");
    assert!(
        impasto_media::Picture::decode(&std::fs::read(place.path("out/sheet.png")).unwrap())
            .is_ok()
    );
    judge_with_ffprobe(&place);

    // Nothing is done twice; one changed input does again only what depends on it.
    let again = film(&place, &[]);
    assert_eq!(again["totals"]["attempts"], 0);
    let changed = film(&place, &["-i", "look=noir"]);
    for step in ["cutout", "background", "score", "placed", "music", "sheet"] {
        assert!(statuses(&changed, step).iter().all(|reused| *reused), "{step} was done again");
    }
    for step in ["graded", "shot", "film", "render:film"] {
        assert!(statuses(&changed, step).iter().all(|reused| !reused), "{step} was not done again");
    }
}

/// What a player would make of it, where there is one to ask.
fn judge_with_ffprobe(place: &Place) {
    let asked = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,pix_fmt,width", "-of", "csv=p=0"])
        .arg(place.path("out/film.mp4"))
        .output();
    let Ok(asked) = asked else {
        println!("skipped: there is no ffprobe on this machine");
        return;
    };
    let streams = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(
        streams.contains("h264") && streams.contains("yuv420p") && streams.contains("aac"),
        "{streams}"
    );
}

#[test]
fn one_task_without_a_workflow() {
    let place = Place::new();
    let arguments =
        ["generate", "text-to-image", "a red mug on marble, soft window light", "-n", "2"];
    let small = ["-i", "width=160", "-i", "height=96", "--seed", "5", "-o", "mugs", "--json"];
    let first = place.succeed(&[&arguments[..], &small[..]].concat());
    let lines: Vec<serde_json::Value> =
        first.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["event"] == "attempt_done"));
    assert_eq!(lines.last().unwrap()["status"], "succeeded");
    let read = |name: &str| std::fs::read(place.path("mugs").join(name)).unwrap();
    let (one, two) = (read("images-1.png"), read("images-2.png"));
    assert_ne!(one, two);
    place.succeed(&[&arguments[..], &small[..], &["--no-cache"]].concat());
    assert_eq!((one, two), (read("images-1.png"), read("images-2.png")), "same seed, same bytes");
}

#[test]
fn failures_are_tried_again_and_told() {
    let place = Place::new();
    let arguments = [
        "generate",
        "text-to-image",
        "a candle on slate",
        "-i",
        "width=96",
        "-i",
        "height=64",
        "-o",
        "out",
    ];
    let once = ["--misbehave", "fail=provider_failed,attempt=1"];
    let answer = place.succeed(&[&arguments[..], &once[..]].concat());
    assert!(answer.stderr.contains("attempt 2"), "{}", answer.stderr);
    let always = ["--misbehave", "fail=refused", "--seed", "9"];
    place.refuse(&[&arguments[..], &always[..]].concat(), &["refused", "text-to-image"]);
}

#[test]
fn the_product_film_has_every_step_that_it_promises() {
    let catalog = impasto_catalog::Catalog::embedded().unwrap();
    let text = std::fs::read_to_string(repository_text("workflows/product-film.yaml")).unwrap();
    let (plan, warnings) = impasto_workflow::Plan::compile(&text, &catalog.tasks).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(plan.steps.iter().any(|step| step.name == "render:film"));
}
