//! The queue: places in it, priorities, start deadlines, and what is told when there is no more room.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::client::{PATIENCE, ask, get, picture, post, run, submit, wait_for};
use crate::harness::{Place, Setup};

fn one_at_a_time(settings: &str, latency_ms: u32) -> Place {
    Place::new(Setup {
        settings: settings.to_owned(),
        misbehave: Some(format!("latency_ms={latency_ms}")),
        concurrency: Some(1),
        ..Setup::default()
    })
}

#[test]
fn runs_that_wait_know_their_place_and_the_most_important_goes_first() {
    let place = one_at_a_time("", 1_000);
    let server = place.serve();
    let address = server.address;
    let first = submit(address, &[], &picture(0));
    wait_for(address, &first, "running");
    let later: Vec<String> = (1..=3).map(|number| submit(address, &[], &picture(number))).collect();
    for (place, id) in later.iter().enumerate() {
        let seen = wait_for(address, id, "queued");
        assert_eq!(seen["queue_position"], place, "{seen}");
    }
    let mut urgent = picture(4);
    urgent["priority"] = json!(10);
    let urgent = submit(address, &[], &urgent);
    assert_eq!(wait_for(address, &urgent, "queued")["queue_position"], 0);
    assert_eq!(run(address, &later[0])["queue_position"], 1);
    let begun = |id: &str| wait_for(address, id, "succeeded")["started_ms"].as_u64().unwrap();
    let order: Vec<u64> =
        [&first, &urgent, &later[0], &later[1], &later[2]].map(|id| begun(id)).into();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_tenant_with_little_to_do_does_not_wait_for_one_with_much() {
    let place = one_at_a_time("", 300);
    let tenant = |name: &str| {
        let (_, key) = place.key(&[name, "--tenant", name]);
        format!("Bearer {key}")
    };
    let (busy, modest) = (tenant("busy"), tenant("modest"));
    let server = place.serve();
    let address = server.address;
    let submit_as =
        |key: &str, number: u64| submit(address, &[("authorization", key)], &picture(number));
    let runs_of = |key: &str| {
        let headers = [("authorization", key)];
        let get = |path: &str| ask(address, "GET", path, &headers, b"").unwrap().json();
        let listed = get("/v1/runs?limit=100")["runs"].as_array().unwrap().clone();
        let ids = listed.iter().map(|run| run["id"].as_str().unwrap());
        ids.map(|id| get(&format!("/v1/runs/{id}"))).collect::<Vec<_>>()
    };
    for number in 0..30 {
        submit_as(&busy, number);
    }
    for number in 30..32 {
        submit_as(&modest, number);
    }
    let began = Instant::now();
    while runs_of(&modest).iter().any(|run| run["status"] != "succeeded") {
        assert!(began.elapsed() < PATIENCE, "{:?}", runs_of(&modest));
        std::thread::sleep(Duration::from_millis(20));
    }
    let at = |run: &Json, name: &str| run[name].as_u64();
    let modest = runs_of(&modest);
    let accepted = modest.iter().filter_map(|run| at(run, "created_ms")).max().unwrap();
    let last = modest.iter().filter_map(|run| at(run, "started_ms")).max().unwrap();
    let busy = runs_of(&busy);
    let begun = |from: u64, to: u64| {
        let times = busy.iter().filter_map(|run| at(run, "started_ms"));
        times.filter(|time| (from..to).contains(time)).count()
    };
    // One and one and one; the place that was taken already comes on top.
    assert!(begun(accepted, last) <= 3, "{} of the busy one began before", begun(accepted, last));
    assert!(busy.len() - begun(0, last) > 10, "there was much left to do: {busy:?}");
}

#[test]
fn a_run_that_does_not_start_in_time_is_given_up() {
    let place = one_at_a_time("", 1_500);
    let server = place.serve();
    let address = server.address;
    let first = submit(address, &[], &picture(0));
    wait_for(address, &first, "running");
    let mut hasty = picture(1);
    hasty["start_within_ms"] = json!(300);
    let hasty = submit(address, &[], &hasty);
    let seen = wait_for(address, &hasty, "cancelled");
    assert_eq!(seen["error"]["code"], "timeout", "{seen}");
    assert_eq!(run(address, &first)["status"], "running", "nobody else is hurt");
    let mut patient = picture(2);
    patient["start_within_ms"] = json!(20_000);
    let patient = submit(address, &[], &patient);
    wait_for(address, &patient, "succeeded");
}

#[test]
fn when_there_is_no_room_it_is_said_when_to_come_again() {
    let place = one_at_a_time("[engine]\nruns_max = 3\ncome_again_ms = 1500\n", 400);
    let mut server = place.serve();
    let address = server.address;
    let taken: Vec<String> = (0..3).map(|number| submit(address, &[], &picture(number))).collect();
    let refused = post(address, "/v1/runs", &[("prefer", "respond-async")], &picture(3));
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), Some("2"), "{}", refused.head);
    assert_eq!(refused.json()["retry_after_ms"], 1_500);
    // One that was taken before is still found: that needs no room.
    let known = [("prefer", "respond-async"), ("idempotency-key", "a")];
    assert_eq!(post(address, "/v1/runs", &known, &picture(4)).status, 429);
    for run in &taken {
        wait_for(address, run, "succeeded");
    }
    let again = submit(address, &known, &picture(4));
    wait_for(address, &again, "succeeded");
    assert_eq!(submit(address, &known, &picture(4)), again);
    assert_eq!(get(address, "/v1/runs").json()["runs"].as_array().unwrap().len(), 4);
    server.check_well();
}

#[test]
fn a_start_that_is_missed_while_no_server_runs_is_missed() {
    let place = one_at_a_time("", 700);
    let server = place.serve();
    let address = server.address;
    let first = submit(address, &[], &picture(0));
    wait_for(address, &first, "running");
    let mut hasty = picture(1);
    hasty["start_within_ms"] = json!(600);
    let hasty = submit(address, &[], &hasty);
    let mut patient = picture(2);
    patient["start_within_ms"] = json!(60_000);
    let patient = submit(address, &[], &patient);
    server.kill();
    std::thread::sleep(Duration::from_millis(700));
    let server = place.serve_at(address);
    assert_eq!(wait_for(server.address, &hasty, "cancelled")["error"]["code"], "timeout");
    wait_for(server.address, &first, "succeeded");
    wait_for(server.address, &patient, "succeeded");
}
