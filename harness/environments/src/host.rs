//! A system that is already there: drdrill watches it, and may disturb the network of its nodes, end and start again its
//! processes, and fill its disks, where the environment file says so.

mod processes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::directory::Directory;
use drdrill_core::environment::{Environment, Power, ProbeStream, ProcessControl};
use drdrill_core::inventory::{
    Attempt, HostDirectory, HostNode, HostProbe, HostSpec, Inventory, ServiceFacts, SiteName,
};
use drdrill_core::network::NetworkNode;
use drdrill_core::probe::{Call, Connection};

use crate::secrets;

/// A system that is already there.
#[derive(Debug)]
pub struct Host {
    name: String,
    services: Vec<ServiceFacts>,
    spec: HostSpec,
    /// Whether the file has functionality checks.
    has_checks: bool,
    /// Where the evidence of the run goes.
    run_dir: PathBuf,
}

impl Host {
    /// The system of `inventory`, whose provider is `spec`, for a run whose evidence goes to `run_dir`.
    #[must_use]
    pub fn new(inventory: &Inventory, spec: &HostSpec, run_dir: &Path) -> Self {
        Self {
            name: inventory.environment.clone(),
            services: inventory.services.clone(),
            spec: spec.clone(),
            has_checks: !inventory.checks.is_empty(),
            run_dir: run_dir.to_owned(),
        }
    }
}

/// The sites of a system's nodes, processes and directories, which are the roles that scenarios may use, in the order of
/// the file.
#[must_use]
pub fn sites(spec: &HostSpec) -> Vec<SiteName> {
    let nodes = spec.nodes.iter().map(|node| &node.site);
    let processes = spec.processes.iter().map(|process| &process.site);
    let directories = spec.directories.iter().map(|directory| &directory.site);
    let mut sites: Vec<SiteName> = Vec::new();
    for site in nodes.chain(processes).chain(directories) {
        if !sites.contains(site) {
            sites.push(site.clone());
        }
    }
    sites
}

/// Names of the processes of each site.
#[must_use]
pub fn components(spec: &HostSpec) -> BTreeMap<SiteName, Vec<String>> {
    by_site(spec.processes.iter().map(|process| (&process.site, &process.name)))
}

/// Names of the directories of each site.
#[must_use]
pub fn directories(spec: &HostSpec) -> BTreeMap<SiteName, Vec<String>> {
    by_site(spec.directories.iter().map(|directory| (&directory.site, &directory.name)))
}

fn by_site<'a>(
    all: impl Iterator<Item = (&'a SiteName, &'a String)>,
) -> BTreeMap<SiteName, Vec<String>> {
    let mut names: BTreeMap<SiteName, Vec<String>> = BTreeMap::new();
    for (site, name) in all {
        names.entry(site.clone()).or_default().push(name.clone());
    }
    names
}

#[async_trait]
impl Environment for Host {
    fn name(&self) -> &str {
        &self.name
    }

    fn sites(&self) -> Vec<SiteName> {
        sites(&self.spec)
    }

    fn services(&self) -> Vec<ServiceFacts> {
        self.services.clone()
    }

    fn powers(&self) -> Vec<Power> {
        let HostSpec { nodes, processes, directories, .. } = &self.spec;
        let powers = [
            (Power::Network, nodes.is_empty()),
            (Power::Partition, nodes.is_empty()),
            (Power::Processes, processes.is_empty()),
            (Power::Functions, !self.has_checks),
            (Power::Directories, directories.is_empty()),
        ];
        powers.into_iter().filter_map(|(power, lacks)| (!lacks).then_some(power)).collect()
    }

    fn fingerprint(&self) -> String {
        let targets = self.spec.probes.iter().map(|probe| match &probe.attempt {
            Attempt::Http(http) => http.url.clone(),
            Attempt::Tcp(tcp) => tcp.address.clone(),
        });
        targets.collect::<Vec<_>>().join(" ")
    }

    fn network_nodes(&self, site: &str) -> Vec<NetworkNode> {
        let nodes = self.spec.nodes.iter().filter(|node| node.site == site);
        let known = |node: &HostNode| NetworkNode {
            node: node.name.clone(),
            place: node.network.clone(),
            addresses: node.addresses.clone(),
            canary: node.canary.clone(),
        };
        nodes.map(known).collect()
    }

    fn processes(&self) -> Option<Arc<dyn ProcessControl>> {
        Some(Arc::new(processes::Processes(self.spec.processes.clone())))
    }

    fn directories(&self, site: &str) -> Vec<Directory> {
        let known = |directory: &HostDirectory| Directory {
            name: directory.name.clone(),
            path: PathBuf::from(&directory.path),
            at_most: directory.at_most.bytes,
            spared: vec![PathBuf::from("/"), self.run_dir.clone()],
        };
        let all = self.spec.directories.iter();
        all.filter(|directory| directory.site == site).map(known).collect()
    }

    fn undo(&self) -> Undo {
        Undo::Nothing { because: "drdrill starts nothing in this environment".to_owned() }
    }

    async fn up(&self) -> Result<(), ActionError> {
        Ok(())
    }

    async fn down(&self) -> Result<(), ActionError> {
        Ok(())
    }

    fn streams(&self) -> Result<Vec<ProbeStream>, ActionError> {
        let stream = |probe: &HostProbe| {
            let call = match &probe.attempt {
                Attempt::Http(http) => Call::Http {
                    method: "GET",
                    url: http.url.clone(),
                    else_at: Vec::new(),
                    headers: secrets::headers(&http.headers)?,
                    body: None,
                    body_contains: http.body_contains.clone(),
                    deed: None,
                },
                Attempt::Tcp(tcp) => Call::Tcp { address: tcp.address.clone() },
            };
            Ok(ProbeStream {
                name: probe.name.clone(),
                service: probe.service.clone(),
                purpose: probe.purpose,
                connection: Connection::Fresh,
                write_bytes: 0,
                call,
                asked_for_as: None,
                at_least_every: Duration::ZERO,
            })
        };
        self.spec.probes.iter().map(stream).collect()
    }
}
