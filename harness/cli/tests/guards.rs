//! When drdrill refuses, and when the machine under it fails: no false pass, no panic, nothing left.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod page;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod wall_clock;
    pub(crate) mod world;
}
mod refusals {
    mod secrets;
    mod target;
    mod urls;
}

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::drill::Drill;
use support::quick::quick;
use support::sandbox::{Outcome, Sandbox};
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, processes, runs};

/// A small file system of its own. Unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounted at the state directory of the sandbox.
    fn for_state_of(sandbox: &Sandbox, size: &str) -> Self {
        fs::create_dir(&sandbox.state).unwrap();
        let one = Self(sandbox.state.clone());
        let options = format!("mode=700,size={size}");
        one.mount(&["-t", "tmpfs", "-o", &options, "tmpfs"]);
        one
    }

    fn read_only(&self) {
        self.mount(&["-o", "remount,ro"]);
    }

    fn mount(&self, arguments: &[&str]) {
        let output = Command::new("mount").args(arguments).arg(&self.0).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "this test has to be root to mount a tmpfs: {said}");
    }

    /// Leaves room for so many bytes and no more.
    fn fill_but(&self, bytes: u64) {
        let facts = nix::sys::statvfs::statvfs(&self.0).unwrap();
        let free = facts.blocks_available() * facts.fragment_size();
        let size = usize::try_from(free - bytes).unwrap();
        fs::write(self.0.join("ballast"), vec![b'x'; size]).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Neither a pass nor a bug.
#[track_caller]
fn no_pass_and_no_panic(outcome: &Outcome) {
    assert!(!matches!(outcome.code, None | Some(0 | 1)), "{outcome:#?}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
    assert!(!outcome.stdout.contains("PASSED"), "{outcome:#?}");
}

fn nothing_is_in(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn the_second_drill_on_an_environment_is_refused_and_told_who_is_at_work() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick(&sandbox);
        let mut first = Drill::start(sandbox.command(&run));
        first.says("  run ");
        let began = Instant::now();
        let second = sandbox.run(&run).exits(16);
        // Half a second is a hundred times what it takes; a machine that is busy may need it.
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        let holder = runs(&sandbox.state);
        let holder = holder.first().unwrap();
        let said = format!(
            "drdrill: environment lab is in use: run {holder} (process {}) since 20",
            first.pid()
        );
        assert!(second.stderr.starts_with(&said), "{}", second.stderr);
        assert!(second.stderr.ends_with(" UTC\n"), "{}", second.stderr);
        assert_eq!(second.stdout, "");
        assert_eq!(runs(&sandbox.state).len(), 1, "the loser leaves no run");
        let history = sandbox.run("history").exits(0).stdout;
        assert!(history.contains("running"), "{history}");
        let busy = sandbox.run("recover").exits(0).stdout;
        assert_eq!(busy, format!("run {holder}: a drill is running; nothing of it was touched\n"));
        first.end().exits(0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn of_eight_drills_that_start_at_once_one_runs() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick(&sandbox);
        let drills: Vec<Drill> = (0..8).map(|_| Drill::start(sandbox.command(&run))).collect();
        let mut winners = 0;
        for drill in drills {
            let outcome = drill.end();
            if outcome.code == Some(16) {
                assert!(outcome.stderr.contains("is in use: run 20"), "{}", outcome.stderr);
            } else {
                winners += 1;
                outcome.exits(0);
            }
        }
        assert_eq!(winners, 1);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_drill_waits_for_whoever_takes_the_last_one_back() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick(&sandbox);
        let mut first = Drill::start(sandbox.command(&run));
        first.says("  in effect: ");
        let found = processes(&sandbox.state);
        let (keeper, _) = found.iter().find(|(_, what)| what.contains(" keeper ")).unwrap();
        kill(Pid::from_raw(*keeper), Signal::SIGKILL).unwrap();
        first.signal(Signal::SIGKILL);
        first.end();
        let left = runs(&sandbox.state).first().unwrap().clone();
        let ledger = File::open(sandbox.state.join("undo").join(format!("{left}.ledger"))).unwrap();
        let busy = Flock::lock(ledger, FlockArg::LockExclusiveNonblock).unwrap();
        let refused = sandbox.run(&run).exits(16).stderr;
        let said = "is being taken back on lab right now; try again in a moment\n";
        assert_eq!(refused, format!("drdrill: run {left} {said}"));
        drop(busy);
        sandbox.run("recover").exits(0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn an_undo_ledger_that_cannot_be_read_is_not_passed_over() {
    let sandbox = Sandbox::new();
    sandbox.run("doctor");
    let ledger = sandbox.state.join("undo/some-run.ledger");
    fs::create_dir(&ledger).unwrap();
    let refused = sandbox.run("run complete_site_failure").exits(13).stderr;
    assert!(refused.contains(&ledger.display().to_string()), "{refused}");
    let recovered = sandbox.run("recover").exits(12).stdout;
    assert!(recovered.contains("run some-run: STILL IN PLACE: "), "{recovered}");
    assert!(recovered.contains(&ledger.display().to_string()), "{recovered}");
}

#[test]
fn a_full_disk_is_no_place_for_a_drill() {
    undisturbed(|| {
        for free in [0, 4096, 100_000, 300_000] {
            let sandbox = Sandbox::new();
            let tmpfs = Tmpfs::for_state_of(&sandbox, "1M");
            tmpfs.fill_but(free);
            let outcome = sandbox.run(&quick(&sandbox));
            no_pass_and_no_panic(&outcome);
            outcome.exits(13);
            assert!(runs(&sandbox.state).is_empty(), "a run that never began has no directory");
            nothing_is_left(&sandbox);
        }
    });
}

#[test]
fn a_disk_that_fills_up_during_a_drill_spoils_the_pass_and_nothing_else() {
    undisturbed(|| {
        for size in ["600K", "1M", "2M", "3M"] {
            let sandbox = Sandbox::new();
            let _tmpfs = Tmpfs::for_state_of(&sandbox, size);
            let outcome = sandbox.run(&quick(&sandbox));
            no_pass_and_no_panic(&outcome);
            assert_ne!(outcome.code, Some(12), "{size}: nothing was left: {outcome:#?}");
            nothing_is_left(&sandbox);
        }
    });
}

#[test]
fn a_drill_whose_evidence_could_not_be_signed_does_not_begin() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&format!("{} --key absent/key", quick(&sandbox))).exits(13);
    assert!(outcome.stderr.contains("absent/key"), "{}", outcome.stderr);
    assert!(runs(&sandbox.state).is_empty(), "a run that never began has no directory");
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_refused_in_one_sentence() {
    let sandbox = Sandbox::new();
    let tmpfs = Tmpfs::for_state_of(&sandbox, "1M");
    tmpfs.read_only();
    let outcome = sandbox.run("run complete_site_failure").exits(13);
    let state = sandbox.state.display();
    assert_eq!(
        outcome.stderr,
        format!(
            "drdrill: use the state directory {state}: Read-only file system (os error 30) \
             (set DRDRILL_STATE to a directory that can be written to)\n"
        )
    );
    assert!(nothing_is_in(&sandbox.state));
}

#[test]
fn a_file_in_the_way_of_the_state_directory_is_named() {
    let sandbox = Sandbox::new();
    fs::write(&sandbox.state, b"precious").unwrap();
    let outcome = sandbox.run("run complete_site_failure").exits(13);
    let said = format!("drdrill: use the state directory {}: ", sandbox.state.display());
    assert!(outcome.stderr.starts_with(&said), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert_eq!(fs::read(&sandbox.state).unwrap(), b"precious");
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(&sandbox.state).unwrap();
    for mode in [0o770, 0o707] {
        fs::set_permissions(&sandbox.state, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in ["run complete_site_failure", "recover"] {
            let outcome = sandbox.run(arguments).exits(13);
            assert!(outcome.stderr.contains("others can write to it"), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("chmod go-w"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn readers_that_go_away_stop_neither_the_drill_nor_its_undo() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&quick(&sandbox));
        let mut drill = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(drill.stdout.take());
        let mut first = String::new();
        BufReader::new(drill.stderr.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("  run "), "{first}");
        assert_eq!(drill.wait().unwrap().code(), Some(0));
        nothing_is_left(&sandbox);
        let shown = sandbox.run("show last").exits(0).stdout;
        assert!(shown.contains("verdict: PASSED (pass)"), "{shown}");

        let head = format!("{} show last | head -1", env!("CARGO_BIN_EXE_drdrill"));
        let output = Command::new("bash")
            .args(["-c", &format!("set -o pipefail; {head}")])
            .env("DRDRILL_STATE", &sandbox.state)
            .output()
            .unwrap();
        let outcome = Outcome::of(&output).exits(0);
        assert_eq!(outcome.stdout.lines().count(), 1);
        assert_eq!(outcome.stderr, "");
    });
}

#[test]
fn evidence_that_cannot_be_written_while_nobody_listens_is_no_pass_either() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let _tmpfs = Tmpfs::for_state_of(&sandbox, "2M");
        let mut command = sandbox.command(&quick(&sandbox));
        let mut drill = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((drill.stdout.take(), drill.stderr.take()));
        let code = drill.wait().unwrap().code();
        assert!(!matches!(code, None | Some(0 | 1 | 101)), "{code:?}");
        nothing_is_left(&sandbox);
    });
}
