//! `providers`: which can be used, what the others lack, and the keys that are kept for them.

use std::io::{IsTerminal, Read};
use std::path::Path;

use impasto_catalog::{Catalog, Provider};
use impasto_dialects::hosted::Settings;
use impasto_domain::{Error, Result};
use impasto_net::Secret;
use serde_json::json;

use crate::args::ProvidersCommand;
use crate::compose;
use crate::runs::{Exit, FINE};
use crate::screen::{Screen, Style};
use crate::vault::{self, Vault};

/// The most bytes that are read where a key is expected.
const TYPED_BYTES_MAX: u64 = 64 << 10;

/// What a command of this kind works with.
pub(crate) struct Desk {
    pub(crate) catalog: Catalog,
    pub(crate) vault: Vault,
    pub(crate) settings: Settings,
    pub(crate) screen: Screen,
}

impl Desk {
    /// With the key store of that data folder.
    pub(crate) fn new(catalog: Catalog, data: &Path, screen: Screen) -> Self {
        Self { catalog, vault: Vault::of(data), settings: vault::settings(data), screen }
    }
}

/// `impasto providers`.
pub(crate) fn obey(command: Option<&ProvidersCommand>, desk: &Desk) -> Result<Exit> {
    match command {
        None => list(desk),
        Some(ProvidersCommand::SetKey { provider }) => set_key(provider, desk)?,
        Some(ProvidersCommand::RemoveKey { provider }) => remove_key(provider, desk)?,
    }
    Ok(FINE)
}

/// Why a provider cannot be used by this program as it is set up, if it cannot.
pub(crate) fn unusable(provider: &Provider, settings: &Settings) -> Option<String> {
    if !compose::speaks(&provider.dialect) {
        return Some(format!("no driver for `{}` yet", provider.dialect));
    }
    provider.missing(|name| settings(name)).map(|set| format!("set {set}"))
}

fn list(desk: &Desk) {
    let kept = desk.vault.names().unwrap_or_else(|error| {
        desk.screen.error(&error);
        Vec::new()
    });
    let providers = desk.catalog.providers.values();
    if desk.screen.json {
        let about = |provider: &Provider| {
            json!({
                "id": provider.id, "title": provider.title, "dialect": provider.dialect,
                "offers": offers(&desk.catalog, provider), "variables": variables(provider),
                "key": key(provider, &kept), "unusable": unusable(provider, &desk.settings),
            })
        };
        desk.screen.json_block(&providers.map(about).collect::<Vec<_>>());
        return;
    }
    let row = |provider: &Provider| {
        vec![
            provider.id.to_string(),
            offers(&desk.catalog, provider).to_string(),
            key(provider, &kept).to_owned(),
            unusable(provider, &desk.settings).unwrap_or_else(|| "ready".to_owned()),
            provider.dialect.clone(),
            provider.title.clone(),
        ]
    };
    let rows: Vec<_> = providers.map(row).collect();
    desk.screen.table(&["provider", "offers", "key from", "state", "dialect", "what"], &rows);
    desk.screen.note(
        "`impasto providers set-key PROVIDER` keeps a key, encrypted; the environment comes first.",
    );
}

fn offers(catalog: &Catalog, provider: &Provider) -> usize {
    let offers = catalog.offers.values();
    offers
        .filter(|offer| offer.provider == provider.id && offer.lifecycle.status.is_served())
        .count()
}

fn variables(provider: &Provider) -> &[String] {
    provider.auth.as_ref().map(|auth| auth.env.as_slice()).unwrap_or_default()
}

/// Where a provider's key comes from.
fn key(provider: &Provider, kept: &[String]) -> &'static str {
    let Some(auth) = &provider.auth else { return "not needed" };
    let said = |name: &&String| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if auth.env.iter().any(|name| said(&name)) {
        "environment"
    } else if auth.env.iter().any(|name| kept.contains(name)) {
        "key store"
    } else if auth.optional {
        "not needed"
    } else {
        "nowhere"
    }
}

fn named<'d>(id: &str, desk: &'d Desk) -> Result<(&'d Provider, &'d [String])> {
    let provider = desk.catalog.provider(&id.into())?;
    match variables(provider) {
        [] => Err(Error::invalid(format!("the provider `{id}` takes no key"))),
        names => Ok((provider, names)),
    }
}

fn set_key(id: &str, desk: &Desk) -> Result<()> {
    let (provider, names) = named(id, desk)?;
    let name = names.first().ok_or_else(|| Error::internal("no variable holds the key"))?;
    let secret = typed(&provider.title)?;
    desk.vault.set(name, &secret)?;
    if desk.screen.json {
        desk.screen.json_line(&json!({ "provider": id, "name": name, "kept": true }));
        return Ok(());
    }
    let kept = format!("the key of {} is kept as {name}, encrypted", provider.title);
    desk.screen.note(desk.screen.paint(&kept, Style::Bold));
    let above = names.iter().find(|name| std::env::var(name).is_ok_and(|value| !value.is_empty()));
    if let Some(above) = above {
        desk.screen.note(format!("{above} is set in the environment, which comes first"));
    }
    Ok(())
}

fn remove_key(id: &str, desk: &Desk) -> Result<()> {
    let (provider, names) = named(id, desk)?;
    if !desk.vault.remove(names)? {
        return Err(Error::not_found(format!("no key of `{id}` is kept"))
            .hint("`impasto providers` says where each key comes from"));
    }
    if desk.screen.json {
        desk.screen.json_line(&json!({ "provider": id, "removed": true }));
    } else {
        let gone = format!("the key of {} is forgotten", provider.title);
        desk.screen.note(desk.screen.paint(&gone, Style::Bold));
    }
    Ok(())
}

/// A key, typed without being shown, or piped in.
fn typed(title: &str) -> Result<Secret> {
    let failed =
        |error: std::io::Error| Error::unavailable(format!("no key could be read: {error}"));
    if std::io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str(&format!("Key of {title}: ")).map_err(failed)?;
        return Ok(Secret::new(terminal.read_secure_line().map_err(failed)?.trim()));
    }
    let mut text = String::new();
    std::io::stdin().lock().take(TYPED_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Secret::new(text.trim()))
}
