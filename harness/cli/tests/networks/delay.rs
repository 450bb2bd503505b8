//! Delays of packets. Where the kernel has `sch_netem` whole drills of them run; where it has not they are refused.

use std::fs;
use std::process::Command;
use std::time::Duration;

use drdrill_faults::qdisc::try_out;

use crate::support::cut::{start_with, write_files};
use crate::support::net::{APP, DB, HUB, Net};
use crate::support::record::record;
use crate::support::sandbox::Sandbox;
use crate::support::wait::{alone, until};
use crate::{run, start, under};

/// The queueing disciplines of all hosts, without what counts packets of the kernel's own.
fn queues(net: &Net) -> String {
    let show = |host| {
        let shown = net.output(host, Command::new("tc").args(["-d", "qdisc", "show"]));
        assert!(shown.status.success(), "{shown:?}");
        let shown = String::from_utf8(shown.stdout).unwrap();
        let lines = shown.lines().map(|line| line.split(" direct_packets_stat").next().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    };
    [HUB, DB, APP].map(show).concat()
}

#[test]
fn a_delay_is_measured_and_gone_afterwards_or_refused_before_anything_is_touched() {
    let _alone = alone();
    let (sandbox, net) = (Sandbox::new(), Net::new());
    let before = queues(&net);
    let inject = "network_delay: { on: primary, from: dr, delay: 200ms, jitter: 50ms }";
    let outcome = run(&sandbox, &net, inject);
    let explained = sandbox.run("explain cut.yaml --env net.yaml").exits(0).stdout;
    for part in [
        "what primary sends to dr leaves 200ms later, give or take 50ms.",
        "The kernel does not take it back when drdrill dies.",
        "a kernel with sch_netem",
        "CAP_NET_ADMIN",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    assert_eq!(queues(&net), before);
    if try_out().is_err() {
        let outcome = outcome.exits(13);
        let said = format!(
            "network_delay on db: network of process {}: this kernel has no sch_netem",
            net.process(DB)
        );
        assert!(outcome.stderr.contains(&said), "{outcome:?}");
        let undo = fs::read_dir(sandbox.state.join("undo")).unwrap().count();
        let runs = fs::read_dir(sandbox.state.join("runs")).unwrap().count();
        assert_eq!((undo, runs), (0, 0), "no drill has begun");
        return;
    }
    let record = record(&outcome);
    let fault = &record["faults"][0];
    assert_eq!(fault["belts"], serde_json::json!(["journal"]));
    let proof = fault["proof"].as_str().unwrap();
    for part in
        ["app to db", "60 of 60 answers took 150ms or longer", "not slowed down: drdrill to db"]
    {
        assert!(proof.contains(part), "{part}: {proof}");
    }
    assert_eq!(record["leftovers"], serde_json::json!([]));
    until("packets pass at once", Duration::from_secs(10), || {
        let start = std::time::Instant::now();
        (net.reaches(APP, DB) && start.elapsed() < Duration::from_millis(150)).then_some(())
    });
}

#[test]
fn what_somebody_else_has_put_on_a_device_is_never_replaced() {
    let (sandbox, net) = (Sandbox::new(), Net::new());
    let mut theirs = Command::new("tc");
    theirs.args(["qdisc", "add", "dev", "lan", "root", "handle", "1:", "htb"]);
    assert!(net.output(DB, &mut theirs).status.success());
    let before = queues(&net);
    let refused = run(&sandbox, &net, "network_delay: { on: primary, delay: 100ms }").exits(13);
    let said = "device lan has a queueing discipline of somebody else's (htb 1:), and drdrill replaces none";
    assert!(refused.stderr.contains(said), "{refused:?}");
    assert_eq!(queues(&net), before);
}

#[test]
fn where_it_cannot_be_done_that_is_said_before_anything_is_touched() {
    let (sandbox, net) = (Sandbox::new(), Net::new());
    let before = queues(&net);
    write_files(&sandbox, &net, "network_delay: { on: primary, delay: 100ms }");
    let environment = |from: &str, to: &str| {
        let text = net.environment().replacen(from, to, 1);
        fs::write(sandbox.path("net.yaml"), text).unwrap();
    };
    let address = format!("addresses: [{}]", Net::address(DB));
    environment(&address, "addresses: [10.9.9.9]");
    let refused = start(&sandbox, &net).end().exits(13);
    assert!(refused.stderr.contains("no device there has 10.9.9.9"), "{refused:?}");
    environment(&format!("{{ {} }}", net.place(DB)), "own");
    let refused = start(&sandbox, &net).end().exits(16);
    assert!(refused.stderr.contains("would slow down drdrill itself"), "{refused:?}");
    environment("", "");
    let command = under(
        &["setpriv", "--bounding-set=-net_admin"],
        &sandbox.command("run cut.yaml --env net.yaml"),
    );
    let refused = start_with(&net, command).end().exits(13);
    assert!(refused.stderr.contains("CAP_NET_ADMIN"), "{refused:?}");
    assert_eq!(queues(&net), before);
}

#[test]
fn a_delay_is_one_that_can_be_seen() {
    let (sandbox, net) = (Sandbox::new(), Net::new());
    for (what, why) in [
        ("delay: 100", "`100` has no unit"),
        ("delay: 5ms", "must be from 10ms to 2s"),
        ("delay: 3s", "must be from 10ms to 2s"),
        ("delay: 100ms, jitter: 95ms", "must be at most 90ms"),
        ("delay: 100ms, reorder: 5%", "must be from 10% to 50%, or 0%"),
        ("jitter: 5ms", "the key `delay` is missing"),
    ] {
        write_files(&sandbox, &net, &format!("network_delay: {{ on: primary, {what} }}"));
        let refused = sandbox.run("validate cut.yaml --env net.yaml").exits(14);
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert!(refused.stderr.contains("cut.yaml:7:"), "{refused:?}");
    }
}

/// A role may consist of daemons alone. As a peer it would mean nobody, which is everybody.
#[test]
fn a_role_without_nodes_is_neither_struck_nor_spared() {
    let (sandbox, net) = (Sandbox::new(), Net::new());
    let process = "    processes:\n      - { name: web, site: web, pid: 2 }\nservices:";
    for inject in [
        "network_partition: { on: primary, from: web }",
        "packet_loss: { on: web, share: 30% }",
        "network_delay: { on: primary, from: web, delay: 1s }",
    ] {
        write_files(&sandbox, &net, inject);
        let text = net.environment().replacen("services:", process, 1);
        fs::write(sandbox.path("net.yaml"), text).unwrap();
        let refused = start(&sandbox, &net).end().exits(13);
        let said = "the environment names no `nodes` of web";
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    assert!(net.reaches(HUB, DB) && net.ruleset(DB).is_empty());
}
