//! Prompt specifications: what a prompt says, part by part.
//!
//! A [`PromptSpec`] is read from text or from a map ([`PromptSpec::from_value`]), judged
//! ([`lint`]), turned into the words that a model likes ([`compile`]), and changed a little at a
//! time ([`vary`]).
//!
//! Invariants: pure. A part that was given is never dropped on the way to a model.
//!
//! ```
//! use impasto_domain::Value;
//! use impasto_prompt::{PromptSpec, PromptStyle, compile};
//! let spec = PromptSpec::from_value(&Value::from("a red mug on marble, soft window light"))?;
//! assert_eq!(spec.lighting, "soft window light");
//! assert_eq!(compile(&spec, PromptStyle::Sentence), "a red mug on marble, soft window light");
//! # Ok::<(), impasto_domain::Error>(())
//! ```

mod lint;
mod spec;
mod vary;
mod words;

pub use lint::{Advice, Medium, lint};
pub use spec::{Part, PromptSpec, PromptStyle, compile};
pub use vary::{Variant, vary};
