//! Starts a process so that it outlives drdrill: in a session of its own, as nobody's child, with nothing of drdrill's.
//!
//! A process in between makes the session and starts the program as its own child, and then ends. So whoever kills
//! drdrill's tree, terminal or session does not kill what drdrill has started again.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use drdrill_core::process::StartCommand;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, geteuid, setsid};

/// Name of the variable that what was started carries, with the tag of the fault and the name of the process: it is
/// found by it while its pid file is not written yet, and not started twice.
const MARK: &str = "DRDRILL_STARTED";
/// Where programs are found, as Debian's login has it for root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Looks whether a command can be started, and starts nothing.
///
/// # Errors
/// When its program is no file that can be run, or when somebody else could put another program in its place.
pub fn check(command: &StartCommand) -> io::Result<()> {
    drdrill_process::check_program(&command.program)
}

/// What stands in the environment of what is started for `node` by the undo `tag`, written `NAME=VALUE`.
pub(super) fn mark(tag: &str, node: &str) -> String {
    format!("{MARK}={tag}/{node}")
}

/// Starts `command` through `drdrill`, the program that is a starter when called as `drdrill starter`.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(
    drdrill: &Path,
    command: &StartCommand,
    tag: &str,
    node: &str,
) -> io::Result<()> {
    check(command)?;
    let user = User::from_uid(geteuid()).ok().flatten();
    let mut starter = Command::new(drdrill);
    starter
        .args([OsString::from("starter"), OsString::from("--")])
        .arg(&command.program)
        .args(&command.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env(MARK, format!("{tag}/{node}"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(user) = user {
        starter.env("HOME", user.dir).env("USER", &user.name).env("LOGNAME", user.name);
    }
    let output = starter.output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{}: {why}", command.program.display())))
}

/// Is the process in between: starts a program in a session of its own, and does not wait for it.
///
/// # Errors
/// When there is no such program, or it cannot be started.
pub fn detach(program: &OsString, arguments: &[OsString]) -> io::Result<()> {
    // Fails only for the leader of a process group, and a child that was just started is none.
    setsid()?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Dropped without waiting: when this process ends, its child is adopted by the first one.
    started.map(drop)
}
