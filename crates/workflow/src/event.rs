//! What happens in a run ([`Event`]) and what is to be done next ([`Command`]).
//!
//! Events are the stored form of a run: folding them again gives the same state. Commands are never
//! stored; [`crate::State::pending`] derives them anew after a restart.

use impasto_domain::{
    Candidate, Decision, Error, InstanceKey, Money, OfferId, Policy, TaskId, Values,
};
use serde::{Deserialize, Serialize};

/// Something that happened in a run.
///
/// An event that does not fit the state (a stale attempt number, an instance that is done) changes
/// nothing, so a message that comes twice does no harm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The run began. `input` has been through [`crate::Plan::admit`].
    Started {
        /// The inputs of the workflow.
        input: Values,
    },
    /// The offers for an instance were ranked. An empty ranking fails the instance.
    Decided {
        /// The instance.
        key: InstanceKey,
        /// The ranking, with its reasons.
        decision: Decision,
    },
    /// An equal call had been done before and its output was taken.
    Reused {
        /// The instance.
        key: InstanceKey,
        /// The ranking under which the output was found.
        decision: Decision,
        /// The output.
        output: Values,
    },
    /// An attempt is about to be made: committed before the provider is touched.
    AttemptStarted {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The offer that is tried.
        offer: OfferId,
    },
    /// The provider took the job.
    AttemptAccepted {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
        /// The provider's name for the job.
        handle: String,
    },
    /// An attempt gave an output.
    AttemptDone {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
        /// The output.
        output: Values,
        /// What it cost.
        cost: Money,
        /// How long it took, in milliseconds.
        time_ms: u64,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
        /// Why.
        error: Error,
        /// What it cost nevertheless.
        cost: Money,
        /// How long it took, in milliseconds.
        time_ms: u64,
    },
    /// An attempt was started and has no handle: nobody knows whether the provider took it.
    AttemptLost {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
    },
    /// An attempt was started and is known to have come to nothing: the process ended before the
    /// provider took it. It counts for nothing, and another one may be made.
    AttemptVoid {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
    },
    /// The wait before an attempt is over.
    TimerFired {
        /// The instance.
        key: InstanceKey,
        /// The number of the attempt that was waited for.
        attempt: u32,
    },
    /// A person decided about an attempt in doubt.
    Settled {
        /// The parked instance.
        key: InstanceKey,
        /// Whether to make another attempt; otherwise the instance fails.
        again: bool,
    },
    /// A person answered a step that waits for one.
    Answered {
        /// The instance that waits.
        key: InstanceKey,
        /// Whether it may go on; otherwise the instance fails.
        approved: bool,
        /// What the person said to it.
        note: String,
    },
    /// The run is to stop for now.
    Interrupted,
    /// The run is to stop for good.
    CancelRequested,
    /// A run that was interrupted, failed or parked goes on.
    Resumed,
}

/// Something to be done for a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Rank the offers for a call, or find an equal one that has been done.
    Decide {
        /// The instance.
        key: InstanceKey,
        /// The call.
        call: Call,
    },
    /// Make an attempt, or go on with it if it has been started.
    Attempt {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number, from 1, counted over all offers and never used twice.
        attempt: u32,
        /// The offer to try.
        candidate: Candidate,
        /// The call.
        call: Call,
    },
    /// Answer with [`Event::TimerFired`] after a while.
    Wait {
        /// The instance.
        key: InstanceKey,
        /// The number of the attempt that comes afterwards.
        attempt: u32,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Ask the provider of a started attempt to stop; the attempt still has to end.
    StopAttempt {
        /// The instance.
        key: InstanceKey,
        /// The attempt's number.
        attempt: u32,
    },
    /// The run has ended.
    Finish(Outcome),
}

/// One call of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The task.
    pub task: TaskId,
    /// Its input, checked against the task's fields, defaults filled in.
    pub input: Values,
    /// What is wanted of the route.
    pub policy: Policy,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Whether the output of an equal call will do.
    pub cache: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It gave its outputs.
    Succeeded {
        /// The outputs of the workflow.
        output: Values,
    },
    /// Some instances failed; it can be resumed.
    Failed {
        /// Every instance that failed, and why.
        errors: Vec<(InstanceKey, Error)>,
    },
    /// Nothing more can be done until a person decides: about attempts in doubt, or about what a step
    /// shows.
    Parked {
        /// The instances that wait for it.
        keys: Vec<InstanceKey>,
    },
    /// It was stopped for now; it can be resumed.
    Interrupted,
    /// It was stopped for good.
    Cancelled,
}
