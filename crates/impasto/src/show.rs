//! Plans and runs, as people read them; and as JSON where that was asked for.

use std::collections::BTreeMap;

use impasto_domain::{Decision, Money, Value, rfc3339};
use impasto_engine::{PlanReport, PlannedStep, RunReport, StepReport};
use impasto_store::{RunRecord, RunStatus};
use impasto_workflow::{AttemptResult, Status};

use crate::progress::seconds;
use crate::screen::{Screen, Style};

/// What a workflow would do.
pub(crate) fn plan(report: &PlanReport, screen: Screen) {
    if screen.json {
        screen.json_block(report);
        return;
    }
    let rows: Vec<Vec<String>> = report.steps.iter().map(plan_row).collect();
    screen.table(&["step", "task", "after", "calls", "model", "time", "cost", "why"], &rows);
    for step in &report.steps {
        for decision in decisions(step).filter(|(_, decision)| decision.ranked.is_empty()) {
            refused(step, decision, screen);
        }
    }
    let (low, high) = (seconds(report.time_low_ms), seconds(report.time_high_ms));
    screen.line(format!(
        "\nexpected: {} of work, {}",
        range(&low, &high),
        costs(report.cost_low, report.cost_high)
    ));
    if !report.missing.is_empty() {
        let named = report.missing.join(", ");
        screen.line(screen.paint(&format!("still to be given with -i: {named}"), Style::Yellow));
    }
}

/// What a step's instances would take, and how many of them.
pub(crate) fn decisions(step: &PlannedStep) -> impl Iterator<Item = (usize, &Decision)> {
    let elsewhere: usize = step.others.iter().map(|other| other.instances).sum();
    let here = step.instances.unwrap_or_default().saturating_sub(elsewhere);
    let others = step.others.iter().map(|other| (other.instances, &other.decision));
    step.decision.iter().map(move |decision| (here, decision)).chain(others)
}

fn refused(step: &PlannedStep, (instances, decision): (usize, &Decision), screen: Screen) {
    let name = if step.others.is_empty() {
        step.name.clone()
    } else {
        format!("{} ({instances} of its calls)", step.name)
    };
    screen.line(format!("\n{} {name}: no offer will do", screen.paint("!", Style::Red)));
    for exclusion in &decision.excluded {
        screen.line(format!("    {}: {}", exclusion.offer, exclusion.reason));
    }
}

fn plan_row(step: &PlannedStep) -> Vec<String> {
    let task = step.task.as_ref().map_or("(choose)", |task| task.as_str()).to_owned();
    let worked = step.task.is_some();
    let model = |(instances, decision): (usize, &Decision)| {
        let model =
            decision.first().map_or_else(|| "none".to_owned(), |first| first.model.to_string());
        if step.others.is_empty() { model } else { format!("{instances} {model}") }
    };
    let models: Vec<String> = decisions(step).map(model).collect();
    let reasons = decisions(step).filter_map(|(_, decision)| decision.first());
    let reasons: Vec<&str> = reasons.map(|first| first.reason.as_str()).collect();
    vec![
        step.name.clone(),
        task,
        step.needs.join(", "),
        step.instances.map(|count| count.to_string()).unwrap_or_default(),
        models.join(", "),
        if worked {
            range(&seconds(step.time_low_ms), &seconds(step.time_high_ms))
        } else {
            String::new()
        },
        if worked { costs(step.cost_low, step.cost_high) } else { String::new() },
        reasons.join("; "),
    ]
}

fn range(low: &str, high: &str) -> String {
    if low == high { low.to_owned() } else { format!("{low} – {high}") }
}

fn costs(low: Money, high: Money) -> String {
    range(&low.to_string(), &high.to_string())
}

/// Runs, newest first.
pub(crate) fn runs(records: &[RunRecord], screen: Screen) {
    if screen.json {
        let rows: Vec<serde_json::Value> = records
            .iter()
            .map(|record| {
                serde_json::json!({
                    "run": record.run.id, "workflow": record.run.workflow, "status": record.status,
                    "created_ms": record.run.created_ms, "updated_ms": record.updated_ms,
                })
            })
            .collect();
        screen.json_block(&rows);
        return;
    }
    let row = |record: &RunRecord| {
        vec![
            record.run.id.to_string(),
            record.status.as_str().to_owned(),
            record.run.workflow.clone(),
            date(record.run.created_ms),
        ]
    };
    screen.table(
        &["run", "status", "workflow", "begun (UTC)"],
        &records.iter().map(row).collect::<Vec<_>>(),
    );
}

/// A moment in UTC, to the second: `2026-11-21 01:17:11`.
pub(crate) fn date(at_ms: u64) -> String {
    rfc3339(at_ms).replace('T', " ").split('.').next().unwrap_or_default().to_owned()
}

/// Everything about a run.
pub(crate) fn run(report: &RunReport, screen: Screen) {
    if screen.json {
        screen.json_block(report);
        return;
    }
    screen.line(format!("run {}  {}  {}", report.run, report.workflow, report.status.as_str()));
    screen.line(format!(
        "begun {} UTC, catalogue {}, seed {}",
        date(report.created_ms),
        report.catalog_revision,
        report.seed
    ));
    for step in &report.steps {
        screen.line("");
        show_step(step, report.status, screen);
    }
    screen.line("");
    totals(report, screen);
}

fn show_step(step: &StepReport, run: RunStatus, screen: Screen) {
    let task = step.task.as_ref().map_or("(choose)", |task| task.as_str());
    let key = screen.paint(&step.key.to_string(), Style::Bold);
    screen.line(format!("{key}  {task}  {}", status(step.status, run)));
    if let Some(decision) = &step.decision {
        for candidate in &decision.ranked {
            screen.line(format!("  may use {}: {}", candidate.offer, candidate.reason));
        }
        for exclusion in &decision.excluded {
            screen.line(format!("  not {}: {}", exclusion.offer, exclusion.reason));
        }
    }
    for attempt in &step.attempts {
        let (ended, time) = (ended(&attempt.result, run), seconds(attempt.time_ms));
        let number = attempt.number;
        screen.line(format!(
            "  attempt {number} with {}: {ended}, {time}, {}",
            attempt.offer, attempt.cost
        ));
    }
    for asset in
        step.output.iter().flat_map(|output| output.values()).flat_map(|value| value.assets())
    {
        screen.line(format!(
            "  made {} {} {}",
            asset.digest.short(),
            asset.media_type,
            size(asset.facts.bytes)
        ));
    }
    if let Some(error) = &step.error {
        screen.line(screen.paint(&format!("  {error}"), Style::Red));
    }
}

/// How an attempt went, of a run that stands so.
fn ended(result: &AttemptResult, run: RunStatus) -> String {
    match result {
        AttemptResult::Running if run == RunStatus::Interrupted => LEFT.to_owned(),
        AttemptResult::Running => "under way".to_owned(),
        AttemptResult::Done => "done".to_owned(),
        AttemptResult::Lost => "in doubt".to_owned(),
        AttemptResult::Void => "void: the process ended before the provider took it".to_owned(),
        AttemptResult::Failed { error } => format!("failed: {error}"),
    }
}

/// What is said of something under way in a run that nobody works on.
const LEFT: &str = "interrupted: its process ended";

fn status(status: Status, run: RunStatus) -> &'static str {
    match status {
        Status::Running { .. } if run == RunStatus::Interrupted => LEFT,
        Status::Waiting => "waiting",
        Status::Deciding => "being decided",
        Status::Ready => "ready",
        Status::Running { .. } => "running",
        Status::BackingOff { .. } => "waiting before the next attempt",
        Status::Done { reused: false } => "done",
        Status::Done { reused: true } => "taken from an equal call",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
        Status::Parked => "parked: an attempt is in doubt",
        Status::Asking => "waits for a person",
    }
}

/// How a run ended: the table of its steps, what went wrong, what it took.
pub(crate) fn ending(report: &RunReport, quiet: bool, screen: Screen) {
    if !quiet {
        let mut steps: Vec<(&str, Vec<&StepReport>)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for step in &report.steps {
            let place = *places.entry(&step.key.step).or_insert_with(|| {
                steps.push((&step.key.step, Vec::new()));
                steps.len() - 1
            });
            if let Some((_, instances)) = steps.get_mut(place) {
                instances.push(step);
            }
        }
        let rows: Vec<Vec<String>> =
            steps.iter().map(|(name, instances)| ending_row(name, instances)).collect();
        screen.line("");
        screen.table(&["step", "model", "time", "cost", "why"], &rows);
        screen.line("");
    }
    for (key, error) in &report.errors {
        screen.error(&error.clone().context(key));
    }
    totals(report, screen);
}

fn ending_row(name: &str, instances: &[&StepReport]) -> Vec<String> {
    let first = instances.first();
    let candidate = first.and_then(|step| step.candidate());
    let done = instances.iter().filter(|step| step.status.is_done()).count();
    let reused = instances
        .iter()
        .filter(|step| matches!(step.status, Status::Done { reused: true }))
        .count();
    let attempts: usize = instances.iter().map(|step| step.attempts.len()).sum();
    let mut why = candidate.map(|candidate| candidate.reason.clone()).unwrap_or_default();
    if first.is_some_and(|step| step.task.is_none()) {
        why = instances.iter().filter_map(|step| chosen(step)).collect::<Vec<_>>().join("; ");
    }
    let mut notes = Vec::new();
    if reused > 0 {
        notes.push(format!("{reused} taken from equal calls"));
    }
    if attempts > done.saturating_sub(reused) && first.is_some_and(|step| step.task.is_some()) {
        notes.push(format!("{attempts} attempts"));
    }
    notes.push(why);
    let count =
        if instances.len() == 1 { String::new() } else { format!(" {done}/{}", instances.len()) };
    vec![
        format!("{name}{count}"),
        candidate.map(|candidate| candidate.model.to_string()).unwrap_or_default(),
        seconds(instances.iter().map(|step| step.time_ms).sum()),
        instances.iter().map(|step| step.cost).sum::<Money>().to_string(),
        notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; "),
    ]
}

/// What a choice came to: `took 2 of 3 (0.812)`.
fn chosen(step: &StepReport) -> Option<String> {
    let output = step.output.as_ref()?;
    let winner = output.get("winner")?.as_integer()?;
    let score = output.get("score").and_then(Value::as_number).unwrap_or_default();
    let of = output.get("scores").and_then(|scores| scores.as_list()).map_or(0, <[_]>::len);
    Some(format!("{} of {of} ({score:.2})", winner + 1))
}

fn totals(report: &RunReport, screen: Screen) {
    let totals = &report.totals;
    let style = if report.errors.is_empty() { Style::Green } else { Style::Red };
    let word = screen.paint(report.status.as_str(), style);
    screen.line(format!(
        "run {} {word}: {} steps, {} reused, {} attempts, {} of work in {}, {}",
        report.run,
        totals.done,
        totals.reused,
        totals.attempts,
        seconds(totals.work_ms),
        seconds(totals.elapsed_ms),
        totals.cost
    ));
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_died_with_its_process_is_no_failure() {
        let check = |result: AttemptResult, run, expected: &str| {
            let shown = ended(&result, run);
            assert!(shown.starts_with(expected) && !shown.contains("failed"), "{shown}");
        };
        check(AttemptResult::Running, RunStatus::Running, "under way");
        check(AttemptResult::Running, RunStatus::Interrupted, "interrupted");
        check(AttemptResult::Void, RunStatus::Succeeded, "void");
        check(AttemptResult::Lost, RunStatus::Parked, "in doubt");
        let running = Status::Running { attempt: 1 };
        assert_eq!(status(running, RunStatus::Interrupted), LEFT);
        assert_eq!(status(running, RunStatus::Running), "running");
    }

    #[test]
    fn moments_and_sizes_are_for_people() {
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date(1_795_223_831_000), "2026-11-21 01:17:11");
        assert_eq!(
            (size(12).as_str(), size(1_500).as_str(), size(2_500_000).as_str()),
            ("12 B", "1.5 kB", "2.5 MB")
        );
    }
}
