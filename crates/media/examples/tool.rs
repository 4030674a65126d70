//! Runs a built-in tool on files: `tool NAME INPUT.json FOLDER`.
//!
//! In the input, `{"$file": "path"}` stands for a picture; outputs are written to the folder, assets
//! as files and everything else to `output.json`. Made for looking at results while working on a tool.

use std::error::Error;
use std::path::Path;

use impasto_domain::{AssetRef, Bench, MediaFacts, Value, Workbench};
use serde_json::Value as Json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, input, folder] = arguments.as_slice() else {
        return Err("tool NAME INPUT.json FOLDER".into());
    };
    let operations = impasto_media::operations();
    let operation =
        operations.iter().find(|tool| tool.name == name).ok_or("there is no such tool")?;
    let bench = Bench::default();
    let input = with_files(serde_json::from_str(&std::fs::read_to_string(input)?)?, &bench)?;
    let Value::Map(input) = Value::from_json(input)? else {
        return Err("the input is not a map".into());
    };
    let output = (operation.run)(&input, &bench)?;
    std::fs::create_dir_all(folder)?;
    for (name, value) in &output {
        for (place, asset) in value.assets().into_iter().enumerate() {
            let file = format!("{name}-{place}.{}", asset.extension());
            std::fs::write(Path::new(folder).join(file), bench.read(asset)?)?;
        }
    }
    std::fs::write(Path::new(folder).join("output.json"), serde_json::to_vec_pretty(&output)?)?;
    Ok(())
}

fn with_files(json: Json, bench: &Bench) -> Result<Json, Box<dyn Error>> {
    Ok(match json {
        Json::Object(mut map) => match map.get("$file").and_then(Json::as_str) {
            Some(path) => serde_json::json!({ "$asset": loaded(path, bench)? }),
            None => {
                for value in map.values_mut() {
                    *value = with_files(value.take(), bench)?;
                }
                Json::Object(map)
            }
        },
        Json::Array(items) => items
            .into_iter()
            .map(|item| with_files(item, bench))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        plain => plain,
    })
}

fn loaded(path: &str, bench: &Bench) -> Result<AssetRef, Box<dyn Error>> {
    let media_type = if path.ends_with("png") { "image/png" } else { "image/jpeg" };
    Ok(bench.write(std::fs::read(path)?, media_type, MediaFacts::default())?)
}
