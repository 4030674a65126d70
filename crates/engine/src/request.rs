//! What can be asked of the engine.

use std::sync::Arc;

use impasto_domain::{Policy, TaskId, TenantId, Values};
use impasto_store::Claim;
use impasto_workflow::Plan;

/// What is to be run.
#[derive(Clone, Debug)]
pub enum Source {
    /// A compiled workflow.
    Workflow(Arc<Plan>),
    /// One task, as a workflow of one step.
    Task(TaskId),
}

/// Something to be run, or planned.
#[derive(Clone, Debug)]
pub struct Request {
    /// What.
    pub source: Source,
    /// Its inputs.
    pub input: Values,
    /// What is wanted of every route. It goes before the policy at the top of a workflow; what a
    /// step says for itself goes before both.
    pub policy: Policy,
    /// From which the seeds of steps without one are derived. Absent: the same for every run of a
    /// workflow, so that a second run finds the results of the first; drawn for a single task.
    pub seed: Option<u64>,
    /// Whose run it is.
    pub tenant: TenantId,
    /// Whether every step is done again, even if an equal one has been done before.
    pub no_cache: bool,
    /// What whoever submits it wants to find again with the run; opaque.
    pub origin: String,
    /// Whom to tell of it; opaque.
    pub webhook: Option<String>,
    /// What keeps the same wish from becoming two runs.
    pub claim: Option<Claim>,
    /// Higher goes first where runs wait for a place at a provider.
    pub priority: i32,
    /// The run is given up if no attempt of it has started by then, in milliseconds since 1970.
    pub start_by_ms: Option<u64>,
    /// The run is given up if it has not ended by then, in milliseconds since 1970.
    pub end_by_ms: Option<u64>,
    /// Among whom places are shared out. Absent: the tenant's own.
    pub lane: Option<Lane>,
    /// Whether attempts tell what there is of their result before it is done.
    pub wants_news: bool,
}

/// Those who share places as one: a tenant, or a key of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What tells it from others.
    pub id: Arc<str>,
    /// The most attempts at once, over all providers.
    pub limit: Option<u32>,
}

impl Request {
    /// A request of the machine's own tenant, with nothing special about it.
    pub fn new(source: Source, input: Values) -> Self {
        Self {
            source,
            input,
            policy: Policy::default(),
            seed: None,
            tenant: TenantId::local(),
            no_cache: false,
            origin: String::new(),
            webhook: None,
            claim: None,
            priority: 0,
            start_by_ms: None,
            end_by_ms: None,
            lane: None,
            wants_news: false,
        }
    }
}
