//! The log as data: each line is one object, and says everything once.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value as Json;

use crate::client::{picture, post};
use crate::harness::{Place, Setup};

/// The next line, read as an object.
fn next(log: &mut impl BufRead) -> Json {
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let read: Json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(line.matches("\"message\":").count(), 1, "{line}");
    read
}

fn message(line: &Json) -> &str {
    line["message"].as_str().unwrap()
}

#[test]
fn every_line_of_the_log_is_an_object_from_the_start_on() {
    // Nothing can be called, so that calls fail.
    let settings = "[server]\ncalls_max = 0\n".to_owned();
    let place = Place::new(Setup { settings, ..Setup::default() });
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--log", "json"]);
    command.env("RUST_LOG", "info").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let first = next(&mut log);
    let address = message(&first).split_once("http://").unwrap().1.split(' ').next().unwrap();
    assert!(message(&next(&mut log)).contains("There is no key"));
    let address = address.parse().unwrap();
    for path in ["/v1/runs", "/openai/v1/images/generations", "/elevenlabs/v1/music"] {
        assert_eq!(post(address, path, &[], &picture(1)).status, 503);
        let failed = next(&mut log);
        assert_eq!(message(&failed), "a call failed");
        assert_eq!(failed["error"], "too many calls are under way");
        assert_eq!(next(&mut log)["path"], path);
    }
    server.kill().unwrap();
    server.wait().unwrap();
}
