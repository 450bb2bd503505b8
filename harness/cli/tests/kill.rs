//! Whatever is killed, and whenever: nothing stays broken.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod files;
    pub(crate) mod number;
    pub(crate) mod proxies;
    pub(crate) mod quick;
    pub(crate) mod random;
    pub(crate) mod sandbox;
    pub(crate) mod straggler;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::drill::Drill;
use support::files::contents;
use support::proxies::ProxyServer;
use support::quick::quick;
use support::random::Random;
use support::sandbox::Sandbox;
use support::straggler::Straggler;
use support::wait::{alone, until};
use support::world::{nothing_is_left, processes, runs};

/// Moments of the quick drill, by what it says then.
const MOMENTS: [&str; 4] = ["baseline: ", "  in effect: ", "failover decided", "failback"];

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The keeper of the running drill.
fn keeper(sandbox: &Sandbox) -> i32 {
    let found = processes(&sandbox.state);
    let keeper = found.iter().find(|(_, what)| what.contains(" keeper ")).map(|(pid, _)| *pid);
    keeper.unwrap_or_else(|| panic!("no keeper in {found:?}"))
}

/// Every listening TCP socket of this machine: its address, and its name among descriptors.
fn listeners() -> Vec<(String, String)> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "0A")
        .map(|row| (row[1].to_owned(), format!("socket:[{}]", row[9])))
        .collect()
}

/// Addresses, as the kernel writes them, on which processes of runs listen.
fn addresses_of_runs(sandbox: &Sandbox) -> BTreeSet<String> {
    let descriptors = processes(&sandbox.state)
        .into_iter()
        .flat_map(|(pid, _)| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten());
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let theirs: BTreeSet<String> = links.map(|link| link.display().to_string()).collect();
    let all = listeners().into_iter();
    all.filter(|(_, socket)| theirs.contains(socket)).map(|(address, _)| address).collect()
}

#[track_caller]
fn nobody_listens_on(addresses: &BTreeSet<String>) {
    let left: Vec<_> =
        listeners().into_iter().filter(|(address, _)| addresses.contains(address)).collect();
    assert!(left.is_empty(), "still listened on: {left:?}");
}

/// Kills keeper and harness of a drill at `moment`; returns the run that was cut off.
#[track_caller]
fn cut_off(sandbox: &Sandbox, arguments: &str, moment: &str) -> String {
    let before = runs(&sandbox.state);
    let mut drill = Drill::start(sandbox.command(arguments));
    drill.says(moment);
    let keeper = keeper(sandbox);
    signal(keeper, Signal::SIGKILL);
    drill.signal(Signal::SIGKILL);
    assert_eq!(drill.end().code, None, "it was to be killed");
    let new: Vec<String> = runs(&sandbox.state).difference(&before).cloned().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0].clone()
}

#[test]
fn nobody_reads_the_secrets_of_the_lab_from_a_command_line() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
    drill.says("baseline: ");
    let lines: Vec<String> = processes(&sandbox.state)
        .iter()
        .filter_map(|(pid, _)| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok())
        .collect();
    let services = lines.iter().filter(|line| line.contains("lab-node\0service")).count();
    assert_eq!(services, 2, "{lines:?}");
    for word in ["secret", "password", "token"] {
        assert!(lines.iter().all(|line| !line.contains(word)), "{word}: {lines:?}");
    }
    drill.signal(Signal::SIGKILL);
    drill.end();
    nothing_is_left(&sandbox);
}

#[test]
fn the_keeper_ends_what_does_not_end_by_itself() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
    drill.says("  in effect: ");
    let addresses = addresses_of_runs(&sandbox);
    assert!(addresses.len() > 5, "the lab listens on {addresses:?}");
    let mut straggler = Straggler::of(runs(&sandbox.state).first().unwrap());
    drill.signal(Signal::SIGKILL);
    nothing_is_left(&sandbox);
    nobody_listens_on(&addresses);
    assert!(!straggler.is_there());
}

#[test]
fn a_killed_keeper_ends_the_drill_which_puts_everything_back_itself() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
    drill.says("  in effect: ");
    signal(keeper(&sandbox), Signal::SIGKILL);
    let outcome = drill.end();
    assert!(outcome.stderr.contains("aborted: the keeper is gone"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("verdict: NOT ESTABLISHED (unknown)"), "{}", outcome.stdout);
    outcome.exits(11);
    nothing_is_left(&sandbox);
}

#[test]
fn what_a_killed_tree_leaves_is_refused_and_recovered_once() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let run = quick(&sandbox);
    for moment in MOMENTS {
        let left = cut_off(&sandbox, &run, moment);
        let refused = sandbox.run(&run).exits(12);
        let said = format!("drdrill: run {left} left something in place on lab: ");
        assert!(refused.stderr.starts_with(&said), "{}", refused.stderr);
        assert!(refused.stderr.contains("drdrill recover"), "{}", refused.stderr);
        let recovered = sandbox.run("recover").exits(0).stdout;
        let said = format!("run {left}: taken back and seen to be gone: environment of lab");
        assert!(recovered.contains(&said), "{moment}: {recovered}");
        let after = contents(&sandbox.state);
        nothing_is_left(&sandbox);
        assert!(contents(&sandbox.state) == after, "a second recover changed something");
    }
    sandbox.run(&run).exits(0);
}

#[test]
fn a_recover_that_is_killed_again_and_again_is_finished_by_the_next() {
    let _alone = alone();
    let mut random = Random::new();
    let sandbox = Sandbox::new();
    let left = cut_off(&sandbox, &quick(&sandbox), "  in effect: ");
    let mut killed = 0;
    for _ in 0..20 {
        let straggler = Straggler::of(&left);
        let mut recover = Drill::start(sandbox.command("recover"));
        thread::sleep(random.below(Duration::from_millis(20)));
        recover.signal(Signal::SIGKILL);
        let code = recover.end().code;
        assert!(matches!(code, None | Some(0)), "{code:?}");
        killed += u32::from(code.is_none());
        drop(straggler);
    }
    assert!(killed > 0, "no recover was killed");
    sandbox.run("recover").exits(0);
    nothing_is_left(&sandbox);
    assert!(runs(&sandbox.state).contains(&left), "the evidence of the run stays");
}

#[test]
fn proxies_on_a_server_of_others_go_and_those_of_others_stay() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let server = ProxyServer::start(&sandbox);
    server.create("foreign");
    let before = server.proxies();
    let run = format!("{} --set toxiproxy={}", quick(&sandbox), server.url());
    for moment in MOMENTS {
        let mut drill = Drill::start(sandbox.command(&run));
        drill.says(moment);
        assert!(server.proxies().as_object().unwrap().len() > 5, "{}", server.proxies());
        drill.signal(Signal::SIGKILL);
        drop(drill);
        nothing_is_left(&sandbox);
        assert_eq!(server.proxies(), before, "after a kill at {moment:?}");
        cut_off(&sandbox, &run, moment);
        until("recover", Duration::from_secs(5), || {
            (sandbox.run("recover").exits(0).stdout.contains("taken back")).then_some(())
        });
        assert_eq!(server.proxies(), before, "after recover from {moment:?}");
    }
}
