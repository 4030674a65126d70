//! Which output of a task is found where in an answer.

use impasto_domain::{Field, MediaKind, Task, Type};

use super::describe::{Described, Given};
use super::known::{Known, is_file};
use super::line::{key, quoted, toml};
use super::types::Kind;

/// Outputs that are found under such names are a look at another one.
const LOOKS: [&str; 6] = ["thumbnail", "preview", "cover", "spritesheet", "debug", "log"];
/// What stands before the output of a container.
const WRAPPED: &str = "/output";

/// Where the outputs of a task are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Lines of the table `output`.
    pub(crate) lines: Vec<String>,
    /// Whether what matters is among them.
    pub(crate) is_whole: bool,
    /// What a person must look at.
    pub(crate) warnings: Vec<String>,
}

/// Finds the outputs of `task`.
pub(crate) fn find(described: &Described, task: &Task, known: &Known<'_>) -> Found {
    if !described.tells_outputs || described.outputs.is_empty() {
        return usual(task, known, described.is_wrapped);
    }
    let mut found = Found::default();
    let mut has_main = false;
    let has_files = task.output.iter().any(|field| is_file(&field.ty));
    let mut taken: Vec<&Given> = Vec::new();
    for field in &task.output {
        let best = best(field, described, task, known);
        let Some(given) = best.filter(|given| !taken.contains(given)) else { continue };
        taken.push(given);
        has_main |= !has_files || is_file(&field.ty);
        found.lines.push(line(field, given, described.is_wrapped));
    }
    found.is_whole = has_main;
    found
}

/// What usually comes out of such a task at this provider, where the schema does not say.
fn usual(task: &Task, known: &Known<'_>, is_wrapped: bool) -> Found {
    let mut found = Found { is_whole: true, ..Found::default() };
    for field in &task.output {
        let places =
            known.places.iter().find(|((of, name), _)| **of == task.id && *name == field.name);
        let place = places.and_then(|(_, places)| places.iter().max_by_key(|(_, count)| **count));
        let place = match (place, is_file(&field.ty), is_wrapped) {
            (Some((place, _)), ..) => place.clone(),
            (None, true, true) => WRAPPED.to_owned(),
            (None, true, false) => format!("/{}", field.name),
            (None, false, _) => continue,
        };
        found.lines.push(format!("{} = {}", key(&field.name), quoted(&place)));
    }
    let said = found.lines.join(", ");
    found
        .warnings
        .push(format!("the schema does not say what comes out; taken to be as usual here: {said}"));
    found
}

fn line(field: &Field, given: &Given, is_wrapped: bool) -> String {
    let prefix = if is_wrapped { WRAPPED } else { "" };
    let mut places = vec![given.pointer(prefix)];
    // A container with one file answers with it alone or in a list, whatever it says.
    if is_wrapped && given.path == ["*"] {
        places.push(prefix.to_owned());
    }
    let places = match places.as_slice() {
        [one] => quoted(one),
        many => toml(&many.into()),
    };
    format!("{} = {places}", key(&field.name))
}

/// What is most likely the output; nothing if nothing can be it.
fn best<'d>(
    field: &Field,
    described: &'d Described,
    task: &Task,
    known: &Known<'_>,
) -> Option<&'d Given> {
    let only = described.outputs.len() == 1;
    let mut scored: Vec<(i64, &Given)> = Vec::new();
    for given in &described.outputs {
        if !can_be(field, given) {
            continue;
        }
        let name = given.name();
        let votes = known.outputs(name, task);
        let voted = votes.iter().position(|(output, _)| *output == field.name);
        let mut score = match voted {
            Some(place) => 20 - place as i64,
            None if is_file(&field.ty) || only => 0,
            None => continue,
        };
        if votes.first().is_some_and(|(output, _)| *output != field.name) && !only {
            score -= 8;
        }
        let lower = given.path.join("/").to_lowercase();
        if LOOKS.iter().any(|look| lower.contains(look)) {
            score -= 30;
        }
        if given.file.flatten() == media(&field.ty) && given.file.flatten().is_some() {
            score += 6;
        }
        if given.is_many() == matches!(field.ty, Type::List(_)) {
            score += 2;
        }
        scored.push((score - given.path.len() as i64, given));
    }
    // Of two equally likely, the first.
    let top = scored.iter().map(|(score, _)| *score).max()?;
    scored.into_iter().find(|(score, _)| *score == top).map(|(_, given)| given)
}

fn media(ty: &Type) -> Option<MediaKind> {
    match ty {
        Type::Media(kind) => Some(*kind),
        Type::List(item) => media(item),
        _ => None,
    }
}

fn can_be(field: &Field, given: &Given) -> bool {
    if let Some(wanted) = media(&field.ty) {
        let Some(kind) = given.file else { return false };
        return kind.is_none_or(|kind| {
            kind == wanted
                || kind == MediaKind::Other
                || matches!(wanted, MediaKind::Other | MediaKind::World)
        });
    }
    match &field.ty {
        Type::Text | Type::Prompt => given.kind == Kind::Text && given.file.is_none(),
        Type::Integer => given.kind == Kind::Integer,
        Type::Number => matches!(given.kind, Kind::Integer | Kind::Number),
        Type::Boolean => given.kind == Kind::Boolean,
        Type::List(_) => matches!(given.kind, Kind::List(_)),
        _ => given.file.is_none(),
    }
}
