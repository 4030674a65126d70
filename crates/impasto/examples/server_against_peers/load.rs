//! The load: so many connections that stay open, each with one call at a time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mock::since_sent;
use crate::peers::Target;
use crate::{BURST, SECONDS};

/// How long the load runs before anything is measured.
const WARM_UP: Duration = Duration::from_millis(700);

/// What came of it.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Calls that were measured, and those of the warm-up too.
    pub(crate) calls: u64,
    pub(crate) all_calls: u64,
    pub(crate) failures: u64,
    pub(crate) a_second: f64,
    pub(crate) median_ms: f64,
    pub(crate) tail_ms: f64,
    /// To the first byte that is not of the head.
    pub(crate) first_ms: f64,
    /// From where the provider sent it to here, for the first piece of speech.
    pub(crate) forwarded_ms: f64,
}

/// How a call went.
struct Line {
    whole: Duration,
    first: Duration,
    forwarded: Duration,
    is_measured: bool,
    is_good: bool,
}

/// Runs a mode: `small N`, `large N`, `speech N` or `burst`.
pub(crate) async fn run(target: &Target, mode: &str) -> Outcome {
    let target = Arc::new(target.clone());
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut lines = Vec::new();
    let (model, connections, is_burst) = match mode.split_once(' ') {
        Some((model, connections)) => (model.to_owned(), connections.parse().unwrap(), false),
        None => ("slow".to_owned(), BURST, true),
    };
    for _ in 0..connections {
        let (target, count, model) = (Arc::clone(&target), Arc::clone(&count), model.clone());
        lines.push(tokio::spawn(
            async move { line(&target, &model, is_burst, begun, &count).await },
        ));
    }
    let mut all: Vec<Line> = Vec::new();
    for line in lines {
        all.extend(line.await.unwrap());
    }
    let measured = |time: fn(&Line) -> Duration| {
        let lines = all.iter().filter(|line| line.is_measured && line.is_good);
        let mut times: Vec<f64> = lines.map(|line| time(line).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (times, firsts) = (measured(|line| line.whole), measured(|line| line.first));
    let forwarded = measured(|line| line.forwarded);
    let at = |times: &[f64], part: f64| {
        times.get(((times.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0)
    };
    Outcome {
        calls: times.len() as u64,
        all_calls: all.len() as u64,
        failures: all.iter().filter(|line| !line.is_good).count() as u64,
        a_second: times.len() as f64 / SECONDS,
        median_ms: at(&times, 0.5),
        tail_ms: at(&times, 0.99),
        first_ms: at(&firsts, 0.5),
        forwarded_ms: at(&forwarded, 0.5),
    }
}

/// One connection, and how each of its calls went.
async fn line(
    target: &Target,
    model: &str,
    is_burst: bool,
    begun: Instant,
    count: &AtomicU64,
) -> Vec<Line> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, target.port)).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut calls = Vec::new();
    let end = begun + WARM_UP + Duration::from_secs_f64(SECONDS);
    let mut gathered = Vec::new();
    while is_burst && calls.is_empty() || !is_burst && Instant::now() < end {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let request = target.request(model, number);
        let asked = Instant::now();
        connection.write_all(request.as_bytes()).await.unwrap();
        let answered = answer(&mut connection, &mut gathered).await;
        let (whole, is_measured) = (asked.elapsed(), is_burst || asked > begun + WARM_UP);
        let is_open = answered.is_some();
        let Answer { is_good, first, forwarded } = answered.unwrap_or(Answer::none(asked));
        calls.push(Line { whole, first: first - asked, forwarded, is_measured, is_good });
        if !is_open {
            connection = TcpStream::connect((Ipv4Addr::LOCALHOST, target.port)).await.unwrap();
            gathered.clear();
        }
    }
    calls
}

/// How an answer came.
struct Answer {
    is_good: bool,
    /// When its body began.
    first: Instant,
    /// How long what is first in it was under way.
    forwarded: Duration,
}

impl Answer {
    fn none(asked: Instant) -> Self {
        Self { is_good: false, first: asked, forwarded: Duration::ZERO }
    }
}

/// Reads one answer. `None` if the connection ended.
async fn answer(connection: &mut TcpStream, gathered: &mut Vec<u8>) -> Option<Answer> {
    gathered.clear();
    let mut begun = None;
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = connection.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        gathered.extend_from_slice(&piece[..read]);
        let Some(end) = gathered.windows(4).take(8_192).position(|window| window == b"\r\n\r\n")
        else {
            continue;
        };
        let head = String::from_utf8_lossy(&gathered[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let is_whole = match length.and_then(|text| text.trim().parse::<usize>().ok()) {
            Some(length) => gathered.len() >= end + 4 + length,
            None => gathered.ends_with(b"0\r\n\r\n"),
        };
        if gathered.len() > end + 4 {
            let forwarded = || since_sent(&gathered[end..]).unwrap_or_default();
            begun.get_or_insert_with(|| (Instant::now(), forwarded()));
        }
        if is_whole {
            let (first, forwarded) = begun?;
            let is_good = head.starts_with("http/1.1 200");
            return Some(Answer { is_good, first, forwarded });
        }
    }
}
