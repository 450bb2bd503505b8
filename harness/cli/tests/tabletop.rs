//! Tabletop exercises and the runbooks they follow: what people say becomes evidence, and is never called measured.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::io::Write;
use std::process::Stdio;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};
use serde_json::{Value, json};
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::wait::alone;
use support::world::{nothing_is_left, runs};

const RUNBOOK: &str = "\
runbook: small
title: The database is gone
triggers: [Nobody can log in]
contacts:
  - { role: lead, name: Ada, reach: phone 1 }
  - { role: dba, name: Grace, reach: phone 2, deputy: Edsger }
escalation:
  - { after: 30min, to: lead, because: nobody decided }
checklists: { before: [everybody has a phone], after: [write it up] }
steps:
  - name: notice
    phase: detect
    owner: lead
    within: 5min
    do: [Look at the dashboard]
    expect: It is red
  - name: restore
    phase: fail_over
    owner: dba
    within: 1h
    do: [Find the last clean backup, Restore it]
    expect: Logins work
    otherwise: Take the one before
rollback: [Leave everything as it is]
";

const SCRIPT: &str = "\
participants:
  - { name: Ada, role: lead, present: true }
  - { name: Grace, role: dba, present: true }
steps:
  - { step: notice, result: done, takes: 2min, decision: Go }
  - step: restore
    result: done
    takes: 40min
    issues: [The key is in a safe]
    lessons: [Put a second key at the DR site]
conclusion:
  actions: [{ what: Second key, owner: Grace, due: 2027-01-31 }]
";

const SCENARIO: &str = "\
scenario: gone
title: The database is gone
kind: tabletop
runbook: small.yaml
targets: { rto: 1h }
faults: []
recovery: { failover: none }
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in [("small", RUNBOOK), ("script", SCRIPT), ("gone", SCENARIO)] {
        fs::write(sandbox.path(&format!("{name}.yaml")), text).unwrap();
    }
    // An objective that the exercise reaches.
    let lab = "environment: lab\nprovider: { lab: {} }\nservices: [{ name: store, tier: 2 }]\n";
    fs::write(sandbox.path("env.yaml"), lab).unwrap();
    sandbox
}

const RUN: &str = "tabletop gone.yaml --env env.yaml";

fn replaced(sandbox: &Sandbox, file: &str, from: &str, to: &str) {
    let path = sandbox.path(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn an_exercise_leaves_the_same_evidence_as_a_drill() {
    let sandbox = sandbox();
    let outcome = sandbox.run(&format!("{RUN} --script script.yaml --format json")).exits(0);
    let record = record(&outcome);
    assert_eq!((&record["kind"], &record["verdict"]), (&json!("tabletop"), &json!("pass")));
    let tabletop = &record["tabletop"];
    assert_eq!(tabletop["judged_recovery_ms"], 42.0 * 60_000.0);
    assert_eq!(tabletop["steps"][1]["issues"], json!(["The key is in a safe"]));
    assert_eq!(tabletop["conclusion"]["actions"][0]["due"], "2027-01-31");
    assert_eq!(tabletop["participants"][0]["name"], "Ada");
    let rto = &record["services"][0]["rto"];
    assert_eq!((&rto["at_least_ms"], &rto["verdict"]), (&Value::Null, &json!("unknown")));
    sandbox.run("verify last").exits(0);
    let checked = sandbox.run("check last").exits(0).stdout;
    assert!(checked.contains("verdict: WALKED THROUGH (pass)"), "{checked}");
    assert!(checked.ends_with("The record of the run says the same.\n"), "{checked}");
    let dir = sandbox.state.join("runs").join(runs(&sandbox.state).first().unwrap());
    for file in ["report.html", "report.md"] {
        let report = fs::read_to_string(dir.join(file)).unwrap();
        for told in ["WALKED THROUGH", "The key is in a safe", "Second key", "Grace", "40 min"] {
            assert!(report.contains(told), "{file} lacks {told}: {report}");
        }
        assert!(!report.contains("PASSED") && !report.contains("saw no failure"), "{file}");
    }
    nothing_is_left(&sandbox);
}

#[test]
fn a_plan_that_people_cannot_follow_fails() {
    for (from, to, code, reason) in [
        ("result: done\n    takes: 40min", "result: failed", 10, "step `restore` cannot be done"),
        ("takes: 40min", "takes: 2h", 10, "step `restore` takes 2h"),
        ("takes: 40min", "takes: 59min", 10, "restored after 1h 1m; the objective is 1h"),
        ("role: dba, present: true", "role: dba, present: false", 11, "nobody was there"),
        (
            "  - { step: notice, result: done, takes: 2min, decision: Go }\n",
            "",
            11,
            "step `notice` was not walked through",
        ),
    ] {
        let sandbox = sandbox();
        replaced(&sandbox, "script.yaml", from, to);
        let outcome = sandbox.run(&format!("{RUN} --script script.yaml --format json")).exits(code);
        let reasons = record(&outcome)["reasons"].to_string();
        assert!(reasons.contains(reason), "{to}: {reasons}");
    }
}

#[test]
fn a_mistake_in_the_answers_is_placed_and_answered() {
    for (from, to, place, said) in [
        (
            "step: notice",
            "step: notcie",
            "5:13",
            "no step `notcie`; known, the nearest first: notice",
        ),
        ("role: lead", "role: leader", "2:24", "no role `leader`; known, the nearest first: lead"),
        (", takes: 2min", "", "5:29", "says how long it takes"),
        ("result: done,", "result: did,", "5:29", "unknown name `did`"),
        ("takes: 2min", "takes: 2", "5:42", "`2` has no unit"),
        ("2027-01-31", "31.1.2027", "12:52", "must be a date"),
    ] {
        let sandbox = sandbox();
        replaced(&sandbox, "script.yaml", from, to);
        let stderr = sandbox.run(&format!("{RUN} --script script.yaml")).exits(14).stderr;
        assert!(stderr.starts_with(&format!("drdrill: script.yaml:{place}: ")), "{to}: {stderr}");
        assert!(stderr.contains(said), "{to}: {stderr}");
        assert!(!sandbox.state.exists(), "{to}: it touched the state directory");
    }
}

#[test]
fn a_mistake_in_a_runbook_is_placed_and_answered() {
    for (from, to, place, said) in [
        (
            "owner: dba",
            "owner: dbo",
            "19:12",
            "no contact has the role `dbo`; known, the nearest first: dba",
        ),
        ("to: lead", "to: laed", "8:25", "no contact has the role `laed`"),
        ("within: 5min", "within: 5", "14:13", "`5` has no unit"),
        (
            "phase: detect",
            "phase: detcet",
            "12:12",
            "unknown name `detcet`; known, the nearest first: detect",
        ),
        ("    expect: It is red\n", "", "15:5", "the key `expect` is missing"),
        ("name: restore", "name: notice", "11:3", "the name `notice` stands twice"),
    ] {
        let sandbox = sandbox();
        replaced(&sandbox, "small.yaml", from, to);
        for command in ["validate --runbook small.yaml", "explain --runbook small.yaml"] {
            let stderr = sandbox.run(command).exits(14).stderr;
            assert!(
                stderr.starts_with(&format!("drdrill: small.yaml:{place}: ")),
                "{to}: {stderr}"
            );
            assert!(stderr.contains(said), "{to}: {stderr}");
        }
        let stderr = sandbox.run("validate gone.yaml --env env.yaml").exits(14).stderr;
        assert!(stderr.contains("small.yaml:"), "the scenario names it: {stderr}");
    }
}

#[test]
fn a_scenario_shows_nothing_of_files_elsewhere() {
    let sandbox = sandbox();
    let below = sandbox.path("below");
    fs::create_dir(&below).unwrap();
    fs::write(sandbox.path("secret.yaml"), "token: hunter2hunter2\n").unwrap();
    std::os::unix::fs::symlink(sandbox.path("secret.yaml"), below.join("link.yaml")).unwrap();
    let absolute = sandbox.path("secret.yaml").display().to_string();
    for name in ["../secret.yaml", "./../secret.yaml", "link.yaml", &absolute] {
        fs::write(below.join("gone.yaml"), SCENARIO.replace("small.yaml", name)).unwrap();
        let stderr = sandbox.run("validate below/gone.yaml --env env.yaml").exits(14).stderr;
        assert!(stderr.contains("stands in its own directory"), "{name}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{name}: {stderr}");
    }
    fs::write(below.join("small.yaml"), RUNBOOK).unwrap();
    fs::write(below.join("gone.yaml"), SCENARIO).unwrap();
    sandbox.run("validate below/gone.yaml --env env.yaml").exits(0);
}

/// Headings and table cells of a Markdown text, as another program reads it.
fn headings(text: &str) -> Vec<(HeadingLevel, String)> {
    let mut found = Vec::new();
    let mut at = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                at = Some(level);
                found.push((level, String::new()));
            }
            Event::End(_) => at = None,
            Event::Text(text) if at.is_some() => found.last_mut().unwrap().1.push_str(&text),
            _ => {}
        }
    }
    found
}

#[test]
fn a_runbook_is_readable_as_markdown() {
    let sandbox = sandbox();
    let text = sandbox.run("explain --runbook small.yaml").exits(0).stdout;
    let headings = headings(&text);
    let titles: Vec<&str> = headings.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "The database is gone",
            "When to follow it",
            "Contacts",
            "Escalation",
            "How long it may take",
            "Before",
            "Steps",
            "1. notice",
            "2. restore",
            "Afterwards",
            "To give up and go back",
        ]
    );
    for told in ["Edsger", "within 1h", "Otherwise: Take the one before", "| **1h 5m** |"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let shipped = sandbox.run("explain --runbook complete_site_failure").exits(0).stdout;
    assert!(shipped.starts_with("# The primary site is lost\n"), "{shipped}");
    assert_eq!(sandbox.run("explain --runbook site_loss").exits(0).stdout, shipped);
    let unknown = sandbox.run("explain --runbook site_los").exits(2).stderr;
    assert!(
        unknown.contains("no runbook `site_los`; known, the nearest first: site_loss"),
        "{unknown}"
    );
    let none = sandbox.run("explain --runbook no_op").exits(2).stderr;
    assert!(none.contains("scenario no_op names no runbook"), "{none}");
}

#[test]
fn what_is_for_people_is_not_run_and_needs_people() {
    let sandbox = sandbox();
    let stderr = sandbox.run("run gone.yaml --env env.yaml").exits(2).stderr;
    assert!(
        stderr.contains("is for people to walk through: drdrill tabletop gone.yaml"),
        "{stderr}"
    );
    let stderr = sandbox.run(RUN).exits(2).stderr;
    assert!(
        stderr.contains("run it at a terminal, or give their answers with --script"),
        "{stderr}"
    );
    let stderr = sandbox.run("tabletop no_op").exits(2).stderr;
    assert!(stderr.contains("names no runbook; give one with --runbook"), "{stderr}");
    assert!(!sandbox.state.exists());
}

/// Runs the exercise at a terminal, at which somebody types these lines.
fn at_a_terminal(sandbox: &Sandbox, typed: &str) -> Outcome {
    let drdrill = env!("CARGO_BIN_EXE_drdrill");
    let mut command = sandbox.program("script".as_ref());
    command.args(["-qec", &format!("{drdrill} {RUN}"), "/dev/null"]).env("TERM", "dumb");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut terminal = child.stdin.take().unwrap();
    terminal.write_all(typed.as_bytes()).unwrap();
    let outcome = Outcome::of(&child.wait_with_output().unwrap());
    drop(terminal);
    outcome
}

fn last_record(sandbox: &Sandbox) -> Value {
    record(&sandbox.run("show last --format json").exits(0))
}

#[test]
fn people_are_asked_at_a_terminal() {
    let _alone = alone();
    let sandbox = sandbox();
    // Who is there; for each step: done, how long, decision, issue, lesson; then the exercise as a whole.
    let typed = "Ada\nGrace\n\
        maybe\nd\n3\n3min\nGo on\n\n\n\
        f\nAsk for help\nNo key\n\nA second key\n\n\
        \n\nKey; Grace; soon\nKey; Grace; 2027-01-31\n\n";
    let outcome = at_a_terminal(&sandbox, typed).exits(10);
    for told in [
        "1/2  detect: notice",
        "Find the last clean backup",
        "write d, f or s",
        "has no unit",
        "must be a date",
    ] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
    let record = last_record(&sandbox);
    let (first, second) = (&record["tabletop"]["steps"][0], &record["tabletop"]["steps"][1]);
    assert_eq!((&first["takes_ms"], &first["decision"]), (&json!(180_000.0), &json!("Go on")));
    assert_eq!((&second["result"], &second["issues"]), (&json!("failed"), &json!(["No key"])));
    assert_eq!(second["lessons"], json!(["A second key"]));
    assert_eq!(record["tabletop"]["scripted"], false);
    assert_eq!(record["tabletop"]["conclusion"]["actions"][0]["what"], "Key");
    assert!(first["presented_ms"].as_f64().unwrap() <= first["answered_ms"].as_f64().unwrap());
}

#[test]
fn an_exercise_that_is_broken_off_keeps_what_was_said() {
    let sandbox = sandbox();
    // The last character is what a terminal sends for Ctrl-D.
    at_a_terminal(&sandbox, "Ada\nGrace\nd\n\nGo\n\n\n\u{4}").exits(15);
    let record = last_record(&sandbox);
    assert_eq!(record["verdict"], "unknown");
    assert_eq!(record["tabletop"]["steps"][0]["decision"], "Go");
    assert_eq!(record["tabletop"]["steps"][1]["result"], "skipped");
    let reasons = record["reasons"].to_string();
    assert!(reasons.contains("the exercise was aborted: nobody answered any more"), "{reasons}");
    sandbox.run("verify last").exits(0);
}
