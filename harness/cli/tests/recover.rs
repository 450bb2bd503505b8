//! `drdrill recover`: whatever was left, by whomever, in whatever ledger, and however often recover itself is killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod files;
    pub(crate) mod proxies;
    pub(crate) mod sandbox;
    pub(crate) mod straggler;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::action::Undo;
use drdrill_core::environment::ProcessIdentity;
use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::state::StateDir;
use rand::RngExt;
use serde_json::{Value, json};
use support::files::contents;
use support::proxies::ProxyServer;
use support::sandbox::{Outcome, Sandbox};
use support::straggler::Straggler;
use support::wait::{alone, until};
use support::world::nothing_is_left;

/// How often recover is killed, unless `DRDRILL_KILLS` says otherwise.
const KILLS: u32 = 15;
/// Processes that an orphan leaves.
const PROCESSES: usize = 4;

/// The process, as the ledger would name it.
fn identity(straggler: &Straggler) -> ProcessIdentity {
    drdrill_process::of_process("p", straggler.0.id().try_into().unwrap()).unwrap()
}

/// A process that was, and is no more.
fn nobody() -> ProcessIdentity {
    let process = Straggler::of("none");
    identity(&process)
}

fn state(sandbox: &Sandbox) -> StateDir {
    let state = StateDir::at(&sandbox.state);
    state.prepare().unwrap();
    state
}

/// The ledger of a run whose harness is gone.
fn ledger(sandbox: &Sandbox, run: &str, boot_id: &str) -> Ledger {
    let first = Line::Opened {
        run_id: run.to_owned(),
        environment: "lab".to_owned(),
        harness: nobody(),
        boot_id: boot_id.to_owned(),
    };
    Ledger::create(&state(sandbox).ledger(run), first).unwrap()
}

fn this_boot() -> String {
    drdrill_process::boot_id().unwrap()
}

fn undo(kind: &str, params: Value) -> Undo {
    Undo::Revert { kind: kind.to_owned(), node: "test".to_owned(), params }
}

/// A lab that its harness and its keeper left behind: processes, files, and the ledger that tells of them.
struct Orphan {
    run: String,
    dir: PathBuf,
    processes: Vec<Straggler>,
}

impl Orphan {
    /// Its world, without its ledger.
    fn world(sandbox: &Sandbox, run: &str) -> Self {
        let dir = state(sandbox).run(run).join("lab");
        for site in ["primary", "dr"] {
            let data = dir.join(site).join("data");
            fs::create_dir_all(&data).unwrap();
            for number in 0..50 {
                fs::write(data.join(format!("file-{number}")), b"something").unwrap();
            }
        }
        let processes = (0..PROCESSES).map(|_| Straggler::of(run)).collect();
        Self { run: run.to_owned(), dir, processes }
    }

    fn new(sandbox: &Sandbox, run: &str, boot_id: &str) -> Self {
        let orphan = Self::world(sandbox, run);
        let mut ledger = ledger(sandbox, run, boot_id);
        ledger.intend("environment", "lab", orphan.undo()).unwrap();
        orphan
    }

    fn undo(&self) -> Undo {
        undo("lab", json!({ "run_id": self.run, "dir": self.dir, "external_proxies": null }))
    }

    /// How many of its processes run, and whether its directory is there.
    fn left(&mut self) -> (usize, bool) {
        let running = self.processes.iter_mut().filter_map(|one| one.is_there().then_some(()));
        (running.count(), self.dir.exists())
    }
}

/// Recover has nothing to do, and does nothing.
#[track_caller]
fn is_done(sandbox: &Sandbox) {
    let before = contents(&sandbox.state);
    let again = sandbox.run("recover").exits(0).stdout;
    assert_eq!(again, "nothing is open: no run has left anything in place\n");
    assert!(contents(&sandbox.state) == before, "a recover with nothing to do changed something");
}

#[test]
fn what_any_run_left_is_taken_back_once_and_nothing_else_is_touched() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let mut orphans = ["20200101-000000-aaaaaaaa", "20261121-115500-bbbbbbbb"]
        .map(|run| Orphan::new(&sandbox, run, &this_boot()));
    // A run without a ledger is nobody's to take back, and so is a process that only looks similar.
    let mut foreign = Orphan::world(&sandbox, "20261121-115500-cccccccc");
    let mut similar = Straggler::of("20261121-115500-bbbbbbbb-2");
    let recovered = sandbox.run("recover").exits(0).stdout;
    for orphan in &mut orphans {
        let said =
            format!("run {}: taken back and seen to be gone: environment of lab\n", orphan.run);
        assert!(recovered.contains(&said), "{recovered}");
        assert_eq!(orphan.left(), (0, false));
    }
    assert_eq!(foreign.left(), (PROCESSES, true));
    assert!(similar.is_there());
    is_done(&sandbox);
    drop(foreign.processes);
    fs::remove_dir_all(&foreign.dir).unwrap();
    nothing_is_left(&sandbox);
}

/// Starts recover; `None` as its answer when it was killed after `moment`.
fn recover_killed_after(sandbox: &Sandbox, moment: Duration) -> Option<i32> {
    let mut command = sandbox.command("recover");
    let mut recover = command.stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(moment);
    recover.kill().unwrap();
    recover.wait().unwrap().code()
}

#[test]
fn a_recover_that_is_killed_at_any_moment_is_finished_by_the_next() {
    let _alone = alone();
    let kills = std::env::var("DRDRILL_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let sandbox = Sandbox::new();
    let mut bystander = Straggler::of("20261121-115500-cccccccc");
    let mut orphan = Orphan::new(&sandbox, "20261121-000000-00000000", &this_boot());
    let began = Instant::now();
    sandbox.run("recover").exits(0);
    let length = began.elapsed();
    assert_eq!(orphan.left(), (0, false));
    println!("a recover that is not killed takes {length:?}");
    let (mut killed, mut orphans) = (0, 0);
    while killed < kills {
        orphans += 1;
        let run = format!("20261121-000000-{orphans:08x}");
        let mut orphan = Orphan::new(&sandbox, &run, &this_boot());
        loop {
            let moment = length.mul_f64(rand::rng().random_range(0.0..1.2));
            let code = recover_killed_after(&sandbox, moment);
            let open = match Ledger::look(&state(&sandbox).ledger(&run)) {
                Ok(contents) => contents.open().len(),
                Err(_) => 0,
            };
            assert!(matches!(code, None | Some(0)), "after {moment:?}: {code:?}");
            assert!(open == 0 || code.is_none(), "after {moment:?}: it said that it was done");
            if open == 0 {
                // Never written down before it was so.
                assert_eq!(orphan.left(), (0, false), "killed after {moment:?}");
            }
            if code.is_some() {
                break;
            }
            killed += 1;
        }
    }
    println!("{killed} kills over {orphans} orphans");
    assert!(bystander.is_there());
    is_done(&sandbox);
    nothing_is_left(&sandbox);
}

/// The undo of a site whose proxies were taken down on the server at `api`.
fn site_undo(api: &str, server: Option<&ProcessIdentity>) -> Undo {
    let params = json!({
        "site": "primary", "api": api, "proxies": ["p"], "server": server, "processes": ["a"],
    });
    undo("site", params)
}

/// Whether somebody calls while recover runs; whoever calls is hung up on.
fn somebody_calls(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    let mut called = false;
    while listener.accept().is_ok() {
        called = true;
    }
    called
}

#[test]
fn nobody_who_came_after_a_reboot_is_taken_for_what_was_there_before() {
    let _alone = alone();
    for (boot, is_same) in [(this_boot(), true), ("another-boot".to_owned(), false)] {
        let sandbox = Sandbox::new();
        let run = "20261121-115500-dddddddd";
        // The stranger has the number and even the start time of the proxy server of old, and listens where it did.
        let mut stranger = Straggler::of("somebody-else");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let orphan = &mut Orphan::world(&sandbox, run);
        let mut ledger = ledger(&sandbox, run, &boot);
        ledger.intend("environment", "lab", orphan.undo()).unwrap();
        ledger.intend("site_loss", "primary", site_undo(&api, Some(&identity(&stranger)))).unwrap();
        let paused =
            json!({ "tag": format!("drdrill-{run}-2"), "processes": [identity(&stranger)] });
        ledger.intend("process_pause", "primary", undo("process_pause", paused)).unwrap();
        drop(ledger);
        // It is hung up on, so that recover has its answer at once where it does call.
        let (outcome, called) = thread::scope(|scope| {
            let recover = scope.spawn(|| sandbox.run("recover"));
            let mut called = false;
            until("recover", Duration::from_mins(2), || {
                called |= somebody_calls(&listener);
                recover.is_finished().then_some(())
            });
            (recover.join().unwrap(), called)
        });
        assert_eq!(called, is_same, "{boot}: {outcome:#?}");
        assert_eq!(outcome.code, Some(if is_same { 12 } else { 0 }), "{boot}: {outcome:#?}");
        assert_eq!(orphan.left(), (0, false), "what is on disk goes in any case");
        let released = "taken back and seen to be gone: process_pause of primary";
        assert!(outcome.stdout.contains(released), "{boot}: {outcome:#?}");
        assert!(stranger.is_there());
        if !is_same {
            is_done(&sandbox);
        }
    }
}

/// Takes a proxy down.
fn take_down(server: &ProxyServer, name: &str) {
    let url = server.url();
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let body = r#"{"enabled":false}"#;
    let length = body.len();
    write!(
        stream,
        "POST /proxies/{name} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
}

#[test]
fn a_proxy_server_that_outlives_a_boot_is_put_right_after_it() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let server = ProxyServer::start(&sandbox);
    server.create("p");
    server.create("other");
    take_down(&server, "p");
    take_down(&server, "other");
    let up = |name: &str| server.proxies()[name]["enabled"].as_bool().unwrap();
    assert!(!up("p") && !up("other"));
    let mut ledger = ledger(&sandbox, "20261121-115500-eeeeeeee", "another-boot");
    ledger.intend("network_down", "primary", site_undo(&server.url(), None)).unwrap();
    drop(ledger);
    sandbox.run("recover").exits(0);
    assert!(up("p") && !up("other"));
    is_done(&sandbox);
}

/// Changes bytes of a ledger on disk.
fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_ledger_that_a_crash_tore_is_carried_out_and_put_aside() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let run = "20261121-115500-ffffffff";
    let mut orphan = Orphan::new(&sandbox, run, &this_boot());
    let path = state(&sandbox).ledger(run);
    // A second intent of which the middle did not arrive: nothing was done under it.
    let mut more = Ledger::take_over(&path).unwrap();
    let from = fs::read(&path).unwrap().iter().rposition(|&byte| byte != 0).unwrap() + 1;
    more.intend("site_loss", "primary", undo("unknown", json!("x".repeat(2000)))).unwrap();
    drop(more);
    change(&path, |bytes| bytes[from + 300..from + 812].fill(0));
    assert!(recover_killed_after(&sandbox, Duration::from_millis(2)).is_none_or(|code| code == 0));
    sandbox.run("recover").exits(0);
    assert_eq!(orphan.left(), (0, false));
    is_done(&sandbox);
    assert!(!path.exists() && state(&sandbox).run(run).join("undo.ledger").exists());
}

#[track_caller]
fn is_still_in_place(outcome: &Outcome, what: &str, by_hand: &str) {
    assert_eq!(outcome.code, Some(12), "{outcome:#?}");
    let said = &outcome.stdout;
    assert!(said.contains(&format!("STILL IN PLACE: {what}")), "{said}");
    assert!(said.contains(&format!("by hand: {by_hand}")), "{said}");
}

#[test]
fn what_cannot_be_taken_back_is_reported_each_time_and_stops_nothing_else() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    // One ledger with an undo of a later version, one with a bad sector in it, and one that is sound.
    let later = "20261121-115501-aaaaaaaa";
    let mut orphans = vec![Orphan::world(&sandbox, later)];
    let mut newer = ledger(&sandbox, later, &this_boot());
    newer.intend("environment", "lab", orphans[0].undo()).unwrap();
    newer.intend("quantum_loss", "primary", undo("quantum", json!({ "q": 1 }))).unwrap();
    drop(newer);
    let spoiled = "20261121-115502-bbbbbbbb";
    orphans.push(Orphan::world(&sandbox, spoiled));
    let mut bad = ledger(&sandbox, spoiled, &this_boot());
    bad.intend("network_down", "primary", undo("site", json!({}))).unwrap();
    bad.intend("environment", "lab", orphans[1].undo()).unwrap();
    drop(bad);
    let path = state(&sandbox).ledger(spoiled);
    change(&path, |bytes| {
        let at = bytes.windows(12).position(|bytes| bytes == b"network_down").unwrap();
        bytes[at] ^= 1;
    });
    orphans.push(Orphan::new(&sandbox, "20261121-115503-cccccccc", &this_boot()));
    for round in 0..2 {
        let outcome = sandbox.run("recover");
        is_still_in_place(
            &outcome,
            "quantum_loss of primary: this drdrill does not know how to take back `quantum`",
            r#"use the drdrill version that ran the drill, or undo by hand: {"q":1}"#,
        );
        is_still_in_place(
            &outcome,
            "whatever a damaged line of its undo ledger said",
            &format!("look at the environment, then: rm {}", path.display()),
        );
        let done = outcome.stdout.matches("taken back and seen to be gone").count();
        assert_eq!(done, if round == 0 { 3 } else { 0 }, "{}", outcome.stdout);
        for orphan in &mut orphans {
            assert_eq!(orphan.left(), (0, false), "{}", orphan.run);
        }
    }
    assert!(sandbox.path("state").join("undo").join(format!("{later}.ledger")).exists());
}

/// Mounts something at a directory.
#[track_caller]
fn mount(at: &Path, arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).arg(at).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test has to be root to mount a tmpfs: {said}");
}

/// Unmounts a directory when dropped.
struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn on_a_read_only_disk_recover_says_what_is_still_in_place() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    fs::create_dir(&sandbox.state).unwrap();
    mount(&sandbox.state, &["-t", "tmpfs", "-o", "mode=700,size=4M", "tmpfs"]);
    let _mounted = Unmount(&sandbox.state);
    let run = "20261121-115505-aaaaaaaa";
    let mut orphan = Orphan::new(&sandbox, run, &this_boot());
    let path = state(&sandbox).ledger(run);
    mount(&sandbox.state, &["-o", "remount,ro"]);
    is_still_in_place(
        &sandbox.run("recover"),
        "whatever its undo ledger says: read the undo ledger",
        &format!("make {} usable, then: drdrill recover", path.display()),
    );
    mount(&sandbox.state, &["-o", "remount,rw"]);
    sandbox.run("recover").exits(0);
    assert_eq!(orphan.left(), (0, false));
    is_done(&sandbox);
}

#[test]
fn with_too_few_descriptors_recover_never_says_more_than_it_did() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let mut orphan = Orphan::new(&sandbox, "20261121-115504-aaaaaaaa", &this_boot());
    for limit in 4..64 {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" recover");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_drdrill")]);
        command.env_clear().env("DRDRILL_STATE", &sandbox.state).stdin(Stdio::null());
        let outcome = Outcome::of(&command.output().unwrap());
        // Before anything else the async runtime needs some, and panics where it cannot have them.
        let ours = outcome.stderr.contains("panicked") && !outcome.stderr.contains("/tokio-");
        assert!(!ours, "{limit} descriptors: {outcome:#?}");
        if outcome.code == Some(0) {
            assert_eq!(orphan.left(), (0, false), "{limit} descriptors: {outcome:#?}");
            println!("{limit} descriptors are enough");
            is_done(&sandbox);
            return;
        }
        assert!(outcome.code.is_some(), "{limit} descriptors: {outcome:#?}");
    }
    panic!("recover needs more than 64 descriptors");
}
