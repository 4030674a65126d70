//! The limits of the engine, by name.

use serde::{Deserialize, Serialize};

/// The limits of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineOptions {
    /// Calls at once at a provider that states no limit of its own.
    pub provider_concurrency: u32,
    /// The most events that are written in one transaction.
    pub batch_events: usize,
    /// How often a job at a provider is asked for at first, in milliseconds; it slows down from there.
    pub poll_first_ms: u64,
    /// How often a job at a provider is asked for at the least, in milliseconds.
    pub poll_slowest_ms: u64,
    /// How long it takes at the least from one look at a job because of a hint to the next, in milliseconds.
    pub hint_every_ms: u64,
    /// How many times in a row asking for a job may fail before the attempt is given up.
    pub poll_failures_max: u32,
    /// How long an attempt that was asked to stop may take to do so, in milliseconds.
    pub stop_grace_ms: u64,
    /// How long a result may take to come that was there when its attempt was asked to stop, in
    /// milliseconds.
    pub late_result_ms: u64,
    /// How often the store is asked for runs that somebody wants cancelled, in milliseconds.
    pub cancel_watch_ms: u64,
    /// How long a run keeps trying to write while the store says that this may help, as when the disk is
    /// full, in milliseconds.
    pub store_patience_ms: u64,
    /// Updates that a listener may be behind before it has to read from the store.
    pub update_backlog: usize,
    /// Plans of which the compiled form is kept for further runs.
    pub known_plans: usize,
    /// The most runs that may be under way or waiting in this process; more are told to come later.
    pub runs_max: usize,
    /// The most runs of one tenant that may be under way or waiting.
    pub runs_per_tenant_max: usize,
    /// When one that was told so should come again, in milliseconds.
    pub come_again_ms: u64,
    /// How long what is known of the providers' health is used before it is gathered anew, in milliseconds.
    pub health_age_ms: u64,
    /// Lines of the log that are kept of a run.
    pub log_lines: usize,
    /// Runs that are still known without asking the store after they have ended, with their logs.
    pub ended_known: usize,
    /// The least time between two reports of progress of one attempt, in milliseconds.
    pub progress_interval_ms: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            provider_concurrency: std::thread::available_parallelism()
                .map_or(2, |n| n.get() as u32),
            batch_events: 256,
            poll_first_ms: 250,
            poll_slowest_ms: 5_000,
            hint_every_ms: 1_000,
            poll_failures_max: 20,
            stop_grace_ms: 3_000,
            late_result_ms: 60_000,
            cancel_watch_ms: 300,
            store_patience_ms: 60_000,
            update_backlog: 4_096,
            known_plans: 16,
            runs_max: 40_000,
            runs_per_tenant_max: 25_000,
            come_again_ms: 2_000,
            health_age_ms: 100,
            log_lines: 200,
            ended_known: 1_000,
            progress_interval_ms: 50,
        }
    }
}
