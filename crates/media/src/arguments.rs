//! Reading the input of an operation.
//!
//! The input has been checked against the task's schema before; what is missing here nevertheless is
//! an error that names the field, never a panic.

use impasto_domain::{AssetRef, Error, Result, Value, Values};

use crate::Picture;
use impasto_domain::Workbench;

/// Typed access to the fields of an input.
pub(crate) trait Arguments {
    /// The number of that name, if it is given.
    fn number(&self, name: &str) -> Option<f64>;
    /// The whole number of that name, if it is given and not negative.
    fn count(&self, name: &str) -> Option<u32>;
    /// The text of that name, or `default`.
    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str;
    /// The asset of that name.
    fn asset(&self, name: &str) -> Result<&AssetRef>;
    /// A rectangle of four shares from 0 to 1 (left, top, right, bottom), if it is given.
    fn shares(&self, name: &str) -> Result<Option<[f32; 4]>>;

    /// The number of that name, or `default`.
    fn number_or(&self, name: &str, default: f64) -> f32 {
        self.number(name).unwrap_or(default) as f32
    }

    /// The picture of that name.
    fn picture(&self, name: &str, bench: &dyn Workbench) -> Result<Picture> {
        Picture::read(bench, self.asset(name)?).map_err(|error| error.context(format!("`{name}`")))
    }
}

impl Arguments for Values {
    fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_number).filter(|number| number.is_finite())
    }

    fn count(&self, name: &str) -> Option<u32> {
        self.get(name).and_then(Value::as_integer).and_then(|whole| u32::try_from(whole).ok())
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).and_then(Value::as_text).unwrap_or(default)
    }

    fn asset(&self, name: &str) -> Result<&AssetRef> {
        let missing = || Error::invalid(format!("`{name}` is missing or is not a file"));
        self.get(name).and_then(Value::as_asset).ok_or_else(missing)
    }

    fn shares(&self, name: &str) -> Result<Option<[f32; 4]>> {
        let Some(list) = self.get(name).and_then(Value::as_list) else { return Ok(None) };
        let shares: Vec<f32> =
            list.iter().filter_map(Value::as_number).map(|share| share as f32).collect();
        let bad = || {
            Error::invalid(format!("`{name}` is {shares:?}, which is not a rectangle"))
                .hint("give left, top, right, bottom as shares from 0 to 1, with left < right and top < bottom")
        };
        let [left, top, right, bottom] =
            <[f32; 4]>::try_from(shares.as_slice()).map_err(|_| bad())?;
        let inside = shares.iter().all(|share| (0.0..=1.0).contains(share));
        if inside && left < right && top < bottom {
            Ok(Some([left, top, right, bottom]))
        } else {
            Err(bad())
        }
    }
}

/// The output of an operation, by name.
pub(crate) fn output<const N: usize>(fields: [(&str, Value); N]) -> Values {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
