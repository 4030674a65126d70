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
}
