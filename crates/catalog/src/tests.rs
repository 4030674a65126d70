//! Tests of the catalogue as a whole.

mod diagnostics;
mod embedded;
mod guess;
mod guide;
mod import;
mod layers;
mod mapping;
mod outputs;
mod prices;
mod probe;
mod published;
mod tariffs;
mod verbs;
mod walk;

use crate::{Catalog, Finding, Layer};

const TASK: &str = r#"id = "draw"
title = "Draw"
description = "Draws."
[input.prompt]
type = "prompt"
required = true
max_chars = 2000
[input.num_images]
type = "integer"
default = 1
min = 1
max = 4
[input.width]
type = "integer"
min = 64
max = 4096
[input.height]
type = "integer"
min = 64
max = 4096
[input.duration]
type = "number"
default = 4
min = 1
max = 15
[input.resolution]
type = "text"
default = "720p"
values = ["720p", "1080p", "4k"]
[input.scale]
type = "number"
min = 1
max = 8
[input.sound]
type = "boolean"
[output.image]
type = "image"
"#;

const PROVIDER: &str = r#"id = "paper"
title = "Paper"
description = "Paper."
dialect = "tools"
concurrency = 2
"#;

const HEAD: &str = r#"id = "pencil"
title = "Pencil"
company = "acme"
version = "2"
licence = "MIT"
training_data = "none"
description = "Draws with lines."
tier = "draft"
"#;

/// A model with one offer; `extra` are further lines of the offer, its price among them.
fn pencil(extra: &str) -> String {
    format!(
        "{HEAD}\n[[offers]]\nprovider = \"paper\"\ntask = \"draw\"\nendpoint = \"draw\"\ntime = {{ fixed_ms = 10 }}\n{extra}\n"
    )
}

fn layer(name: &str, files: &[(&str, &str)]) -> Layer {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Layer { name: name.to_owned(), files: files.collect() }
}

/// The task, the provider, and `files`, which may replace either.
fn with(files: &[(&str, &str)]) -> Vec<Layer> {
    let base = [("tasks/draw.toml", TASK), ("providers/paper.toml", PROVIDER)];
    vec![layer("base", &base), layer("test", files)]
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(Finding::render).collect::<Vec<_>>().join("\n")
}

/// A catalogue with the one model that `pencil` makes, or what is wrong with it.
fn one(extra: &str) -> Result<Catalog, String> {
    let loaded = Catalog::load(&with(&[("models/acme/pencil.toml", &pencil(extra))]));
    loaded.map(|(catalog, _)| catalog).map_err(|findings| shown(&findings))
}
