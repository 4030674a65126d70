//! Where a run stands, as whoever polls for it is told. The one table that all faces share: each has
//! its own words, and none decides by itself what is over.

use impasto_domain::Error;

use crate::calls::{RunView, ViewStatus};

/// Where a run stands for somebody who waits for its result.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    /// It waits for its turn.
    Queued,
    /// It is worked on, or will be: it waits for a person's answer, or for a process to go on with it.
    Working,
    /// Its result is there.
    Succeeded,
    /// It gives no result unasked: it failed, or nobody knows what became of an attempt. If somebody
    /// finds that out it goes on; whoever polls must not wait for that.
    Failed(Error),
    /// Somebody gave it up, or nobody began it in time.
    Cancelled(Error),
}

impl Standing {
    pub(super) fn of(view: &RunView) -> Self {
        let error = || view.error.clone();
        match view.status {
            ViewStatus::Queued => Self::Queued,
            ViewStatus::Running | ViewStatus::Interrupted => Self::Working,
            ViewStatus::Parked => error().map_or(Self::Working, Self::Failed),
            ViewStatus::Succeeded => Self::Succeeded,
            ViewStatus::Failed => {
                Self::Failed(error().unwrap_or_else(|| Error::internal("it failed")))
            }
            ViewStatus::Cancelled => Self::Cancelled(error().unwrap_or_else(Error::cancelled)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use impasto_domain::{ErrorKind, Money, RunId};

    use super::*;

    /// A run that stands so, with this error if any.
    pub(in super::super) fn standing(status: ViewStatus, error: Option<ErrorKind>) -> RunView {
        RunView {
            id: RunId::new("ab"),
            work: "text-to-image".into(),
            status,
            queue_position: None,
            outputs: Default::default(),
            error: error.map(|kind| Error::new(kind, "no")),
            cost: Money::default(),
            created_ms: 0,
            started_ms: None,
            ended_ms: None,
            origin: Default::default(),
            logs: Vec::new(),
            progress: None,
            last_seq: 0,
            asks: Vec::new(),
        }
    }

    /// Every way in which a run can stand, and what a face is to say of each: of one that is queued, is
    /// worked on, waits for a person, waits for a process, succeeded, failed, is in doubt, was given up.
    pub(in super::super) fn check_all<T: PartialEq + std::fmt::Debug>(
        told: impl Fn(&RunView) -> T,
        expected: [T; 8],
    ) {
        let ways = [
            (ViewStatus::Queued, None),
            (ViewStatus::Running, None),
            (ViewStatus::Parked, None),
            (ViewStatus::Interrupted, None),
            (ViewStatus::Succeeded, None),
            (ViewStatus::Failed, Some(ErrorKind::ProviderFailed)),
            (ViewStatus::Parked, Some(ErrorKind::InDoubt)),
            (ViewStatus::Cancelled, Some(ErrorKind::Cancelled)),
        ];
        for ((status, error), expected) in ways.into_iter().zip(expected) {
            assert_eq!(told(&standing(status, error)), expected, "{status:?} {error:?}");
        }
    }

    #[test]
    fn a_run_that_can_go_on_by_itself_is_worked_on() {
        let error = |kind| Error::new(kind, "no");
        check_all(
            Standing::of,
            [
                Standing::Queued,
                Standing::Working,
                Standing::Working,
                Standing::Working,
                Standing::Succeeded,
                Standing::Failed(error(ErrorKind::ProviderFailed)),
                Standing::Failed(error(ErrorKind::InDoubt)),
                Standing::Cancelled(error(ErrorKind::Cancelled)),
            ],
        );
    }
}
