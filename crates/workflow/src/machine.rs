//! The state machine of a run: a fold over events that says what to do next.

use std::sync::Arc;

use impasto_domain::{InstanceKey, Values};

use crate::{Command, Event, Instance, Outcome, Plan};

/// The state of a run: the fold of its events.
#[derive(Clone, Debug)]
pub struct State {
    plan: Arc<Plan>,
    seed: u64,
    input: Values,
    instances: Vec<Instance>,
    outcome: Option<Outcome>,
}

impl State {
    /// A run of `plan` to which nothing has happened. `seed` decides the jitter of waits.
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        Self { plan, seed, input: Values::new(), instances: Vec::new(), outcome: None }
    }

    /// Every command that is outstanding, for going on after a restart.
    pub fn pending(&self) -> Vec<Command> {
        self.outcome.iter().cloned().map(Command::Finish).collect()
    }

    /// How the run ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Every instance that is known so far, in the order of the plan's steps.
    pub fn instances(&self) -> impl Iterator<Item = (&InstanceKey, &Instance)> {
        self.instances.iter().map(|instance| (&instance.key, instance))
    }

    /// The instance of that key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Instance> {
        self.instances.iter().find(|instance| &instance.key == key)
    }

    /// Whether attempt number `attempt` of `key` may be started now. Ask before committing
    /// [`Event::AttemptStarted`]: a command may be void because the run is stopping.
    pub fn may_start(&self, key: &InstanceKey, attempt: u32) -> bool {
        self.instance(key).is_some_and(|instance| instance.next_number() == attempt)
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The inputs with which the run began.
    pub fn input(&self) -> &Values {
        &self.input
    }
}

/// Folds `event` into `state` and answers with what is to be done now.
pub fn apply(state: &mut State, event: &Event) -> Vec<Command> {
    if let Event::Started { input } = event {
        state.input = input.clone();
    }
    Vec::new()
}
