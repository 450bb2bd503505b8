//! `drdrill doctor`: whether this machine has what drills need.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use drdrill_core::inventory::{Attempt, CheckSpec, Headers, Inventory, Provider};
use drdrill_core::network::NetworkPlace;
use drdrill_engine::state::StateDir;
use drdrill_environments::secrets;
use drdrill_faults::iptables;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::qdisc::{self, QdiscError};
use drdrill_notify::notifier::Recipient;
use serde::Serialize;
use tabled::Tabled;

use crate::args::{DoctorArgs, Format};
use crate::exit::{Code, Failure, Outcome};
use crate::guards::pin::{self, PinReader};
use crate::{catalog, guards, notices, out};

/// Space a drill should find, in bytes: a few minutes of history, the lab's databases and its backups.
const WANTED_BYTES: u64 = 200 * 1024 * 1024;
/// Open files a drill should be allowed: a hanging service keeps every attempt of a deadline open at once.
const WANTED_FILES: u64 = 1024;

#[derive(Debug, Serialize, Tabled)]
struct Row {
    #[tabled(rename = "need")]
    need: &'static str,
    #[tabled(rename = "state", format("{}", self.state.word()))]
    state: State,
    #[tabled(rename = "seen")]
    seen: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Missing,
    Optional,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "MISSING",
            Self::Optional => "absent, optional",
        }
    }
}

/// Looks at the machine, and at an environment where one is named.
pub(crate) fn doctor(state: &StateDir, args: &DoctorArgs) -> Outcome {
    let inventory =
        args.env.as_deref().map(|name| catalog::environment(name)?.inventory()).transpose()?;
    let mut rows = vec![
        row(
            "state directory can be written to",
            state.prepare().map(|()| state.root().display().to_string()),
        ),
        row("disk has 200 MB free", free_space(state)),
        row("/proc names processes exactly", own_identity()),
        row("loopback addresses besides 127.0.0.1", loopback()),
        row("enough open files", open_files()),
        optional(
            "nf_tables and CAP_NET_ADMIN, for network_partition, packet_loss and rate_limit",
            nftables(),
        ),
        optional("iptables and ip6tables, where nf_tables cannot be used", chains()),
        optional("sch_netem, for network_delay", netem()),
        optional("root, for process_ and disk_ faults on what other users run", root()),
        optional("ssh-keygen, to verify signatures without drdrill", tool("ssh-keygen", "-?")),
        optional(
            "an identity of this machine, to pin environments to",
            pin::this_machine().map(|id| format!("pin: {{ machine_id: \"{id}\" }}")),
        ),
    ];
    let (engine, images) = super::env_build::seen();
    rows.push(optional("a container engine, for environments of containers", engine));
    rows.push(optional("the images of those", images));
    if let Some(inventory) = &inventory {
        rows.extend(of_environment(inventory)?);
        if args.notify {
            rows.extend(trial(inventory)?);
        }
    }
    for row in &mut rows {
        row.seen = out::harmless(&row.seen);
    }
    if args.format.format == Format::Json {
        out::json(&rows);
    } else {
        out::line(&super::list::table(&rows));
    }
    let missing = rows.iter().any(|row| row.state == State::Missing);
    Ok(if missing { Code::NotReady } else { Code::Passed })
}

/// What an environment's guards would say now.
fn of_environment(inventory: &Inventory) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut passwords = Vec::new();
    let mut headers = |what: &str, name: &str, headers: &Headers| {
        let fetched = secrets::headers(headers);
        let seen = fetched.map(|headers| format!("{what} {name}: {} headers", headers.len()));
        rows.push(row("headers of the environment", seen));
    };
    if let Provider::Host(spec) = &inventory.provider {
        for probe in &spec.probes {
            match &probe.attempt {
                Attempt::Http(http) => headers("probe", &probe.name, &http.headers),
                Attempt::Postgres(postgres) => passwords.extend(&postgres.password),
                Attempt::Redis(redis) => passwords.extend(&redis.password),
                Attempt::S3(s3) => {
                    passwords.extend([&s3.access_key, &s3.secret_key]);
                    passwords.extend(&s3.session_token);
                }
                Attempt::Tcp(_) | Attempt::Dns(_) => {}
            }
        }
    }
    for check in &inventory.checks {
        if let CheckSpec::Http(http) = &check.check {
            headers("check", &check.name, &http.headers);
        }
    }
    for source in passwords {
        let seen = secrets::fetch(source).map(|_| source.to_string());
        rows.push(row(
            "passwords of the environment",
            seen.map_err(|why| format!("{source}: {why}")),
        ));
    }
    match inventory.pin.as_ref().map(PinReader::new) {
        None => rows.push(row::<String>("pin of the environment", Ok("it has none".to_owned()))),
        Some(Err(why)) => rows.push(row("pin of the environment", Err(why))),
        Some(Ok(pin)) => {
            let read = super::runtime()?.block_on(pin.read());
            rows.extend(read.into_iter().map(|(what, seen)| {
                let with_name = |seen: String| format!("{what}: {seen}");
                row("pin of the environment", seen.map(with_name).map_err(with_name))
            }));
        }
    }
    if let Some(notify) = &inventory.notify {
        let made = notices::recipients(notify, None).map_err(|failure| failure.message);
        let names = |made: Vec<Recipient>| {
            let names = made
                .iter()
                .map(|one| format!("{} by {}, from {}", one.name, one.by.kind(), one.from));
            names.collect::<Vec<_>>().join("; ")
        };
        rows.push(row("those who are told of drills", made.map(names)));
    }
    if let Some(window) = &inventory.window {
        let open = window.is_open(chrono::Utc::now());
        let seen = format!("{window}; now {}", if open { "open" } else { "closed" });
        rows.push(optional("window of the environment", if open { Ok(seen) } else { Err(seen) }));
    }
    if inventory.production {
        let seen = format!("faults need --yes-production {}", inventory.environment);
        rows.push(row::<String>("production", Ok(seen)));
    }
    Ok(rows)
}

/// Tells everybody that this is a trial.
fn trial(inventory: &Inventory) -> Result<Vec<Row>, Failure> {
    let outcomes = notices::try_out(inventory)?;
    let one = |(to, error): (String, Option<String>)| {
        row(
            "notice",
            error.map_or_else(
                || Ok(format!("{to} took a trial")),
                |why| Err(format!("{to}: {why}")),
            ),
        )
    };
    Ok(outcomes.into_iter().map(one).collect())
}

fn row<E: ToString>(need: &'static str, seen: Result<String, E>) -> Row {
    match seen {
        Ok(seen) => Row { need, state: State::Ok, seen },
        Err(error) => Row { need, state: State::Missing, seen: error.to_string() },
    }
}

fn optional(need: &'static str, seen: Result<String, String>) -> Row {
    let state = if seen.is_ok() { State::Ok } else { State::Optional };
    Row { need, state, seen: seen.unwrap_or_else(|error| error) }
}

fn free_space(state: &StateDir) -> Result<String, String> {
    let facts = nix::sys::statvfs::statvfs(state.root()).map_err(|error| error.to_string())?;
    let free = facts.blocks_available() * facts.fragment_size();
    let text = format!("{} MB", free / 1_000_000);
    if free >= WANTED_BYTES { Ok(text) } else { Err(text) }
}

fn own_identity() -> Result<String, String> {
    let boot = drdrill_process::boot_id().map_err(|error| error.to_string())?;
    let pid = i32::try_from(std::process::id()).map_err(|error| error.to_string())?;
    let me = drdrill_process::of_process("drdrill", pid).ok_or("this process is not in /proc")?;
    Ok(format!("boot {}, start time {}", &boot[..boot.len().min(8)], me.start_time))
}

fn loopback() -> Result<String, String> {
    let listener = TcpListener::bind("127.9.9.9:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.to_string()).map_err(|error| error.to_string())
}

fn open_files() -> Result<String, String> {
    let limits = fs::read_to_string("/proc/self/limits").map_err(|error| error.to_string())?;
    let line =
        limits.lines().find(|line| line.starts_with("Max open files")).ok_or("no such limit")?;
    let hard = line.split_whitespace().nth(4).unwrap_or("unlimited");
    let enough = hard.parse().map_or(true, |hard: u64| hard >= WANTED_FILES);
    if enough { Ok(hard.to_owned()) } else { Err(format!("{hard}, wanted {WANTED_FILES}")) }
}

fn nftables() -> Result<String, String> {
    guards::packet_filter(&NetworkPlace::Own).map(|()| "tables can be looked at".to_owned())
}

fn root() -> Result<String, String> {
    let user = nix::unistd::geteuid();
    let text = format!("user {user}");
    if user.is_root() { Ok(text) } else { Err(format!("{text}: only what it runs itself")) }
}

fn chains() -> Result<String, String> {
    let place = Namespace::unnamed().map_err(|error| format!("cannot be tried: {error}"))?;
    iptables::usable(&place).map_err(|error| error.to_string())?;
    Ok("tables can be looked at".to_owned())
}

/// Found out by trying, in a network of its own that is gone at once.
fn netem() -> Result<String, String> {
    match qdisc::try_out() {
        Ok(()) => Ok("packets can be delayed".to_owned()),
        Err(error @ QdiscError::Unsupported { .. }) => Err(error.to_string()),
        Err(error) => Err(format!("cannot be tried: {error}")),
    }
}

fn tool(name: &str, argument: &str) -> Result<String, String> {
    Command::new(name)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(|_| format!("{name} is there"))
        .map_err(|error| format!("{name}: {error}"))
}
