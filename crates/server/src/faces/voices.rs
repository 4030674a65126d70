//! Voices: which there are, and which of them a client means. The names by which the clients of a face
//! know voices are data: `data/voices.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use impasto_catalog::{Catalog, Offer, similar};
use impasto_domain::{Error, ModelId, Result, TaskId};

/// The task that has voices.
pub(crate) const SPEAK: &str = "text-to-speech";
/// The input that names one.
const VOICE: &str = "voice";

static NAMES: LazyLock<BTreeMap<String, BTreeMap<String, String>>> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/voices.toml")).unwrap_or_default());

/// The voices that are known of a model, or of all that work in this process; none if any name may be
/// one.
pub(crate) fn known(catalog: &Catalog, model: Option<&ModelId>) -> Option<BTreeSet<String>> {
    let mut voices = BTreeSet::new();
    for narrowed in narrowings(catalog, model) {
        match narrowed {
            Some(values) => voices.extend(values.iter().cloned()),
            None if model.is_some() => return None,
            None => {}
        }
    }
    Some(voices)
}

/// The voices that each offer takes, of a model or of all that work in this process; none of an offer
/// that does not say.
fn narrowings<'c>(catalog: &'c Catalog, model: Option<&ModelId>) -> Vec<Option<&'c [String]>> {
    let is_local = |offer: &Offer| {
        catalog.provider(&offer.provider).is_ok_and(impasto_catalog::Provider::is_local)
    };
    let meant = |offer: &&Offer| match model {
        Some(model) => offer.model == *model,
        None => is_local(offer),
    };
    let narrowed = |offer: &'c Offer| {
        let values = offer.params.get(VOICE).map(|narrowing| narrowing.values.as_slice());
        values.filter(|values| !values.is_empty())
    };
    catalog.offers_for(&TaskId::new(SPEAK)).filter(meant).map(narrowed).collect()
}

/// The voice that a client of `face` means by a name.
pub(crate) fn meant(
    catalog: &Catalog,
    face: &str,
    model: Option<&ModelId>,
    name: &str,
) -> Result<String> {
    let takes = |narrowed: Option<&[String]>| match narrowed {
        Some(values) => values.iter().any(|value| value == name),
        None => model.is_some(),
    };
    if narrowings(catalog, model).into_iter().any(takes) {
        return Ok(name.to_owned());
    }
    let Some(voices) = known(catalog, model) else { return Ok(name.to_owned()) };
    if voices.is_empty() || voices.contains(name) {
        return Ok(name.to_owned());
    }
    let nearest = NAMES.get(face).and_then(|names| names.get(name));
    if let Some(nearest) = nearest.filter(|nearest| voices.contains(*nearest)) {
        return Ok(nearest.clone());
    }
    let listed: Vec<&str> = voices.iter().map(String::as_str).collect();
    let hint = match similar(name, &listed) {
        Some(near) => format!("did you mean `{near}`? there are {}", listed.join(", ")),
        None => format!("there are {}", listed.join(", ")),
    };
    Err(Error::invalid(format!("`voice` is '{name}', which is no voice here")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_means_one_of_ours() {
        let catalog = Catalog::embedded().unwrap();
        let check = |face: &str, name: &str, expected: Option<&str>| {
            let got = meant(&catalog, face, None, name).ok();
            assert_eq!(got.as_deref(), expected, "{face} {name}");
        };
        check("openai", "alloy", Some("female"));
        check("openai", "male-deep", Some("male-deep"));
        check("elevenlabs", "JBFqnCBsd6RMkjVDRZzb", Some("male"));
        check("openai", "JBFqnCBsd6RMkjVDRZzb", None);
    }

    #[test]
    fn every_name_stands_for_a_voice_that_there_is() {
        let voices = known(&Catalog::embedded().unwrap(), None).unwrap();
        assert!(NAMES.len() > 1);
        for name in NAMES.values().flat_map(BTreeMap::values) {
            assert!(voices.contains(name), "{name}");
        }
    }
}
