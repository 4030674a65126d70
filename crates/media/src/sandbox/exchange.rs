//! Between parent and child: the request is one argument, the file comes in on standard input, and
//! the answer goes out on standard output as a line of JSON with the bytes after it. A line before
//! that may ask for more time, up to a limit that the parent knows.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use impasto_domain::{Error, ErrorKind, MediaFacts, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Encoding, Ffmpeg, Imported, Sandbox};
use crate::limits::Limits;

/// What the child is to do, apart from the bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) limits: Limits,
    /// Present if ffmpeg is to do the decoding.
    pub(super) ffmpeg: Option<Ffmpeg>,
    /// Whether it may be a film that is to be decoded without ffmpeg.
    pub(super) own_film: bool,
    /// Whether it is a drawing, which only a provider may send.
    pub(super) drawing: bool,
    /// What ffmpeg is to encode; then there is no file and no answer.
    #[serde(default)]
    pub(super) encoding: Option<Encoding>,
}

impl Request {
    pub(super) fn memory_bytes(&self) -> u64 {
        if self.ffmpeg.is_some() {
            self.limits.ffmpeg_memory_bytes
        } else if self.own_film {
            self.limits.film_memory_bytes
        } else {
            self.limits.memory_bytes
        }
    }

    /// The time that the child has if it does not ask for more.
    fn wall_ms(&self) -> u64 {
        if self.ffmpeg.is_some() { self.limits.ffmpeg_wall_ms } else { self.limits.wall_ms }
    }

    /// The most time that the child can ask for.
    pub(super) fn most_wall_ms(&self) -> u64 {
        if self.own_film { self.limits.film_wall_ms.max(self.wall_ms()) } else { self.wall_ms() }
    }
}

/// The first line of an answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Heading {
    /// The header says that it takes this long, from the start. Another heading follows.
    Takes { wall_ms: u64 },
    /// The normalised file follows.
    Done { media_type: String, facts: MediaFacts, missing_fences: Vec<String> },
    /// Nothing follows.
    Failed(Error),
}

/// The longest heading that is read.
const MOST_HEADING_BYTES: usize = 64 * 1024;

/// How often the child is looked at while it works.
const LOOK_EVERY: Duration = Duration::from_millis(2);

fn broken(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the sandbox cannot be {what}: {error}"))
}

/// A child that is asked this, and the folder in which it runs.
pub(super) fn child(sandbox: &Sandbox, request: &Request) -> Result<(Command, TempDir)> {
    let folder = tempfile::tempdir().map_err(|error| broken("given a folder", &error))?;
    let request = serde_json::to_string(request).map_err(|error| broken("asked", &error))?;
    let mut command = Command::new(&sandbox.program);
    command
        .args(&sandbox.args)
        .arg(request)
        .env_clear()
        .current_dir(folder.path())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok((command, folder))
}

pub(super) fn call(sandbox: &Sandbox, request: &Request, bytes: &[u8]) -> Result<Imported> {
    let (mut command, _folder) = child(sandbox, request)?;
    let mut child = command.spawn().map_err(|error| broken("started", &error))?;
    let pipes = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(output)) = pipes else {
        return Err(broken("reached", &"it has no pipes"));
    };
    let most = sandbox.limits.output_bytes.saturating_add(MOST_HEADING_BYTES as u64);
    let clock = Clock { start: Instant::now(), wall_ms: AtomicU64::new(request.wall_ms()) };
    let (status, answer) = thread::scope(|scope| {
        // A child that dies early breaks the pipe: what it said, or how it died, tells more.
        scope.spawn(move || {
            let _ = input.write_all(bytes);
        });
        let reader = scope.spawn(|| listen(output, most, request, &clock));
        let status = wait(&mut child, &clock);
        (status, reader.join().unwrap_or(None))
    });
    match status? {
        Some(status) if status.success() => read_answer(answer),
        Some(status) => Err(how_it_died(status, request, &clock)),
        None => Err(out_of_time(&clock)),
    }
}

/// How long the child has.
struct Clock {
    start: Instant,
    wall_ms: AtomicU64,
}

impl Clock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.start.elapsed() >= Duration::from_millis(self.wall_ms())
    }
}

/// Reads what the child says: the heading of its answer, and the bytes after it.
fn listen(
    output: ChildStdout,
    most: u64,
    request: &Request,
    clock: &Clock,
) -> Option<(Heading, Vec<u8>)> {
    let mut output = BufReader::new(output);
    let mut next_heading = || -> Option<Heading> {
        let mut line = Vec::new();
        let taken = MOST_HEADING_BYTES as u64;
        output.by_ref().take(taken).read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    };
    let heading = match next_heading()? {
        Heading::Takes { wall_ms } => {
            clock.wall_ms.store(wall_ms.min(request.most_wall_ms()), Ordering::Relaxed);
            next_heading()?
        }
        heading => heading,
    };
    let mut bytes = Vec::new();
    output.take(most).read_to_end(&mut bytes).ok()?;
    Some((heading, bytes))
}

/// Waits until the child ends, or kills it and everything that it started when its time is over
/// (`None`).
fn wait(child: &mut Child, clock: &Clock) -> Result<Option<ExitStatus>> {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let end_all = || {
        if let Some(group) = group {
            // Fails when nobody is left in the group, which is what is wanted.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    };
    loop {
        let status = child.try_wait().map_err(|error| {
            Error::internal(format!("the sandbox cannot be waited for: {error}"))
        })?;
        if status.is_some() {
            end_all();
            return Ok(status);
        }
        if clock.is_over() {
            end_all();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn out_of_time(clock: &Clock) -> Error {
    let seconds = clock.wall_ms() as f64 / 1000.0;
    let mut error = Error::new(
        ErrorKind::Timeout,
        format!("decoding took longer than {seconds} s and was stopped"),
    );
    error.side = impasto_domain::Side::Caller;
    error.hint("send a smaller or simpler file")
}

fn how_it_died(status: ExitStatus, request: &Request, clock: &Clock) -> Error {
    const ABORTED: i32 = 6;
    const KILLED: i32 = 9;
    const OUT_OF_PROCESSOR_TIME: i32 = 24;
    const FILE_TOO_LARGE: i32 = 25;
    let megabytes = request.memory_bytes() / 1_000_000;
    match status.signal() {
        Some(OUT_OF_PROCESSOR_TIME | KILLED) => out_of_time(clock),
        Some(ABORTED) => Error::invalid(format!(
            "decoding was broken off: most likely the file needs more than the {megabytes} MB of memory it may have"
        ))
        .hint("send a smaller file"),
        Some(FILE_TOO_LARGE) => Error::invalid("what is made of the file is too large").hint("send a shorter piece"),
        Some(signal) => Error::invalid(format!("the file made its decoder crash (signal {signal})"))
            .hint("write the file anew with another program and try again"),
        None => Error::internal(format!("the sandbox failed ({status})"))
            .hint("check that the program can start itself again"),
    }
}

fn read_answer(answer: Option<(Heading, Vec<u8>)>) -> Result<Imported> {
    match answer {
        Some((Heading::Done { media_type, facts, missing_fences }, bytes)) => {
            if facts.bytes != bytes.len() as u64 {
                return Err(Error::invalid("what is made of the file is too large")
                    .hint("send a smaller file"));
            }
            Ok(Imported { bytes, media_type, facts, missing_fences })
        }
        Some((Heading::Failed(error), _)) => Err(error),
        Some((Heading::Takes { .. }, _)) | None => {
            Err(Error::internal("the sandbox gave no answer that can be read"))
        }
    }
}
