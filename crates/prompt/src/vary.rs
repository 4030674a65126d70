//! Small, named changes to a prompt, one part at a time.

use crate::spec::{Part, PromptSpec};

/// A prompt that differs from another in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The prompt.
    pub spec: PromptSpec,
    /// The part that changed.
    pub part: Part,
    /// What it says now.
    pub change: String,
}

/// Parts that may change without making another picture of it, and what they may say.
const CHOICES: &[(Part, &[&str])] = &[
    (
        Part::Lighting,
        &[
            "soft window light from the left",
            "golden hour from the right",
            "large softbox from above",
            "hard noon sun",
        ],
    ),
    (Part::Perspective, &["eye level", "three-quarter view", "low angle", "close-up"]),
    (Part::Mood, &["calm, fresh", "warm, cosy", "elegant, quiet", "dramatic"]),
    (
        Part::Composition,
        &["centred", "rule of thirds", "negative space on the left", "shallow depth of field"],
    ),
];

/// Up to `count` variants, each with one part changed; which, and to what, follows from `seed`.
/// No two are equal, and none says what the prompt said already.
pub fn vary(spec: &PromptSpec, seed: u64, count: usize) -> Vec<Variant> {
    let changes = CHOICES.iter().flat_map(|(part, texts)| texts.iter().map(|text| (*part, *text)));
    let mut changes: Vec<(Part, &str)> =
        changes.filter(|(part, text)| spec.get(*part) != *text).collect();
    changes.sort_by_key(|(part, text)| mixed(seed, part.as_str(), text));
    let variant = |(part, text): (Part, &str)| Variant {
        spec: spec.clone().with(part, text),
        part,
        change: format!("{}: {text}", part.as_str()),
    };
    changes.into_iter().take(count).map(variant).collect()
}

/// A number that looks drawn but follows from its arguments (FNV-1a).
fn mixed(seed: u64, part: &str, text: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(part.bytes()).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_differ_in_one_part_and_follow_from_the_seed() {
        let spec = PromptSpec::from_text("a mug on marble, eye level");
        let variants = vary(&spec, 7, 5);
        assert_eq!((variants.len(), &variants), (5, &vary(&spec, 7, 5)));
        assert_ne!(variants, vary(&spec, 8, 5));
        for variant in &variants {
            let others = Part::ALL.into_iter().filter(|part| *part != variant.part);
            assert!(others.into_iter().all(|part| variant.spec.get(part) == spec.get(part)));
            assert_ne!(variant.spec.get(variant.part), spec.get(variant.part));
        }
        assert!(vary(&spec, 1, 999).len() > 10);
    }
}
