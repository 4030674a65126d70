//! Everything about a run, for people and for machines: this becomes `run.json`.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{
    AssetRef, Decision, Digest, Error, InstanceKey, Money, RunId, TaskId, Value, Values,
};
use impasto_store::{RunStatus, StoredRun};
use impasto_workflow::{Attempt, Instance, Outcome, State, Status, Work};
use serde::Serialize;

/// Everything about a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// Its id.
    pub run: RunId,
    /// The name of its workflow, or of its task.
    pub workflow: String,
    /// The version of its workflow.
    pub version: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// From which the seeds of its steps are derived.
    pub seed: u64,
    /// The revision of the catalogue that it was submitted with.
    pub catalog_revision: String,
    /// When it was submitted, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its status last changed, in milliseconds since 1970.
    pub updated_ms: u64,
    /// Its inputs.
    pub input: Values,
    /// Its outputs, if it succeeded.
    pub output: Option<Values>,
    /// Why it failed, step by step.
    pub errors: Vec<(InstanceKey, Error)>,
    /// What it took.
    pub totals: Totals,
    /// Every step instance, in the order of the workflow.
    pub steps: Vec<StepReport>,
    /// Every file that it read or made, by digest.
    pub assets: BTreeMap<String, AssetRef>,
}

/// What a run took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// What all attempts cost.
    pub cost: Money,
    /// How long all attempts took together, in milliseconds.
    pub work_ms: u64,
    /// From the first event to the last, in milliseconds; time in which nobody worked on it counts.
    pub elapsed_ms: u64,
    /// Step instances that are done.
    pub done: usize,
    /// Step instances whose output was taken from an equal call.
    pub reused: usize,
    /// Attempts.
    pub attempts: usize,
}

/// Everything about one step instance.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The step and its place.
    pub key: InstanceKey,
    /// What it does; absent for a step that chooses.
    pub task: Option<TaskId>,
    /// Where it stands.
    pub status: Status,
    /// Its input, once it could be computed.
    pub input: Option<Values>,
    /// The digests of the files in its input.
    pub input_digests: Vec<Digest>,
    /// The ranking of its offers, with reasons and exclusions.
    pub decision: Option<Decision>,
    /// Every attempt.
    pub attempts: Vec<Attempt>,
    /// Its output, once there is one.
    pub output: Option<Values>,
    /// Why it failed.
    pub error: Option<Error>,
    /// What it cost.
    pub cost: Money,
    /// How long its attempts took, in milliseconds.
    pub time_ms: u64,
}

impl StepReport {
    /// The offer of the last attempt, or the one that would be tried first.
    pub fn candidate(&self) -> Option<&impasto_domain::Candidate> {
        let decision = self.decision.as_ref()?;
        let tried = self.attempts.last().map(|attempt| &attempt.offer);
        tried
            .and_then(|offer| decision.ranked.iter().find(|candidate| candidate.offer == *offer))
            .or_else(|| decision.first())
    }
}

pub(crate) fn run_report(stored: &StoredRun, state: &State) -> RunReport {
    let record = &stored.record;
    let tasks: BTreeMap<&str, &TaskId> = state
        .plan()
        .steps
        .iter()
        .filter_map(|step| match &step.work {
            Work::Call(call) => Some((step.name.as_str(), &call.task.id)),
            Work::Pick(_) | Work::Approve(_) => None,
        })
        .collect();
    let steps: Vec<StepReport> = state
        .instances()
        .map(|(key, instance)| step_report(key, instance, tasks.get(key.step.as_str()).copied()))
        .collect();
    let (output, errors) = match state.outcome() {
        Some(Outcome::Succeeded { output }) => (Some(output.clone()), Vec::new()),
        Some(Outcome::Failed { errors }) => (None, errors.clone()),
        _ => (None, Vec::new()),
    };
    RunReport {
        run: record.run.id.clone(),
        workflow: record.run.workflow.clone(),
        version: state.plan().version,
        status: record.status,
        seed: record.run.seed,
        catalog_revision: record.run.catalog_revision.clone(),
        created_ms: record.run.created_ms,
        updated_ms: record.updated_ms,
        input: state.input().clone(),
        totals: totals(stored, &steps),
        assets: assets(state.input(), &steps),
        output,
        errors,
        steps,
    }
}

fn step_report(key: &InstanceKey, instance: &Instance, task: Option<&TaskId>) -> StepReport {
    let input = instance.input.as_deref().cloned();
    let files = input.iter().flat_map(Values::values).flat_map(Value::assets);
    let input_digests: BTreeSet<Digest> = files.map(|asset| asset.digest).collect();
    StepReport {
        key: key.clone(),
        task: task.cloned(),
        status: instance.status,
        input,
        input_digests: input_digests.into_iter().collect(),
        decision: instance.decision.as_deref().cloned(),
        attempts: instance.attempts.clone(),
        output: instance.output.as_deref().cloned(),
        error: instance.error.clone(),
        cost: instance.cost,
        time_ms: instance.time_ms,
    }
}

fn totals(stored: &StoredRun, steps: &[StepReport]) -> Totals {
    let times = |event: Option<&impasto_store::StoredEvent>| event.map_or(0, |event| event.at_ms);
    let (first, last) = (times(stored.events.first()), times(stored.events.last()));
    let count =
        |wanted: fn(&Status) -> bool| steps.iter().filter(|step| wanted(&step.status)).count();
    Totals {
        cost: steps.iter().map(|step| step.cost).sum(),
        work_ms: steps.iter().map(|step| step.time_ms).sum(),
        elapsed_ms: last.saturating_sub(first),
        done: count(|status| status.is_done()),
        reused: count(|status| matches!(status, Status::Done { reused: true })),
        attempts: steps.iter().map(|step| step.attempts.len()).sum(),
    }
}

fn assets(input: &Values, steps: &[StepReport]) -> BTreeMap<String, AssetRef> {
    let values = steps.iter().flat_map(|step| step.output.iter().chain(&step.input)).chain([input]);
    let files = values.flat_map(|values| values.values().flat_map(Value::assets));
    files.map(|asset| (asset.digest.to_string(), asset.clone())).collect()
}
