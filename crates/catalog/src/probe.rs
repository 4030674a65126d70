//! What a provider tells of its models without being paid, as data.
//!
//! A [`Probe`] says where the schema of an endpoint is, where the names of all models are, where a
//! price is, and what checks a request without doing it. Nothing here does IO: whoever sends what a
//! [`Call`] describes hands the answer in.

use std::collections::BTreeMap;

use impasto_domain::ErrorKind;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::count::Unit;
use crate::import::Drift;
use crate::model::Offer;
use crate::pointer::Pointer;
use crate::tariff::Price;
use crate::wire::{Call, Template, scalar_text};

/// What a provider tells of its models without being paid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// How the schema of an endpoint is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Call>,
    /// Where in that answer the schema is; absent, wherever one is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_at: Option<Pointer>,
    /// HTTP statuses by which the provider says that there is no such endpoint; 404 and 410 if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<u16>,
    /// How all models are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Call>,
    /// Where the names of the models are in that answer; of an object its keys are names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_at: Option<Pointer>,
    /// What stands before the names, such as `models/`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model_prefix: String,
    /// How the endpoints begin that are names of models; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_like: Vec<String>,
    /// How the price of an endpoint is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceProbe>,
    /// How a request is checked without doing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry: Option<DryRun>,
}

/// How the price of an endpoint is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceProbe {
    /// The request.
    pub call: Call,
    /// Where the amount for one is, in dollars.
    pub usd_at: Pointer,
    /// Where the unit is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_at: Option<Pointer>,
    /// Our units for the provider's words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, String>,
}

/// How a request is checked without doing it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// The request.
    pub call: Call,
    /// Where the body of the real request goes; absent means that it is the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Pointer>,
    /// How the endpoints begin for which it is; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<String>,
}

impl Probe {
    /// Whether anything can be learned by it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a status says that there is no such endpoint.
    pub fn says_gone(&self, status: u16) -> bool {
        if self.gone.is_empty() { matches!(status, 404 | 410) } else { self.gone.contains(&status) }
    }

    /// Whether an endpoint is one of the names that the list of all models has.
    pub fn lists(&self, endpoint: &str) -> bool {
        self.models.is_some() && is_like(&self.model_like, endpoint)
    }

    /// How a request to an endpoint is checked without doing it.
    pub fn dry_run(&self, endpoint: &str) -> Option<&DryRun> {
        self.dry.as_ref().filter(|dry| is_like(&dry.like, endpoint))
    }

    /// The schema in an answer.
    pub fn schema_in<'j>(&self, answer: &'j Json) -> &'j Json {
        let found = self.schema_at.as_ref().and_then(|place| place.first(answer));
        found.unwrap_or(answer)
    }

    /// The names of the models in an answer.
    pub fn models_in(&self, answer: &Json) -> Vec<String> {
        let found = self.model_at.iter().flat_map(|place| place.all(answer));
        let names = found.flat_map(|found| match found {
            Json::Object(named) => named.keys().map(String::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        });
        let bare = |name: &str| name.strip_prefix(&self.model_prefix).unwrap_or(name).to_owned();
        names.map(bare).collect()
    }

    /// Every request that it makes.
    pub(crate) fn calls(&self) -> Vec<&Call> {
        let price = self.price.as_ref().map(|price| &price.call);
        let dry = self.dry.as_ref().map(|dry| &dry.call);
        [self.schema.as_ref(), self.models.as_ref(), price, dry].into_iter().flatten().collect()
    }

    /// What is wrong with it as a whole, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.models.is_some() && self.model_at.is_none() {
            return Some(
                "all models are asked for, but `model_at` does not say where their names are"
                    .into(),
            );
        }
        let known = |name: &&str| !matches!(*name, "endpoint" | "model");
        let names = self.calls().into_iter().flat_map(Call::templates).flat_map(Template::names);
        if let Some(name) = names.into_iter().find(known) {
            return Some(format!(
                "nobody says what {{{name}}} is; there are {{endpoint}} and {{model}}"
            ));
        }
        let units = self.price.iter().flat_map(|price| price.units.values());
        let unknown =
            units.into_iter().find(|unit| Unit::WORDS.iter().all(|(word, _)| word != unit));
        unknown.map(|unit| format!("there is no unit `{unit}`"))
    }
}

fn is_like(beginnings: &[String], endpoint: &str) -> bool {
    beginnings.is_empty() || beginnings.iter().any(|begin| endpoint.starts_with(begin))
}

impl PriceProbe {
    /// What an answer says that an endpoint costs: dollars for one of a unit, by our name of it, or
    /// by the provider's where we have none.
    pub fn read(&self, answer: &Json) -> Option<(f64, String)> {
        let usd: f64 = scalar_text(self.usd_at.first(answer)?)?.parse().ok()?;
        let unit = self.unit_at.as_ref().and_then(|place| scalar_text(place.first(answer)?));
        let unit = unit.unwrap_or_else(|| "request".to_owned()).to_lowercase();
        let ours = self.units.get(&unit).cloned();
        Some((usd, ours.unwrap_or(unit)))
    }
}

impl Price {
    /// How it differs from what a provider says that one of a unit costs.
    pub fn drift(&self, usd: f64, unit: &str) -> Option<Drift> {
        // A billionth of a dollar is the finest that a file can say.
        const FINEST_USD: f64 = 1e-9;
        let says = format!("the provider says ${usd} per {}", unit.replace('_', " "));
        if !self.known {
            return Some(Drift::news("price", format!("{says}; the file says nothing")));
        }
        let simple = match self.tariff.lines.as_slice() {
            [line]
                if line.tiers.is_empty()
                    && line.when.is_empty()
                    && self.tariff.multipliers.is_empty() =>
            {
                Some(line)
            }
            _ => None,
        };
        match simple {
            Some(line) if line.unit.as_str() == unit => {
                let ours = line.each as f64 * FINEST_USD;
                let differs = (ours - usd).abs() > FINEST_USD.max(usd.abs() * 1e-6);
                let message = format!("{says}; the file says {}", self.describe());
                differs.then(|| Drift::breaking("price", message))
            }
            _ => {
                let message =
                    format!("{says}; the file says {}: compare them by hand", self.describe());
                Some(Drift::news("price", message))
            }
        }
    }
}

/// What an answer to a checked request says of the offer.
pub fn dry_drift(status: u16, told: Option<&str>, kind: Option<ErrorKind>) -> Option<Drift> {
    let told = told.unwrap_or("it did not say why");
    match kind {
        None => None,
        Some(ErrorKind::NotFound) => {
            let message = format!("the provider does not know it (status {status}): {told}");
            Some(Drift::breaking("lifecycle", message))
        }
        Some(ErrorKind::InvalidInput) => Some(Drift::breaking(
            "request",
            format!("the cheapest call is refused (status {status}): {told}"),
        )),
        Some(_) => Some(Drift::news(
            "request",
            format!("it could not be checked (status {status}): {told}"),
        )),
    }
}

/// How the files say that an offer ends, where all names that a provider has are known.
pub fn retirement(offer: &Offer, names: &[String]) -> Option<Drift> {
    let is_there = names.contains(&offer.endpoint);
    let is_served = offer.lifecycle.status.is_served();
    match (is_there, is_served) {
        (false, true) => {
            let near: Vec<&str> = names.iter().map(String::as_str).collect();
            let near = crate::similar(&offer.endpoint, &near);
            let near = near.map(|near| format!("; there is `{near}`")).unwrap_or_default();
            let message = format!("the provider does not list `{}` any more{near}", offer.endpoint);
            Some(Drift::breaking("lifecycle", message))
        }
        (true, false) => Some(Drift::news(
            "lifecycle",
            "the provider lists it, though the file says that it is gone",
        )),
        _ => None,
    }
}
