//! Where providers have files: uploads that are still kept there, and links that they gave us.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use impasto_domain::{Digest, ProviderId};
use tokio::time::Instant;

/// How much earlier than said a file counts as gone: it must last until the provider has read it.
const SAFETY: Duration = Duration::from_secs(60);

/// What names a file at a provider, until when.
pub(crate) struct Remembered {
    most: usize,
    files: Mutex<HashMap<(ProviderId, Digest), (String, Instant)>>,
}

impl Remembered {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, files: Mutex::default() }
    }

    /// What names the file at the provider, if it is still there.
    pub(crate) fn find(&self, provider: &ProviderId, file: &Digest) -> Option<String> {
        let files = self.files.lock().ok()?;
        let (name, until) = files.get(&(provider.clone(), *file))?;
        (*until > Instant::now()).then(|| name.clone())
    }

    /// Remembers what names a file at a provider that keeps it for `kept`.
    pub(crate) fn keep(&self, provider: &ProviderId, file: Digest, name: String, kept: Duration) {
        let Some(until) = kept.checked_sub(SAFETY).map(|kept| Instant::now() + kept) else {
            return;
        };
        let Ok(mut files) = self.files.lock() else { return };
        if files.len() >= self.most {
            let now = Instant::now();
            files.retain(|_, (_, until)| *until > now);
        }
        if files.len() >= self.most {
            // Whoever would be forgotten first anyway.
            let first = files.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                files.remove(&first);
            }
        }
        if self.most > 0 {
            files.insert((provider.clone(), file), (name, until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_to_go_is_forgotten_first() {
        let provider = ProviderId::new("p");
        let remembered = Remembered::new(2);
        let digest = |text: &str| Digest::of(text.as_bytes());
        let keep = |text: &str, seconds| {
            remembered.keep(&provider, digest(text), text.to_owned(), Duration::from_secs(seconds));
        };
        keep("a", 500);
        keep("b", 400);
        keep("c", 600);
        keep("too short", 30);
        let found = |text: &str| remembered.find(&provider, &digest(text));
        assert_eq!(found("a").as_deref(), Some("a"));
        assert_eq!(found("b"), None);
        assert_eq!(found("c").as_deref(), Some("c"));
        assert_eq!(found("too short"), None);
        assert_eq!(remembered.find(&ProviderId::new("q"), &digest("a")), None);
    }
}
