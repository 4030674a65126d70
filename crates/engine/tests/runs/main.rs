//! Runs as an application sees them: over memory and SQLite, with work here and jobs far away.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod attempts;
mod events;
mod hints;
mod late;
mod meddling;
mod patience;
mod reuse;
mod spending;
mod stopping;
mod storage;
mod wishes;

use std::sync::Arc;

use impasto_domain::{Error, TenantId, Value, Values};
use impasto_engine::{Engine, Fault, FaultHook, Request, RunHandle, RunReport, Source};
use impasto_testkit::{FarOptions, FarProvider, Stage};
use impasto_workflow::{Outcome, Plan};

/// `first`, then two side by side, then their total.
const DIAMOND: &str = r#"
workflow: diamond
version: 1
inputs:
  number: { type: integer, default: 1 }
  other: { type: integer, default: 10 }
steps:
  first: { task: echo, input: { number: "{{ inputs.number }}" } }
  left: { task: echo, input: { number: "{{ steps.first.number + 1 }}" } }
  right: { task: echo, input: { number: "{{ inputs.other }}" } }
  total: { task: total, input: { numbers: ["{{ steps.left.number }}", "{{ steps.right.number }}"] } }
outputs:
  total: { value: "{{ steps.total.number }}" }
"#;

/// One step with these settings.
fn single(settings: &str) -> String {
    format!(
        "workflow: single\nversion: 1\nsteps:\n  one:\n    task: echo\n    input: {{ number: 7 }}\n{settings}\
         outputs:\n  number: {{ value: \"{{{{ steps.one.number }}}}\" }}\n"
    )
}

fn values(entries: &[(&str, i64)]) -> Values {
    entries.iter().map(|(name, number)| ((*name).to_owned(), Value::from(*number))).collect()
}

fn local() -> TenantId {
    TenantId::local()
}

async fn submit(engine: &Engine, plan: &Arc<Plan>, input: &[(&str, i64)]) -> RunHandle {
    let source = Source::Workflow(Arc::clone(plan));
    engine.submit(Request::new(source, values(input))).await.unwrap()
}

/// Runs it to its end.
async fn run(engine: &Engine, plan: &Arc<Plan>, input: &[(&str, i64)]) -> (Outcome, RunReport) {
    let handle = submit(engine, plan, input).await;
    let id = handle.id.clone();
    let outcome = handle.wait().await.unwrap();
    (outcome, engine.report(local(), id).await.unwrap())
}

fn output(outcome: &Outcome, name: &str) -> i64 {
    match outcome {
        Outcome::Succeeded { output } => output[name].as_integer().unwrap(),
        other => panic!("it did not succeed: {other:?}"),
    }
}

/// The one error of a run that failed.
fn error(outcome: &Outcome) -> Error {
    match outcome {
        Outcome::Failed { errors } => errors.first().unwrap().1.clone(),
        other => panic!("it did not fail: {other:?}"),
    }
}

/// Work here misbehaves as `fault` says of endpoint, step and attempt.
fn faults(fault: impl Fn(&str, &str, u32) -> Fault + Send + Sync + 'static) -> FaultHook {
    Arc::new(move |endpoint, key, attempt| fault(endpoint, &key.to_string(), attempt))
}

fn fine() -> Fault {
    Fault::default()
}

fn hang() -> Fault {
    Fault { hang: true, ..Fault::default() }
}

fn failing(error: Error) -> Fault {
    Fault { error: Some(error), ..Fault::default() }
}

/// A stage with a provider far away whose jobs take so long.
fn far_stage(stage: Stage, folder: &std::path::Path, job_ms: u64) -> Stage {
    let options = FarOptions { dawdle_ms: 0, job_ms: (job_ms, job_ms), can_find: true };
    stage.driver("far", Arc::new(FarProvider::open(folder, options).unwrap()))
}

/// Waits until `holds`, for a few seconds at the most.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("it did not happen: {what}");
}
