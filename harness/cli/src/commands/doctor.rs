//! `drdrill doctor`: whether this machine has what drills need.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use drdrill_engine::state::StateDir;
use serde::Serialize;
use tabled::Tabled;

use crate::args::{Format, FormatArgs};
use crate::exit::Code;
use crate::out;

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

/// Looks at the machine.
pub(crate) fn doctor(state: &StateDir, args: FormatArgs) -> Code {
    let rows = [
        row(
            "state directory can be written to",
            state.prepare().map(|()| state.root().display().to_string()),
        ),
        row("disk has 200 MB free", free_space(state)),
        row("/proc names processes exactly", own_identity()),
        row("loopback addresses besides 127.0.0.1", loopback()),
        row("enough open files", open_files()),
        optional("ssh-keygen, to verify signatures without drdrill", tool("ssh-keygen", "-?")),
    ];
    if args.format == Format::Json {
        out::json(&rows);
    } else {
        out::line(&super::list::table(&rows));
    }
    let missing = rows.iter().any(|row| row.state == State::Missing);
    if missing { Code::NotReady } else { Code::Passed }
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
