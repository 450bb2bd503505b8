//! Links between sites: what they are, and blocks that let nothing through.

use serde::{Deserialize, Serialize};

use crate::environment::ProcessIdentity;
use crate::inventory::SiteName;

/// A direction of a link.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// From the one who connects to the one who listens.
    Upstream,
    /// From the one who listens to the one who connects.
    Downstream,
}

/// What lets no data through in one direction of a proxy. Connections are still accepted and stay open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Block {
    /// Its name, unique on its proxy.
    pub name: String,
    /// The direction.
    pub flow: Flow,
}

/// A way from one site to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerLink {
    /// Name of the proxy it goes through.
    pub proxy: String,
    /// The site that connects.
    pub from: SiteName,
    /// The site that listens.
    pub to: SiteName,
    /// Where it connects, `host:port`.
    pub address: String,
    /// What the listener always answers: with it a canary sees whether data passes both ways.
    pub request: Vec<u8>,
    /// Whether replication goes this way.
    pub replication: bool,
}

/// A way from clients to a site.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientPath {
    /// The site.
    pub site: SiteName,
    /// The address, `host:port`.
    pub address: String,
    /// What the site always answers.
    pub request: Vec<u8>,
}

/// Everything by which two sites talk to each other, and the ways of their clients, which are none of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerLinks {
    /// All ways between the two, in both directions.
    pub links: Vec<PeerLink>,
    /// How clients reach them.
    pub clients: Vec<ClientPath>,
    /// The process of the proxy server, where it belongs to the environment: when it is gone, so are its proxies.
    pub server: Option<ProcessIdentity>,
}
