//! What is known of the providers' health: what failed lately, what is busy, what is missing.
//!
//! Failures fade: what failed a minute ago counts half, so a provider that was avoided is tried again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Error, ErrorKind, ProviderId};
use impasto_router::{Health, ProviderHealth};

use crate::places::Places;

/// What one attempt counts for, among those before it.
const WEIGHT: f64 = 0.2;
/// After so many milliseconds a failure counts half.
const HALF_LIFE_MS: f64 = 60_000.0;

/// Watches how attempts end.
pub(crate) struct HealthWatch {
    /// What does not change.
    fixed: Mutex<Health>,
    failing: Mutex<BTreeMap<ProviderId, Failing>>,
    gathered: Mutex<Option<(u64, Arc<Health>)>>,
}

/// How often attempts at a provider have failed lately.
#[derive(Clone, Copy, Default)]
struct Failing {
    rate: f64,
    at_ms: u64,
}

impl Failing {
    fn at(self, now_ms: u64) -> f64 {
        let age_ms = now_ms.saturating_sub(self.at_ms) as f64;
        self.rate * 0.5_f64.powf(age_ms / HALF_LIFE_MS)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HealthWatch {
    /// Begins with what does not change.
    pub(crate) fn new(fixed: Health) -> Self {
        Self { fixed: Mutex::new(fixed), failing: Mutex::default(), gathered: Mutex::default() }
    }

    /// What does not change has changed after all: another catalogue.
    pub(crate) fn set_fixed(&self, fixed: Health) {
        *lock(&self.fixed) = fixed;
        *lock(&self.gathered) = None;
    }

    /// An attempt at the provider ended, with this error if it failed.
    pub(crate) fn ended(&self, provider: &ProviderId, error: Option<&Error>, now_ms: u64) {
        let failed = match error.map(|error| error.kind) {
            None => 0.0,
            Some(
                ErrorKind::ProviderFailed
                | ErrorKind::Timeout
                | ErrorKind::Unavailable
                | ErrorKind::RateLimited
                | ErrorKind::InDoubt,
            ) => 1.0,
            // Says nothing about the provider.
            Some(_) => return,
        };
        let mut failing = lock(&self.failing);
        let known = failing.entry(provider.clone()).or_default();
        let rate = known.at(now_ms) * (1.0 - WEIGHT) + failed * WEIGHT;
        *known = Failing { rate, at_ms: now_ms };
    }

    /// What is known now, or was known less than `age_ms` ago.
    pub(crate) fn now(&self, places: &Places, now_ms: u64, age_ms: u64) -> Arc<Health> {
        let mut gathered = lock(&self.gathered);
        if let Some((at_ms, health)) = &*gathered
            && now_ms.saturating_sub(*at_ms) < age_ms
        {
            return Arc::clone(health);
        }
        let mut health = lock(&self.fixed).clone();
        let failing = lock(&self.failing);
        for (provider, busy, waiting) in places.load() {
            let failure_rate = failing.get(&provider).map_or(0.0, |known| known.at(now_ms));
            let known = health.providers.entry(provider).or_default();
            *known = ProviderHealth { failure_rate, busy, waiting, ..*known };
        }
        let health = Arc::new(health);
        *gathered = Some((now_ms, Arc::clone(&health)));
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(watch: &HealthWatch, now_ms: u64) -> f64 {
        let provider = ProviderId::new("p");
        let places = Places::new([(provider.clone(), 1)]);
        watch.now(&places, now_ms, 0).providers[&provider].failure_rate
    }

    #[test]
    fn failures_of_the_provider_count_and_fade() {
        let watch = HealthWatch::new(Health::default());
        let provider = ProviderId::new("p");
        assert!(rate(&watch, 0).abs() < f64::EPSILON);
        for _ in 0..20 {
            let error = Error::new(ErrorKind::ProviderFailed, "no");
            watch.ended(&provider, Some(&error), 1_000);
        }
        let failing = rate(&watch, 1_000);
        assert!(failing > 0.9, "{failing}");
        watch.ended(&provider, Some(&Error::invalid("the caller's own")), 1_000);
        assert!((rate(&watch, 1_000) - failing).abs() < 1e-9, "a wrong input says nothing of it");
        assert!((rate(&watch, 61_000) - failing / 2.0).abs() < 1e-9, "half of it is forgotten");
        (0..20).for_each(|_| watch.ended(&provider, None, 61_000));
        assert!(rate(&watch, 61_000) < 0.1, "what works again is trusted again");
    }
}
