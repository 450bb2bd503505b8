//! Hosts of an environment in containers: made for one run, labelled with it, and removed by that label.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig,
    NetworkCreateRequest, NetworkingConfig, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use drdrill_core::action::ActionError;
use drdrill_core::containers::{
    ConfigFile, ContainerNetwork, ContainerSpec, Containers, RunningContainer,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::engine::{Engine, EngineError, failed};
use crate::images;

/// The label that everything of a run carries, with the run's id.
pub const RUN_LABEL: &str = "drdrill.run";
/// Lines of a container that an error shows.
const LAST_LINES: &str = "8";
/// Ranges of addresses that are tried before none is said to be free.
const TRIES: u64 = 16;
/// A container that was killed is gone within this time; measured: 100 to 400 ms.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks at a container that is to be gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The engine of this machine, found when it is first needed.
#[derive(Debug, Default)]
pub struct Hosts {
    engine: OnceCell<Engine>,
}

/// What there is of a run.
#[derive(Debug, Default)]
struct Found {
    containers: Vec<String>,
    networks: Vec<String>,
    volumes: Vec<String>,
}

impl Hosts {
    async fn engine(&self) -> Result<&Engine, ActionError> {
        let found = self.engine.get_or_try_init(Engine::connect).await;
        found.map_err(|error| ActionError::new("use", "the container engine", error))
    }

    async fn look(&self, run_id: &str) -> Result<Found, ActionError> {
        let client = self.engine().await?.client();
        let fail = |error: Error| told("look for what there is of run", run_id, &error);
        let label = HashMap::from([("label", vec![format!("{RUN_LABEL}={run_id}")])]);
        let containers = ListContainersOptionsBuilder::new().all(true).filters(&label).build();
        let containers = client.list_containers(Some(containers)).await.map_err(fail)?;
        let networks = ListNetworksOptionsBuilder::new().filters(&label).build();
        let networks = client.list_networks(Some(networks)).await.map_err(fail)?;
        let volumes = ListVolumesOptionsBuilder::new().filters(&label).build();
        let volumes = client.list_volumes(Some(volumes)).await.map_err(fail)?;
        Ok(Found {
            containers: containers.into_iter().filter_map(|one| one.id).collect(),
            networks: networks.into_iter().filter_map(|one| one.id).collect(),
            volumes: volumes.volumes.unwrap_or_default().into_iter().map(|one| one.name).collect(),
        })
    }

    /// Makes one network; `None` where its addresses are taken.
    async fn make_network(
        &self,
        name: &str,
        run_id: &str,
        network: ContainerNetwork,
    ) -> Result<Option<()>, ActionError> {
        let client = self.engine().await?.client();
        let range = IpamConfig {
            subnet: Some(format!("{}/24", network.first)),
            gateway: Some(network.gateway().to_string()),
            ..IpamConfig::default()
        };
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
            labels: Some(labels(run_id)),
            ..NetworkCreateRequest::default()
        };
        match client.create_network(request).await {
            Ok(_) => Ok(Some(())),
            Err(Error::DockerResponseServerError { message, .. }) if is_taken(&message) => Ok(None),
            Err(error) => Err(told("make the network", name, &error)),
        }
    }

    async fn create(
        &self,
        name: &str,
        run_id: &str,
        spec: &ContainerSpec,
    ) -> Result<(), ActionError> {
        let client = self.engine().await?.client();
        let fail = |error: Error| told("make the container", &spec.host, &error);
        let mut binds = Vec::new();
        if let Some(path) = spec.volume {
            let volume = VolumeCreateRequest {
                name: Some(name.to_owned()),
                labels: Some(labels(run_id)),
                ..VolumeCreateRequest::default()
            };
            client.create_volume(volume).await.map_err(fail)?;
            binds.push(format!("{name}:{path}"));
        }
        let network = name_of(run_id, &spec.network);
        let address = EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: Some(spec.address.to_string()),
                ..EndpointIpamConfig::default()
            }),
            ..EndpointSettings::default()
        };
        let body = ContainerCreateBody {
            image: Some(self.image().await?),
            cmd: Some(spec.program.clone()),
            hostname: Some(spec.host.replace('/', "-")),
            labels: Some(labels(run_id)),
            host_config: Some(HostConfig {
                binds: Some(binds),
                network_mode: Some(network.clone()),
                ..HostConfig::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network, address)])),
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        client.create_container(Some(options), body).await.map(drop).map_err(fail)
    }

    async fn give_config(
        &self,
        name: &str,
        host: &str,
        config: &ConfigFile,
    ) -> Result<(), ActionError> {
        let archive = archive_of(config)
            .map_err(|error| ActionError::new("write the configuration of", host, error))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let client = self.engine().await?.client();
        let given = client.upload_to_container(name, Some(options), bollard::body_full(archive));
        given.await.map_err(|error| told("give its configuration to", host, &error))
    }

    /// A container's full id and the number of its first process; `None` where it does not run.
    async fn pid(&self, id: &str) -> Result<Option<(String, i32)>, ActionError> {
        let client = self.engine().await?.client();
        let (full, state) = match client.inspect_container(id, None).await {
            Ok(container) => {
                (container.id.unwrap_or_default(), container.state.unwrap_or_default())
            }
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(error) => return Err(told("look at the container", id, &error)),
        };
        let pid = state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
        Ok(pid.filter(|_| state.running == Some(true)).map(|pid| (full, pid)))
    }
}

#[async_trait]
impl Containers for Hosts {
    async fn image(&self) -> Result<String, ActionError> {
        let fail = |error: EngineError| ActionError::new("look at", "the image", error);
        images::node(self.engine().await?).await.map_err(fail)?.ok_or_else(|| {
            let reason = "the image of its hosts is not built; drdrill env build docker";
            ActionError::new("start", "the container environment", reason)
        })
    }

    async fn make_networks(
        &self,
        run_id: &str,
        names: &[&str],
        seed: u64,
    ) -> Result<BTreeMap<String, ContainerNetwork>, ActionError> {
        let mut made = BTreeMap::new();
        let mut tries = 0..TRIES;
        for name in names {
            loop {
                let Some(number) = tries.next() else {
                    let reason =
                        format!("{TRIES} ranges of 10.128.0.0/9 were tried, and all are taken");
                    return Err(ActionError::new("find free addresses for", *name, reason));
                };
                let network = range(seed, number);
                let full_name = name_of(run_id, name);
                if self.make_network(&full_name, run_id, network).await?.is_some() {
                    made.insert((*name).to_owned(), network);
                    break;
                }
            }
        }
        Ok(made)
    }

    async fn start(
        &self,
        run_id: &str,
        spec: &ContainerSpec,
    ) -> Result<RunningContainer, ActionError> {
        let client = self.engine().await?.client();
        let name = name_of(run_id, &spec.host);
        let fail = |error: Error| told("start", &spec.host, &error);
        match client.inspect_container(&name, None).await {
            Ok(_) => {}
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                self.create(&name, run_id, spec).await?;
            }
            Err(error) => return Err(fail(error)),
        }
        if let Some(config) = &spec.config {
            self.give_config(&name, &spec.host, config).await?;
        }
        client.start_container(&name, None).await.map_err(fail)?;
        let Some((id, pid)) = self.pid(&name).await? else {
            let reason = format!("it ended: {}", self.last_words(&name).await);
            return Err(ActionError::new("start", &spec.host, reason));
        };
        if !is_here(&id, pid) {
            let reason = format!(
                "process {pid}, which the engine names, is none of this machine's in that container; the engine has to run here"
            );
            return Err(ActionError::new("start", &spec.host, reason));
        }
        Ok(RunningContainer { id: name, pid })
    }

    async fn kill(&self, id: &str) -> Result<(), ActionError> {
        let client = self.engine().await?.client();
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        match client.kill_container(id, Some(options)).await {
            // It does not run, or is not there.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(error) => return Err(told("kill", id, &error)),
        }
        let give_up = Instant::now() + GONE_WITHIN;
        while self.pid(id).await?.is_some() {
            if Instant::now() >= give_up {
                let reason = format!("it is still there after {GONE_WITHIN:?}");
                return Err(ActionError::new("kill", id, reason));
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn last_words(&self, id: &str) -> String {
        let Ok(engine) = self.engine().await else { return String::new() };
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LAST_LINES).build();
        let mut lines = Vec::new();
        let mut logs = engine.client().logs(id, Some(options));
        while let Some(Ok(line)) = logs.next().await {
            lines.push(line.to_string().trim().to_owned());
        }
        if lines.is_empty() { "it said nothing".to_owned() } else { lines.join(" | ") }
    }

    async fn found(&self, run_id: &str) -> Result<Vec<String>, ActionError> {
        let found = self.look(run_id).await?;
        let named = |what: &str, names: Vec<String>| -> Vec<String> {
            names.into_iter().map(|name| format!("{what} {name}")).collect()
        };
        Ok([
            named("container", found.containers),
            named("network", found.networks),
            named("volume", found.volumes),
        ]
        .concat())
    }

    async fn remove(&self, run_id: &str) -> Result<(), ActionError> {
        let found = self.look(run_id).await?;
        let client = self.engine().await?.client();
        let by_force = || RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let containers = found.containers.iter();
        let gone = join_all(containers.map(|id| client.remove_container(id, Some(by_force()))));
        all_gone("container", gone.await)?;
        let networks = found.networks.iter().map(|id| client.remove_network(id));
        all_gone("network", join_all(networks).await)?;
        let by_force = || RemoveVolumeOptionsBuilder::new().force(true).build();
        let volumes = found.volumes.iter();
        let gone = join_all(volumes.map(|name| client.remove_volume(name, Some(by_force()))));
        all_gone("volume", gone.await)
    }
}

/// Whether a process of this machine is in that container, and not another one that has its number. One that has ended by now is
/// noticed by whoever asks for it next.
fn is_here(id: &str, pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/cgroup")) {
        Ok(groups) => !id.is_empty() && groups.contains(id),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// What is gone already, or on its way, is fine: whoever asks looks whether it is.
fn all_gone(what: &str, results: Vec<Result<(), Error>>) -> Result<(), ActionError> {
    for result in results {
        match result {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 403 | 404 | 409, .. }) => {
            }
            Err(error) => return Err(told("remove a", what, &error)),
        }
    }
    Ok(())
}

fn labels(run_id: &str) -> HashMap<String, String> {
    HashMap::from([(RUN_LABEL.to_owned(), run_id.to_owned())])
}

/// The engine's name for something of a run.
fn name_of(run_id: &str, name: &str) -> String {
    format!("drdrill-{run_id}-{}", name.replace('/', "-"))
}

/// A range of addresses: the engine's own networks are not in this half of 10.0.0.0/8 unless somebody has set it so.
fn range(seed: u64, number: u64) -> ContainerNetwork {
    let [a, b, ..] = seed.wrapping_add(number).to_le_bytes();
    let [c, ..] = (seed >> 16).to_le_bytes();
    ContainerNetwork { first: Ipv4Addr::new(10, 128 | b, a ^ c, 0) }
}

/// Whether the engine refuses a network because its addresses are used.
fn is_taken(message: &str) -> bool {
    message.contains("overlap") || message.contains("already in use")
}

fn told(doing: &str, node: &str, error: &Error) -> ActionError {
    let why = match failed(doing, error) {
        EngineError::Failed { why, .. } => why,
        other => other.to_string(),
    };
    ActionError::new(doing, node, why)
}

/// A file as the engine takes it: in a tar archive.
fn archive_of(config: &ConfigFile) -> std::io::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(config.text.len() as u64);
    header.set_mode(0o600);
    archive.append_data(
        &mut header,
        config.path.trim_start_matches('/'),
        config.text.as_bytes(),
    )?;
    archive.into_inner().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_is_for_another_range() {
        let ranges: std::collections::BTreeSet<_> =
            (0..TRIES).map(|number| range(0x1234_5678_9abc_def0, number).first).collect();
        assert_eq!(ranges.len() as u64, TRIES);
        assert!(ranges.iter().all(|first| first.octets()[0] == 10 && first.octets()[1] >= 128));
    }
}
