//! A credential that does not show itself.

use std::fmt;

/// The shortest text that is looked for in other texts; a shorter one would hide ordinary words.
const HIDDEN_CHARS_MIN: usize = 6;

/// A credential. It is shown nowhere; only a request's header takes it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for a header or a query.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the credential, however often it is in it.
    pub fn hide_in(&self, text: &str) -> String {
        if self.0.len() < HIDDEN_CHARS_MIN { text.to_owned() } else { text.replace(&self.0, "…") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("sk-12345678");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.hide_in("bad key sk-12345678, sk-12345678!"), "bad key …, …!");
    }
}
