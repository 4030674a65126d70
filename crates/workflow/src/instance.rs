//! One instance of a step in a run: where it stands and what it took so far.

use std::sync::Arc;

use impasto_domain::{Decision, Error, InstanceKey, Money, OfferId, Values};
use serde::{Deserialize, Serialize};

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// It waits for other instances.
    Waiting,
    /// Its offers are being ranked.
    Deciding,
    /// Its next attempt may start.
    Ready,
    /// An attempt is under way.
    Running {
        /// The attempt's number.
        attempt: u32,
    },
    /// It waits before its next attempt.
    BackingOff {
        /// The number of the attempt to come.
        attempt: u32,
    },
    /// It has its output.
    Done {
        /// Whether the output was taken from an equal call.
        reused: bool,
    },
    /// It failed.
    Failed,
    /// Its condition was false; its outputs are null.
    Skipped,
    /// An attempt is in doubt and a person has to decide.
    Parked,
    /// It waits until a person has looked at what it shows, which is its input.
    Asking,
}

impl Status {
    /// Whether others may take it as finished: it has its output or was skipped.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped)
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum AttemptResult {
    /// It is under way.
    Running,
    /// It gave an output.
    Done,
    /// It failed.
    Failed {
        /// Why.
        error: Error,
    },
    /// Nobody knows.
    Lost,
    /// It came to nothing: the process ended before the provider took it.
    Void,
}

/// One try of one offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The offer.
    pub offer: OfferId,
    /// The provider's name for the job, once it took it.
    pub handle: Option<String>,
    /// How it went.
    pub result: AttemptResult,
    /// What it cost.
    pub cost: Money,
    /// How long it took, in milliseconds.
    pub time_ms: u64,
}

/// One instance of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its step and place.
    pub key: InstanceKey,
    /// Where it stands.
    pub status: Status,
    /// Its input, once it could be computed.
    pub input: Option<Arc<Values>>,
    /// The ranking of its offers.
    pub decision: Option<Arc<Decision>>,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// Its output, once there is one.
    pub output: Option<Arc<Values>>,
    /// Why it failed.
    pub error: Option<Error>,
    /// What all its attempts cost.
    pub cost: Money,
    /// How long all its attempts took, in milliseconds.
    pub time_ms: u64,
    /// How many groups of other instances it still waits for.
    pub(crate) missing: u32,
    /// The place of the offer in hand in the decision.
    pub(crate) offer: usize,
    /// Attempts with the offer in hand that count as failed.
    pub(crate) tries: u32,
    /// How long the wait before the next attempt is, in milliseconds.
    pub(crate) wait_ms: u64,
}

impl Instance {
    pub(crate) fn new(key: InstanceKey) -> Self {
        Self {
            key,
            status: Status::Waiting,
            input: None,
            decision: None,
            attempts: Vec::new(),
            output: None,
            error: None,
            cost: Money::ZERO,
            time_ms: 0,
            missing: 0,
            offer: 0,
            tries: 0,
            wait_ms: 0,
        }
    }

    /// The attempt that is under way or was made last.
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The number that the next attempt will have.
    pub(crate) fn next_number(&self) -> u32 {
        self.attempts.last().map_or(1, |attempt| attempt.number.saturating_add(1))
    }
}
