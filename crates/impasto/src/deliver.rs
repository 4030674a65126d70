//! Outputs as files in a folder, with `run.json` beside them.
//!
//! A file appears under its name only when it is whole. The folder is tried before any work is done,
//! so that nothing is made that cannot be delivered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use impasto_domain::{AssetRef, Error, Result, Value};
use impasto_engine::{Engine, RunReport};
use impasto_workflow::{Output, Plan};

/// The name of the report beside the outputs.
const REPORT: &str = "run.json";

/// Makes the folder and tries whether files can be written to it.
pub(crate) fn try_folder(folder: &Path) -> Result<()> {
    let probe = folder.join(format!(".impasto-{}", std::process::id()));
    let tried = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| unwritable(folder, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "free some space; the results are kept, and `impasto resume RUN -o DIR` writes them"
        }
        _ => "name another folder with -o",
    };
    Error::unavailable(format!("'{}' cannot be written: {error}", path.display())).hint(hint)
}

/// A file that was delivered.
pub(crate) struct Delivered {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Writes every output that is a file, and the report. Answers with what was written, in order.
pub(crate) fn deliver(
    engine: &Engine,
    plan: &Plan,
    report: &RunReport,
    folder: &Path,
) -> Result<Vec<Delivered>> {
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut delivered = Vec::new();
    for (name, asset) in named_assets(plan, report) {
        let bytes = engine.bytes(&asset, Arc::new(move |_, _| ()))?;
        let extension = if asset.is_timeline() { "mp4" } else { asset.extension() };
        let file = if Path::new(&name).extension().is_some() {
            name
        } else {
            format!("{name}.{extension}")
        };
        delivered.push(write(&folder.join(file), &bytes)?);
    }
    let text = serde_json::to_vec_pretty(report)
        .map_err(|error| Error::internal(format!("the report cannot be written: {error}")))?;
    delivered.push(write(&folder.join(REPORT), &text)?);
    Ok(delivered)
}

/// The files among the outputs with the names that they are to have; the items of a list are numbered.
fn named_assets(plan: &Plan, report: &RunReport) -> Vec<(String, AssetRef)> {
    let Some(output) = &report.output else { return Vec::new() };
    let of = |one: &Output| {
        let name = one.file.clone().unwrap_or_else(|| one.name.clone());
        match output.get(&one.name) {
            Some(Value::Asset(asset)) => vec![(name, AssetRef::clone(asset))],
            Some(value @ Value::List(_)) => {
                let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
                let dot = if extension.is_empty() { "" } else { "." };
                let numbered = |(at, asset): (usize, &AssetRef)| {
                    (format!("{stem}-{}{dot}{extension}", at + 1), asset.clone())
                };
                value.assets().into_iter().enumerate().map(numbered).collect()
            }
            _ => Vec::new(),
        }
    };
    plan.outputs.iter().flat_map(of).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<Delivered> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let draft = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = std::fs::write(&draft, bytes).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        let _left = std::fs::remove_file(&draft);
        unwritable(path, &error)
    })?;
    Ok(Delivered { path: path.to_owned(), bytes: bytes.len() as u64 })
}
