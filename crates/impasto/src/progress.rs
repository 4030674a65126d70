//! The progress of a run: bars for a person at a terminal, plain lines for a log, events in JSON
//! for a machine.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use impasto_domain::{Error, InstanceKey, News};
use impasto_engine::{Update, UpdateKind};
use impasto_workflow::{Event, Plan};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::screen::Screen;

/// How the progress of a run is shown.
pub(crate) enum Progress {
    /// A bar for each step that has begun.
    Bars(Bars),
    /// A line for each thing that happens.
    Lines(Screen),
    /// An object for each update.
    Json(Screen),
    /// Nothing.
    Quiet,
}

impl Progress {
    /// The way that fits the terminal and the flags.
    pub(crate) fn of(screen: Screen, plan: &Plan, quiet: bool) -> Self {
        match (screen.json, quiet) {
            (true, _) => Self::Json(screen),
            (false, true) => Self::Quiet,
            (false, false) if std::io::stderr().is_terminal() => Self::Bars(Bars::new(plan)),
            (false, false) => Self::Lines(screen),
        }
    }

    /// Shows one update.
    pub(crate) fn show(&mut self, update: &Update) {
        match self {
            Self::Bars(bars) => bars.show(update),
            Self::Lines(screen) => {
                if let UpdateKind::Event(event) = &update.kind
                    && let Some(line) = line_of(event)
                {
                    screen.note(line);
                }
            }
            Self::Json(screen) => screen.json_line(&json_of(update)),
            Self::Quiet => {}
        }
    }

    /// Writes something between the bars.
    pub(crate) fn say(&self, screen: Screen, text: &str) {
        match self {
            Self::Bars(bars) => bars.all.suspend(|| screen.note(text)),
            _ => screen.note(text),
        }
    }

    /// Leaves the bars as they are; nothing moves any more.
    pub(crate) fn end(&self) {
        if let Self::Bars(bars) = self {
            bars.steps
                .values()
                .filter(|step| !step.bar.is_finished())
                .for_each(|step| step.bar.abandon());
        }
    }
}

fn json_of(update: &Update) -> serde_json::Value {
    let mut object = match &update.kind {
        UpdateKind::Event(event) => serde_json::to_value(event).unwrap_or_default(),
        UpdateKind::Progress { key, fraction, note } => {
            serde_json::json!({"event": "progress", "key": key, "fraction": fraction, "note": note})
        }
        UpdateKind::News { key, news, .. } => match news {
            News::Log { level, message } => {
                serde_json::json!({"event": "log", "key": key, "level": level, "message": message})
            }
            News::Picture { name, .. } | News::Sound { name, .. } => {
                serde_json::json!({"event": "partial", "key": key, "name": name})
            }
        },
    };
    if let Some(fields) = object.as_object_mut() {
        fields.insert("seq".into(), update.seq.into());
        fields.insert("at_ms".into(), update.at_ms.into());
    }
    object
}

/// What an event is to a person who reads a log; nothing for events of no interest.
fn line_of(event: &Event) -> Option<String> {
    Some(match event {
        Event::AttemptStarted { key, attempt: 1, offer } => format!("{key}: started with {offer}"),
        Event::AttemptStarted { key, attempt, offer } => {
            format!("{key}: attempt {attempt} with {offer}")
        }
        Event::AttemptDone { key, time_ms, cost, .. } => {
            format!("{key}: done in {}, {cost}", seconds(*time_ms))
        }
        Event::AttemptFailed { key, attempt, error, .. } => {
            format!("{key}: attempt {attempt} failed: {error}")
        }
        Event::AttemptLost { key, attempt } => {
            format!("{key}: attempt {attempt} was lost in a crash")
        }
        Event::Reused { key, .. } => format!("{key}: taken from an equal call"),
        Event::Interrupted => "stopping".to_owned(),
        Event::CancelRequested => "cancelling".to_owned(),
        Event::Resumed => "going on".to_owned(),
        _ => return None,
    })
}

/// A time for people: `0.4 s`, `12.3 s`, `2 min 05 s`.
pub(crate) fn seconds(time_ms: u64) -> String {
    let whole = time_ms / 1000;
    if whole < 100 {
        return format!("{:.1} s", time_ms as f64 / 1000.0);
    }
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// A bar for each step, from the moment it begins.
pub(crate) struct Bars {
    all: MultiProgress,
    order: Vec<String>,
    width: usize,
    steps: BTreeMap<String, StepBar>,
}

struct StepBar {
    bar: ProgressBar,
    /// How far each instance is, from 0 to 1.
    instances: BTreeMap<InstanceKey, f64>,
}

/// Parts of a bar for one instance.
const PARTS: f64 = 1000.0;

impl Bars {
    fn new(plan: &Plan) -> Self {
        let order: Vec<String> = plan.steps.iter().map(|step| step.name.clone()).collect();
        let width = order.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        Self { all: MultiProgress::new(), order, width, steps: BTreeMap::new() }
    }

    fn show(&mut self, update: &Update) {
        match &update.kind {
            UpdateKind::Progress { key, fraction, note } => self.set(key, *fraction, note),
            UpdateKind::Event(event) => self.show_event(event),
            UpdateKind::News { .. } => {}
        }
    }

    fn show_event(&mut self, event: &Event) {
        match event {
            Event::Decided { key, decision } => {
                let model =
                    decision.first().map(|first| first.model.to_string()).unwrap_or_default();
                self.set(key, 0.0, &model);
            }
            Event::Reused { key, .. } => self.set(key, 1.0, "taken from an equal call"),
            Event::AttemptDone { key, .. } => self.set(key, 1.0, ""),
            Event::AttemptFailed { key, attempt, error, .. } => {
                self.set(key, 0.0, &failed(*attempt, error));
            }
            _ => {}
        }
    }

    fn set(&mut self, key: &InstanceKey, fraction: f64, note: &str) {
        let step = match self.steps.remove(&key.step) {
            Some(step) => step,
            None => self.begin(&key.step),
        };
        let step = self.steps.entry(key.step.clone()).or_insert(step);
        step.instances.insert(key.clone(), fraction.clamp(0.0, 1.0));
        let (count, sum) = (step.instances.len() as f64, step.instances.values().sum::<f64>());
        let done = step.instances.values().filter(|&&fraction| fraction >= 1.0).count();
        step.bar.set_length((count * PARTS) as u64);
        step.bar.set_position((sum * PARTS) as u64);
        step.bar.set_prefix(format!("{:width$} {done:>3}/{count}", key.step, width = self.width));
        if !note.is_empty() {
            step.bar.set_message(note.to_owned());
        }
        if done == step.instances.len() {
            step.bar.tick();
            step.bar.disable_steady_tick();
        } else {
            step.bar.enable_steady_tick(Duration::from_millis(120));
        }
    }

    /// A new bar, at the place that the step has in the workflow.
    fn begin(&self, name: &str) -> StepBar {
        let place =
            |name: &str| self.order.iter().position(|other| other == name).unwrap_or(usize::MAX);
        let before = self.steps.keys().filter(|other| place(other) < place(name)).count();
        let bar = self.all.insert(before, ProgressBar::new(PARTS as u64));
        let style = ProgressStyle::with_template(
            "{prefix} {bar:24.green/dim} {elapsed:>4} {wide_msg:.dim}",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━━─"));
        }
        StepBar { bar, instances: BTreeMap::new() }
    }
}

fn failed(attempt: u32, error: &Error) -> String {
    format!("attempt {attempt} failed: {}", error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        for (time_ms, shown) in [(400, "0.4 s"), (12_345, "12.3 s"), (125_000, "2 min 05 s")] {
            assert_eq!(seconds(time_ms), shown);
        }
    }
}
