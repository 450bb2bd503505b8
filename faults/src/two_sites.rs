//! Two sites of network namespaces, on which tests and benchmarks try faults of the network.
//!
//! ```text
//!             hub: routes between the sites
//!   bridge primary 10.77.1.1   bridge dr 10.77.2.1
//!     |            |             |            |
//!   10.77.1.2   10.77.1.3 …    10.77.2.2   10.77.2.3 …
//! ```
//!
//! Nothing has a name: all of it is gone when this process is, however it ends.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use crate::devices::Devices;
use crate::namespace::Namespace;

/// Names of the sites, and of their bridges in the hub.
pub const SITES: [&str; 2] = ["primary", "dr"];

/// Bits of the network of a site.
const PREFIX: u8 = 24;

/// Two sites and the hub between them.
#[derive(Debug)]
pub struct TwoSites {
    /// Where both sites are reached from: the place of clients, and of drdrill.
    pub hub: Namespace,
    /// The nodes of each site.
    pub nodes: [Vec<Namespace>; 2],
}

impl TwoSites {
    /// Sites of so many nodes each, at most 250.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`, which everybody has in a user namespace of their own.
    pub fn new(nodes: u8) -> io::Result<Self> {
        let hub = Namespace::unnamed()?;
        let devices = Devices::of(&hub)?;
        devices.up("lo")?;
        hub.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))??;
        let site = |site: usize| -> io::Result<Vec<Namespace>> {
            let name = SITES.get(site).copied().unwrap_or_default();
            devices.bridge(name)?;
            devices.address(name, gateway(site), PREFIX)?;
            (0..nodes).map(|number| node(&devices, site, name, number)).collect()
        };
        let nodes = [site(0)?, site(1)?];
        Ok(Self { hub, nodes })
    }
}

/// A node of a site, wired to the site's bridge.
fn node(hub: &Devices, site: usize, bridge: &str, number: u8) -> io::Result<Namespace> {
    let node = Namespace::unnamed()?;
    hub.pair(&format!("{bridge}{number}"), Some(bridge), &node, "lan")?;
    let devices = Devices::of(&node)?;
    devices.up("lo")?;
    devices.up("lan")?;
    devices.address("lan", address(site, number), PREFIX)?;
    devices.default_route(gateway(site))?;
    Ok(node)
}

/// Address of the hub on the network of a site.
#[must_use]
pub fn gateway(site: usize) -> IpAddr {
    on(site, 1)
}

/// Address of a node of a site.
#[must_use]
pub fn address(site: usize, node: u8) -> IpAddr {
    on(site, node.saturating_add(2))
}

fn on(site: usize, last: u8) -> IpAddr {
    let third = u8::try_from(site).unwrap_or_default().saturating_add(1);
    Ipv4Addr::new(10, 77, third, last).into()
}
