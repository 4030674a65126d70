//! How the native API shows runs, files and errors.

use impasto_api::{AskView, AssetView, LogView, MoneyView, RunStatusName, RunView as Shown};
use impasto_domain::{AssetRef, Error, Money, Value, Values};
use impasto_engine::LogLine;
use serde_json::{Map, Value as Json};

use crate::app::App;
use crate::caller::Caller;
use crate::calls::{RunView, ViewStatus};
use crate::files::Base;
use crate::problem::Problem;

/// Whoever is shown something, and where addresses of files begin for them.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) base: Base,
}

impl Viewer {
    pub(crate) fn new(app: &App, caller: &Caller, base: &Base) -> Self {
        Self { app: app.clone(), caller: caller.clone(), base: base.clone() }
    }

    /// A file.
    pub(crate) fn asset(&self, asset: &AssetRef) -> AssetView {
        let media_type = if asset.is_timeline() { "video/mp4" } else { asset.media_type.as_str() };
        let facts = serde_json::to_value(&asset.facts).ok();
        AssetView {
            digest: asset.digest.to_string(),
            url: self.app.file_url(&self.base, &self.caller, asset),
            media_type: media_type.to_owned(),
            facts: match facts {
                Some(Json::Object(facts)) => facts,
                _ => Map::new(),
            },
        }
    }

    /// A value; its files are objects with an address.
    pub(crate) fn value(&self, value: &Value) -> Json {
        match value {
            Value::Asset(asset) => serde_json::to_value(self.asset(asset)).unwrap_or_default(),
            Value::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Map(entries) => self.values(entries),
            plain => plain.to_json(),
        }
    }

    /// Values by name.
    pub(crate) fn values(&self, values: &Values) -> Json {
        let entry = |(name, value): (&String, &Value)| (name.clone(), self.value(value));
        Json::Object(values.iter().map(entry).collect())
    }
}

/// A run.
pub(crate) fn run_view(viewer: &Viewer, run: &RunView) -> Shown {
    let succeeded = run.status == ViewStatus::Succeeded;
    let ended = run.status.is_over();
    Shown {
        id: run.id.to_string(),
        work: run.work.clone(),
        status: status_name(run.status),
        queue_position: run.queue_position,
        progress: run.progress.filter(|_| !ended),
        output: succeeded.then(|| viewer.values(&run.outputs)),
        error: run.error.clone().map(|error| Problem::from(error).view()),
        cost: ended.then(|| money(run.cost)),
        created_ms: run.created_ms,
        started_ms: run.started_ms,
        ended_ms: run.ended_ms,
        logs: run.logs.iter().map(log).collect(),
        asks: run
            .asks
            .iter()
            .map(|ask| AskView {
                step: ask.key.to_string(),
                question: ask.question.clone(),
                show: viewer.values(&ask.show),
            })
            .collect(),
        face: run.origin.face.clone(),
    }
}

pub(crate) fn money(amount: Money) -> MoneyView {
    MoneyView { micros: amount.as_micros(), shown: amount.to_string() }
}

pub(crate) fn error(error: &Error) -> Json {
    serde_json::to_value(Problem::from(error.clone()).view()).unwrap_or_default()
}

fn log(line: &LogLine) -> LogView {
    LogView { at_ms: line.at_ms, level: line.level.clone(), message: line.message.clone() }
}

pub(crate) fn status_name(status: ViewStatus) -> RunStatusName {
    match status {
        ViewStatus::Queued => RunStatusName::Queued,
        ViewStatus::Running => RunStatusName::Running,
        ViewStatus::Succeeded => RunStatusName::Succeeded,
        ViewStatus::Failed => RunStatusName::Failed,
        ViewStatus::Cancelled => RunStatusName::Cancelled,
        ViewStatus::Parked => RunStatusName::Parked,
        ViewStatus::Interrupted => RunStatusName::Interrupted,
    }
}
