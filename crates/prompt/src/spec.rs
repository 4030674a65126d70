//! The parts of a prompt, and the words that they make for a model.

use impasto_domain::{Error, Result, Value};

use crate::words::part_of;

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Who or what.
    Subject,
    /// What it does.
    Action,
    /// Where.
    Setting,
    /// In what manner: photography, watercolour.
    Style,
    /// The light.
    Lighting,
    /// From where it is seen.
    Perspective,
    /// How the picture is laid out.
    Composition,
    /// The feeling.
    Mood,
    /// The colours.
    Palette,
    /// Lens and movement.
    Camera,
    /// What is to be left out.
    Negative,
    /// Anything else.
    Extra,
}

impl Part {
    /// Every part, in the order in which a model is told.
    pub const ALL: [Self; 12] = [
        Self::Subject,
        Self::Action,
        Self::Setting,
        Self::Style,
        Self::Lighting,
        Self::Perspective,
        Self::Composition,
        Self::Mood,
        Self::Palette,
        Self::Camera,
        Self::Extra,
        Self::Negative,
    ];

    /// Its name in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Action => "action",
            Self::Setting => "setting",
            Self::Style => "style",
            Self::Lighting => "lighting",
            Self::Perspective => "perspective",
            Self::Composition => "composition",
            Self::Mood => "mood",
            Self::Palette => "palette",
            Self::Camera => "camera",
            Self::Negative => "negative",
            Self::Extra => "extra",
        }
    }

    /// The part that a key of a file names; `background` is another word for the setting.
    fn named(key: &str) -> Option<Self> {
        if key == "background" {
            return Some(Self::Setting);
        }
        Self::ALL.into_iter().find(|part| part.as_str() == key)
    }
}

/// What a prompt says, part by part. An empty part says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptSpec {
    /// Who or what.
    pub subject: String,
    /// What it does.
    pub action: String,
    /// Where.
    pub setting: String,
    /// In what manner.
    pub style: String,
    /// The light.
    pub lighting: String,
    /// From where it is seen.
    pub perspective: String,
    /// How the picture is laid out.
    pub composition: String,
    /// The feeling.
    pub mood: String,
    /// The colours.
    pub palette: String,
    /// Lens and movement.
    pub camera: String,
    /// What is to be left out.
    pub negative: String,
    /// Anything else.
    pub extra: String,
    /// The text as it was written, if it was written as one text.
    text: Option<String>,
}

impl PromptSpec {
    /// What one text says. It is told to a model as it was written; the parts are for judging it.
    pub fn from_text(text: &str) -> Self {
        let mut spec = Self { text: Some(text.trim().to_owned()), ..Self::default() };
        for phrase in text.split([',', ';', '.']).map(str::trim).filter(|phrase| !phrase.is_empty())
        {
            let part = part_of(phrase).unwrap_or(match spec.subject.is_empty() {
                true => Part::Subject,
                false => Part::Extra,
            });
            spec.add(part, phrase);
        }
        // A text that begins with a sign ("a lamp") speaks of its subject first all the same.
        if spec.subject.is_empty() {
            let first = text.split([',', ';', '.']).next().unwrap_or_default();
            spec.add(Part::Subject, first.trim());
        }
        spec
    }

    /// Reads a prompt from a text or from a map of its parts.
    ///
    /// # Errors
    /// A key that is no part, or a part that is not text.
    pub fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Text(text) => Ok(Self::from_text(text)),
            Value::Map(parts) => {
                let mut spec = Self::default();
                for (key, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
                    spec.add(part_named(key)?, &text_of(key, value)?);
                }
                Ok(spec)
            }
            other => Err(Error::invalid(format!(
                "a prompt is text or a map of its parts, not {}",
                other.type_name()
            ))),
        }
    }

    /// What it says of a part.
    pub fn get(&self, part: Part) -> &str {
        match part {
            Part::Subject => &self.subject,
            Part::Action => &self.action,
            Part::Setting => &self.setting,
            Part::Style => &self.style,
            Part::Lighting => &self.lighting,
            Part::Perspective => &self.perspective,
            Part::Composition => &self.composition,
            Part::Mood => &self.mood,
            Part::Palette => &self.palette,
            Part::Camera => &self.camera,
            Part::Negative => &self.negative,
            Part::Extra => &self.extra,
        }
    }

    /// The same with another part; it no longer is the text that was written.
    #[must_use]
    pub fn with(mut self, part: Part, text: &str) -> Self {
        self.text = None;
        text.clone_into(self.part_mut(part));
        self
    }

    /// The text as it was written, if it was written as one text.
    pub fn as_written(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn add(&mut self, part: Part, phrase: &str) {
        let slot = self.part_mut(part);
        if !slot.is_empty() && !phrase.is_empty() {
            slot.push_str(", ");
        }
        slot.push_str(phrase);
    }

    fn part_mut(&mut self, part: Part) -> &mut String {
        match part {
            Part::Subject => &mut self.subject,
            Part::Action => &mut self.action,
            Part::Setting => &mut self.setting,
            Part::Style => &mut self.style,
            Part::Lighting => &mut self.lighting,
            Part::Perspective => &mut self.perspective,
            Part::Composition => &mut self.composition,
            Part::Mood => &mut self.mood,
            Part::Palette => &mut self.palette,
            Part::Camera => &mut self.camera,
            Part::Negative => &mut self.negative,
            Part::Extra => &mut self.extra,
        }
    }
}

fn part_named(key: &str) -> Result<Part> {
    Part::named(key).ok_or_else(|| {
        let known: Vec<&str> = Part::ALL.into_iter().map(Part::as_str).collect();
        Error::invalid(format!("a prompt has no part `{key}`"))
            .hint(format!("the parts are {}", known.join(", ")))
    })
}

/// A part is a text, or a list of texts.
fn text_of(key: &str, value: &Value) -> Result<String> {
    let texts: Option<Vec<&str>> = match value {
        Value::Text(text) => Some(vec![text]),
        Value::List(items) => items.iter().map(Value::as_text).collect(),
        _ => None,
    };
    let wrong = || {
        Error::invalid(format!("the part `{key}` of a prompt is text, not {}", value.type_name()))
    };
    Ok(texts.ok_or_else(wrong)?.join(", "))
}

/// How a model likes to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptStyle {
    /// In phrases that say what they speak of.
    Sentence,
    /// In words with commas between.
    Tags,
}

/// The words for a model. What is to be left out is not among them: it is `spec.negative`.
pub fn compile(spec: &PromptSpec, style: PromptStyle) -> String {
    if let Some(text) = &spec.text {
        return text.clone();
    }
    let told = Part::ALL.into_iter().filter(|part| *part != Part::Negative);
    let parts = told.map(|part| (part, spec.get(part).trim())).filter(|(_, text)| !text.is_empty());
    let phrases = parts.map(|(part, text)| match (style, part) {
        (PromptStyle::Sentence, Part::Lighting) => format!("lighting: {text}"),
        (PromptStyle::Sentence, Part::Mood) => format!("mood: {text}"),
        (PromptStyle::Sentence, Part::Palette) => format!("colour palette: {text}"),
        _ => text.to_owned(),
    });
    phrases.collect::<Vec<_>>().join(if style == PromptStyle::Sentence { ". " } else { ", " })
}

#[cfg(test)]
mod tests {
    use impasto_domain::Values;
    use proptest::prelude::*;

    use super::*;

    fn map(parts: &[(&str, &str)]) -> Value {
        Value::Map(
            parts
                .iter()
                .map(|(key, text)| ((*key).to_owned(), Value::from(*text)))
                .collect::<Values>(),
        )
    }

    #[test]
    fn a_text_is_read_into_parts_and_told_as_written() {
        let text = "a red mug on marble, soft window light from the left, eye level, calm, product photography";
        let spec = PromptSpec::from_text(text);
        assert_eq!(spec.subject, "a red mug on marble");
        assert_eq!(spec.lighting, "soft window light from the left");
        assert_eq!(spec.perspective, "eye level");
        assert_eq!((spec.mood.as_str(), spec.style.as_str()), ("calm", "product photography"));
        assert_eq!(compile(&spec, PromptStyle::Tags), text);
        assert_eq!(PromptSpec::from_text("a lamp").subject, "a lamp");
    }

    #[test]
    fn a_map_says_its_parts() {
        let spec = map(&[("subject", "a mug"), ("mood", "calm"), ("background", "a kitchen")]);
        let spec = PromptSpec::from_value(&spec).unwrap();
        assert_eq!(compile(&spec, PromptStyle::Sentence), "a mug. a kitchen. mood: calm");
        assert_eq!(compile(&spec, PromptStyle::Tags), "a mug, a kitchen, calm");
    }

    #[test]
    fn what_is_no_prompt_is_refused() {
        let error = PromptSpec::from_value(&map(&[("colour", "red")])).unwrap_err();
        assert!(error.message.contains("`colour`") && error.hint.unwrap().contains("palette"));
        assert!(PromptSpec::from_value(&Value::from(3)).is_err());
        assert!(
            PromptSpec::from_value(&Value::Map([("mood".to_owned(), Value::from(1))].into()))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_text_is_told_as_written(text in ".{0,200}") {
            let spec = PromptSpec::from_text(&text);
            prop_assert_eq!(compile(&spec, PromptStyle::Sentence), text.trim());
        }

        #[test]
        fn every_part_that_is_given_is_told(texts in prop::collection::vec("[a-z]{3,9}", 11)) {
            let parts: Vec<(&str, &str)> = Part::ALL.iter().map(|part| part.as_str()).zip(texts.iter().map(String::as_str)).collect();
            let spec = PromptSpec::from_value(&map(&parts)).unwrap();
            for style in [PromptStyle::Sentence, PromptStyle::Tags] {
                let told = compile(&spec, style);
                prop_assert!(texts.iter().all(|text| told.contains(text.as_str())));
            }
        }
    }
}
