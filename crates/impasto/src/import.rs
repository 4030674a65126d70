//! `models import`: from a schema to a model that runs.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use impasto_catalog::import::{Imported, Wish, import};
use impasto_catalog::{Catalog, Finding, Layer, Provider};
use impasto_domain::{Error, ErrorKind, Result};
use impasto_engine::{Clock, SystemClock};
use serde_json::{Value as Json, json};

use crate::args::{GlobalFlags, ImportCommand};
use crate::ask::{ANSWER_BYTES_MAX, Asker, parse};
use crate::inputs::unreadable;
use crate::runs::{Exit, FINE};
use crate::screen::{Screen, Style};
use crate::settings::Settings;
use crate::show::date;
use crate::{catalogue, compose, vault};

/// `impasto models import`.
pub(crate) async fn run(
    command: &ImportCommand,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<Exit> {
    let overlay = compose::overlay(global);
    let catalog = catalogue::load(overlay.as_deref(), screen)?;
    let provider = catalog.provider(&command.provider.as_str().into())?;
    let network = Settings::read(command.settings.config.as_deref())?.network;
    let settings = vault::settings(&compose::data_folder(global.data.as_deref())?);
    let asker = Asker::new(network, settings)?;
    let document = document(command, provider, &asker).await?;
    let mut wish = wish(command)?;
    if wish.price.is_none() && command.source.is_none() {
        let asked = asked_price(command, provider, &asker).await;
        (wish.price, wish.counted_in) = asked.unzip();
    }
    let layers = catalogue::layers(overlay.as_deref())?;
    let (imported, file) = made(&document, wish, command, (&catalog, &layers))?;
    if command.print {
        screen.line(file.text.trim_end());
        warn(&imported, screen);
        return Ok(FINE);
    }
    let place = compose::overlay_place(global)?.join(&file.path);
    write(&place, &file.text)?;
    tell(&imported, &place, screen);
    Ok(FINE)
}

/// A file that is to be written.
struct File {
    path: String,
    text: String,
}

fn wish(command: &ImportCommand) -> Result<Wish> {
    let price = command.price.as_deref().map(price).transpose()?;
    Ok(Wish {
        provider: command.provider.clone(),
        endpoint: command.endpoint.clone(),
        task: command.task.clone(),
        model: command.model.clone(),
        variant: command.variant.clone(),
        wire: command.wire.clone(),
        title: command.title.clone(),
        company: command.company.clone(),
        licence: command.licence.clone(),
        tier: command.tier.map(|tier| tier.word().to_owned()),
        price,
        counted_in: None,
    })
}

/// A price such as `0.04/image`, as a file says it.
fn price(text: &str) -> Result<String> {
    if matches!(text, "free" | "unknown") {
        return Ok(format!("\"{text}\""));
    }
    let parts = text.split_once('/').and_then(|(usd, unit)| Some((usd.trim().parse().ok()?, unit)));
    let (usd, unit) = parts.ok_or_else(|| {
        Error::invalid(format!("--price: '{text}' is no price"))
            .hint("write dollars and a unit: 0.04/image, 0.2/second, 0.05/request; or free")
    })?;
    Ok(priced(usd, unit.trim(), "said at its import"))
}

fn priced(usd: f64, unit: &str, source: &str) -> String {
    let today = date(SystemClock.now_ms());
    let today = today.split(' ').next().unwrap_or_default();
    format!(
        "{{ as_of = \"{today}\", source = \"{source}\", lines = [{{ per = \"{unit}\", usd = {usd} }}] }}"
    )
}

/// What the provider says that the endpoint costs and for one of what, where it says so.
async fn asked_price(
    command: &ImportCommand,
    provider: &Provider,
    asker: &Asker,
) -> Option<(String, String)> {
    let probe = provider.probe.price.as_ref()?;
    let answered = asker.ask(provider, &probe.call, &facts(&command.endpoint), None).await.ok()?;
    let (usd, unit) = probe.read(&answered.body).filter(|_| answered.error.is_none())?;
    Some((priced(usd, &unit, "the provider's list, read at its import"), unit))
}

/// What fills the places of a probe's calls.
pub(crate) fn facts(endpoint: &str) -> BTreeMap<String, String> {
    [("endpoint", endpoint), ("model", endpoint)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

/// The document that describes the endpoint: a file, standard input, an address, or what the provider
/// itself answers.
async fn document(command: &ImportCommand, provider: &Provider, asker: &Asker) -> Result<Json> {
    let Some(source) = command.source.as_deref() else {
        let Some(call) = &provider.probe.schema else {
            let message =
                format!("`{}` does not say where it describes its endpoints", provider.id);
            return Err(Error::invalid(message).hint("name a file or an address with the schema"));
        };
        let answered = asker.ask(provider, call, &facts(&command.endpoint), None).await?;
        if let Some(error) = answered.error {
            return Err(error.context(format!("the schema of `{}`", command.endpoint)));
        }
        return Ok(answered.body);
    };
    if source == "-" {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().take(ANSWER_BYTES_MAX).read_to_end(&mut text);
        read.map_err(|error| Error::unavailable(format!("nothing could be read: {error}")))?;
        return parse(&text, "standard input");
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        return asker.document(source).await;
    }
    let path = Path::new(source);
    let bytes = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if bytes > ANSWER_BYTES_MAX {
        let message = format!("'{source}' has {bytes} bytes, the most is {ANSWER_BYTES_MAX}");
        return Err(Error::invalid(message));
    }
    parse(&std::fs::read(path).map_err(|error| unreadable(path, &error))?, source)
}

/// The file, which has been seen to load. A price that the catalogue cannot take is left out.
fn made(
    document: &Json,
    mut wish: Wish,
    command: &ImportCommand,
    (catalog, layers): (&Catalog, &[Layer]),
) -> Result<(Imported, File)> {
    let asked = command.price.is_none() && wish.price.is_some();
    loop {
        let imported = import(document, &wish, catalog)?;
        let file = placed(&imported, command, (catalog, layers))?;
        match loads(&file, layers) {
            Ok(()) => return Ok((imported, file)),
            Err(_) if asked && wish.price.is_some() => (wish.price, wish.counted_in) = (None, None),
            Err(findings) => {
                let shown: Vec<String> = findings.iter().map(Finding::render).collect();
                let message =
                    format!("what was made of the schema cannot be used\n{}", shown.join("\n"));
                return Err(Error::invalid(message).hint(
                    "--print shows it; other flags may help: --task, --variant, --model, --price",
                ));
            }
        }
    }
}

fn loads(file: &File, layers: &[Layer]) -> std::result::Result<(), Vec<Finding>> {
    let mut layers = layers.to_vec();
    let own =
        Layer { name: "imported".to_owned(), files: vec![(file.path.clone(), file.text.clone())] };
    layers.push(own);
    Catalog::load(&layers).map(|_| ())
}

/// Where the file belongs: a model that is there gets one offer more, if it was named.
fn placed(
    imported: &Imported,
    command: &ImportCommand,
    (catalog, layers): (&Catalog, &[Layer]),
) -> Result<File> {
    let fresh = File { path: imported.path.clone(), text: imported.text.clone() };
    let Ok(model) = catalog.model(&imported.model.as_str().into()) else { return Ok(fresh) };
    if command.replace {
        return Ok(fresh);
    }
    let there = layers.iter().rev().flat_map(|layer| &layer.files).find(|(path, _)| {
        path.starts_with("models/")
            && path.rsplit('/').next() == Some(&format!("{}.toml", model.id))
    });
    match (there, &command.model) {
        (Some((path, text)), Some(_)) => {
            let text = format!("{}\n\n{}", text.trim_end(), imported.offer);
            Ok(File { path: path.clone(), text })
        }
        _ => {
            let id = &model.id;
            Err(Error::new(ErrorKind::Conflict, format!("there is a model `{id}` already")).hint(format!(
                "--model {id} adds this as an offer of it, --model OTHER makes another model, --replace writes it anew"
            )))
        }
    }
}

fn write(place: &PathBuf, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::unavailable(format!("'{}' cannot be written: {error}", place.display()))
    };
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // A server that looks while it is written must not see half of it.
    let fresh = place.with_extension("new");
    let mut file = std::fs::File::create(&fresh).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    std::fs::rename(&fresh, place).map_err(failed)
}

fn warn(imported: &Imported, screen: Screen) {
    for warning in &imported.warnings {
        screen.note(format!("{} {warning}", screen.paint("warning:", Style::Yellow)));
    }
}

fn tell(imported: &Imported, place: &Path, screen: Screen) {
    if screen.json {
        screen.json_line(&json!({
            "model": imported.model, "file": place, "task": imported.task,
            "sureness": imported.sureness, "why": imported.why, "others": imported.others, "mapped": imported.mapped,
            "kept": imported.kept, "warnings": imported.warnings,
        }));
        return;
    }
    screen.line(format!("{}  {}", screen.paint(&imported.model, Style::Bold), place.display()));
    let guessed = imported.sureness.map(|sureness| {
        format!("  (guessed, {:.0} % sure; --task says another)", sureness * 100.0)
    });
    screen.line(format!("  task    {}{}", imported.task, guessed.unwrap_or_default()));
    if !imported.why.is_empty() {
        screen.line(format!("  why     {}", imported.why.join("; ")));
    }
    let mapped = imported.mapped.iter().map(|(theirs, ours)| match theirs == ours {
        true => theirs.clone(),
        false => format!("{theirs} as {ours}"),
    });
    screen.line(format!("  inputs  {}", mapped.collect::<Vec<_>>().join(", ")));
    if !imported.kept.is_empty() {
        screen.line(format!("  options {}", imported.kept.join(", ")));
    }
    warn(imported, screen);
    screen.note(format!(
        "It can be used at once: impasto generate {} … --model {}",
        imported.task, imported.model
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_dollars_for_one_of_a_unit() {
        assert_eq!(price("free").unwrap(), "\"free\"");
        let line = price("0.04/image").unwrap();
        assert!(line.contains("lines = [{ per = \"image\", usd = 0.04 }]"), "{line}");
        for text in ["", "cheap", "0.04", "x/image"] {
            assert!(price(text).is_err(), "{text}");
        }
    }
}
