//! What is known of the world outside: facts that the engine collects and hands in.

use std::collections::{BTreeMap, BTreeSet};

use impasto_catalog::Provider;
use impasto_domain::ProviderId;

/// From this share of failures on, a provider counts as failing and ranks behind those that work.
const FAILING_FROM: f64 = 0.5;
/// An attempt that may fail is expected to take longer, but never more than so many times.
const LONGEST_FACTOR: f64 = 10.0;

/// Facts about this machine and the providers. What is not said is taken to be well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Programs that are known not to be on this machine.
    pub missing_programs: BTreeSet<String>,
    /// Providers that cannot be used here, with the reason and what to do about it.
    pub unusable: BTreeMap<ProviderId, String>,
    /// Providers of which something is known.
    pub providers: BTreeMap<ProviderId, ProviderHealth>,
    /// Processor cores of this machine; zero counts as one.
    pub cores: u32,
}

/// What is known of one provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProviderHealth {
    /// Whether it answers at all.
    pub reachable: bool,
    /// The share of its recent attempts that failed, from 0 to 1.
    pub failure_rate: f64,
    /// Attempts that are under way there now.
    pub busy: u32,
    /// Attempts that wait for a slot there now.
    pub waiting: u32,
}

impl Default for ProviderHealth {
    fn default() -> Self {
        Self { reachable: true, failure_rate: 0.0, busy: 0, waiting: 0 }
    }
}

impl Health {
    pub(crate) fn provider(&self, id: &ProviderId) -> ProviderHealth {
        self.providers.get(id).copied().unwrap_or_default()
    }

    pub(crate) fn lacks(&self, program: &str) -> bool {
        self.missing_programs.contains(program)
    }

    pub(crate) fn is_failing(&self, id: &ProviderId) -> bool {
        self.provider(id).failure_rate >= FAILING_FROM
    }

    /// How long a call of `own_ms` is expected to take at `provider`, with the wait for a slot and
    /// the attempts that fail.
    pub(crate) fn expected_ms(&self, provider: &Provider, own_ms: u64) -> u64 {
        let state = self.provider(&provider.id);
        let slots = provider.concurrency.slots(self.cores);
        let ahead = u64::from(state.busy) + u64::from(state.waiting);
        // Calls ahead are taken to be as long as this one: each full round of slots is one wait.
        let rounds = 1 + ahead / u64::from(slots.max(1));
        let failures = state.failure_rate.clamp(0.0, 1.0);
        let factor = (1.0 / (1.0 - failures).max(f64::EPSILON)).min(LONGEST_FACTOR);
        (own_ms.saturating_mul(rounds) as f64 * factor).round() as u64
    }
}
