//! The cheapest valid input of an offer, made of what its files say: for dry runs and for tests.

use impasto_domain::{AssetRef, Field, MediaKind, Task, Type, Value, Values};

use crate::mapping::OPTIONS;
use crate::model::Offer;

/// What stands for any text.
const ANY_TEXT: &str = "a red mug on a table";

impl Offer {
    /// An input that this offer takes, with only what it must have; `sample` gives a file of a kind.
    pub fn example(&self, task: &Task, sample: &dyn Fn(MediaKind) -> AssetRef) -> Values {
        let mut example = Values::new();
        for field in &task.input {
            let narrowing = self.params.get(&field.name);
            let needed = field.required || narrowing.is_some_and(|narrowing| narrowing.required);
            if needed {
                let narrowed =
                    narrowing.map_or_else(|| field.clone(), |narrowing| narrowing.narrow(field));
                example.insert(field.name.clone(), value_for(&narrowed, sample));
            }
        }
        let required = self.own.iter().filter(|field| field.required);
        let own: Values =
            required.map(|field| (field.name.clone(), value_for(field, sample))).collect();
        if !own.is_empty() {
            example.insert(OPTIONS.to_owned(), Value::from(own));
        }
        example
    }
}

pub(crate) fn value_for(field: &Field, sample: &dyn Fn(MediaKind) -> AssetRef) -> Value {
    match &field.ty {
        Type::Text | Type::Prompt => {
            let known = field.values.first().map_or(ANY_TEXT, String::as_str);
            let most = field.max_chars.unwrap_or(usize::MAX);
            Value::from(known.chars().take(most).collect::<String>())
        }
        Type::Integer => Value::from(least(field).ceil() as i64),
        Type::Number => Value::from(least(field)),
        Type::Boolean => Value::from(false),
        Type::Media(kind) => Value::from(sample(*kind)),
        Type::Json => Value::from(Values::new()),
        Type::List(item) => {
            let one = Field { ty: (**item).clone(), min: None, max: None, ..field.clone() };
            let count = field.min.unwrap_or(1.0).max(1.0) as usize;
            Value::from(vec![value_for(&one, sample); count])
        }
    }
}

fn least(field: &Field) -> f64 {
    field.min.or(field.max.map(|most| most.min(1.0))).unwrap_or(1.0)
}
