//! Choosing: the best of the last axis of a step.

use std::cmp::Ordering;
use std::sync::Arc;

use impasto_domain::{Error, Value, Values};

use crate::fold::{At, Fold};
use crate::instance::Instance;
use crate::program::Program;
use crate::template::Template;

/// The outputs that a pick has besides those of the winner.
pub(crate) const PICK_OUTPUTS: [&str; 5] = ["winner", "score", "scores", "labels", "marked"];

/// One candidate: its place on the last axis and its score; skipped ones have none.
struct Scored<'r> {
    place: usize,
    score: Option<f64>,
    instance: &'r Instance,
}

/// What a pick at `index` gives; `None` if all its candidates were skipped.
pub(crate) fn choose(
    fold: &Fold,
    program: &Program,
    (of, by, keep): (usize, &Template, usize),
    index: &[u32],
) -> Result<Option<Values>, Error> {
    let (Some(node), Some(state)) = (program.steps.get(of), fold.steps.get(of)) else {
        return Err(Error::internal("the step to pick from is not in the plan"));
    };
    let first = state.range(index.len(), state.group(index.len(), index));
    let mut scored = Vec::new();
    for (place, instance) in
        state.instances.get(first.clone()).unwrap_or_default().iter().enumerate()
    {
        let at = At { fold, program, axes: &node.axes, index: &instance.key.index };
        let score =
            score(by, &at).map_err(|m| Error::invalid(format!("`by` of {}: {m}", instance.key)))?;
        let skipped = instance.status == crate::Status::Skipped;
        scored.push(Scored { place, score: score.filter(|_| !skipped), instance });
    }
    if scored.is_empty() {
        return Err(Error::invalid(format!(
            "there is nothing to pick from: `{}` has no instances here",
            node.name
        ))
        .hint("give its `each` or `vary` at least one value"));
    }
    let mut order: Vec<&Scored<'_>> = scored.iter().filter(|one| one.score.is_some()).collect();
    order.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
    order.truncate(keep);
    if order.is_empty() {
        return Ok(None);
    }
    let mut outputs = kept_outputs(&order, keep);
    outputs.extend(facts(&scored, &order, keep, first.start));
    Ok(Some(outputs))
}

fn score(by: &Template, at: &At<'_>) -> Result<Option<f64>, String> {
    match by.evaluate(at)? {
        Value::Null => Ok(None),
        value => match value.as_number() {
            Some(number) => Ok(Some(number)),
            None => Err(format!("a number is needed, but there is {}", value.type_name())),
        },
    }
}

/// The outputs of the kept: the winner's own, or lists if more than one is kept.
fn kept_outputs(order: &[&Scored<'_>], keep: usize) -> Values {
    let output =
        |one: &&Scored<'_>| one.instance.output.as_ref().map(Arc::clone).unwrap_or_default();
    let kept: Vec<Arc<Values>> = order.iter().map(output).collect();
    let Some(best) = kept.first() else { return Values::new() };
    if keep == 1 {
        return best.as_ref().clone();
    }
    let list =
        |name: &String| kept.iter().map(|one| one.get(name).cloned().unwrap_or_default()).collect();
    best.keys().map(|name| (name.clone(), Value::List(list(name)))).collect()
}

fn facts(scored: &[Scored<'_>], order: &[&Scored<'_>], keep: usize, first: usize) -> Values {
    let place = |place: usize| Value::Integer(i64::try_from(place).unwrap_or(i64::MAX));
    let number = |score: Option<f64>| score.map_or(Value::Null, Value::Number);
    let one_or_list = |mut values: Vec<Value>| {
        if keep == 1 && values.len() == 1 { values.swap_remove(0) } else { Value::List(values) }
    };
    let mut kept: Vec<usize> = order.iter().map(|one| first + one.place).collect();
    kept.sort_unstable();
    let entries = [
        one_or_list(order.iter().map(|one| place(one.place)).collect()),
        one_or_list(order.iter().map(|one| number(one.score)).collect()),
        Value::List(scored.iter().map(|one| number(one.score)).collect()),
        Value::List(scored.iter().map(label).collect()),
        Value::List(kept.into_iter().map(place).collect()),
    ];
    PICK_OUTPUTS.into_iter().map(str::to_owned).zip(entries).collect()
}

/// A candidate for people: its places and its score.
fn label(one: &Scored<'_>) -> Value {
    let places: Vec<String> = one.instance.key.index.iter().map(u32::to_string).collect();
    let score = one.score.map_or("skipped".to_owned(), |score| format!("{score:.3}"));
    Value::from(format!("{} · {score}", places.join(".")))
}
