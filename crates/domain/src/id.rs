//! Typed identifiers. Each is a plain name; what tells them apart is the type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

macro_rules! name_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a name; nothing is checked here, since where a name comes from decides its rules.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    )*};
}

name_types! {
    /// A kind of work, such as `text-to-image`.
    TaskId;
    /// Something that performs tasks, such as `acme-pixels-2`.
    ModelId;
    /// A place that serves models, reached with one account.
    ProviderId;
    /// One model at one provider for one task: `model@provider/task`.
    OfferId;
    /// One execution of a workflow or of a single task.
    RunId;
    /// Whose run it is. Every store read takes one.
    TenantId;
}

impl OfferId {
    /// The id of what `provider` offers of `model` for `task`.
    pub fn of(model: &ModelId, provider: &ProviderId, task: &TaskId) -> Self {
        Self(format!("{model}@{provider}/{task}"))
    }
}

impl TenantId {
    /// The one tenant of a machine that has no accounts yet.
    pub fn local() -> Self {
        Self::new("local")
    }
}

/// One instance of a step of a run: the step's name and its place on each axis of its fan-out.
///
/// A step that does not fan out has an empty index. Written `name` or `name[0,2]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// The step's name in its workflow.
    pub step: String,
    /// Its place on each axis, outermost first.
    pub index: Vec<u32>,
}

impl InstanceKey {
    /// The key of `step` at `index`.
    pub fn new(step: impl Into<String>, index: impl Into<Vec<u32>>) -> Self {
        Self { step: step.into(), index: index.into() }
    }
}

impl FromStr for InstanceKey {
    type Err = Error;

    /// Reads a key as it is written: `name` or `name[0,2]`.
    fn from_str(text: &str) -> Result<Self> {
        let Some((step, places)) = text.split_once('[') else { return Ok(Self::new(text, [])) };
        let places = places.strip_suffix(']').map(|places| places.split(','));
        let index: Option<Vec<u32>> =
            places.and_then(|places| places.map(|place| place.trim().parse().ok()).collect());
        index.map(|index| Self::new(step, index)).ok_or_else(|| {
            Error::invalid(format!("'{text}' names no step instance"))
                .hint("write the name of the step, or name[0,2] where it fans out")
        })
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        if self.index.is_empty() {
            return Ok(());
        }
        let places: Vec<String> = self.index.iter().map(u32::to_string).collect();
        write!(f, "[{}]", places.join(","))
    }
}
