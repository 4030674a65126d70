//! Many who listen and to whom nothing happens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::client::{PATIENCE, connect, get, picture, request, submit};
use crate::harness::{Place, Setup};

/// File descriptors that are needed for other things.
const SPARE: u64 = 200;

/// Lets this process, and those that it starts, open as many files as it may; answers how many.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _as_it_was = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Begins to listen; the first event has been heard when this returns.
fn listen(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = connect(address).unwrap();
    stream.write_all(request).unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !seen.windows(12).any(|part| part == b"event: start") {
        let count = stream.read(&mut piece).unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
    stream
}

/// So many listeners to one run that goes on for ever. Gives the memory of each in bytes, if known.
fn crowd(place: &Place, count: usize) -> Option<u64> {
    let mut server = place.serve();
    let address = server.address;
    let run = submit(address, &[], &picture(1));
    let request = request("GET", &format!("/v1/runs/{run}/events"), &[], b"");
    // What the first ones cost is no measure of one.
    let mut crowd: Vec<TcpStream> = (0..20).map(|_| listen(address, &request)).collect();
    let (before, began) = (server.memory_bytes(), Instant::now());
    crowd.extend((0..count).map(|_| listen(address, &request)));
    println!("{count} listeners after {:?}", began.elapsed());
    let began = Instant::now();
    server.check_well();
    println!("health is answered after {:?}", began.elapsed());
    let after = server.memory_bytes();
    let figures = get(address, "/metrics").text();
    assert!(figures.contains(&format!("impasto_event_listeners {}", count + 20)), "{figures}");
    // A sign of life comes now and then.
    for stream in crowd.iter_mut().step_by(97) {
        assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
    }
    drop(crowd);
    let began = Instant::now();
    while !get(address, "/metrics").text().contains("impasto_event_listeners 0") {
        assert!(began.elapsed() < PATIENCE, "those who went are still counted");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(after?.saturating_sub(before?) / count as u64)
}

fn place(keep_alive_ms: u64) -> Place {
    Place::new(Setup {
        settings: format!("[server]\nkeep_alive_ms = {keep_alive_ms}\n"),
        misbehave: Some("hang".into()),
        ..Setup::default()
    })
}

#[test]
fn listeners_are_kept_alive_counted_and_let_go() {
    crowd(&place(1_000), 200);
}

/// As many as this machine lets one process have connections, and no more than ten thousand.
#[test]
fn ten_thousand_listeners_cost_little() {
    let count = raise_limit().saturating_sub(SPARE).min(10_000) as usize;
    let bytes = crowd(&place(5_000), count);
    println!("{count} idle listeners: {bytes:?} bytes for each");
    assert!(bytes.is_none_or(|bytes| bytes < 50_000), "{bytes:?}");
}
