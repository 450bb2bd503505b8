//! Network faults where the kernel has no packet filter that takes them back by itself: chains of our own, made with the
//! `iptables` program.
//!
//! In the table `mangle` two chains are made, one for what arrives and one for what leaves, and a rule that leads there
//! from `PREROUTING` and `POSTROUTING`. Both carry the fault's name; nothing else is ever changed. An empty table
//! `mangle` may come into being, as after any look at it. Nobody but drdrill takes this back, and whoever sends a
//! packet that is dropped when leaving may be told: that is what `nft` (the module) does better.

use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::network::Way;
use serde::{Deserialize, Serialize};

use crate::namespace::Namespace;
use crate::nft::{Rules, Strike};

/// The programs for IPv4 and IPv6.
const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];
/// Where they are looked for besides `PATH`: a keeper has none, and users have no `sbin` in it.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// Seconds to wait for others who change tables right now; less than an undo may take (10 s a try).
const LOCK_SECONDS: &str = "4";
/// Name of the variable that commands which make a fault carry, with its tag. One that waits for others may outlive the
/// drdrill that started it, and would make a chain after all was taken back.
const MARK: &str = "DRDRILL_CHAINS";
/// A command that was killed is gone after this time; less than an undo may take.
const ENDING: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Longest name of a chain, without what tells our two apart (`XT_EXTENSION_MAXNAMELEN` is 29).
const NAME_BYTES: usize = 26;
/// ICMP version 6 that keeps the link itself working (RFC 2710, RFC 4861, RFC 3810).
const UPKEEP: [&str; 9] = ["130", "131", "132", "133", "134", "135", "136", "137", "143"];

/// What went wrong, in the program's own words.
#[derive(Debug, thiserror::Error)]
pub enum IptablesError {
    /// The program is not installed.
    #[error("there is no program {0}: install the package iptables")]
    Missing(&'static str),
    /// It cannot be started where the node is.
    #[error("start {program}")]
    Start {
        /// Which one.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("{program} {arguments}: {said}")]
    Failed {
        /// Which one.
        program: String,
        /// What it was told.
        arguments: String,
        /// What it said.
        said: String,
    },
    /// A command that was started by a drdrill that is gone cannot be found or ended.
    #[error("end the commands that still make it")]
    Late(#[source] io::Error),
    /// It has no limits of bytes.
    #[error("iptables cannot limit a rate in bytes")]
    NoLimits,
}

/// The chains of one fault. Data: whoever takes the fault back knows only this.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Chains {
    /// Stands in the comment of the rules that lead to the chains.
    pub tag: String,
    /// Programs, with their full paths.
    pub programs: Vec<PathBuf>,
}

/// A direction: the hook, the end of our chain's name, and how packets of a peer, of a device and of a port are told.
struct Side {
    hook: &'static str,
    end: &'static str,
    device: &'static str,
    peer: &'static str,
    port: &'static str,
}

const ARRIVING: Side =
    Side { hook: "PREROUTING", end: "-i", device: "-i", peer: "-s", port: "--dport" };
const LEAVING: Side =
    Side { hook: "POSTROUTING", end: "-o", device: "-o", peer: "-d", port: "--sport" };

impl Chains {
    /// The chains that a fault of that name will have.
    ///
    /// # Errors
    /// When the programs are not there.
    pub fn new(tag: &str, rules: &Rules) -> Result<Self, IptablesError> {
        let [four, six] = PROGRAMS;
        let all = rules.peers.is_empty();
        let mut programs = Vec::new();
        if all || rules.peers.iter().any(IpAddr::is_ipv4) {
            programs.push(find(four)?);
        }
        if all || rules.peers.iter().any(IpAddr::is_ipv6) {
            programs.push(find(six)?);
        }
        Ok(Self { tag: tag.to_owned(), programs })
    }

    /// Puts rules into effect. What has been done when an error comes is there until [`Chains::remove`].
    ///
    /// # Errors
    /// What the programs say.
    pub fn install(&self, namespace: &Namespace, rules: &Rules) -> Result<(), IptablesError> {
        let strike = match rules.strike {
            Strike::Drop => Vec::new(),
            Strike::Lose(share) => {
                let share = format!("{:.6}", share.ratio());
                words(&format!("-m statistic --mode random --probability {share}"))
            }
            Strike::Limit(_) => return Err(IptablesError::NoLimits),
        };
        for program in &self.programs {
            let tell = |arguments: &[String]| {
                let mut command = command(program, arguments);
                tell(namespace, command.env(MARK, &self.tag))
            };
            let six = program.file_name().is_some_and(|it| it.as_bytes().starts_with(b"ip6"));
            for side in sides(rules.way) {
                let chain = self.chain(side);
                // That refuses a chain that is there already, whosever it is.
                tell(&words(&format!("-N {chain}")))?;
                if six && rules.ports.is_empty() {
                    for kind in UPKEEP {
                        let keep = format!("-A {chain} -p icmpv6 --icmpv6-type {kind} -j RETURN");
                        tell(&words(&keep))?;
                    }
                }
                for matching in matching(rules, side, six) {
                    let rule = format!("-A {chain} ! {} lo {matching}", side.device);
                    tell(&[words(&rule), strike.clone(), words("-j DROP")].concat())?;
                }
                tell(&[words(&format!("-I {} 1", side.hook)), self.leads_to(&chain)].concat())?;
            }
        }
        Ok(())
    }

    /// Takes away what is left of the chains, and of the rules that lead there. Nothing left is fine.
    ///
    /// # Errors
    /// What the programs say.
    pub fn remove(&self, namespace: &Namespace) -> Result<(), IptablesError> {
        self.end_what_still_makes_it().map_err(IptablesError::Late)?;
        for program in &self.programs {
            let tell = |arguments: &[String]| tell(namespace, &mut command(program, arguments));
            for side in [&ARRIVING, &LEAVING] {
                let chain = self.chain(side);
                let left = left_of(namespace, program, &chain)?;
                let leading = format!("-A {} ", side.hook);
                for _ in left.iter().filter(|line| line.starts_with(&leading)) {
                    tell(&[words(&format!("-D {}", side.hook)), self.leads_to(&chain)].concat())?;
                }
                if left.contains(&format!("-N {chain}")) {
                    tell(&words(&format!("-F {chain}")))?;
                    tell(&words(&format!("-X {chain}")))?;
                }
            }
        }
        Ok(())
    }

    /// Kills the commands that a drdrill that is gone has left behind. What they do they do as a whole, or not at all.
    fn end_what_still_makes_it(&self) -> io::Result<()> {
        let mark = format!("{MARK}={}", self.tag);
        let give_up = Instant::now() + ENDING;
        loop {
            let late = drdrill_process::marked(&mark)?;
            let Some(first) = late.first() else { return Ok(()) };
            if Instant::now() >= give_up {
                return Err(io::Error::other(format!("process {} does not end", first.pid)));
            }
            late.iter().try_for_each(drdrill_process::kill)?;
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// What is left, as the programs show it.
    ///
    /// # Errors
    /// When they cannot tell.
    pub fn residue(&self, namespace: &Namespace) -> Result<Vec<String>, IptablesError> {
        let mut left = Vec::new();
        for program in &self.programs {
            for side in [&ARRIVING, &LEAVING] {
                left.extend(left_of(namespace, program, &self.chain(side))?);
            }
        }
        Ok(left)
    }

    /// The commands that do the same as [`Chains::remove`].
    #[must_use]
    pub fn by_hand(&self) -> String {
        let mut commands = Vec::new();
        for program in &self.programs {
            let program = program.display();
            for side in [&ARRIVING, &LEAVING] {
                let (chain, hook) = (self.chain(side), side.hook);
                let leads = self.leads_to(&chain).join(" ");
                commands.push(format!("{program} -t mangle -D {hook} {leads}"));
                commands.push(format!("{program} -t mangle -F {chain}"));
                commands.push(format!("{program} -t mangle -X {chain}"));
            }
        }
        commands.join("; ")
    }

    /// The end of the tag tells runs apart: it is drawn by lot.
    fn chain(&self, side: &Side) -> String {
        let start = self.tag.len().saturating_sub(NAME_BYTES);
        let name = self.tag.get(start..).unwrap_or(&self.tag).trim_start_matches('-');
        format!("{name}{}", side.end)
    }

    fn leads_to(&self, chain: &str) -> Vec<String> {
        words(&format!("-m comment --comment {} -j {chain}", self.tag))
    }
}

/// Lines of the table in which a chain is named.
fn left_of(
    namespace: &Namespace,
    program: &Path,
    chain: &str,
) -> Result<Vec<String>, IptablesError> {
    let table = tell(namespace, &mut command(program, &words("-S")))?;
    let ours = |line: &&str| line.split_whitespace().any(|word| word == chain);
    Ok(table.lines().filter(ours).map(str::to_owned).collect())
}

/// Whether the programs are there, and may look at the table.
///
/// # Errors
/// Why not.
pub fn usable(namespace: &Namespace) -> Result<(), IptablesError> {
    for program in PROGRAMS {
        tell(namespace, &mut command(&find(program)?, &words("-S")))?;
    }
    Ok(())
}

fn sides(way: Way) -> Vec<&'static Side> {
    let sides = [(way.arriving(), &ARRIVING), (way.leaving(), &LEAVING)];
    sides.into_iter().filter(|(struck, _)| *struck).map(|(_, side)| side).collect()
}

/// The rules' conditions, one for each peer, port and protocol.
fn matching(rules: &Rules, side: &Side, six: bool) -> Vec<String> {
    let mut peers: Vec<String> = Vec::new();
    for peer in rules.peers.iter().map(IpAddr::to_canonical).filter(|one| one.is_ipv6() == six) {
        peers.push(format!("{} {peer}", side.peer));
    }
    if rules.peers.is_empty() {
        peers.push(String::new());
    }
    let mut ports: Vec<String> = Vec::new();
    for port in &rules.ports {
        ports.extend(["tcp", "udp"].map(|name| format!("-p {name} {} {port}", side.port)));
    }
    if rules.ports.is_empty() {
        ports.push(String::new());
    }
    peers.iter().flat_map(|peer| ports.iter().map(move |port| format!("{peer} {port}"))).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn find(program: &'static str) -> Result<PathBuf, IptablesError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(DIRECTORIES.map(PathBuf::from));
    let mut files = directories.filter(|it| it.is_absolute()).map(|it| it.join(program));
    files.find(|file| file.is_file()).ok_or(IptablesError::Missing(program))
}

/// A command about the table.
fn command(program: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(["-w", LOCK_SECONDS, "-t", "mangle"]).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command inside the namespace; returns what it says.
fn tell(namespace: &Namespace, command: &mut Command) -> Result<String, IptablesError> {
    let output = namespace.run(|| command.output()).and_then(|output| output);
    let program = command.get_program().display().to_string();
    let Output { status, stdout, stderr } = match output {
        Ok(output) => output,
        Err(source) => return Err(IptablesError::Start { program, source }),
    };
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr).trim().replace('\n', "; ");
    // One that was killed says nothing.
    let said = if said.is_empty() { status.to_string() } else { said };
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    Err(IptablesError::Failed { program, arguments: arguments.join(" "), said })
}
