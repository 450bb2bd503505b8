//! Drills that inject one kind of fault each, and a look at what they strike that owes nothing to drdrill.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::cut::{start_with, write_files};
use super::daemon::Daemon;
use super::drill::Drill;
use super::full::write_full_files;
use super::machine::{entry, environment, scenario};
use super::net::{APP, DB, HUB, Net};
use super::quick::quick;
use super::sandbox::Sandbox;
use super::tmpfs::Tmpfs;
use super::world::processes;

/// Where a fault is injected.
enum Place {
    Lab,
    /// A network, where the kernel takes the fault back.
    Network(Net),
    /// A network, where nobody but drdrill takes the fault back.
    Chains(Net),
    Machine(Machine),
    Disk(Disk),
}

/// A daemon that is struck, and one that must not notice.
struct Machine {
    db: Daemon,
    other: Daemon,
    /// What the other one was before.
    spared: i32,
}

/// A file system.
struct Disk {
    tmpfs: Tmpfs,
    /// Bytes that were free before.
    free: u64,
    /// What is probed.
    _service: TcpListener,
}

/// A drill that injects one kind of fault.
pub(crate) struct Ground {
    pub(crate) kind: &'static str,
    // Unmounted before its directory is removed.
    place: Place,
    pub(crate) sandbox: Sandbox,
}

impl Ground {
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::lab("site_loss", "site_loss: { on: primary }"),
            Self::network("network_partition", "network_partition: { on: primary }"),
            Self::machine("process_kill", "process_kill: { on: primary }"),
            Self::lab("process_pause", "process_pause: { on: primary, max_targets: 20 }"),
            Self::disk("disk_full", "disk_full: { on: primary }"),
            Self::lab("network_down", "network_down: { on: primary }"),
            Self::lab("site_partition", "network_partition: { on: primary, from: dr }"),
            Self::lab(
                "storage_read_only",
                "storage_read_only: { on: primary, component: service }",
            ),
            Self::network("packet_loss", "packet_loss: { on: primary, share: 40%, way: in }"),
            Self::chains("iptables", "network_partition: { on: primary, via: iptables }"),
            Self::lab(
                "data_corruption",
                "data_corruption: { on: primary, rows: 20, replicated: true }",
            ),
            Self::lab(
                "data_deletion",
                "data_deletion: { on: primary, rows: 30, replicated: true }",
            ),
            Self::lab("backup_damage", "backup_damage: { on: primary, newest: 1, how: truncate }"),
            Self::lab("auth_killed", "process_kill: { on: primary, component: auth }"),
            Self::lab(
                "replication_stall",
                "replication_stall: { on: dr, from: primary, limit: 100ms }",
            ),
            Self::lab(
                "data_encryption",
                "data_encryption: { on: primary, rows: 20, replicated: true }",
            ),
            Self::lab("site_destruction", "site_destruction: { on: primary, backups: true }"),
            Self::lab("region_outage", "region_outage: { on: primary }"),
            Self::network("rate_limit", "rate_limit: { on: primary, from: dr, rate: 300kB/s }"),
        ]
    }

    fn lab(kind: &'static str, inject: &str) -> Self {
        let sandbox = Sandbox::new();
        quick(&sandbox);
        let scenario = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
        let scenario = scenario.replace("site_loss: { on: primary }", inject);
        fs::write(sandbox.path("quick.yaml"), scenario).unwrap();
        Self { kind, place: Place::Lab, sandbox }
    }

    fn network(kind: &'static str, inject: &str) -> Self {
        let (sandbox, net) = (Sandbox::new(), Net::new());
        write_files(&sandbox, &net, inject);
        Self { kind, place: Place::Network(net), sandbox }
    }

    fn chains(kind: &'static str, inject: &str) -> Self {
        let (sandbox, net) = (Sandbox::new(), Net::new());
        write_files(&sandbox, &net, inject);
        assert_eq!(net.iptables(DB), "");
        Self { kind, place: Place::Chains(net), sandbox }
    }

    fn machine(kind: &'static str, inject: &str) -> Self {
        let sandbox = Sandbox::new();
        let (db, other) = (Daemon::start(&free_address()), Daemon::start(&free_address()));
        let spared = other.pid();
        let entries = [entry(&db, "db", "primary"), entry(&other, "web", "dr")].concat();
        fs::write(sandbox.path("end.yaml"), scenario(inject)).unwrap();
        fs::write(sandbox.path("env.yaml"), environment(&db, &other, &entries)).unwrap();
        Self { kind, place: Place::Machine(Machine { db, other, spared }), sandbox }
    }

    fn disk(kind: &'static str, inject: &str) -> Self {
        let sandbox = Sandbox::new();
        let tmpfs = Tmpfs::mount(&sandbox.path("data"));
        let service = TcpListener::bind("127.45.0.1:0").unwrap();
        let address = service.local_addr().unwrap();
        write_full_files(&sandbox, &tmpfs.path, address, inject, ", at_most: 16MiB");
        let disk = Disk { free: tmpfs.free(), tmpfs, _service: service };
        Self { kind, place: Place::Disk(disk), sandbox }
    }

    /// Starts the drill.
    pub(crate) fn start(&self) -> Drill {
        let run = |scenario, environment| -> Command {
            self.sandbox.command(&format!("run {scenario}.yaml --env {environment}.yaml"))
        };
        match &self.place {
            Place::Lab => Drill::start(run("quick", "env")),
            Place::Network(net) | Place::Chains(net) => start_with(net, run("cut", "net")),
            Place::Machine(_) => Drill::start(run("end", "env")),
            Place::Disk(_) => Drill::start(run("full", "env")),
        }
    }

    /// Whether the fault ends with the process that made it.
    pub(crate) fn ends_with_its_holder(&self) -> bool {
        !matches!(self.place, Place::Chains(_) | Place::Machine(_))
    }

    /// Whether there is anything of a fault that the kernel can show.
    pub(crate) fn in_effect(&self) -> bool {
        match &self.place {
            Place::Lab => processes(&self.sandbox.state).iter().any(|(pid, _)| stands_still(*pid)),
            Place::Network(net) => !net.ruleset(DB).is_empty(),
            Place::Chains(net) => !net.iptables(DB).is_empty(),
            Place::Machine(machine) => machine.db.pids().is_empty(),
            Place::Disk(disk) => disk.tmpfs.free() != disk.free,
        }
    }

    /// How often a daemon that is struck was started so far.
    pub(crate) fn starts(&self) -> usize {
        if let Place::Machine(machine) = &self.place { machine.db.starts() } else { 0 }
    }

    /// All that a fault strikes is as before, as a neighbour sees it.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        match &self.place {
            Place::Lab => {}
            Place::Network(net) | Place::Chains(net) => {
                assert!(net.reaches(HUB, DB) && net.reaches(APP, DB), "{}", self.kind);
            }
            Place::Machine(Machine { db, other, spared }) => {
                assert_eq!(other.pid(), *spared);
                let named = fs::read_to_string(db.pid_file()).unwrap();
                assert_eq!(named.trim(), db.pid().to_string(), "the pid file names another one");
                assert!(db.listens());
            }
            Place::Disk(disk) => assert_eq!(disk.tmpfs.names(), ["theirs"]),
        }
    }

    /// The keeper of a drill that runs.
    pub(crate) fn keeper(&self) -> Option<i32> {
        let found = processes(&self.sandbox.state);
        found.iter().find(|(_, what)| what.contains("keeper ")).map(|(pid, _)| *pid)
    }
}

/// An address at which nobody listens.
fn free_address() -> String {
    TcpListener::bind("127.46.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn stands_still(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:\tt") || status.contains("State:\tT")
}
