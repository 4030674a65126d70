//! How well a schema fits a task, and which task it fits best.
//!
//! A task fits if everything that it needs can be told to the endpoint and what it gives comes out.
//! Among those that fit, the likeliest is chosen by what the catalogue's offers of each look like:
//! the words of their endpoints, the names that go in, the names that come out.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Field, Task, TaskId, Type};

use super::describe::{Described, Given};
use super::known::{Known, is_file, words_of};
use super::line::{self, Line};
use super::outputs;
use super::types::{Kind, Parameter};
use crate::catalog::Catalog;
use crate::mapping::{OPTIONS, PASSTHROUGH};
use crate::size::Size;

/// What stands before the parameters of a container.
const WRAPPED: &str = "/input";
/// How strongly a token that a task was never seen with counts against it.
const SMOOTHING: f64 = 2.0;
/// How much the likelihoods are trusted: names go together, so they are not independent.
const TRUST: f64 = 0.5;

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
    strange: f64,
}

/// Which task it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guess {
    pub(crate) best: Option<(TaskId, f64)>,
    pub(crate) others: Vec<TaskId>,
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
        let wanted = fit.meanings(&left, known);
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

    /// Whether it can be an offer of the task at all.
    fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.outputs.is_whole
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

/// The task that the schema is most likely an offer of.
pub(crate) fn guess<'c>(
    described: &Described,
    endpoint: &str,
    known: &Known<'c>,
    catalog: &'c Catalog,
) -> Guess {
    let tokens = tokens_of(described, endpoint);
    let total: u32 = known.tokens.values().map(|(count, _)| count).sum();
    let mut overall: BTreeMap<&str, u32> = BTreeMap::new();
    for (token, count) in known.tokens.values().flat_map(|(_, tokens)| tokens) {
        *overall.entry(token).or_default() += count;
    }
    let tokens: Vec<&String> =
        tokens.iter().filter(|token| overall.contains_key(token.as_str())).collect();
    let mut scored: Vec<(f64, &TaskId)> = Vec::new();
    for (task, (count, seen)) in &known.tokens {
        let Some(whole) = catalog.tasks.get(*task) else { continue };
        let fit = Fit::of(described, whole, known);
        if !fit.is_whole() {
            continue;
        }
        let likely = tokens.iter().map(|token| {
            let here = f64::from(seen.get(token.as_str()).copied().unwrap_or_default());
            let all = f64::from(overall.get(token.as_str()).copied().unwrap_or_default());
            let usual = all / f64::from(total.max(1));
            ((here + SMOOTHING * usual) / (f64::from(*count) + SMOOTHING)).ln()
        });
        let prior = (f64::from(*count) / f64::from(total.max(1))).ln();
        let said = said_so(described, endpoint, task);
        scored.push((TRUST * (prior + likely.sum::<f64>()) + said - fit.strange, task));
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = scored.first().map(|(score, _)| *score).unwrap_or_default();
    let all: f64 = scored.iter().map(|(score, _)| (score - best).exp()).sum();
    Guess {
        best: scored.first().map(|(_, task)| ((*task).clone(), 1.0 / all.max(1.0))),
        others: scored.iter().skip(1).map(|(_, task)| (*task).clone()).collect(),
    }
}

/// How much it counts that the document or the endpoint names the task.
fn said_so(described: &Described, endpoint: &str, task: &TaskId) -> f64 {
    let category =
        described.category.as_deref().map(|text| text.to_lowercase().replace([' ', '_'], "-"));
    let by_category = if category.as_deref() == Some(task.as_str()) { 2.0 } else { 0.0 };
    let by_name = if endpoint.to_lowercase().contains(task.as_str()) { 3.0 } else { 0.0 };
    by_category + by_name
}

fn tokens_of(described: &Described, endpoint: &str) -> BTreeSet<String> {
    let inputs = described.inputs.iter().map(|parameter| format!("in:{}", parameter.name));
    let outputs = described.outputs.iter().map(Given::name).filter(|name| !name.is_empty());
    let outputs = outputs.map(|name| format!("out:{name}"));
    let category = described.category.as_deref().unwrap_or_default();
    words_of(endpoint)
        .chain(words_of(&format!("/{category}")))
        .chain(inputs)
        .chain(outputs)
        .collect()
}
