//! Several drills in one go: one after the other, whatever each comes to, until one leaves something or somebody says stop.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod drill;
    pub(crate) mod page;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::process::Command;

use drdrill_core::action::Undo;
use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::state::StateDir;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::drill::Drill;
use support::page::{Page, answer};
use support::sandbox::Sandbox;
use support::wait::alone;
use support::world::{nothing_is_left, runs};

/// A drill without faults, of so many samples.
fn watch(sandbox: &Sandbox, name: &str, probes: &str) {
    let text = format!(
        "scenario: {name}\ntitle: Watch\nkind: simulated\nprobes: {probes}\nfaults: []\n\
         recovery: {{ failover: none }}\nsoak: 1min\n"
    );
    fs::write(sandbox.path(&format!("{name}.yaml")), text).unwrap();
}

/// A shop whose page answers the first request and those from the 22nd on, and fails in between.
fn shop(sandbox: &Sandbox) -> Page {
    let page = Page::serve(|number, _| match number {
        1..=20 => answer("500 Internal Server Error", "", "no"),
        _ => answer("200 OK", "", "ok"),
    });
    let environment = format!(
        "environment: shop\nprovider:\n  host:\n    probes: [{{ name: web, service: web, attempt: {{ http: {{ url: \
         \"http://{}/\" }} }} }}]\nservices: [{{ name: web, tier: 1 }}]\n",
        page.address
    );
    fs::write(sandbox.path("shop.yaml"), environment).unwrap();
    watch(sandbox, "first", "{ samples: 1 }");
    watch(sandbox, "bad", "{ samples: 20 }");
    watch(sandbox, "last", "{ samples: 1 }");
    watch(sandbox, "long", "{ every: 20ms }");
    page
}

fn scenarios_of(printed: &str) -> Vec<(String, u64)> {
    let records: Vec<Value> = serde_json::from_str(printed).unwrap();
    let of = |record: &Value| {
        let name = record["scenario"]["name"].as_str().unwrap().to_owned();
        (name, record["exit_code"].as_u64().unwrap())
    };
    records.iter().map(of).collect()
}

#[test]
fn a_series_goes_on_after_a_failure_and_exits_with_the_worst() {
    let sandbox = Sandbox::new();
    let page = shop(&sandbox);
    let run = "run first.yaml bad.yaml last.yaml --env shop.yaml";
    let outcome = sandbox.run(&format!("{run} --format json"));
    let ended = scenarios_of(&outcome.stdout);
    assert_eq!(page.asked(), 22);
    let [(first, 0), (bad, code), (last, 0)] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!([first, bad, last], ["first", "bad", "last"]);
    assert!(matches!(*code, 10 | 11), "{code}");
    assert_eq!(outcome.code, i32::try_from(*code).ok());
    assert_eq!(runs(&sandbox.state).len(), 3, "each leaves its evidence");
    nothing_is_left(&sandbox);
}

#[test]
fn one_table_tells_them_all() {
    let sandbox = Sandbox::new();
    let _page = shop(&sandbox);
    let table = sandbox.run("run first.yaml bad.yaml last.yaml --env shop.yaml").stdout;
    let rows: Vec<&str> = table.lines().map(str::trim).collect();
    for column in ["scenario", "verdict", "RTO", "RPO lost", "exit"] {
        assert!(rows[0].contains(column), "{table}");
    }
    assert!(rows[1].starts_with("first") && rows[1].contains("✓ pass"), "{table}");
    assert!(rows[2].starts_with("bad") && !rows[2].contains("✓ pass"), "{table}");
    assert!(rows[3].starts_with("last") && rows[3].ends_with('0'), "{table}");
    assert!(table.contains("\nbad: ") && table.contains("report.html"), "it says why: {table}");
    assert!(table.ends_with("\n2 passed, 1 did not pass, 0 not run\n"), "{table}");
}

#[test]
fn an_interrupt_ends_all_of_it() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let _page = shop(&sandbox);
    let run = "run first.yaml long.yaml last.yaml --env shop.yaml";
    let mut drill = Drill::start(sandbox.command(run));
    drill.says("2 of 3: long").says("long on shop").signal(Signal::SIGINT);
    let outcome = drill.end().exits(15);
    assert!(outcome.stdout.contains("last: interrupted by the operator"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("1 not run\n"), "{}", outcome.stdout);
}

#[test]
fn what_was_left_in_place_ends_it() {
    let sandbox = Sandbox::new();
    let _page = shop(&sandbox);
    let state = StateDir::at(&sandbox.state);
    state.prepare().unwrap();
    let mut gone = Command::new("sleep").arg("600").spawn().unwrap();
    let harness = drdrill_process::of_process("p", gone.id().try_into().unwrap()).unwrap();
    gone.kill().unwrap();
    gone.wait().unwrap();
    let first = Line::Opened {
        run_id: "20260101-000000-aaaaaaaa".to_owned(),
        environment: "shop".to_owned(),
        harness,
        boot_id: drdrill_process::boot_id().unwrap(),
    };
    let mut ledger = Ledger::create(&state.ledger("20260101-000000-aaaaaaaa"), first).unwrap();
    let undo = Undo::Revert {
        kind: "process_pause".to_owned(),
        node: "test".to_owned(),
        params: json!({}),
    };
    ledger.intend("process_pause", "test", undo).unwrap();
    drop(ledger);
    let outcome = sandbox.run("run first.yaml last.yaml --env shop.yaml").exits(12);
    assert!(outcome.stdout.contains("first left something in place"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.ends_with("0 passed, 1 did not pass, 1 not run\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_halt_ends_it() {
    let sandbox = Sandbox::new();
    let _page = shop(&sandbox);
    sandbox.run("halt shop.yaml").exits(0);
    let outcome = sandbox.run("run first.yaml last.yaml --env shop.yaml --format json").exits(16);
    assert_eq!(scenarios_of(&outcome.stdout), []);
    assert!(outcome.stderr.contains("shop is halted"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("2 of 2"), "the second is not tried: {}", outcome.stderr);
}

#[test]
fn all_of_them_are_planned_before_the_first_runs() {
    let sandbox = Sandbox::new();
    let page = shop(&sandbox);
    let outcome = sandbox.run("run first.yaml absent.yaml --env shop.yaml").exits(14);
    assert!(outcome.stderr.contains("absent.yaml"), "{}", outcome.stderr);
    assert_eq!(page.asked(), 0);
}

#[test]
fn what_an_environment_cannot_run_is_said_and_left_out() {
    let sandbox = Sandbox::new();
    let page = shop(&sandbox);
    let outcome = sandbox.run("run --all --env shop.yaml").exits(0);
    assert_eq!(page.asked(), 1, "no_op takes one sample");
    let line = |word: &str| outcome.stdout.lines().find(|line| line.trim().starts_with(word));
    assert!(line("no_op").unwrap().contains("✓ pass"), "{}", outcome.stdout);
    let why = line("complete_site_failure: cannot run on shop.yaml: ").unwrap();
    assert!(why.contains("the environment has no role `primary`"), "{why}");
    let outcome = sandbox.run("run --tag site --env shop.yaml").exits(13);
    assert!(outcome.stdout.contains("0 passed, 0 did not pass"), "{}", outcome.stdout);
}

#[test]
fn a_tag_that_nobody_has_is_answered_with_the_known_ones() {
    let outcome = Sandbox::new().run("run --tag sitte").exits(2);
    let said = "no scenario has the tag `sitte`; known, the nearest first: site, ";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    let outcome = Sandbox::new().run("run").exits(2);
    assert!(outcome.stderr.contains("SCENARIO"), "{}", outcome.stderr);
}

#[test]
fn the_list_says_what_is_what_and_where_it_runs() {
    let sandbox = Sandbox::new();
    let listed: Value =
        serde_json::from_str(&sandbox.run("list --format json").exits(0).stdout).unwrap();
    let rows = listed["scenarios"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == "complete_site_failure").unwrap();
    assert_eq!(row["group"], "site");
    assert!(row["runs_on"].as_array().unwrap().contains(&json!("lab")), "{row}");
    assert!(row["needs"].as_array().unwrap().contains(&json!("fail over and back")), "{row}");
    let groups: Vec<(bool, &str)> = rows
        .iter()
        .map(|row| (row["must_fail"].as_bool().unwrap(), row["group"].as_str().unwrap()))
        .collect();
    assert!(groups.is_sorted(), "{groups:?}");
    assert!(groups.iter().all(|(_, group)| *group != "other"), "each has a tag: {groups:?}");
    let table = sandbox.run("list").exits(0).stdout;
    assert!(table.contains("runs on") && table.contains("drdrill run --all"), "{table}");
}
