//! The encrypted store of the providers' keys, and the one way to ask for a setting: the environment
//! first, then the store.
//!
//! The store is one file of the data folder, sealed as a whole with ChaCha20-Poly1305. What opens it
//! is a passphrase (`IMPASTO_MASTER_KEY`, stretched by PBKDF2) or, without one, a random key in a file
//! beside it that only its owner may read. No key is ever read from a repository, an argument or a
//! settings file, and none is written to a log.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use impasto_dialects::hosted::Settings;
use impasto_domain::{Error, Result};
use impasto_net::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use serde::{Deserialize, Serialize};

use crate::inputs::unreadable;

/// The file of the data folder that holds the keys.
pub(crate) const STORE_FILE: &str = "provider-keys.json";
/// The file of the data folder that opens it, where no passphrase does.
const KEY_FILE: &str = "master.key";
/// The file by which writers take turns.
const LOCK_FILE: &str = "provider-keys.lock";
/// The variable that holds the passphrase.
pub(crate) const PASSPHRASE: &str = "IMPASTO_MASTER_KEY";
/// Bytes of a key, and of the salt of a passphrase.
const KEY_BYTES: usize = 32;
/// How often a passphrase is hashed.
const ROUNDS: u32 = 600_000;
/// The most that a file may ask for, so that a foreign one cannot keep this program busy.
const ROUNDS_MAX: u32 = 10_000_000;
/// The largest store, in bytes.
const STORE_BYTES_MAX: u64 = 1 << 20;
/// The longest key, in bytes.
const SECRET_BYTES_MAX: usize = 8 << 10;
/// How long what was read counts before the file is looked at again.
const FRESH_FOR: Duration = Duration::from_millis(500);

/// The store of a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    folder: PathBuf,
}

/// The file: what opens it, and what is sealed in it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    version: u32,
    opened_by: Opener,
    salt: String,
    rounds: u32,
    nonce: String,
    sealed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Opener {
    /// The key file beside the store.
    KeyFile,
    /// The passphrase in the environment.
    Passphrase,
}

type Keys = BTreeMap<String, String>;

impl Vault {
    /// The store of that data folder, which need not be there.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The file that holds the keys.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(STORE_FILE)
    }

    /// The names under which there is a key.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        Ok(self.read()?.into_keys().collect())
    }

    /// Keeps a key under a name.
    pub(crate) fn set(&self, name: &str, secret: &Secret) -> Result<()> {
        check_secret(secret.reveal())?;
        self.change(|keys| {
            keys.insert(name.to_owned(), secret.reveal().to_owned());
        })
    }

    /// Forgets the keys of these names; says whether there was one.
    pub(crate) fn remove(&self, names: &[String]) -> Result<bool> {
        let mut removed = false;
        self.change(|keys| {
            for name in names {
                removed |= keys.remove(name).is_some();
            }
        })?;
        Ok(removed)
    }

    fn change(&self, change: impl FnOnce(&mut Keys)) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|error| self.unwritable(&error))?;
        let lock = std::fs::File::create(self.folder.join(LOCK_FILE));
        let lock = lock.and_then(|file| file.lock().map(|()| file));
        let _turn = lock.map_err(|error| self.unwritable(&error))?;
        let mut keys = self.read()?;
        change(&mut keys);
        let sealed = self.seal(&keys)?;
        write_private(&self.file(), sealed.as_bytes()).map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &std::io::Error) -> Error {
        let shown = self.folder.display();
        Error::unavailable(format!("the key store in '{shown}' cannot be written: {error}"))
    }

    fn read(&self) -> Result<Keys> {
        let file = self.file();
        let text = match std::fs::metadata(&file) {
            Ok(facts) if facts.len() > STORE_BYTES_MAX => {
                return Err(Error::invalid(format!("'{}' is no key store", file.display())));
            }
            Ok(_) => std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Keys::new()),
            Err(error) => return Err(unreadable(&file, &error)),
        };
        let sealed: Sealed = serde_json::from_str(&text).map_err(|_| self.broken())?;
        self.open(&sealed)
    }

    fn open(&self, sealed: &Sealed) -> Result<Keys> {
        if sealed.version != 1 || sealed.rounds > ROUNDS_MAX {
            return Err(self.broken());
        }
        let key = match sealed.opened_by {
            Opener::KeyFile => self.key_file()?.ok_or_else(|| {
                let file = self.folder.join(KEY_FILE);
                Error::unavailable(format!(
                    "'{}' is gone: nothing else opens the key store",
                    file.display()
                ))
                .hint(format!(
                    "bring it back, or delete '{}' and set the keys again",
                    self.file().display()
                ))
            })?,
            Opener::Passphrase => {
                let passphrase = passphrase().ok_or_else(|| {
                    Error::unavailable("the key store is locked with a passphrase")
                        .hint(format!("set {PASSPHRASE} to it"))
                })?;
                let salt = from_hex(&sealed.salt).ok_or_else(|| self.broken())?;
                stretched(&passphrase, &salt, sealed.rounds)?
            }
        };
        let nonce = from_hex(&sealed.nonce).ok_or_else(|| self.broken())?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| self.broken())?;
        let mut bytes = from_hex(&sealed.sealed).ok_or_else(|| self.broken())?;
        let opened = cipher(&key)?.open_in_place(nonce, Aad::from(header(sealed)), &mut bytes);
        let opened = opened.map_err(|_| match sealed.opened_by {
            Opener::Passphrase => {
                Error::unavailable(format!("{PASSPHRASE} does not open the key store"))
                    .hint("it was sealed with another passphrase, or the file was changed")
            }
            Opener::KeyFile => self.broken(),
        })?;
        serde_json::from_slice(opened).map_err(|_| self.broken())
    }

    fn broken(&self) -> Error {
        let message =
            format!("'{}' cannot be opened: it was changed or cut short", self.file().display());
        Error::unavailable(message).hint("bring back a copy, or delete it and set the keys again")
    }

    /// Seals with the passphrase if there is one, otherwise with the key file, which is made if it is
    /// not there.
    fn seal(&self, keys: &Keys) -> Result<String> {
        let salt: [u8; KEY_BYTES] = drawn()?;
        let (opened_by, key) = match passphrase() {
            Some(passphrase) => (Opener::Passphrase, stretched(&passphrase, &salt, ROUNDS)?),
            None => (Opener::KeyFile, self.key_file()?.map_or_else(|| self.new_key_file(), Ok)?),
        };
        let nonce: [u8; NONCE_LEN] = drawn()?;
        let mut sealed = Sealed {
            version: 1,
            opened_by,
            salt: hex(&salt),
            rounds: ROUNDS,
            nonce: hex(&nonce),
            sealed: String::new(),
        };
        let lost = |_| Error::internal("the keys cannot be sealed");
        let mut bytes = serde_json::to_vec(keys)
            .map_err(|error| Error::internal(format!("the keys cannot be written: {error}")))?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        cipher(&key)?
            .seal_in_place_append_tag(nonce, Aad::from(header(&sealed)), &mut bytes)
            .map_err(lost)?;
        sealed.sealed = hex(&bytes);
        serde_json::to_string_pretty(&sealed)
            .map_err(|error| Error::internal(format!("the keys cannot be written: {error}")))
    }

    fn key_file(&self) -> Result<Option<[u8; KEY_BYTES]>> {
        let file = self.folder.join(KEY_FILE);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&file, &error)),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let facts = std::fs::metadata(&file).map_err(|error| unreadable(&file, &error))?;
            if facts.permissions().mode() & 0o077 != 0 {
                let shown = file.display();
                return Err(Error::unavailable(format!(
                    "'{shown}' can be read by others than its owner"
                ))
                .hint(format!(
                    "chmod 600 '{shown}', and make new keys if somebody may have seen it"
                )));
            }
        }
        let key = bytes.try_into().map_err(|_| {
            Error::invalid(format!("'{}' does not hold {KEY_BYTES} bytes", file.display()))
        })?;
        Ok(Some(key))
    }

    fn new_key_file(&self) -> Result<[u8; KEY_BYTES]> {
        let key: [u8; KEY_BYTES] = drawn()?;
        write_private(&self.folder.join(KEY_FILE), &key)
            .map_err(|error| self.unwritable(&error))?;
        Ok(key)
    }
}

/// The way to ask for a setting: the environment first, then the store of that data folder. A change
/// of the store is seen within half a second.
pub(crate) fn settings(folder: &Path) -> Settings {
    let vault = Vault::of(folder);
    let kept: Mutex<Kept> = Mutex::default();
    Arc::new(move |name| {
        if let Some(said) = std::env::var(name).ok().filter(|said| !said.is_empty()) {
            return Some(said);
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.refresh(&vault);
        kept.keys.get(name).cloned()
    })
}

/// What was read of the store, and when.
#[derive(Default)]
struct Kept {
    looked: Option<Instant>,
    stamp: Option<(SystemTime, u64)>,
    keys: Keys,
}

impl Kept {
    fn refresh(&mut self, vault: &Vault) {
        if self.looked.is_some_and(|looked| looked.elapsed() < FRESH_FOR) {
            return;
        }
        self.looked = Some(Instant::now());
        let facts = std::fs::metadata(vault.file()).ok();
        let stamp = facts.and_then(|facts| Some((facts.modified().ok()?, facts.len())));
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match vault.read() {
            Ok(keys) => self.keys = keys,
            Err(error) => {
                tracing::error!(%error, hint = error.hint, "the key store cannot be read");
                self.keys = Keys::new();
            }
        }
    }
}

fn passphrase() -> Option<Secret> {
    std::env::var(PASSPHRASE).ok().filter(|said| !said.is_empty()).map(Secret::new)
}

fn stretched(passphrase: &Secret, salt: &[u8], rounds: u32) -> Result<[u8; KEY_BYTES]> {
    let rounds =
        NonZeroU32::new(rounds).ok_or_else(|| Error::invalid("a passphrase needs rounds"))?;
    let mut key = [0; KEY_BYTES];
    let passphrase = passphrase.reveal().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, passphrase, &mut key);
    Ok(key)
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key);
    key.map(LessSafeKey::new).map_err(|_| Error::internal("the key has another length"))
}

/// What is not secret but must not be changed either.
fn header(sealed: &Sealed) -> Vec<u8> {
    let Sealed { version, opened_by, salt, rounds, nonce, .. } = sealed;
    format!("impasto keys {version} {opened_by:?} {salt} {rounds} {nonce}").into_bytes()
}

fn drawn<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

fn check_secret(secret: &str) -> Result<()> {
    let problem = if secret.is_empty() {
        "the key is empty"
    } else if secret.len() > SECRET_BYTES_MAX {
        "this is too long for a key"
    } else if secret.chars().any(|c| c.is_control() || c.is_whitespace()) {
        "a key is one word without spaces"
    } else {
        return Ok(());
    };
    Err(Error::invalid(problem).hint("give the key alone, as the provider shows it"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}

/// Writes a file that nobody else may read, whole or not at all.
fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&fresh)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::of(folder.path());
        (folder, vault)
    }

    #[test]
    fn keys_are_kept_replaced_and_forgotten_and_nothing_readable_is_on_disk() {
        let (folder, vault) = vault();
        assert_eq!(vault.names().unwrap(), [] as [String; 0]);
        vault.set("ACME_KEY", &Secret::new("hush-hush-1")).unwrap();
        vault.set("OTHER_KEY", &Secret::new("hush-hush-2")).unwrap();
        vault.set("ACME_KEY", &Secret::new("hush-hush-3")).unwrap();
        assert_eq!(vault.names().unwrap(), ["ACME_KEY", "OTHER_KEY"]);
        let ask = settings(folder.path());
        assert_eq!(ask("ACME_KEY").as_deref(), Some("hush-hush-3"));
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("hush") && !text.contains("ACME_KEY"), "{text}");
        }
        assert!(vault.remove(&["ACME_KEY".to_owned()]).unwrap());
        assert!(!vault.remove(&["ACME_KEY".to_owned()]).unwrap());
        assert_eq!(vault.names().unwrap(), ["OTHER_KEY"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, vault) = vault();
        vault.set("ACME_KEY", &Secret::new("hush")).unwrap();
        for name in [STORE_FILE, KEY_FILE] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let key = folder.path().join(KEY_FILE);
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(vault.names().unwrap_err().message.contains("by others"));
    }

    #[test]
    fn a_store_that_was_changed_or_moved_away_from_its_key_opens_for_nobody() {
        let (folder, vault) = vault();
        vault.set("ACME_KEY", &Secret::new("hush")).unwrap();
        let text = std::fs::read_to_string(vault.file()).unwrap();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("600000", "600001"),
            ("\"sealed\": \"", "\"sealed\": \"00"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            std::fs::write(vault.file(), changed).unwrap();
            assert!(vault.names().is_err(), "{from}");
        }
        std::fs::write(vault.file(), &text).unwrap();
        assert_eq!(vault.names().unwrap(), ["ACME_KEY"]);
        std::fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
        assert!(vault.names().unwrap_err().message.contains("is gone"));
        assert!(settings(folder.path())("ACME_KEY").is_none());
    }

    #[test]
    fn a_passphrase_gives_the_same_key_only_with_the_same_salt() {
        let of = |word: &str, salt: &[u8]| stretched(&Secret::new(word), salt, 1000).unwrap();
        assert_eq!(of("open", b"salt"), of("open", b"salt"));
        assert_ne!(of("open", b"salt"), of("open", b"other"));
        assert_ne!(of("open", b"salt"), of("closed", b"salt"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (_folder, vault) = vault();
        for text in ["", "two words", "line\nline", &"x".repeat(SECRET_BYTES_MAX + 1)] {
            assert!(vault.set("ACME_KEY", &Secret::new(text)).is_err());
        }
    }
}
