//! The ways between the lab's sites: replication, writes that are sent on, and what machinery at one site asks of the
//! other. None of them is a way of clients.

use drdrill_core::links::{ClientPath, PeerLink, PeerLinks};

use super::Shared;
use super::site::SiteAddresses;

/// Proxies in front of a site that only the other site uses, besides that of replication.
#[derive(Clone, Debug)]
pub(super) struct PeerAddresses {
    /// Of the service's HTTP listener: for writes that a standby sends on, and for looks from there.
    pub(super) http: String,
    /// Of its admin listener.
    pub(super) admin: String,
}

/// Any HTTP listener answers this, if only that there is no such page.
const HTTP_REQUEST: &[u8] = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n";

/// What a standby says first, from one that has nothing and knows no epoch: a primary welcomes it, a standby refuses it,
/// and neither remembers it.
fn hello() -> Vec<u8> {
    let message = serde_json::json!({
        "message": "hello", "site": "canary", "epoch": 0, "lsn": 0, "digest": "",
    });
    let body = message.to_string().into_bytes();
    let length = u32::try_from(body.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], b"M", &body].concat()
}

/// What a client of PostgreSQL asks before it says who it is: whether the server speaks TLS. It answers with one letter.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Shared {
    /// What replication always answers.
    fn greeting(&self) -> Vec<u8> {
        if self.hosts().is_some() { TLS_REQUEST.to_vec() } else { hello() }
    }

    /// Everything by which two sites talk.
    pub(super) fn peer_links(&self, one: &str, other: &str) -> Option<PeerLinks> {
        let addresses = self.addresses.get()?;
        let mut links = Vec::new();
        let mut clients = Vec::new();
        for (from, to) in [(one, other), (other, one)] {
            let site = addresses.sites.get(to)?;
            let SiteAddresses { proxied, peer, client_path, .. } = site;
            let ways = [
                ("replication", &proxied.replication, self.greeting(), true),
                ("peer_http", &peer.http, HTTP_REQUEST.to_vec(), false),
                ("peer_admin", &peer.admin, HTTP_REQUEST.to_vec(), false),
            ];
            links.extend(ways.map(|(link, address, request, replication)| PeerLink {
                proxy: self.proxy(&format!("{to}.{link}")),
                from: from.to_owned(),
                to: to.to_owned(),
                address: address.clone(),
                request,
                replication,
            }));
            clients.push(ClientPath {
                site: to.to_owned(),
                address: client_path.clone(),
                request: HTTP_REQUEST.to_vec(),
            });
        }
        Some(PeerLinks { links, clients, server: addresses.proxy_server.clone() })
    }
}
