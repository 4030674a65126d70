//! The examples of the guide are files that load.

use super::{layer, pencil, with};
use crate::{Catalog, Layer};

const GUIDE: &str = include_str!("../../../../docs/guides/catalogue.md");

fn examples() -> Vec<&'static str> {
    let blocks = GUIDE.split("```toml\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn the_examples_load() {
    let [model, task, provider, hosted, offered, price] = examples()[..] else {
        unreachable!("the guide has two models, a task, two providers and a price")
    };
    let files = [
        ("models/acme/quick-sketch.toml", model),
        ("tasks/sharpen-image.toml", task),
        ("providers/builtin.toml", provider),
        ("providers/acme-cloud.toml", hosted),
        ("models/acme/acme-pixels-2.toml", offered),
    ];
    let loaded = Catalog::load(&[Layer::embedded(), layer("yours", &files)]);
    let (catalog, warnings) = loaded.map_err(|findings| super::shown(&findings)).unwrap();
    assert!(catalog.models.contains_key(&"quick-sketch".into()));
    // The guide says so itself: a task needs something that performs it.
    assert_eq!(warnings.len(), 1, "{}", super::shown(&warnings));
    let priced = Catalog::load(&with(&[("models/acme/pencil.toml", &pencil(price))]));
    assert!(priced.is_ok(), "{}", super::shown(&priced.unwrap_err()));
}
