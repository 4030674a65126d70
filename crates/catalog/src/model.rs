//! Providers, models and offers, as the catalogue's files describe them.

use std::collections::BTreeMap;

use impasto_domain::{Field, ModelId, OfferId, ProviderId, Task, TaskId, Tier, Value, Values};
use serde::Serialize;

use crate::mapping::{Mapping, OPTIONS, Request};
use crate::meter::Meter;
use crate::output::Outputs;
use crate::read::{similar, suggestion};
use crate::tariff::{Price, TimeEstimate};

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
    /// Its place on that board, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// How many votes it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes: Option<u64>,
}

/// Whether a model is still served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleStatus {
    /// It is.
    #[default]
    Active,
    /// It is, but may change or go without notice.
    Preview,
    /// It is, but will not be for ever.
    Deprecated,
    /// It is no more.
    Retired,
    /// It never was: nobody offers it to programs.
    NoApi,
}

impl LifecycleStatus {
    /// The word it has in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Preview => "preview",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
            Self::NoApi => "no_api",
        }
    }

    /// Whether it can be called.
    pub fn is_served(self) -> bool {
        !matches!(self, Self::Retired | Self::NoApi)
    }
}

/// Whether what comes out may be used to earn money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Commercial {
    /// Nobody has said, or nobody has looked.
    #[default]
    Unknown,
    /// It may.
    Allowed,
    /// It may, under conditions; the terms say which.
    Conditions,
    /// It may not.
    Forbidden,
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
    /// The day on which this was last seen to be so.
    pub as_of: Option<String>,
    /// How this is known.
    pub source: Option<String>,
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
    /// Whether what comes out may be used to earn money.
    pub commercial: Commercial,
    /// The conditions of use in words; empty if nothing is known beyond the licence.
    pub terms: String,
    /// What is known of the data it was trained on.
    pub training_data: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// What it does, in a sentence or two.
    pub description: String,
    /// What one must know before using it; empty if nothing.
    pub note: String,
    /// How good its results are.
    pub tier: Tier,
    /// How it likes to be spoken to.
    pub prompt_style: PromptStyle,
    /// What it can do beyond its tasks, at one provider or another, by the words of
    /// [`crate::CAPABILITIES`].
    pub capabilities: Vec<String>,
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
    /// Whether a call must say it, though the task leaves it open.
    #[serde(skip_serializing_if = "is_false")]
    pub required: bool,
    /// What the endpoint takes where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

/// One model at one provider for one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offer {
    /// Its id: `model@provider/task`, with `:variant` where there is more than one.
    pub id: OfferId,
    /// The model.
    pub model: ModelId,
    /// The provider.
    pub provider: ProviderId,
    /// The task.
    pub task: TaskId,
    /// What tells it from other offers of the model for the same task at the same provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What the provider's dialect calls it: an operation's name, a path, a model name.
    pub endpoint: String,
    /// Which of the provider's wires it goes over, if the provider has more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<String>,
    /// Its version. A result is kept under it: another version, and the work is done anew.
    pub version: String,
    /// What a call costs.
    pub price: Price,
    /// Where an answer says how much was billed, if not where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Meter>,
    /// How long a call is expected to take.
    pub time: TimeEstimate,
    /// Programs that must be on this machine.
    pub needs: Vec<Need>,
    /// Whether this offer is still served; the model may be served elsewhere.
    pub lifecycle: Lifecycle,
    /// Where its inputs and outputs were read; empty if nobody says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Whether they were read at their source, and not told by somebody else.
    pub verified: bool,
    /// What it can do, by the words of [`crate::CAPABILITIES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Inputs of which it takes less than the task allows.
    pub params: BTreeMap<String, Narrowing>,
    /// Parameters that it has beside the inputs of the task; they are given in `options`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<Field>,
    /// Inputs that it does not take: a call that sets one is not for this offer.
    pub unsupported: Vec<String>,
    /// Inputs that it takes without effect.
    pub ignored: Vec<String>,
    /// How the input becomes what the endpoint takes.
    #[serde(skip_serializing_if = "Mapping::is_identity")]
    pub map: Mapping,
    /// How the answer becomes the output; none where the endpoint answers with outputs of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
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
            let said = given.filter(|value| !self.is_unsaid(name, value));
            if narrowing.required && said.is_none() {
                problems.push(format!("it needs `{name}`"));
            }
            let narrowed = task.input_field(name).map(|field| narrowing.narrow(field));
            if let (Some(value), Some(field)) = (said, narrowed) {
                problems.extend(field.problem(value).map(|problem| format!("here {problem}")));
            }
        }
        problems.extend(self.map.size.as_ref().and_then(|size| size.problem(input)));
        let none = Values::new();
        let options = input.get(OPTIONS).and_then(Value::as_map).unwrap_or(&none);
        problems.extend(self.option_problems(task, options));
        problems
    }

    /// What is wrong with parameters that are given by the offer's own names.
    fn option_problems(&self, task: &Task, options: &Values) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in options {
            match self.own.iter().find(|field| field.name == *name) {
                Some(field) => {
                    problems.extend(field.problem(value).map(|problem| format!("here {problem}")));
                }
                None => {
                    let known: Vec<&str> =
                        self.own.iter().map(|field| field.name.as_str()).collect();
                    let inputs = task.input.iter().map(|field| field.name.as_str());
                    let inputs: Vec<&str> = inputs.filter(|name| self.map.takes(name)).collect();
                    let hint = match (similar(name, &known), similar(name, &inputs)) {
                        (None, Some(input)) => format!("there is the input `{input}`"),
                        _ => suggestion(name, &known),
                    };
                    problems.push(format!(
                        "it has no parameter `{name}`; {hint}; `passthrough` sends it as it is"
                    ));
                }
            }
        }
        let required = self.own.iter().filter(|field| field.required);
        for field in required.filter(|field| !options.contains_key(&field.name)) {
            problems.push(format!("it needs the parameter `{}`", field.name));
        }
        problems
    }

    fn is_unsaid(&self, name: &str, value: &Value) -> bool {
        self.map.rules.get(name).is_some_and(|rule| rule.unsaid.as_ref() == Some(value))
    }

    /// The inputs given in `input` that have no effect here.
    pub fn without_effect<'a>(&'a self, task: &Task, input: &Values) -> Vec<&'a str> {
        let names = self.ignored.iter().map(String::as_str);
        names.filter(|name| is_set(task, input, name)).collect()
    }

    /// What goes to the endpoint for `input`.
    pub fn request(&self, input: &Values) -> Request {
        self.map.request(input)
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
