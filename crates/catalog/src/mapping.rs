//! The mapping vocabulary: how the input of a task becomes what an endpoint takes.
//!
//! It is closed and small. The verbs are applied in one fixed order, whatever the order in the
//! file: `enum`, `clamp`, `rename` speak of the task's inputs; `default`, `const` of the endpoint's.
//! Applying a mapping is total: it never fails and never drops an input.

use std::collections::BTreeMap;

use impasto_domain::{Value, Values};
use serde::Serialize;

/// How the input of a task becomes what an endpoint takes.
///
/// ```
/// use impasto_catalog::Mapping;
/// use impasto_domain::{Value, Values};
/// let input = Values::from([("prompt".to_owned(), Value::from("a mug"))]);
/// assert_eq!(Mapping::default().apply(input.clone()), input);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mapping {
    /// Other words for the texts of an input.
    pub(crate) enums: BTreeMap<String, BTreeMap<String, Value>>,
    /// The least and the most of a number.
    pub(crate) clamps: BTreeMap<String, (Option<f64>, Option<f64>)>,
    /// Other names for inputs.
    pub(crate) renames: BTreeMap<String, String>,
    /// What is said where nothing is.
    pub(crate) defaults: Values,
    /// What is always said.
    pub(crate) consts: Values,
}

impl Mapping {
    /// Whether it leaves every input as it is.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// What the endpoint takes for `input`.
    pub fn apply(&self, input: Values) -> Values {
        let mut mapped = Values::new();
        for (name, value) in input {
            let value = self.clamp(&name, self.translate(&name, value));
            mapped.insert(self.renames.get(&name).cloned().unwrap_or(name), value);
        }
        for (name, value) in &self.defaults {
            let said = mapped.entry(name.clone()).or_default();
            if said.is_null() {
                *said = value.clone();
            }
        }
        mapped.extend(self.consts.clone());
        mapped
    }

    fn translate(&self, name: &str, value: Value) -> Value {
        let words = self.enums.get(name);
        let other = words.zip(value.as_text()).and_then(|(words, text)| words.get(text));
        other.cloned().unwrap_or(value)
    }

    fn clamp(&self, name: &str, value: Value) -> Value {
        let (Some((least, most)), Some(number)) = (self.clamps.get(name), value.as_number()) else {
            return value;
        };
        let clamped = number.max(least.unwrap_or(number)).min(most.unwrap_or(f64::INFINITY));
        if clamped == number {
            return value;
        }
        // A whole number stays one, inside the limits rather than at them.
        match value {
            Value::Integer(_) if clamped < number => Value::Integer(clamped.floor() as i64),
            Value::Integer(_) => Value::Integer(clamped.ceil() as i64),
            _ => Value::Number(clamped),
        }
    }
}
