//! Finding things by what people call them.
//!
//! A name is a model's id, one of its aliases, an offer's id, or what a provider calls an offer. Ids
//! come before aliases, aliases before endpoints; case and the owner before a slash do not matter where
//! nothing else fits.

use std::collections::{BTreeMap, HashMap};

use impasto_domain::{Error, ModelId, OfferId, Result};

use crate::catalog::Catalog;
use crate::model::{Model, Offer};
use crate::read::suggestion;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A model, wherever it is offered.
    Model(ModelId),
    /// One offer, or several that a provider calls by one name.
    Offers(Vec<OfferId>),
}

/// Names in small letters, with what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    models: HashMap<String, ModelId>,
    endpoints: HashMap<String, Vec<OfferId>>,
    capabilities: BTreeMap<String, Vec<OfferId>>,
}

impl Index {
    pub(crate) fn of(catalog: &Catalog) -> Self {
        let mut index = Self::default();
        for model in catalog.models.values() {
            index.models.insert(model.id.as_str().to_lowercase(), model.id.clone());
        }
        for model in catalog.models.values() {
            for alias in &model.aliases {
                // An id is never taken by an alias; loading has told of it.
                index.models.entry(alias.to_lowercase()).or_insert_with(|| model.id.clone());
            }
        }
        for offer in catalog.offers.values() {
            let named = index.endpoints.entry(offer.endpoint.to_lowercase()).or_default();
            named.push(offer.id.clone());
            for capability in &offer.capabilities {
                let having = index.capabilities.entry(capability.clone()).or_default();
                having.push(offer.id.clone());
            }
        }
        index
    }
}

impl Catalog {
    /// What `name` stands for.
    ///
    /// # Errors
    /// Nothing is called so; the hint names what was probably meant.
    pub fn named(&self, name: &str) -> Result<Named> {
        if let Some(model) = self.model_called(name) {
            return Ok(Named::Model(model.id.clone()));
        }
        if let Some(offer) = self.offers.get(&OfferId::new(name)) {
            return Ok(Named::Offers(vec![offer.id.clone()]));
        }
        let wanted = name.to_lowercase();
        if let Some(offers) = self.index.endpoints.get(&wanted) {
            return Ok(Named::Offers(offers.clone()));
        }
        let last = wanted.rsplit('/').next().unwrap_or(&wanted);
        if let Some(model) = self.model_called(last) {
            return Ok(Named::Model(model.id.clone()));
        }
        let known: Vec<&str> = self.index.models.keys().map(String::as_str).collect();
        Err(Error::not_found(format!("there is no model `{name}`")).hint(suggestion(last, &known)))
    }

    /// The model with that id or alias, whatever its case.
    pub fn model_called(&self, name: &str) -> Option<&Model> {
        self.models.get(self.index.models.get(&name.to_lowercase())?)
    }

    /// The model that `name` stands for: by its id, an alias, or what a provider calls an offer of it.
    ///
    /// # Errors
    /// Nothing is called so; the hint names what was probably meant.
    pub fn model_named(&self, name: &str) -> Result<&Model> {
        match self.named(name)? {
            Named::Model(id) => self.model(&id),
            Named::Offers(offers) => {
                let first = offers.first().and_then(|id| self.offers.get(id));
                let none = || Error::not_found(format!("there is no model `{name}`"));
                self.model(&first.ok_or_else(none)?.model)
            }
        }
    }

    /// The model that `name` stands for, if it is still served.
    ///
    /// # Errors
    /// Nothing is called so, or it is retired; the message names the successor.
    pub fn served_model(&self, name: &str) -> Result<&Model> {
        let model = self.model_named(name)?;
        match model.unserved() {
            None => Ok(model),
            Some(message) => {
                let error = Error::not_found(message);
                let successor = model.lifecycle.replacement.as_ref();
                Err(match successor.and_then(|id| self.models.get(id)) {
                    Some(next) => error.hint(format!("use `{}` ({})", next.id, next.title)),
                    None => error.hint("`impasto models` lists those that are served"),
                })
            }
        }
    }

    /// The offers that can do something, by a word of [`crate::CAPABILITIES`].
    pub fn offers_with(&self, capability: &str) -> impl Iterator<Item = &Offer> {
        let found = self.index.capabilities.get(capability).into_iter().flatten();
        found.filter_map(|id| self.offers.get(id))
    }

    /// The offers that a provider calls by that name, whatever its case.
    pub fn offers_called(&self, endpoint: &str) -> impl Iterator<Item = &Offer> {
        let found = self.index.endpoints.get(&endpoint.to_lowercase()).into_iter().flatten();
        found.filter_map(|id| self.offers.get(id))
    }
}

impl Model {
    /// Why it cannot be called, if it cannot: `the model `x` is retired since 2026-06-30`.
    pub fn unserved(&self) -> Option<String> {
        let status = self.lifecycle.status;
        if status.is_served() {
            return None;
        }
        if status == crate::LifecycleStatus::NoApi {
            return Some(format!("the model `{}` has no public API", self.id));
        }
        let since = self.lifecycle.ends.as_ref().map(|day| format!(" since {day}"));
        Some(format!("the model `{}` is retired{}", self.id, since.unwrap_or_default()))
    }
}
