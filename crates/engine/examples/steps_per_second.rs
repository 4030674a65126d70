//! What the engine itself costs: steps that do nothing, over SQLite on a disk.
//!
//! `cargo run --release -p impasto-engine --example steps_per_second` prints one JSON object
//! a line: the time that a step of a chain takes (median and 99th percentile, one run alone), steps per
//! second with many runs side by side, and the memory of a run that waits for a job far away.
//! With an argument, the database lies in that folder.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use impasto_domain::{Error, Result, Value, Values};
use impasto_engine::{
    Driver, Ended, Engine, Failure, Job, Polled, Request, RunHandle, Source, StartCall, Started,
    Stopped,
};
use impasto_store::{BoxFuture, MemoryBlobs};
use impasto_testkit::Stage;
use impasto_testkit::{SqliteOptions, SqliteRuns};
use impasto_workflow::Plan;

const CHAIN_STEPS: usize = 200;
const CHAINS_ALONE: usize = 20;
const CHAINS_TOGETHER: usize = 256;
const WAITING_RUNS: usize = 10_000;

/// When each step of the chain was carried out.
static MOMENTS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

fn moments() -> std::sync::MutexGuard<'static, Vec<Instant>> {
    MOMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A provider that takes every job and never ends one.
struct Never;

impl Driver for Never {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        Box::pin(async move { Ok(Started::Running(call.idempotency_key)) })
    }

    fn poll(&self, _job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        Box::pin(async { Ok(Polled::Running { after_ms: Some(60_000) }) })
    }

    fn cancel(&self, _job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        Box::pin(async { Ok(Stopped::Heeded) })
    }
}

/// A provider that answers at once with what it was given.
struct Echo;

impl Driver for Echo {
    fn start(&self, call: StartCall) -> BoxFuture<'_, Result<Started, Failure>> {
        moments().push(Instant::now());
        Box::pin(async move { Ok(Started::Done(Ended { output: call.input, cost: None })) })
    }

    fn poll(&self, _job: Job) -> BoxFuture<'_, Result<Polled, Error>> {
        Box::pin(async { Err(Error::not_found("no job outlives its start here")) })
    }

    fn cancel(&self, _job: Job) -> BoxFuture<'_, Result<Stopped, Error>> {
        Box::pin(async { Ok(Stopped::Heeded) })
    }
}

fn chain() -> String {
    let mut source =
        "workflow: chain\nversion: 1\ninputs:\n  number: { type: integer, required: true }\n\
                      steps:\n  s0: { task: echo, input: { number: \"{{ inputs.number }}\" } }\n"
            .to_owned();
    for step in 1..CHAIN_STEPS {
        let before = step - 1;
        source += &format!(
            "  s{step}: {{ task: echo, input: {{ number: \"{{{{ steps.s{before}.number + 1 }}}}\" }} }}\n"
        );
    }
    let last = CHAIN_STEPS - 1;
    source + &format!("outputs:\n  number: {{ value: \"{{{{ steps.s{last}.number }}}}\" }}\n")
}

const WAITING: &str = "workflow: waiting\nversion: 1\ninputs:\n  number: { type: integer, required: true }\n\
                       steps:\n  one: { task: add, input: { number: \"{{ inputs.number }}\" } }\noutputs: {}\n";

fn stage(folder: &Path) -> Result<Stage> {
    let runs = Arc::new(SqliteRuns::open(folder, &SqliteOptions::default())?);
    let stage = Stage::over(runs, Arc::new(MemoryBlobs::default()))?;
    Ok(stage.driver("here", Arc::new(Echo)).driver("far", Arc::new(Never)))
}

async fn submit(engine: &Engine, plan: &Arc<Plan>, number: usize) -> Result<RunHandle> {
    // Numbers that no other run has, so that nothing is found done.
    let number = Value::from((number * 1_000_000) as i64);
    let input = Values::from([("number".to_owned(), number)]);
    engine.submit(Request::new(Source::Workflow(Arc::clone(plan)), input)).await
}

/// The times from one step of a chain to the next, in microseconds, sorted.
async fn alone(engine: &Engine, plan: &Arc<Plan>, first: usize) -> Result<Vec<f64>> {
    let mut gaps = Vec::new();
    for number in first..first + CHAINS_ALONE {
        moments().clear();
        submit(engine, plan, number).await?.wait().await?;
        let taken = std::mem::take(&mut *moments());
        gaps.extend(taken.windows(2).filter_map(|pair| match pair {
            [before, after] => Some((*after - *before).as_secs_f64() * 1e6),
            _ => None,
        }));
    }
    gaps.sort_by(f64::total_cmp);
    Ok(gaps)
}

async fn together(engine: &Engine, plan: &Arc<Plan>) -> Result<f64> {
    let began = Instant::now();
    let mut handles = Vec::new();
    for number in 0..CHAINS_TOGETHER {
        handles.push(submit(engine, plan, 2 * CHAINS_ALONE + number).await?);
    }
    for handle in handles {
        handle.wait().await?;
    }
    Ok((CHAINS_TOGETHER * CHAIN_STEPS) as f64 / began.elapsed().as_secs_f64())
}

/// The memory of one more run that waits, in bytes. As many are there already, so that what the
/// database keeps in memory has grown as far as it will.
async fn waiting(engine: &Engine, plan: &Arc<Plan>) -> Result<f64> {
    let mut handles = Vec::new();
    let mut resident = [0.0; 2];
    for bytes in &mut resident {
        for _ in 0..WAITING_RUNS {
            handles.push(submit(engine, plan, handles.len()).await?);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        *bytes = resident_bytes();
    }
    let [before, after] = resident;
    Ok((after - before) / WAITING_RUNS as f64)
}

fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0);
    kilobytes * 1024.0
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place).or(sorted.last()).copied().unwrap_or(0.0)
}

async fn measure(folder: &Path) -> Result<String> {
    let stage = stage(folder)?;
    let (chain, waits) = (stage.plan(&chain())?, stage.plan(WAITING)?);
    let engine = stage.engine();
    alone(&engine, &chain, 0).await?; // warm: files, caches, threads
    let bytes = waiting(&engine, &waits).await?;
    let engine = stage.engine();
    let gaps = alone(&engine, &chain, CHAINS_ALONE).await?;
    let rate = together(&engine, &chain).await?;
    let figure = |figure: &str, unit: &str, ours: f64, aim: f64| {
        let figure = serde_json::json!({
            "figure": figure, "unit": unit, "ours": ours.round(), "peer": aim, "peer_name": "aim",
        });
        figure.to_string()
    };
    Ok([
        figure("added by a step, median", "µs", at(&gaps, 0.5), 100.0),
        figure("added by a step, 99th percentile", "µs", at(&gaps, 0.99), 100.0),
        figure("steps a second, 256 runs side by side", "steps/s", rate, 10_000.0),
        figure("memory of a run that waits, of 10,000", "bytes", bytes, 10_240.0),
    ]
    .join("\n"))
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn main() -> Result<()> {
    let failed = |error: std::io::Error| Error::internal(error.to_string());
    let parent =
        std::env::args().nth(1).unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let folder = tempfile::tempdir_in(parent).map_err(failed)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    println!("{}", runtime.block_on(measure(folder.path()))?);
    runtime.shutdown_background();
    Ok(())
}
