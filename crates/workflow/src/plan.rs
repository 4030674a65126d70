//! A compiled workflow: checked, with its steps in an order in which they can run.
//!
//! A plan is stored with each run, so it holds everything the run needs (the tasks' fields too) and
//! does not change when the catalogue does. Its expressions are kept as text; a [`crate::State`]
//! compiles them once.

use std::collections::BTreeMap;

use impasto_domain::{Diagnostic, Field, InstanceKey, Policy, Task, TaskId, Type, Value, Values};
use serde::{Deserialize, Serialize};

/// How long one attempt may take if the workflow does not say, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 600_000;

/// A compiled workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// What it is for.
    pub description: String,
    /// What it takes. Defaults may be expressions over other inputs.
    pub inputs: Vec<Field>,
    /// Its steps; each comes after those that it waits for.
    pub steps: Vec<Step>,
    /// What it gives.
    pub outputs: Vec<Output>,
    /// What is wanted of every route, where a step does not say otherwise.
    pub policy: Policy,
}

/// One step of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// The list or step over which it fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// The variants of which it makes one instance for each combination; values may hold expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vary: Vec<(String, Value)>,
    /// The condition without which it is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The steps that it waits for.
    pub needs: Vec<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// It calls a task.
    Call(Box<TaskCall>),
    /// It keeps the best of the last axis of another step.
    Pick(Pick),
    /// It waits until a person has looked.
    Approve(Approve),
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approve {
    /// The question; it may hold expressions.
    pub question: Value,
    /// What is shown with it, by name; texts in it may be expressions.
    pub show: Values,
}

/// The outputs of a step that waits for a person.
pub(crate) const APPROVE_OUTPUTS: [(&str, Type); 2] =
    [("approved", Type::Boolean), ("note", Type::Text)];

/// How a step calls a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCall {
    /// The task, as it was when the workflow was compiled.
    pub task: Task,
    /// The input; texts in it may be expressions.
    pub input: Values,
    /// What is wanted of the route; the plan's own policy fills the gaps.
    pub policy: Policy,
    /// How often and when to try again.
    pub retry: Retry,
    /// Whether to go on to the next offer when one fails.
    pub fallback: bool,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// Whether the output of an equal call will do.
    pub cache: bool,
}

/// How a step chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// The step whose last axis is collapsed.
    pub of: String,
    /// The expression evaluated for each candidate; the highest number wins.
    pub by: String,
    /// How many are kept.
    pub keep: u32,
}

/// Over what a step fans out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// One instance for each element of a list, which may hold expressions.
    List(Value),
    /// One instance for each instance of a step.
    Step(String),
}

/// How often and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How many attempts each offer gets.
    pub attempts: u32,
    /// The wait before the second attempt, in milliseconds; it doubles from there.
    pub backoff_ms: u64,
    /// The longest wait, in milliseconds.
    pub max_backoff_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff_ms: 500, max_backoff_ms: 30_000 }
    }
}

/// One output of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its value; texts in it may be expressions.
    pub value: Value,
    /// The name of the file to write, if it is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its type, where that is known before the run.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub ty: Option<Type>,
    /// What it means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// A call that a run will make, as far as it is known before.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCall {
    /// The instance that will make it.
    pub key: InstanceKey,
    /// The task.
    pub task: TaskId,
    /// What is wanted of the route.
    pub policy: Policy,
    /// The inputs that are known, defaults filled in.
    pub input: Values,
    /// The names of inputs that depend on what other steps will give.
    pub unknown: Vec<String>,
}

impl Plan {
    /// Reads and checks a workflow. Answers with warnings, or with everything that is wrong;
    /// places are in bytes of `source`.
    pub fn compile(
        source: &str,
        tasks: &BTreeMap<TaskId, Task>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        crate::compile::compile(source, tasks)
    }

    /// One task as a workflow of one step, which is named after the task.
    pub fn single(task: &Task, policy: Policy) -> Self {
        let input = task.input.iter().map(|field| {
            (field.name.clone(), Value::from(format!("{{{{ inputs['{}'] }}}}", field.name)))
        });
        let call = TaskCall {
            task: task.clone(),
            input: input.collect(),
            policy: Policy::default(),
            retry: Retry::default(),
            fallback: true,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            cache: true,
        };
        let name = task.id.to_string();
        let outputs = task.output.iter().map(|field| Output {
            name: field.name.clone(),
            value: Value::from(format!("{{{{ steps['{name}']['{}'] }}}}", field.name)),
            file: None,
            ty: Some(field.ty.clone()),
            description: field.description.clone(),
        });
        Self {
            name: name.clone(),
            version: 1,
            description: task.description.clone(),
            inputs: task.input.clone(),
            outputs: outputs.collect(),
            steps: vec![Step {
                name,
                work: Work::Call(Box::new(call)),
                each: None,
                vary: Vec::new(),
                when: None,
                needs: Vec::new(),
            }],
            policy,
        }
    }

    /// The inputs with defaults filled in, or everything that is wrong with them.
    pub fn admit(&self, inputs: Values) -> Result<Values, Vec<String>> {
        crate::known::admit(&self.inputs, inputs)
    }

    /// The calls that a run with these inputs will make, as far as they are known before.
    pub fn dry_run(&self, inputs: &Values) -> Vec<PlannedCall> {
        crate::known::dry_run(self, inputs)
    }
}
