//! What the catalogue knows of the names that endpoints use.
//!
//! Every offer of a hosted provider says which of its parameters is which input of which task. All of
//! them together are a dictionary: for a name it tells what it usually stands for, at this provider
//! before others, in this task before others. They also tell which words stand for which, and by
//! which names a task is recognised.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Task, TaskId, Type, Value};

use crate::catalog::Catalog;
use crate::mapping::{Place, Verb};
use crate::model::Offer;
use crate::provider::Provider;

/// How much more an offer of the same provider counts than one of another.
const NEAR: u32 = 8;
/// A prefix is a provider's if this share of its places has it.
const PREFIX_SHARE: f64 = 0.9;

/// How often a name was seen for an input of a task; nothing stands for a parameter of the offer's own.
type Votes<'c> = BTreeMap<(&'c TaskId, Option<&'c str>), u32>;

/// What the catalogue knows of the names that endpoints use.
#[derive(Debug, Default)]
pub(crate) struct Known<'c> {
    inputs: BTreeMap<String, Votes<'c>>,
    outputs: BTreeMap<String, Votes<'c>>,
    /// For an input, the word of the task for a word of an endpoint, in small letters.
    words: BTreeMap<(&'c str, String), BTreeMap<&'c str, u32>>,
    /// Where outputs of a task usually are at this provider.
    pub(crate) places: BTreeMap<(&'c TaskId, &'c str), BTreeMap<String, u32>>,
    /// How many offers have a token, by task.
    pub(crate) tokens: BTreeMap<&'c TaskId, (u32, BTreeMap<String, u32>)>,
    /// What stands before every parameter at this provider, such as `/input`.
    pub(crate) prefix: Option<String>,
}

impl<'c> Known<'c> {
    /// What the catalogue knows, seen from a provider.
    pub(crate) fn of(catalog: &'c Catalog, provider: &Provider) -> Self {
        let mut known = Self::default();
        let mut prefixes: BTreeMap<String, u32> = BTreeMap::new();
        for offer in catalog.offers.values().filter(|offer| offer.map.closed) {
            let is_near = offer.provider == provider.id
                || catalog.providers.get(&offer.provider).is_some_and(|other| {
                    other.dialect == provider.dialect && other.wires.is_empty()
                });
            known.learn(offer, if is_near { NEAR } else { 1 });
            if is_near {
                let places =
                    offer.map.rules.iter().flat_map(|(name, rule)| places_of(name, &rule.to));
                for (prefix, _) in places {
                    *prefixes.entry(prefix).or_default() += 1;
                }
            }
        }
        let all: u32 = prefixes.values().sum();
        let usual = prefixes.into_iter().max_by_key(|(_, count)| *count);
        let usual = usual.filter(|(_, count)| f64::from(*count) >= PREFIX_SHARE * f64::from(all));
        known.prefix = usual.map(|(prefix, _)| prefix);
        known
    }

    fn learn(&mut self, offer: &'c Offer, weight: u32) {
        let task = &offer.task;
        for (name, rule) in &offer.map.rules {
            let is_own = offer.own.iter().any(|field| field.name == *name);
            let canonical = (!is_own).then_some(name.as_str());
            for (_, wire) in places_of(name, &rule.to) {
                *self.inputs.entry(wire).or_default().entry((task, canonical)).or_default() +=
                    weight;
            }
            if is_own {
                continue;
            }
            for verb in &rule.verbs {
                let Verb::Enum(words) = verb else { continue };
                for (ours, theirs) in words {
                    let Value::Text(theirs) = theirs else { continue };
                    let votes = self.words.entry((name, theirs.to_lowercase())).or_default();
                    *votes.entry(ours).or_default() += weight;
                }
            }
        }
        for rule in offer.outputs.iter().flat_map(|outputs| &outputs.rules) {
            for place in &rule.at {
                let text = place.to_string();
                if let Some(name) = named(&text) {
                    let votes = self.outputs.entry(name).or_default();
                    *votes.entry((task, Some(&rule.name))).or_default() += weight;
                }
                if weight == NEAR {
                    let usual = self.places.entry((task, &rule.name)).or_default();
                    *usual.entry(text).or_default() += 1;
                }
            }
        }
        let (count, tokens) = self.tokens.entry(task).or_default();
        *count += 1;
        for token in tokens_of(offer) {
            *tokens.entry(token).or_default() += 1;
        }
    }

    /// The input of `task` that a parameter of this name may stand for, with how often it was seen so;
    /// never, where offers mostly keep such a one as their own.
    pub(crate) fn input(&self, name: &str, task: &'c Task) -> Option<(&'c str, u32)> {
        let votes = self.inputs.get(name);
        let same = votes.into_iter().flatten().filter(|((of, _), _)| **of == task.id);
        let (kept, meant): (Vec<_>, Vec<_>) =
            same.partition(|((_, canonical), _)| canonical.is_none());
        let kept: u32 = kept.into_iter().map(|(_, count)| count).sum();
        let meant = meant.into_iter().filter_map(|((_, input), count)| Some(((*input)?, *count)));
        if let Some((input, count)) = meant.max_by_key(|(_, count)| *count) {
            return Some((input, if kept > count { 0 } else { count.saturating_mul(2) }));
        }
        if kept > 0 {
            return None;
        }
        if let Some(field) = task.input_field(name) {
            return Some((&field.name, u32::MAX / 4));
        }
        let mut elsewhere: BTreeMap<&'c str, u32> = BTreeMap::new();
        for ((_, canonical), count) in votes.into_iter().flatten() {
            let canonical = canonical.and_then(|canonical| task.input_field(canonical));
            if let Some(field) = canonical {
                *elsewhere.entry(&field.name).or_default() += count;
            }
        }
        if let Some((canonical, count)) = elsewhere.into_iter().max_by_key(|(_, count)| *count) {
            return Some((canonical, count));
        }
        let field = stems(name).into_iter().find_map(|stem| task.input_field(&stem));
        field.map(|field| (field.name.as_str(), 1))
    }

    /// The outputs of `task` that something of this name may be, the likeliest first.
    pub(crate) fn outputs(&self, name: &str, task: &'c Task) -> Vec<(&'c str, u32)> {
        let votes = self.outputs.get(name).into_iter().flatten();
        let mut counted: BTreeMap<&'c str, u32> = BTreeMap::new();
        for ((of, output), count) in votes {
            let field = output.and_then(|output| task.output_field(output));
            if let Some(field) = field {
                let weight = if **of == task.id { 4 } else { 1 };
                *counted.entry(&field.name).or_default() += count * weight;
            }
        }
        let exact = [name.to_owned()].into_iter().chain(stems(name));
        for field in exact.filter_map(|stem| task.output_field(&stem)) {
            *counted.entry(&field.name).or_default() += 2;
        }
        let mut counted: Vec<_> = counted.into_iter().collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counted
    }

    /// The task's word for a word of the endpoint, where offers have one.
    pub(crate) fn word(&self, input: &str, theirs: &str) -> Option<&'c str> {
        let votes = self
            .words
            .iter()
            .find(|((of, word), _)| *of == input && word.eq_ignore_ascii_case(theirs));
        votes?.1.iter().max_by_key(|(_, count)| **count).map(|(word, _)| *word)
    }
}

/// What a name may be short for: `image_urls` for `images` or `image`.
fn stems(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let cut = ["_urls", "_url", "_uris", "_uri", "_base64", "_file", "_files", "_input"];
    let bare = cut.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower).to_owned();
    let mut stems = vec![bare.clone(), format!("{bare}s")];
    stems.extend(bare.strip_prefix("input_").map(str::to_owned));
    stems.extend(bare.strip_suffix('s').map(str::to_owned));
    stems
}

/// The prefix and the name of every parameter that an input goes to.
fn places_of(name: &str, to: &[Place]) -> Vec<(String, String)> {
    if to.is_empty() {
        return vec![(String::new(), name.to_owned())];
    }
    let split = |place: &Place| {
        let Place::Body(pointer) = place else { return None };
        let text = pointer.to_string();
        let Some(path) = text.strip_prefix('/') else { return Some((String::new(), text)) };
        let mut keys: Vec<&str> = path
            .split('/')
            .filter(|key| *key != "-" && !key.bytes().all(|b| b.is_ascii_digit()))
            .collect();
        let last = keys.pop()?.to_owned();
        let prefix = keys.iter().map(|key| format!("/{key}")).collect();
        Some((prefix, last))
    };
    to.iter().filter_map(split).collect()
}

/// The name that an output's place begins with, without what all answers begin with.
fn named(place: &str) -> Option<String> {
    let mut keys = place.split('/').filter(|key| {
        !matches!(*key, "" | "*" | "output" | "result" | "data")
            && !key.bytes().all(|b| b.is_ascii_digit())
    });
    keys.next().map(str::to_owned)
}

/// By what an offer's task may be told: the words of its endpoint, what goes in, what comes out.
fn tokens_of(offer: &Offer) -> BTreeSet<String> {
    let inputs = offer.map.rules.iter().flat_map(|(name, rule)| places_of(name, &rule.to));
    let inputs = inputs.map(|(_, wire)| format!("in:{wire}"));
    let sized = offer.map.size.iter().flat_map(|size| size.to.iter());
    let sized = sized.flat_map(|place| places_of("", std::slice::from_ref(place)));
    let sized = sized.map(|(_, wire)| format!("in:{wire}"));
    let outputs = offer.outputs.iter().flat_map(|outputs| &outputs.rules);
    let outputs = outputs.flat_map(|rule| &rule.at).filter_map(|place| named(&place.to_string()));
    let outputs = outputs.map(|name| format!("out:{name}"));
    words_of(&offer.endpoint).chain(inputs).chain(sized).chain(outputs).collect()
}

/// The words of an endpoint's name that say what it does.
pub(crate) fn words_of(endpoint: &str) -> impl Iterator<Item = String> + use<> {
    let lower = endpoint.to_lowercase();
    let parts: Vec<String> =
        lower.split(['/', ':']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let whole = parts.iter().skip(1).map(|part| format!("part:{part}"));
    let words = parts.iter().skip(1).flat_map(|part| part.split(['-', '_', '.']));
    let words = words.filter(|word| word.len() > 1 && word.chars().all(char::is_alphabetic));
    let all: Vec<String> = whole.chain(words.map(|word| format!("word:{word}"))).collect();
    all.into_iter()
}

/// Whether a task's field is for files.
pub(crate) fn is_file(ty: &Type) -> bool {
    match ty {
        Type::List(item) => is_file(item),
        other => matches!(other, Type::Media(_)),
    }
}
