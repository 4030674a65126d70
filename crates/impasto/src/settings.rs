//! Settings that are rarely changed, from a file.

use std::path::Path;

use impasto_domain::{Error, Result};
use impasto_engine::EngineOptions;
use impasto_net::NetOptions;
use impasto_server::ServerOptions;
use serde::Deserialize;

use crate::inputs::unreadable;

/// Every limit of this process.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The server's.
    pub(crate) server: ServerOptions,
    /// The engine's.
    pub(crate) engine: EngineOptions,
    /// Those of reaching others.
    pub(crate) network: NetOptions,
    /// How files of the catalogue are kept up with.
    pub(crate) catalog: WatchOptions,
}

/// How files of the catalogue are kept up with.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WatchOptions {
    /// How often they are looked at; 0 means never.
    pub(crate) watch_every_ms: u64,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { watch_every_ms: 1_000 }
    }
}

impl Settings {
    /// What the file says, and what is usual for everything else.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        Self::parse(&text).map_err(|error| error.context(format!("'{}'", file.display())))
    }

    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            Error::invalid(format!("these settings cannot be used\n{error}"))
                .hint("docs/guides/server.md lists every setting")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual_and_what_is_not_known_is_refused_with_its_place() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        let settings = Settings::parse("[server]\nwait_ms = 5\n").unwrap();
        assert_eq!(settings.server.wait_ms, 5);
        assert_eq!(settings.engine, EngineOptions::default());
        let error = Settings::parse("[server]\nwait = 5\n").unwrap_err().to_string();
        assert!(error.contains("line 2, column 1") && error.contains("wait_ms"), "{error}");
    }
}
