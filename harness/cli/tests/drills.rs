//! Whole drills: what they say is true, and what they leave behind can be checked without drdrill.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod entries;
    pub(crate) mod proxies;
    pub(crate) mod quick;
    pub(crate) mod sandbox;
    pub(crate) mod stored;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use edn_format::{Keyword, Value as Edn};
use serde_json::Value;
use support::entries::acknowledged;
use support::proxies::ProxyServer;
use support::quick::quick;
use support::sandbox::{Outcome, Sandbox};
use support::stored::present;
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, runs};

/// A drill that ran, and where.
struct Ran {
    sandbox: Sandbox,
    outcome: Outcome,
}

impl Ran {
    fn new(arguments: &str, code: i32) -> Self {
        undisturbed(|| {
            let sandbox = Sandbox::new();
            let outcome = sandbox.run(arguments);
            nothing_is_left(&sandbox);
            Self { outcome: outcome.exits(code), sandbox }
        })
    }

    fn dir(&self) -> PathBuf {
        let runs = runs(&self.sandbox.state);
        assert_eq!(runs.len(), 1, "{runs:?}");
        self.sandbox.state.join("runs").join(runs.first().unwrap())
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir().join("record.json")).unwrap()).unwrap()
    }
}

/// The main drill to its end, on the primary site again.
static FAILED_BACK: LazyLock<Ran> = LazyLock::new(|| {
    Ran::new(
        "run complete_site_failure --set soak=1s --set sustained=1s --set keep_data=kept --format json",
        0,
    )
});

/// The main drill that stays on the DR site.
static ON_DR: LazyLock<Ran> = LazyLock::new(|| {
    Ran::new(
        "run complete_site_failure --set soak=1s --set sustained=1s --set failback=none \
         --set keep_data=kept",
        0,
    )
});

/// Every object of a JSON value, with the way to it.
fn objects<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            found.push((at.to_owned(), value));
            for (name, member) in members {
                objects(&format!("{at}.{name}"), member, found);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                objects(&format!("{at}[{number}]"), item, found);
            }
        }
        _ => {}
    }
}

/// The lower bound is never above the upper one, and no length is negative.
#[track_caller]
fn bounds_are_in_order(record: &Value) -> usize {
    let mut found = Vec::new();
    objects("record", record, &mut found);
    let mut intervals = 0;
    for (at, object) in found {
        let bound = |name: &str| object.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("at_least_ms") {
            assert!(least >= 0.0, "{at}: {object}");
        }
        if let (Some(least), Some(most)) = (bound("at_least_ms"), bound("at_most_ms")) {
            assert!(least <= most, "{at}: {object}");
            intervals += 1;
        }
    }
    intervals
}

#[test]
fn a_drill_that_passes_prints_its_record_and_nothing_else() {
    let ran = &*FAILED_BACK;
    let printed: Value = serde_json::from_str(&ran.outcome.stdout).unwrap();
    assert_eq!(printed, ran.record());
    assert_eq!(printed["verdict"], "pass");
    assert_eq!(printed["exit_code"], 0);
    assert_eq!(printed["leftovers"], Value::Array(Vec::new()));
    assert!(ran.outcome.stderr.contains("failed back"), "progress goes to standard error");
}

#[test]
fn every_interval_has_its_bounds_in_order() {
    // Recovery time, recovery point, the outage of the service and of its streams.
    assert!(bounds_are_in_order(&FAILED_BACK.record()) >= 5);
    assert!(bounds_are_in_order(&ON_DR.record()) >= 5);
}

#[test]
fn the_recovery_time_is_a_number_that_the_phases_bear_out() {
    let record = FAILED_BACK.record();
    let (rto, phases) = (&record["services"][0]["rto"], &record["phases"]);
    let at = |name: &str| phases[name].as_f64().unwrap_or_else(|| panic!("{name} in {phases}"));
    let order = ["fault_ms", "detected_ms", "decided_ms", "failed_over_ms", "failback_started_ms"];
    assert!(order.map(at).is_sorted(), "{phases}");
    // The service can only be back after somebody decided to fail over, three rounds of 500 ms after the fault.
    assert!(rto["at_least_ms"].as_f64().unwrap() >= 900.0, "{rto}");
    assert!(rto["at_most_ms"].as_f64().unwrap() >= at("decided_ms") - at("fault_ms"), "{rto}");
}

#[test]
fn four_functions_work_after_the_recovery_and_again_after_the_failback() {
    let record = FAILED_BACK.record();
    let checks = record["functionality"].as_array().unwrap();
    for when in ["after_recovery", "after_failback"] {
        let names: BTreeSet<_> = checks
            .iter()
            .filter(|check| check["when"] == when && check["outcome"] == "pass")
            .map(|check| check["name"].as_str().unwrap())
            .collect();
        let wanted =
            ["application_availability", "data_access", "job_submission", "user_authentication"];
        assert_eq!(names, BTreeSet::from(wanted), "{when}");
    }
}

#[test]
fn the_lost_writes_are_those_that_an_independent_reader_misses_on_the_dr_site() {
    let ran = &*ON_DR;
    let writes = &ran.record()["services"][0]["rpo"]["writes"];
    let acknowledged = acknowledged(&ran.sandbox);
    let kept = ran.sandbox.path("kept");
    let lost = acknowledged.difference(&present(&kept.join("dr/site.db"))).count();
    assert!(lost > 0, "with 250 ms of replication lag some are lost");
    assert_eq!(writes["lost"], lost);
    assert_eq!(writes["acknowledged"], acknowledged.len());
    // The primary site was never written to again, so it still has what it acknowledged before it was lost.
    let lost = acknowledged.difference(&present(&kept.join("dr/site.db"))).copied().collect();
    let there = present(&kept.join("primary/site.db"));
    assert!(there.is_superset(&lost), "{lost:?} should be on the primary site");
}

#[test]
fn after_failback_the_lost_writes_can_still_be_salvaged_on_the_primary_site() {
    let ran = &*FAILED_BACK;
    let rpo = &ran.record()["services"][0]["rpo"];
    let primary = ran.sandbox.path("kept").join("primary");
    let lost: BTreeSet<u64> = acknowledged(&ran.sandbox)
        .difference(&present(&primary.join("site.db")))
        .copied()
        .collect();
    assert!(!lost.is_empty());
    assert_eq!(rpo["writes"]["lost"], lost.len());
    assert_eq!(rpo["failback_lost"], 0);
    let diverged: Vec<PathBuf> = fs::read_dir(&primary)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("diverged-"))
        .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
        .collect();
    assert_eq!(diverged.len(), 1, "{diverged:?}");
    let salvageable = present(&diverged[0]);
    assert!(salvageable.is_superset(&lost), "{lost:?} should be in {}", diverged[0].display());
}

#[test]
fn a_service_that_never_comes_back_has_no_recovery_time() {
    for arguments in [
        "run complete_site_failure --set failover=none --set give_up_after=5s --set soak=1s",
        "run site_lost_nobody_fails_over --set give_up_after=3s",
        "run service_killed_nobody_fails_over --set give_up_after=3s",
    ] {
        let ran = Ran::new(arguments, 10);
        let record = ran.record();
        let rto = &record["services"][0]["rto"];
        assert_eq!(record["verdict"], "fail");
        assert_eq!(rto["at_most_ms"], Value::Null);
        let waited = if arguments.contains("5s") { 5000.0 } else { 3000.0 };
        assert!(rto["at_least_ms"].as_f64().unwrap() >= waited - 100.0, "{rto}");
        let line = ran.outcome.stdout.lines().find(|line| line.starts_with("rto store: ")).unwrap();
        assert!(line.starts_with("rto store: > "), "{line}");
        bounds_are_in_order(&record);
    }
}

#[test]
fn a_fault_that_hits_nothing_makes_the_drill_invalid() {
    let ran = Ran::new("run fault_without_effect --env lab_bypass", 11);
    let record = ran.record();
    assert_eq!(record["verdict"], "unknown");
    assert_eq!(record["faults"][0]["in_effect_ms"], Value::Null);
    assert_eq!(record["services"][0]["rto"]["at_most_ms"], Value::Null);
    assert!(ran.outcome.stdout.contains("the drill is invalid"), "{}", ran.outcome.stdout);
}

#[test]
fn an_old_run_can_be_looked_at_and_judged_again() {
    for ran in [&*FAILED_BACK, &*ON_DR] {
        let sandbox = &ran.sandbox;
        let run = ran.record()["run_id"].as_str().unwrap().to_owned();
        let shown = sandbox.run("show last").exits(0).stdout;
        assert!(shown.contains(&run) && shown.contains("verdict: PASSED (pass)"), "{shown}");
        assert_eq!(sandbox.run(&format!("show {run}")).exits(0).stdout, shown);
        let history = sandbox.run("history").exits(0).stdout;
        assert!(history.contains(&run) && history.contains("complete_site_failure"), "{history}");
        let checked = sandbox.run("check last").exits(0).stdout;
        assert!(checked.ends_with("The record of the run says the same.\n"), "{checked}");
        let again = sandbox.run("show last --format json").exits(0).stdout;
        assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), ran.record());
    }
}

#[test]
fn the_exported_history_tells_the_same_losses_to_another_reader() {
    let ran = &*FAILED_BACK;
    let file = ran.sandbox.path("history.edn");
    ran.sandbox.run("check last --export-edn history.edn").exits(0);
    let text = fs::read_to_string(&file).unwrap();
    let field = |line: &str, name: &str| match edn_format::parse_str(line).unwrap() {
        Edn::Map(map) => map[&Edn::from(Keyword::from_name(name))].clone(),
        other => panic!("{line}: {other:?}"),
    };
    let is = |line: &str, f: &str, kind: &str| {
        field(line, "f") == Edn::from(Keyword::from_name(f))
            && field(line, "type") == Edn::from(Keyword::from_name(kind))
    };
    let lines: Vec<&str> = text.lines().collect();
    // What was acknowledged before the first read began, and what that read saw.
    let begin = lines.iter().position(|line| is(line, "read", "invoke")).unwrap();
    let end = lines.iter().position(|line| is(line, "read", "ok")).unwrap();
    let Edn::Vector(seen) = field(lines[end], "value") else { panic!("{}", lines[end]) };
    let added = lines[..begin].iter().filter(|line| is(line, "add", "ok"));
    let lost = added.filter(|line| !seen.contains(&field(line, "value"))).count();
    let writes = &ran.record()["services"][0]["rpo"]["writes"];
    assert_eq!(writes["lost"], lost, "{writes}");
    let added = lines.iter().filter(|line| is(line, "add", "ok")).count();
    assert!(u64::try_from(added).unwrap() >= writes["acknowledged"].as_u64().unwrap());
    let faults = lines.iter().filter(|line| is(line, "inject", "info")).count();
    assert_eq!(faults, ran.record()["faults"].as_array().unwrap().len());
    let nowhere = ran.sandbox.run("check last --export-edn nowhere/history.edn").exits(2);
    assert!(nowhere.stderr.contains("export the history to nowhere/history.edn"), "{nowhere:?}");
}

#[test]
fn the_evidence_holds_with_and_without_drdrill() {
    let ran = &*FAILED_BACK;
    let verified = ran.sandbox.run("verify last").exits(0);
    assert!(verified.stderr.is_empty(), "{}", verified.stderr);
    let report = fs::read_to_string(ran.dir().join("report.md")).unwrap();
    for command in drdrill_reports::evidence::VERIFY_BY_HAND {
        assert!(report.contains(command), "the report tells how to verify it: {command}");
        let output =
            Command::new("bash").args(["-c", command]).current_dir(ran.dir()).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

#[test]
fn one_flipped_byte_of_the_record_is_noticed() {
    let ran = &*FAILED_BACK;
    let copy = Sandbox::new();
    let status = Command::new("cp").arg("-r").args([&ran.sandbox.state, &copy.state]).status();
    assert!(status.unwrap().success());
    copy.run("verify last").exits(0);
    let record = copy.state.join("runs").join(ran.dir().file_name().unwrap()).join("record.json");
    let mut bytes = fs::read(&record).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&record, bytes).unwrap();
    let verified = copy.run("verify last").exits(10);
    assert!(verified.stdout.contains("record.json"), "{}", verified.stdout);
}

#[test]
fn what_goes_into_a_pipe_is_plain_text() {
    for ran in [&*FAILED_BACK, &*ON_DR] {
        for text in [&ran.outcome.stdout, &ran.outcome.stderr] {
            let odd = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(odd, None, "{text}");
        }
    }
    let summary = &ON_DR.outcome.stdout;
    assert!(summary.contains("\nverdict: PASSED (pass)\n"), "{summary}");
}

#[test]
fn colours_are_for_terminals_and_no_color_turns_them_off() {
    let sandbox = &ON_DR.sandbox;
    let on_a_terminal = |variables: &str| {
        let shown = format!(
            "{variables} DRDRILL_STATE={} {} show last",
            sandbox.state.display(),
            env!("CARGO_BIN_EXE_drdrill")
        );
        let output = Command::new("script")
            .args(["-qec", &shown, "/dev/null"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("TERM", "xterm-256color")
            .output()
            .expect("`script` of bsdutils, to have a terminal");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_a_terminal("").contains("\x1b["));
    assert!(!on_a_terminal("NO_COLOR=1").contains('\x1b'));
}

#[test]
fn a_proxy_server_of_others_is_left_as_it_was_found() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let server = ProxyServer::start(&sandbox);
        server.create("foreign");
        let before = server.proxies();
        let run = quick(&sandbox);
        let outcome =
            sandbox.run(&format!("{run} --set toxiproxy={} --set failback=none", server.url()));
        assert!(outcome.stderr.contains(&server.url()), "{}", outcome.stderr);
        outcome.exits(0);
        assert_eq!(server.proxies(), before);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn an_address_in_use_is_named_and_nothing_is_left() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        let outcome =
            sandbox.run(&format!("run complete_site_failure --set listen={taken}")).exits(13);
        assert!(outcome.stderr.contains("the drill did not begin, nothing was injected"));
        assert!(outcome.stderr.contains(&taken.to_string()), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
        assert!(runs(&sandbox.state).is_empty(), "a run that never began has no directory");
        nothing_is_left(&sandbox);
    });
}
