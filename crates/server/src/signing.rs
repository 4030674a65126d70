//! What else is derived from the server's secret: addresses that work without a key, secrets of tenants.

use hmac::{Hmac, Mac};
use impasto_domain::TenantId;
use sha2::Sha256;

use crate::app::App;

/// How the id of a message begins.
const MESSAGE: &str = "msg_";
/// How often the halves of a number are mixed: with four rounds of a keyed digest, ids tell nothing of one
/// another.
const ROUNDS: u8 = 4;

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

    /// The id of a message to this tenant, which says nothing of how many there are.
    pub(crate) fn message_id(&self, tenant: &TenantId, number: u64) -> String {
        let (mut left, mut right) = ((number >> 32) as u32, number as u32);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mixed(tenant, round, right));
        }
        format!("{MESSAGE}{left:08x}{right:08x}")
    }

    /// The number of the message to this tenant that has that id.
    pub(crate) fn message_number(&self, tenant: &TenantId, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(MESSAGE).filter(|digits| digits.len() == 16)?;
        let joined = u64::from_str_radix(digits, 16).ok()?;
        let (mut left, mut right) = ((joined >> 32) as u32, joined as u32);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mixed(tenant, round, left), left);
        }
        Some(u64::from(left) << 32 | u64::from(right))
    }

    fn mixed(&self, tenant: &TenantId, round: u8, half: u32) -> u32 {
        let mut mac = self.derive("ids of messages", tenant.as_str());
        mac.update(&[0, round]);
        mac.update(&half.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().take(4).fold(0, |all, byte| all << 8 | u32::from(*byte))
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
