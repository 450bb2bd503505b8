//! Three hosts on a network of a test's own: network namespaces without names, which end with the test.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use drdrill_faults::namespace::Namespace;
use drdrill_faults::two_sites::{self, TwoSites};

use super::wait::until;

/// Where drdrill runs.
pub(crate) const HUB: usize = 0;
/// The host of the primary site.
pub(crate) const DB: usize = 1;
/// The host of the DR site.
pub(crate) const APP: usize = 2;

/// A new network works after so long at the latest.
const PATIENCE: Duration = Duration::from_secs(10);
/// The port on which hosts accept connections.
const PORT: u16 = 5432;

/// `hub`, where drdrill runs, and the hosts `db` and `app`, which accept connections.
#[derive(Debug)]
pub(crate) struct Net {
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct Host {
    namespace: Namespace,
    /// A process inside, by which drdrill finds the way in.
    inside: Child,
}

impl Net {
    pub(crate) fn new() -> Self {
        let TwoSites { hub, nodes } = TwoSites::new(1).unwrap();
        let namespaces = [hub].into_iter().chain(nodes.into_iter().flatten());
        let host = |namespace: Namespace| {
            let mut cat = Command::new("cat");
            let cat = cat.stdin(Stdio::piped()).stdout(Stdio::null());
            let inside = namespace.run(|| cat.spawn().unwrap()).unwrap();
            Host { namespace, inside }
        };
        let net = Self { hosts: namespaces.map(host).collect() };
        (1..net.hosts.len()).for_each(|host| net.accept(host));
        // The kernel tells a bridge a moment later that a device is in use.
        for (from, to) in [(HUB, DB), (HUB, APP), (APP, DB)] {
            until("the network is there", PATIENCE, || net.reaches(from, to).then_some(()));
        }
        net
    }

    /// The address of a host.
    pub(crate) fn address(host: usize) -> IpAddr {
        match host {
            0 => two_sites::gateway(0),
            _ => two_sites::address(host - 1, 0),
        }
    }

    /// Its network, as an environment file names it.
    pub(crate) fn place(&self, host: usize) -> String {
        format!("pid: {}", self.process(host))
    }

    /// The process by which drdrill finds a host.
    pub(crate) fn process(&self, host: usize) -> u32 {
        self.hosts[host].inside.id()
    }

    pub(crate) fn namespace(&self, host: usize) -> &Namespace {
        &self.hosts[host].namespace
    }

    /// Runs a command inside a host.
    pub(crate) fn output(&self, host: usize, command: &mut Command) -> Output {
        self.namespace(host).run(|| command.output().unwrap()).unwrap()
    }

    /// Accepts connections on a host for as long as this process lives.
    fn accept(&self, host: usize) {
        let address = SocketAddr::new(Self::address(host), PORT);
        let listener = self.namespace(host).run(|| TcpListener::bind(address)).unwrap().unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
    }

    /// Whether a connection from one host to another is accepted.
    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        let address = SocketAddr::new(Self::address(to), PORT);
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        self.namespace(from).run(connect).unwrap().is_ok()
    }

    /// The packet filter of a host, as `nft` shows it.
    pub(crate) fn ruleset(&self, host: usize) -> String {
        let mut nft = Command::new("nft");
        let output = self.output(host, nft.args(["-s", "list", "ruleset"]));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The environment file of this network.
    pub(crate) fn environment(&self) -> String {
        let node = |name: &str, site: &str, host: usize| {
            let (place, address) = (self.place(host), Self::address(host));
            format!(
                "      - {{ name: {name}, site: {site}, network: {{ {place} }}, addresses: [{address}], canary: \"{address}:{PORT}\" }}\n"
            )
        };
        let (db, app) = (node("db", "primary", 1), node("app", "dr", 2));
        let (db_address, app_address) = (Self::address(1), Self::address(2));
        format!(
            "\
environment: net
provider:
  host:
    probes:
      - {{ name: db, service: db, attempt: {{ tcp: {{ address: \"{db_address}:{PORT}\" }} }} }}
      - {{ name: app, service: app, purpose: bystander, attempt: {{ tcp: {{ address: \"{app_address}:{PORT}\" }} }} }}
    nodes:
{db}{app}services: [{{ name: db, tier: 1 }}]
measure: {{ sustained: 500ms }}
"
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.inside.kill();
        let _ = self.inside.wait();
    }
}
