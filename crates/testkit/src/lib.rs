//! Test harness: a small catalogue, a provider whose jobs survive a crash, and an oracle of its starts.
//!
//! The [`FarProvider`] keeps its jobs in files and writes a line for every start that it sees. A test
//! kills the process that speaks to it as often as it likes; what the provider saw is the judge.
//!
//! Only for tests: nothing that is shipped depends on it.

mod far;
mod plain;
mod stage;
pub mod wire;

pub use far::{FAR_PRICE, FarOptions, FarProvider, Oracle};
pub use impasto_store_sql::{SqliteOptions, SqliteRuns};
pub use plain::read_request;
pub use stage::{Stage, catalog, compile, model_file, operations};
