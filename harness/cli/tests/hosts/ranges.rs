//! Which addresses the networks of a run get.

use std::process::Command;

use drdrill_containers::hosts::Hosts;
use drdrill_core::containers::Containers as _;

use crate::support::sandbox::Outcome;
use crate::support::wait::alone;

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

#[test]
fn a_network_passes_over_what_another_one_has_and_what_a_route_leads_to() {
    let _alone = alone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hosts = Hosts::default();
    let seed = u64::from(std::process::id());
    let run = |name: &str| format!("test-{}-{name}", std::process::id());
    let make = |name: &str| {
        let made = runtime.block_on(hosts.make_networks(&run(name), &["a"], seed));
        made.unwrap()["a"].first
    };
    let remove = |name: &str| runtime.block_on(hosts.remove(&run(name))).unwrap();
    let (first, second) = (make("one"), make("two"));
    remove("one");
    remove("two");
    ip(&format!("route add unreachable {first}/25"));
    let third = make("three");
    ip(&format!("route del unreachable {first}/25"));
    remove("three");
    let again = make("four");
    remove("four");
    assert_ne!(first, second);
    assert_eq!((third, again), (second, first));
}

/// A network of its own, in which routes lead everywhere.
struct Office(String);

impl Office {
    fn new() -> Self {
        let office = Self(format!("drdrill-office-{}", std::process::id()));
        ip(&format!("netns add {}", office.0));
        ip(&format!("-n {} link set lo up", office.0));
        for range in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] {
            ip(&format!("-n {} route add unreachable {range}", office.0));
        }
        office
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// The run that a drill said it was, which has no directory when it never began.
fn run_said(outcome: &Outcome) -> String {
    let (_, said) = outcome.stderr.split_once("  run ").unwrap();
    said.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn where_routes_lead_everywhere_it_says_so_and_makes_nothing() {
    let _alone = alone();
    let sandbox = crate::ready();
    let office = Office::new();
    let drdrill = sandbox.command("run complete_site_failure --env docker");
    let mut inside = sandbox.program("ip".as_ref());
    inside.args(["netns", "exec", &office.0]).arg(drdrill.get_program()).args(drdrill.get_args());
    let outcome = Outcome::of(&inside.output().unwrap()).exits(13);
    let words = "no 256 addresses of 10.128.0.0/9, 172.16.0.0/12, 192.168.0.0/16 are free";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    crate::all_is_gone(&sandbox, &run_said(&outcome));
}
