//! What is kept of a job: everything that asking for it needs after a restart, and nothing secret.

use std::collections::BTreeMap;

use impasto_domain::{Error, Money, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What is kept of a job, as a short JSON text.
///
/// ```
/// use impasto_dialects::hosted::Handle;
/// use impasto_domain::Money;
/// let facts = [("id".to_owned(), "t1".to_owned())].into();
/// let handle = Handle { facts, expected: Money::micros(40_000), answer: None };
/// assert_eq!(handle.write(), r#"{"facts":{"id":"t1"},"expected":40000}"#);
/// assert_eq!(Handle::read(&handle.write())?, handle);
/// # Ok::<(), impasto_domain::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handle {
    /// What the provider calls the job and where to ask for it.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// What it is expected to cost: what is written down if it was done and its files are gone.
    #[serde(default, with = "micros")]
    pub expected: Money,
    /// The answer, where the job was done at once and only its files are still to be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json>,
}

mod micros {
    use impasto_domain::Money;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        money: &Money,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(money.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Money, D::Error> {
        i64::deserialize(deserializer).map(Money::micros)
    }
}

impl Handle {
    /// A handle with one fact: what the provider calls the job.
    pub fn of_id(id: impl Into<String>, expected: Money) -> Self {
        Self { facts: [("id".to_owned(), id.into())].into(), expected, answer: None }
    }

    /// One of the facts.
    ///
    /// # Errors
    /// The handle does not have it.
    pub fn fact(&self, name: &str) -> Result<&str> {
        let found = self.facts.get(name).map(String::as_str);
        found.ok_or_else(|| Error::internal(format!("the handle of the job has no `{name}`")))
    }

    /// The handle as text.
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The handle of a text.
    ///
    /// # Errors
    /// It is not the text of a handle.
    pub fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::internal(format!("the handle of a job is unreadable: {error}")))
    }
}
