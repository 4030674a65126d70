//! How the answer of an endpoint becomes the output of a task.
//!
//! [`Outputs::read`] finds values and files in an answer without fetching anything. Whoever fetches
//! the files hands them back in the same order to [`Read::into_values`].

use std::collections::BTreeMap;

use impasto_domain::{AssetRef, Error, ErrorKind, Result, Type, Value, Values};
use serde::Serialize;
use serde_json::Value as Json;

use crate::pointer::Pointer;

/// The most files that are taken from one answer.
const FILES_MAX: usize = 256;

/// How an answer carries a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileIn {
    /// As a URL, or a `data:` URI.
    #[default]
    Url,
    /// As base64.
    Base64,
    /// As hexadecimal digits.
    Hex,
    /// The answer is the file.
    Body,
    /// As something that names it; the provider's `item` request fetches it.
    Item,
}

/// Where one output is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputRule {
    /// The output of the task.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Where it is; the first place that has something counts.
    pub at: Vec<Pointer>,
    /// How a file is carried.
    pub file: FileIn,
    /// How the name of a file ends that is wanted, where an answer has several beside each other; case
    /// does not matter. If none ends so, any will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// Whether all places count, and not only the first that has something.
    pub all: bool,
    /// What a file is, where nobody says.
    pub media_type: Option<String>,
    /// So many times the number that is found.
    pub times: Option<f64>,
}

/// How the answer of an endpoint becomes the output of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outputs {
    /// The rules, in the order of the file.
    pub rules: Vec<OutputRule>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum FileSource {
    /// At a URL, which may be a `data:` URI.
    Url(String),
    /// In a text of base64.
    Base64(String),
    /// In a text of hexadecimal digits.
    Hex(String),
    /// It is the answer.
    Body,
    /// Wherever the provider's `item` request finds it.
    Item(Json),
}

/// A file that an answer has or names.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundFile {
    /// The output that it belongs to.
    pub output: String,
    /// Its place among the files of that output.
    pub index: usize,
    /// The type that the output has.
    pub ty: Type,
    /// What it is, where nobody says.
    pub media_type: Option<String>,
    /// Where it is.
    pub source: FileSource,
}

/// What was found in an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// What is no file.
    pub values: Values,
    /// The files, in order.
    pub files: Vec<FoundFile>,
}

impl Outputs {
    /// Whether the answer itself is a file.
    pub fn is_whole_body(&self) -> bool {
        self.rules.iter().any(|rule| rule.file == FileIn::Body)
    }

    /// What `answer` holds.
    ///
    /// # Errors
    /// A file is named that cannot be one, there are too many, or there is nothing at all.
    pub fn read(&self, answer: &Json) -> Result<Read> {
        let mut read = Read::default();
        for rule in &self.rules {
            match item_type(&rule.ty) {
                Type::Media(_) => rule.find_files(answer, &mut read)?,
                _ => rule.find_value(answer, &mut read),
            }
        }
        if read.files.len() > FILES_MAX {
            let message =
                format!("the answer has {} files, the most is {FILES_MAX}", read.files.len());
            return Err(Error::new(ErrorKind::ProviderFailed, message));
        }
        let wanted = self.rules.iter().any(|rule| matches!(item_type(&rule.ty), Type::Media(_)));
        if read.files.is_empty() && (wanted || read.values.is_empty()) {
            let places = self.rules.iter().flat_map(|rule| &rule.at).map(|at| format!("`{at}`"));
            let places: Vec<String> = places.collect();
            let message = format!("the answer has nothing at {}", places.join(", "));
            return Err(Error::new(ErrorKind::ProviderFailed, message).hint(
                "the provider may have changed its answers; the offer's output says where to look",
            ));
        }
        Ok(read)
    }
}

impl OutputRule {
    fn find_files(&self, answer: &Json, read: &mut Read) -> Result<()> {
        if self.file == FileIn::Body {
            self.add(FileSource::Body, 0, read);
            return Ok(());
        }
        let mut found = self.at.iter().map(|at| at.all(answer));
        let found = if self.all {
            found.flatten().collect()
        } else {
            found.find(|found| has_something(found)).unwrap_or_default()
        };
        let found = found.into_iter().filter(|found| !found.is_null());
        let found = self.of_that_ending(found.collect()).into_iter();
        let most = if matches!(self.ty, Type::List(_)) { usize::MAX } else { 1 };
        for (index, found) in found.take(most).enumerate() {
            let source = self.source(found).ok_or_else(|| {
                let message = format!("what the answer has for `{}` is not a file", self.name);
                Error::new(ErrorKind::ProviderFailed, message)
            })?;
            self.add(source, index, read);
        }
        Ok(())
    }

    /// The files whose name ends as it should, or all if none does.
    fn of_that_ending<'j>(&self, found: Vec<&'j Json>) -> Vec<&'j Json> {
        let Some(ending) = &self.ending else { return found };
        let ending = ending.to_ascii_lowercase();
        let is_one = |found: &&Json| {
            let name = text_of(found).and_then(|text| text.split(['?', '#']).next());
            name.is_some_and(|name| name.to_ascii_lowercase().ends_with(&ending))
        };
        let wanted: Vec<&Json> = found.iter().copied().filter(is_one).collect();
        if wanted.is_empty() { found } else { wanted }
    }

    fn source(&self, found: &Json) -> Option<FileSource> {
        if self.file == FileIn::Item {
            return Some(FileSource::Item(found.clone()));
        }
        let text = text_of(found).filter(|text| !text.is_empty())?.to_owned();
        Some(match self.file {
            FileIn::Base64 => FileSource::Base64(text),
            FileIn::Hex => FileSource::Hex(text),
            _ => FileSource::Url(text),
        })
    }

    fn add(&self, source: FileSource, index: usize, read: &mut Read) {
        read.files.push(FoundFile {
            output: self.name.clone(),
            index,
            ty: self.ty.clone(),
            media_type: self.media_type.clone(),
            source,
        });
    }

    fn find_value(&self, answer: &Json, read: &mut Read) {
        let Some(found) = self.at.iter().find_map(|at| at.first(answer)) else { return };
        let many = self.at.iter().any(Pointer::is_many) && matches!(self.ty, Type::List(_));
        let found = if many {
            self.at.iter().flat_map(|at| at.all(answer)).cloned().collect()
        } else {
            found.clone()
        };
        let Ok(value) = Value::from_json(found) else { return };
        let value = match (self.times, value.as_number()) {
            (Some(times), Some(number)) => Value::Number(number * times),
            _ => value,
        };
        // What is of another type is not that output: a call does not fail for a seed.
        if self.ty.admits(&value) {
            read.values.insert(self.name.clone(), value);
        }
    }
}

/// The text that stands for a file: some answers have a URL, others an object around it.
fn text_of(found: &Json) -> Option<&str> {
    found.as_str().or_else(|| found.get("url")?.as_str())
}

fn has_something(found: &[&Json]) -> bool {
    found.iter().any(|found| !found.is_null())
}

fn item_type(ty: &Type) -> &Type {
    match ty {
        Type::List(item) => item_type(item),
        other => other,
    }
}

impl Read {
    /// The output, with the files in the order in which [`Read::files`] has them. A file of which
    /// nothing was handed in is left out.
    pub fn into_values(self, assets: Vec<AssetRef>) -> Values {
        let mut values = self.values;
        let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (file, asset) in self.files.into_iter().zip(assets) {
            if matches!(file.ty, Type::List(_)) {
                lists.entry(file.output).or_default().push(Value::from(asset));
            } else {
                values.insert(file.output, Value::from(asset));
            }
        }
        values.extend(lists.into_iter().map(|(name, items)| (name, Value::List(items))));
        values
    }
}
