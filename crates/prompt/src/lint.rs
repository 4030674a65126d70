//! What a prompt lacks, and what it says in vain.

use crate::spec::{Part, PromptSpec};
use crate::words::{CONTRADICTIONS, EMPTY, says};

/// What the prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A picture.
    Image,
    /// A clip.
    Video,
    /// Music.
    Music,
}

/// A piece of advice about a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The part that it is about.
    pub part: Part,
    /// What is the matter, as a sentence without a full stop.
    pub message: String,
    /// What to write, for instance.
    pub example: String,
}

/// The longest prompt that models read to the end, in characters.
const CHARS_MAX: usize = 1_500;

/// What to ask of the parts of a prompt for a picture: what it decides, and an example.
const PICTURE_PARTS: &[(Part, &str, &str)] = &[
    (
        Part::Lighting,
        "says nothing about the light, which decides most of how it looks",
        "soft window light from the left",
    ),
    (Part::Perspective, "says nothing about where it is seen from", "eye level, close-up"),
    (Part::Style, "says nothing about the style", "product photography"),
    (Part::Mood, "says nothing about the mood", "calm, fresh"),
];

/// What to ask of a prompt for music.
const MUSIC_SIGNS: &[(&[&str], &str, &str)] = &[
    (
        &[
            "piano",
            "guitar",
            "strings",
            "drums",
            "percussion",
            "synth",
            "bass",
            "bells",
            "pad",
            "acoustic",
            "electronic",
        ],
        "names no instrument",
        "soft piano and light percussion",
    ),
    (
        &[
            "calm",
            "warm",
            "uplifting",
            "dark",
            "happy",
            "sad",
            "tense",
            "dreamy",
            "energetic",
            "gentle",
            "bright",
            "moody",
            "epic",
        ],
        "names no mood",
        "warm and calm",
    ),
];

/// Everything worth saying about a prompt; nothing if it says all that matters.
pub fn lint(spec: &PromptSpec, medium: Medium) -> Vec<Advice> {
    let whole = whole_text(spec);
    let mut advice = Vec::new();
    if !whole.contains(char::is_alphanumeric) {
        return vec![say(
            Part::Subject,
            "the prompt is empty",
            "a red mug on marble, soft window light",
        )];
    }
    match medium {
        Medium::Music => {
            let missing = MUSIC_SIGNS
                .iter()
                .filter(|(words, ..)| words.iter().all(|word| !says(&whole, word)));
            advice
                .extend(missing.map(|(_, message, example)| say(Part::Subject, message, example)));
        }
        Medium::Image | Medium::Video => {
            advice.extend(lint_subject(spec));
            let missing = PICTURE_PARTS.iter().filter(|(part, ..)| spec.get(*part).is_empty());
            advice.extend(missing.map(|(part, message, example)| say(*part, message, example)));
        }
    }
    if medium == Medium::Video && spec.camera.is_empty() && !says(&whole, "camera") {
        advice.push(say(Part::Camera, "says nothing about how the camera moves", "slow push-in"));
    }
    advice.extend(lint_words(&whole));
    advice
}

fn lint_subject(spec: &PromptSpec) -> Option<Advice> {
    let words = spec.subject.split_whitespace().filter(|word| !["a", "an", "the"].contains(word));
    let telling = words.filter(|word| !EMPTY.contains(&word.to_lowercase().as_str())).count();
    let message = "the subject is a single word; say what it looks like and where it stands";
    (telling < 2).then(|| say(Part::Subject, message, "a red enamel mug on a marble tabletop"))
}

fn lint_words(whole: &str) -> Vec<Advice> {
    let mut advice = Vec::new();
    for word in EMPTY.iter().filter(|word| says(whole, word)) {
        let message = format!("'{word}' says nothing that a model can show");
        advice.push(say(Part::Extra, &message, "say what makes it so: material, light, detail"));
    }
    for (some, others) in CONTRADICTIONS {
        let found = |words: &[&'static str]| words.iter().copied().find(|word| says(whole, word));
        if let (Some(one), Some(other)) = (found(some), found(others)) {
            let message = format!("'{one}' and '{other}' cannot both be");
            advice.push(say(Part::Extra, &message, &format!("keep '{one}' or '{other}'")));
        }
    }
    if let Some(negation) = ["without", "no", "not"].into_iter().find(|word| says(whole, word)) {
        let message =
            format!("'{negation}' is often shown all the same: models draw what is named");
        advice.push(say(Part::Negative, &message, "name it in negative_prompt"));
    }
    let length = whole.chars().count();
    if length > CHARS_MAX {
        let message =
            format!("it has {length} characters; models lose the thread after about {CHARS_MAX}");
        advice.push(say(Part::Extra, &message, "keep what decides the picture"));
    }
    advice
}

fn whole_text(spec: &PromptSpec) -> String {
    let told = Part::ALL.into_iter().filter(|part| *part != Part::Negative);
    told.map(|part| spec.get(part)).collect::<Vec<_>>().join(", ").to_lowercase()
}

fn say(part: Part, message: &str, example: &str) -> Advice {
    Advice { part, message: message.to_owned(), example: example.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, medium: Medium, expected: &[Part]) {
        let advice = lint(&PromptSpec::from_text(text), medium);
        assert_eq!(
            advice.iter().map(|advice| advice.part).collect::<Vec<_>>(),
            expected,
            "{advice:?}"
        );
    }

    #[test]
    fn a_vague_prompt_is_told_what_it_lacks() {
        use Part::{Camera, Extra, Lighting, Mood, Negative, Perspective, Style, Subject};
        check("", Medium::Image, &[Subject]);
        check("a nice mug", Medium::Image, &[Subject, Lighting, Perspective, Style, Mood, Extra]);
        let full = "a red mug on marble, soft window light, eye level, product photography, calm";
        check(full, Medium::Image, &[]);
        check(full, Medium::Video, &[Camera]);
        check(&format!("{full}, without handles"), Medium::Image, &[Negative]);
        check(&format!("{full}, low angle, flat lay"), Medium::Image, &[Extra]);
        check("warm, calm acoustic piece with soft piano", Medium::Music, &[]);
        check("a song", Medium::Music, &[Subject, Subject]);
    }

    fn told(text: &str, medium: Medium) -> String {
        let lines = lint(&PromptSpec::from_text(text), medium).into_iter().map(|advice| {
            format!("{}: {} -> {}", advice.part.as_str(), advice.message, advice.example)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn advice_reads_well() {
        insta::assert_snapshot!(told("a beautiful mug, no handle", Medium::Image), @r"
        subject: the subject is a single word; say what it looks like and where it stands -> a red enamel mug on a marble tabletop
        lighting: says nothing about the light, which decides most of how it looks -> soft window light from the left
        perspective: says nothing about where it is seen from -> eye level, close-up
        style: says nothing about the style -> product photography
        mood: says nothing about the mood -> calm, fresh
        extra: 'beautiful' says nothing that a model can show -> say what makes it so: material, light, detail
        negative: 'no' is often shown all the same: models draw what is named -> name it in negative_prompt
        ");
        insta::assert_snapshot!(told("some background tune", Medium::Music), @r"
        subject: names no instrument -> soft piano and light percussion
        subject: names no mood -> warm and calm
        ");
    }

    #[test]
    fn a_prompt_with_every_part_needs_no_advice() {
        let mut spec = PromptSpec::default();
        for (part, text) in Part::ALL.into_iter().zip([
            "a red enamel mug",
            "steaming",
            "on a marble tabletop in a kitchen",
            "product photography",
            "soft window light from the left",
            "eye level",
            "rule of thirds",
            "calm, fresh",
            "cream and pale blue",
            "slow push-in",
            "gentle piano in the background",
            "people, text",
        ]) {
            spec = spec.with(part, text);
        }
        for medium in [Medium::Image, Medium::Video, Medium::Music] {
            assert_eq!(lint(&spec, medium), []);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_judged(text in ".{0,300}") {
            for medium in [Medium::Image, Medium::Video, Medium::Music] {
                let advice = lint(&PromptSpec::from_text(&text), medium);
                prop_assert!(advice.iter().all(|advice| !advice.example.is_empty()));
            }
        }
    }
}
