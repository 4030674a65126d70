//! How often a provider is called: so many calls in so much time, and not one more.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use impasto_catalog::Provider;
use impasto_domain::ProviderId;
use tokio::time::Instant;

/// When each provider may be called next.
#[derive(Default)]
pub(crate) struct Pace {
    /// The time at which the provider would be idle if every call took its share of the rate.
    idle_at: Mutex<HashMap<ProviderId, Instant>>,
}

impl Pace {
    /// Waits until the provider may be called.
    pub(crate) async fn wait(&self, provider: &Provider) {
        if let Some(delay) = self.delay(provider, Instant::now()).filter(|delay| !delay.is_zero()) {
            tokio::time::sleep(delay).await;
        }
    }

    /// How long a call that comes now has to wait; it is counted.
    fn delay(&self, provider: &Provider, now: Instant) -> Option<Duration> {
        let rate = provider.rate?;
        let window = Duration::try_from_secs_f64(rate.per_s).ok()?;
        let share = window.checked_div(rate.calls.max(1))?;
        let mut idle_at = self.idle_at.lock().ok()?;
        let idle = idle_at.entry(provider.id.clone()).or_insert(now);
        *idle = (*idle).max(now) + share;
        Some(idle.saturating_duration_since(now + window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_catalog::{Catalog, Rate};

    #[test]
    fn a_burst_goes_through_and_the_rest_waits() {
        let catalog = Catalog::embedded().unwrap();
        let mut provider = catalog.providers.values().next().unwrap().clone();
        provider.rate = Some(Rate { calls: 4, per_s: 2.0 });
        let (pace, now) = (Pace::default(), Instant::now());
        let waits: Vec<u128> =
            (0..7).map(|_| pace.delay(&provider, now).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 500, 1000, 1500]);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.delay(&provider, later).unwrap().as_millis(), 0);
        provider.rate = None;
        assert_eq!(pace.delay(&provider, now), None);
    }
}
