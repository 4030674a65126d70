//! Providers, models and offers, as the catalogue's files describe them.

use std::collections::BTreeMap;

use impasto_domain::{Field, ModelId, OfferId, ProviderId, Task, TaskId, Tier, Values};
use serde::Serialize;

use crate::mapping::Mapping;
use crate::tariff::{Price, TimeEstimate};

/// How many calls a provider does at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// As many as this machine has processor cores.
    Cores,
    /// So many.
    Limit(u32),
}

impl Concurrency {
    /// The number of calls, on a machine with `cores` processor cores. Never zero.
    pub fn slots(self, cores: u32) -> u32 {
        match self {
            Self::Cores => cores.max(1),
            Self::Limit(limit) => limit.max(1),
        }
    }
}

/// A place that serves models, reached with one account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Its name for people.
    pub title: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// The wire protocol by which it is spoken to; names the driver.
    pub dialect: String,
    /// How many calls it does at the same time.
    pub concurrency: Concurrency,
    /// Programs that must be on this machine to use it.
    pub needs: Vec<Need>,
}

/// A program that must be on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The program's name, as a shell would find it.
    pub program: String,
    /// How to get it.
    pub hint: String,
}

/// How a model likes to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// In whole sentences.
    Sentence,
    /// In words with commas between.
    Tags,
}

/// A public measurement of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Who measured it.
    pub source: String,
    /// When, as a date such as `2026-07-10`.
    pub date: String,
}

/// Whether a model is still served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleStatus {
    /// It is.
    #[default]
    Active,
    /// It is, but will not be for ever.
    Deprecated,
    /// It is no more.
    Retired,
}

/// Where a model is in its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lifecycle {
    /// Whether it is still served.
    pub status: LifecycleStatus,
    /// The day on which it ends or ended.
    pub ends: Option<String>,
    /// The model to use instead.
    pub replacement: Option<ModelId>,
}

/// Something that performs one or more tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Its name for people.
    pub title: String,
    /// Who made it.
    pub company: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression where there is one.
    pub licence: String,
    /// What is known of the data it was trained on.
    pub training_data: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// What one must know before using it; empty if nothing.
    pub note: String,
    /// How good its results are.
    pub tier: Tier,
    /// How it likes to be spoken to.
    pub prompt_style: PromptStyle,
    /// The tasks that it performs, at one provider or another.
    pub tasks: Vec<TaskId>,
    /// Public measurements.
    pub quality: Vec<Quality>,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Its offers; [`crate::Catalog::offer`] has them.
    pub offers: Vec<OfferId>,
}

/// What an offer takes of one input of its task, where that is less than the task allows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Narrowing {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
    /// The longest text, in characters.
    pub max_chars: Option<usize>,
    /// The only texts that will do; empty means any that the task allows.
    pub values: Vec<String>,
}

/// One model at one provider for one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offer {
    /// Its id: `model@provider/task`.
    pub id: OfferId,
    /// The model.
    pub model: ModelId,
    /// The provider.
    pub provider: ProviderId,
    /// The task.
    pub task: TaskId,
    /// What the provider's dialect calls it: an operation's name, a path, a model name.
    pub endpoint: String,
    /// Its version. A result is kept under it: another version, and the work is done anew.
    pub version: String,
    /// What a call costs.
    pub price: Price,
    /// How long a call is expected to take.
    pub time: TimeEstimate,
    /// Programs that must be on this machine.
    pub needs: Vec<Need>,
    /// Inputs of which it takes less than the task allows.
    pub params: BTreeMap<String, Narrowing>,
    /// Inputs that it does not take: a call that sets one is not for this offer.
    pub unsupported: Vec<String>,
    /// Inputs that it takes without effect.
    pub ignored: Vec<String>,
    /// How the input becomes what the endpoint takes.
    pub map: Mapping,
}

impl Offer {
    /// Why this offer cannot take `input`, which `task` has admitted; one sentence for each reason.
    pub fn problems(&self, task: &Task, input: &Values) -> Vec<String> {
        let mut problems = Vec::new();
        for name in self.unsupported.iter().filter(|name| is_set(task, input, name)) {
            problems.push(format!("it does not take `{name}`"));
        }
        for (name, narrowing) in &self.params {
            let given = input.get(name).filter(|value| !value.is_null());
            let narrowed = task.input_field(name).map(|field| narrowing.narrow(field));
            if let (Some(value), Some(field)) = (given, narrowed) {
                problems.extend(field.problem(value).map(|problem| format!("here {problem}")));
            }
        }
        problems
    }

    /// The inputs given in `input` that have no effect here.
    pub fn without_effect<'a>(&'a self, task: &Task, input: &Values) -> Vec<&'a str> {
        let names = self.ignored.iter().map(String::as_str);
        names.filter(|name| is_set(task, input, name)).collect()
    }
}

impl Narrowing {
    /// `field` with the tighter of both limits.
    pub fn narrow(&self, field: &Field) -> Field {
        let tighter = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        let values = if self.values.is_empty() { &field.values } else { &self.values };
        Field {
            min: tighter(self.min, field.min, f64::max),
            max: tighter(self.max, field.max, f64::min),
            max_chars: [self.max_chars, field.max_chars].into_iter().flatten().min(),
            values: values.clone(),
            ..field.clone()
        }
    }
}

/// Whether `input` says something about `name` that its default does not say already.
fn is_set(task: &Task, input: &Values, name: &str) -> bool {
    let default = task.input_field(name).and_then(|field| field.default.as_ref());
    input.get(name).is_some_and(|value| !value.is_null() && Some(value) != default)
}
