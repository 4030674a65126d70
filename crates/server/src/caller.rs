//! Who calls: a tenant, by a key or without one.

use std::collections::BTreeSet;
use std::fmt;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use impasto_domain::{Error, ErrorKind, Result, TenantId};
use impasto_store::KeyLimits;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::problem::Problem;

/// What a key is allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See runs, models, workflows, files and what they cost.
    Read,
    /// Begin and cancel runs, and upload files for them.
    Run,
    /// Change workflows and webhook endpoints.
    Write,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Run, Self::Write];

    /// The scope as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Write => "write",
        }
    }

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of scopes.
pub type Scopes = BTreeSet<Scope>;

/// The public part of a key: what it is called, not what proves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose runs and files these are.
    pub(crate) tenant: TenantId,
    /// The key, if there are keys.
    pub(crate) key: Option<KeyId>,
    /// What the key may do.
    pub(crate) scopes: Scopes,
    /// The key's limits.
    pub(crate) limits: KeyLimits,
    /// Whether it is a key for running this server, which may also see what belongs to no tenant.
    pub(crate) admin: bool,
}

impl Caller {
    /// The one who calls a server that has no keys.
    pub(crate) fn local() -> Self {
        Self {
            tenant: TenantId::local(),
            key: None,
            scopes: Scope::ALL.into(),
            limits: KeyLimits::default(),
            admin: true,
        }
    }

    /// One who has been given the address of a file.
    pub(crate) fn reader(tenant: TenantId) -> Self {
        let (scopes, limits) = (Scopes::from([Scope::Read]), KeyLimits::default());
        Self { tenant, key: None, scopes, limits, admin: false }
    }

    /// Refuses one who may not do this.
    pub(crate) fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        if self.admin {
            let hint = "use a key without `--admin`; `impasto keys create` makes one";
            return Err(Problem::forbidden("a key for running the server makes no calls", hint));
        }
        let message = format!("this key does not have the scope `{scope}`");
        let hint = "use a key with that scope; `impasto keys create --scope` makes one";
        Err(Problem::forbidden(message, hint))
    }

    /// Refuses one who does not run this server.
    pub(crate) fn may_run_the_server(&self) -> Result<(), Problem> {
        if self.admin {
            return Ok(());
        }
        let hint = "use such a key; `impasto keys create --admin` makes one";
        Err(Problem::forbidden("this needs a key for running the server", hint))
    }

    /// The same as [`Caller::may`], for faces that tell errors in their own shape.
    pub(crate) fn allow(&self, scope: Scope) -> Result<()> {
        self.may(scope).map_err(|_| {
            Error::new(
                ErrorKind::Unauthorized,
                format!("this key does not have the scope `{scope}`"),
            )
        })
    }
}

/// The secret that a header `Authorization: <scheme> <secret>` carries, for any of these schemes.
pub(crate) fn authorization<'h>(headers: &'h HeaderMap, schemes: &[&str]) -> Option<&'h str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, secret) = value.split_once(' ')?;
    let known = schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    known.then(|| secret.trim())
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    /// The caller of the native API: `Authorization: Bearer`, or `X-Api-Key`. Found once a request:
    /// each time counts as a call.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let own = || parts.headers.get("x-api-key").and_then(|value| value.to_str().ok());
        let secret = authorization(&parts.headers, &["bearer", "key", "token"]).or_else(own);
        Ok(app.caller(secret).await?)
    }
}
