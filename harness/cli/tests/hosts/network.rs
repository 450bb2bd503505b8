//! Faults of the packets of single containers, looked for in their networks.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::support::engine_at::{EngineAt, Is};
use crate::support::entries::acknowledged;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::support::wait::until;
use crate::{all_is_gone, all_stays_gone, present, ready, run_of};

/// Time the kernel has to let packets pass again after drdrill was killed, on a machine that is busy with other tests.
///
/// Source: undo-and-security goals, R1: 250 ms.
const KERNEL: Duration = Duration::from_secs(2);

/// The copy is cut off from everybody. Who serves does not notice.
const DRILL: &str = "scenario: copy_cut_off
title: Nobody reaches the database of the DR site
kind: simulated
tags: [network]
targets: { rto: 5min, rpo: 0s, rlo: 80% }
probes: { every: 20ms, deadline: 900ms }
faults:
  - at: 1s
    inject: { network_partition: { on: dr/database } }
recovery: { failover: refrain, give_up_after: 1min }
soak: 2s
";

/// The network of a container, which stays as long as it is held, also when the container is gone.
struct Network(File);

impl Network {
    fn of(run: &str, host: &str) -> Self {
        let name = format!("drdrill-{run}-{host}");
        let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &name]);
        Self(File::open(format!("/proc/{}/ns/net", pid.trim())).unwrap())
    }

    /// What is in its packet filter besides the engine's own rules, which are of another family, as `nft` shows it.
    fn ruleset(&self) -> String {
        let network = format!("--net=/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd());
        let list = ["nft", "-s", "list", "ruleset", "inet"];
        let output = Command::new("nsenter").arg(network).args(list).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_packets_of_one_database_are_dropped_until_the_undo_and_nobody_elses() {
    undisturbed(|| {
        let sandbox = ready();
        fs::write(sandbox.path("cut.yaml"), DRILL).unwrap();
        let engine = EngineAt::new(&sandbox.path("engine.sock"));
        let mut command = sandbox.command("run cut.yaml --env docker --format json");
        command.env("DOCKER_HOST", engine.address());
        let mut drill = Drill::start(command);
        drill.says("  in effect: ");
        let _released = engine.released_at_the_end();
        // The containers stay for as long as this looks into them.
        engine.becomes(Is::Held);
        let run = run_of(&sandbox);
        let hosts = ["dr-database", "primary-database", "dr-service"];
        let [struck, primary, beside] = hosts.map(|host| Network::of(&run, host));
        assert!(struck.ruleset().contains("drop"), "{}", struck.ruleset());
        assert_eq!((primary.ruleset(), beside.ruleset()), (String::new(), String::new()));
        let missing = present(&run, "primary-database").len() - present(&run, "dr-database").len();
        drill.says("    taken back");
        assert_eq!(struck.ruleset(), "");
        // It is a copy of everything again, without anybody's doing.
        until("the copy has what was written meanwhile", Duration::from_secs(20), || {
            let whole = present(&run, "dr-database").is_superset(&acknowledged(&sandbox));
            whole.then_some(())
        });
        engine.becomes(Is::There);
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        assert!(missing > 0, "something was written while nobody reached the copy");
        let fault = &record["faults"][0];
        assert_eq!(fault["belts"], serde_json::json!(["kernel", "journal"]));
        let proof = fault["proof"].as_str().unwrap();
        for part in [
            "drdrill to dr/database at 10.",
            "not struck: drdrill to primary/database",
            "dr/service",
        ] {
            assert!(proof.contains(part), "{part}: {proof}");
        }
    });
}

#[test]
fn killed_while_packets_are_dropped_nothing_drops_them_any_more() {
    undisturbed(|| {
        let sandbox = ready();
        fs::write(sandbox.path("cut.yaml"), DRILL).unwrap();
        let mut drill = Drill::start(sandbox.command("run cut.yaml --env docker"));
        drill.says("  in effect: ");
        let run = run_of(&sandbox);
        let struck = Network::of(&run, "dr-database");
        assert!(struck.ruleset().contains("drop"));
        drill.signal(Signal::SIGKILL);
        // The container itself goes a moment later; its network stays, because it is held here.
        until("the kernel takes it back", KERNEL, || struck.ruleset().is_empty().then_some(()));
        drill.end();
        all_stays_gone(&sandbox, &run);
    });
}
