//! Tasks, models and workflows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldView {
    /// Its name.
    pub name: String,
    /// Its type: `text`, `prompt`, `integer`, `number`, `boolean`, `image`, `video`, `audio`, `mesh`,
    /// `world`, `file`, `json` or `list<…>` of one.
    #[serde(rename = "type")]
    pub ty: String,
    /// What it means.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// The least a number may be, or the fewest items of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The most a number may be, or the most items of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The longest a text may be, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<u64>,
    /// The only texts that will do; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The unit of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What it takes.
    pub input: Vec<FieldView>,
    /// What it gives.
    pub output: Vec<FieldView>,
    /// The models that do it.
    pub models: Vec<String>,
}

/// Every task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskList {
    /// By id.
    pub tasks: Vec<TaskView>,
}

/// A public measurement of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityView {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Who measured it.
    pub source: String,
    /// When.
    pub date: String,
}

/// One model at one provider for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    /// Its id: `model@provider/task`.
    pub id: String,
    /// The task.
    pub task: String,
    /// The provider.
    pub provider: String,
    /// What the provider calls it.
    pub endpoint: String,
    /// Its version.
    pub version: String,
    /// What a call costs.
    pub price: Json,
    /// Inputs of the task that it does not take.
    pub unsupported: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Who made it.
    pub company: String,
    /// Its version.
    pub version: String,
    /// Its licence.
    pub licence: String,
    /// What is known of the data it was trained on.
    pub training_data: String,
    /// What it does.
    pub description: String,
    /// What one must know before using it; empty if nothing.
    pub note: String,
    /// How good its results are.
    pub tier: String,
    /// The tasks that it does.
    pub tasks: Vec<String>,
    /// Public measurements.
    pub quality: Vec<QualityView>,
    /// `active`, `preview`, `deprecated`, `retired` or `no_api`.
    pub status: String,
    /// Where it is offered.
    pub offers: Vec<OfferView>,
}

/// Models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// By id.
    pub models: Vec<ModelView>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What a catalogue holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueView {
    /// A digest of what it was made from.
    pub revision: String,
    /// How many tasks there are.
    pub tasks: u64,
    /// How many models.
    pub models: u64,
    /// How many offers.
    pub offers: u64,
}

/// A workflow to be kept under a name. The text itself, as `application/yaml`, will do too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowPut {
    /// Its text.
    pub source: String,
}

/// A version of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowView {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// When it was put, in milliseconds since 1970.
    pub created_ms: u64,
    /// What it takes; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Vec<FieldView>>,
    /// Its text; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is odd about it, though it works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Workflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowList {
    /// By name, or newest version first.
    pub workflows: Vec<WorkflowView>,
}
