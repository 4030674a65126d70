//! Which task an endpoint does.
//!
//! What it takes and gives says which tasks it can do at all. Among those the likeliest is told by what
//! the document says of it, in the provider's own words for such work; by the words of its name, title
//! and description; and by what the catalogue's offers of each task look like. The words are in the
//! files of the tasks, and the provider's categories in its own.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{MediaKind, Task, TaskId};

use super::describe::{Described, Given};
use super::fit::Fit;
use super::known::{Known, words_of};
use super::text::slug;
use super::types::{Kind, Parameter};
use crate::catalog::Catalog;
use crate::provider::Provider;

/// How strongly a token that a task was never seen with counts against it.
const SMOOTHING: f64 = 2.0;
/// How usual a token is taken to be in a task that was never seen with it, of how usual it is elsewhere.
const UNSEEN: f64 = 0.5;
/// How much the likelihoods are trusted: names go together, so they are not independent.
const TRUST: f64 = 0.5;
/// How many names are enough: many more are the many settings of one maker, and say no more.
const ENOUGH: f64 = 5.0;
/// What it counts that the provider sorts an endpoint under something that is this task before others.
const SORTED: f64 = 4.0;
/// How much less each further task of such a category counts.
const LATER: f64 = 0.3;
/// What a word for the task counts in the name of the endpoint, in its title, in its description.
const SAID: [f64; 3] = [3.0, 2.0, 0.7];
/// The same, if it is a whole part of the name: `acme/lumen/upscale`.
const NAMED: f64 = 8.0;
/// What it counts that the task needs something that nothing serves.
const LACKING: f64 = 6.0;

/// Which task it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guess {
    /// The likeliest, how sure that is from 0 to 1, and why.
    pub(crate) best: Option<(TaskId, f64, Vec<String>)>,
    /// The others, the likeliest first.
    pub(crate) others: Vec<TaskId>,
}

/// What speaks for a task or against it.
#[derive(Default)]
struct Clues {
    score: f64,
    why: Vec<String>,
}

/// An endpoint, and where it is.
pub(crate) struct Endpoint<'d> {
    pub(crate) described: &'d Described,
    pub(crate) name: &'d str,
    pub(crate) provider: &'d Provider,
}

/// The task that the schema is most likely an offer of.
pub(crate) fn guess<'c>(endpoint: &Endpoint<'_>, known: &Known<'c>, catalog: &'c Catalog) -> Guess {
    let likely = Likely::of(endpoint, known);
    let mut scored: Vec<(bool, f64, &Task, Clues)> = Vec::new();
    for task in catalog.tasks.values() {
        if task.words.is_empty() && !known.tokens.contains_key(&task.id) {
            continue;
        }
        let fit = Fit::of(endpoint.described, task, known);
        if !fit.outputs.is_whole {
            continue;
        }
        let clues = clues(endpoint, task);
        let lacking = fit.missing.len() as f64 * LACKING;
        let score = likely.of_task(task, known) + clues.score - fit.strange - lacking;
        scored.push((fit.missing.is_empty(), score, task, clues));
    }
    // What lacks something is only looked at where everything does.
    if scored.iter().any(|(is_whole, ..)| *is_whole) {
        scored.retain(|(is_whole, ..)| *is_whole);
    }
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let top = scored.first().map(|(_, score, ..)| *score).unwrap_or_default();
    let all: f64 = scored.iter().map(|(_, score, ..)| (score - top).exp()).sum();
    let others = scored.iter().skip(1).map(|(_, _, task, _)| task.id.clone()).collect();
    let best = scored.into_iter().next().map(|(_, _, task, clues)| {
        let mut why = clues.why;
        why.push(shape(endpoint.described));
        (task.id.clone(), 1.0 / all.max(1.0), why)
    });
    Guess { best, others }
}

/// How likely a task is by the names that offers of it have.
struct Likely<'c> {
    tokens: BTreeSet<String>,
    overall: BTreeMap<&'c str, u32>,
    total: u32,
}

impl<'c> Likely<'c> {
    fn of(endpoint: &Endpoint<'_>, known: &'c Known<'_>) -> Self {
        let mut overall: BTreeMap<&str, u32> = BTreeMap::new();
        for (token, count) in known.tokens.values().flat_map(|(_, tokens)| tokens) {
            *overall.entry(token).or_default() += count;
        }
        let mut tokens = tokens_of(endpoint.described, endpoint.name);
        tokens.retain(|token| overall.contains_key(token.as_str()));
        let total = known.tokens.values().map(|(count, _)| count).sum();
        Self { tokens, overall, total }
    }

    fn of_task(&self, task: &Task, known: &Known<'_>) -> f64 {
        let none = (0, BTreeMap::new());
        let (count, seen) = known.tokens.get(&task.id).unwrap_or(&none);
        let total = f64::from(self.total.max(1));
        let likely = self.tokens.iter().map(|token| {
            let here = f64::from(seen.get(token).copied().unwrap_or_default());
            let all = f64::from(self.overall.get(token.as_str()).copied().unwrap_or_default());
            let usual = UNSEEN * all / total;
            ((here + SMOOTHING * usual) / (f64::from(*count) + SMOOTHING)).ln()
        });
        let prior = ((f64::from(*count) + 1.0) / total).ln();
        let trust = TRUST * (ENOUGH / self.tokens.len().max(1) as f64).min(1.0);
        prior + trust * likely.sum::<f64>()
    }
}

/// What the document and the endpoint's name say of a task.
fn clues(endpoint: &Endpoint<'_>, task: &Task) -> Clues {
    let mut clues = Clues::default();
    if let Some(category) = &endpoint.described.category {
        let category = slug(category);
        let place = endpoint
            .provider
            .categories
            .get(&category)
            .map(|tasks| tasks.iter().position(|one| *one == task.id));
        clues.score += match place {
            Some(Some(place)) => SORTED - LATER * place as f64,
            Some(None) => -SORTED,
            None if category == task.id.as_str() => SORTED,
            None => 0.0,
        };
        if clues.score > 0.0 {
            clues.why.push(format!("{} sorts it under `{category}`", endpoint.provider.title));
        }
    }
    let texts = [
        ("name", Some(own_words(endpoint.name))),
        ("title", endpoint.described.title.as_deref().map(slug)),
        ("description", endpoint.described.about.as_deref().map(slug)),
    ];
    for ((place, text), counts) in texts.into_iter().zip(SAID) {
        let text = format!("-{}-", text.unwrap_or_default());
        let own = [task.id.as_str()].into_iter().chain(task.words.iter().map(String::as_str));
        let said = own.filter(|word| text.contains(&format!("-{word}-")));
        if let Some(word) = said.max_by_key(|word| word.len()) {
            let is_part = text.split('+').any(|part| part.trim_matches('-') == word);
            clues.score += if is_part && place == "name" { NAMED } else { counts };
            clues.why.push(format!("its {place} says `{word}`"));
        }
    }
    clues
}

/// The words of an endpoint's name, without its owner, its parts with a `+` between.
fn own_words(endpoint: &str) -> String {
    let own = endpoint.split_once('/').map_or(endpoint, |(_, rest)| rest);
    own.split('/').map(|part| slug(part).replace('.', "-")).collect::<Vec<_>>().join("-+-")
}

/// What goes in and what comes out, in words.
pub(crate) fn shape(described: &Described) -> String {
    let kind = |file: Option<MediaKind>| file.unwrap_or(MediaKind::Other).to_string();
    let files = described.inputs.iter().filter_map(|parameter| parameter.file.map(kind));
    let mut takes: BTreeSet<String> = files.collect();
    if described.inputs.iter().any(is_text) {
        takes.insert("text".to_owned());
    }
    let files = described.outputs.iter().filter_map(|given| given.file.map(kind));
    let gives: BTreeSet<String> = files.collect();
    let words = |kinds: BTreeSet<String>| match kinds.is_empty() {
        true => "no file".to_owned(),
        false => kinds.into_iter().collect::<Vec<_>>().join(" and "),
    };
    let gives = match described.tells_outputs {
        true => words(gives),
        false => "what it does not say".to_owned(),
    };
    format!("it takes {} and gives {gives}", words(takes))
}

/// Whether it is a text that may be anything.
fn is_text(parameter: &Parameter) -> bool {
    parameter.kind == Kind::Text && parameter.words.is_empty() && parameter.file.is_none()
}

fn tokens_of(described: &Described, endpoint: &str) -> BTreeSet<String> {
    let inputs = described.inputs.iter().map(|parameter| format!("in:{}", parameter.name));
    let outputs = described.outputs.iter().map(Given::name).filter(|name| !name.is_empty());
    let outputs = outputs.map(|name| format!("out:{name}"));
    words_of(endpoint).chain(inputs).chain(outputs).collect()
}
