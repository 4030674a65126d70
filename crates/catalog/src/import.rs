//! From the schema of an endpoint to a model's file, so that a model runs on the day it appears.
//!
//! [`describe`] reads what a document says that an endpoint takes and gives: an OpenAPI file with one
//! path for it, the components `Input` and `Output` of a container, or a bare JSON schema.
//! [`import`] finds the likeliest of the tasks that fit, gives every parameter the name that the catalogue uses for
//! such a one, keeps the others under their own names, and writes the file. What a name means is
//! learned from the offers that the catalogue has: no list of names is kept here.
//!
//! Nothing is lost in silence: a parameter is mapped, kept, or named in a warning.

mod describe;
mod drift;
mod fit;
mod guess;
mod known;
mod line;
mod outputs;
mod text;
mod types;

use impasto_domain::{Error, Result, TaskId};
use serde_json::Value as Json;

pub use describe::{Described, describe};
pub use drift::{Drift, drift};
pub use types::{Kind, Parameter};

use crate::catalog::Catalog;
use crate::provider::Provider;
use fit::Fit;
use guess::{Endpoint, Guess};
use known::Known;

/// What is to be imported, and what its schema does not say.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The provider's id.
    pub provider: String,
    /// What the provider calls the endpoint.
    pub endpoint: String,
    /// The task, where it is not to be guessed.
    pub task: Option<String>,
    /// The model's id; made of the endpoint if absent.
    pub model: Option<String>,
    /// What tells the offer from others of the model.
    pub variant: Option<String>,
    /// Which of the provider's wires it goes over.
    pub wire: Option<String>,
    /// The name for people.
    pub title: Option<String>,
    /// Who made it.
    pub company: Option<String>,
    /// Its licence.
    pub licence: Option<String>,
    /// How good its results are, as the file says it.
    pub tier: Option<String>,
    /// The price, as the file says it; unknown if absent.
    pub price: Option<String>,
    /// The unit in which the provider counts what it bills, where it said so.
    pub counted_in: Option<String>,
}

/// A model's file, made of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The model's id.
    pub model: String,
    /// Where the file belongs in a folder of a catalogue.
    pub path: String,
    /// The whole file.
    pub text: String,
    /// The offer alone, to be added to a model that is there.
    pub offer: String,
    /// The task.
    pub task: TaskId,
    /// How sure the task is, from 0 to 1; nothing if it was said.
    pub sureness: Option<f64>,
    /// Why it is that task; nothing if it was said.
    pub why: Vec<String>,
    /// Other tasks that the schema would fit, the likeliest first.
    pub others: Vec<TaskId>,
    /// Parameters that became inputs of the task: the endpoint's name and the task's.
    pub mapped: Vec<(String, String)>,
    /// Parameters that were kept; a call gives them in `options`.
    pub kept: Vec<String>,
    /// What a person must look at.
    pub warnings: Vec<String>,
}

/// Makes a model's file of what a document says of an endpoint.
///
/// # Errors
/// The document describes no endpoint, no task fits it at all, or the provider's file lacks something;
/// the hint says what to say.
pub fn import(document: &Json, wish: &Wish, catalog: &Catalog) -> Result<Imported> {
    let provider = catalog.provider(&wish.provider.as_str().into())?;
    let described = describe(document, &wish.endpoint)?;
    if described.inputs.is_empty() && described.outputs.is_empty() {
        return Err(Error::invalid("the schema has neither parameters nor outputs").hint(
            "give the document that describes the endpoint: an OpenAPI file, or a JSON schema of its input",
        ));
    }
    let wire = wire_of(provider, wish)?;
    let known = Known::of(catalog, provider);
    let endpoint = Endpoint { described: &described, name: &wish.endpoint, provider };
    let (fit, guess) = choose(&endpoint, wish, &known, catalog)?;
    Ok(text::write(&described, wish, text::Parts { provider, wire, fit, guess }))
}

/// The wire that an offer of the provider goes over.
fn wire_of(provider: &Provider, wish: &Wish) -> Result<Option<String>> {
    let names: Vec<&str> = provider.wires.keys().map(String::as_str).collect();
    match (&wish.wire, names.as_slice()) {
        (Some(wire), names) if names.contains(&wire.as_str()) => Ok(Some(wire.clone())),
        (Some(wire), names) => {
            let message = format!("the provider `{}` has no wire `{wire}`", provider.id);
            Err(Error::invalid(message).hint(crate::read::suggestion(wire, names)))
        }
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some((*one).to_owned())),
        (None, names) => {
            let message = format!("the provider `{}` has more than one wire", provider.id);
            Err(Error::invalid(message).hint(format!("say --wire, one of {}", names.join(", "))))
        }
    }
}

fn choose<'c>(
    endpoint: &Endpoint<'_>,
    wish: &Wish,
    known: &Known<'c>,
    catalog: &'c Catalog,
) -> Result<(Fit<'c>, Guess)> {
    let described = endpoint.described;
    if let Some(task) = &wish.task {
        let task = catalog.task(&task.as_str().into())?;
        return Ok((Fit::of(described, task, known), Guess::default()));
    }
    let guess = guess::guess(endpoint, known, catalog);
    let Some((task, ..)) = &guess.best else {
        let shape = guess::shape(described);
        return Err(Error::invalid(format!("no task of the catalogue fits this schema: {shape}"))
            .hint("say which one it is with --task; `impasto tasks` lists them"));
    };
    let fit = Fit::of(described, catalog.task(task)?, known);
    Ok((fit, guess))
}
