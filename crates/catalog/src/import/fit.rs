//! How well a schema fits a task.
//!
//! A task fits if everything that it needs can be told to the endpoint and what it gives comes out.
//! What goes in is known by its name; what the task cannot do without also by being the only thing of
//! its kind.

use std::collections::BTreeMap;

use impasto_domain::{Field, Task, Type};

use super::describe::Described;
use super::known::{Known, is_file};
use super::line::{self, Line};
use super::outputs;
use super::types::{Kind, Parameter};
use crate::mapping::{OPTIONS, PASSTHROUGH};
use crate::size::Size;

/// What stands before the parameters of a container.
const WRAPPED: &str = "/input";
/// How strange it is that a thing is known by its kind alone,
const UNNAMED: f64 = 2.0;
/// and by its kind and a part of its name.
const HALF_NAMED: f64 = 0.5;

/// Which of the parameters that are of a field's kind are it.
type Choose<'p> = fn(&Field, Vec<&'p Parameter>) -> Vec<&'p Parameter>;

/// A schema as an offer of a task.
pub(crate) struct Fit<'c> {
    pub(crate) task: &'c Task,
    pub(crate) lines: Vec<Line>,
    /// The table `size`, if there is one.
    pub(crate) size: Option<String>,
    pub(crate) outputs: outputs::Found,
    pub(crate) mapped: Vec<(String, String)>,
    pub(crate) kept: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Inputs that the task needs and nothing serves.
    pub(crate) missing: Vec<String>,
    /// How much about its files is not as the task has it: what it does not know of, what one of the
    /// two needs and the other does not.
    pub(crate) strange: f64,
}

impl<'c> Fit<'c> {
    /// The schema as an offer of `task`.
    pub(crate) fn of(described: &Described, task: &'c Task, known: &Known<'c>) -> Self {
        let prefix = match (&known.prefix, described.is_wrapped) {
            (Some(prefix), _) => prefix.clone(),
            (None, true) => WRAPPED.to_owned(),
            (None, false) => String::new(),
        };
        let mut fit = Self {
            task,
            lines: Vec::new(),
            size: None,
            outputs: outputs::find(described, task, known),
            mapped: Vec::new(),
            kept: Vec::new(),
            warnings: Vec::new(),
            missing: Vec::new(),
            strange: 0.0,
        };
        let mut left: Vec<&Parameter> = described.inputs.iter().collect();
        fit.take_size(&mut left, &prefix);
        let mut wanted = fit.meanings(&left, known);
        fit.take_by_kind(&left, &mut wanted, known);
        for parameter in left {
            fit.take(parameter, wanted.get(parameter.name.as_str()).copied(), known, &prefix);
        }
        let served = |name: &str| fit.lines.iter().any(|line| line.key == name);
        let sized = |name: &str| fit.size.is_some() && Size::INPUTS.contains(&name);
        let needed = task.input.iter().filter(|field| field.required);
        let missing = needed.filter(|field| !served(&field.name) && !sized(&field.name));
        fit.missing = missing.map(|field| field.name.clone()).collect();
        fit
    }

    /// Makes the parameters that tell a size into one.
    fn take_size(&mut self, left: &mut Vec<&Parameter>, prefix: &str) {
        let has = |name: &str| self.task.input_field(name).is_some();
        let is_sized = has("aspect_ratio") || (has("width") && has("height"));
        let ratio = left.iter().any(|parameter| parameter.name == "aspect_ratio");
        if !is_sized || (ratio && has("aspect_ratio")) {
            return;
        }
        let found = left.iter().position(|parameter| size_of(parameter, prefix).is_some());
        if let Some(place) = found {
            let parameter = left.remove(place);
            self.size = size_of(parameter, prefix);
            self.mapped.push((parameter.name.clone(), "aspect_ratio, width, height".to_owned()));
            return;
        }
        let side = |name: &str| {
            left.iter().find(|parameter| parameter.name == name && parameter.kind == Kind::Integer)
        };
        if !has("width")
            && let (Some(_), Some(_)) = (side("width"), side("height"))
            && let (Some(width), Some(height)) =
                (line::place("width", prefix), line::place("height", prefix))
        {
            let (width, height) = (line::quoted(&width), line::quoted(&height));
            self.size = Some(format!("{{ width = {width}, height = {height} }}"));
            left.retain(|parameter| !matches!(parameter.name.as_str(), "width" | "height"));
            self.mapped.push(("width, height".to_owned(), "aspect_ratio".to_owned()));
        }
    }

    /// Which input of the task each parameter is, each input being one parameter, or several that
    /// take one file each.
    fn meanings<'p>(
        &self,
        left: &[&'p Parameter],
        known: &Known<'c>,
    ) -> BTreeMap<&'p str, &'c Field> {
        let mut wanted: BTreeMap<&'c str, Vec<(u32, &'p Parameter)>> = BTreeMap::new();
        for parameter in left {
            if let Some((canonical, votes)) = known.input(&parameter.name, self.task) {
                let to = line::place(&parameter.name, "").unwrap_or_default();
                if matches!(canonical, OPTIONS | PASSTHROUGH) {
                    continue;
                }
                let field = self.task.input_field(canonical);
                let can =
                    field.and_then(|field| line::mapped(field, parameter, known, to)).is_some();
                if can {
                    let votes = votes.saturating_add(u32::from(parameter.required));
                    wanted.entry(canonical).or_default().push((votes, parameter));
                }
            }
        }
        let mut meanings = BTreeMap::new();
        for (canonical, mut parameters) in wanted {
            let Some(field) = self.task.input_field(canonical) else { continue };
            let many = matches!(&field.ty, Type::List(_)) && is_file(&field.ty);
            let all_single = parameters.iter().all(|(_, one)| one.kind == Kind::Text);
            let count =
                if many && all_single && parameters.len() > 1 { parameters.len() } else { 1 };
            if count == 1 {
                parameters.sort_by_key(|(votes, _)| std::cmp::Reverse(*votes));
            }
            for (_, parameter) in parameters.iter().take(count) {
                meanings.insert(parameter.name.as_str(), field);
            }
        }
        meanings
    }

    /// What the task or the endpoint cannot do without and no name stands for is known by a part of its
    /// name, or by being the only thing of its kind.
    fn take_by_kind<'p>(
        &mut self,
        left: &[&'p Parameter],
        wanted: &mut BTreeMap<&'p str, &'c Field>,
        known: &Known<'c>,
    ) {
        for (choose, strange) in [(named as Choose<'p>, HALF_NAMED), (alone, UNNAMED)] {
            for field in &self.task.input {
                let is_text = field.ty == Type::Prompt;
                let is_served = wanted.values().any(|served| served.name == field.name);
                if is_served || !(field.required || is_text) {
                    continue;
                }
                let free = left.iter().filter(|one| !wanted.contains_key(one.name.as_str()));
                let free = free.filter(|one| field.required || one.required);
                let alike = free.filter(|one| is_alike(field, one, known)).copied().collect();
                for parameter in choose(field, alike) {
                    wanted.insert(parameter.name.as_str(), field);
                    self.strange += strange;
                    self.warnings.push(format!(
                        "`{}` is taken to be the `{}` of the task, because of what it is",
                        parameter.name, field.name
                    ));
                }
            }
        }
    }

    fn take(
        &mut self,
        parameter: &Parameter,
        meaning: Option<&'c Field>,
        known: &Known<'c>,
        prefix: &str,
    ) {
        let name = &parameter.name;
        let Some(to) = line::place(name, prefix) else {
            self.warnings.push(format!("no parameter can be called `{name}`; it is left out"));
            return;
        };
        if let Some(field) = meaning {
            if let Some(line) = self.lines.iter_mut().find(|line| line.key == field.name) {
                // One file each: the list goes to one after the other, to a needed one first.
                let place = if parameter.required { 0 } else { line.to.len() };
                line.to.insert(place, to);
                let most = line.to.len().to_string();
                line.pairs.retain(|(key, _)| !matches!(*key, "first" | "max"));
                line.pairs.push(("max", most));
                self.mapped.push((name.clone(), field.name.clone()));
                return;
            }
            if let Some((line, lost)) = line::mapped(field, parameter, known, to.clone()) {
                if !lost.is_empty() {
                    self.warnings.push(format!(
                        "of `{name}`, {} has no word in the task; `passthrough` still takes it",
                        lost.join(", ")
                    ));
                }
                if is_file(&field.ty) && field.required != parameter.required {
                    self.strange += if parameter.required { 2.0 } else { 0.7 };
                }
                self.mapped.push((name.clone(), field.name.clone()));
                self.lines.push(line);
                return;
            }
        }
        if parameter.file.is_some() {
            self.strange += if parameter.required { 6.0 } else { 1.0 };
        }
        let taken = self.task.input_field(name).is_some()
            || matches!(name.as_str(), OPTIONS | PASSTHROUGH)
            || self.lines.iter().any(|line| line.key == *name);
        let key = if taken { format!("native_{name}") } else { name.clone() };
        if taken {
            self.warnings
                .push(format!("`{name}` is not what the task means by it; it is kept as `{key}`"));
        }
        self.kept.push(key.clone());
        self.lines.push(line::own(parameter, key, to));
    }
}

/// The one parameter that has the name of a field within its own.
fn named<'p>(field: &Field, alike: Vec<&'p Parameter>) -> Vec<&'p Parameter> {
    let has = |one: &&Parameter| one.name.to_lowercase().contains(field.name.as_str());
    let named: Vec<&Parameter> = alike.into_iter().filter(has).collect();
    if named.len() == 1 { named } else { Vec::new() }
}

/// The only parameter, needed ones before others; of a list of files, all that take one each.
fn alone<'p>(field: &Field, alike: Vec<&'p Parameter>) -> Vec<&'p Parameter> {
    let needed: Vec<&Parameter> = alike.iter().copied().filter(|one| one.required).collect();
    let those = if needed.is_empty() { alike } else { needed };
    let takes_many = is_file(&field.ty) && matches!(field.ty, Type::List(_));
    let is_single = |one: &&Parameter| one.kind == Kind::Text;
    if those.len() == 1 || takes_many && those.iter().all(is_single) { those } else { Vec::new() }
}

/// Whether a parameter is of the kind of a field: a file of its kind, or a text that may be anything.
fn is_alike(field: &Field, parameter: &Parameter, known: &Known<'_>) -> bool {
    let is_kind = match &field.ty {
        ty if is_file(ty) => parameter.file.is_some(),
        Type::Text | Type::Prompt => parameter.kind == Kind::Text && parameter.words.is_empty(),
        _ => false,
    };
    is_kind && line::mapped(field, parameter, known, String::new()).is_some()
}

/// The table `size` for a parameter that tells one; nothing if it tells none.
fn size_of(parameter: &Parameter, prefix: &str) -> Option<String> {
    let to = line::place(&parameter.name, prefix)?;
    let (mut names, mut sizes) = (BTreeMap::new(), Vec::new());
    let mut separator = None;
    for word in parameter.words.iter().filter_map(|word| word.as_str()) {
        if let Some((size, between)) = size_in(word) {
            sizes.push(size);
            separator = Some(between);
        } else if let Some(shape) = shape_in(word) {
            let finer = word.ends_with("_hd");
            let entry = names.entry(shape).or_insert_with(|| word.to_owned());
            if finer {
                word.clone_into(entry);
            }
        }
    }
    let free = || parameter.default.as_ref().and_then(|default| size_in(default.as_str()?));
    let is_called_so = parameter.name.to_lowercase().contains("size");
    let mut pairs = vec![format!("to = {}", line::quoted(&to))];
    if !names.is_empty() {
        let names: serde_json::Map<_, _> =
            names.into_iter().map(|(shape, word)| (shape, word.into())).collect();
        pairs.push(format!("names = {}", line::toml(&names.into())));
    }
    match (&parameter.kind, sizes.is_empty(), pairs.len() > 1) {
        (Kind::Size, ..) => pairs.push("object = true".to_owned()),
        (Kind::Text, false, _) => {
            pairs.push(format!("sizes = {}", line::toml(&sizes.into())));
            if let Some(separator) = separator.filter(|separator| *separator != 'x') {
                pairs.push(format!("separator = \"{separator}\""));
            }
        }
        (Kind::Text, true, true) if is_called_so => {}
        (Kind::Text, true, false) if is_called_so && parameter.words.is_empty() => {
            pairs.push(format!("separator = \"{}\"", free()?.1));
        }
        _ => return None,
    }
    Some(format!("{{ {} }}", pairs.join(", ")))
}

/// A size such as `1024x1536` or `1024*1536`, and what is between the two.
fn size_in(word: &str) -> Option<(String, char)> {
    let between = ['x', '*', '×'].into_iter().find(|c| word.contains(*c))?;
    let (width, height) = word.split_once(between)?;
    let side =
        |text: &str| text.trim().parse::<u32>().ok().filter(|side| (16..=16_384).contains(side));
    let (width, height) = (side(width)?, side(height)?);
    Some((format!("{width}x{height}"), between))
}

/// The ratio that a word stands for: `16:9`, `square_hd`, `portrait_4_3`, `landscape_16_9`.
fn shape_in(word: &str) -> Option<String> {
    if crate::size::ratio(word).is_some() {
        return Some(word.to_owned());
    }
    let mut parts = word.split('_');
    let turned = match parts.next()? {
        "square" => return Some("1:1".to_owned()),
        "portrait" => true,
        "landscape" => false,
        _ => return None,
    };
    let (a, b): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (long, short) = (a.max(b), a.min(b));
    Some(if turned { format!("{short}:{long}") } else { format!("{long}:{short}") })
}
