//! Programs under strace: which system calls they make, and what they do when one of them is their last or fails.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::sandbox::Outcome;

/// A system call of a trace: the `nth` of its name that one thread made. strace counts each thread for itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Point {
    pub(crate) call: String,
    pub(crate) nth: usize,
}

/// A line of a trace that is a call, or the return of one.
struct Line<'a> {
    thread: &'a str,
    text: &'a str,
}

/// What strace wrote down.
#[derive(Debug)]
pub(crate) struct Trace(String);

impl Trace {
    pub(crate) fn read(log: &Path) -> Self {
        // Strings of the traced program may be anything.
        Self(String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned())
    }

    /// Lines are `THREAD TIME TEXT`, without the thread where only one was watched.
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.0.lines().filter_map(|line| {
            let (first, rest) = line.split_once(' ')?;
            let rest = rest.trim_start();
            if first.contains('.') {
                return Some(Line { thread: "", text: rest });
            }
            let (_, text) = rest.split_once(' ')?;
            Some(Line { thread: first, text })
        })
    }

    /// Every system call that is the first to be the nth of its name in any thread, in the order in which they were
    /// made, with its text. These are the calls that an injection can be aimed at.
    pub(crate) fn points(&self) -> Vec<(Point, String)> {
        let mut made: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut points = Vec::new();
        for Line { thread, text } in self.lines() {
            let Some((call, _)) = text.split_once('(') else { continue };
            if !call.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
            {
                continue;
            }
            let nth = made.entry((thread, call)).or_default();
            *nth += 1;
            let point = Point { call: call.to_owned(), nth: *nth };
            if seen.insert(point.clone()) {
                points.push((point, text.to_owned()));
            }
        }
        points
    }

    /// The calls that were made to fail.
    pub(crate) fn injected(&self) -> Vec<&str> {
        // The names of files stand where the call began, which may be another line than the one where it ended.
        let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
        let mut injected = Vec::new();
        for Line { thread, text } in self.lines() {
            if text.ends_with("(INJECTED)") {
                let resumed = text.starts_with("<...");
                injected.push(if resumed {
                    begun.get(thread).copied().unwrap_or(text)
                } else {
                    text
                });
            }
            begun.insert(thread, text);
        }
        injected
    }

    /// When the kernel killed the program, since the epoch.
    pub(crate) fn killed(&self) -> Option<Duration> {
        let line = self.0.lines().rfind(|line| line.ends_with("+++ killed by SIGKILL +++"))?;
        Some(Duration::from_secs_f64(line.split_whitespace().nth(1)?.parse().ok()?))
    }

    /// Bytes that were written before the last flush that succeeded, and before anything was made to fail. `before` of
    /// them were written before the trace began.
    pub(crate) fn acknowledged(&self, before: u64) -> u64 {
        let (mut written, mut acknowledged) = (before, 0);
        for Line { text, .. } in self.lines() {
            let returned = text.rsplit_once(" = ").map_or("", |(_, returned)| returned);
            match text {
                _ if text.ends_with("(INJECTED)") => break,
                _ if text.contains("write") => written += returned.parse().unwrap_or(0),
                _ if text.contains("fdatasync") && returned == "0" => acknowledged = written,
                _ => {}
            }
        }
        acknowledged
    }

    /// How many lines of the undo ledger had become durable when the first call was made that `is_effect` knows; `None`
    /// when none was made.
    pub(crate) fn durable_before(&self, is_effect: impl Fn(&str) -> bool) -> Option<usize> {
        let mut durable = 0;
        let mut waits = BTreeSet::new();
        for Line { thread, text } in self.lines() {
            if is_effect(text) {
                return Some(durable);
            }
            let syncs = text.starts_with("fdatasync(") && text.contains(".ledger>");
            let resumes = text.starts_with("<... fdatasync resumed>") && waits.remove(thread);
            if syncs && text.ends_with("<unfinished ...>") {
                waits.insert(thread);
            } else if (syncs || resumes) && text.ends_with("= 0") {
                durable += 1;
            }
        }
        None
    }
}

/// A command, started by another program that becomes it; none for the command itself.
pub(crate) fn under<S: AsRef<OsStr>>(starter: &[S], command: &Command) -> Command {
    let words = starter.iter().map(AsRef::as_ref).chain([command.get_program()]);
    let words: Vec<&OsStr> = words.chain(command.get_args()).collect();
    let mut all = Command::new(words[0]);
    all.args(&words[1..])
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null());
    all
}

/// The program that starts another one in the network of a process.
pub(crate) fn in_network_of(pid: u32) -> Vec<String> {
    vec!["nsenter".to_owned(), format!("--net=/proc/{pid}/ns/net")]
}

/// Runs a program under strace to its end.
pub(crate) fn strace(
    starter: &[String],
    options: &[&str],
    command: &Command,
    inject: &[String],
    log: &Path,
) -> (Outcome, Trace) {
    let mut words: Vec<String> = starter.to_vec();
    words.push("strace".to_owned());
    words.extend(options.iter().chain(&["-ttt", "-s", "64", "-o"]).map(|&word| word.to_owned()));
    words.push(log.display().to_string());
    words.extend(inject.iter().flat_map(|what| ["-e".to_owned(), format!("inject={what}")]));
    let output = under(&words, command).output();
    let output = output.unwrap_or_else(|error| panic!("strace: {error}"));
    (Outcome::of(&output), Trace::read(log))
}

/// So many of the points, spread evenly over all; as many as `DRDRILL_SWEEP` says, where it says so, which may be `all`.
pub(crate) fn spread<T: Clone>(all: &[T], sample: usize) -> Vec<T> {
    let sample = match std::env::var("DRDRILL_SWEEP") {
        Ok(how) if how == "all" => all.len(),
        Ok(how) => how.parse().unwrap_or_else(|_| panic!("DRDRILL_SWEEP={how} is no number")),
        Err(_) => sample,
    };
    let sample = sample.min(all.len());
    (0..sample).map(|n| all[(2 * n + 1) * all.len() / (2 * sample)].clone()).collect()
}
