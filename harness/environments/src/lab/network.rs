//! The networks of the containers, each of them a node whose packets can be disturbed.

use std::net::{IpAddr, Ipv4Addr};

use drdrill_core::network::{NetworkNode, NetworkPlace};

use super::containers::{CONTAINERS, ContainerHosts, DATABASE, HTTP, POSTGRESQL};
use super::site::node_name;
use super::{DR, PRIMARY};

/// The hosts that `of` means: those of a site, or one of them as `site/host`.
pub(super) fn names(of: &str) -> Vec<String> {
    let all = [PRIMARY, DR].into_iter();
    let all = all.flat_map(|site| CONTAINERS.map(|one| (site, node_name(site, one))));
    all.filter(|(site, name)| *site == of || name == of).map(|(_, name)| name).collect()
}

/// Those of them that were started, by the number that their first process has now.
pub(super) fn nodes(hosts: &ContainerHosts, of: &str) -> Vec<NetworkNode> {
    let node = |name: String| {
        let (address, pid) = hosts.network_of(&name)?;
        Some(node(name, address, pid))
    };
    names(of).into_iter().filter_map(node).collect()
}

fn node(name: String, address: Ipv4Addr, pid: i32) -> NetworkNode {
    // Where nobody listens the refusal is the answer.
    let port = if name.ends_with(DATABASE) { POSTGRESQL } else { HTTP };
    NetworkNode {
        node: name,
        place: NetworkPlace::Pid(pid),
        addresses: vec![IpAddr::V4(address)],
        canary: format!("{address}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_means_its_hosts_and_a_host_itself() {
        let hosts =
            ["database", "service", "worker", "auth", "backup"].map(|host| format!("dr/{host}"));
        assert_eq!(names("dr"), hosts);
        assert_eq!(names("primary/database"), ["primary/database"]);
        for other in ["primary/gateway", "database", "primary/", "/", ""] {
            assert!(names(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_canary_goes_where_somebody_answers() {
        let address = Ipv4Addr::new(10, 200, 3, 10);
        assert_eq!(node("dr/database".to_owned(), address, 7).canary, "10.200.3.10:5432");
        let worker = node("dr/worker".to_owned(), address, 7);
        assert_eq!((&*worker.canary, worker.place), ("10.200.3.10:8000", NetworkPlace::Pid(7)));
    }
}
