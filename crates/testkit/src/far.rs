//! A provider somewhere else: its jobs are files, so they outlive whoever started them.
//!
//! It writes a line for every start that reaches it. It takes a job when the job's file appears, in
//! one step; before and after that it dawdles, so that a caller that is killed is killed at every
//! possible moment: before the provider knew, after it knew but before the caller did, and later.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use impasto_domain::{Digest, Error, Money, Result, Value, Values};
use impasto_engine::{Driver, Ended, Failure, Found, Job, Polled, StartCall, Started, Stopped};
use impasto_store::BoxFuture;
use serde::{Deserialize, Serialize};

/// What each job costs.
pub const FAR_PRICE: Money = Money::micros(10_000);

/// How the provider behaves.
#[derive(Clone, Debug)]
pub struct FarOptions {
    /// The longest that it dawdles before and after it takes a job, in milliseconds.
    pub dawdle_ms: u64,
    /// How long a job takes: at least and at most, in milliseconds.
    pub job_ms: (u64, u64),
    /// Whether it can be asked for a job by the key of its attempt.
    pub can_find: bool,
}

/// A provider whose jobs are files of a folder.
pub struct FarProvider {
    folder: PathBuf,
    options: FarOptions,
    drawn: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct Taken {
    key: String,
    ready_ms: u64,
    output: Values,
    cancelled: bool,
}

impl FarProvider {
    /// The provider whose jobs are in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path, options: FarOptions) -> Result<Self> {
        std::fs::create_dir_all(folder.join("jobs")).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), options, drawn: AtomicU64::new(0) })
    }

    /// A number below `limit`, or zero.
    fn draw(&self, limit: u64) -> u64 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        RandomState::new().hash_one((number, std::process::id())) % limit.max(1)
    }

    async fn dawdle(&self) {
        let micros = self.draw(self.options.dawdle_ms * 1_000);
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }

    fn job_path(&self, handle: &str) -> PathBuf {
        self.folder.join("jobs").join(handle)
    }

    fn note(&self, line: &str) -> Result<()> {
        let path = self.folder.join(ORACLE);
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(failed)
    }

    /// Takes a job; the same key twice is noted, and the first job stands.
    fn take(&self, call: &StartCall) -> Result<String> {
        let handle = handle_of(&call.idempotency_key);
        let number = |name: &str| call.input.get(name).and_then(Value::as_integer).unwrap_or(0);
        let output = Value::from(number("number") + number("by"));
        let (least, most) = self.options.job_ms;
        let taken = Taken {
            key: call.idempotency_key.clone(),
            ready_ms: now_ms() + least + self.draw(most.saturating_sub(least)),
            output: Values::from([("number".to_owned(), output)]),
            cancelled: false,
        };
        let draft = self.folder.join(format!("{handle}.{}", self.draw(u64::MAX)));
        self.write(&draft, &taken)?;
        if std::fs::hard_link(&draft, self.job_path(&handle)).is_err() {
            self.note(&format!("twice {}", call.idempotency_key))?;
        }
        std::fs::remove_file(&draft).map_err(failed)?;
        Ok(handle)
    }

    fn write(&self, path: &Path, taken: &Taken) -> Result<()> {
        let file = File::create(path).map_err(failed)?;
        serde_json::to_writer(file, taken).map_err(|error| Error::internal(error.to_string()))
    }

    fn read(&self, handle: &str) -> Result<Taken> {
        let bytes = std::fs::read(self.job_path(handle)).map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::internal(error.to_string()))
    }

    fn look(&self, handle: &str) -> Result<Polled> {
        let taken = self.read(handle)?;
        if taken.cancelled {
            return Ok(Polled::Failed(Error::cancelled().into()));
        }
        if now_ms() < taken.ready_ms {
            return Ok(Polled::Running { after_ms: Some(2) });
        }
        Ok(Polled::Done(Ended { output: taken.output, cost: Some(FAR_PRICE) }))
    }
}

impl Driver for FarProvider {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move {
            self.note(&format!("start {}", call.idempotency_key))?;
            self.dawdle().await;
            let handle = self.take(&call)?;
            self.dawdle().await;
            Ok(Started::Running(handle))
        })
    }

    fn poll(&self, job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        Box::pin(async move { self.look(&job.handle) })
    }

    fn cancel(&self, job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        Box::pin(async move {
            let mut taken = self.read(&job.handle)?;
            self.note(&format!("cancel {}", taken.key))?;
            taken.cancelled = now_ms() < taken.ready_ms;
            self.write(&self.job_path(&job.handle), &taken)?;
            Ok(if taken.cancelled { Stopped::Heeded } else { Stopped::WasOver })
        })
    }

    fn find(&self, call: StartCall) -> BoxFuture<'_, Result<Found, Error>> {
        Box::pin(async move {
            let handle = handle_of(&call.idempotency_key);
            Ok(match (self.options.can_find, self.job_path(&handle).is_file()) {
                (true, true) => Found::Running(handle),
                (true, false) => Found::Never,
                (false, _) => Found::Unknown,
            })
        })
    }
}

/// The file that has a line for everything that reached the provider.
const ORACLE: &str = "oracle.log";

/// What reached a provider.
#[derive(Debug, Default)]
pub struct Oracle {
    /// How often each attempt was started, by its key.
    pub starts: BTreeMap<String, u32>,
    /// Attempts that the provider took more than once.
    pub twice: Vec<String>,
    /// Attempts that the provider was asked to stop.
    pub cancelled: Vec<String>,
    /// Attempts that the provider took.
    pub taken: Vec<String>,
}

impl Oracle {
    /// What reached the provider of `folder`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut oracle = Self::default();
        let text = std::fs::read_to_string(folder.join(ORACLE)).unwrap_or_default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("start", key)) => *oracle.starts.entry(key.to_owned()).or_default() += 1,
                Some(("twice", key)) => oracle.twice.push(key.to_owned()),
                Some(("cancel", key)) => oracle.cancelled.push(key.to_owned()),
                _ => return Err(Error::internal(format!("the oracle says '{line}'"))),
            }
        }
        for entry in std::fs::read_dir(folder.join("jobs")).map_err(failed)? {
            let bytes = std::fs::read(entry.map_err(failed)?.path()).map_err(failed)?;
            let taken: Taken = serde_json::from_slice(&bytes)
                .map_err(|error| Error::internal(error.to_string()))?;
            oracle.taken.push(taken.key);
        }
        Ok(oracle)
    }
}

fn handle_of(key: &str) -> String {
    Digest::of(key.as_bytes()).short()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: std::io::Error) -> Error {
    Error::internal(format!("the far provider: {error}"))
}
