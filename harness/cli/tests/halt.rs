//! `drdrill halt` and `drdrill status`: the lever ends running drills, refuses new ones, and says what it saw.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::drill::Drill;
use support::quick::quick;
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::{nothing_is_left, processes, runs};

/// A halted drill has put everything back so long after the lever was pulled.
///
/// Source: undo-and-security goals, R9, which is about interrupts; the lever is looked at every 50 ms.
const UNDONE: Duration = Duration::from_secs(5);

/// The lever of an environment, or of every one.
fn lever(sandbox: &Sandbox, environment: Option<&str>) -> PathBuf {
    let name = environment.map_or("every_environment".to_owned(), |name| format!("{name}.halt"));
    sandbox.state.join("halts").join(name)
}

/// The id of the only run.
fn only_run(sandbox: &Sandbox) -> String {
    let runs = runs(&sandbox.state);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().unwrap()
}

/// What `status --format json` says, and its exit code.
fn status(sandbox: &Sandbox) -> (Value, Option<i32>) {
    let outcome = sandbox.run("status --format json");
    let said = serde_json::from_str(&outcome.stdout);
    (said.unwrap_or_else(|error| panic!("{error}: {outcome:#?}")), outcome.code)
}

/// A drill that is halted at `moment` by `arguments` ends in order, and its evidence says why.
#[track_caller]
fn halted_at(moment: &str, arguments: &str) {
    let sandbox = Sandbox::new();
    let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
    drill.says(moment);
    let pid = drill.pid();
    let began = Instant::now();
    let halt = sandbox.run(arguments).exits(0);
    let took = began.elapsed();
    // Waited for: the lock is free when halt returns, and the drill is only telling its result.
    let outcome = drill.end().exits(15);
    assert!(took < UNDONE, "{moment}: {took:?}: {halt:#?}");
    nothing_is_left(&sandbox);

    let run = only_run(&sandbox);
    let name = format!("run {run} on lab (process {pid})");
    let lines: Vec<&str> = halt.stdout.lines().collect();
    assert!(lines.contains(&format!("{name}: running; it ends and puts everything back").as_str()));
    assert!(lines.contains(&format!("{name}: ended").as_str()), "{lines:#?}");
    assert_eq!(lines.last(), Some(&"nothing is in place"), "{lines:#?}");

    let dir = sandbox.state.join("runs").join(run);
    let record: Value =
        serde_json::from_slice(&fs::read(dir.join("record.json")).unwrap()).unwrap();
    assert_ne!(record["verdict"], "pass");
    assert_eq!(record["exit_code"], 15);
    let reasons = record["reasons"].to_string();
    assert!(reasons.contains("the drill was aborted: halted by drdrill halt ("), "{reasons}");
    assert!(outcome.stderr.contains("aborted: halted by drdrill halt ("), "{}", outcome.stderr);
    sandbox.run("verify last").exits(0);
    sandbox.run("check last").exits(15);
}

#[test]
fn a_halt_ends_a_drill_in_every_stage_and_everything_is_put_back() {
    undisturbed(|| {
        halted_at("baseline: ", "halt lab");
        halted_at("  in effect: ", "halt");
        halted_at("soak: ", "halt env.yaml");
        halted_at("shift 50% of the traffic", "halt lab");
    });
}

#[test]
fn a_halted_environment_takes_no_drill_until_it_is_released() {
    undisturbed(|| {
        for (halt, environment) in [("halt lab", Some("lab")), ("halt", None)] {
            let sandbox = Sandbox::new();
            let run = quick(&sandbox);
            let said = sandbox.run(halt).exits(0).stdout;
            assert!(said.contains("no drill was running\n"), "{said}");
            assert!(said.contains(&sandbox.state.display().to_string()), "which one: {said}");
            let mode = fs::metadata(lever(&sandbox, environment)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);

            for _ in 0..2 {
                let refused = sandbox.run(&run).exits(16);
                let (who, release) = refused.stderr.split_once('\n').unwrap();
                assert!(who.starts_with("drdrill: lab is halted by drdrill halt ("), "{who}");
                assert!(
                    who.contains(" on ") && who.contains(", process ") && who.ends_with(" UTC)")
                );
                assert_eq!(release, format!("  release it: drdrill {halt} --release\n"));
                assert!(!sandbox.state.join("runs").exists(), "a refused drill touches nothing");
                // Who halted first stays named.
                let first = fs::read(lever(&sandbox, environment)).unwrap();
                sandbox.run(halt).exits(0);
                assert_eq!(fs::read(lever(&sandbox, environment)).unwrap(), first);
            }

            let said = sandbox.run(&format!("{halt} --release")).exits(0).stdout;
            assert!(said.contains(" is released in "), "{said}");
            let again = sandbox.run(&format!("{halt} --release")).exits(0).stdout;
            assert!(again.contains(" was not halted in "), "{again}");
            sandbox.run(&run).exits(0);
            nothing_is_left(&sandbox);
        }
    });
}

#[test]
fn a_halt_of_another_environment_stops_nothing_here() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        sandbox.run("halt lab_bypass").exits(0);
        sandbox.run(&quick(&sandbox)).exits(0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn releasing_one_lever_leaves_the_others_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run("halt").exits(0);
    sandbox.run("halt lab").exits(0);
    let said = sandbox.run("halt --release").exits(0).stdout;
    assert!(said.contains("lab is still halted by drdrill halt ("), "{said}");
    assert!(said.contains("; release it: drdrill halt lab --release\n"), "{said}");
    let refused = sandbox.run(&quick(&sandbox)).exits(16).stderr;
    assert!(refused.contains("drdrill halt lab --release"), "{refused}");
}

#[test]
fn a_name_that_nobody_knows_halts_nothing_and_is_told_what_runs() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let refused = sandbox.run("halt lap").exits(2).stderr;
        assert!(
            refused.contains("no environment `lap`; known, the nearest first: lab, "),
            "{refused}"
        );
        assert!(refused.contains("; with a drill running now: none\n"), "{refused}");
        assert!(!sandbox.state.join("halts").exists());

        let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
        drill.says("baseline: ");
        let refused = sandbox.run("halt lap").exits(2).stderr;
        assert!(refused.contains("; with a drill running now: lab\n"), "{refused}");
        drill.end().exits(0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_halt_that_does_not_wait_says_what_is_still_to_come() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
        drill.says("  in effect: ");
        let halt = sandbox.run("halt lab --no-wait --format json").exits(0);
        let said: Value = serde_json::from_str(&halt.stdout).unwrap();
        assert_eq!(said["running"][0]["run"], only_run(&sandbox));
        assert_eq!(said["ended"], serde_json::json!([]));
        assert_eq!(said["in_place"][0]["busy"], true);
        assert_eq!(said["release"], "drdrill halt lab --release");
        drill.end().exits(15);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_halt_waits_for_whoever_holds_the_lock_and_not_for_ever() {
    let sandbox = Sandbox::new();
    let locks = sandbox.state.join("locks");
    fs::create_dir_all(&locks).unwrap();
    let note = "run some-run (process 1) since 2026-11-21 07:56:31 UTC\n";
    fs::write(locks.join("lab.lock"), note).unwrap();
    // Nobody holds it, so nobody is waited for.
    let idle = sandbox.run("halt lab").exits(0).stdout;
    assert!(idle.contains("no drill was running\n"), "{idle}");

    let file = File::open(locks.join("lab.lock")).unwrap();
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let began = Instant::now();
    let late = sandbox.run("halt lab --wait 300ms").exits(12).stdout;
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    let name = "run some-run on lab (process 1)";
    assert!(late.contains(&format!("{name}: STILL RUNNING after 300ms\n")), "{late}");

    let mut waiting = sandbox.command("halt lab").stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(waiting.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains(&format!("{name}: running; ")) {
        assert_ne!(said.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(waiting.try_wait().unwrap().is_none(), "it waits: {text}");
    drop(held);
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains(&format!("{name}: ended\n")), "{text}");
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn status_tells_who_runs_what_is_halted_and_what_is_in_place() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let (idle, code) = status(&sandbox);
        assert_eq!(idle, serde_json::json!({ "running": [], "halts": [], "in_place": [] }));
        assert_eq!(code, Some(0));
        assert!(!sandbox.state.exists(), "looking touches nothing");

        let mut drill = Drill::start(sandbox.command(&quick(&sandbox)));
        drill.says("  in effect: ");
        let run = only_run(&sandbox);
        let (busy, code) = status(&sandbox);
        assert_eq!(code, Some(0), "what a running drill has in place is not left");
        assert_eq!(busy["running"][0]["environment"], "lab");
        assert_eq!(busy["running"][0]["run"], run.as_str());
        assert_eq!(busy["running"][0]["process"], drill.pid().as_raw());
        let since = busy["running"][0]["since"].as_str().unwrap();
        assert!(since.starts_with("20") && since.ends_with(" UTC"), "{since}");
        assert_eq!(busy["in_place"][0]["run"], run.as_str());
        assert_eq!(busy["in_place"][0]["busy"], true);
        let table = sandbox.run("status").exits(0).stdout;
        assert!(table.contains(&run) && table.contains("site_loss of primary"), "{table}");

        // Harness and keeper are gone at once: nobody undoes, and status says so.
        let found = processes(&sandbox.state);
        let (keeper, _) = found.iter().find(|(_, what)| what.contains(" keeper ")).unwrap();
        kill(Pid::from_raw(*keeper), Signal::SIGKILL).unwrap();
        drill.signal(Signal::SIGKILL);
        drill.end();
        let left = until("the lock is free", UNDONE, || {
            let (said, code) = status(&sandbox);
            (said["running"] == serde_json::json!([])).then_some((said, code))
        });
        assert_eq!(left.1, Some(12));
        assert_eq!(left.0["in_place"][0]["busy"], false);
        let table = sandbox.run("status").exits(12).stdout;
        assert!(
            table.contains("no drill is running in ") && table.contains("nobody: drdrill recover")
        );
        let halt = sandbox.run("halt lab").exits(12).stdout;
        assert!(halt.contains(&format!("run {run}: STILL IN PLACE: ")), "{halt}");
        sandbox.run("halt lab_bypass").exits(0);

        sandbox.run("recover").exits(0);
        nothing_is_left(&sandbox);
        let (after, code) = status(&sandbox);
        assert_eq!((after["in_place"].clone(), code), (serde_json::json!([]), Some(0)));
        let halted: Vec<&Value> =
            after["halts"].as_array().unwrap().iter().map(|halt| &halt["environment"]).collect();
        assert_eq!(halted, ["lab", "lab_bypass"]);
        assert!(sandbox.run("status").exits(0).stdout.contains("drdrill halt lab --release"));
    });
}

/// Mounts a tmpfs as the state directory; the test has to be root.
fn mount(sandbox: &Sandbox, options: &str) {
    let _ = fs::create_dir(&sandbox.state);
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&sandbox.state);
    assert!(command.status().unwrap().success(), "this test has to be root to mount a tmpfs");
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_has_room_for_the_lever() {
    let sandbox = Sandbox::new();
    mount(&sandbox, "mode=700,size=64K");
    let _unmount = Unmount(sandbox.state.clone());
    let full = fs::write(sandbox.state.join("ballast"), vec![b'x'; 65_536]);
    full.unwrap();
    let halt = sandbox.run("halt lab").exits(0);
    assert!(halt.stderr.contains("halted, but by whom and when could not be noted: No space left"));
    let refused = sandbox.run(&quick(&sandbox)).exits(16).stderr;
    assert!(refused.contains("halted by drdrill halt (by whom and when cannot be read)"));
    assert!(refused.contains("drdrill halt lab --release"), "{refused}");
    sandbox.run("halt lab --release").exits(0);
    assert!(!lever(&sandbox, Some("lab")).exists());
}

#[test]
fn a_halt_that_cannot_be_had_says_so_and_what_to_do_instead() {
    let sandbox = Sandbox::new();
    mount(&sandbox, "mode=700,size=64K");
    let _unmount = Unmount(sandbox.state.clone());
    let locks = sandbox.state.join("locks");
    fs::create_dir_all(&locks).unwrap();
    let note = "run some-run (process 4711) since 2026-11-21 07:56:31 UTC\n";
    fs::write(locks.join("lab.lock"), note).unwrap();
    let file = File::open(locks.join("lab.lock")).unwrap();
    let _held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let read_only = Command::new("mount").args(["-o", "remount,ro"]).arg(&sandbox.state).status();
    assert!(read_only.unwrap().success());
    let refused = sandbox.run("halt").exits(13);
    assert!(refused.stderr.starts_with("drdrill: could NOT halt: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("Read-only file system"), "{}", refused.stderr);
    let instead = "  end the drill on lab instead: kill -INT 4711\n";
    assert!(refused.stderr.ends_with(instead), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_lever_in_the_way_of_which_something_lies_refuses_drills() {
    let sandbox = Sandbox::new();
    fs::create_dir(&sandbox.state).unwrap();
    fs::write(sandbox.state.join("halts"), b"").unwrap();
    let refused = sandbox.run(&quick(&sandbox)).exits(16).stderr;
    assert!(refused.contains("it cannot be told whether lab is halted: "), "{refused}");
}
