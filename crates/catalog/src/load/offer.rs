//! Reads offers.

use std::collections::BTreeMap;
use std::sync::Arc;

use impasto_domain::{Diagnostic, Field, OfferId, ProviderId, Task, TaskId, Type};

use super::field::{check_sizes, check_texts};
use super::mapping::{read_inputs, read_mapping, read_said, read_size, read_template, read_values};
use super::provider::read_meter;
use super::rates::Reading;
use super::{capability, input_named, model, output, rates};
use crate::body::FileForm;
use crate::catalog::Catalog;
use crate::count::Assumed;
use crate::mapping::{Mapping, OPTIONS, PASSTHROUGH, Verb};
use crate::model::{Model, Narrowing, Offer};
use crate::output::Outputs;
use crate::provider::Provider;
use crate::read::{Key, Node, Problems, Table, suggestion};
use crate::size::Size;
use crate::tariff::{Price, TimeEstimate, View};
use crate::wire::Wire;

/// The values of the keys of an offer that need the task to be read.
struct Keys<'a> {
    price: Option<Node<'a>>,
    time: Option<Node<'a>>,
    assume: Option<Node<'a>>,
    params: Option<Node<'a>>,
    map: Option<Node<'a>>,
    input: Option<Node<'a>>,
    output: Option<Node<'a>>,
    size: Option<Node<'a>>,
    consts: Option<Node<'a>>,
    defaults: Option<Node<'a>>,
    template: Option<Node<'a>>,
    unsupported: Option<Node<'a>>,
    ignored: Option<Node<'a>>,
}

impl<'a> Keys<'a> {
    fn of(table: &mut Table<'a>) -> Self {
        Self {
            price: table.need("price"),
            time: table.get("time"),
            assume: table.get("assume"),
            params: table.get("params"),
            map: table.get("map"),
            input: table.get("input"),
            output: table.get("output"),
            size: table.get("size"),
            consts: table.get("const"),
            defaults: table.get("default"),
            template: table.get("template"),
            unsupported: table.get("unsupported"),
            ignored: table.get("ignored"),
        }
    }
}

/// What an offer takes and how that becomes what the endpoint takes.
#[derive(Default)]
struct Taken {
    params: BTreeMap<String, Narrowing>,
    own: Vec<Field>,
    unsupported: Vec<String>,
    ignored: Vec<String>,
    map: Mapping,
    outputs: Option<Outputs>,
}

/// Reads an offer of `model`; nothing if its task or provider is not there.
pub(super) fn read_offer(mut table: Table<'_>, model: &Model, catalog: &Catalog) -> Option<Offer> {
    let provider = table.need("provider").and_then(|node| find_provider(node, catalog));
    let task = table.need("task").and_then(|node| find_task(node, catalog));
    let endpoint = table.need("endpoint").and_then(|node| node.words());
    let variant = table.get("variant").and_then(|node| node.words());
    let wire = table.get("wire");
    let version = table.get("version").and_then(|node| node.words());
    let needs = table.get("needs").map(model::read_needs).unwrap_or_default();
    let lifecycle = table.get("lifecycle").and_then(model::read_lifecycle).unwrap_or_default();
    let source = table.get("source").and_then(|node| node.text());
    let verified = table.get("verified").and_then(|node| node.boolean()).unwrap_or(true);
    let stated = table.get("capabilities").map(capability::read).unwrap_or_default();
    let count = table.get("count").and_then(|node| read_meter(node, false));
    let keys = Keys::of(&mut table);
    let (problems, span) = (table.problems, table.span);
    table.finish("an offer");
    let (provider, task) = (provider?, task?);
    if keys.time.is_none() && provider.is_local() {
        problems.add(Diagnostic::error(span, "`time` is missing"));
    }
    let taken = read_taken(task, provider, &keys, problems);
    let wire = wire.and_then(|node| read_wire(node, provider));
    check_file(provider.wire(wire.as_deref()), &taken, keys.output);
    let (price, time) = read_rates(task, &taken, &keys, problems);
    let mut id = OfferId::of(&model.id, &provider.id, &task.id);
    if let Some(variant) = &variant {
        id = OfferId::new(format!("{id}:{variant}"));
    }
    Some(Offer {
        id,
        model: model.id.clone(),
        provider: provider.id.clone(),
        task: task.id.clone(),
        variant,
        endpoint: endpoint?,
        wire,
        version: version.unwrap_or_else(|| model.version.clone()),
        price: price?,
        count,
        time: time?,
        needs,
        lifecycle,
        source: source.unwrap_or_else(|| provider.schemas.clone()),
        verified,
        capabilities: capability::of_offer(task, &taken.map, &taken.own, &stated),
        params: taken.params,
        own: taken.own,
        unsupported: taken.unsupported,
        ignored: taken.ignored,
        map: taken.map,
        outputs: taken.outputs,
    })
}

fn read_rates(
    task: &Task,
    taken: &Taken,
    keys: &Keys<'_>,
    problems: &Problems,
) -> (Option<Price>, Option<TimeEstimate>) {
    let reading = Reading { task, own: &taken.own, problems };
    let assumed = Arc::new(rates::read_assumed(Assumed::of(task), keys.assume));
    let view = Arc::new(view_of(taken));
    let mut price = keys.price.and_then(|node| rates::read_price(&reading, &assumed, node));
    let mut time = match keys.time {
        Some(node) => rates::read_time(&reading, &assumed, node),
        None => Some(rates::usual_time(task)),
    };
    price.iter_mut().for_each(|price| price.tariff.view = Arc::clone(&view));
    time.iter_mut().for_each(|time| time.tariff.view = Arc::clone(&view));
    (price, time)
}

/// How an offer sees what it is given, before that is counted.
fn view_of(taken: &Taken) -> View {
    let mut view = View::default();
    for (name, rule) in &taken.map.rules {
        let limits =
            rule.verbs.iter().filter(|verb| matches!(verb, Verb::Snap(_) | Verb::Clamp(..)));
        let limits: Vec<Verb> = limits.cloned().collect();
        if !limits.is_empty() {
            view.limits.insert(name.clone(), limits);
        }
        view.unsaid.extend(rule.unsaid.clone().map(|unsaid| (name.clone(), unsaid)));
    }
    let narrowed = taken.params.iter().map(|(name, params)| (name, &params.default));
    let own = taken.own.iter().map(|field| (&field.name, &field.default));
    for (name, default) in narrowed.chain(own) {
        view.defaults.extend(default.clone().map(|default| (name.clone(), default)));
    }
    view
}

fn read_taken(task: &Task, provider: &Provider, keys: &Keys<'_>, problems: &Problems) -> Taken {
    let inputs = |node: Option<Node<'_>>| {
        node.map(|node| read_input_names(task, node, problems)).unwrap_or_default()
    };
    let mut taken = Taken {
        params: keys.params.map(|node| read_params(task, node, problems)).unwrap_or_default(),
        unsupported: inputs(keys.unsupported),
        ignored: inputs(keys.ignored),
        map: keys.map.and_then(|node| read_mapping(task, node, problems)).unwrap_or_default(),
        outputs: keys.output.map(|node| output::read_outputs(task, node)),
        ..Taken::default()
    };
    let Some(node) = keys.input else {
        if let Some(node) =
            keys.output.or(keys.size).or(keys.consts).or(keys.defaults).or(keys.template)
        {
            let hint = "name its inputs too: [offers.input]".to_owned();
            node.problem("only an offer that names its inputs has this", Some(hint));
        }
        return taken;
    };
    if let Some(node) = keys.map.or(keys.params) {
        let hint = "say it in the table `input`".to_owned();
        node.problem("an offer that names its inputs does not have this", Some(hint));
    }
    let read = read_inputs(task, node, provider.files.unwrap_or(FileForm::Url), problems);
    taken.params = read.params;
    taken.own = read.own;
    taken.map = Mapping {
        closed: true,
        rules: read.rules,
        size: keys.size.and_then(|node| read_size(task, node)).map(Box::new),
        template: keys.template.and_then(read_template).map(Box::new),
        defaults: keys.defaults.map(read_said).unwrap_or_default(),
        consts: keys.consts.map(read_said).unwrap_or_default(),
    };
    taken.unsupported = left_out(task, &taken);
    taken
}

/// The inputs of the task that an offer does not name.
fn left_out(task: &Task, taken: &Taken) -> Vec<String> {
    let names = task.input.iter().map(|field| field.name.as_str());
    let left_out = names.filter(|name| {
        let made_into_size = taken.map.size.is_some() && Size::INPUTS.contains(name);
        !taken.map.rules.contains_key(*name)
            && !made_into_size
            && !matches!(*name, OPTIONS | PASSTHROUGH)
            && !taken.ignored.iter().any(|ignored| ignored == name)
    });
    left_out.map(str::to_owned).collect()
}

fn find_provider<'c>(node: Node<'_>, catalog: &'c Catalog) -> Option<&'c Provider> {
    let id = ProviderId::new(node.text()?);
    let provider = catalog.providers.get(&id);
    if provider.is_none() {
        let known: Vec<&str> = catalog.providers.keys().map(ProviderId::as_str).collect();
        let hint = suggestion(id.as_str(), &known);
        node.problem(format!("there is no provider `{id}`"), Some(hint));
    }
    provider
}

pub(super) fn find_task<'c>(node: Node<'_>, catalog: &'c Catalog) -> Option<&'c Task> {
    let id = TaskId::new(node.text()?);
    let task = catalog.tasks.get(&id);
    if task.is_none() {
        let known: Vec<&str> = catalog.tasks.keys().map(TaskId::as_str).collect();
        node.problem(format!("there is no task `{id}`"), Some(suggestion(id.as_str(), &known)));
    }
    task
}

fn read_wire(node: Node<'_>, provider: &Provider) -> Option<String> {
    let name = node.words()?;
    if !provider.wires.contains_key(&name) {
        let known: Vec<&str> = provider.wires.keys().map(String::as_str).collect();
        let message = format!("the provider `{}` has no wire `{name}`", provider.id);
        node.problem(message, Some(suggestion(&name, &known)));
        return None;
    }
    Some(name)
}

/// Reports an output that is the whole answer where the answer is no file, and the other way round.
fn check_file(wire: Option<&Wire>, taken: &Taken, node: Option<Node<'_>>) {
    let Some(((wire, outputs), node)) = wire.zip(taken.outputs.as_ref()).zip(node) else { return };
    match (wire.ends_in_a_file(), outputs.is_whole_body()) {
        (false, true) => {
            let hint =
                "take a wire with `answer = \"bytes\"`, or say where the answer has the file";
            node.problem("the wire of this offer does not end in a file", Some(hint.to_owned()));
        }
        (true, false) => {
            let hint = "say which output it is: file = \"body\"".to_owned();
            node.problem("the wire of this offer ends in a file", Some(hint));
        }
        _ => {}
    }
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
            values: values.map(|node| read_values(Some(field), node)).unwrap_or_default(),
            ..Narrowing::default()
        };
        table.finish("a narrower input");
        check_narrowing(field, &narrowing, node);
        params.insert(field.name.clone(), narrowing);
    }
    params
}

/// A narrowing that leaves nothing is a mistake, and so is one that excludes the default.
fn check_narrowing(field: &Field, narrowing: &Narrowing, node: Node<'_>) {
    let narrowed = narrowing.narrow(field);
    if let (Some(least), Some(most)) = (narrowed.min, narrowed.max)
        && least > most
        && matches!(field.ty, Type::Integer | Type::Number | Type::List(_))
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
