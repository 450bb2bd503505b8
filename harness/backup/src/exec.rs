//! A program without a shell, with nothing of drdrill's environment, and with bounded time.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::trouble::Trouble;
use drdrill_core::secret::redacted;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Where programs are found, as Debian's login has it for root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// So much of what it says on standard error is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// So much of it is shown, in characters.
const SHOWN: usize = 200;
/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// The program and all that it started in its process group, which are killed when this is dropped before it was waited
/// for: until then its number is its own.
struct Group {
    child: Child,
    pid: Pid,
    over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.over {
            // A group that has ended meanwhile is what is wanted.
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Runs a program to its end, and gives what it prints to `each`, which may refuse it. It is over when it has ended and
/// nothing that it started holds its output open.
pub(crate) fn run(
    words: &[String],
    timeout: Duration,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), Trouble> {
    let deadline = Instant::now() + timeout;
    let [program, arguments @ ..] = words else {
        return Err(Trouble::Hindered("no program is named".to_owned()));
    };
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} {program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failed("start", &error))?;
    let pid = Pid::from_child(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut group = Group { child, pid, over: false };
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed("watch", &error))?;
    let mut out = out.map(|out| std::fs::File::from(OwnedFd::from(out)));
    let mut err = err.map(|err| std::fs::File::from(OwnedFd::from(err)));
    let mut said = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let late = || format!("{program} did not end within {}", drdrill_core::units::Span(timeout));
    while out.is_some() || err.is_some() {
        let (readable_out, readable_err) = {
            let mut wanted: Vec<PollFd<'_>> = Vec::with_capacity(2);
            for from in [&out, &err].into_iter().flatten() {
                wanted.push(PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN));
            }
            wait_for(&mut wanted, deadline).map_err(|error| failed("read from", &error))?;
            let ready: Vec<bool> = wanted.iter().map(|fd| !fd.revents().is_empty()).collect();
            if !ready.contains(&true) {
                return Err(late().into());
            }
            let first = ready.first().copied().unwrap_or(false);
            let second = ready.get(1).copied().unwrap_or(false);
            if out.is_some() { (first, second) } else { (false, first) }
        };
        if readable_out && let Some(from) = &mut out {
            let read = from.read(&mut chunk).map_err(|error| failed("read from", &error))?;
            match chunk.get(..read) {
                Some(bytes) if !bytes.is_empty() => each(bytes)?,
                _ => out = None,
            }
        }
        if readable_err && let Some(from) = &mut err {
            let read = from.read(&mut chunk).map_err(|error| failed("read from", &error))?;
            let room = KEPT.saturating_sub(said.len());
            said.extend_from_slice(chunk.get(..read.min(room)).unwrap_or_default());
            if read == 0 {
                err = None;
            }
        }
    }
    let mut wanted = [PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN)];
    wait_for(&mut wanted, deadline).map_err(|error| failed("wait for", &error))?;
    if wanted.iter().all(|fd| fd.revents().is_empty()) {
        return Err(late().into());
    }
    let status = group.child.wait().map_err(|error| failed("wait for", &error))?;
    group.over = true;
    if status.success() {
        return Ok(());
    }
    let said = shown(&String::from_utf8_lossy(&said));
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let why = format!("{program}: {status}{said}");
    // One that was killed has said nothing.
    Err(if status.code().is_some() { Trouble::Unusable(why) } else { Trouble::Hindered(why) })
}

/// Waits until one of them has something, or until the deadline.
fn wait_for(wanted: &mut [PollFd<'_>], deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(wanted, Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// The end of a text, without secrets: cut afterwards, because half a secret is not recognised.
fn shown(text: &str) -> String {
    let text = redacted(text.trim());
    let skip = text.chars().count().saturating_sub(SHOWN);
    let cut: String = text.chars().skip(skip).collect();
    if skip > 0 { format!("…{cut}") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> (Result<(), String>, Vec<u8>) {
        let words: Vec<String> = ["/bin/sh", "-c", script].map(str::to_owned).into();
        let mut all = Vec::new();
        let end = run(&words, timeout, |bytes| {
            all.extend_from_slice(bytes);
            if all.len() > 1 << 20 { Err("too much".to_owned()) } else { Ok(()) }
        });
        (end.map_err(String::from), all)
    }

    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn output_and_end_are_those_of_the_program() {
        let (end, out) = sh("printf one; sleep 0.05; printf ' two'", PATIENCE);
        assert_eq!((end, &out[..]), (Ok(()), &b"one two"[..]));
        let (end, _) = sh("echo part; echo why >&2; exit 3", PATIENCE);
        assert_eq!(end.unwrap_err(), "/bin/sh: exit status: 3: why");
        let (end, out) = sh("exec >&- 2>&-; sleep 0.05; exit 4", PATIENCE);
        assert!(end.unwrap_err().contains("exit status: 4") && out.is_empty());
    }

    #[test]
    fn what_takes_too_long_or_prints_too_much_is_killed_with_all_it_started() {
        let marker = tempfile::tempdir().unwrap();
        let late = marker.path().join("late");
        let script = format!("(sleep 1; touch {}) & sleep 60", late.display());
        let began = Instant::now();
        let (end, _) = sh(&script, Duration::from_millis(200));
        assert!(end.unwrap_err().contains("did not end within 200ms"));
        assert!(began.elapsed() < Duration::from_secs(30));
        let (end, _) = sh("yes", PATIENCE);
        assert_eq!(end.unwrap_err(), "too much");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!late.exists(), "what it started lives on");
    }
}
