//! The catalogue itself: what there is, by id.

use std::collections::BTreeMap;

use impasto_domain::{Diagnostic, Error, ModelId, OfferId, ProviderId, Result, Task, TaskId};

use crate::index::Index;
use crate::model::{Model, Offer};
use crate::provider::Provider;
use crate::read::suggestion;

/// The files of the catalogue that are part of the program.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A set of files that lies over the ones before it: an entry replaces the whole entry of its id.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// What it is called in messages, such as `your folder`.
    pub name: String,
    /// Paths within it, such as `models/acme/pixels-2.toml`, and their text.
    pub files: Vec<(String, String)>,
}

impl Layer {
    /// The layer that is part of the program.
    pub fn embedded() -> Self {
        let files = EMBEDDED.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { name: "built in".to_owned(), files: files.collect() }
    }
}

/// Something that is to be said about one file of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The layer's name.
    pub layer: String,
    /// The path within the layer.
    pub path: String,
    /// The file's text.
    pub text: String,
    /// What is to be said.
    pub diagnostic: Diagnostic,
}

impl Finding {
    /// As people read it: the message, the place, the line with carets, the hint.
    pub fn render(&self) -> String {
        self.diagnostic.render(&self.path, &self.text)
    }
}

/// Tasks, providers, models and offers, checked against each other.
///
/// Every offer's task, provider and model exist; every name it uses of its task is a field of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// A digest of what the catalogue was made from: equal contents have equal revisions.
    pub revision: String,
    /// Tasks by id.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Providers by id.
    pub providers: BTreeMap<ProviderId, Provider>,
    /// Models by id.
    pub models: BTreeMap<ModelId, Model>,
    /// Offers by id.
    pub offers: BTreeMap<OfferId, Offer>,
    /// The offers of each task, by id.
    pub(crate) by_task: BTreeMap<TaskId, Vec<OfferId>>,
    /// The same, by who makes them, each with its model.
    pub(crate) by_provider: BTreeMap<TaskId, BTreeMap<ProviderId, Vec<(OfferId, ModelId)>>>,
    /// What people call things.
    pub(crate) index: Index,
}

impl Catalog {
    /// The catalogue that is part of the program.
    ///
    /// # Errors
    /// A defect of the program: the files are checked by the tests of this crate.
    pub fn embedded() -> Result<Self> {
        match Self::load(&[Layer::embedded()]) {
            Ok((catalog, _)) => Ok(catalog),
            Err(findings) => {
                let shown: Vec<String> = findings.iter().map(Finding::render).collect();
                Err(Error::internal(format!("the built-in catalogue: {}", shown.join("\n"))))
            }
        }
    }

    /// The catalogue that `layers` make, a later one lying over the earlier ones, and warnings;
    /// or everything that is wrong with them.
    ///
    /// # Errors
    /// Every error in every file, in the order of the files.
    pub fn load(layers: &[Layer]) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        crate::load::load(layers)
    }

    /// The task of that id.
    ///
    /// # Errors
    /// There is none; the hint names the one that was probably meant.
    pub fn task(&self, id: &TaskId) -> Result<&Task> {
        let known = || self.tasks.keys().map(TaskId::as_str).collect();
        self.tasks.get(id).ok_or_else(|| unknown("task", id.as_str(), known))
    }

    /// The model of that id.
    ///
    /// # Errors
    /// There is none; the hint names the one that was probably meant.
    pub fn model(&self, id: &ModelId) -> Result<&Model> {
        let known = || self.models.keys().map(ModelId::as_str).collect();
        self.models.get(id).ok_or_else(|| unknown("model", id.as_str(), known))
    }

    /// The provider of that id.
    ///
    /// # Errors
    /// There is none; the hint names the one that was probably meant.
    pub fn provider(&self, id: &ProviderId) -> Result<&Provider> {
        let known = || self.providers.keys().map(ProviderId::as_str).collect();
        self.providers.get(id).ok_or_else(|| unknown("provider", id.as_str(), known))
    }

    /// The offer of that id.
    ///
    /// # Errors
    /// There is none; the hint names the one that was probably meant.
    pub fn offer(&self, id: &OfferId) -> Result<&Offer> {
        let known = || self.offers.keys().map(OfferId::as_str).collect();
        self.offers.get(id).ok_or_else(|| unknown("offer", id.as_str(), known))
    }

    /// The offers for a task, in the order of their ids; none for an unknown task.
    pub fn offers_for(&self, task: &TaskId) -> impl Iterator<Item = &Offer> {
        self.by_task.get(task).into_iter().flatten().filter_map(|id| self.offers.get(id))
    }

    /// The offers for a task and their models by who makes them, those of each in the order of their ids.
    pub fn providers_for(
        &self,
        task: &TaskId,
    ) -> impl Iterator<Item = (&ProviderId, &[(OfferId, ModelId)])> {
        let providers = self.by_provider.get(task).into_iter().flatten();
        providers.map(|(provider, offers)| (provider, offers.as_slice()))
    }

    /// The programs that some offer needs on this machine, each once.
    pub fn programs(&self) -> Vec<&str> {
        let offers = self.offers.values().flat_map(|offer| &offer.needs);
        let needs = offers.chain(self.providers.values().flat_map(|provider| &provider.needs));
        let mut programs: Vec<&str> = needs.map(|need| need.program.as_str()).collect();
        programs.sort_unstable();
        programs.dedup();
        programs
    }
}

fn unknown<'a>(what: &str, id: &str, known: impl FnOnce() -> Vec<&'a str>) -> Error {
    Error::not_found(format!("there is no {what} `{id}`")).hint(suggestion(id, &known()))
}
