//! Starts the real binary as a server, in a folder of its own, and stops it in every way there is.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{PATIENCE, get};

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// The settings file.
    pub(crate) settings: String,
    /// How the offline models misbehave.
    pub(crate) misbehave: Option<String>,
    /// Calls at once at the offline models.
    pub(crate) concurrency: Option<u32>,
    /// What else servers find in their environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A folder with the data of a server.
pub(crate) struct Place {
    folder: TempDir,
    setup: Setup,
}

impl Place {
    pub(crate) fn new(setup: Setup) -> Self {
        let place = Self { folder: TempDir::new().unwrap(), setup };
        place.write();
        place
    }

    /// Lets those servers that are started from now on be different.
    pub(crate) fn change(&mut self, setup: Setup) {
        self.setup = setup;
        self.write();
    }

    fn write(&self) {
        std::fs::write(self.path("impasto.toml"), &self.setup.settings).unwrap();
        std::fs::create_dir_all(self.path("catalog/providers")).unwrap();
        if let Some(concurrency) = self.setup.concurrency {
            let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            let usual = here.join("../../catalog/providers/studio.toml");
            let usual = std::fs::read_to_string(usual).unwrap();
            let changed =
                usual.replace("concurrency = \"cores\"", &format!("concurrency = {concurrency}"));
            assert_ne!(usual, changed);
            std::fs::write(self.path("catalog/providers/studio.toml"), changed).unwrap();
        }
    }

    /// A place whose servers may go to that address.
    pub(crate) fn trusting(url: &str) -> Self {
        let host = url.strip_prefix("http://").unwrap();
        let settings = format!("[network]\ntrusted_hosts = [\"{host}\"]\n");
        Self::new(Setup { settings, ..Setup::default() })
    }

    /// Puts a file into the catalogue.
    pub(crate) fn put_into_catalog(&self, path: &str, text: &str) {
        let file = self.path(&format!("catalog/{path}"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary with these arguments and the data of this place, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_impasto"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("IMPASTO_DATA", self.path("data"));
        command.env("IMPASTO_CATALOG", self.path("catalog"));
        command.env("IMPASTO_CONFIG", self.path("impasto.toml")).env("RUST_LOG", "warn");
        command.env_remove("IMPASTO_LISTEN").env_remove("IMPASTO_PUBLIC_BASE");
        match &self.setup.misbehave {
            Some(spec) => command.env("IMPASTO_MISBEHAVE", spec),
            None => command.env_remove("IMPASTO_MISBEHAVE"),
        };
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A new key that was made with these arguments: its id and the key itself.
    pub(crate) fn key(&self, arguments: &[&str]) -> (String, String) {
        let made = self.run(&[&["--json", "keys", "create"], arguments].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    /// A server on a port that is free.
    pub(crate) fn serve(&self) -> Server {
        self.serve_at("127.0.0.1:0".parse().unwrap())
    }

    /// A server at this address.
    pub(crate) fn serve_at(&self, address: SocketAddr) -> Server {
        self.serve_with(address, &[])
    }

    /// The same, with further arguments.
    pub(crate) fn serve_with(&self, address: SocketAddr, arguments: &[&str]) -> Server {
        let log = self.path("server.log");
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let listen = address.to_string();
        let arguments = [&["--json", "serve", "--listen", &listen], arguments].concat();
        let mut command = self.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("'{line}'\n{}", std::fs::read_to_string(&log).unwrap()));
        let listening = said["listening"].as_str().unwrap();
        let address = listening.trim_start_matches("http://").parse().unwrap();
        Server { child, address, log }
    }
}

/// A server that runs. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it as a failing machine does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself, and gives its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Expects that it still lives and answers, and that nothing in it has broken.
    pub(crate) fn check_well(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{}", self.log());
        let health = get(self.address, "/health");
        assert_eq!(health.status, 200, "{}", health.text());
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// The memory that it holds, in bytes, where the system tells.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
