//! The gentle end: what is under way is finished if there is time, everything else goes on later.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::client::{ask, connect, get, picture, reply, request, run, submit, wait_for};
use crate::events::{Events, check_whole};
use crate::harness::{Place, Setup};

#[test]
fn what_is_under_way_is_finished_before_the_end() {
    let place = Place::new(Setup {
        misbehave: Some("latency_ms=1000".into()),
        concurrency: Some(8),
        ..Setup::default()
    });
    let server = place.serve();
    let address = server.address;
    let waiting = std::thread::spawn(move || {
        let headers = [("content-type", "application/json")];
        ask(address, "POST", "/v1/runs", &headers, picture(1).to_string().as_bytes())
    });
    let followed = submit(address, &[], &picture(2));
    let events = Events::of(address, &followed, None).unwrap();
    let listening = std::thread::spawn(move || events.all());
    std::thread::sleep(Duration::from_millis(300));
    server.signal(Signal::TERM);
    let answer = waiting.join().unwrap().unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("succeeded")));
    check_whole(&listening.join().unwrap());
    assert_eq!(server.ended(), Some(0));
    let server = place.serve();
    assert_eq!(run(server.address, &followed)["status"], "succeeded");
}

#[test]
fn what_cannot_be_finished_in_time_goes_on_when_a_server_starts_again() {
    let place = Place::new(Setup {
        settings: "[server]\ndrain_ms = 500\n".into(),
        misbehave: Some("latency_ms=1500".into()),
        concurrency: Some(2),
        ..Setup::default()
    });
    let server = place.serve();
    let runs: Vec<String> =
        (0..8).map(|number| submit(server.address, &[], &picture(number))).collect();
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    server.signal(Signal::TERM);
    let address = server.address;
    assert_eq!(server.ended(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(ask(address, "GET", "/health", &[], b"").is_err(), "nobody listens any more");
    let mut server = place.serve_at(address);
    for run in &runs {
        wait_for(server.address, run, "succeeded");
        check_whole(&Events::of(server.address, run, None).unwrap().all());
    }
    server.check_well();
}

#[test]
fn a_server_that_is_ending_takes_nothing_new_and_says_so() {
    let place = Place::new(Setup { misbehave: Some("latency_ms=1500".into()), ..Setup::default() });
    let server = place.serve();
    let address = server.address;
    assert_eq!(get(address, "/ready").json()["ready"], true);
    let taken = submit(address, &[], &picture(1));
    // A request that has begun before the end is still read, and told that it comes too late.
    let headers = [("content-type", "application/json")];
    let late = request("POST", "/v1/runs", &headers, picture(2).to_string().as_bytes());
    let mut open = connect(address).unwrap();
    open.write_all(&late[..late.len() / 2]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    open.write_all(&late[late.len() / 2..]).unwrap();
    let told = reply(&mut open).unwrap();
    assert_eq!((told.status, told.code().as_str()), (503, "unavailable"), "{}", told.text());
    assert!(ask(address, "GET", "/ready", &[], b"").is_err());
    assert_eq!(server.ended(), Some(0));
    let server = place.serve();
    let runs = get(server.address, "/v1/runs").json()["runs"].as_array().unwrap().clone();
    assert_eq!((runs.len(), &runs[0]["id"]), (1, &json!(taken)));
    assert_eq!(runs[0]["status"], "succeeded");
}
