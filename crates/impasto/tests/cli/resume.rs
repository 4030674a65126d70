//! Pulling the plug: kill -9 and Ctrl-C half-way, then `resume`.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::film::SMALL_FILM;
use crate::harness::{Place, small_photo};

/// Begins a slow film.
fn begin(place: &Place) -> Child {
    begin_with(place, "latency_ms=400")
}

/// Begins a film whose offline models misbehave so.
fn begin_with(place: &Place, misbehave: &str) -> Child {
    let workflow = place.write("film.yaml", SMALL_FILM).to_string_lossy().into_owned();
    let photo = format!("photo=@{}", place.write("photo.png", small_photo()).display());
    let arguments = ["run", &workflow, "-i", &photo, "-o", "out", "--misbehave", misbehave];
    place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until so many attempts of the newest run have been started.
fn wait_for_attempts(place: &Place, wanted: u64) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        let runs = place.run(&["runs", "--json"]).json();
        if let Some(run) = runs.get(0).and_then(|run| run["run"].as_str()) {
            let report = place.run(&["show", run, "--json"]).json();
            if report["totals"]["attempts"].as_u64() >= Some(wanted) {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the run never made {wanted} attempts");
}

/// How often each step instance was finished, over the whole history of the run.
fn finished(report: &serde_json::Value) -> BTreeMap<String, usize> {
    let steps = report["steps"].as_array().unwrap().iter();
    let done = |step: &serde_json::Value| {
        let attempts = step["attempts"].as_array().unwrap().iter();
        attempts.filter(|attempt| attempt["result"]["result"] == "done").count()
    };
    steps
        .filter(|step| !step["task"].is_null())
        .map(|step| (step["key"].to_string(), done(step)))
        .collect()
}

fn check_finished(place: &Place) {
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("out/run.json")).unwrap()).unwrap();
    assert_eq!(report["status"], "succeeded");
    for (step, times) in finished(&report) {
        assert_eq!(times, 1, "{step} was finished {times} times");
    }
    for step in report["steps"].as_array().unwrap() {
        let numbers: Vec<u64> = step["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["number"].as_u64().unwrap())
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "attempt numbers of {step}");
    }
    assert!(place.path("out/film.mp4").exists());
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let place = Place::new();
    let mut child = begin(&place);
    wait_for_attempts(&place, 4);
    child.kill().unwrap();
    child.wait().unwrap();
    let runs = place.succeed(&["runs", "--json"]).json();
    assert_eq!(runs[0]["status"], "interrupted");
    let run = runs[0]["run"].as_str().unwrap();
    let shown = place.succeed(&["show", run]).stdout;
    assert!(shown.contains("interrupted: its process ended"), "{shown}");
    place.succeed(&["resume", "-o", "out"]);
    check_finished(&place);
    // What was under way is shown as what it is: it did not fail, and it was not done.
    let shown = place.succeed(&["show", run]).stdout;
    assert!(shown.contains("void: the process ended"), "{shown}");
    assert!(!shown.contains("failed"), "{shown}");
    place.refuse(&["resume"], &["no unfinished run"]);
}

#[test]
fn ctrl_c_stops_cleanly_and_the_run_can_be_resumed() {
    let place = Place::new();
    let mut child = begin(&place);
    wait_for_attempts(&place, 3);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.succeed(&["resume", "-o", "out"]);
    check_finished(&place);
}

#[test]
fn a_run_is_cancelled_from_elsewhere() {
    let place = Place::new();
    // The film is never done: however slow this machine is, it is under way when it is cancelled.
    let mut child = begin_with(&place, "hang");
    wait_for_attempts(&place, 2);
    let runs = place.succeed(&["runs", "--json"]).json();
    place.succeed(&["cancel", runs[0]["run"].as_str().unwrap()]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let runs = place.succeed(&["runs", "--json"]).json();
    assert_eq!(runs[0]["status"], "cancelled");
    place.refuse(&["resume", runs[0]["run"].as_str().unwrap()], &["cancelled"]);
}
