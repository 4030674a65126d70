//! How what a provider says today differs from what an offer's file says.

use std::collections::{BTreeMap, BTreeSet};

use impasto_domain::{Value, Values};
use serde::Serialize;
use serde_json::Value as Json;

use super::describe::Described;
use super::types::Parameter;
use crate::body::Body;
use crate::mapping::{Place, Verb};
use crate::model::Offer;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Whether calls fail or change because of it; otherwise it is only news.
    pub breaks: bool,
    /// What it is about: a parameter, an output, `price`, `lifecycle`.
    pub about: String,
    /// The difference in a sentence.
    pub message: String,
}

impl Drift {
    /// Something because of which calls fail or change.
    pub fn breaking(about: impl Into<String>, message: impl Into<String>) -> Self {
        Self { breaks: true, about: about.into(), message: message.into() }
    }

    /// Something that is new and harms nobody.
    pub fn news(about: impl Into<String>, message: impl Into<String>) -> Self {
        Self { breaks: false, about: about.into(), message: message.into() }
    }
}

/// How `described` differs from what `offer` says; `cheapest` is an input that the offer takes, whose
/// request is held against the schema.
pub fn drift(described: &Described, offer: &Offer, cheapest: &Values) -> Vec<Drift> {
    let mut found = Vec::new();
    if described.deprecated && offer.lifecycle.status.as_str() == "active" {
        found.push(Drift::breaking("lifecycle", "the provider says that this endpoint will go"));
    }
    let told = told_by(offer, described);
    let theirs: BTreeMap<&str, &Parameter> =
        described.inputs.iter().map(|parameter| (parameter.name.as_str(), parameter)).collect();
    for name in told.iter().filter(|name| !theirs.contains_key(name.as_str())) {
        found.push(Drift::breaking(
            name,
            format!("the endpoint has no parameter `{name}` any more"),
        ));
    }
    for (name, parameter) in &theirs {
        match (told.contains(*name), parameter.required) {
            (false, true) => {
                let message = format!("the endpoint needs a new parameter `{name}`");
                found.push(Drift::breaking(*name, message));
            }
            (false, false) => {
                found
                    .push(Drift::news(*name, format!("the endpoint has a new parameter `{name}`")));
            }
            (true, _) => found.extend(values(name, parameter, offer, described)),
        }
    }
    found.extend(request(offer, cheapest, &theirs, described));
    found.extend(outputs(offer, described));
    found
}

/// The names of the endpoint's parameters that an offer can say something of.
fn told_by(offer: &Offer, described: &Described) -> BTreeSet<String> {
    let ruled = offer.map.rules.iter().flat_map(|(name, rule)| match rule.to.as_slice() {
        [] => vec![name.clone()],
        to => to.iter().filter_map(|place| top(place, described)).collect(),
    });
    let sized = offer.map.size.iter().flat_map(|size| {
        let sides = size.sides.iter().flat_map(|(across, up)| [across, up]);
        size.to.iter().chain(sides).filter_map(|place| top(place, described)).collect::<Vec<_>>()
    });
    let said = offer.map.consts.iter().chain(&offer.map.defaults);
    ruled.chain(sized).chain(said.filter_map(|(place, _)| top(place, described))).collect()
}

/// The parameter that a place is in.
fn top(place: &Place, described: &Described) -> Option<String> {
    let Place::Body(pointer) = place else { return None };
    let text = pointer.to_string();
    let Some(path) = text.strip_prefix('/') else { return Some(text) };
    let mut keys = path.split('/');
    let first = keys.next()?;
    let inside = described.is_wrapped && first == "input";
    let key = if inside { keys.next()? } else { first };
    Some(key.replace("~1", "/").replace("~0", "~"))
}

/// Words and limits of one parameter.
fn values(name: &str, parameter: &Parameter, offer: &Offer, described: &Described) -> Vec<Drift> {
    let mut found = Vec::new();
    let Some((input, rule)) =
        offer.map.rules.iter().find(|(input, rule)| match rule.to.as_slice() {
            [] => input.as_str() == name,
            [place] => {
                top(place, described).as_deref() == Some(name) && !is_nested(place, described)
            }
            _ => false,
        })
    else {
        return found;
    };
    let narrowing = offer.params.get(input);
    let own = offer.own.iter().find(|field| field.name == *input);
    let ours = narrowing.map(|narrowing| &narrowing.values).or_else(|| own.map(|own| &own.values));
    let ours = ours.filter(|words| !words.is_empty());
    if let (Some(ours), false) = (ours, parameter.words.is_empty()) {
        let renamed = |word: &String| {
            let verbs = rule.verbs.iter().find_map(|verb| match verb {
                Verb::Enum(words) => words.get(word).map(Value::to_json),
                _ => None,
            });
            verbs.unwrap_or_else(|| Json::from(word.as_str()))
        };
        let gone: Vec<&String> =
            ours.iter().filter(|word| !parameter.words.contains(&renamed(word))).collect();
        if !gone.is_empty() {
            let message = format!("`{name}` can no longer be {}", listed(gone.iter()));
            found.push(Drift::breaking(name, message));
        }
        let said: Vec<Json> = ours.iter().map(renamed).collect();
        let fresh = parameter.words.iter().filter(|word| !said.contains(word));
        let fresh: Vec<String> = fresh.map(Json::to_string).collect();
        if !fresh.is_empty() {
            found.push(Drift::news(name, format!("`{name}` can also be {}", fresh.join(", "))));
        }
    }
    let most =
        narrowing.and_then(|narrowing| narrowing.max).or_else(|| own.and_then(|own| own.max));
    let plain = rule.verbs.is_empty();
    if let (Some(ours), Some(theirs), true) = (most, parameter.max, plain)
        && ours > theirs
    {
        let message = format!("the most of `{name}` is {theirs}, not {ours}");
        found.push(Drift::breaking(name, message));
    }
    if parameter.deprecated {
        found.push(Drift::news(name, format!("the provider says that `{name}` will go")));
    }
    found
}

fn is_nested(place: &Place, described: &Described) -> bool {
    let depth = place.to_string().matches('/').count();
    depth > 1 + usize::from(described.is_wrapped)
}

fn listed<'a>(words: impl Iterator<Item = &'a &'a String>) -> String {
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

/// Holds the cheapest request against the schema.
fn request(
    offer: &Offer,
    cheapest: &Values,
    theirs: &BTreeMap<&str, &Parameter>,
    described: &Described,
) -> Vec<Drift> {
    let mut found = Vec::new();
    let Body::Map(body) = offer.request(cheapest).body else { return found };
    let inner = match (described.is_wrapped, body.get("input")) {
        (true, Some(Body::Map(inner))) => inner,
        _ => &body,
    };
    for (name, parameter) in theirs.iter().filter(|(_, parameter)| parameter.required) {
        if !inner.contains_key(*name) {
            let message = format!("the cheapest call does not say `{name}`, which is needed");
            found.push(Drift::breaking(*name, message));
        }
        let said = inner.get(*name).and_then(Body::plain);
        if let Some(said) = said.filter(|_| !parameter.words.is_empty())
            && !parameter.words.contains(&said)
        {
            let message = format!("the cheapest call says {said} for `{name}`, which it cannot be");
            found.push(Drift::breaking(*name, message));
        }
    }
    found
}

/// Whether what the offer looks for is still in the answer.
fn outputs(offer: &Offer, described: &Described) -> Vec<Drift> {
    let mut found = Vec::new();
    let Some(outputs) = offer.outputs.as_ref().filter(|_| described.tells_outputs) else {
        return found;
    };
    if described.outputs.is_empty() {
        return found;
    }
    let prefix = if described.is_wrapped { "/output" } else { "" };
    let known: Vec<String> = described.outputs.iter().map(|given| given.pointer(prefix)).collect();
    for rule in outputs.rules.iter().filter(|rule| !rule.at.is_empty()) {
        let there = rule.at.iter().any(|place| {
            let place = place.to_string();
            let shape = |text: &str| -> Vec<String> {
                let key =
                    |key: &str| match key.bytes().all(|b| b.is_ascii_digit()) && !key.is_empty() {
                        true => "*".to_owned(),
                        false => key.to_owned(),
                    };
                text.trim_start_matches('/').split('/').map(key).collect()
            };
            let place = shape(&place);
            known.iter().any(|known| {
                let known = shape(known);
                known.starts_with(&place) || place.starts_with(&known)
            })
        });
        if !there {
            let places: Vec<String> = rule.at.iter().map(ToString::to_string).collect();
            let message = format!("the answer has nothing at {} any more", places.join(" or "));
            found.push(Drift::breaking(&rule.name, message));
        }
    }
    found
}
