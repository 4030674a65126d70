//! Models, providers, tasks and prices as validated data.
//!
//! A task, a provider or a model is a TOML file; [`Catalog::load`] reads layers of them into one
//! checked [`Catalog`]. Everything that is wrong is reported at once, each with line, column and
//! remedy. From an [`Offer`] one learns before a call what it costs ([`Price`]), how long it takes
//! ([`TimeEstimate`]), whether it can take an input, and what its endpoint is to be told
//! ([`Mapping`]).
//!
//! Invariants: no IO, no clock; equal files give an equal catalogue with an equal revision.
//!
//! ```
//! use impasto_catalog::Catalog;
//! let catalog = Catalog::embedded()?;
//! assert!(catalog.tasks.keys().all(|task| catalog.offers_for(task).next().is_some()));
//! # Ok::<(), impasto_domain::Error>(())
//! ```

mod catalog;
mod count;
mod load;
mod mapping;
mod model;
mod read;
mod tariff;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, Finding, Layer};
pub use count::Unit;
pub use mapping::Mapping;
pub use model::{
    Concurrency, Lifecycle, LifecycleStatus, Model, Narrowing, Need, Offer, PromptStyle, Provider,
    Quality,
};
pub use read::similar;
pub use tariff::{Price, TimeEstimate};
