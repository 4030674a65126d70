//! The catalogue that is part of the program: it loads without a word, and every task can be done.

use super::shown;
use crate::{Catalog, Layer};
use impasto_domain::{OfferId, Values};

fn embedded() -> Catalog {
    let loaded = Catalog::load(&[Layer::embedded()]).map_err(|findings| shown(&findings));
    let (catalog, warnings) = loaded.unwrap();
    assert!(warnings.is_empty(), "{}", shown(&warnings));
    catalog
}

#[test]
fn every_task_has_an_offer_that_can_be_called() {
    let catalog = embedded();
    assert!(catalog.tasks.len() >= 34, "{} tasks", catalog.tasks.len());
    for task in catalog.tasks.values() {
        assert!(catalog.offers_for(&task.id).count() > 0, "nothing performs {}", task.id);
    }
    for offer in catalog.offers.values() {
        assert!(!offer.endpoint.is_empty() && !offer.version.is_empty(), "{}", offer.id);
        let plain = OfferId::of(&offer.model, &offer.provider, &offer.task);
        let id = match &offer.variant {
            Some(variant) => OfferId::new(format!("{plain}:{variant}")),
            None => plain,
        };
        assert_eq!(offer.id, id);
        let (low, high) = offer.time.range_ms(&Values::new()).into_inner();
        let likely = offer.time.estimate_ms(&Values::new());
        assert!(
            (low..=high).contains(&likely) && likely > 0,
            "{}: {low} {likely} {high}",
            offer.id
        );
    }
}

#[test]
fn what_the_built_in_models_cost_and_are_is_said_honestly() {
    let catalog = embedded();
    for offer in catalog.offers.values() {
        let local = catalog.provider(&offer.provider).unwrap().is_local();
        assert_eq!(offer.price.is_free(), local, "{}", offer.id);
    }
    for provider in catalog.providers.values().filter(|provider| provider.dialect == "sketch") {
        let offers = catalog.offers.values().filter(|offer| offer.provider == provider.id);
        for offer in offers {
            let model = catalog.model(&offer.model).unwrap();
            assert!(model.note.contains("not a neural model"), "{}", model.id);
        }
    }
}

#[test]
fn fields_keep_the_order_of_the_file() {
    let catalog = embedded();
    let fields = &catalog.tasks[&"text-to-image".into()].input;
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names[..3], ["prompt", "negative_prompt", "aspect_ratio"]);
}
