//! Reads a task and its fields.

use impasto_domain::{Field, Task, TaskId, Type, Value};

use crate::read::{Key, Node, Table};

/// Reads a task. What cannot be read is reported and left out.
pub(super) fn read_task(mut table: Table<'_>, id: &str) -> Task {
    let title = table.need("title").and_then(|node| node.words()).unwrap_or_default();
    let description = table.need("description").and_then(|node| node.words()).unwrap_or_default();
    let mut flag =
        |name: &'static str| table.get(name).and_then(|node| node.boolean()).unwrap_or_default();
    let (lazy_video, foreign_files) = (flag("lazy_video"), flag("foreign_files"));
    let words = table.get("words").map(|node| node.texts()).unwrap_or_default();
    let input = table.get("input").map(|node| node.entries()).unwrap_or_default();
    let output = table.need("output").map(|node| node.entries()).unwrap_or_default();
    table.finish("a task");
    Task {
        id: TaskId::new(id),
        title,
        description,
        words,
        input: input.into_iter().filter_map(|(key, node)| read_input(key, node)).collect(),
        output: output.into_iter().filter_map(|(key, node)| read_output(key, node)).collect(),
        lazy_video,
        foreign_files,
    }
}

fn read_output(key: Key<'_>, node: Node<'_>) -> Option<Field> {
    let mut table = node.table()?;
    let ty = table.need("type").and_then(|node| node.parse());
    let description = table.get("description").and_then(|node| node.text()).unwrap_or_default();
    table.finish("an output");
    Some(bare_field(key.name, ty?, description))
}

pub(super) fn bare_field(name: &str, ty: Type, description: String) -> Field {
    Field {
        name: name.to_owned(),
        ty,
        description,
        required: false,
        default: None,
        min: None,
        max: None,
        max_chars: None,
        values: Vec::new(),
        unit: None,
    }
}

fn read_input(key: Key<'_>, node: Node<'_>) -> Option<Field> {
    let mut table = node.table()?;
    let ty: Option<Type> = table.need("type").and_then(|node| node.parse());
    let description = table.get("description").and_then(|node| node.text()).unwrap_or_default();
    let required = table.get("required").and_then(|node| node.boolean()).unwrap_or_default();
    let default = table.get("default");
    let (min, max) = (table.get("min"), table.get("max"));
    let max_chars = table.get("max_chars");
    let values = table.get("values");
    let unit = table.get("unit").and_then(|node| node.text());
    table.finish("an input");
    let mut field = bare_field(key.name, ty?, description);
    check_sizes(&field.ty, min, max);
    check_texts(&field.ty, max_chars, values);
    field.required = required;
    field.min = min.and_then(|node| node.number());
    field.max = max.and_then(|node| node.number());
    field.max_chars = max_chars.and_then(|node| node.length());
    field.values = values.map(|node| node.texts()).unwrap_or_default();
    field.unit = unit;
    if let (Some(least), Some(most), Some(node)) = (field.min, field.max, max)
        && least > most
    {
        node.problem(format!("the most, {most}, is less than the least, {least}"), None);
    }
    field.default = default.and_then(|node| read_default(&field, node));
    Some(field)
}

/// A least and a most are for numbers and for the length of lists.
pub(super) fn check_sizes(ty: &Type, min: Option<Node<'_>>, max: Option<Node<'_>>) {
    if matches!(ty, Type::Integer | Type::Number | Type::List(_)) {
        return;
    }
    for node in [min, max].into_iter().flatten() {
        node.problem(format!("an input of type {ty} has no least and no most"), None);
    }
}

/// Allowed texts and a length are for texts.
pub(super) fn check_texts(ty: &Type, max_chars: Option<Node<'_>>, values: Option<Node<'_>>) {
    if matches!(ty, Type::Text | Type::Prompt) {
        return;
    }
    for node in [max_chars, values].into_iter().flatten() {
        node.problem(format!("only a text has this, not an input of type {ty}"), None);
    }
}

/// The default, if the field itself would admit it.
fn read_default(field: &Field, node: Node<'_>) -> Option<Value> {
    let default = node.data()?;
    if field.required {
        let hint = "an input is either required or has a default";
        node.problem(
            format!("`{}` is required, so its default is never used", field.name),
            Some(hint.into()),
        );
    }
    if let Some(problem) = field.problem(&default) {
        node.problem(format!("the default will not do: {problem}"), None);
        return None;
    }
    Some(default)
}
