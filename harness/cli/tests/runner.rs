//! A CI runner cancels a job: whatever it signals and kills, nothing stays broken.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::drill::Drill;
use support::quick::{quick, quick_but};
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, processes, runs};

/// What the runner of GitHub Actions waits after each signal to a step that was cancelled.
///
/// Source: undo-and-security, finding 2.
const AFTER_SIGINT: Duration = Duration::from_millis(7500);
/// See [`AFTER_SIGINT`].
const AFTER_SIGTERM: Duration = Duration::from_millis(2500);
/// Where a signal arrived, everything is back so long after it.
///
/// Source: undo-and-security goals, R9.
const UNDONE: Duration = Duration::from_secs(5);
/// The variable by which a runner knows what it started.
const TRACKING: &str = "RUNNER_TRACKING_ID";

/// A step of a job, started as a runner starts it: `bash -e SCRIPT`.
struct Step {
    shell: Drill,
    tracking: String,
}

impl Step {
    /// Runs a drill with these arguments, started by `line`, in which `DRILL` stands for its command.
    fn start(sandbox: &Sandbox, line: &str, arguments: &str) -> Self {
        let drill = format!("{} {arguments}", env!("CARGO_BIN_EXE_drdrill"));
        let script = sandbox.path("step.sh");
        fs::write(&script, format!("{}\n", line.replace("DRILL", &drill))).unwrap();
        let tracking = format!("github_{}", sandbox.state.display());
        let drdrill = sandbox.command("");
        let mut bash = Command::new("bash");
        bash.arg("-e")
            .arg(script)
            .current_dir(drdrill.get_current_dir().unwrap())
            .env_clear()
            .envs(drdrill.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env(TRACKING, &tracking);
        let mut shell = Drill::start(bash);
        shell.says("  in effect: ");
        Self { shell, tracking }
    }

    /// The shell and all its descendants, by who is whose parent now.
    fn tree(&self) -> BTreeSet<i32> {
        let parents = all_processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?)));
        let parents: Vec<_> = parents.collect();
        let mut tree = BTreeSet::from([self.shell.pid().as_raw()]);
        loop {
            let children = parents.iter().filter(|(_, parent)| tree.contains(parent));
            let children: Vec<i32> = children.map(|(pid, _)| *pid).collect();
            let before = tree.len();
            tree.extend(children);
            if tree.len() == before {
                return tree;
            }
        }
    }

    fn kill_tree(&self) {
        self.tree().into_iter().for_each(kill_if_there);
    }

    /// What a runner does when the job is over: whatever carries its variable is killed. Returns how many those were.
    fn kill_orphans(&self) -> usize {
        let mark = format!("{TRACKING}={}", self.tracking).into_bytes();
        let marked = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|all| all.split(|&byte| byte == 0).any(|variable| variable == mark))
        };
        let orphans: Vec<i32> = all_processes().into_iter().filter(marked).collect();
        orphans.iter().copied().for_each(kill_if_there);
        orphans.len()
    }
}

fn all_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn kill_if_there(pid: i32) {
    let killed = kill(Pid::from_raw(pid), Signal::SIGKILL);
    assert!(matches!(killed, Ok(()) | Err(Errno::ESRCH)), "{pid}: {killed:?}");
}

/// The keeper and the harness of the running drill.
fn keeper_and_harness(sandbox: &Sandbox) -> (i32, i32) {
    let found = processes(&sandbox.state);
    let one = |what: &str| {
        let pid = found.iter().find(|(_, words)| words.contains(what)).map(|(pid, _)| *pid);
        pid.unwrap_or_else(|| panic!("no `{what}` in {found:?}"))
    };
    let keeper = one("keeper ");
    let harness = all_processes().into_iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("\0quick.yaml\0")
            && fs::read_link(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| sandbox.state.starts_with(cwd))
    });
    (keeper, harness.unwrap())
}

#[test]
fn a_step_that_execs_drdrill_hears_the_cancel_and_undoes_everything() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let mut step = Step::start(&sandbox, "exec DRILL", &quick(&sandbox));
        let began = Instant::now();
        step.shell.signal(Signal::SIGINT);
        let outcome = step.shell.end().exits(15);
        assert!(began.elapsed() < UNDONE, "{:?}: {outcome:#?}", began.elapsed());
        assert!(outcome.stderr.contains("drdrill: interrupted: "), "{}", outcome.stderr);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_step_whose_shell_swallows_the_cancel_is_undone_by_the_keeper() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let long = quick_but(&sandbox, "soak: 300ms", "soak: 1min");
        let mut step = Step::start(&sandbox, "DRILL\necho over", &long);
        let (keeper, harness) = keeper_and_harness(&sandbox);
        step.shell.signal(Signal::SIGINT);
        thread::sleep(AFTER_SIGINT);
        step.shell.signal(Signal::SIGTERM);
        thread::sleep(AFTER_SIGTERM);
        step.kill_tree();
        // The signals ended the shell and never reached the drill.
        assert_eq!(parent(harness), Some(1), "the harness was to be an orphan");
        assert!(processes(&sandbox.state).iter().any(|(pid, _)| *pid == keeper));
        assert!(step.kill_orphans() > 0, "the harness was to carry the runner's variable");
        nothing_is_left(&sandbox);
        let run = runs(&sandbox.state).into_iter().next().unwrap();
        let shown = sandbox.run("history").exits(0).stdout;
        assert!(shown.contains(&run) && shown.contains("cut off"), "{shown}");
        drop(step);
    });
}

#[test]
fn a_tree_that_is_killed_at_once_does_not_take_the_keeper_along() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let step = Step::start(&sandbox, "DRILL\necho over", &quick(&sandbox));
        let (keeper, harness) = keeper_and_harness(&sandbox);
        let tree = step.tree();
        assert!(tree.contains(&harness) && !tree.contains(&keeper), "{keeper} is in {tree:?}");
        step.kill_tree();
        step.kill_orphans();
        nothing_is_left(&sandbox);
        drop(step);
    });
}

#[test]
fn what_is_left_when_the_keeper_is_killed_too_recover_takes_back_in_the_next_step() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let step = Step::start(&sandbox, "DRILL\necho over", &quick(&sandbox));
        let (keeper, _) = keeper_and_harness(&sandbox);
        kill_if_there(keeper);
        step.kill_tree();
        step.kill_orphans();
        let recovered = sandbox.run("recover").exits(0).stdout;
        assert!(recovered.contains("taken back and seen to be gone: "), "{recovered}");
        nothing_is_left(&sandbox);
        drop(step);
    });
}
