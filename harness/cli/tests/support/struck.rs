//! What the vehicle `one_fault` strikes, and a look at it that owes nothing to drdrill.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::daemon::Daemon;
use super::database::Database;
use super::net::{DB, HUB, Net};
use super::proxies::ProxyServer;
use super::sandbox::Sandbox;
use super::strace::in_network_of;
use super::tmpfs::Tmpfs;
use super::wait::until;
use super::world::processes;

/// Every kind of fault; `iptables` is a partition by chains of iptables, `network_delay` has a plain queue in place of
/// netem.
const KINDS: [&str; 17] = [
    "site_loss",
    "site_destruction",
    "network_down",
    "site_partition",
    "storage_read_only",
    "process_pause",
    "process_kill",
    "disk_full",
    "data_corruption",
    "data_deletion",
    "data_encryption",
    "backup_damage",
    "network_partition",
    "packet_loss",
    "rate_limit",
    "iptables",
    "network_delay",
];

/// The kinds that are swept: all, or those that `DRDRILL_KINDS` names, separated by spaces.
pub(crate) fn kinds() -> Vec<&'static str> {
    let Ok(named) = std::env::var("DRDRILL_KINDS") else { return KINDS.to_vec() };
    let find = |name| {
        let found = KINDS.into_iter().find(|kind| *kind == name);
        found.unwrap_or_else(|| panic!("DRDRILL_KINDS: {name:?} is none of {KINDS:?}"))
    };
    named.split_whitespace().map(find).collect()
}

/// A target of the faults of one kind.
pub(crate) struct Struck {
    pub(crate) kind: &'static str,
    target: Target,
}

enum Target {
    /// Proxies of a server that is not drdrill's, and all of it as it was before.
    Proxies(ProxyServer, Value),
    /// The same, and a directory of the site.
    Destroyed(ProxyServer, Value, Volume),
    Process(Busy),
    /// A process that survives a refused write, and its limits before.
    Limited(Busy, String),
    /// A daemon, and how often it had been started before.
    Daemon(Daemon, Cell<usize>),
    Disk(Disk),
    Data(Database),
    Backup(Backup),
    Network(Net),
    /// A network whose faults nobody but drdrill takes back.
    Chains(Net),
    /// The same, and its queueing disciplines before.
    Queues(Net, String),
}

/// A file system.
struct Disk {
    tmpfs: Tmpfs,
    /// Bytes that were free before.
    free: u64,
    /// Where it is mounted.
    _place: Sandbox,
}

impl Struck {
    pub(crate) fn new(kind: &'static str) -> Self {
        let target = match kind {
            "site_loss" | "network_down" | "site_partition" => {
                let server = ProxyServer::start(&Sandbox::new());
                for name in ["north", "south", "foreign"] {
                    server.create(name);
                }
                let before = server.proxies();
                Target::Proxies(server, before)
            }
            "site_destruction" => {
                let server = ProxyServer::start(&Sandbox::new());
                for name in ["north", "south", "foreign"] {
                    server.create(name);
                }
                let before = server.proxies();
                Target::Destroyed(server, before, Volume::new())
            }
            "process_pause" => Target::Process(Busy::start()),
            "storage_read_only" => {
                let busy = Busy::start_limited();
                let before = limits(busy.0.id());
                Target::Limited(busy, before)
            }
            "process_kill" => {
                // Nobody listens there.
                let free = TcpListener::bind("127.47.0.1:0").unwrap().local_addr().unwrap();
                let daemon = Daemon::start(&free.to_string());
                let starts = Cell::new(daemon.starts());
                Target::Daemon(daemon, starts)
            }
            "disk_full" => {
                let place = Sandbox::new();
                let tmpfs = Tmpfs::mount(&place.path("data"));
                Target::Disk(Disk { free: tmpfs.free(), tmpfs, _place: place })
            }
            "data_corruption" | "data_deletion" | "data_encryption" => {
                Target::Data(Database::new())
            }
            "backup_damage" => Target::Backup(Backup::new()),
            "iptables" => Target::Chains(Net::new()),
            "network_delay" => {
                let net = Net::new();
                let before = queues(&net);
                Target::Queues(net, before)
            }
            _ => Target::Network(Net::new()),
        };
        Self { kind, target }
    }

    /// Whether the fault ends with the process that made it.
    pub(crate) fn held_by_the_kernel(&self) -> bool {
        !matches!(
            self.target,
            Target::Proxies(..)
                | Target::Destroyed(..)
                | Target::Limited(..)
                | Target::Daemon(..)
                | Target::Chains(_)
                | Target::Queues(..)
                | Target::Data(_)
                | Target::Backup(_)
        )
    }

    /// Lines that the ledger must have before the effect.
    pub(crate) fn intents(&self) -> usize {
        if matches!(self.kind, "site_loss" | "site_destruction") { 2 } else { 1 }
    }

    /// Whether a line of a trace is the call that brings the effect about.
    pub(crate) fn is_effect(&self, line: &str) -> bool {
        match &self.target {
            Target::Proxies(..) if self.kind == "site_partition" => {
                line.starts_with("writev(") && line.contains(r#"{\"timeout\":0}"#)
            }
            Target::Limited(..) => {
                line.starts_with("prlimit64(") && line.contains("RLIMIT_FSIZE, {rlim_cur=0,")
            }
            // The site's processes are the vehicle's own children, and end with it.
            Target::Proxies(..) | Target::Destroyed(..) => {
                line.starts_with("writev(") && line.contains(r#""{\"enabled\":false}""#)
            }
            // A pauser, or the first of the commands.
            Target::Process(_) | Target::Chains(_) => line.contains("CLONE_VFORK"),
            Target::Daemon(..) => line.starts_with("pidfd_send_signal("),
            Target::Disk(disk) => {
                line.starts_with("fallocate(") && line.contains(&*disk.tmpfs.path.to_string_lossy())
            }
            // RTM_NEWQDISC of linux/rtnetlink.h, with options as long as those of a queue: one byte only asks. strace
            // does not always know that a socket is one for routes.
            Target::Queues(..) => {
                let known = line.contains("RTM_NEWQDISC")
                    && line.contains("nla_len=8, nla_type=TCA_OPTIONS");
                let unknown =
                    line.contains("nlmsg_type=0x24 ") && line.contains(r"\x08\x00\x02\x00\xe8\x03");
                line.starts_with("sendto(") && (known || unknown)
            }
            // Of SQLite's calls the first that writes a change.
            Target::Data(_) => line.starts_with("pwrite64(") && line.contains("struck.db-wal"),
            Target::Backup(_) => line.starts_with("ftruncate(") && line.contains("full-1.db"),
            // NFNL_MSG_BATCH_BEGIN of linux/netfilter/nfnetlink.h: only changes come in batches.
            Target::Network(_) => line.starts_with("sendto(") && line.contains("nlmsg_type=0x10 "),
        }
    }

    /// The program that starts the vehicle where it has to run.
    pub(crate) fn starter(&self) -> Vec<String> {
        match &self.target {
            Target::Network(net) | Target::Chains(net) | Target::Queues(net, _) => {
                in_network_of(net.process(HUB))
            }
            _ => Vec::new(),
        }
    }

    /// The vehicle, which strikes this; `pauser` is drdrill, or what stands for it.
    pub(crate) fn vehicle(&self, sandbox: &Sandbox, pauser: &Path) -> Command {
        let mut command = sandbox.program(&vehicle());
        command.arg(pauser).arg(&sandbox.state).arg(self.kind);
        match &self.target {
            Target::Proxies(server, before) => {
                let listen = |name: &str| before[name]["listen"].as_str().unwrap();
                command.arg(server.url());
                if self.kind == "site_partition" {
                    command.arg(listen("foreign"));
                    command.args(["north", listen("north"), "south", listen("south")])
                } else {
                    command.arg(listen("north")).args(["north", "south"])
                }
            }
            Target::Destroyed(server, before, volume) => {
                command.arg(volume.path()).arg(volume.0.path().join("kept")).arg(server.url());
                command.arg(before["north"]["listen"].as_str().unwrap()).args(["north", "south"])
            }
            Target::Process(busy) | Target::Limited(busy, _) => {
                command.arg(busy.0.id().to_string())
            }
            Target::Daemon(daemon, starts) => {
                starts.set(daemon.starts());
                command.arg(daemon.pid().to_string());
                command.arg(daemon.pid_file()).arg(daemon.script()).arg(&daemon.address)
            }
            Target::Disk(disk) => command.arg(&disk.tmpfs.path),
            Target::Data(database) => {
                command.arg(&database.path).arg(database.place.path().join("saved"))
            }
            Target::Backup(backup) => command.arg(backup.path()).arg(backup.0.path().join("kept")),
            Target::Network(net) | Target::Chains(net) | Target::Queues(net, _) => {
                command.arg(net.process(DB).to_string()).arg(format!("{}:5432", Net::address(DB)))
            }
        };
        command
    }

    /// Breaks what is struck, as a fault that was not taken back would have left it.
    pub(crate) fn spoil(&self) {
        match &self.target {
            // As a second start does, which finds the address taken.
            Target::Daemon(daemon, _) => fs::write(daemon.pid_file(), "4711").unwrap(),
            Target::Disk(disk) => fs::write(disk.tmpfs.path.join("more"), [1; 4096]).unwrap(),
            Target::Data(database) => database.spoil(),
            Target::Destroyed(_, _, volume) => fs::remove_file(volume.path().join("data")).unwrap(),
            Target::Backup(backup) => fs::write(backup.path(), "y").unwrap(),
            Target::Chains(net) => {
                let made =
                    net.output(DB, Command::new("iptables").args(["-t", "mangle", "-N", "x"]));
                assert!(made.status.success(), "{made:?}");
            }
            Target::Queues(net, _) => {
                let mut tc = Command::new("tc");
                tc.args(["qdisc", "add", "dev", "lan", "root", "pfifo"]);
                assert!(net.output(DB, &mut tc).status.success());
            }
            _ => panic!("{} cannot be spoilt", self.kind),
        }
    }

    /// What is not as it was before, a line each.
    pub(crate) fn changed(&self, sandbox: &Sandbox) -> Vec<String> {
        let mut changed: Vec<String> = match &self.target {
            Target::Proxies(server, before) => {
                let now = server.proxies();
                (now != *before).then(|| format!("the proxies are {now}")).into_iter().collect()
            }
            Target::Destroyed(server, before, volume) => {
                let now = server.proxies();
                let proxies = (now != *before).then(|| format!("the proxies are {now}"));
                proxies.into_iter().chain(volume.changed()).collect()
            }
            Target::Process(busy) => threads_that_stand(busy.0.id()),
            Target::Limited(busy, before) => {
                let now = limits(busy.0.id());
                (now != *before).then(|| format!("its limits are {now}")).into_iter().collect()
            }
            Target::Daemon(daemon, starts) => lacks(daemon, starts.get()),
            Target::Disk(Disk { tmpfs, free: before, .. }) => {
                let (free, names) = (tmpfs.free(), tmpfs.names());
                (free != *before || names != ["theirs"])
                    .then(|| format!("{free} bytes of {before} are free, beside {names:?}"))
                    .into_iter()
                    .collect()
            }
            Target::Data(database) => database.changed(),
            Target::Backup(backup) => {
                let now = fs::read(backup.path()).unwrap();
                let same = now == [b'x'; 10_000];
                (!same).then(|| format!("the backup has {} bytes", now.len())).into_iter().collect()
            }
            Target::Chains(net) => net.iptables(DB).lines().map(str::to_owned).collect(),
            Target::Queues(net, before) => {
                let now = queues(net);
                (now != *before).then_some(now).into_iter().collect()
            }
            Target::Network(net) => {
                let rules = net.ruleset(DB);
                (!rules.is_empty())
                    .then(|| format!("the packet filter is {rules}"))
                    .into_iter()
                    .collect()
            }
        };
        if changed.is_empty()
            && let Target::Network(net) | Target::Chains(net) | Target::Queues(net, _) =
                &self.target
            && !net.reaches(HUB, DB)
        {
            changed.push("no packet passes".to_owned());
        }
        let processes = processes(&sandbox.state).into_iter();
        changed.extend(processes.map(|(pid, what)| format!("process {pid} {what}")));
        changed
    }
}

/// The queueing disciplines of the node.
fn queues(net: &Net) -> String {
    let shown = net.output(DB, Command::new("tc").args(["-d", "qdisc", "show"]));
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap()
}

/// A directory with data in it.
struct Volume(tempfile::TempDir);

impl Volume {
    fn new() -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        fs::create_dir(volume.path()).unwrap();
        fs::write(volume.path().join("data"), "data").unwrap();
        volume
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("volume")
    }

    fn changed(&self) -> Option<String> {
        let now = fs::read_to_string(self.path().join("data"));
        let same = now.as_ref().is_ok_and(|now| now == "data");
        (!same).then(|| format!("the directory has {now:?}"))
    }
}

/// A backup that is a file of its own.
struct Backup(tempfile::TempDir);

impl Backup {
    fn new() -> Self {
        let backup = Self(tempfile::tempdir().unwrap());
        fs::write(backup.path(), [b'x'; 10_000]).unwrap();
        backup
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("full-1.db")
    }
}

/// A process with several threads. Killed when dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let mut command = Sandbox::new().command("toxiproxy --listen 127.0.0.1:0");
        // Its own directory is gone by then.
        let mut process = command.current_dir("/").stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(process)
    }

    /// One that ignores the signal that comes with a refused write.
    fn start_limited() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec sleep 600"]).stdin(Stdio::null());
        let busy = Self(command.spawn().unwrap());
        let status = format!("/proc/{}/cmdline", busy.0.id());
        until("it sleeps", Duration::from_secs(5), || {
            fs::read(&status).unwrap().starts_with(b"sleep").then_some(())
        });
        busy
    }
}

/// The limits of a process, as the kernel tells them.
fn limits(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/limits")).unwrap()
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a daemon lacks of running once, after it had been started so often before.
fn lacks(daemon: &Daemon, starts: usize) -> Vec<String> {
    let (pids, now) = (daemon.pids(), daemon.starts());
    let named = fs::read_to_string(daemon.pid_file()).unwrap_or_default();
    let mut lacks = Vec::new();
    if pids.iter().map(i32::to_string).ne([named.trim()]) {
        lacks.push(format!("the daemon runs as {pids:?}, and its pid file names {named:?}"));
    }
    if !daemon.listens() {
        lacks.push("the daemon does not listen".to_owned());
    }
    if now > starts + 1 {
        lacks.push(format!("the daemon was started {} times", now - starts));
    }
    lacks
}

/// Threads of a process that are held, and who holds them.
fn threads_that_stand(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let standing = statuses.filter(|status| {
        status.contains("State:\tt")
            || status.contains("State:\tT")
            || !status.contains("TracerPid:\t0\n")
    });
    let told = |status: String| {
        let words = ["Pid:", "State:", "TracerPid:"];
        let lines = status.lines().filter(|line| words.iter().any(|word| line.starts_with(word)));
        lines.collect::<Vec<_>>().join(" ")
    };
    standing.map(told).collect()
}

/// The program that does to one fault what a drill does.
fn vehicle() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_drdrill")).with_file_name("examples/one_fault");
    assert!(
        program.exists(),
        "{} is not there: cargo build -p drdrill --example one_fault",
        program.display()
    );
    program
}
