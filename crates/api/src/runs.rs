//! Runs: what is asked for, and what is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{Problem, object};

/// How good a result is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierName {
    /// To see whether the idea works.
    Draft,
    /// Good enough to use.
    Standard,
    /// As good as can be had.
    Hero,
}

/// What is wanted of a route. Everything is optional; absent means no wish.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyRequest {
    /// The tier to aim at; offers of another tier rank lower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The most that one call may cost, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_cost: Option<i64>,
    /// The longest that one call may be expected to take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
    /// The lowest tier that will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<TierName>,
    /// Licences that will do; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Models in order of preference; empty means any, otherwise no other is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Providers that will do; empty means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// What to do with an attempt of which nobody knows whether the provider accepted it: `park`,
    /// `fail` or `retry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<String>,
}

/// Whom to tell how a run goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where to post to.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// What to be told of, such as `run.succeeded`; empty means of every end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
}

/// Something to be run. Exactly one of `task`, `model` and `workflow` names it; `task` may go with
/// `model` where a model does several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunRequest {
    /// A task, such as `text-to-image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Any id or alias of a model, a provider's name for it, `auto`, or a tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A workflow by name, or `name@version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Its inputs. A file is a URL, a data URI, or `{"asset": "<digest>"}` of one that was uploaded.
    pub input: Map<String, Json>,
    /// What is wanted of every route.
    #[serde(deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
    /// From which the seeds of its steps are derived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Higher goes first where runs wait for a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i32>,
    /// The run is given up if no attempt has started after so long, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<u64>,
    /// The run as a whole is given up, with the error `timeout`, if it has not ended after so long, in
    /// milliseconds from its acceptance. Providers are told to stop where they can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whom to tell how it goes, besides the webhook endpoints of the tenant.
    #[serde(deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookRequest>,
    /// Whether every step is done again, even if an equal one has been done before.
    pub no_cache: bool,
    /// Whether listeners are told what there is of a result before it is done, where a model shows it.
    /// A run that is streamed always tells.
    pub partials: bool,
    /// The same as the header `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub idempotency_key: Option<String>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatusName {
    /// No attempt has started yet.
    Queued,
    /// It is worked on.
    Running,
    /// All its outputs are there.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// Somebody gave it up, or it did not start or end in time.
    Cancelled,
    /// A person has to decide: about an attempt in doubt, or about what a step shows.
    Parked,
    /// Nobody works on it and it can be resumed.
    Interrupted,
}

/// An amount of money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoneyView {
    /// In millionths of a dollar.
    pub micros: i64,
    /// For people, such as `$0.025`.
    pub shown: String,
}

/// A line of the log of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogView {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line.
    pub message: String,
}

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// The name of its task or workflow.
    pub work: String,
    /// Where it stands.
    pub status: RunStatusName,
    /// How many attempts of others will be made before its next one, if it waits for a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u32>,
    /// How far the attempt is that told so last, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// Its outputs, if it succeeded. A file is an object with `url`, `digest`, `media_type` and what
    /// is known of it; such an object is taken as an input too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// Why it gave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// What its attempts have cost; absent while it is under way and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<MoneyView>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its first attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it ended, or stopped for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// What was logged; the last lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogView>,
    /// What a person is asked, if it waits for one: `POST /v1/runs/{run}/signals` answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<AskView>,
    /// By which API it was submitted, such as `native`.
    pub face: String,
}

/// A step that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskView {
    /// The step, such as `look` or `look[0]`.
    pub step: String,
    /// The question.
    pub question: String,
    /// What is shown with it, by name.
    pub show: Json,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// The runs; outputs, errors and costs are left out.
    pub runs: Vec<RunView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One event of a run, as the data of a server-sent event. The event's name says what it is: `queued`,
/// `decided`, `started`, `progress`, `partial`, `log`, `step`, `cost`, `done` and others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// The run.
    pub run: String,
    /// The number of the event; it is also the event's id, except of events that are told live only.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened; its fields depend on the event's name.
    #[serde(flatten)]
    pub what: Map<String, Json>,
}

/// What a person says to a run that waits for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "signal", rename_all = "snake_case", deny_unknown_fields)]
pub enum SignalRequest {
    /// The step that waits may go on.
    Approve {
        /// The step, such as `look` or `look[0]`.
        step: String,
        /// What is said to it.
        #[serde(default)]
        note: String,
    },
    /// The step that waits fails.
    Reject {
        /// The step.
        step: String,
        /// What is said to it.
        #[serde(default)]
        note: String,
    },
    /// Decides about an attempt in doubt.
    Settle {
        /// The step.
        step: String,
        /// Whether another attempt is made; otherwise the step fails.
        again: bool,
    },
    /// A run that was interrupted, failed or parked goes on.
    Resume {},
}

/// What a run would do. The same as a request for a run, without what is only for running.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRequest {
    /// A task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// A model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A workflow by name, or `name@version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// A workflow as text, instead of one that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its inputs, as far as they are known.
    pub input: Map<String, Json>,
    /// What is wanted of every route.
    #[serde(deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
}

/// What a run would do; nothing was executed and nothing was paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAnswer {
    /// The name of the workflow, or of the task.
    pub work: String,
    /// Its steps, in an order in which they can run.
    pub steps: Vec<PlannedStepView>,
    /// Inputs that are required and not given.
    pub missing: Vec<String>,
    /// The least that it is expected to cost.
    pub cost_low: MoneyView,
    /// The most that it is expected to cost.
    pub cost_high: MoneyView,
    /// How long its work is expected to take at least, one step after the other, in milliseconds.
    pub time_low_ms: u64,
    /// How long its work is expected to take at most, in milliseconds.
    pub time_high_ms: u64,
}

/// What a step would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStepView {
    /// Its name.
    pub name: String,
    /// What it does; absent for a step that calls no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The steps that it waits for.
    pub needs: Vec<String>,
    /// How many instances it has; absent if that is known only during the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u64>,
    /// The ranking of its offers for its first instance, with the reason for each place and exclusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Json>,
    /// The least that all its instances are expected to cost.
    pub cost_low: MoneyView,
    /// The most that all its instances are expected to cost.
    pub cost_high: MoneyView,
}
