//! Where a run stands, in short: what somebody who waits for it wants to know.

use impasto_domain::{Error, ErrorKind, InstanceKey, Money, RunId, Values};
use impasto_store::{RunRecord, RunStatus, StoredRun};
use impasto_workflow::{Instance, Outcome, State, Status};
use serde::Serialize;

use crate::deadline::given_up;
use crate::updates::{Hub, LogLine};

/// Where a run stands.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// The name of its workflow, or of its task.
    pub workflow: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Whether no attempt of it has started yet.
    pub is_queued: bool,
    /// How many attempts of others will be made before its next one, if it waits for a place.
    pub queue_position: Option<u32>,
    /// Its outputs, if it succeeded.
    pub output: Option<Values>,
    /// Why it gave none. Of several errors, the first.
    pub error: Option<Error>,
    /// What its attempts have cost; of a run under way, not known yet.
    pub cost: Option<Money>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its first attempt started.
    pub started_ms: Option<u64>,
    /// When it ended, or stopped for now.
    pub ended_ms: Option<u64>,
    /// The number of its last event; 0 if that is not known here.
    pub last_seq: u64,
    /// How far the attempt is that told so last, from 0 to 1.
    pub progress: Option<f64>,
    /// What was logged; the last lines.
    pub logs: Vec<LogLine>,
    /// What whoever submitted it left with it.
    pub origin: String,
    /// What a person is asked; of a run under way, not known.
    pub asks: Vec<Ask>,
}

/// A step that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ask {
    /// The step instance.
    pub key: InstanceKey,
    /// The question.
    pub question: String,
    /// What is shown with it, by name.
    pub show: Values,
}

/// The steps that wait for a person.
pub(crate) fn asks_of(state: &State) -> Vec<Ask> {
    let asking = state.instances().filter(|(_, instance)| instance.status == Status::Asking);
    let ask = |(key, instance): (&InstanceKey, &Instance)| {
        let mut show = instance.input.as_deref().cloned().unwrap_or_default();
        let question = show.remove("question").unwrap_or_default();
        let question =
            question.as_text().map_or_else(|| question.to_json().to_string(), str::to_owned);
        Ask { key: key.clone(), question, show }
    };
    asking.map(ask).collect()
}

impl RunSummary {
    /// Of a run that this process works on.
    pub(crate) fn of_live(run: RunId, hub: &Hub, queue_position: Option<u32>) -> Self {
        let started_ms = hub.started_ms();
        Self {
            run,
            workflow: hub.head.workflow.to_string(),
            status: RunStatus::Running,
            is_queued: started_ms.is_none(),
            queue_position,
            output: None,
            error: None,
            cost: None,
            created_ms: hub.head.created_ms,
            started_ms,
            ended_ms: None,
            last_seq: hub.last_seq(),
            progress: Some(hub.fraction()),
            logs: hub.logs(),
            origin: hub.head.origin.to_string(),
            asks: Vec::new(),
        }
    }

    /// Of a run that this process has brought to a good end, which is committed.
    pub(crate) fn of_success(run: RunId, hub: &Hub, state: &State) -> Option<Self> {
        let ended_ms = hub.ended_ms()?;
        let Some(Outcome::Succeeded { output }) = state.outcome() else { return None };
        Some(Self {
            status: RunStatus::Succeeded,
            is_queued: false,
            output: Some(output.clone()),
            cost: Some(cost_of(state)),
            ended_ms: Some(ended_ms),
            progress: None,
            ..Self::of_live(run, hub, None)
        })
    }

    fn of(record: &RunRecord) -> Self {
        let is_over = record.status != RunStatus::Running;
        Self {
            run: record.run.id.clone(),
            workflow: record.run.workflow.clone(),
            status: record.status,
            is_queued: false,
            queue_position: None,
            output: None,
            error: None,
            cost: None,
            created_ms: record.run.created_ms,
            started_ms: None,
            ended_ms: is_over.then_some(record.updated_ms),
            last_seq: 0,
            progress: None,
            logs: Vec::new(),
            origin: record.run.origin.clone(),
            asks: Vec::new(),
        }
    }
}

/// How an event begins, as it is kept, that is the start of an attempt.
const ATTEMPT_STARTED: &str = r#"{"event":"attempt_started""#;

/// When the first attempt of a run started.
pub(crate) fn first_start_ms(stored: &StoredRun) -> Option<u64> {
    let mut events = stored.events.iter();
    events.find_map(|event| event.body.starts_with(ATTEMPT_STARTED).then_some(event.at_ms))
}

/// Of a run as its events tell it.
pub(crate) fn run_summary(stored: &StoredRun, state: &State, logs: Vec<LogLine>) -> RunSummary {
    let record = &stored.record;
    let started_ms = first_start_ms(stored);
    let (output, error) = match state.outcome() {
        Some(Outcome::Succeeded { output }) => (Some(output.clone()), None),
        Some(Outcome::Failed { errors }) => (None, errors.first().map(|(_, error)| error.clone())),
        Some(Outcome::Cancelled) => (None, Some(given_up(record, started_ms))),
        Some(Outcome::Parked { keys }) => {
            let doubts = keys.len().saturating_sub(asks_of(state).len());
            (None, (doubts > 0).then(|| in_doubt(doubts)))
        }
        Some(Outcome::Interrupted) | None => (None, None),
    };
    RunSummary {
        is_queued: started_ms.is_none() && record.status == RunStatus::Running,
        output,
        error,
        cost: Some(cost_of(state)),
        started_ms,
        last_seq: stored.events.last().map_or(0, |event| event.seq),
        logs,
        asks: asks_of(state),
        ..RunSummary::of(record)
    }
}

fn cost_of(state: &State) -> Money {
    let attempts = state.instances().flat_map(|(_, instance)| &instance.attempts);
    attempts.map(|attempt| attempt.cost).sum()
}

fn in_doubt(attempts: usize) -> Error {
    let message = format!("{attempts} attempts may or may not have been taken by their provider");
    Error::new(ErrorKind::InDoubt, message).hint("look at the provider, then settle them")
}
