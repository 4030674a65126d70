//! What is counted since this process began: how attempts at each offer ended, how long they took and
//! what they cost; how runs ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use impasto_domain::{Money, OfferId};
use impasto_store::RunStatus;

/// The upper bounds of the classes of durations, in milliseconds; the last class has none.
pub const DURATION_BOUNDS_MS: [u64; 11] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000, 900_000];

/// How attempts at one offer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferFigures {
    /// Attempts that gave an output.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts by how long they took: see [`DURATION_BOUNDS_MS`].
    pub durations: [u64; DURATION_BOUNDS_MS.len() + 1],
    /// How long they took together, in milliseconds.
    pub time_ms: u64,
    /// What they cost together.
    pub cost: Money,
}

/// What is counted since this process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFigures {
    /// By offer. Only offers that were tried.
    pub offers: BTreeMap<OfferId, OfferFigures>,
    /// Runs that came to stand so, by the name of the status.
    pub runs: BTreeMap<&'static str, u64>,
}

/// Counts.
#[derive(Default)]
pub(crate) struct Counter(Mutex<EngineFigures>);

impl Counter {
    fn figures(&self) -> MutexGuard<'_, EngineFigures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt ended.
    pub(crate) fn attempt(&self, offer: &OfferId, done: bool, time_ms: u64, cost: Money) {
        let mut figures = self.figures();
        if !figures.offers.contains_key(offer) {
            figures.offers.insert(offer.clone(), OfferFigures::default());
        }
        let Some(of) = figures.offers.get_mut(offer) else { return };
        *if done { &mut of.done } else { &mut of.failed } += 1;
        let class = DURATION_BOUNDS_MS.partition_point(|bound| *bound < time_ms);
        if let Some(count) = of.durations.get_mut(class) {
            *count += 1;
        }
        of.time_ms = of.time_ms.saturating_add(time_ms);
        of.cost += cost;
    }

    /// A run came to stand so.
    pub(crate) fn run(&self, status: RunStatus) {
        *self.figures().runs.entry(status.as_str()).or_default() += 1;
    }

    /// What was counted.
    pub(crate) fn read(&self) -> EngineFigures {
        self.figures().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_counted_in_the_class_that_holds_it() {
        let counter = Counter::default();
        let offer = OfferId::new("m@p/t");
        counter.attempt(&offer, true, 50, Money::micros(3));
        counter.attempt(&offer, false, 51, Money::micros(4));
        counter.attempt(&offer, true, u64::MAX, Money::ZERO);
        let figures = counter.read();
        let of = &figures.offers[&offer];
        assert_eq!((of.done, of.failed, of.cost), (2, 1, Money::micros(7)));
        assert_eq!((of.durations[0], of.durations[1], of.durations[11]), (1, 1, 1));
    }
}
