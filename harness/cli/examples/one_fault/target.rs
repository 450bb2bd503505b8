//! What the fault strikes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::directory::Directory;
use drdrill_core::environment::{
    ProcessControl, ProcessIdentity, SiteControl, SiteLinks, SiteStatus,
};
use drdrill_core::links::{ClientPath, PeerLink, PeerLinks};
use drdrill_core::network::{NetworkNode, NetworkPlace, Via, Way};
use drdrill_core::process::{FoundBy, KnownProcess, StartCommand};
use drdrill_core::units::{Rate, Share};
use drdrill_environments::lab::MARK;
use drdrill_faults::dark::SiteNetwork;
use drdrill_faults::destruction::fault::SiteDestruction;
use drdrill_faults::disk::fault::DiskFull;
use drdrill_faults::link::partition::LinkPartition;
use drdrill_faults::links::Links;
use drdrill_faults::network::delay::NetworkDelay;
use drdrill_faults::network::fault::{Disturbance, NetworkFault};
use drdrill_faults::network_down::NetworkDown;
use drdrill_faults::process::end::{End, ProcessEnd};
use drdrill_faults::process::pause::ProcessPause;
use drdrill_faults::process::read_only::StorageReadOnly;
use drdrill_faults::process::targets::Targets;
use drdrill_faults::qdisc::{Delay, Discipline};
use drdrill_faults::site_loss::SiteLoss;

use crate::stored;

/// Processes of the site.
const PROCESSES: usize = 2;
/// They would end by themselves after so many seconds. Nothing else ends them: they notice no end of this process.
const LIFE: &str = "600";
/// The most that is taken of a disk, in bytes.
const AT_MOST: u64 = 64 << 20;
/// A limit that a slow machine can prove too.
const RATE: Rate = Rate { bytes_per_second: 100_000 };
/// A delay that answers never have by themselves, under strace neither.
const DELAY: Delay =
    Delay { delay: Duration::from_secs(2), jitter: Duration::ZERO, reorder: Share::percent(0) };

/// A site of processes that carry the mark of a run of the lab, so that the lab's undo ends them.
#[derive(Debug)]
pub(crate) struct Site {
    run_id: String,
    children: Mutex<Vec<Child>>,
}

impl Site {
    /// A site without processes.
    pub(crate) fn of(run_id: &str) -> Self {
        Self { run_id: run_id.to_owned(), children: Mutex::default() }
    }

    /// How the site is taken away, as the lab writes it down.
    pub(crate) fn undo(&self, run_dir: &Path) -> Undo {
        let (run_id, dir) = (&self.run_id, run_dir.join("lab"));
        Undo::Revert {
            kind: "lab".to_owned(),
            node: format!("site of run {run_id}"),
            params: serde_json::json!({ "run_id": run_id, "dir": dir, "external_proxies": null }),
        }
    }

    fn children(&self) -> MutexGuard<'_, Vec<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Vec<ProcessIdentity> {
        let children = self.children();
        let pids = children.iter().filter_map(|child| i32::try_from(child.id()).ok());
        pids.filter_map(|pid| drdrill_process::of_process(&format!("node-{pid}"), pid)).collect()
    }
}

#[async_trait]
impl ProcessControl for Site {
    async fn processes(&self, _: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        let running = self.running().into_iter().zip(0..);
        Ok(running.map(|(one, n)| ProcessIdentity { node: format!("node-{n}"), ..one }).collect())
    }

    /// None by name: a lost site is lost as a whole.
    fn known(&self, _: &str) -> Vec<KnownProcess> {
        Vec::new()
    }
}

fn lacks(what: &str) -> ActionError {
    ActionError::new(what, "one", "this site cannot")
}

#[async_trait]
impl SiteControl for Site {
    async fn status(&self, _: &str) -> Result<SiteStatus, ActionError> {
        Err(lacks("look"))
    }

    async fn fence(&self, _: &str) -> Result<(), ActionError> {
        Err(lacks("fence"))
    }

    async fn unfence(&self, _: &str) -> Result<(), ActionError> {
        Err(lacks("unfence"))
    }

    async fn promote(&self, _: &str, _: u64) -> Result<(), ActionError> {
        Err(lacks("promote"))
    }

    async fn follow(&self, _: &str, _: &str) -> Result<(), ActionError> {
        Err(lacks("follow"))
    }

    async fn start(&self, site: &str) -> Result<(), ActionError> {
        for _ in self.running().len()..PROCESSES {
            let child = Command::new("sleep")
                .arg(LIFE)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env(MARK, &self.run_id)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| ActionError::new("start", site, error))?;
            self.children().push(child);
        }
        Ok(())
    }
}

/// Processes that are there already.
#[derive(Debug)]
struct Those {
    processes: Vec<ProcessIdentity>,
    canary: Option<String>,
    start: Option<StartCommand>,
}

#[async_trait]
impl ProcessControl for Those {
    async fn processes(&self, _: &str) -> Result<Vec<ProcessIdentity>, ActionError> {
        Ok(self.processes.iter().filter(|one| drdrill_process::is_alive(one)).cloned().collect())
    }

    fn known(&self, _: &str) -> Vec<KnownProcess> {
        let known = |one: &ProcessIdentity| KnownProcess {
            node: one.node.clone(),
            component: one.node.clone(),
            found_by: FoundBy::Pid(one.pid),
            canary: self.canary.clone(),
            start: self.start.clone(),
        };
        self.processes.iter().map(known).collect()
    }
}

impl Those {
    /// Those of these numbers that run.
    fn of(pids: &[String]) -> Self {
        let pids = pids.iter().filter_map(|pid| pid.parse().ok());
        let processes = pids
            .filter_map(|pid| drdrill_process::of_process(&format!("pid {pid}"), pid))
            .collect();
        Self { processes, canary: None, start: None }
    }

    /// All of them as targets.
    fn targets(self) -> Targets {
        Targets {
            on: "one".to_owned(),
            component: None,
            max_targets: self.processes.len(),
            sites: vec!["one".to_owned()],
            processes: Arc::new(self),
        }
    }
}

/// The fault of that kind on that target.
pub(crate) fn fault(
    kind: &str,
    target: &[String],
    program: &Path,
    site: &Arc<Site>,
) -> Result<Arc<dyn Action>, ActionError> {
    Ok(match (kind, target) {
        ("site_loss", [api, clients, proxies @ ..]) => {
            Arc::new(SiteLoss::new(network(api, clients, proxies)?, site.clone()))
        }
        ("site_destruction", [directory, kept, api, clients, proxies @ ..]) => {
            Arc::new(SiteDestruction {
                network: network(api, clients, proxies)?,
                processes: site.clone(),
                directories: vec![PathBuf::from(directory)],
                kept_in: PathBuf::from(kept),
                planned: Mutex::default(),
            })
        }
        ("network_down", [api, clients, proxies @ ..]) => {
            Arc::new(NetworkDown { network: network(api, clients, proxies)? })
        }
        ("site_partition", [api, clients, proxies @ ..]) => {
            Arc::new(partition(api, clients, proxies)?)
        }
        ("process_pause", pids) => Arc::new(pause(pids, program)),
        ("storage_read_only", pids) => Arc::new(StorageReadOnly {
            targets: Those::of(pids).targets(),
            health: None,
            struck: Mutex::default(),
        }),
        ("process_kill", [pid, pid_file, starts, canary]) => {
            Arc::new(kill(pid, pid_file, starts, canary, program))
        }
        ("disk_full", [path]) => Arc::new(fill(path)),
        ("data_corruption" | "data_deletion" | "data_encryption", [path, saved]) => {
            stored::rows(kind, path, saved)
        }
        ("backup_damage", [path, kept]) => stored::backup(path, kept),
        ("network_partition", [pid, canary]) => {
            disturb(Disturbance::Partition, Via::Nftables, pid, canary)?
        }
        ("iptables", [pid, canary]) => disturb(Disturbance::Partition, Via::Iptables, pid, canary)?,
        ("packet_loss", [pid, canary]) => {
            disturb(Disturbance::Loss(Share::percent(50)), Via::Nftables, pid, canary)?
        }
        ("rate_limit", [pid, canary]) => {
            disturb(Disturbance::Limit(RATE), Via::Nftables, pid, canary)?
        }
        ("network_delay", [pid, canary]) => Arc::new(Queue(slow_down(pid, canary)?)),
        _ => return Err(ActionError::new("inject", kind, "there is no such fault or target")),
    })
}

fn network(api: &str, clients: &str, proxies: &[String]) -> Result<SiteNetwork, ActionError> {
    let links = SiteLinks {
        proxies: proxies.to_vec(),
        client_paths: vec![clients.to_owned()],
        server: None,
    };
    Ok(SiteNetwork { site: "one".to_owned(), links, control: Links::of_server(api)? })
}

/// What any HTTP server answers.
const REQUEST: &[u8] = b"GET /version HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n";

fn partition(api: &str, clients: &str, proxies: &[String]) -> Result<LinkPartition, ActionError> {
    let links = proxies.chunks_exact(2).map(|pair| PeerLink {
        proxy: pair[0].clone(),
        from: "other".to_owned(),
        to: "one".to_owned(),
        address: pair[1].clone(),
        request: REQUEST.to_vec(),
        replication: false,
    });
    let path = ClientPath {
        site: "one".to_owned(),
        address: clients.to_owned(),
        request: REQUEST.to_vec(),
    };
    Ok(LinkPartition {
        on: "one".to_owned(),
        way: Way::Both,
        links: PeerLinks { links: links.collect(), clients: vec![path], server: None },
        control: Links::of_server(api)?,
        open: Mutex::default(),
    })
}

fn pause(pids: &[String], program: &Path) -> ProcessPause {
    let targets = Those::of(pids).targets();
    ProcessPause { targets, program: PathBuf::from(program), struck: Mutex::default() }
}

fn kill(pid: &String, pid_file: &str, starts: &str, canary: &str, program: &Path) -> ProcessEnd {
    let start = StartCommand {
        program: PathBuf::from(starts),
        arguments: Vec::new(),
        pid_file: PathBuf::from(pid_file),
    };
    let those = Those::of(std::slice::from_ref(pid));
    let those = Those { canary: Some(canary.to_owned()), start: Some(start), ..those };
    ProcessEnd {
        end: End::Kill,
        targets: those.targets(),
        restart: None,
        program: PathBuf::from(program),
        struck: Mutex::default(),
    }
}

fn fill(path: &str) -> DiskFull {
    let directory = Directory {
        name: "one".to_owned(),
        path: PathBuf::from(path),
        at_most: AT_MOST,
        spared: vec![PathBuf::from("/")],
    };
    DiskFull { on: "one".to_owned(), directory, leave: 0, planned: Mutex::default() }
}

fn disturb(
    disturbance: Disturbance,
    via: Via,
    pid: &str,
    canary: &str,
) -> Result<Arc<dyn Action>, ActionError> {
    Ok(Arc::new(NetworkFault {
        disturbance,
        on: "one".to_owned(),
        nodes: vec![node(pid, canary)?],
        peers: Vec::new(),
        others: Vec::new(),
        way: Way::In,
        ports: Vec::new(),
        via,
        planned: Mutex::default(),
    }))
}

fn node(pid: &str, canary: &str) -> Result<NetworkNode, ActionError> {
    let address: std::net::SocketAddr =
        canary.parse().map_err(|error| ActionError::new("read", canary, error))?;
    let pid = pid.parse().map_err(|error| ActionError::new("read", pid, error))?;
    Ok(NetworkNode {
        node: "one".to_owned(),
        place: NetworkPlace::Pid(pid),
        addresses: vec![address.ip()],
        canary: canary.to_owned(),
    })
}

fn slow_down(pid: &str, canary: &str) -> Result<NetworkDelay, ActionError> {
    Ok(NetworkDelay {
        delay: DELAY,
        // `struct tc_fifo_qopt`.
        discipline: Discipline { kind: "pfifo", options: 1000_u32.to_ne_bytes().to_vec() },
        on: "one".to_owned(),
        nodes: vec![node(pid, canary)?],
        peers: Vec::new(),
        others: Vec::new(),
        planned: Mutex::default(),
    })
}

/// A delay by a plain queue, which any kernel has: all of it but that packets are late.
#[derive(Debug)]
struct Queue(NetworkDelay);

#[async_trait]
impl Action for Queue {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn target(&self) -> String {
        self.0.target()
    }

    fn via(&self) -> String {
        self.0.via()
    }

    fn belts(&self) -> Vec<Belt> {
        self.0.belts()
    }

    async fn plan(&self, tag: &Tag) -> Result<Undo, ActionError> {
        self.0.plan(tag).await
    }

    async fn apply(&self, tag: &Tag) -> Result<(), ActionError> {
        self.0.apply(tag).await
    }

    async fn observe(&self, tag: &Tag) -> Result<Presence, ActionError> {
        Ok(match self.0.lacks(tag)? {
            None => Presence::InEffect { proof: "it is there".to_owned() },
            Some(detail) => Presence::Absent { detail },
        })
    }
}
