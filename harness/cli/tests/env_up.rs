//! `drdrill env`, `failover` and `failback`: an environment that is up without a drill.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::drill::Drill;
use support::quick::quick;
use support::sandbox::{Outcome, Sandbox};
use support::wait::{alone, until};
use support::world::{nothing_is_left, processes, runs};

/// An environment that is up.
struct Up {
    sandbox: Sandbox,
    host: Drill,
}

impl Up {
    fn new(options: &str) -> Self {
        let sandbox = Sandbox::new();
        quick(&sandbox);
        // One kind of check that fails is enough.
        let file = sandbox.path("env.yaml");
        let text = std::fs::read_to_string(&file).unwrap().replace("kinds: 2", "kinds: 1");
        std::fs::write(file, text).unwrap();
        let mut host = Drill::start(sandbox.command(&format!("env up env.yaml {options}")));
        host.says("lab is up; clients come to http://127.");
        Self { sandbox, host }
    }

    fn ask(&self, arguments: &str) -> Outcome {
        self.sandbox.run(arguments)
    }

    fn status(&self) -> Value {
        let said = self.ask("env status env.yaml --format json").exits(0).stdout;
        serde_json::from_str(&said).unwrap()
    }

    /// The processes of that program, in the order of their start: those of the primary site come first.
    fn programs(&self, name: &str) -> Vec<Pid> {
        let all = processes(&self.sandbox.state).into_iter();
        let these = all.filter(|(_, what)| what.contains(&format!("lab-node {name}")));
        let mut pids: Vec<i32> = these.map(|(pid, _)| pid).collect();
        pids.sort_unstable();
        pids.into_iter().map(Pid::from_raw).collect()
    }

    /// The process that serves at the primary site (0) or at the DR site (1).
    fn service(&self, site: usize) -> Pid {
        self.programs("service")[site]
    }

    #[track_caller]
    fn goes_down(self) {
        assert_eq!(self.host.end().code, Some(0));
        nothing_is_left(&self.sandbox);
        assert!(runs(&self.sandbox.state).is_empty(), "what was no drill leaves no evidence");
    }
}

/// Role, fence and share of the traffic of a site.
fn site<'a>(status: &'a Value, name: &str) -> (&'a str, bool, u64) {
    let sites = status["sites"].as_array().unwrap();
    let one = sites.iter().find(|one| one["site"] == name).unwrap();
    let share = status["shares"][name].as_u64().unwrap();
    (one["role"].as_str().unwrap(), one["fenced"].as_bool().unwrap(), share)
}

#[test]
fn it_is_failed_over_and_back_by_hand() {
    let _alone = alone();
    let up = Up::new("");
    let before = up.status();
    assert_eq!(
        (site(&before, "primary"), site(&before, "dr")),
        (("primary", false, 100), ("standby", false, 0))
    );

    let planned = up.ask("failover --env env.yaml --dry-run").exits(0).stdout;
    assert!(planned.contains("promote the DR site") && planned.contains("Nothing was touched."));
    // A primary site that lives is asked for all it has, and nobody takes over without.
    let steps: Vec<&str> = planned.lines().map(str::trim).collect();
    let place = |what: &str| steps.iter().position(|line| line.starts_with(what)).unwrap();
    assert!(place("activate the DR site") < place("fence the lost site"), "{planned}");
    assert!(place("wait for the last change") < place("promote the DR site"), "{planned}");
    let after = up.status();
    assert_eq!((&after["serves"], &after["changes"]), (&before["serves"], &before["changes"]));
    assert_eq!(site(&after, "primary"), ("primary", false, 100));

    // The other way round there is nothing to do.
    let said = up.ask("failback --env env.yaml").exits(13).stderr;
    up.ask("failback --env env.yaml --hold 0s").exits(2);
    assert!(said.contains("there is nothing to fail back"), "{said}");

    let said = up.ask("failover --env env.yaml").exits(0);
    assert!(said.stderr.contains("promote the DR site (primary of epoch 2)"), "{said:#?}");
    let over = up.status();
    assert_eq!(over["serves"], "dr");
    assert_eq!(
        (site(&over, "primary"), site(&over, "dr")),
        (("primary", true, 0), ("primary", false, 100))
    );
    let said = up.ask("failover --env env.yaml").exits(13).stderr;
    assert!(said.contains("there is nothing to fail over"), "{said}");

    let planned = up.ask("failback --env env.yaml --dry-run --format json").exits(0).stdout;
    let planned: Value = serde_json::from_str(&planned).unwrap();
    assert_eq!(planned[0]["action"], "activate");
    up.ask("failback --env env.yaml --hold 100ms").exits(0);
    let back = up.status();
    assert_eq!(
        (site(&back, "primary"), site(&back, "dr")),
        (("primary", false, 100), ("standby", false, 0))
    );
    assert_eq!(back["changes"].as_array().unwrap().len(), 4, "{back:#}");

    up.ask("env down env.yaml").exits(0);
    // All is over when that is said.
    up.sandbox.run("run no_op --env env.yaml").exits(0);
    assert_eq!(runs(&up.sandbox.state).len(), 1);
    assert_eq!(up.host.end().code, Some(0));
    nothing_is_left(&up.sandbox);
}

#[test]
fn a_standby_that_was_dead_gets_everything_before_it_takes_over() {
    let _alone = alone();
    let up = Up::new("");
    kill(up.service(1), Signal::SIGKILL).unwrap();
    let said = up.ask("failover --env env.yaml").exits(0).stderr;
    assert!(said.contains("wait for the last change (at change"), "{said}");
    assert_eq!(up.status()["serves"], "dr");
    up.ask("env down env.yaml").exits(0);
    up.goes_down();
}

#[test]
fn two_sites_that_both_take_writes_become_one_and_two_again() {
    let _alone = alone();
    let up = Up::new("--set strategy=active_active");
    up.ask("failover --env env.yaml").exits(0);
    let over = up.status();
    assert_eq!(over["serves"], "dr");
    assert!(site(&over, "primary").1, "{over:#}");
    up.ask("failback --env env.yaml --hold 100ms").exits(0);
    let back = up.status();
    for name in ["primary", "dr"] {
        assert_eq!(site(&back, name), ("primary", false, 50));
    }
    up.ask("env down env.yaml").exits(0);
    up.goes_down();
}

#[test]
fn a_promotion_that_is_taken_back_leaves_a_primary_that_takes_writes() {
    let _alone = alone();
    let up = Up::new("");
    // The step after the promotion cannot be done.
    let gateways = up.programs("gateway");
    for gateway in &gateways {
        kill(*gateway, Signal::SIGSTOP).unwrap();
    }
    let said = up.ask("failover --env env.yaml").exits(10).stderr;
    for gateway in &gateways {
        kill(*gateway, Signal::SIGCONT).unwrap();
    }
    assert!(said.contains("rollback of promote the DR site (follows primary again"), "{said}");
    // A standby of a higher epoch would have it fence itself as soon as it is connected.
    until("the standby follows", Duration::from_secs(10), || {
        let status = up.status();
        let dr = &status["sites"][1];
        (dr["role"] == "standby" && dr["lag_ms"].is_u64()).then_some(())
    });
    let status = up.status();
    assert_eq!(site(&status, "primary"), ("primary", false, 100));
    up.ask("failover --env env.yaml").exits(0);
    up.ask("env down env.yaml").exits(0);
    up.goes_down();
}

#[test]
fn a_failover_that_cannot_be_done_is_taken_back() {
    let _alone = alone();
    let up = Up::new("");
    // One that stands still can neither be started nor be healthy.
    let service = up.service(1);
    kill(service, Signal::SIGSTOP).unwrap();
    let said = up.ask("failover --env env.yaml").exits(10).stderr;
    kill(service, Signal::SIGCONT).unwrap();
    assert!(said.contains("rollback of activate the DR site"), "{said}");
    let status = up.status();
    assert_eq!(status["serves"], "primary");
    assert_eq!(site(&status, "primary"), ("primary", false, 100));
    up.ask("env down env.yaml").exits(0);
    up.goes_down();
}

#[test]
fn the_health_monitor_fails_over_by_itself_where_it_is_wanted() {
    let _alone = alone();
    let up = Up::new("--automatic");
    kill(up.service(0), Signal::SIGKILL).unwrap();
    until("it fails over", Duration::from_secs(20), || {
        (up.status()["serves"] == "dr").then_some(())
    });
    up.ask("failback --env env.yaml --hold 100ms").exits(0);
    // It watches again.
    kill(up.service(1), Signal::SIGKILL).unwrap();
    until("it fails over again", Duration::from_secs(20), || {
        let changes = up.status()["changes"].to_string();
        (changes.matches("to failed over").count() == 2).then_some(())
    });
    up.ask("env down env.yaml").exits(0);
    up.goes_down();
}

#[test]
fn nothing_is_left_when_its_holder_is_killed() {
    let _alone = alone();
    let mut up = Up::new("");
    assert!(!processes(&up.sandbox.state).is_empty());
    up.host.signal(Signal::SIGKILL);
    nothing_is_left(&up.sandbox);
    let said = up.ask("history").exits(0).stdout;
    assert!(said.starts_with("there are no runs"), "it was no drill: {said}");
    let said = up.ask("failover --env env.yaml").exits(13).stderr;
    assert!(said.contains("lab is not up here") && said.contains("drdrill env up"), "{said}");
    // The dead one's socket is in nobody's way.
    let mut again = Drill::start(up.sandbox.command("env up env.yaml"));
    again.says("lab is up").signal(Signal::SIGINT);
    assert_eq!(again.end().code, Some(0));
    nothing_is_left(&up.sandbox);
}

#[test]
fn while_it_is_up_nobody_else_may_have_it_and_a_halt_ends_it() {
    let _alone = alone();
    let up = Up::new("");
    for other in ["env up env.yaml", "run quick.yaml --env env.yaml"] {
        let said = up.ask(other).exits(16).stderr;
        assert!(said.contains("since"), "{other}: {said}");
    }
    up.ask("halt env.yaml").exits(0);
    let said = up.ask("env up env.yaml").exits(16).stderr;
    assert!(said.contains("halted"), "{said}");
    up.goes_down();
}

#[test]
fn what_is_there_already_is_not_brought_up() {
    let sandbox = Sandbox::new();
    let host = "\
environment: shop
provider: { host: { probes: [{ name: web, service: shop, attempt: { tcp: { address: \"127.0.0.1:1\" } } }] } }
services: [{ name: shop, tier: 1 }]
";
    std::fs::write(sandbox.path("shop.yaml"), host).unwrap();
    let said = sandbox.run("env up shop.yaml").exits(13).stderr;
    assert!(said.contains("shop is there already"), "{said}");
    let said = sandbox.run("env up nowhere").exits(2).stderr;
    assert!(said.contains("known, the nearest first"), "{said}");
}
