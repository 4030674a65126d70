//! What a call through the server costs, beside other gateways that do the same.
//!
//! `cargo run --release -p impasto --example server_against_peers` prints one JSON object a line. A mock
//! of a provider, one gateway at a time and the load run as processes on one core, over loopback with
//! connections that stay open. Ours has keys, ledger and journal on, on a disk; every call is another one,
//! so nothing comes from a cache. Peers are programs that `cargo xtask bench server` installed under
//! `target/bench`; one that is not there leaves its place empty.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of figures ends with what went wrong"
)]

mod gateway;
mod load;
mod mock;
mod peers;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use load::Outcome;
use peers::Target;

/// The core on which everything runs.
const CORE: &str = "1";
/// How long a line is measured, after a warm-up.
const SECONDS: f64 = 3.0;
/// Calls in flight at once in the burst; the mock answers after two seconds.
const BURST: usize = 200;
/// How long a program may take to listen.
const START: Duration = Duration::from_secs(60);
/// Clock ticks in a second, as Linux counts processor time for programs.
const TICKS: f64 = 100.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["mock", port] => block_on(mock::serve(port.parse().unwrap())),
        ["gateway", port, upstream, data] => {
            block_on(gateway::serve(port.parse().unwrap(), upstream, Path::new(data)));
        }
        ["load", target, mode] => {
            let target: Target = serde_json::from_str(target).unwrap();
            let outcome = block_on(load::run(&target, mode));
            println!("{}", serde_json::to_string(&outcome).unwrap());
        }
        [] => measure_all(),
        _ => eprintln!("this program takes nothing"),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// A program that runs. Dropping it ends it.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts a program on the one core, and waits until it listens.
pub(crate) fn start(
    mut command: Vec<String>,
    environment: &[(&str, String)],
    port: u16,
) -> Option<Running> {
    command.splice(0..0, ["taskset", "-c", CORE].map(str::to_owned));
    let (program, rest) = command.split_first()?;
    let mut child = Command::new(program);
    child.args(rest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    child.envs(environment.iter().map(|(name, value)| (name, value)));
    let running = Running(child.spawn().ok()?);
    let deadline = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(running)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// This program again, in another role.
pub(crate) fn myself(words: &[&str]) -> Vec<String> {
    let me = std::env::current_exe().unwrap().display().to_string();
    std::iter::once(me).chain(words.iter().map(|word| (*word).to_owned())).collect()
}

/// Processor time of a process and everything that it started, in seconds, so far.
fn processor_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let of = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let own = (of(11) + of(12)) / TICKS;
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    own + children.map(processor_seconds).sum::<f64>()
}

/// One mode of load against one target, and what each call cost the gateway.
fn measure(target: &Target, gateway: Option<&Running>, mode: &str) -> (Outcome, f64) {
    let words = serde_json::to_string(target).unwrap();
    let command = myself(&["load", &words, mode]);
    let used = |gateway: &Running| processor_seconds(gateway.0.id());
    let before = gateway.map(used);
    let output = Command::new("taskset").args(["-c", CORE]).args(command).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome: Outcome = serde_json::from_slice(&output.stdout).unwrap();
    let spent = gateway.zip(before).map_or(0.0, |(gateway, before)| used(gateway) - before);
    let calls = outcome.all_calls.max(1) as f64;
    (outcome, spent / calls)
}

/// Everything about one target.
struct Figures {
    name: String,
    /// Processor seconds of the gateway for a call with a small and with a large answer.
    small_cpu: f64,
    large_cpu: f64,
    /// Milliseconds at one connection.
    median_ms: f64,
    tail_ms: f64,
    /// Calls a second of the whole core, at 16 and at 64 connections.
    rate_16: f64,
    rate_64: f64,
    /// Milliseconds to the first byte of speech.
    speech_ms: f64,
    /// Milliseconds from where the provider sent that byte.
    forwarded_ms: f64,
    /// Milliseconds that the slowest of the burst took.
    burst_ms: f64,
    failures: u64,
}

fn figures(name: &str, target: &Target, gateway: Option<&Running>) -> Figures {
    eprintln!("measuring {name}");
    let one = measure(target, gateway, "small 1").0;
    let (sixteen, small_cpu) = measure(target, gateway, "small 16");
    let many = measure(target, gateway, "small 64").0;
    let (large, large_cpu) = measure(target, gateway, "large 8");
    let speech = measure(target, gateway, "speech 1").0;
    // A gateway that gives no speech has no figure of it.
    let of_speech = |ms: f64| if speech.calls > 0 { ms } else { f64::NAN };
    let burst = measure(target, gateway, "burst").0;
    let failures =
        [&one, &sixteen, &many, &large, &speech, &burst].iter().map(|it| it.failures).sum();
    Figures {
        name: name.to_owned(),
        small_cpu,
        large_cpu,
        median_ms: one.median_ms,
        tail_ms: one.tail_ms,
        rate_16: sixteen.a_second,
        rate_64: many.a_second,
        speech_ms: of_speech(speech.first_ms),
        forwarded_ms: of_speech(speech.forwarded_ms),
        burst_ms: burst.tail_ms,
        failures,
    }
}

fn measure_all() {
    let port = free_port();
    let _mock =
        start(myself(&["mock", &port.to_string()]), &[], port).expect("taskset and the mock");
    let upstream = format!("http://127.0.0.1:{port}");
    let direct = figures("direct", &Target::direct(port), None);
    let folder = tempfile::tempdir_in(".").unwrap();
    let mut all = Vec::new();
    for peer in peers::all(&upstream, folder.path()) {
        let gateway =
            peer.command.and_then(|command| start(command, &peer.environment, peer.target.port));
        all.push(match gateway {
            Some(gateway) => Ok(figures(peer.name, &peer.target, Some(&gateway))),
            None => Err(peer.name),
        });
    }
    let ours = all.remove(0).expect("our own server");
    assert_eq!(ours.failures, 0, "calls through our own server failed");
    let peers: Vec<(&str, Option<&Figures>)> = all
        .iter()
        .map(|peer| match peer {
            Ok(figures) => (figures.name.as_str(), Some(figures)),
            Err(name) => (*name, None),
        })
        .collect();
    print_rows(&ours, &direct, &peers);
}

type Read = fn(&Figures, &Figures) -> f64;

/// What is told: its name, its unit, the aim that the project set itself, and how it is read of a gateway
/// and of the calls that go straight to the mock.
const ROWS: &[(&str, &str, Option<f64>, Read)] = &[
    ("processor time of a call, answer of 1 KB, 16 connections", "µs", Some(150.0), |it, _| {
        it.small_cpu * 1e6
    }),
    ("processor time of a call, answer of 1 MB, 8 connections", "ms", Some(1.5), |it, _| {
        it.large_cpu * 1e3
    }),
    ("added to the median call, one connection", "ms", Some(0.2), |it, direct| {
        it.median_ms - direct.median_ms
    }),
    ("added to the slowest in a hundred, one connection", "ms", Some(1.0), |it, direct| {
        it.tail_ms - direct.tail_ms
    }),
    ("calls a second, 16 connections, one core for all three programs", "", None, |it, _| {
        it.rate_16
    }),
    ("calls a second, 64 connections, one core for all three programs", "", None, |it, _| {
        it.rate_64
    }),
    (
        "added to the first byte of speech on its way, median, one connection",
        "ms",
        Some(1.0),
        |it, direct| it.forwarded_ms - direct.forwarded_ms,
    ),
    ("added to the first byte of speech since the call, median", "ms", Some(1.0), |it, direct| {
        it.speech_ms - direct.speech_ms
    }),
    (
        "added to the slowest in a hundred of 200 calls at once, provider needs 2 s",
        "ms",
        Some(20.0),
        |it, direct| it.burst_ms - direct.burst_ms,
    ),
];

fn print_rows(ours: &Figures, direct: &Figures, peers: &[(&str, Option<&Figures>)]) {
    let row = |name: &str, unit: &str, value: f64, beside: (&str, Option<f64>)| {
        let figure = json!({
            "figure": name, "unit": unit, "ours": rounded(value),
            "peer": beside.1.map_or(Json::Null, rounded), "peer_name": beside.0,
        });
        println!("{figure}");
    };
    for (name, unit, aim, read) in ROWS {
        let value = read(ours, direct);
        match aim {
            Some(aim) => row(name, unit, value, ("aim", Some(*aim))),
            None => row(name, unit, value, ("no gateway", Some(read(direct, direct)))),
        }
        for (peer, figures) in peers {
            row(name, unit, value, (peer, figures.map(|figures| read(figures, direct))));
        }
    }
    for (peer, figures) in peers {
        if let Some(figures) = figures.filter(|figures| figures.failures > 0) {
            eprintln!("{peer}: {} calls failed", figures.failures);
        }
    }
}

fn rounded(value: f64) -> Json {
    json!((value * 1000.0).round() / 1000.0)
}
