//! The log of a run: what its models say, and between it what the engine did for it.

use impasto_dialects::fal::wire::LogLine;
use impasto_domain::{Result, rfc3339};
use impasto_engine::{Update, UpdateKind};
use impasto_workflow::Event;

use crate::app::App;
use crate::caller::Caller;
use crate::calls::RunView;

/// Every line up to where the view stands, oldest first.
pub(super) async fn log_of(app: &App, caller: &Caller, view: &RunView) -> Result<Vec<LogLine>> {
    let said = view.logs.iter().map(|line| (line.at_ms, line.level.as_str(), line.message.clone()));
    let mut lines: Vec<(u64, &str, String)> = said.collect();
    let mut updates = app.updates(caller, &view.id, 0);
    let mut seq = 0;
    while seq < view.last_seq {
        let Some(update) = updates.next().await else { break };
        let update = update?;
        seq = seq.max(update.seq);
        lines.extend(line(&update).map(|(level, message)| (update.at_ms, level, message)));
    }
    lines.sort_by_key(|(at_ms, ..)| *at_ms);
    let line = |(at_ms, level, message): (u64, &str, String)| LogLine {
        message,
        level: level.to_ascii_uppercase(),
        source: "USER".to_owned(),
        timestamp: rfc3339(at_ms),
    };
    Ok(lines.into_iter().map(line).collect())
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
