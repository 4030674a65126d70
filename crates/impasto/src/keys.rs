//! `keys`: those who may call a server.

use impasto_domain::{Error, Result, TenantId};
use impasto_engine::{Clock, SystemClock};
use impasto_server::keys::{NewKey, draw};
use impasto_server::{Scope, Scopes, ServerOptions};
use impasto_store::{KeyKind, KeyLimits, KeyRecord, KeyStore};
use serde_json::{Value as Json, json};

use crate::args::{GlobalFlags, KeysCommand, NewKeyCommand};
use crate::compose;
use crate::runs::{Exit, FINE};
use crate::screen::{Screen, Style};
use crate::show::date;

/// Units of time that can be typed, in milliseconds.
const UNITS: [(char, u64); 4] = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];

/// `impasto keys`.
pub(crate) async fn obey(
    command: &KeysCommand,
    global: &GlobalFlags,
    screen: Screen,
) -> Result<Exit> {
    let store = compose::store(global)?;
    match command {
        KeysCommand::Create(command) => create(command, &store, screen).await?,
        KeysCommand::List { tenant } => list(tenant.as_deref(), &store, screen).await?,
        KeysCommand::Revoke { id } => revoke(id, &store, screen).await?,
    }
    Ok(FINE)
}

async fn create(command: &NewKeyCommand, store: &impl KeyStore, screen: Screen) -> Result<()> {
    let now_ms = SystemClock.now_ms();
    let expires = command.expires.as_deref().map(|text| milliseconds("--expires", text));
    let new = NewKey {
        tenant: TenantId::new(&command.tenant),
        name: command.name.clone(),
        kind: if command.admin { KeyKind::Admin } else { KeyKind::User },
        scopes: scopes(&command.scopes)?,
        limits: KeyLimits {
            concurrent: command.concurrent,
            calls_per_minute: command.calls_per_minute,
            spend_per_day: None,
        },
        expires_ms: expires.transpose()?.map(|ms| now_ms.saturating_add(ms)),
    };
    let (record, key) = draw(new, now_ms)?;
    let about = about(&record);
    store.add_key(record).await?;
    if screen.json {
        let mut answer = about;
        answer["key"] = key.into();
        screen.json_line(&answer);
    } else {
        screen.line(key);
        screen.note("It is shown this once: only its digest is kept.");
    }
    Ok(())
}

async fn list(tenant: Option<&str>, store: &impl KeyStore, screen: Screen) -> Result<()> {
    let keys = store.keys(tenant.map(TenantId::new)).await?;
    if screen.json {
        screen.json_block(&keys.iter().map(about).collect::<Vec<_>>());
        return Ok(());
    }
    if keys.is_empty() {
        screen.note("There is no key. `impasto keys create NAME` makes one.");
        return Ok(());
    }
    let now_ms = SystemClock.now_ms();
    let row = |key: &KeyRecord| {
        let scopes = if key.scopes.is_empty() { "all".to_owned() } else { key.scopes.join(" ") };
        let scopes = if key.kind == KeyKind::Admin { "admin".to_owned() } else { scopes };
        let used = key.last_used_ms.map_or_else(|| "never".to_owned(), date);
        vec![
            key.id.clone(),
            key.name.clone(),
            key.tenant.to_string(),
            scopes,
            used,
            state(key, now_ms),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    screen.table(&["id", "name", "tenant", "may", "last used (UTC)", "state"], &rows);
    Ok(())
}

async fn revoke(id: &str, store: &impl KeyStore, screen: Screen) -> Result<()> {
    if !store.revoke_key(id.to_owned(), SystemClock.now_ms()).await? {
        return Err(Error::not_found(format!("there is no key `{id}`"))
            .hint("`impasto keys list` lists them by their ids"));
    }
    if screen.json {
        screen.json_line(&json!({ "id": id, "revoked": true }));
    } else {
        let within = ServerOptions::default().key_age_ms.div_ceil(1_000);
        let note = format!(
            "key {id} is revoked: a server that runs refuses it within {within} seconds, unless \
             `key_age_ms` of its settings says otherwise, and ends what it streams to it"
        );
        screen.note(screen.paint(&note, Style::Bold));
    }
    Ok(())
}

fn about(key: &KeyRecord) -> Json {
    json!({
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "kind": key.kind,
        "scopes": key.scopes,
        "limits": key.limits,
        "created_ms": key.created_ms,
        "expires_ms": key.expires_ms,
        "revoked_ms": key.revoked_ms,
        "last_used_ms": key.last_used_ms,
    })
}

fn state(key: &KeyRecord, now_ms: u64) -> String {
    match (key.revoked_ms, key.expires_ms) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at_ms)) if at_ms <= now_ms => "expired".to_owned(),
        (None, Some(at_ms)) => format!("until {}", date(at_ms)),
        (None, None) => "good".to_owned(),
    }
}

fn scopes(names: &[String]) -> Result<Scopes> {
    let scope = |name: &String| {
        Scope::parse(name).ok_or_else(|| {
            let known = Scope::ALL.map(Scope::as_str).join(", ");
            Error::invalid(format!("--scope: there is no scope `{name}`"))
                .hint(format!("it is one of {known}"))
        })
    };
    names.iter().map(scope).collect()
}

/// Milliseconds of a time such as `90d`.
fn milliseconds(flag: &str, text: &str) -> Result<u64> {
    let found = UNITS.iter().find_map(|(unit, ms)| {
        let count: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        count.checked_mul(*ms)
    });
    found.ok_or_else(|| {
        Error::invalid(format!("{flag}: '{text}' is no time")).hint("write 90d, 12h, 30m or 45s")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_count_and_a_unit() {
        for (text, ms) in
            [("90d", 7_776_000_000), ("12h", 43_200_000), ("1m", 60_000), ("5s", 5_000)]
        {
            assert_eq!(milliseconds("--expires", text).unwrap(), ms, "{text}");
        }
        for text in ["", "d", "-1d", "1.5h", "3w", "99999999999999999999d", "999999999999999d"] {
            assert!(milliseconds("--expires", text).is_err(), "{text}");
        }
    }
}
