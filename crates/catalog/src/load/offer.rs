//! Reads offers and their mappings.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Diagnostic, Field, OfferId, ProviderId, Task, TaskId, Type, Value, Values};

use super::field::{check_sizes, check_texts};
use super::{input_named, model, rates};
use crate::catalog::Catalog;
use crate::mapping::Mapping;
use crate::model::{Model, Narrowing, Offer};
use crate::read::{Key, Node, Problems, Table, suggestion};

/// Reads an offer of `model`; nothing if its task or provider is not there.
pub(super) fn read_offer(mut table: Table<'_>, model: &Model, catalog: &Catalog) -> Option<Offer> {
    let provider = table.need("provider").and_then(|node| read_provider_id(node, catalog));
    let task = table.need("task").and_then(|node| find_task(node, catalog));
    let endpoint = table.need("endpoint").and_then(|node| node.words());
    let version = table.get("version").and_then(|node| node.words());
    let needs = table.get("needs").map(model::read_needs).unwrap_or_default();
    let (price, time, assume) = (table.need("price"), table.need("time"), table.get("assume"));
    let (params, map) = (table.get("params"), table.get("map"));
    let (unsupported, ignored) = (table.get("unsupported"), table.get("ignored"));
    let problems = table.problems;
    table.finish("an offer");
    let (provider, task) = (provider?, task?);
    let assumed = rates::read_assumed(task, assume);
    let inputs = |node: Option<Node<'_>>| {
        node.map(|node| read_input_names(task, node, problems)).unwrap_or_default()
    };
    let price = price.and_then(|node| rates::read_price(task, assumed, node, problems));
    let time = time.and_then(|node| rates::read_time(task, assumed, node, problems));
    Some(Offer {
        id: OfferId::of(&model.id, &provider, &task.id),
        model: model.id.clone(),
        provider,
        task: task.id.clone(),
        endpoint: endpoint?,
        version: version.unwrap_or_else(|| model.version.clone()),
        price: price?,
        time: time?,
        needs,
        params: params.map(|node| read_params(task, node, problems)).unwrap_or_default(),
        unsupported: inputs(unsupported),
        ignored: inputs(ignored),
        map: map.and_then(|node| read_mapping(task, node, problems)).unwrap_or_default(),
    })
}

fn read_provider_id(node: Node<'_>, catalog: &Catalog) -> Option<ProviderId> {
    let id = ProviderId::new(node.text()?);
    if !catalog.providers.contains_key(&id) {
        let known: Vec<&str> = catalog.providers.keys().map(ProviderId::as_str).collect();
        let hint = suggestion(id.as_str(), &known);
        node.problem(format!("there is no provider `{id}`"), Some(hint));
        return None;
    }
    Some(id)
}

fn find_task<'c>(node: Node<'_>, catalog: &'c Catalog) -> Option<&'c Task> {
    let id = TaskId::new(node.text()?);
    let task = catalog.tasks.get(&id);
    if task.is_none() {
        let known: Vec<&str> = catalog.tasks.keys().map(TaskId::as_str).collect();
        node.problem(format!("there is no task `{id}`"), Some(suggestion(id.as_str(), &known)));
    }
    task
}

/// A list of inputs of the task, by name.
fn read_input_names(task: &Task, node: Node<'_>, problems: &Problems) -> Vec<String> {
    let named = |item: &Node<'_>| {
        let name = item.text()?;
        let key = Key { name: &name, span: item.span };
        input_named(task, key, problems).map(|field| field.name.clone())
    };
    node.items().iter().filter_map(named).collect()
}

fn read_params(task: &Task, node: Node<'_>, problems: &Problems) -> BTreeMap<String, Narrowing> {
    let mut params = BTreeMap::new();
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        let Some(mut table) = node.table() else { continue };
        let (min, max) = (table.get("min"), table.get("max"));
        let (max_chars, values) = (table.get("max_chars"), table.get("values"));
        check_sizes(&field.ty, min, max);
        check_texts(&field.ty, max_chars, values);
        let narrowing = Narrowing {
            min: min.and_then(|node| node.number()),
            max: max.and_then(|node| node.number()),
            max_chars: max_chars.and_then(|node| node.length()),
            values: values.map(|node| read_allowed(field, node)).unwrap_or_default(),
        };
        table.finish("a narrower input");
        check_narrowing(field, &narrowing, node);
        params.insert(field.name.clone(), narrowing);
    }
    params
}

/// Texts that the task allows too.
fn read_allowed(field: &Field, node: Node<'_>) -> Vec<String> {
    let mut allowed = Vec::new();
    for item in node.items() {
        let Some(text) = item.text() else { continue };
        if let Some(problem) = field.problem(&Value::from(text.as_str())) {
            item.problem(problem, None);
        }
        allowed.push(text);
    }
    allowed
}

/// A narrowing that leaves nothing is a mistake, and so is one that excludes the default.
fn check_narrowing(field: &Field, narrowing: &Narrowing, node: Node<'_>) {
    let narrowed = narrowing.narrow(field);
    if let (Some(least), Some(most)) = (narrowed.min, narrowed.max)
        && least > most
    {
        let message = format!("no `{}` is left: the least is {least}, the most {most}", field.name);
        node.problem(message, None);
        return;
    }
    if let Some(problem) = field.default.as_ref().and_then(|default| narrowed.problem(default)) {
        let hint = "a call that says nothing about it would be refused; allow the default";
        node.problem(format!("the task's default is excluded: {problem}"), Some(hint.to_owned()));
    }
}

fn read_mapping(task: &Task, node: Node<'_>, problems: &Problems) -> Option<Mapping> {
    let mut table = node.table()?;
    let renames = table.get("rename");
    let mapping = Mapping {
        enums: table.get("enum").map(|n| read_enums(task, n, problems)).unwrap_or_default(),
        clamps: table.get("clamp").map(|n| read_clamps(task, n, problems)).unwrap_or_default(),
        renames: renames.map(|n| read_renames(task, n, problems)).unwrap_or_default(),
        defaults: table.get("default").map(read_said).unwrap_or_default(),
        consts: table.get("const").map(read_said).unwrap_or_default(),
    };
    table.finish("a mapping");
    Some(mapping)
}

fn read_said(node: Node<'_>) -> Values {
    let said = node.entries();
    said.iter().filter_map(|(key, node)| Some((key.name.to_owned(), node.data()?))).collect()
}

/// New names. Two inputs that would get one name are reported: one of them would be lost.
fn read_renames(task: &Task, node: Node<'_>, problems: &Problems) -> BTreeMap<String, String> {
    let entries = node.entries();
    let renamed: BTreeSet<&str> = entries.iter().map(|(key, _)| key.name).collect();
    let unchanged = task.input.iter().map(|field| field.name.as_str());
    let mut taken: BTreeSet<String> =
        unchanged.filter(|name| !renamed.contains(name)).map(str::to_owned).collect();
    let mut renames = BTreeMap::new();
    for (key, node) in entries {
        let Some(field) = input_named(task, key, problems) else { continue };
        let Some(name) = node.words() else { continue };
        if !taken.insert(name.clone()) {
            node.problem(format!("two inputs would be called `{name}`"), None);
            continue;
        }
        renames.insert(field.name.clone(), name);
    }
    renames
}

fn read_enums(
    task: &Task,
    node: Node<'_>,
    problems: &Problems,
) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut enums = BTreeMap::new();
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        let mut words = BTreeMap::new();
        for (word, node) in node.entries() {
            if let Some(problem) = field.problem(&Value::from(word.name)) {
                problems.add(Diagnostic::error(word.span, problem));
            }
            if let Some(other) = node.data() {
                words.insert(word.name.to_owned(), other);
            }
        }
        enums.insert(field.name.clone(), words);
    }
    enums
}

type Limits = (Option<f64>, Option<f64>);

fn read_clamps(task: &Task, node: Node<'_>, problems: &Problems) -> BTreeMap<String, Limits> {
    let mut clamps = BTreeMap::new();
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        if !matches!(field.ty, Type::Integer | Type::Number) {
            node.problem(format!("`{}` is of type {}, not a number", field.name, field.ty), None);
            continue;
        }
        let Some(mut table) = node.table() else { continue };
        let min = table.get("min").and_then(|node| node.number());
        let max = table.get("max").and_then(|node| node.number());
        table.finish("a clamp");
        // Whole numbers need a whole number between the limits.
        let whole = field.ty == Type::Integer;
        let (least, most) =
            if whole { (min.map(f64::ceil), max.map(f64::floor)) } else { (min, max) };
        if least.zip(most).is_some_and(|(least, most)| least > most) {
            node.problem("nothing lies between these limits", None);
            continue;
        }
        clamps.insert(field.name.clone(), (least, most));
    }
    clamps
}
