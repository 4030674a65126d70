//! Runs the real binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder in which the binary keeps its data and writes its files.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a call of the binary gave.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary with these arguments, its data in this place, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_impasto"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("IMPASTO_DATA", self.path("data")).env_remove("IMPASTO_CATALOG");
        command.env_remove("IMPASTO_MISBEHAVE").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        answer(&self.command(arguments).output().unwrap())
    }

    /// Runs and expects success.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{arguments:?}\n{}\n{}", answer.stdout, answer.stderr);
        answer
    }

    /// Runs and expects a failure whose text holds each of `parts`; a crash is not a failure.
    pub(crate) fn refuse(&self, arguments: &[&str], parts: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert!(answer.code == 1 || answer.code == 2, "{arguments:?} ended with {}", answer.code);
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
        for part in parts {
            assert!(answer.stderr.contains(part), "'{part}' is missing in:\n{}", answer.stderr);
        }
        answer
    }
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

pub(crate) fn answer(output: &Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).canonicalize().unwrap()
}

/// A file of the repository, as an argument.
pub(crate) fn repository_text(path: &str) -> String {
    repository(path).to_string_lossy().into_owned()
}

/// A picture small enough that every step on it takes a moment only: a dark disc on light paper.
pub(crate) fn small_photo() -> Vec<u8> {
    let picture = impasto_media::Picture::from_fn(160, 120, |x, y| {
        let (dx, dy) = (f64::from(x) - 80.0, f64::from(y) - 66.0);
        if dx.hypot(dy) < 34.0 { [150, 40, 30, 255] } else { [228, 226, 220, 255] }
    });
    picture.to_png().unwrap()
}
