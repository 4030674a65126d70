//! Workflows that wait for a person: a run stops, and goes on with a yes or fails with a no.

use crate::harness::Place;

const FLOW: &str = "\
workflow: looked-at
version: 1
steps:
  draft:
    task: text-to-image
    input: { prompt: a red mug, width: 64, height: 64 }
  look:
    approve: Is this the mug?
    show: { picture: \"{{ steps.draft.images[0] }}\" }
  large:
    when: \"{{ steps.look.approved }}\"
    task: resize-image
    input: { image: \"{{ steps.draft.images[0] }}\", width: 96 }
outputs:
  picture: { value: \"{{ steps.large.image }}\", file: mug.png }
  said: { value: \"{{ steps.look.note }}\" }
";

/// Runs it up to the question, and gives the run.
fn asked(place: &Place) -> String {
    let flow = place.write("flow.yaml", FLOW).to_string_lossy().into_owned();
    let stopped = place.run(&["run", &flow, "-o", "out"]);
    assert_eq!(stopped.code, 3, "{}\n{}", stopped.stdout, stopped.stderr);
    let runs = place.succeed(&["runs", "--json"]).json();
    assert_eq!(runs[0]["status"], "parked");
    let run = runs[0]["run"].as_str().unwrap().to_owned();
    let told = format!("{}{}", stopped.stdout, stopped.stderr);
    for part in ["Is this the mug?", "look", "impasto approve", &run] {
        assert!(told.contains(part), "'{part}' is missing in:\n{told}");
    }
    run
}

/// How many attempts there were of each step that does something.
fn attempts(place: &Place, run: &str) -> Vec<usize> {
    let report = place.succeed(&["show", run, "--json"]).json();
    let steps = report["steps"].as_array().unwrap().iter();
    let work = steps.filter(|step| !step["task"].is_null());
    work.map(|step| step["attempts"].as_array().unwrap().len()).collect()
}

#[test]
fn a_yes_goes_on_with_the_run() {
    let place = Place::new();
    let run = asked(&place);
    assert!(!place.path("out/mug.png").exists());
    place.succeed(&["approve", &run[..6], "look", "--note", "the left one", "-o", "out"]);
    assert!(place.path("out/mug.png").exists());
    let report = std::fs::read(place.path("out/run.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["status"], "succeeded");
    assert!(report.to_string().contains("the left one"), "{report}");
    assert_eq!(
        attempts(&place, &run),
        [1, 1],
        "what was done before the question is not done again"
    );
    place.refuse(&["approve", &run, "look"], &["look"]);
}

#[test]
fn a_no_fails_the_run_and_resuming_asks_again() {
    let place = Place::new();
    let run = asked(&place);
    let refused = place.run(&["approve", &run, "look", "--reject", "--note", "too dark"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let told = format!("{}{}", refused.stdout, refused.stderr);
    assert!(told.contains("too dark") && !told.contains("panicked"), "{told}");
    assert_eq!(place.succeed(&["runs", "--json"]).json()[0]["status"], "failed");
    assert_eq!(place.run(&["resume", &run, "-o", "out"]).code, 3, "it is asked again");
    place.succeed(&["approve", &run, "look", "-o", "out"]);
    assert!(place.path("out/mug.png").exists());
    assert_eq!(attempts(&place, &run), [1, 1]);
}

#[test]
fn what_nobody_asked_cannot_be_answered() {
    let place = Place::new();
    let run = asked(&place);
    place.refuse(&["approve", &run, "draft"], &["draft"]);
    place.refuse(&["approve", &run, "nonesuch"], &["nonesuch"]);
    place.refuse(&["approve", "zzzz", "look"], &["zzzz"]);
    assert_eq!(place.run(&["resume", &run]).code, 3, "it still waits");
}
