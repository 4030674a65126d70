//! Providers: places that serve models, reached with one account.

use std::collections::BTreeMap;

use impasto_domain::{Error, ProviderId, Result, TaskId};
use serde::{Deserialize, Serialize};

use crate::body::FileForm;
use crate::faults::ErrorTable;
use crate::meter::Meter;
use crate::model::Need;
use crate::probe::Probe;
use crate::wire::{Upload, Wire};

/// How many calls a provider does at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// As many as this machine has processor cores.
    Cores,
    /// So many.
    Limit(u32),
}

impl Concurrency {
    /// The number of calls, on a machine with `cores` processor cores. Never zero.
    pub fn slots(self, cores: u32) -> u32 {
        match self {
            Self::Cores => cores.max(1),
            Self::Limit(limit) => limit.max(1),
        }
    }
}

/// A place that serves models, reached with one account.
///
/// One without a base URL does its work in this process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Its name for people.
    pub title: String,
    /// What it is, in a sentence or two.
    pub description: String,
    /// The wire protocol by which it is spoken to; names the driver.
    pub dialect: String,
    /// How many calls it does at the same time.
    pub concurrency: Concurrency,
    /// Programs that must be on this machine to use it.
    pub needs: Vec<Need>,
    /// Its base URLs by name; `default` is the one that counts where none is named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub base: BTreeMap<String, Base>,
    /// How one shows who one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Headers of every request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How often it may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// What its errors mean.
    pub errors: ErrorTable,
    /// How its jobs are spoken to, by name, for the dialect `submit-poll`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wires: BTreeMap<String, Wire>,
    /// Where its answers say how much was billed, where an offer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Meter>,
    /// How a file is brought there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// How files travel where an offer does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FileForm>,
    /// The header that carries our name for an attempt, if the provider does nothing twice under one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
    /// Which tasks its words for kinds of work stand for, the likeliest first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, Vec<TaskId>>,
    /// What it tells of its models without being paid.
    #[serde(skip_serializing_if = "Probe::is_empty")]
    pub probe: Probe,
    /// Where the inputs and outputs of its offers were read, where an offer does not say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schemas: String,
    /// Where people read about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// A base URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The URL, without a slash at the end; absent if everyone has their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Environment variables that say another one; the first that is set counts. Beside these there
    /// is always [`Provider::base_variable`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Other hosts of the provider to which its answers may send a caller with the key: a name, or
    /// with a dot in front every name below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
}

/// How one shows who one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Auth {
    /// Where the key goes.
    pub scheme: AuthScheme,
    /// Environment variables that may hold the key; the first that is set counts.
    pub env: Vec<String>,
    /// Whether it can be used without a key too.
    pub optional: bool,
}

/// Where a key goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// Into a header, after a prefix such as `Bearer `.
    Header {
        /// The header.
        name: String,
        /// What comes before the key.
        prefix: String,
    },
    /// Into the query.
    Query {
        /// The name there.
        name: String,
    },
    /// HTTP Basic; the key is `user:password`.
    Basic,
}

/// How often a provider may be called.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many calls
    pub calls: u32,
    /// in so many seconds.
    pub per_s: f64,
}

impl Provider {
    /// Whether its work is done in this process.
    pub fn is_local(&self) -> bool {
        self.base.is_empty()
    }

    /// The wire of that name; where an offer names none, the only one that there is.
    pub fn wire(&self, named: Option<&str>) -> Option<&Wire> {
        match named {
            Some(name) => self.wires.get(name),
            None if self.wires.len() == 1 => self.wires.values().next(),
            None => None,
        }
    }

    /// The environment variable that overrides a base URL: `IMPASTO_FAL_QUEUE_URL`, and for the base
    /// `default` `IMPASTO_FAL_URL`.
    pub fn base_variable(&self, name: &str) -> String {
        let word = |text: &str| -> String {
            let upper =
                |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            text.chars().map(upper).collect()
        };
        let part = if name == "default" { String::new() } else { format!("_{}", word(name)) };
        format!("IMPASTO_{}{part}_URL", word(self.id.as_str()))
    }

    /// The base URL of that name, where `setting` gives what the configuration or the environment
    /// says under a name. Who overrides the default overrides all bases that have no override of
    /// their own, so that nothing goes to the real host by mistake.
    ///
    /// # Errors
    /// There is no such base, or nobody has said where it is.
    pub fn base_url(&self, name: &str, setting: impl Fn(&str) -> Option<String>) -> Result<String> {
        let base = self.base.get(name).ok_or_else(|| {
            Error::internal(format!("the provider `{}` has no base URL `{name}`", self.id))
        })?;
        let own = self.base_variable(name);
        let all = self.base_variable("default");
        let variables = [own.as_str()].into_iter().chain(base.env.iter().map(String::as_str));
        let said = variables
            .chain([all.as_str()])
            .find_map(|variable| setting(variable).filter(|url| !url.trim().is_empty()));
        let url = said.or_else(|| base.url.clone()).ok_or_else(|| {
            Error::unavailable(format!("nobody has said where the provider `{}` is", self.id))
                .hint(format!("set {} to its address", base.env.first().unwrap_or(&own)))
        })?;
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The key, where `setting` gives what the configuration or the environment says under a name.
    ///
    /// # Errors
    /// It needs one, and nobody has said it.
    pub fn key(&self, setting: impl Fn(&str) -> Option<String>) -> Result<Option<String>> {
        let Some(auth) = &self.auth else { return Ok(None) };
        let key =
            auth.env.iter().find_map(|variable| setting(variable)).filter(|key| !key.is_empty());
        if key.is_none() && !auth.optional {
            let variables = auth.env.join(" or ");
            let message = format!("there is no key for the provider `{}`", self.id);
            return Err(Error::new(impasto_domain::ErrorKind::Unauthorized, message)
                .hint(format!("set {variables}")));
        }
        Ok(key)
    }

    /// What must be set before it can be used and is not, such as `FAL_KEY`; nothing if it can be used.
    pub fn missing(&self, setting: impl Fn(&str) -> Option<String>) -> Option<String> {
        if let Some(auth) = &self.auth
            && self.key(&setting).is_err()
        {
            return Some(auth.env.join(" or "));
        }
        let unplaced = self.base.iter().find(|(name, _)| self.base_url(name, &setting).is_err());
        let (name, base) = unplaced?;
        Some(base.env.first().cloned().unwrap_or_else(|| self.base_variable(name)))
    }

    /// Why it cannot be used, and what to do about it; nothing if it can be used.
    pub fn unusable(&self, setting: impl Fn(&str) -> Option<String>) -> Option<String> {
        self.missing(setting).map(|set| format!("set {set} to use {}", self.title))
    }
}
