//! Keys: how they look, how they are made, and who has one.
//!
//! A key is `imp_<id>_<secret>`. Only the SHA-256 of the secret is kept; the key itself is shown once.
//!
//! Invariants
//! - Secrets are compared in a time that does not depend on where they differ.
//! - A server without any key answers everybody; with the first key it answers nobody without one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use impasto_domain::{Digest, Error, ErrorKind, Money, Result, Side, TenantId};
use impasto_store::{KeyKind, KeyLimits, KeyRecord, Store};

use crate::caller::{Caller, KeyId, Scope, Scopes};

/// What every key begins with.
const PREFIX: &str = "imp_";
/// Bytes that are drawn for an id.
const ID_BYTES: usize = 6;
/// Bytes that are drawn for a secret.
const SECRET_BYTES: usize = 24;
/// How often at most it is noted that a key was used, in milliseconds.
const USE_NOTED_MS: u64 = 60_000;
/// The longest name of a key.
const NAME_CHARS_MAX: usize = 100;
/// The longest name of a tenant.
const TENANT_CHARS_MAX: usize = 64;
/// The most calls at once and a minute that a limit may name.
const LIMIT_MAX: u32 = 1_000_000_000;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// In whose name it calls.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// What it may do; empty means everything that its kind may.
    pub scopes: Scopes,
    /// What it may use up.
    pub limits: KeyLimits,
    /// From when on it is refused, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

/// Refuses a key whose name, tenant or limits make no sense.
fn check_new(new: &NewKey) -> Result<()> {
    let length = new.name.chars().count();
    let is_shown = !new.name.chars().any(char::is_control) && !new.name.trim().is_empty();
    if !is_shown || length > NAME_CHARS_MAX {
        let message =
            format!("the name of a key has 1 to {NAME_CHARS_MAX} characters that can be seen");
        return Err(Error::invalid(message).hint("say who or what uses it, such as ci or ada"));
    }
    let tenant = new.tenant.as_str();
    let is_word = tenant.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign))
        && tenant.starts_with(|sign: char| sign.is_ascii_alphanumeric());
    if !is_word || tenant.len() > TENANT_CHARS_MAX {
        let shown: String =
            tenant.chars().filter(|sign| !sign.is_control()).take(TENANT_CHARS_MAX).collect();
        let hint = format!(
            "use letters, digits, `-`, `_` and `.`, a letter or digit first, at most \
             {TENANT_CHARS_MAX}"
        );
        return Err(Error::invalid(format!("'{shown}' is no name of a tenant")).hint(hint));
    }
    let odd = |limit: Option<u32>| limit.is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit));
    if odd(new.limits.concurrent) || odd(new.limits.calls_per_minute) {
        let message = format!("calls at once and a minute are limited to 1 to {LIMIT_MAX}");
        return Err(Error::invalid(message).hint("leave a limit out to set none"));
    }
    if new.limits.spend_per_day.is_some_and(|most| most < Money::ZERO) {
        return Err(Error::invalid("what a key may spend in a day is less than nothing"));
    }
    Ok(())
}

/// Draws a key. The text is to be shown once; the record is to be kept.
///
/// # Errors
/// Its name, tenant or limits make no sense, or this machine gives no random numbers.
pub fn draw(new: NewKey, now_ms: u64) -> Result<(KeyRecord, String)> {
    check_new(&new)?;
    let (id, secret) = (drawn::<ID_BYTES>()?, drawn::<SECRET_BYTES>()?);
    let record = KeyRecord {
        id: id.clone(),
        tenant: new.tenant,
        name: new.name,
        kind: new.kind,
        secret_sha256: Digest::of(secret.as_bytes()),
        scopes: new.scopes.iter().map(ToString::to_string).collect(),
        limits: new.limits,
        created_ms: now_ms,
        expires_ms: new.expires_ms,
        revoked_ms: None,
        last_used_ms: None,
    };
    Ok((record, format!("{PREFIX}{id}_{secret}")))
}

/// Random hexadecimal digits.
pub(crate) fn drawn<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal(format!("this machine gives no random numbers: {error}"))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is known of the keys.
#[derive(Default)]
pub(crate) struct Keyring {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether there are keys; once there are, there always are.
    are_keys: bool,
    looked_ms: Option<u64>,
    keys: HashMap<String, Held>,
}

/// A key that was used lately.
struct Held {
    record: KeyRecord,
    read_ms: u64,
    used_noted_ms: u64,
    /// Calls that it may make now, and when that was reckoned.
    allowance: f64,
    reckoned_ms: u64,
}

/// How long what is known is used, and of how many keys.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) age_ms: u64,
    pub(crate) keys: usize,
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, message)
        .hint("`impasto keys create` makes one; send it as `Authorization: Bearer imp_…`")
}

impl Keyring {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody needs a key.
    pub(crate) async fn is_open(
        &self,
        store: &dyn Store,
        now_ms: u64,
        age_ms: u64,
    ) -> Result<bool> {
        {
            let known = self.known();
            let fresh = known.looked_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < age_ms);
            if known.are_keys || fresh {
                return Ok(!known.are_keys);
            }
        }
        let are_keys = store.has_keys().await?;
        let mut known = self.known();
        known.are_keys = are_keys;
        known.looked_ms = Some(now_ms);
        Ok(!are_keys)
    }

    /// Who it is that has this key.
    pub(crate) async fn caller(
        &self,
        store: &dyn Store,
        key: &str,
        now_ms: u64,
        memory: Memory,
    ) -> Result<Caller> {
        let (id, secret) = key
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or_else(|| refused("that is no key of this server"))?;
        let record = self.record(store, id, now_ms, memory).await?;
        let record = record.ok_or_else(|| refused("that key is not known here"))?;
        if !is_equal(&record.secret_sha256, &Digest::of(secret.as_bytes())) {
            return Err(refused("that key is not known here"));
        }
        check_time(&record, now_ms)?;
        self.count(&record, now_ms)?;
        self.note_use(store, id, now_ms).await?;
        Ok(caller_of(record))
    }

    /// Who it is that has the key of that id, for something that was signed in its name.
    pub(crate) async fn holder(
        &self,
        store: &dyn Store,
        id: &str,
        now_ms: u64,
        memory: Memory,
    ) -> Result<Caller> {
        let record = self.record(store, id, now_ms, memory).await?;
        let record = record.ok_or_else(|| refused("that key is not known here"))?;
        check_time(&record, now_ms)?;
        self.count(&record, now_ms)?;
        Ok(caller_of(record))
    }

    /// Refuses a key that was good before and is so no more.
    pub(crate) async fn still_good(
        &self,
        store: &dyn Store,
        id: &str,
        now_ms: u64,
        memory: Memory,
    ) -> Result<()> {
        let record = self.record(store, id, now_ms, memory).await?;
        check_time(&record.ok_or_else(|| refused("that key is not known here"))?, now_ms)
    }

    /// What is kept of the key of that id.
    pub(crate) async fn record(
        &self,
        store: &dyn Store,
        id: &str,
        now_ms: u64,
        memory: Memory,
    ) -> Result<Option<KeyRecord>> {
        let fresh = |held: &&Held| now_ms.saturating_sub(held.read_ms) < memory.age_ms;
        if let Some(held) = self.known().keys.get(id).filter(fresh) {
            return Ok(Some(held.record.clone()));
        }
        let Some(record) = store.key(id.to_owned()).await? else { return Ok(None) };
        let mut known = self.known();
        if known.keys.len() >= memory.keys.max(1) && !known.keys.contains_key(id) {
            known.keys.clear();
        }
        let allowance = f64::from(record.limits.calls_per_minute.unwrap_or_default());
        let held = known.keys.entry(id.to_owned()).or_insert_with(|| Held {
            record: record.clone(),
            read_ms: now_ms,
            used_noted_ms: 0,
            allowance,
            reckoned_ms: now_ms,
        });
        held.record = record.clone();
        held.read_ms = now_ms;
        Ok(Some(record))
    }

    /// Counts a call against the key's calls a minute.
    fn count(&self, record: &KeyRecord, now_ms: u64) -> Result<()> {
        let Some(a_minute) = record.limits.calls_per_minute else { return Ok(()) };
        let mut known = self.known();
        let Some(held) = known.keys.get_mut(&record.id) else { return Ok(()) };
        let per_ms = f64::from(a_minute) / 60_000.0;
        let elapsed_ms = now_ms.saturating_sub(held.reckoned_ms) as f64;
        held.allowance = (held.allowance + elapsed_ms * per_ms).min(f64::from(a_minute));
        held.reckoned_ms = now_ms;
        if held.allowance < 1.0 {
            let after_ms = ((1.0 - held.allowance) / per_ms.max(1e-9)).ceil() as u64;
            let message = format!("this key may make {a_minute} calls a minute");
            let error = Error::new(ErrorKind::RateLimited, message).retry_after(after_ms);
            // It is not a provider that says so.
            return Err(Error { side: Side::Caller, ..error });
        }
        held.allowance -= 1.0;
        Ok(())
    }

    async fn note_use(&self, store: &dyn Store, id: &str, now_ms: u64) -> Result<()> {
        {
            let mut known = self.known();
            let Some(held) = known.keys.get_mut(id) else { return Ok(()) };
            if now_ms.saturating_sub(held.used_noted_ms) < USE_NOTED_MS {
                return Ok(());
            }
            held.used_noted_ms = now_ms;
        }
        store.key_used(id.to_owned(), now_ms).await
    }

    /// Forgets what is known of a key, so that a change works at once.
    pub(crate) fn forget(&self, id: &str) {
        let mut known = self.known();
        known.keys.remove(id);
        known.looked_ms = None;
    }
}

/// Whether two digests are equal, in a time that does not depend on where they differ.
fn is_equal(one: &Digest, other: &Digest) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    let differences = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differences) == 0
}

/// Refuses a key whose time is over.
fn check_time(record: &KeyRecord, now_ms: u64) -> Result<()> {
    if record.revoked_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        return Err(refused("that key was revoked"));
    }
    if record.expires_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        return Err(refused("that key has expired"));
    }
    Ok(())
}

fn caller_of(record: KeyRecord) -> Caller {
    let admin = record.kind == KeyKind::Admin;
    let named: Scopes = record.scopes.iter().filter_map(|name| Scope::parse(name)).collect();
    let scopes = match (admin, record.scopes.is_empty()) {
        (true, _) => Scopes::new(),
        (false, true) => Scope::ALL.into(),
        (false, false) => named,
    };
    Caller {
        tenant: record.tenant,
        key: Some(KeyId(record.id)),
        scopes,
        limits: record.limits,
        admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_store::{KeyStore, MemoryRuns};

    const MEMORY: Memory = Memory { age_ms: 0, keys: 10 };

    fn new_key() -> NewKey {
        NewKey {
            tenant: TenantId::new("acme"),
            name: "test".into(),
            kind: KeyKind::User,
            scopes: Scopes::new(),
            limits: KeyLimits::default(),
            expires_ms: None,
        }
    }

    async fn check(change: impl FnOnce(&mut KeyRecord), now_ms: u64, expected: Result<&str, &str>) {
        let (store, ring) = (MemoryRuns::default(), Keyring::default());
        let (mut record, shown) = draw(new_key(), 0).unwrap();
        change(&mut record);
        store.add_key(record).await.unwrap();
        let caller = ring.caller(&store, &shown, now_ms, MEMORY).await;
        let caller = caller.map(|caller| caller.tenant.to_string()).map_err(|e| e.message);
        assert_eq!(caller, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[tokio::test]
    async fn a_key_is_good_until_it_expires_or_is_revoked() {
        check(|_| (), 5, Ok("acme")).await;
        check(|key| key.expires_ms = Some(9), 5, Ok("acme")).await;
        check(|key| key.expires_ms = Some(9), 9, Err("that key has expired")).await;
        check(|key| key.revoked_ms = Some(1), 5, Err("that key was revoked")).await;
        let other = Digest::of(b"another");
        check(|key| key.secret_sha256 = other, 5, Err("that key is not known here")).await;
    }

    #[test]
    fn a_key_whose_name_tenant_or_limits_make_no_sense_is_not_made() {
        let check = |name: &str, tenant: &str, calls_per_minute: Option<u32>, good: bool| {
            let limits = KeyLimits { calls_per_minute, ..KeyLimits::default() };
            let (name, tenant) = (name.to_owned(), TenantId::new(tenant));
            let drawn = draw(NewKey { name, tenant, limits, ..new_key() }, 0);
            assert_eq!(drawn.is_ok(), good, "{:?}", drawn.map(|(record, _)| record));
        };
        check("ci", "acme", None, true);
        check("Ada's key (2)", "team-7.eu_1", Some(1), true);
        check(&"é".repeat(100), &"a".repeat(64), None, true);
        for name in ["", "  ", "a\nb", "a\u{7f}", &"x".repeat(101)] {
            check(name, "acme", None, false);
        }
        for tenant in ["", "a\nb", "../../etc", ".a", "a/b", "a b", &"a".repeat(65)] {
            check("ci", tenant, None, false);
        }
        check("ci", "acme", Some(0), false);
    }

    #[tokio::test]
    async fn calls_a_minute_are_counted() {
        let (store, ring) = (MemoryRuns::default(), Keyring::default());
        let limits = KeyLimits { calls_per_minute: Some(2), ..KeyLimits::default() };
        let (record, shown) = draw(NewKey { limits, ..new_key() }, 0).unwrap();
        store.add_key(record).await.unwrap();
        for _ in 0..2 {
            ring.caller(&store, &shown, 0, MEMORY).await.unwrap();
        }
        let error = ring.caller(&store, &shown, 0, MEMORY).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after_ms), (ErrorKind::RateLimited, Some(30_000)));
        assert_eq!(error.side, Side::Caller);
        ring.caller(&store, &shown, 30_000, MEMORY).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_key_ends_the_open_time() {
        let (store, ring) = (MemoryRuns::default(), Keyring::default());
        assert!(ring.is_open(&store, 0, 10).await.unwrap());
        store.add_key(draw(new_key(), 0).unwrap().0).await.unwrap();
        assert!(
            ring.is_open(&store, 5, 10).await.unwrap(),
            "it is looked again only after a while"
        );
        assert!(!ring.is_open(&store, 11, 10).await.unwrap());
    }
}
