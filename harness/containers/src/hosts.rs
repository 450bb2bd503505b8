//! Hosts of an environment in containers: made for one run, labelled with it, and removed by that label.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, ExecConfig, HostConfig, Ipam,
    IpamConfig, NetworkCreateRequest, NetworkingConfig, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    ListNetworksOptions, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use drdrill_core::action::ActionError;
use drdrill_core::containers::{
    ConfigFile, ContainerNetwork, ContainerSpec, Containers, RunningContainer, Said,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::{self, Engine, EngineError, failed};
use crate::images;
use crate::ranges::{self, Range};

/// The label that everything of a run carries, with the run's id.
pub const RUN_LABEL: &str = "drdrill.run";
/// Lines of a container that an error shows.
const LAST_LINES: &str = "8";
/// Ranges of addresses, free by all that could be seen, that the engine may refuse before it is given up.
const TRIES: u32 = 16;
/// A container that was killed is gone within this time; measured: 100 to 400 ms.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks at a container that is to be gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The engine of this machine, found when it is first needed.
#[derive(Debug)]
pub struct Hosts {
    address: String,
    engine: OnceCell<Engine>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::at(engine::address())
    }
}

/// What there is of a run.
#[derive(Debug, Default)]
struct Found {
    containers: Vec<String>,
    networks: Vec<String>,
    volumes: Vec<String>,
}

impl Hosts {
    /// Those of the engine at that address.
    #[must_use]
    pub fn at(address: String) -> Self {
        Self { address, engine: OnceCell::new() }
    }

    async fn engine(&self) -> Result<&Engine, ActionError> {
        let find = || Engine::connect_to(self.address.clone());
        let found = self.engine.get_or_try_init(find).await;
        found.map_err(|error| ActionError::new("use", "the container engine", error))
    }

    async fn look(&self, run_id: &str) -> Result<Found, ActionError> {
        let client = self.engine().await?.questions();
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

    /// The addresses that this machine has a way to, and those of the engine's networks.
    async fn taken(&self) -> Result<Vec<Range>, ActionError> {
        let trie = std::fs::read_to_string(ranges::ROUTES)
            .map_err(|error| ActionError::new("read the routes in", ranges::ROUTES, error))?;
        let mut taken = ranges::routes(&trie);
        let client = self.engine().await?.questions();
        let networks = client.list_networks(None::<ListNetworksOptions>).await;
        let networks = networks.map_err(|error| told("list the networks of", "it", &error))?;
        let configs = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
        taken.extend(configs.filter_map(|config| Range::parse(&config.subnet?)));
        Ok(taken)
    }

    /// Makes one network; `None` where its addresses are taken.
    async fn make_network(
        &self,
        name: &str,
        run_id: &str,
        network: ContainerNetwork,
    ) -> Result<Option<()>, ActionError> {
        let client = self.engine().await?.orders();
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
        let client = self.engine().await?.orders();
        let fail = |error: Error| told("make the container", &spec.host, &error);
        let mut binds = Vec::new();
        for mount in &spec.mounts {
            let volume_name = name_of(run_id, &mount.volume);
            let device = mount.directory.display().to_string();
            let volume = VolumeCreateRequest {
                name: Some(volume_name.clone()),
                labels: Some(labels(run_id)),
                driver_opts: Some(
                    [("type", "none"), ("o", "bind"), ("device", &device)]
                        .map(|(option, value)| (option.to_owned(), value.to_owned()))
                        .into(),
                ),
                ..VolumeCreateRequest::default()
            };
            client.create_volume(volume).await.map_err(fail)?;
            let mode = if mount.read_only { ":ro" } else { "" };
            binds.push(format!("{volume_name}:{}{mode}", mount.at));
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
        let client = self.engine().await?.orders();
        let given = client.upload_to_container(name, Some(options), bollard::body_full(archive));
        given.await.map_err(|error| told("give its configuration to", host, &error))
    }

    /// A container's full id and the number of its first process; `None` where it does not run.
    async fn pid(&self, id: &str) -> Result<Option<(String, i32)>, ActionError> {
        let client = self.engine().await?.questions();
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

    async fn run_to_its_end(
        &self,
        id: &str,
        user: &str,
        program: &[String],
    ) -> Result<Option<Said>, ActionError> {
        let client = self.engine().await?.client();
        let name = program.first().map_or("nothing", String::as_str);
        let doing = format!("run {name} in");
        let fail = |error: Error| told(&doing, id, &error);
        let how = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            user: Some(user.to_owned()),
            cmd: Some(program.to_vec()),
            ..ExecConfig::default()
        };
        let exec = match client.create_exec(id, how).await {
            Ok(exec) => exec.id,
            // There is none, or it does not run.
            Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(fail(error)),
        };
        let started = client.start_exec(&exec, None).await.map_err(fail)?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { output: mut said, .. } = started {
            while let Some(piece) = said.next().await {
                match piece.map_err(fail)? {
                    LogOutput::StdErr { message } => errors.extend_from_slice(&message),
                    other => output.extend_from_slice(&other.into_bytes()),
                }
            }
        }
        let ended = client.inspect_exec(&exec).await.map_err(fail)?;
        let Some(code) = ended.exit_code else {
            return Err(ActionError::new(doing, id, "nobody knows how it ended"));
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(Said { code, output: text(output), errors: text(errors) }))
    }

    async fn log_of(&self, id: &str) -> String {
        let Ok(engine) = self.engine().await else { return String::new() };
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LAST_LINES).build();
        let mut lines = Vec::new();
        let mut logs = engine.questions().logs(id, Some(options));
        while let Some(Ok(line)) = logs.next().await {
            lines.push(line.to_string().trim().to_owned());
        }
        if lines.is_empty() { "it said nothing".to_owned() } else { lines.join(" | ") }
    }
}

#[async_trait]
impl Containers for Hosts {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn of_engine(&self, address: &str) -> Option<Arc<dyn Containers>> {
        Some(Arc::new(Self::at(address.to_owned())))
    }

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
        let mut free = ranges::free(seed, self.taken().await?);
        let mut refused = 0;
        for name in names {
            let fail = |reason: String| {
                ActionError::new("find free addresses for", format!("the network {name}"), reason)
            };
            loop {
                let pools = ranges::POOLS.map(|pool| pool.to_string()).join(", ");
                let network = free.next().ok_or_else(|| {
                    fail(format!(
                        "no 256 addresses of {pools} are free: routes of this machine (ip route show table all) or networks of the \
                         container engine (docker network ls) overlap all of them"
                    ))
                })?;
                let network = ContainerNetwork { first: network.first };
                let full_name = name_of(run_id, name);
                if self.make_network(&full_name, run_id, network).await?.is_some() {
                    made.insert((*name).to_owned(), network);
                    break;
                }
                // Somebody else was quicker.
                refused += 1;
                if refused == TRIES {
                    return Err(fail(format!(
                        "the container engine refused {TRIES} of them as taken"
                    )));
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
        let client = self.engine().await?.orders();
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
            if self.pid(&name).await?.is_none() {
                let reason = format!("it ended: {}", self.last_words(&name).await);
                return Err(ActionError::new("start", &spec.host, reason));
            }
            let reason = format!(
                "process {pid}, which the engine names, is none of this machine's in that container; the engine has to run here"
            );
            return Err(ActionError::new("start", &spec.host, reason));
        }
        Ok(RunningContainer { id: name, pid })
    }

    async fn kill(&self, id: &str) -> Result<(), ActionError> {
        let client = self.engine().await?.orders();
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

    async fn is_there(&self, id: &str) -> Result<bool, ActionError> {
        let client = self.engine().await?.questions();
        match client.inspect_container(id, None).await {
            Ok(_) => Ok(true),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(told("look at the container", id, &error)),
        }
    }

    async fn discard(&self, id: &str) -> Result<(), ActionError> {
        let client = self.engine().await?.client();
        let by_force = RemoveContainerOptionsBuilder::new().force(true).v(false).build();
        match client.remove_container(id, Some(by_force)).await {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(told("remove the container", id, &error)),
        }
    }

    async fn run(
        &self,
        id: &str,
        user: &str,
        program: &[String],
    ) -> Result<Option<Said>, ActionError> {
        let said = timeout(engine::WORKS_WITHIN, self.run_to_its_end(id, user, program)).await;
        said.unwrap_or_else(|_| {
            let reason = format!("it has not ended after {:?}", engine::WORKS_WITHIN);
            Err(ActionError::new("run a program in", id, reason))
        })
    }

    async fn last_words(&self, id: &str) -> String {
        let said = timeout(engine::ANSWERS_WITHIN, self.log_of(id)).await;
        said.unwrap_or_else(|_| "the engine does not tell what it said".to_owned())
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
        let client = self.engine().await?.orders();
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

/// Whether a process of this machine is in that container, and not another one that has its number.
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
