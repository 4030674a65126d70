//! Runs workflows over a folder until it is told that it is enough, to be killed at any moment.
//!
//! `crash-worker FOLDER find|no-find`: goes on with every run that is not done, keeps a few runs
//! under way, and ends well when all are done and the folder has a file `enough`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use impasto_domain::{Error, Result, TenantId, Value, Values};
use impasto_engine::{Engine, Request, Source};
use impasto_store::{MemoryBlobs, RunFilter, RunStatus};
use impasto_store_sql::{SqliteOptions, SqliteRuns};
use impasto_testkit::{FarOptions, FarProvider, Stage};
use impasto_workflow::Plan;

/// Four calls far away one after the other, then six side by side with work here after each.
const WORKFLOW: &str = r#"
workflow: crash
version: 1
inputs:
  start: { type: integer, required: true }
steps:
  a: { task: add, cache: false, input: { number: "{{ inputs.start }}" } }
  b: { task: add, cache: false, input: { number: "{{ steps.a.number }}" } }
  c: { task: add, cache: false, input: { number: "{{ steps.b.number }}" } }
  d: { task: add, cache: false, input: { number: "{{ steps.c.number }}" } }
  wide:
    each: "{{ [1, 2, 3, 4, 5, 6] }}"
    task: add
    cache: false
    input: { number: "{{ steps.d.number }}", by: "{{ item }}" }
  here: { each: wide, task: echo, cache: false, input: { number: "{{ steps.wide.number }}" } }
  total: { task: total, cache: false, input: { numbers: "{{ steps.here.number }}" } }
outputs:
  total: { value: "{{ steps.total.number }}" }
"#;

/// Runs under way at the same time.
const PARALLEL: usize = 6;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(find)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::from(3) };
    let worked = runtime.block_on(work(Path::new(&folder), find == "find"));
    let note = worked.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
    let _unread = std::fs::write(Path::new(&folder).join("last-words"), note);
    if worked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn work(folder: &Path, can_find: bool) -> Result<()> {
    let runs = Arc::new(SqliteRuns::open(folder, &SqliteOptions::default())?);
    let options = FarOptions { dawdle_ms: 3, job_ms: (1, 12), can_find };
    let far = Arc::new(FarProvider::open(&folder.join("far"), options)?);
    let stage = Stage::over(runs, Arc::new(MemoryBlobs::default()))?.driver("far", far);
    let plan = stage.plan(WORKFLOW)?;
    let engine = stage.engine();
    loop {
        let is_enough = folder.join("enough").exists();
        let known = engine.runs(RunFilter::newest(TenantId::local(), u32::MAX)).await?;
        let open = |status| matches!(status, RunStatus::Interrupted | RunStatus::Running);
        let mut handles = Vec::new();
        for record in known.iter().filter(|record| open(record.status)) {
            handles.push(engine.resume(TenantId::local(), record.run.id.clone()).await?);
        }
        if handles.is_empty() && is_enough {
            return Ok(());
        }
        let mut next = known.len();
        while handles.len() < PARALLEL && !is_enough {
            handles.push(submit(&engine, &plan, next).await?);
            next += 1;
        }
        for handle in handles {
            handle.wait().await?;
        }
    }
}

async fn submit(
    engine: &Engine,
    plan: &Arc<Plan>,
    number: usize,
) -> Result<impasto_engine::RunHandle> {
    let start = i64::try_from(number * 100).map_err(|error| Error::internal(error.to_string()))?;
    let input = Values::from([("start".to_owned(), Value::from(start))]);
    engine.submit(Request::new(Source::Workflow(Arc::clone(plan)), input)).await
}
