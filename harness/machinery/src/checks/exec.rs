//! A program that tries a function: no shell, nothing of drdrill's environment, bounded time and output.

use std::path::Path;
use std::process::Stdio;

use drdrill_core::environment::ProcessIdentity;
use drdrill_core::inventory::ExecCheck;
use drdrill_core::secret::redacted;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Where programs are found, as Debian's login has it for root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// So much of what it prints is looked at, in bytes; the rest is read and forgotten.
const KEPT: usize = 64 * 1024;
/// So much of it is shown, in characters.
const SHOWN: usize = 200;

/// A program at work, and all that it started in its process group. They are killed when this is dropped before the program
/// was waited for: until then its number is its own.
pub(crate) struct Group {
    program: String,
    child: Child,
    over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let (Some(pid), false) = (pid, self.over) {
            // A group that has ended meanwhile is what is wanted. One that may not be killed is seen by whoever takes
            // back what a command did, and is told; a check changes nothing.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Runs it to its end: it is over when it has ended and nothing it started holds its output open.
pub(super) async fn run(check: &ExecCheck) -> Result<String, String> {
    run_marked(&check.command, check.output_contains.as_deref(), None).await
}

/// As [`run`], of a command that carries a variable, name and value, in its environment.
pub(crate) async fn run_marked(
    command: &[String],
    output_contains: Option<&str>,
    mark: Option<(&str, &str)>,
) -> Result<String, String> {
    start(command, mark)?.end(output_contains).await
}

/// Starts a command that may carry a variable, name and value, in its environment.
pub(crate) fn start(command: &[String], mark: Option<(&str, &str)>) -> Result<Group, String> {
    let [program, arguments @ ..] = command else {
        return Err("no program is named".to_owned());
    };
    if mark.is_some() {
        // A drill lasts, and an undo may come long after it: what could be changed meanwhile is looked at again.
        drdrill_process::check_program(Path::new(program)).map_err(|error| error.to_string())?;
    }
    let mut command = Command::new(program);
    command.env_clear();
    if let Some((name, value)) = mark {
        command.env(name, value);
    }
    let child = command
        .args(arguments)
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("start {program}: {error}"))?;
    Ok(Group { program: program.clone(), child, over: false })
}

impl Group {
    /// The process that the group began with, unless it has ended.
    pub(crate) fn leader(&self) -> Option<ProcessIdentity> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok())?;
        drdrill_process::of_process("command", pid)
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self, output_contains: Option<&str>) -> Result<String, String> {
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let (out, err) = tokio::join!(read(out), read(err));
        let status = self
            .child
            .wait()
            .await
            .map_err(|error| format!("wait for {}: {error}", self.program))?;
        self.over = true;
        let said = |text: &str| match shown(text) {
            nothing if nothing.is_empty() => String::new(),
            said => format!(": {said}"),
        };
        if !status.success() {
            let text = if err.trim().is_empty() { &out } else { &err };
            return Err(format!("{status}{}", said(text)));
        }
        if let Some(wanted) = output_contains
            && !out.contains(wanted)
        {
            return Err(format!("it printed no `{wanted}`{}", said(&out)));
        }
        Ok(format!("exit code 0{}", said(&out)))
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    let mut some = [0; 4096];
    // What cannot be read any more has ended.
    while let Ok(read @ 1..) = from.read(&mut some).await {
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(some.get(..read.min(room)).unwrap_or_default());
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The beginning of a text, without secrets: cut afterwards, because half a secret is not recognised.
fn shown(text: &str) -> String {
    let text = redacted(text.trim());
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
