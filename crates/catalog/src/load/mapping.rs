//! Reads what becomes of inputs: the verbs of `map`, which leave the other inputs alone, and the
//! table `input`, which names every input that an endpoint takes.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Diagnostic, Field, MediaKind, Task, Type, Value};
use serde_json::Value as Json;

use super::field::{check_sizes, check_texts};
use super::input_named;
use crate::body::FileForm;
use crate::mapping::{Mapping, MaskForm, OPTIONS, PASSTHROUGH, Place, Rule, Shape, Verb};
use crate::model::Narrowing;
use crate::pointer::Pointer;
use crate::read::{Key, Node, Problems, Table, suggestion};
use crate::size::Size;

const SHAPES: [(&str, Shape); 3] =
    [("text", Shape::Text), ("integer", Shape::Integer), ("number", Shape::Number)];
const FORMS: [(&str, FileForm); 5] = [
    ("url", FileForm::Url),
    ("upload", FileForm::Upload),
    ("base64", FileForm::Base64),
    ("data_uri", FileForm::DataUri),
    ("part", FileForm::Part),
];

/// What the table `input` says.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) params: BTreeMap<String, Narrowing>,
    pub(super) own: Vec<Field>,
}

/// Reads the verbs that leave other inputs alone.
pub(super) fn read_mapping(task: &Task, node: Node<'_>, problems: &Problems) -> Option<Mapping> {
    let mut table = node.table()?;
    let renames = table.get("rename");
    let mut mapping = Mapping::default();
    if let Some(node) = table.get("enum") {
        read_enums(task, node, problems, &mut mapping.rules);
    }
    if let Some(node) = table.get("clamp") {
        read_clamps(task, node, problems, &mut mapping.rules);
    }
    if let Some(node) = renames {
        read_renames(task, node, problems, &mut mapping.rules);
    }
    mapping.defaults = table.get("default").map(read_said).unwrap_or_default();
    mapping.consts = table.get("const").map(read_said).unwrap_or_default();
    table.finish("a mapping");
    Some(mapping)
}

/// Reads values by place.
pub(super) fn read_said(node: Node<'_>) -> Vec<(Place, Value)> {
    let said = node.entries().into_iter().filter_map(|(key, node)| {
        let place = read_place(key.name, node)?;
        Some((place, node.data()?))
    });
    said.collect()
}

/// Reads what a body is before anything is put into it: a table, or an object of JSON as text.
pub(super) fn read_template(node: Node<'_>) -> Option<Json> {
    let Some(text) = node.as_text() else { return Some(node.data()?.to_json()) };
    let problem = match serde_json::from_str::<Json>(text) {
        Ok(json) if json.is_object() => return Some(json),
        Ok(_) => "the template must be an object".to_owned(),
        Err(error) => format!("the template is not JSON: {error}"),
    };
    node.problem(problem, None);
    None
}

fn read_place(text: &str, node: Node<'_>) -> Option<Place> {
    match text.parse::<Place>() {
        Ok(place) => Some(place),
        Err(message) => {
            node.problem(message, None);
            None
        }
    }
}

/// New names. Two inputs that would get one name are reported: one of them would be lost.
fn read_renames(
    task: &Task,
    node: Node<'_>,
    problems: &Problems,
    rules: &mut BTreeMap<String, Rule>,
) {
    let entries = node.entries();
    let renamed: BTreeSet<&str> = entries.iter().map(|(key, _)| key.name).collect();
    let unchanged = task.input.iter().map(|field| field.name.as_str());
    let mut taken: BTreeSet<String> =
        unchanged.filter(|name| !renamed.contains(name)).map(str::to_owned).collect();
    for (key, node) in entries {
        let Some(field) = input_named(task, key, problems) else { continue };
        let Some(name) = node.words() else { continue };
        if !taken.insert(name.clone()) {
            node.problem(format!("two inputs would be called `{name}`"), None);
            continue;
        }
        let place = Place::Body(Pointer::key(&name));
        rules.entry(field.name.clone()).or_default().to = vec![place];
    }
}

fn read_enums(
    task: &Task,
    node: Node<'_>,
    problems: &Problems,
    rules: &mut BTreeMap<String, Rule>,
) {
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        let verb = read_words(Some(field), node, problems);
        rules.entry(field.name.clone()).or_default().verbs.push(verb);
    }
}

/// Other words for what a field may be; `field` is absent where nobody knows what that is.
fn read_words(field: Option<&Field>, node: Node<'_>, problems: &Problems) -> Verb {
    let mut words = BTreeMap::new();
    let texts = field.filter(|field| matches!(field.ty, Type::Text | Type::Prompt));
    for (word, node) in node.entries() {
        let given = Value::from(word.name);
        if let Some(problem) = texts.and_then(|field| field.problem(&given)) {
            problems.add(Diagnostic::error(word.span, problem));
        }
        if let Some(other) = node.data() {
            words.insert(word.name.to_owned(), other);
        }
    }
    Verb::Enum(words)
}

fn read_clamps(
    task: &Task,
    node: Node<'_>,
    problems: &Problems,
    rules: &mut BTreeMap<String, Rule>,
) {
    for (key, node) in node.entries() {
        let Some(field) = input_named(task, key, problems) else { continue };
        if let Some(verb) = read_clamp(field, node) {
            rules.entry(field.name.clone()).or_default().verbs.push(verb);
        }
    }
}

fn read_clamp(field: &Field, node: Node<'_>) -> Option<Verb> {
    if !matches!(field.ty, Type::Integer | Type::Number) {
        node.problem(format!("`{}` is of type {}, not a number", field.name, field.ty), None);
        return None;
    }
    let mut table = node.table()?;
    let min = table.get("min").and_then(|node| node.number());
    let max = table.get("max").and_then(|node| node.number());
    table.finish("a clamp");
    // Whole numbers need a whole number between the limits.
    let whole = field.ty == Type::Integer;
    let (least, most) = if whole { (min.map(f64::ceil), max.map(f64::floor)) } else { (min, max) };
    if least.zip(most).is_some_and(|(least, most)| least > most) {
        node.problem("nothing lies between these limits", None);
        return None;
    }
    Some(Verb::Clamp(least, most))
}

/// Reads the table `input`. Files travel as `usual` where an input does not say how.
pub(super) fn read_inputs(
    task: &Task,
    node: Node<'_>,
    usual: FileForm,
    problems: &Problems,
) -> Inputs {
    let mut inputs = Inputs::default();
    for (key, node) in node.entries() {
        read_input(task, key, node, (usual, problems), &mut inputs);
    }
    inputs
}

fn read_input(
    task: &Task,
    key: Key<'_>,
    node: Node<'_>,
    (usual, problems): (FileForm, &Problems),
    inputs: &mut Inputs,
) {
    let field = task.input_field(key.name);
    if matches!(key.name, OPTIONS | PASSTHROUGH) {
        node.problem(format!("`{}` is taken by every offer as it is", key.name), None);
        return;
    }
    if let Some(to) = node.as_text() {
        let rule =
            Rule { to: read_place(to, node).into_iter().collect(), file: usual, ..Rule::default() };
        add(inputs, (task, problems), (key, node), (Narrowing::default(), None), rule);
        return;
    }
    let Some(mut table) = node.table() else { return };
    let narrowing = read_limits(&mut table, field);
    let ty: Option<Type> = table.get("type").and_then(|node| node.parse());
    let description = table.get("description").and_then(|node| node.text());
    let to = table.get("to").map(read_places).unwrap_or_default();
    let file = table.get("file").and_then(|node| node.one_of("way for a file", &FORMS));
    let mask = table.get("mask").map(|node| read_mask(node, field, ty.as_ref()));
    let verbs = read_verbs(&mut table, field, problems);
    let unsaid = table.get("unsaid").and_then(|node| node.data());
    table.finish("an input of an offer");
    let (file, mask) = (file.unwrap_or(usual), mask.unwrap_or_default());
    let rule = Rule { to, verbs, file, mask, unsaid };
    let ty = ty.map(|ty| (ty, description.unwrap_or_default()));
    add(inputs, (task, problems), (key, node), (narrowing, ty), rule);
}

/// What may change of a mask, which is a picture.
fn read_mask(node: Node<'_>, field: Option<&Field>, ty: Option<&Type>) -> MaskForm {
    let ty = field.map(|field| &field.ty).or(ty);
    if ty.is_some_and(|ty| *ty != Type::Media(MediaKind::Image)) {
        node.problem("only an input of type image is a mask", None);
    }
    node.one_of("form of a mask", &MaskForm::ALL).unwrap_or_default()
}

/// Puts an input of the offer where it belongs: to those of the task, or to its own.
fn add(
    inputs: &mut Inputs,
    (task, problems): (&Task, &Problems),
    (key, node): (Key<'_>, Node<'_>),
    (narrowing, ty): (Narrowing, Option<(Type, String)>),
    mut rule: Rule,
) {
    let field = task.input_field(key.name);
    match (field, ty) {
        (Some(_), Some(_)) => {
            let message = format!("`{}` is an input of the task, which says its type", key.name);
            node.problem(message, None);
        }
        (Some(field), None) => {
            let narrowing = with_snaps(narrowing, &rule.verbs);
            rule.unsaid = rule.unsaid.or_else(|| not_taken(field, &narrowing));
            if narrowing != Narrowing::default() {
                inputs.params.insert(field.name.clone(), narrowing);
            }
        }
        (None, Some((ty, description))) => inputs.own.push(Field {
            name: key.name.to_owned(),
            ty,
            description,
            required: narrowing.required,
            default: narrowing.default,
            min: narrowing.min,
            max: narrowing.max,
            max_chars: narrowing.max_chars,
            values: narrowing.values,
            unit: None,
        }),
        (None, None) => {
            let known: Vec<&str> = task.input.iter().map(|field| field.name.as_str()).collect();
            let meant = suggestion(key.name, &known);
            let message = format!("the task has no input `{}`", key.name);
            let hint = format!("{meant}; a parameter that the task does not have needs a `type`");
            problems.add(Diagnostic::error(key.span, message).hint(hint));
        }
    }
    inputs.rules.insert(key.name.to_owned(), rule);
}

/// What is more than the largest step is not taken: a video is not cut short in silence.
fn with_snaps(narrowing: Narrowing, verbs: &[Verb]) -> Narrowing {
    let largest = verbs.iter().find_map(|verb| match verb {
        Verb::Snap(steps) => steps.iter().copied().reduce(f64::max),
        _ => None,
    });
    Narrowing { max: narrowing.max.or(largest), ..narrowing }
}

/// The default of a field, if the offer does not take it: then it counts as nothing said.
fn not_taken(field: &Field, narrowing: &Narrowing) -> Option<Value> {
    let default = field.default.as_ref()?;
    if *narrowing == Narrowing::default() {
        return None;
    }
    narrowing.narrow(field).problem(default)?;
    Some(default.clone())
}

fn read_limits(table: &mut Table<'_>, field: Option<&Field>) -> Narrowing {
    let (min, max) = (table.get("min"), table.get("max"));
    let (max_chars, values) = (table.get("max_chars"), table.get("values"));
    if let Some(field) = field {
        check_sizes(&field.ty, min, max);
        check_texts(&field.ty, max_chars, values);
    }
    Narrowing {
        min: min.and_then(|node| node.number()),
        max: max.and_then(|node| node.number()),
        max_chars: max_chars.and_then(|node| node.length()),
        values: values.map(|node| read_values(field, node)).unwrap_or_default(),
        required: table.get("required").and_then(|node| node.boolean()).unwrap_or_default(),
        default: table.get("default").and_then(|node| node.data()),
    }
}

/// Texts that the task allows too.
pub(super) fn read_values(field: Option<&Field>, node: Node<'_>) -> Vec<String> {
    let mut allowed = Vec::new();
    for item in node.items() {
        let Some(text) = item.text() else { continue };
        let problem = field.and_then(|field| field.problem(&Value::from(text.as_str())));
        if let Some(problem) = problem {
            item.problem(problem, None);
        }
        allowed.push(text);
    }
    allowed
}

/// One place, or several.
fn read_places(node: Node<'_>) -> Vec<Place> {
    let items = if node.as_text().is_some() { vec![node] } else { node.items() };
    let place = |item: &Node<'_>| read_place(&item.text()?, *item);
    items.iter().filter_map(place).collect()
}

/// Reads the verbs in the order in which they are applied.
fn read_verbs(table: &mut Table<'_>, field: Option<&Field>, problems: &Problems) -> Vec<Verb> {
    let mut verbs = Vec::new();
    verbs.extend(table.get("enum").map(|node| read_words(field, node, problems)));
    if let Some(node) = table.get("snap") {
        let steps: Vec<f64> = node.items().iter().filter_map(Node::number).collect();
        if steps.is_empty() {
            node.problem("there is no step to snap to", None);
        }
        verbs.push(Verb::Snap(steps));
    }
    if let Some(node) = table.get("clamp") {
        let any = super::field::bare_field("number", Type::Number, String::new());
        verbs.extend(read_clamp(field.unwrap_or(&any), node));
    }
    verbs.extend(table.get("times").and_then(|node| node.number()).map(Verb::Times));
    verbs.extend(table.get("as").and_then(|node| node.one_of("shape", &SHAPES)).map(Verb::As));
    let affix = |node: Option<Node<'_>>| node.and_then(|node| node.text());
    let (prefix, suffix) = (affix(table.get("prefix")), affix(table.get("suffix")));
    if prefix.is_some() || suffix.is_some() {
        verbs.push(Verb::Affix(prefix.unwrap_or_default(), suffix.unwrap_or_default()));
    }
    let is_true = |node: Option<Node<'_>>| node.and_then(|node| node.boolean()).unwrap_or_default();
    if is_true(table.get("first")) {
        verbs.push(Verb::First);
    }
    if is_true(table.get("list")) {
        verbs.push(Verb::List);
    }
    if let Some(template) = table.get("wrap").and_then(|node| node.data()) {
        verbs.push(Verb::Wrap(template.to_json()));
    }
    verbs
}

/// Reads the verb `size`.
pub(super) fn read_size(task: &Task, node: Node<'_>) -> Option<Size> {
    let mut table = node.table()?;
    let place = |node: Option<Node<'_>>| node.and_then(|node| read_place(&node.text()?, node));
    let to = place(table.get("to"));
    let sides = place(table.get("width")).zip(place(table.get("height")));
    let names = table.get("names").map(|node| node.entries()).unwrap_or_default();
    let names =
        names.into_iter().filter_map(|(key, node)| Some((key.name.to_owned(), node.data()?)));
    let names = names.collect();
    let sizes = table.get("sizes").map(read_sizes).unwrap_or_default();
    let separator = table.get("separator").and_then(|node| node.text());
    let object = table.get("object").and_then(|node| node.boolean()).unwrap_or_default();
    let multiple = table.get("multiple").and_then(|node| node.length()).unwrap_or(1);
    let megapixels = table.get("megapixels").and_then(|node| node.number()).unwrap_or(1.0);
    table.finish("a size");
    if to.is_none() && sides.is_none() {
        let hint = "say where it goes: `to`, or `width` and `height`".to_owned();
        node.problem("this size goes nowhere", Some(hint));
    }
    Some(Size {
        to,
        sides,
        names,
        sizes,
        separator,
        object,
        multiple: u32::try_from(multiple).unwrap_or(1).clamp(1, 1024),
        unsaid: default_of(task, "width").zip(default_of(task, "height")),
        pixels: (megapixels * 1_048_576.0).clamp(4096.0, 1e8),
    })
}

fn default_of(task: &Task, name: &str) -> Option<u32> {
    let default = task.input_field(name)?.default.as_ref()?;
    u32::try_from(default.as_integer()?).ok()
}

/// Sizes such as `1024x1536`.
fn read_sizes(node: Node<'_>) -> Vec<(u32, u32)> {
    let read = |item: &Node<'_>| {
        let size = parse_size(&item.text()?);
        if size.is_none() {
            item.problem("this is not a size such as 1024x1536", None);
        }
        size
    };
    node.items().iter().filter_map(read).collect()
}

/// A size such as `1024x1536`.
pub(super) fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side =
        |text: &str| text.trim().parse::<u32>().ok().filter(|side| (1..=65_536).contains(side));
    Some((side(width)?, side(height)?))
}
