//! Running other programs, and the failure that every task answers with.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a task.
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a task stopped, and what a person can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong, as a sentence without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
    said: bool,
}

impl Failure {
    /// A failure without a remedy.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: None, said: false }
    }

    /// Says what to do about it.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Marks it as told already, by a program whose last lines say it better.
    pub(crate) fn said(mut self) -> Self {
        self.said = true;
        self
    }

    /// Whether it has been told already.
    pub(crate) fn is_said(&self) -> bool {
        self.said
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// A program with its arguments, run in the root of the workspace.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    /// `name` with `arguments`; its output goes to the terminal.
    pub(crate) fn new<S: AsRef<OsStr>>(
        root: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(name);
        command.current_dir(root).args(arguments);
        Self { command }
    }

    /// The cargo that runs this task.
    pub(crate) fn cargo<S: AsRef<OsStr>>(
        root: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        Self::new(root, &cargo, arguments)
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end with the terminal in its hands.
    pub(crate) fn run(mut self) -> Result {
        let status = self.command.status().map_err(|error| self.cannot_start(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("`{self}` ended with {status}")))
    }

    /// Runs it without a word and says whether it succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Runs it and returns what it wrote to standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        self.command.stdin(Stdio::null());
        let output = self.command.output().map_err(|error| self.cannot_start(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("`{self}` ended with {}\n{}", output.status, words.trim_end())))
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("`{self}` cannot be started: {error}"))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Path::new(self.command.get_program()).file_name().unwrap_or_default();
        write!(f, "{}", name.to_string_lossy())?;
        for argument in self.command.get_args() {
            write!(f, " {}", argument.to_string_lossy())?;
        }
        Ok(())
    }
}

/// Where a program of that name lies on the search path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
