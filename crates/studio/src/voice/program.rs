//! The speech program, run as a separate process: found once, fed through its standard input,
//! watched by a timer and a limit.
//!
//! Invariants: no text of a caller is ever an argument; the environment holds nothing but `PATH`;
//! the working directory is an empty folder of its own.

use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use impasto_domain::{Error, ErrorKind, Result, Workbench};

const PROGRAM: &str = "espeak-ng";
/// The longest that one sentence may take.
const MOST_TIME: Duration = Duration::from_secs(20);
/// The most bytes that one sentence may become: six minutes of speech.
const MOST_BYTES: u64 = 16 << 20;

/// The languages that the program speaks, as it names them, or why there is none.
static LANGUAGES: OnceLock<Option<Vec<String>>> = OnceLock::new();

/// Every language that the installed program speaks.
pub(crate) fn languages(bench: &dyn Workbench) -> Result<&'static [String]> {
    if let Some(found) = LANGUAGES.get() {
        return found.as_deref().ok_or_else(missing);
    }
    let found = match run(&["--voices"], "", bench, &|_| {}) {
        Ok(listing) => Some(parse_languages(&String::from_utf8_lossy(&listing))),
        // Asked to stop is no answer to whether there is a program.
        Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
        Err(_) => None,
    };
    LANGUAGES.get_or_init(|| found).as_deref().ok_or_else(missing)
}

fn missing() -> Error {
    Error::unavailable(format!("the speech program `{PROGRAM}` is not installed"))
        .hint(format!("install it, for instance with `apt-get install {PROGRAM}`"))
}

/// The second column of the program's list of voices.
fn parse_languages(listing: &str) -> Vec<String> {
    let second = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let mut found: Vec<String> = listing.lines().skip(1).filter_map(second).collect();
    found.sort();
    found.dedup();
    found
}

/// Runs the program with `arguments`, gives it `text`, and returns what it wrote. `hear` gets it too,
/// in pieces, as it is written.
pub(crate) fn run(
    arguments: &[&str],
    text: &str,
    bench: &dyn Workbench,
    hear: &(dyn Fn(&[u8]) + Sync),
) -> Result<Vec<u8>> {
    let failed = |what: &str, error: std::io::Error| {
        Error::new(ErrorKind::ProviderFailed, format!("{what} `{PROGRAM}`: {error}"))
    };
    let folder = tempfile::tempdir().map_err(|error| failed("no folder for", error))?;
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed("cannot start", error))?;
    let input = child.stdin.take();
    let output = child.stdout.take();
    let (waited, bytes) = thread::scope(|scope| {
        let writer = scope.spawn(move || {
            // A program that stops reading has failed, and its exit status says so.
            input.map_or(Ok(()), |mut input| input.write_all(text.as_bytes()))
        });
        let reader =
            scope.spawn(move || output.map_or(Ok(Vec::new()), |output| listen(output, hear)));
        let waited = wait(&mut child, bench, || reader.is_finished());
        // Both threads end once the process has: their pipes are closed.
        let _ = writer.join();
        (waited, reader.join())
    });
    let bytes = bytes.map_err(|_| Error::internal("the reader of speech failed"))?;
    let success = waited?;
    let bytes = bytes.map_err(|error| failed("cannot read from", error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::invalid(format!(
            "a sentence becomes more than {} MiB of speech",
            MOST_BYTES >> 20
        )));
    }
    if !success {
        return Err(Error::new(
            ErrorKind::ProviderFailed,
            format!("`{PROGRAM}` failed on a text of {} characters", text.chars().count()),
        ));
    }
    Ok(bytes)
}

/// Reads to the end, or to the limit.
fn listen(mut output: ChildStdout, hear: &(dyn Fn(&[u8]) + Sync)) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    while bytes.len() as u64 <= MOST_BYTES {
        let count = match output.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = piece.get(..count).unwrap_or_default();
        hear(piece);
        bytes.extend_from_slice(piece);
    }
    Ok(bytes)
}

/// Waits until the process has ended; ends it when it takes too long, writes too much, or is no
/// longer wanted. Whether it succeeded.
fn wait(child: &mut Child, bench: &dyn Workbench, has_read: impl Fn() -> bool) -> Result<bool> {
    let started = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        let ended = child.try_wait();
        if let Ok(Some(status)) = ended {
            return Ok(status.success());
        }
        let error = match ended {
            Err(error) => Some(Error::internal(format!("cannot wait for `{PROGRAM}`: {error}"))),
            _ if bench.cancelled() => Some(Error::cancelled()),
            _ if started.elapsed() > MOST_TIME => {
                let message = format!("`{PROGRAM}` took longer than {} s", MOST_TIME.as_secs());
                Some(Error::new(ErrorKind::Timeout, message).retryable())
            }
            _ => None,
        };
        // The reader is done before the process where the process has closed its output, or has
        // written more than is read: give it a moment, then end it.
        let stuck = has_read() && pause >= Duration::from_millis(20);
        if error.is_some() || stuck {
            let _ = child.kill();
            let status = child.wait();
            return error.map_or(Ok(status.is_ok_and(|status| status.success())), Err);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_voices_is_read() {
        let listing = "Pty Language       Age/Gender VoiceName\n 5  af   --/M  Afrikaans  gmw/af\n \
                       2  en-gb --/M English\n 5  en-gb --/F Other\n\n";
        assert_eq!(parse_languages(listing), ["af", "en-gb"]);
    }
}
