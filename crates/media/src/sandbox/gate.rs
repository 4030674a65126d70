//! How many children there may be at once in this process, and how many callers may wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use impasto_domain::{Error, ErrorKind, Result, Side};

use crate::limits::Limits;

/// The gate that every import goes through.
pub(super) static GATE: Gate = Gate::new();

/// When somebody who was turned away may come again.
const COME_AGAIN_MS: u64 = 2_000;

/// Counts who is inside and who waits.
pub(super) struct Gate {
    count: Mutex<Count>,
    left: Condvar,
}

#[derive(Default)]
struct Count {
    inside: usize,
    waiting: usize,
}

/// Being inside, until it is dropped.
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    pub(super) const fn new() -> Self {
        Self { count: Mutex::new(Count { inside: 0, waiting: 0 }), left: Condvar::new() }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes in, at once or after a while; fails if too many wait already.
    pub(super) fn pass(&self, limits: &Limits) -> Result<Pass<'_>> {
        let most = limits.imports_at_once.max(1);
        let mut count = self.count();
        if count.inside >= most && count.waiting >= limits.imports_waiting {
            return Err(crowded(count.inside, count.waiting));
        }
        count.waiting += 1;
        while count.inside >= most {
            count = self.left.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        count.waiting -= 1;
        count.inside += 1;
        Ok(Pass(self))
    }
}

fn crowded(inside: usize, waiting: usize) -> Error {
    let mut error = Error::new(
        ErrorKind::RateLimited,
        format!("{inside} files are being decoded and {waiting} wait, which is the most"),
    );
    error.side = Side::Ours;
    error.retry_after(COME_AGAIN_MS).hint("try again in a moment")
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.count().inside -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_than_so_many_are_inside() {
        let limits = Limits { imports_at_once: 3, imports_waiting: 64, ..Limits::default() };
        let (gate, inside, most) = (Gate::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    let pass = gate.pass(&limits).unwrap();
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(pass);
                });
            }
        });
        assert!(most.into_inner() <= 3);
        let left = gate.count();
        assert_eq!((left.inside, left.waiting), (0, 0));
    }

    #[test]
    fn who_may_not_even_wait_is_turned_away() {
        let limits = Limits { imports_at_once: 1, imports_waiting: 0, ..Limits::default() };
        let gate = Gate::new();
        let pass = gate.pass(&limits).unwrap();
        let error = gate.pass(&limits).err().unwrap();
        assert_eq!(
            (error.kind, error.retry_after_ms),
            (ErrorKind::RateLimited, Some(COME_AGAIN_MS))
        );
        drop(pass);
        assert!(gate.pass(&limits).is_ok());
    }
}
