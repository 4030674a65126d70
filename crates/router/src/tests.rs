//! Tests of the router: its promises over generated catalogues, and its words over a small one.

mod promises;
mod words;

use impasto_catalog::{Catalog, Finding, Layer};

/// A model with one offer for the task `draw`.
#[derive(Clone, Debug)]
struct Entry {
    provider: String,
    tier: &'static str,
    licence: &'static str,
    /// In millionths of a dollar per call.
    price: i64,
    time_ms: u64,
    /// Further keys of the offer.
    extra: &'static str,
}

const TASK: &str = r#"
id = "draw"
title = "Draw"
description = "Draws."
[input.prompt]
type = "prompt"
[input.size]
type = "integer"
default = 2
min = 1
max = 9
[input.seed]
type = "integer"
[output.image]
type = "image"
"#;

fn provider(id: &str) -> (String, String) {
    let text = format!(
        "id = \"{id}\"\ntitle = \"P\"\ndescription = \"P\"\ndialect = \"tools\"\nconcurrency = 2\n"
    );
    (format!("providers/{id}.toml"), text)
}

fn model(id: &str, entry: &Entry) -> (String, String) {
    let Entry { provider, tier, licence, price, time_ms, extra } = entry;
    let dollars = impasto_domain::Money::micros(*price);
    let text = format!(
        r#"
id = "{id}"
title = "M"
company = "acme"
version = "1"
licence = "{licence}"
training_data = "none"
description = "M"
tier = "{tier}"
[[offers]]
provider = "{provider}"
task = "draw"
endpoint = "draw"
price = {{ as_of = "2026-11-01", source = "test", lines = [{{ per = "request", usd = "{dollars}" }}] }}
time = {{ fixed_ms = {time_ms} }}
{extra}
"#
    );
    (format!("models/acme/{id}.toml"), text)
}

/// The catalogue of those models, named `m0`, `m1`, … , and the providers `p0` and `p1`.
fn files(entries: &[Entry]) -> Vec<(String, String)> {
    let mut files = vec![("tasks/draw.toml".to_owned(), TASK.to_owned())];
    files.extend(["p0", "p1"].map(provider));
    files.extend(entries.iter().enumerate().map(|(n, entry)| model(&format!("m{n}"), entry)));
    files
}

fn load(files: Vec<(String, String)>) -> Result<Catalog, String> {
    let loaded = Catalog::load(&[Layer { name: "test".to_owned(), files }]);
    let shown = |findings: Vec<Finding>| findings.iter().map(Finding::render).collect::<String>();
    loaded.map(|(catalog, _)| catalog).map_err(shown)
}
