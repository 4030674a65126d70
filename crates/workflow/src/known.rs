//! What can be known of a run before it begins: its inputs with defaults, and the calls it will make.

use std::borrow::Cow;
use std::collections::HashMap;

use impasto_domain::{Field, InstanceKey, Value, Values};

use crate::plan::{Each, Plan, PlannedCall, Step, Work};
use crate::program::merged;
use crate::reference::Root;
use crate::template::{Scope, Template};

/// The most instances of one step that are worked out before a run.
const INSTANCES_MAX: usize = 1_000;

/// What an expression can see before the run.
#[derive(Clone, Default)]
struct Before {
    inputs: Values,
    item: Option<Value>,
    index: Option<i64>,
    vary: Values,
}

impl Scope for Before {
    fn lookup(&self, root: &Root) -> Result<Cow<'_, Value>, String> {
        match root {
            Root::Input(name) => self
                .inputs
                .get(name)
                .map(Cow::Borrowed)
                .ok_or_else(|| format!("`{name}` is not known yet")),
            Root::Item => {
                self.item.as_ref().map(Cow::Borrowed).ok_or_else(|| "no item is known yet".into())
            }
            Root::Index => self
                .index
                .map(|i| Cow::Owned(Value::Integer(i)))
                .ok_or_else(|| "no index is known yet".into()),
            Root::Vary(name) => self
                .vary
                .get(name)
                .map(Cow::Borrowed)
                .ok_or_else(|| format!("`{name}` does not vary here")),
            Root::Output { step, .. } => Err(format!("`{step}` has not run yet")),
        }
    }
}

/// See [`Plan::admit`].
pub(crate) fn admit(fields: &[Field], given: Values) -> Result<Values, Vec<String>> {
    let mut problems = Vec::new();
    let mut inputs: Values = given.into_iter().filter(|(_, value)| !value.is_null()).collect();
    for name in inputs.keys().filter(|name| fields.iter().all(|field| field.name != **name)) {
        let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        problems.push(format!("there is no input `{name}`; there are {}", known.join(", ")));
    }
    for (name, message) in fill(fields, &mut inputs) {
        problems.push(format!("the default of `{name}` cannot be worked out: {message}"));
    }
    for field in fields {
        match inputs.get(&field.name) {
            Some(value) => problems.extend(field.problem(value)),
            None if field.required => {
                let meaning = field.description.trim_end_matches('.');
                let meaning = if meaning.is_empty() {
                    String::new()
                } else {
                    format!(" ({}: {meaning})", field.ty)
                };
                problems.push(format!("`{}` is missing{meaning}", field.name));
            }
            None => {
                inputs.insert(field.name.clone(), Value::Null);
            }
        }
    }
    if problems.is_empty() { Ok(inputs) } else { Err(problems) }
}

/// Fills in defaults, which may name other inputs in any order; answers with those that cannot be
/// worked out although everything that is required is there.
fn fill(fields: &[Field], inputs: &mut Values) -> Vec<(String, String)> {
    let mut open: Vec<&Field> =
        fields.iter().filter(|f| f.default.is_some() && !inputs.contains_key(&f.name)).collect();
    let mut errors = Vec::new();
    while !open.is_empty() {
        errors.clear();
        let before = open.len();
        open.retain(|field| {
            let scope = Before { inputs: inputs.clone(), ..Before::default() };
            let default = field.default.clone().unwrap_or_default();
            match evaluate(&default, &scope) {
                Ok(value) => {
                    inputs.insert(field.name.clone(), value);
                    false
                }
                Err(message) => {
                    errors.push((field.name.clone(), message));
                    true
                }
            }
        });
        if open.len() == before {
            break;
        }
    }
    let missing =
        fields.iter().any(|f| f.required && f.default.is_none() && !inputs.contains_key(&f.name));
    if open.is_empty() || missing { Vec::new() } else { errors }
}

fn evaluate(value: &Value, scope: &Before) -> Result<Value, String> {
    let template = Template::compile(value).map_err(|problems| {
        problems.first().map_or_else(String::new, |problem| problem.message.clone())
    })?;
    template.evaluate(scope)
}

/// See [`Plan::dry_run`].
pub(crate) fn dry_run(plan: &Plan, given: &Values) -> Vec<PlannedCall> {
    let mut inputs = given.clone();
    fill(&plan.inputs, &mut inputs);
    let root = vec![(Vec::new(), Before { inputs, ..Before::default() })];
    let mut places: HashMap<&str, Vec<(Vec<u32>, Before)>> = HashMap::new();
    let mut calls = Vec::new();
    for step in &plan.steps {
        let own = instances(step, &places, &root);
        if let Work::Call(call) = &step.work {
            for (index, scope) in &own {
                let (mut input, mut unknown) = (Values::new(), Vec::new());
                for (name, value) in &call.input {
                    match evaluate(value, scope) {
                        Ok(Value::Null) => {}
                        Ok(value) => {
                            input.insert(name.clone(), value);
                        }
                        Err(_) => unknown.push(name.clone()),
                    }
                }
                for field in call.task.input.iter().filter(|field| !unknown.contains(&field.name)) {
                    if let Some(default) = &field.default {
                        input.entry(field.name.clone()).or_insert_with(|| default.clone());
                    }
                }
                calls.push(PlannedCall {
                    key: InstanceKey::new(step.name.clone(), index.clone()),
                    task: call.task.id.clone(),
                    policy: merged(&call.policy, &plan.policy),
                    input,
                    unknown,
                });
            }
        }
        places.insert(&step.name, own);
    }
    calls
}

/// The instances of a step with what each of them sees; a list that is not known yet counts as one.
fn instances(
    step: &Step,
    places: &HashMap<&str, Vec<(Vec<u32>, Before)>>,
    root: &[(Vec<u32>, Before)],
) -> Vec<(Vec<u32>, Before)> {
    let base = match (&step.each, &step.work) {
        (Some(Each::Step(other)), _) => places.get(other.as_str()).cloned().unwrap_or_default(),
        (Some(Each::List(list)), _) => root.iter().flat_map(|one| over_list(one, list)).collect(),
        (None, Work::Pick(pick)) => {
            let mut kept = places.get(pick.of.as_str()).cloned().unwrap_or_default();
            for (index, scope) in &mut kept {
                index.pop();
                scope.vary.clear();
            }
            kept.dedup_by(|a, b| a.0 == b.0);
            kept
        }
        (None, Work::Call(_) | Work::Approve(_)) => root.to_vec(),
    };
    let varied = step.vary.iter().fold(base, |base, (name, values)| {
        base.into_iter()
            .flat_map(|one| over_variants(one, name, values))
            .take(INSTANCES_MAX)
            .collect()
    });
    flattened(varied, step)
}

fn over_list((index, scope): &(Vec<u32>, Before), list: &Value) -> Vec<(Vec<u32>, Before)> {
    let items = match evaluate(list, scope) {
        Ok(Value::List(items)) => items.into_iter().map(Some).take(INSTANCES_MAX).collect(),
        _ => vec![None],
    };
    let one = |(at, item): (usize, Option<Value>)| {
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        let scope = Before { item, index: i64::try_from(at).ok(), ..scope.clone() };
        ([&index[..], &[place]].concat(), scope)
    };
    items.into_iter().enumerate().map(one).collect()
}

/// Each variable adds a place of its own for now; [`flattened`] makes one axis of them.
fn over_variants(
    (index, scope): (Vec<u32>, Before),
    name: &str,
    values: &Value,
) -> Vec<(Vec<u32>, Before)> {
    let items = match evaluate(values, &scope) {
        Ok(Value::List(items)) => items.into_iter().map(Some).collect(),
        _ => vec![None],
    };
    let one = |(at, value): (usize, Option<Value>)| {
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        let mut scope = scope.clone();
        if let Some(value) = value {
            scope.vary.insert(name.to_owned(), value);
        }
        ([&index[..], &[place]].concat(), scope)
    };
    items.into_iter().enumerate().map(one).collect()
}

/// The variables of a `vary` make one axis together, in the order of their combinations.
fn flattened(instances: Vec<(Vec<u32>, Before)>, step: &Step) -> Vec<(Vec<u32>, Before)> {
    if step.vary.is_empty() {
        return instances;
    }
    let mut last: (Vec<u32>, u32) = (Vec::new(), 0);
    let mut first = true;
    instances
        .into_iter()
        .map(|(index, scope)| {
            let outer = index
                .get(..index.len().saturating_sub(step.vary.len()))
                .unwrap_or_default()
                .to_vec();
            let place = if !first && last.0 == outer { last.1 + 1 } else { 0 };
            first = false;
            last = (outer.clone(), place);
            ([&outer[..], &[place]].concat(), scope)
        })
        .collect()
}
