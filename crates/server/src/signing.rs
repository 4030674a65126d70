//! What else is derived from the server's secret: addresses that work without a key, secrets of tenants.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::app::App;

impl App {
    /// Derives something for one purpose and one thing; who does not have the secret cannot.
    pub(crate) fn derive(&self, purpose: &str, of: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret())
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        // The length keeps a purpose from reaching into what it is about.
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(of.as_bytes());
        mac
    }

    /// What proves that we gave somebody leave for one thing, for an address.
    pub(crate) fn leave(&self, purpose: &str, of: &str) -> String {
        let signature = self.derive(purpose, of).finalize().into_bytes();
        signature.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is what [`App::leave`] gave for this.
    pub(crate) fn is_leave(&self, purpose: &str, of: &str, given: &str) -> bool {
        let digits = given
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes: Option<Vec<u8>> = digits.collect();
        bytes.is_some_and(|bytes| self.derive(purpose, of).verify_slice(&bytes).is_ok())
    }
}
