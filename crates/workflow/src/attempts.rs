//! Attempts: when one fails, is it tried again, where, and when.
//!
//! The same offer is tried again only if the error says that a retry may help; refusals and failures
//! of a provider go on to the next offer at once; wrong input fails at once. An attempt of which
//! nobody knows is handled as the policy says, and never tried again unasked if it costs money.

use impasto_domain::{Error, ErrorKind, InDoubt, InstanceKey, Money, OfferId, Value, Values};

use crate::machine::{Slot, State, Stop};
use crate::{Attempt, AttemptResult, Event, Instance, Retry, Status};

impl Event {
    /// The instance that it is about, if it is about one.
    pub fn key(&self) -> Option<&InstanceKey> {
        match self {
            Self::Decided { key, .. }
            | Self::Reused { key, .. }
            | Self::AttemptStarted { key, .. }
            | Self::AttemptAccepted { key, .. }
            | Self::AttemptDone { key, .. }
            | Self::AttemptFailed { key, .. }
            | Self::AttemptLost { key, .. }
            | Self::AttemptVoid { key, .. }
            | Self::TimerFired { key, .. }
            | Self::Settled { key, .. }
            | Self::Answered { key, .. } => Some(key),
            Self::Started { .. } | Self::Interrupted | Self::CancelRequested | Self::Resumed => {
                None
            }
        }
    }
}

impl State {
    /// Folds an event about an attempt, if it is about the one in hand.
    pub(crate) fn attempt_event(&mut self, slot: Slot, event: &Event, status: Status) {
        match (event, status) {
            (Event::AttemptStarted { attempt, offer, .. }, Status::Ready) => {
                self.started(slot, *attempt, offer);
            }
            (
                Event::AttemptAccepted { attempt, handle, .. },
                Status::Running { attempt: current },
            ) if *attempt == current => {
                if let Some(attempt) = self.at_mut(slot).and_then(|i| i.attempts.last_mut()) {
                    attempt.handle = Some(handle.clone());
                }
            }
            (
                Event::AttemptDone { attempt, output, cost, time_ms, .. },
                Status::Running { attempt: current },
            ) if *attempt == current => {
                self.close(slot, AttemptResult::Done, *cost, *time_ms);
                self.complete(slot, output.clone(), Status::Done { reused: false });
            }
            (
                Event::AttemptFailed { attempt, error, cost, time_ms, .. },
                Status::Running { attempt: current },
            ) if *attempt == current => {
                self.close(slot, AttemptResult::Failed { error: error.clone() }, *cost, *time_ms);
                self.failed(slot, error);
            }
            (Event::AttemptLost { attempt, .. }, Status::Running { attempt: current })
                if *attempt == current =>
            {
                self.close(slot, AttemptResult::Lost, Money::ZERO, 0);
                self.lost(slot, lost_error());
            }
            (Event::AttemptVoid { attempt, .. }, Status::Running { attempt: current })
                if *attempt == current =>
            {
                self.close(slot, AttemptResult::Void, Money::ZERO, 0);
                self.set(slot, Status::Ready);
            }
            _ => {}
        }
    }

    fn started(&mut self, slot: Slot, attempt: u32, offer: &OfferId) {
        let Some(instance) = self.at_mut(slot).filter(|i| i.next_number() == attempt) else {
            return;
        };
        instance.attempts.push(Attempt {
            number: attempt,
            offer: offer.clone(),
            handle: None,
            result: AttemptResult::Running,
            cost: Money::ZERO,
            time_ms: 0,
        });
        self.set(slot, Status::Running { attempt });
    }

    fn close(&mut self, slot: Slot, result: AttemptResult, cost: Money, time_ms: u64) {
        let Some(instance) = self.at_mut(slot) else { return };
        instance.cost += cost;
        instance.time_ms = instance.time_ms.saturating_add(time_ms);
        if let Some(attempt) = instance.attempts.last_mut() {
            (attempt.result, attempt.cost, attempt.time_ms) = (result, cost, time_ms);
        }
    }

    fn failed(&mut self, slot: Slot, error: &Error) {
        match error.kind {
            ErrorKind::Cancelled if self.data.stop != Stop::No => self.set(slot, Status::Ready),
            ErrorKind::InvalidInput | ErrorKind::Cancelled => self.fail(slot, error.clone()),
            ErrorKind::InDoubt => self.lost(slot, error.clone()),
            _ if error.retry => self.again(slot, error, Some(error.retry_after_ms.unwrap_or(0))),
            _ => self.next_offer(slot, error),
        }
    }

    /// Another attempt with the same offer if it has one left: after a wait of at least `at_least_ms`,
    /// or at once.
    fn again(&mut self, slot: Slot, error: &Error, at_least_ms: Option<u64>) {
        let retry = self.call_of(slot).map(|(call, _)| call.retry).unwrap_or_default();
        let seed = self.data.seed;
        let Some(instance) = self.at_mut(slot) else { return };
        instance.tries = instance.tries.saturating_add(1);
        if instance.tries >= retry.attempts {
            return self.next_offer(slot, error);
        }
        let Some(least) = at_least_ms else { return self.set(slot, Status::Ready) };
        instance.wait_ms = backoff_ms(retry, instance, seed).max(least);
        let attempt = instance.next_number();
        self.set(slot, Status::BackingOff { attempt });
    }

    fn next_offer(&mut self, slot: Slot, error: &Error) {
        let fallback = self.call_of(slot).is_some_and(|(call, _)| call.fallback);
        let Some(instance) = self.at_mut(slot) else { return };
        let offers = instance.decision.as_ref().map_or(0, |decision| decision.ranked.len());
        if !fallback || instance.offer + 1 >= offers {
            return self.fail(slot, error.clone());
        }
        instance.offer += 1;
        instance.tries = 0;
        self.set(slot, Status::Ready);
    }

    /// Nobody knows whether the attempt was made: by the policy, or by whether it costs anything.
    fn lost(&mut self, slot: Slot, error: Error) {
        let wish = self.call_of(slot).and_then(|(_, policy)| policy.in_doubt);
        let priced = self.at(slot).and_then(|instance| {
            let candidate = instance.decision.as_ref()?.ranked.get(instance.offer)?;
            Some(candidate.cost > Money::ZERO || candidate.is_unpriced)
        });
        let usual = if priced == Some(false) { InDoubt::Retry } else { InDoubt::Park };
        match wish.unwrap_or(usual) {
            InDoubt::Park => {
                if let Some(instance) = self.at_mut(slot) {
                    instance.error = Some(error);
                }
                self.set(slot, Status::Parked);
            }
            InDoubt::Fail => self.fail(slot, error),
            InDoubt::Retry => self.again(slot, &error, None),
        }
    }

    /// A person decided about an attempt in doubt.
    pub(crate) fn settled(&mut self, slot: Slot, again: bool) {
        if again {
            if let Some(instance) = self.at_mut(slot) {
                instance.error = None;
            }
            self.set(slot, Status::Ready);
        } else {
            self.fail(slot, lost_error());
        }
    }

    /// A person looked and answered.
    pub(crate) fn answered(&mut self, slot: Slot, approved: bool, note: &str) {
        if !approved {
            return self.fail(slot, rejected(note));
        }
        let output = Values::from([
            ("approved".to_owned(), Value::Boolean(true)),
            ("note".to_owned(), Value::from(note)),
        ]);
        self.complete(slot, output, Status::Done { reused: false });
    }
}

fn rejected(note: &str) -> Error {
    let said = if note.is_empty() { String::new() } else { format!(": {note}") };
    Error::new(ErrorKind::Cancelled, format!("a person said no{said}"))
        .hint("change what it is made of and run it again, or resume the run to be asked again")
}

fn lost_error() -> Error {
    Error::new(ErrorKind::InDoubt, "nobody knows whether the provider took the last attempt")
        .hint("look at the provider's own list of jobs, then settle it")
}

/// The wait before the next attempt: doubles from one to the next, between half and all of it by a
/// number drawn from the run's seed, so that runs do not knock in step and a refold waits the same.
fn backoff_ms(retry: Retry, instance: &Instance, seed: u64) -> u64 {
    let doublings = instance.tries.saturating_sub(1).min(32);
    let full = retry.backoff_ms.saturating_mul(1 << doublings).min(retry.max_backoff_ms);
    let mut hash = seed ^ 0x9e37_79b9_7f4a_7c15;
    let places = instance.key.index.iter().flat_map(|place| place.to_le_bytes());
    let number = instance.next_number().to_le_bytes();
    for byte in instance.key.step.bytes().chain(places).chain(number) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    let half = full / 2;
    half + hash % (full - half + 1)
}
