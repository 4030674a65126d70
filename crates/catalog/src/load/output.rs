//! Reads where the outputs of an offer are found in an answer.

use impasto_domain::{Task, Type};

use crate::output::{FileIn, OutputRule, Outputs};
use crate::pointer::Pointer;
use crate::read::{Key, Node, suggestion};

const FILES: [(&str, FileIn); 5] = [
    ("url", FileIn::Url),
    ("base64", FileIn::Base64),
    ("hex", FileIn::Hex),
    ("body", FileIn::Body),
    ("item", FileIn::Item),
];

/// Reads the table `output`.
pub(super) fn read_outputs(task: &Task, node: Node<'_>) -> Outputs {
    let rules = node.entries().into_iter().filter_map(|(key, node)| read_output(task, key, node));
    Outputs { rules: rules.collect() }
}

fn read_output(task: &Task, key: Key<'_>, node: Node<'_>) -> Option<OutputRule> {
    let Some(field) = task.output_field(key.name) else {
        let known: Vec<&str> = task.output.iter().map(|field| field.name.as_str()).collect();
        let message = format!("the task `{}` has no output `{}`", task.id, key.name);
        node.problem(message, Some(suggestion(key.name, &known)));
        return None;
    };
    let mut rule = OutputRule {
        name: field.name.clone(),
        ty: field.ty.clone(),
        at: Vec::new(),
        file: FileIn::Url,
        ending: None,
        all: false,
        media_type: None,
        times: None,
    };
    if node.as_text() == Some("body") && is_file(&field.ty) {
        rule.file = FileIn::Body;
        return Some(rule);
    }
    if !node.is_table() {
        rule.at = read_pointers(node);
        return Some(rule);
    }
    let mut table = node.table()?;
    rule.at = table.get("at").map(read_pointers).unwrap_or_default();
    let file = table.get("file");
    if let (Some(node), false) = (file, is_file(&field.ty)) {
        node.problem(format!("`{}` is of type {}, not a file", field.name, field.ty), None);
    }
    rule.file = file.and_then(|node| node.one_of("way for a file", &FILES)).unwrap_or_default();
    rule.ending = table.get("ending").and_then(|node| node.words());
    rule.all = table.get("all").and_then(|node| node.boolean()).unwrap_or_default();
    rule.media_type = table.get("media_type").and_then(|node| node.words());
    rule.times = table.get("times").and_then(|node| node.number());
    table.finish("an output of an offer");
    if rule.at.is_empty() && rule.file != FileIn::Body {
        node.problem("where it is must be said: at = \"/video/url\"", None);
    }
    Some(rule)
}

fn is_file(ty: &Type) -> bool {
    match ty {
        Type::List(item) => is_file(item),
        ty => matches!(ty, Type::Media(_)),
    }
}

/// One pointer, or several of which the first that finds something counts.
fn read_pointers(node: Node<'_>) -> Vec<Pointer> {
    let items = if node.as_text().is_some() { vec![node] } else { node.items() };
    items.iter().filter_map(Node::parse::<Pointer>).collect()
}
