//! What can be asked of the engine.

use std::sync::Arc;

use impasto_domain::{Policy, TaskId, TenantId, Values};
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
        }
    }
}
