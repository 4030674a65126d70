//! Hints: somebody says that something happened to a job, and it is looked at now instead of later.
//!
//! A provider that can tell of a job is given an address for it when the job is started. What comes
//! there is no result and no state: the engine asks the provider as it always does, only sooner.
//!
//! Invariants
//! - Hints replace no poll: who never hints is asked as often as before.
//! - However many hints come, a job is looked at once for them in a while, and never twice at the
//!   same time.

use std::sync::Arc;

use impasto_domain::{InstanceKey, RunId};

/// One attempt, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptName {
    /// The run.
    pub run: RunId,
    /// The step instance.
    pub key: InstanceKey,
    /// The attempt's number, from 1.
    pub attempt: u32,
}

/// Gives an address at which others can hint that something happened to an attempt, where they reach
/// us. It is the same for the same attempt, in every process.
pub type Callbacks = Arc<dyn Fn(&AttemptName) -> Option<String> + Send + Sync>;
