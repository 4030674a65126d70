//! `tasks`: what the catalogue knows to be done, for people and for machines. Also where its layers
//! are read from.

use std::path::{Path, PathBuf};

use impasto_catalog::{Catalog, Finding, Layer};
use impasto_domain::{Error, Field, Result, Task, TaskId};

use crate::inputs::unreadable;
use crate::screen::{Screen, Style};

/// The most files that a folder on top of the catalogue may hold.
const FILES_MAX: usize = 10_000;
/// The largest file of a catalogue, in bytes.
const FILE_BYTES_MAX: u64 = 1_000_000;

/// The files of the built-in catalogue, and those of a folder on top.
pub(crate) fn layers(folder: Option<&Path>) -> Result<Vec<Layer>> {
    let mut layers = vec![Layer::embedded()];
    if let Some(folder) = folder {
        layers.push(read_folder(folder)?);
    }
    Ok(layers)
}

/// The built-in catalogue, with a folder of the user's on top. Warnings go to the screen.
pub(crate) fn load(folder: Option<&Path>, screen: Screen) -> Result<Catalog> {
    let layers = layers(folder)?;
    let shown = |finding: &Finding| {
        let place = folder.map_or_else(PathBuf::new, |folder| folder.join(&finding.path));
        finding.diagnostic.render(&place.display().to_string(), &finding.text)
    };
    match Catalog::load(&layers) {
        Ok((catalog, warnings)) => {
            warnings.iter().for_each(|warning| screen.raw_note(&shown(warning)));
            Ok(catalog)
        }
        Err(findings) => {
            findings.iter().for_each(|finding| screen.raw_note(&shown(finding)));
            let message = format!("the catalogue has {} error(s)", findings.len());
            let first = findings.first().map(|finding| {
                let (line, _) = finding.diagnostic.position(&finding.text).unwrap_or((0, 0));
                format!(
                    ", the first in {}, line {line}: {}",
                    finding.path, finding.diagnostic.message
                )
            });
            let message = message + &first.unwrap_or_default();
            Err(Error::invalid(message).hint("mend the places shown above"))
        }
    }
}

fn read_folder(folder: &Path) -> Result<Layer> {
    let mut layer = Layer { name: folder.display().to_string(), files: Vec::new() };
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next).map_err(|error| unreadable(&next, &error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                layer.files.push((relative(folder, &path), read_file(&path)?));
            }
        }
        if layer.files.len() > FILES_MAX {
            let message = format!("'{}' holds more than {FILES_MAX} files", folder.display());
            return Err(Error::invalid(message)
                .hint("name the folder that holds tasks/, providers/ and models/"));
        }
    }
    Ok(layer)
}

fn relative(folder: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(folder).unwrap_or(path).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn read_file(path: &Path) -> Result<String> {
    let bytes = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if bytes > FILE_BYTES_MAX {
        let message =
            format!("'{}' has {bytes} bytes, the most is {FILE_BYTES_MAX}", path.display());
        return Err(Error::invalid(message));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

/// `impasto tasks`.
pub(crate) fn list_tasks(catalog: &Catalog, screen: Screen) {
    if screen.json {
        screen.json_block(&catalog.tasks.values().collect::<Vec<_>>());
        return;
    }
    let names = |fields: &[Field]| {
        fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let row =
        |task: &Task| vec![task.id.to_string(), task.description.clone(), names(&task.output)];
    let rows: Vec<Vec<String>> = catalog.tasks.values().map(row).collect();
    screen.table(&["task", "what it does", "gives"], &rows);
}

/// `impasto tasks TASK`.
pub(crate) fn show_task(catalog: &Catalog, id: &str, screen: Screen) -> Result<()> {
    let task = catalog.task(&TaskId::new(id))?;
    if screen.json {
        screen.json_block(task);
        return Ok(());
    }
    screen.line(format!("{}  {}\n", screen.paint(task.id.as_str(), Style::Bold), task.description));
    screen.table(
        &["takes", "type", "", "meaning"],
        &task.input.iter().map(field_row).collect::<Vec<_>>(),
    );
    screen.line("");
    screen.table(
        &["gives", "type", "", "meaning"],
        &task.output.iter().map(field_row).collect::<Vec<_>>(),
    );
    screen.line("\noffered by:");
    for offer in catalog.offers_for(&task.id) {
        screen.line(format!("  {}", offer.id));
    }
    Ok(())
}

fn field_row(field: &Field) -> Vec<String> {
    vec![field.name.clone(), field.ty.to_string(), limits(field), field.description.clone()]
}

/// What is asked of a field beyond its type: `required`, `1 to 16`, `default 4 s`.
fn limits(field: &Field) -> String {
    let unit = field.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let range = match (field.min, field.max) {
        (Some(min), Some(max)) => Some(format!("{min} to {max}{unit}")),
        (Some(min), None) => Some(format!("from {min}{unit}")),
        (None, Some(max)) => Some(format!("up to {max}{unit}")),
        (None, None) => None,
    };
    let values = (!field.values.is_empty()).then(|| field.values.join(" | "));
    let default = field.default.as_ref().map(|default| format!("default {}", default.to_json()));
    let required = field.required.then(|| "required".to_owned());
    [required, values, range, default].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
