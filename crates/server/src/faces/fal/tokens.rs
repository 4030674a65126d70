//! Tokens that stand in for a key for a while: for a page that calls, and for uploads.
//!
//! A token says whose it is and what it is good for, and is signed. It is worth no more than the key
//! that it was made with: when that one is revoked, so is the token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use impasto_domain::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;

/// What the signature of a token is for.
const PURPOSE: &str = "fal token";

/// What a token is good for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'p> {
    /// To call what has this name after its owner.
    Call(&'p str),
    /// To upload files.
    Uploads,
    /// To fill this one upload.
    Upload(&'p str),
}

impl Purpose<'_> {
    fn word(self) -> String {
        match self {
            Self::Call(alias) => format!("call {alias}"),
            Self::Uploads => "uploads".to_owned(),
            Self::Upload(id) => format!("upload {id}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Grant {
    tenant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    purposes: Vec<String>,
    expires_ms: u64,
}

/// A token in the name of the caller.
pub(super) fn give(
    app: &App,
    caller: &Caller,
    purposes: &[Purpose<'_>],
    expires_ms: u64,
) -> Result<String> {
    let grant = Grant {
        tenant: caller.tenant.as_str().to_owned(),
        key: caller.key.as_ref().map(ToString::to_string),
        purposes: purposes.iter().map(|purpose| purpose.word()).collect(),
        expires_ms,
    };
    let grant = URL_SAFE_NO_PAD.encode(crate::calls::to_text(&grant)?);
    let signature = app.derive(PURPOSE, &grant).finalize().into_bytes();
    Ok(format!("{grant}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// In whose name one calls who has this token.
pub(super) async fn caller(app: &App, token: &str, purpose: Purpose<'_>) -> Result<Caller> {
    let refused = || Error::new(ErrorKind::Unauthorized, "that token is not good for this");
    let grant = read(app, token).ok_or_else(refused)?;
    if grant.expires_ms < app.now_ms() {
        let expired = Error::new(ErrorKind::Unauthorized, "that token has expired");
        return Err(expired.hint("ask for a new one"));
    }
    if !grant.purposes.contains(&purpose.word()) {
        return Err(refused());
    }
    let caller = app.holder(grant.key.as_deref()).await?;
    if caller.tenant.as_str() != grant.tenant {
        return Err(refused());
    }
    Ok(caller)
}

fn read(app: &App, token: &str) -> Option<Grant> {
    let (grant, signature) = token.split_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    app.derive(PURPOSE, grant).verify_slice(&signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(grant).ok()?).ok()
}
