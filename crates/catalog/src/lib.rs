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

mod body;
mod catalog;
mod count;
mod example;
mod faults;
pub mod import;
mod index;
mod load;
mod mapping;
mod meter;
mod model;
mod output;
mod pointer;
mod probe;
mod provider;
mod read;
pub mod schema;
mod size;
mod tariff;
#[cfg(test)]
mod tests;
mod wire;

pub use body::{Body, FileForm, FilePart};
pub use catalog::{Catalog, Finding, Layer};
pub use count::{Measured, Unit};
pub use faults::{ErrorRow, ErrorTable, RetryAfter, Seen};
pub use index::Named;
pub use load::capability::CAPABILITIES;
pub use mapping::{Mapping, MaskForm, OPTIONS, PASSTHROUGH, Place, Request, Rule, Shape, Verb};
pub use meter::Meter;
pub use model::{
    Commercial, Lifecycle, LifecycleStatus, Model, Narrowing, Need, Offer, PromptStyle, Quality,
};
pub use output::{FileIn, FileSource, FoundFile, OutputRule, Outputs, Read};
pub use pointer::Pointer;
pub use probe::{DryRun, PriceProbe, Probe, dry_drift, retirement};
pub use provider::{Auth, AuthScheme, Base, Concurrency, Provider, Rate};
pub use read::similar;
pub use size::{Size, short_side};
pub use tariff::{BilledOn, Confidence, Price, TimeEstimate};
pub use wire::{
    Absent, Answer, Call, Callback, Charge, Encoding, JobState, Method, Progress, Put, StateTable,
    Template, Upload, Wire,
};
