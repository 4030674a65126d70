//! The log of a run: what its models say, and between it what the engine did for it.

use impasto_dialects::fal::wire::LogLine;
use impasto_domain::{Result, rfc3339};
use impasto_engine::{LogLine as Said, Update, UpdateKind};
use impasto_workflow::Event;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::RunView;

/// Every line up to where the view stands, oldest first.
pub(super) async fn log_of(app: &App, caller: &Caller, view: &RunView) -> Result<Vec<LogLine>> {
    let mut told = Vec::new();
    let mut updates = app.updates(caller, &view.id, 0);
    let mut seq = 0;
    while seq < view.last_seq {
        let Some(update) = updates.next().await else { break };
        let update = update?;
        seq = seq.max(update.seq);
        told.push(update);
    }
    Ok(in_order(&view.logs, &told, view.last_seq))
}

/// What models said and what the engine did, as it came. A later call with more of either gives the
/// same lines and then others: who counts the lines that were heard misses none.
fn in_order(said: &[Said], updates: &[Update], last_seq: u64) -> Vec<LogLine> {
    let done = updates.iter().filter_map(|update| {
        let (level, message) = line(update)?;
        Some(((update.seq, false), update.at_ms, level, message))
    });
    let said = said.iter().filter(|line| line.seq <= last_seq);
    let said = said.map(|line| ((line.seq, true), line.at_ms, &*line.level, line.message.clone()));
    let mut lines: Vec<_> = done.chain(said).collect();
    lines.sort_by_key(|(place, ..)| *place);
    let shown = |(_, at_ms, level, message): (_, u64, &str, String)| LogLine {
        message,
        level: level.to_ascii_uppercase(),
        source: "USER".to_owned(),
        timestamp: rfc3339(at_ms),
    };
    lines.into_iter().map(shown).collect()
}

/// What there is to say of an event, and how loudly.
fn line(update: &Update) -> Option<(&'static str, String)> {
    let UpdateKind::Event(event) = &update.kind else { return None };
    Some(match event {
        Event::Decided { key, decision } => {
            let first = decision.first()?;
            ("info", format!("{key}: {} of {} offers", first.offer, decision.ranked.len()))
        }
        Event::Reused { key, .. } => ("info", format!("{key}: done before, taken from the cache")),
        Event::AttemptStarted { key, attempt, offer } => {
            ("info", format!("{key}: attempt {attempt} at {offer}"))
        }
        Event::AttemptDone { key, time_ms, cost, .. } => {
            ("info", format!("{key}: done in {time_ms} ms for {cost}"))
        }
        Event::AttemptFailed { key, attempt, error, .. } => {
            ("error", format!("{key}: attempt {attempt} failed: {error}"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use impasto_domain::{InstanceKey, OfferId};

    use super::*;

    fn started(seq: u64) -> Update {
        let key = InstanceKey::new("draw", []);
        let event =
            Event::AttemptStarted { key, attempt: seq as u32, offer: OfferId::new("a@b/c") };
        Update { seq, at_ms: 5, kind: UpdateKind::Event(event) }
    }

    fn said(seq: u64, at_ms: u64) -> Said {
        Said { seq, at_ms, level: "info".to_owned(), message: format!("said after {seq}") }
    }

    /// Everything happens in one millisecond, or the clock goes back.
    #[test]
    fn what_comes_later_is_only_added() {
        let updates = [started(1), started(2), started(3)];
        let lines = [said(1, 5), said(1, 4), said(2, 5), said(3, 3)];
        let whole = in_order(&lines, &updates, 3);
        assert_eq!(whole.len(), 7);
        for (events, count) in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4)] {
            let so_far = in_order(&lines[..count], &updates[..events], events as u64);
            assert!(whole.starts_with(&so_far), "{events} {count}: {so_far:?}");
        }
    }

    #[test]
    fn a_line_waits_for_the_event_before_it() {
        assert!(in_order(&[said(2, 5)], &[], 1).is_empty());
    }
}
