//! Every limit of the client, by name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Network;

/// How the client behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetOptions {
    /// The longest that finding an address, connecting and agreeing on encryption may take.
    pub connect_timeout_ms: u64,
    /// Limits of one exchange, where the request says nothing else.
    pub limits: Limits,
    /// The most redirects that are followed, one after the other.
    pub redirects_max: u32,
    /// The most connections kept for later.
    pub idle_connections_max: usize,
    /// The most connections kept for later to one place.
    pub idle_connections_per_place_max: usize,
    /// How long a connection is kept for later.
    pub idle_connection_ms: u64,
    /// How long a connection may have been idle for a request that must not be lost: the other side
    /// may be closing it, and then nobody can tell whether the request was read.
    pub idle_connection_for_post_ms: u64,
    /// The most bytes of the head of an answer.
    pub head_bytes_max: usize,
    /// Hosts, as `name` or `name:port`, that trusted URLs may reach on this machine and in private
    /// networks.
    pub trusted_hosts: Vec<String>,
    /// Networks, such as `10.1.0.0/16`, that trusted URLs may reach whatever they are. A metadata
    /// service of a cloud is reached only if its address stands here by itself.
    pub trusted_networks: Vec<Network>,
    /// Hosts, as `name` or `name:port`, that foreign URLs may reach on this machine and in private
    /// networks.
    pub foreign_hosts: Vec<String>,
    /// Networks that foreign URLs may reach whatever they are, with the same exception.
    pub foreign_networks: Vec<Network>,
    /// Certificates of authorities, in PEM; absent means the file named by `SSL_CERT_FILE`, or else
    /// the machine's.
    pub roots_file: Option<PathBuf>,
    /// What the client calls itself.
    pub user_agent: String,
}

/// Limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest that the whole exchange may take, in milliseconds.
    pub total_ms: u64,
    /// The longest wait for the next piece of an answer's body.
    pub idle_ms: u64,
    /// The most bytes of an answer's body.
    pub body_bytes_max: u64,
    /// The fewest bytes a second of an answer's body, on average; 0 lets it drip.
    pub bytes_per_second_min: u64,
    /// How long a body may be slower than that.
    pub slow_start_ms: u64,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 10_000,
            limits: Limits::default(),
            redirects_max: 5,
            idle_connections_max: 256,
            idle_connections_per_place_max: 32,
            idle_connection_ms: 55_000,
            idle_connection_for_post_ms: 3_000,
            head_bytes_max: 64 << 10,
            trusted_hosts: Vec::new(),
            trusted_networks: Vec::new(),
            foreign_hosts: Vec::new(),
            foreign_networks: Vec::new(),
            roots_file: None,
            user_agent: concat!("impasto/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total_ms: 120_000,
            idle_ms: 60_000,
            body_bytes_max: 64 << 20,
            bytes_per_second_min: 512,
            slow_start_ms: 10_000,
        }
    }
}
