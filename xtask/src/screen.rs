//! What the tasks print. The only file of this package that writes to the terminal.
//!
//! Everything goes to standard output, one line at a time, without colour: it is read in logs as
//! often as on a screen.

#![expect(clippy::print_stdout, reason = "printing is what a task of the repository is for")]

use std::io::Write;
use std::time::Duration;

use crate::process::Failure;

/// Prints a line and hands it on at once, so that it stands before what a child prints next.
pub(crate) fn say(line: &str) {
    println!("{line}");
    // A closed pipe must not turn a finished task into a failed one.
    let _ = std::io::stdout().flush();
}

/// Prints a heading.
pub(crate) fn heading(text: &str) {
    say(&format!("\n==> {text}"));
}

/// Prints what went wrong and what to do, unless it has been said already.
pub(crate) fn failure(failure: &Failure) {
    if failure.is_said() {
        return;
    }
    say(&format!("\nfailed: {}", failure.message));
    if let Some(remedy) = &failure.remedy {
        say(&format!("what to do: {remedy}"));
    }
}

/// A duration as people say it: `0.8 s`, `2 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let total_s = time.as_secs_f64();
    if total_s < 60.0 {
        return format!("{total_s:.1} s");
    }
    let whole = time.as_secs();
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// A size as people say it: `812 B`, `3.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let number = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", number / 1e3),
        _ => format!("{:.1} MB", number / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_well() {
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(seconds(Duration::from_millis(840)), "0.8 s");
        check(seconds(Duration::from_secs(125)), "2 min 05 s");
        check(size(812), "812 B");
        check(size(3_400_000), "3.4 MB");
        check(size(1_500), "1.5 kB");
    }
}
