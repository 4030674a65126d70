//! The log of a run: what its models say, and between it what the engine did for it.

use impasto_dialects::fal::wire::LogLine;
use impasto_domain::{Result, rfc3339};
use impasto_engine::{LogLine as Said, Update, UpdateKind};
use impasto_workflow::Event;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::RunView;
use crate::faces::missing;

/// How much of a log was told to somebody who listens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// Up to this event.
    seq: u64,
    /// So many lines of what models say.
    lines: u64,
    /// The event before the last of these.
    line_seq: u64,
}

impl Heard {
    /// The lines up to where the view stands that were not told yet, oldest first. Of what models say
    /// only the last lines are kept: where others are missing, a line says how many.
    pub(super) async fn more(
        &mut self,
        app: &App,
        caller: &Caller,
        view: &RunView,
    ) -> Result<Vec<LogLine>> {
        let mut told = Vec::new();
        let mut updates = app.updates(caller, &view.id, self.seq);
        let mut seq = self.seq;
        while seq < view.last_seq {
            let Some(update) = updates.next().await else { break };
            let update = update?;
            seq = seq.max(update.seq);
            told.push(update);
        }
        Ok(self.in_order(&view.logs, &told, view.last_seq))
    }

    /// What models said and what the engine did, as it came. A later call with more of either gives
    /// other lines only, and none is left out.
    fn in_order(&mut self, said: &[Said], updates: &[Update], last_seq: u64) -> Vec<LogLine> {
        let done = updates.iter().filter(|update| update.seq > self.seq).filter_map(|update| {
            let (level, message) = line(update)?;
            Some(((update.seq, 0), update.at_ms, level, message))
        });
        // The lines of a run that somebody goes on with are counted anew.
        let (lines, line_seq) = (self.lines, self.line_seq);
        let is_new =
            |line: &&Said| line.seq <= last_seq && (line.number >= lines || line.seq > line_seq);
        let said: Vec<&Said> = said.iter().filter(is_new).collect();
        let gap = said
            .first()
            .filter(|first| first.number > lines)
            .map(|first| ((first.seq, 1), first.at_ms, "warn", missing(first.number - lines)));
        if let Some(last) = said.last() {
            (self.lines, self.line_seq) = (last.number + 1, last.seq);
        }
        let said = said.into_iter();
        let said = said.map(|line| ((line.seq, 2), line.at_ms, &*line.level, line.message.clone()));
        let mut all: Vec<_> = done.chain(gap).chain(said).collect();
        all.sort_by_key(|(place, ..)| *place);
        self.seq = self.seq.max(last_seq);
        all.into_iter().map(shown).collect()
    }
}

/// Where a line stands, when it was said, how loudly, and what it says.
type Line<'l> = ((u64, u8), u64, &'l str, String);

fn shown((_, at_ms, level, message): Line<'_>) -> LogLine {
    LogLine {
        message,
        level: level.to_ascii_uppercase(),
        source: "USER".to_owned(),
        timestamp: rfc3339(at_ms),
    }
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

    fn said(number: u64, seq: u64, at_ms: u64) -> Said {
        let message = format!("line {number}");
        Said { number, seq, at_ms, level: "info".to_owned(), message }
    }

    fn messages(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.message).collect()
    }

    /// Everything happens in one millisecond, or the clock goes back.
    #[test]
    fn what_comes_later_is_only_added() {
        let updates = [started(1), started(2), started(3)];
        let lines = [said(0, 1, 5), said(1, 1, 4), said(2, 2, 5), said(3, 3, 3)];
        let whole = messages(Heard::default().in_order(&lines, &updates, 3));
        assert_eq!(whole.len(), 7);
        let (mut heard, mut so_far) = (Heard::default(), Vec::new());
        for (events, count) in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4)] {
            let more = heard.in_order(&lines[..count], &updates[..events], events as u64);
            so_far.extend(messages(more));
            assert!(whole.starts_with(&so_far), "{events} {count}: {so_far:?}");
        }
        assert_eq!(so_far, whole);
    }

    #[test]
    fn a_line_waits_for_the_event_before_it() {
        let (mut heard, lines) = (Heard::default(), [said(0, 2, 5)]);
        assert!(heard.in_order(&lines, &[], 1).is_empty());
        assert_eq!(heard.in_order(&lines, &[], 2).len(), 1);
        assert!(heard.in_order(&lines, &[], 2).is_empty());
    }

    /// Of a log only the last lines are kept, here three.
    #[test]
    fn a_listener_misses_no_line_of_a_log_that_is_cut() {
        let kept = |last: u64| -> Vec<Said> {
            (last.saturating_sub(2)..=last).map(|number| said(number, 1, number)).collect()
        };
        let (mut heard, mut all) = (Heard::default(), Vec::new());
        for last in [0, 1, 2, 4, 4, 7, 8] {
            all.extend(messages(heard.in_order(&kept(last), &[], 1)));
        }
        let expected: Vec<String> = (0..=8).map(|number| format!("line {number}")).collect();
        assert_eq!(all, expected, "whoever listens closely enough");
        let late = messages(heard.in_order(&kept(13), &[], 1));
        assert_eq!(late, ["2 lines of the log are missing here", "line 11", "line 12", "line 13"]);
        let resumed = messages(heard.in_order(&[said(0, 5, 20), said(1, 5, 20)], &[], 5));
        assert_eq!(resumed, ["line 0", "line 1"]);
        let anew = messages(Heard::default().in_order(&kept(3), &[], 1));
        assert_eq!(anew, ["1 line of the log is missing here", "line 1", "line 2", "line 3"]);
    }
}
