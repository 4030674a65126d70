//! `xtask sdk`: the official SDKs, unmodified, against a built server.
//!
//! It installs what `tests/sdk` pins (once; kept under `target/sdk`), builds `impasto`, starts one server for
//! each way in which the offline models may behave and one with a provider that the tests bring along, and
//! runs the Python and the JavaScript tests.
//!
//! Invariants: every server listens on a free port of this machine only and is stopped at the end, whatever
//! happens; nothing is written outside `target`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Failure, Program, Result, find};
use crate::screen::{say, seconds};

/// The servers that the tests use, and how the offline models of each misbehave.
const SERVERS: &[(&str, Option<&str>)] = &[
    ("normal", None),
    ("slow", Some("latency_ms=1500")),
    ("hanging", Some("hang")),
    ("failing", Some("fail=provider_failed")),
    ("refusing", Some("fail=refused")),
    (ELSEWHERE, None),
];
/// The server with models of a provider that the tests bring along, for what no offline model does.
const ELSEWHERE: &str = "elsewhere";
/// The Python and the JavaScript that can be used, best first.
const PYTHONS: &[&str] = &["python3", "python"];
const NODES: &[&str] = &["node"];
/// Where former versions of packages are, beside those that are usual.
const FORMER: &str = "former";
/// The tests give files and take webhooks on this machine, which foreign URLs may not reach by default.
const SETTINGS: &str =
    "[server]\nupload_bytes_max = 104857600\n[network]\nforeign_networks = [\"127.0.0.1\"]\n";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long a server may take to end after it was asked to.
const END: Duration = Duration::from_secs(10);
/// Lines of a server's log that are shown when a test fails.
const LOG_LINES: usize = 40;

/// Runs the tests of every SDK, or of those whose name begins with the one argument.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result {
    let only = match arguments {
        [] => "",
        [only] => only.as_str(),
        _ => {
            return Err(Failure::new("`sdk` takes one name at most")
                .remedy("`cargo xtask sdk`, or `cargo xtask sdk fal`"));
        }
    };
    let place = root.join("target/sdk");
    fs::create_dir_all(&place)?;
    let start = Instant::now();
    let (python, node) = (program(PYTHONS)?, program(NODES)?);
    std::thread::scope(|scope| {
        let python = scope.spawn(|| install_python(root, &place, &python));
        let node = scope.spawn(|| install_node(root, &place));
        let built = Program::cargo(root, ["build", "--locked", "--quiet", "-p", "impasto"]).run();
        let installed = [python.join(), node.join()].into_iter().map(|installed| {
            installed.unwrap_or_else(|_| Err(Failure::new("the installer panicked")))
        });
        installed.chain([built]).collect::<Result<()>>()
    })?;
    say(&format!("built and installed in {}", seconds(start.elapsed())));
    let fleet = Fleet::start(root, &place)?;
    let tests = Tests { root, place: &place, fleet: &fleet, only };
    let outcomes = [tests.python(), tests.javascript(&node)];
    let outcome = outcomes.into_iter().collect::<Result<()>>();
    if outcome.is_err() {
        fleet.tell();
    }
    outcome
}

fn program(names: &[&str]) -> Result<PathBuf> {
    names.iter().find_map(|name| find(name)).ok_or_else(|| {
        Failure::new(format!("none of {} is installed", names.join(", ")))
            .remedy("install Python 3.11 or newer, and Node 20 or newer with npm")
    })
}

/// The interpreter with the packages that are pinned; it is made anew when they change.
fn install_python(root: &Path, place: &Path, python: &Path) -> Result {
    let (folder, from) = (place.join("python"), root.join("tests/sdk/python"));
    let (pinned, former) = (from.join("requirements.txt"), from.join("requirements-former.txt"));
    let stamp = folder.join("requirements.txt");
    let wanted = fs::read_to_string(&pinned)? + &fs::read_to_string(&former)?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let _absent = fs::remove_dir_all(&folder);
    let shown = folder.display().to_string();
    Program::new(root, &python.to_string_lossy(), ["-m", "venv", &shown]).output()?;
    let pip = interpreter(place).display().to_string();
    let (pinned, former) = (pinned.display().to_string(), former.display().to_string());
    let beside = folder.join(FORMER).display().to_string();
    let remedy = "the packages come over the network; tests/sdk/python/requirements.txt names them";
    for more in [&["-r", &pinned][..], &["-r", &former, "--target", &beside]] {
        let arguments = [&["-m", "pip", "install", "--quiet", "--no-deps"], more].concat();
        Program::new(root, &pip, arguments).output().map_err(|failure| failure.remedy(remedy))?;
    }
    Ok(fs::write(stamp, wanted)?)
}

fn interpreter(place: &Path) -> PathBuf {
    let folder = if cfg!(windows) { "python/Scripts" } else { "python/bin" };
    place.join(folder).join("python")
}

/// The packages that are pinned for JavaScript; they are installed anew when they change.
fn install_node(root: &Path, place: &Path) -> Result {
    let (folder, from) = (place.join("javascript"), root.join("tests/sdk/javascript"));
    fs::create_dir_all(&folder)?;
    let stamp = folder.join("installed.json");
    let wanted = fs::read_to_string(from.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    for name in ["package.json", "package-lock.json"] {
        fs::copy(from.join(name), folder.join(name))?;
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let remedy = "the packages come over the network; tests/sdk/javascript/package.json names them";
    Program::new(&folder, "npm", arguments).output().map_err(|failure| failure.remedy(remedy))?;
    Ok(fs::write(stamp, wanted)?)
}

/// Servers that are running. Dropping it stops them.
struct Fleet {
    servers: Vec<Server>,
    authority: PathBuf,
    key: String,
    facts: PathBuf,
    provider: Provider,
}

/// The provider that the tests bring along.
struct Provider {
    url: String,
    child: Child,
}

struct Server {
    name: &'static str,
    port: u16,
    log: PathBuf,
    child: Child,
}

impl Fleet {
    fn start(root: &Path, place: &Path) -> Result<Self> {
        let binary =
            root.join("target/debug").join(format!("impasto{}", std::env::consts::EXE_SUFFIX));
        let data = place.join("data");
        let _absent = fs::remove_dir_all(&data);
        let mut fleet = Self {
            servers: Vec::new(),
            authority: place.join("authority.pem"),
            key: String::new(),
            facts: place.join("servers.json"),
            provider: Provider::start(root, place)?,
        };
        let [mut ports, mut keys, mut admins, mut folders] =
            <[serde_json::Map<_, _>; 4]>::default();
        for (name, misbehaviour) in SERVERS {
            let data = data.join(name);
            fs::create_dir_all(&data)?;
            let key = make_key(root, &binary, &data, &["sdk"])?;
            let admin = make_key(root, &binary, &data, &["admin", "--admin"])?;
            let mut command = Command::new(&binary);
            command.current_dir(root).arg("--data").arg(&data);
            let mut settings = SETTINGS.to_owned();
            if *name == ELSEWHERE {
                command.arg("--catalog").arg(root.join("tests/sdk/catalog"));
                fleet.provider.known_to(&mut command, &mut settings);
            }
            let server = Server::start(command, name, *misbehaviour, (&data, &settings))?;
            ports.insert((*name).to_owned(), server.port.into());
            keys.insert((*name).to_owned(), key.clone().into());
            admins.insert((*name).to_owned(), admin.into());
            folders.insert((*name).to_owned(), data.display().to_string().into());
            fleet.servers.push(server);
            fleet.key = key;
        }
        for server in &mut fleet.servers {
            server.listens()?;
        }
        let mut authorities = String::new();
        for (name, _) in SERVERS {
            authorities.push_str(&authority(&data.join(name))?);
        }
        fs::write(&fleet.authority, authorities)?;
        let all = serde_json::json!({
            "ports": ports, "keys": keys, "admins": admins, "folders": folders,
            "binary": binary.display().to_string(), "provider": fleet.provider.url,
        });
        fs::write(&fleet.facts, all.to_string())?;
        Ok(fleet)
    }

    /// Shows the end of what the servers logged.
    fn tell(&self) {
        for server in &self.servers {
            let log = fs::read_to_string(&server.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            say(&format!("-- the {} server, last lines of {}", server.name, server.log.display()));
            for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
                say(line);
            }
        }
    }
}

/// Makes a key, so that the server asks for one.
fn make_key(root: &Path, binary: &Path, data: &Path, named: &[&str]) -> Result<String> {
    let data = data.display().to_string();
    let arguments = [&["--data", &data, "--json", "keys", "create"], named].concat();
    let made = Program::new(root, &binary.to_string_lossy(), arguments).output()?;
    let made: serde_json::Value = serde_json::from_str(&made)
        .map_err(|error| Failure::new(format!("`keys create` did not answer in JSON: {error}")))?;
    let key = made.get("key").and_then(serde_json::Value::as_str);
    Ok(key.ok_or_else(|| Failure::new("`keys create` showed no key"))?.to_owned())
}

/// What clients must trust: the authority that the server made for itself.
fn authority(data: &Path) -> Result<String> {
    let file = data.join("tls/ca.pem");
    fs::read_to_string(&file)
        .map_err(|error| Failure::new(format!("'{}' cannot be read: {error}", file.display())))
}

impl Provider {
    /// Starts it, and waits until it says where it is.
    fn start(root: &Path, place: &Path) -> Result<Self> {
        let mut child = Command::new(interpreter(place))
            .arg(root.join("tests/sdk/python/provider.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        if let Some(said) = child.stdout.take() {
            BufReader::new(said).read_line(&mut url)?;
        }
        let provider = Self { url: url.trim().to_owned(), child };
        if provider.url.is_empty() {
            return Err(Failure::new("tests/sdk/python/provider.py does not say where it is"));
        }
        Ok(provider)
    }

    /// Tells a server where it is, and lets it go there.
    fn known_to(&self, server: &mut Command, settings: &mut String) {
        server.env("IMPASTO_SDK_PROVIDER", &self.url);
        let host = self.url.trim_start_matches("http://");
        settings.push_str(&format!("trusted_hosts = [\"{host}\"]\n"));
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Server {
    /// Goes on with a command that names the data and the catalogue.
    fn start(
        mut command: Command,
        name: &'static str,
        misbehaviour: Option<&str>,
        (data, said): (&Path, &str),
    ) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = data.join("server.log");
        let file = fs::File::create(&log)?;
        let settings = data.join("settings.toml");
        fs::write(&settings, said)?;
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--tls-self-signed"])
            .arg("--config")
            .arg(&settings)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        match misbehaviour {
            Some(spec) => command.env("IMPASTO_MISBEHAVE", spec),
            None => command.env_remove("IMPASTO_MISBEHAVE"),
        };
        Ok(Self { name, port, log, child: command.spawn()? })
    }

    /// Waits until it answers.
    fn listens(&mut self) -> Result {
        let deadline = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(Failure::new(format!(
                    "the {} server does not listen\n{log}",
                    self.name
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked politely first: a server that does not end when it is asked to is a finding.
        let id = self.child.id().to_string();
        let asked = cfg!(unix) && Command::new("kill").args(["-TERM", &id]).status().is_ok();
        let deadline = Instant::now() + END;
        while asked && Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if asked {
            say(&format!("the {} server had to be killed", self.name));
        }
    }
}

/// What is run against the servers.
struct Tests<'t> {
    root: &'t Path,
    place: &'t Path,
    fleet: &'t Fleet,
    only: &'t str,
}

impl Tests<'_> {
    /// What the tests of every language find in their environment.
    fn program(&self, name: &Path, folder: &Path, arguments: &[String]) -> Program {
        let shown = |path: &Path| path.display().to_string();
        Program::new(folder, &name.to_string_lossy(), arguments)
            .env("IMPASTO_SDK_SERVERS", &shown(&self.fleet.facts))
            .env("IMPASTO_SDK_KEY", &self.fleet.key)
            .env("IMPASTO_SDK_SAMPLES", &shown(&self.root.join("samples")))
            .env("SSL_CERT_FILE", &shown(&self.fleet.authority))
            .env("NODE_EXTRA_CA_CERTS", &shown(&self.fleet.authority))
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .env("PYTHONDONTWRITEBYTECODE", "1")
    }

    /// The files of tests in a folder whose name is `before`, what is asked for, and `after`.
    fn files(&self, folder: &str, before: &str, after: &str) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.root.join("tests/sdk").join(folder))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let named = name.strip_prefix(before).and_then(|name| name.strip_suffix(after));
            if named.is_some_and(|named| named.starts_with(self.only)) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn python(&self) -> Result {
        let former = self.place.join("python").join(FORMER).display().to_string();
        let outcomes = [self.pytest("test_", ""), self.pytest("former_", &former)];
        outcomes.into_iter().collect()
    }

    /// Runs the files whose name begins so, with packages of this folder before the usual ones.
    fn pytest(&self, before: &str, packages: &str) -> Result {
        let files = self.files("python", before, ".py")?;
        if files.is_empty() {
            return Ok(());
        }
        let mut arguments: Vec<String> =
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
                .map(str::to_owned)
                .into();
        arguments.extend(files.iter().map(|file| file.display().to_string()));
        let folder = self.root.join("tests/sdk/python");
        let program = self.program(&interpreter(self.place), &folder, &arguments);
        program.env("PYTHONPATH", packages).run()
    }

    /// Runs copies beside the installed packages, where an import finds them.
    fn javascript(&self, node: &Path) -> Result {
        let folder = self.place.join("javascript");
        let mut arguments = vec!["--test".to_owned(), "--test-reporter=dot".to_owned()];
        for file in self.files("javascript", "", ".test.mjs")? {
            arguments.push(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        if arguments.len() == 2 {
            return Ok(());
        }
        for entry in fs::read_dir(self.root.join("tests/sdk/javascript"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "mjs") {
                fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
            }
        }
        self.program(node, &folder, &arguments).run()
    }
}
