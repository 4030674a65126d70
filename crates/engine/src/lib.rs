//! Use cases: submit, plan, run, resume, cancel. Owns the in-process runner.
//!
//! An [`Engine`] is put together from [`Parts`] (stores, drivers, catalogue, clock) and hands out
//! runs. Each run is a task that folds events: an event is applied, what it asks for is decided,
//! everything is committed in one transaction, and only then is a driver touched.
//!
//! Invariants
//! - No attempt is started whose `AttemptStarted` is not committed.
//! - The state of a run changes through [`impasto_workflow::apply`] alone.
//! - A run is worked on by one process at a time; a lease and its epoch see to it.
//! - The engine knows neither SQL nor HTTP nor any tool: stores and drivers are ports.

mod attempt;
mod bench;
mod deadline;
mod driver;
mod engine;
mod figures;
mod health;
mod hints;
mod identity;
mod live;
mod operations;
mod options;
mod parts;
mod patience;
mod places;
mod planning;
mod prepare;
mod report;
mod request;
mod runner;
mod spending;
mod summary;
mod updates;

pub use bench::{Addresses, ProgressFn};
pub use driver::{Driver, Ended, Failure, Found, Job, Polled, Slot, StartCall, Started, Stopped};
pub use engine::{Answer, Engine, Left, RunHandle, Submitted};
pub use figures::{DURATION_BOUNDS_MS, EngineFigures, OfferFigures};
pub use hints::{AttemptName, Callbacks};
pub use operations::{Fault, FaultHook, OperationsDriver};
pub use options::EngineOptions;
pub use parts::{Clock, ConvertMask, FileTools, Importer, NoImporter, Parts, Render, SystemClock};
pub use planning::{OtherDecision, PlanReport, PlannedStep};
pub use report::{RunReport, StepReport, Totals};
pub use request::{Lane, Request, Source};
pub use spending::{Purses, day_began_ms, overspent};
pub use summary::{Ask, RunSummary};
pub use updates::{LogLine, Update, UpdateKind, Updates};

pub use impasto_store::Durable;
