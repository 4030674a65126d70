//! Workflows: parse, type-check, plan, and the pure state machine of a run.

mod attempts;
mod choose;
mod compile;
mod convert;
mod event;
mod filters;
mod fold;
mod instance;
mod known;
mod machine;
mod plan;
mod product;
mod program;
mod reference;
mod source;
mod suggest;
mod template;

pub use event::{Call, Command, Event, Outcome};
pub use instance::{Attempt, AttemptResult, Instance, Status};
pub use machine::{NO_OFFER, State, apply};
pub use plan::{
    Approve, DEFAULT_TIMEOUT_MS, Each, Output, Pick, Plan, PlannedCall, Retry, Step, TaskCall, Work,
};
