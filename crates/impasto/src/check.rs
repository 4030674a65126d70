//! `catalog check`: what is wrong with a folder of tasks, providers and models.

use std::path::{Path, PathBuf};

use impasto_catalog::{Catalog, Finding};
use impasto_domain::{Error, Result, Severity};
use serde_json::json;

use crate::args::{CheckCommand, GlobalFlags};
use crate::runs::{Exit, FINE, RUN_FAILED};
use crate::screen::Screen;
use crate::{catalogue, compose};

/// `impasto catalog check`.
pub(crate) fn run(command: &CheckCommand, global: &GlobalFlags, screen: Screen) -> Result<Exit> {
    let folder = match &command.folder {
        Some(folder) => folder.clone(),
        None => compose::overlay_place(global)?,
    };
    if !folder.is_dir() {
        let message = format!("there is no folder '{}'", folder.display());
        return Err(Error::not_found(message)
            .hint("name the folder that holds tasks/, providers/ and models/"));
    }
    let layers = catalogue::layers(Some(&folder))?;
    let own = layers.last().map(|layer| layer.name.clone()).unwrap_or_default();
    let files = layers.last().map(|layer| layer.files.len()).unwrap_or_default();
    let (findings, catalog) = match Catalog::load(&layers) {
        Ok((catalog, warnings)) => (warnings, Some(catalog)),
        Err(findings) => (findings, None),
    };
    let findings: Vec<&Finding> = findings.iter().filter(|one| one.layer == own).collect();
    findings.iter().for_each(|finding| show(finding, &folder, screen));
    let is_error = |one: &&&Finding| one.diagnostic.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    let warnings = findings.len() - errors;
    if !screen.json {
        let whole = catalog.map(|catalog| {
            format!(
                "; with it there are {} models and {} offers",
                catalog.models.len(),
                catalog.offers.len()
            )
        });
        screen.line(format!(
            "{files} file(s), {errors} error(s), {warnings} warning(s){}",
            whole.unwrap_or_default()
        ));
    }
    Ok(if errors > 0 || (command.strict && warnings > 0) { RUN_FAILED } else { FINE })
}

fn show(finding: &Finding, folder: &Path, screen: Screen) {
    let file: PathBuf = folder.join(&finding.path);
    let diagnostic = &finding.diagnostic;
    if !screen.json {
        let place = file.display().to_string();
        screen.raw_note(&format!("{}\n", diagnostic.render(&place, &finding.text)));
        return;
    }
    let (line, column) = diagnostic.position(&finding.text).unwrap_or((0, 0));
    let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
    screen.json_line(&json!({
        "file": file, "line": line, "column": column, "severity": severity,
        "message": diagnostic.message, "hint": diagnostic.hint,
    }));
}
