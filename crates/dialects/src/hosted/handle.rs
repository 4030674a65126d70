//! What is kept of a job: everything that asking for it needs after a restart, and nothing secret.

use std::collections::BTreeMap;

use impasto_domain::{Error, Money, Result, Value};
use impasto_engine::Ended;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What is kept of a job, as a short JSON text.
///
/// ```
/// use impasto_dialects::hosted::Handle;
/// use impasto_domain::Money;
/// let facts = [("id".to_owned(), "t1".to_owned())].into();
/// let handle = Handle { facts, expected: Money::micros(40_000), ..Handle::default() };
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
    /// The output, where the job was done and its files are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
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
        Self { facts: [("id".to_owned(), id.into())].into(), expected, ..Self::default() }
    }

    /// A handle of what is done and here, of which nobody needs to be asked any more.
    pub(crate) fn of_ended(ended: Ended, expected: Money) -> Self {
        let output = Some(Value::from(ended.output).to_json());
        Self { expected: ended.cost.unwrap_or(expected), output, ..Self::default() }
    }

    /// What is done and here, if it is.
    pub(crate) fn ended(&self) -> Option<Result<Ended>> {
        let output = Value::from_json(self.output.clone()?).ok();
        let output = output.and_then(|value| value.as_map().cloned());
        let output = output.ok_or_else(|| Error::internal("the kept output is none"));
        Some(output.map(|output| Ended { output, cost: Some(self.expected) }))
    }

    /// Whether the job was done when the handle was written: nothing is left to be stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.answer.is_some() || self.output.is_some()
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

#[cfg(test)]
mod tests {
    use impasto_domain::Values;

    use super::*;

    #[test]
    fn what_is_done_is_kept_with_what_it_cost() {
        let output = Values::from([("text".to_owned(), "hello".into())]);
        let of = |cost| {
            let ended = Ended { output: output.clone(), cost };
            Handle::read(&Handle::of_ended(ended, Money::micros(7)).write()).unwrap()
        };
        for (cost, paid) in [(None, 7), (Some(3), 3), (Some(0), 0)] {
            let handle = of(cost.map(Money::micros));
            let ended = handle.ended().unwrap().unwrap();
            assert_eq!(ended, Ended { output: output.clone(), cost: Some(Money::micros(paid)) });
            assert!(handle.is_over());
        }
        let job = Handle::of_id("job-1", Money::micros(7));
        assert!(job.ended().is_none() && !job.is_over());
    }
}
