//! Every wait and every body ends.

use std::time::{Duration, Instant};

use impasto_net::{Cause, Grade, Limits, NetError, NetOptions, Request, Stage};

use crate::place::{Act, Place, client, open_client, options, say};

const SMALL: Limits = Limits {
    total_ms: 3_000,
    idle_ms: 300,
    body_bytes_max: 1_000,
    bytes_per_second_min: 0,
    slow_start_ms: 0,
};

async fn read(place: &Place, limits: Limits) -> Result<usize, NetError> {
    let request = Request::get(&place.url("/"), Grade::Foreign).unwrap().limits(limits);
    let mut response = open_client().send(request).await?;
    Ok(response.bytes().await?.len())
}

async fn check(script: Vec<Act>, limits: Limits, wanted: Result<usize, (Cause, Stage)>) {
    let shown = format!("{script:?}").chars().take(200).collect::<String>();
    let place = Place::always(script).await;
    let began = Instant::now();
    let given = read(&place, limits).await.map_err(|error| (error.cause, error.stage));
    assert_eq!(given, wanted, "{shown}");
    assert!(began.elapsed() < Duration::from_secs(3), "{shown}");
}

fn body(head: &str, body: &str) -> Vec<Act> {
    vec![Act::Hear, say(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))]
}

#[tokio::test]
async fn a_body_is_as_large_as_its_limit_at_most_whatever_it_says_of_itself() {
    let (fits, large) = ("x".repeat(1_000), "x".repeat(1_001));
    let too_large = Err((Cause::TooLarge, Stage::Answered(200)));
    let broken = Err((Cause::Broken, Stage::Answered(200)));
    check(body("content-length: 1000", &fits), SMALL, Ok(1_000)).await;
    check(body("content-length: 1001", &large), SMALL, too_large).await;
    // Refused by its head, before anything of it has come.
    check(body("content-length: 9999999999999", ""), SMALL, too_large).await;
    // More than was told is not part of it; less is a broken answer.
    check(body("content-length: 10", &large), SMALL, Ok(10)).await;
    check(body("content-length: 900", "short"), SMALL, broken).await;
    let chunked = |size: &str, body: &str| format!("{size}\r\n{body}\r\n0\r\n\r\n");
    let head = "transfer-encoding: chunked";
    check(body(head, &chunked("3e8", &fits)), SMALL, Ok(1_000)).await;
    check(body(head, &chunked("3e9", &large)), SMALL, too_large).await;
    check(body(head, "3e8\r\nshort"), SMALL, broken).await;
    check(body(head, &chunked("ffffffffffffffff", &large)), SMALL, too_large).await;
    check(body(head, &chunked("fffffffffffffffff", &large)), SMALL, broken).await;
    check(body(head, &chunked("-1", &large)), SMALL, broken).await;
    // Told by the end of the connection.
    check(body("connection: close", &fits), SMALL, Ok(1_000)).await;
    check(body("connection: close", &large), SMALL, too_large).await;
}

#[tokio::test]
async fn two_lengths_are_no_answer() {
    let garbled = Err((Cause::Garbled, Stage::Unanswered));
    check(body("content-length: 3\r\ncontent-length: 5", "hello"), SMALL, garbled).await;
    check(body("content-length: -3", "hello"), SMALL, garbled).await;
}

#[tokio::test]
async fn a_head_has_its_limit_too() {
    let options = NetOptions { head_bytes_max: 8 << 10, ..options() };
    let place = Place::always(body(&format!("x-long: {}", "y".repeat(20_000)), "")).await;
    let request = Request::get(&place.url("/"), Grade::Foreign).unwrap();
    let error = client(options, &["127.0.0.1"]).send(request).await.unwrap_err();
    assert_eq!((error.cause, error.stage), (Cause::Garbled, Stage::Unanswered), "{error}");
}

#[tokio::test]
async fn who_drips_is_left() {
    let slow = |stage| Err((Cause::TooSlow, stage));
    let drip =
        |text: &str, apart| Act::Drip(text.as_bytes().to_vec(), Duration::from_millis(apart));
    let head = || say("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n");
    let long = "x".repeat(900);
    // The head by bytes.
    let limits = Limits { total_ms: 400, ..SMALL };
    let script = vec![Act::Hear, drip("HTTP/1.1 200 OK\r\nx-long: yyyyyyyyyyyyyyyyy", 50)];
    check(script, limits, slow(Stage::Unanswered)).await;
    // The body by bytes, each soon enough: the whole has a limit.
    check(vec![Act::Hear, head(), drip(&long, 50)], limits, slow(Stage::Answered(200))).await;
    // And so has the pace.
    let paced = Limits { bytes_per_second_min: 100, slow_start_ms: 100, ..SMALL };
    check(vec![Act::Hear, head(), drip(&long, 50)], paced, slow(Stage::Answered(200))).await;
    // And each wait.
    let pause = Act::Wait(Duration::from_secs(5));
    check(vec![Act::Hear, head(), pause.clone()], SMALL, slow(Stage::Answered(200))).await;
    check(vec![Act::Hear, pause.clone()], limits, slow(Stage::Unanswered)).await;
    check(vec![pause], limits, slow(Stage::Unanswered)).await;
    // One who is slow within the limits is heard to the end.
    let fine =
        vec![Act::Hear, say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), drip("hello", 50)];
    check(fine, SMALL, Ok(5)).await;
}

#[tokio::test]
async fn the_time_that_the_reader_takes_is_not_held_against_the_other_side() {
    let script = vec![
        Act::Hear,
        say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"),
        Act::Wait(Duration::from_millis(50)),
        say("b"),
    ];
    let place = Place::always(script).await;
    let limits = Limits { bytes_per_second_min: 1_000, slow_start_ms: 500, ..SMALL };
    let request = Request::get(&place.url("/"), Grade::Foreign).unwrap().limits(limits);
    let mut response = open_client().send(request).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "a");
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "b");
    assert_eq!(response.chunk().await.unwrap(), None);
}
