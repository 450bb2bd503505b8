//! Drill programs: checked, compared with what was drilled; findings and what people say of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::sandbox::{Outcome, Sandbox};

const SCENARIO: &str = "\
scenario: nothing
title: Nothing breaks
kind: simulated
targets: { rto: 1h }
probes: { every: 20ms, deadline: 900ms, samples: 1 }
faults: []
recovery: { failover: none }
soak: 0s
";

const NOBODY: &str = "\
environment: nobody
provider:
  host:
    probes: [{ name: web, service: web, attempt: { tcp: { address: \"127.0.0.1:1\" } } }]
services: [{ name: web, tier: 2 }]
";

const PROGRAM: &str = "\
program: small
title: One drill
services: [{ name: web, tier: 2 }]
people: [{ name: Ada, role: commander }]
drills:
  - { scenario: ./nothing.yaml, environments: [nobody.yaml], class: component, participants: [commander] }
controls: [{ framework: ISO 22301, control: \"8.5\", scenarios: [./nothing.yaml] }]
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("dir")).unwrap();
    for (name, text) in
        [("nothing.yaml", SCENARIO), ("nobody.yaml", NOBODY), ("program.yaml", PROGRAM)]
    {
        fs::write(sandbox.path("dir").join(name), text).unwrap();
    }
    sandbox
}

fn drill(sandbox: &Sandbox) -> Value {
    json_of(&sandbox.run("run dir/nothing.yaml --env dir/nobody.yaml --format json"))
}

#[track_caller]
fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

fn quarter(sandbox: &Sandbox) -> Value {
    json_of(&sandbox.run("history quarter --program dir/program.yaml --format json"))
}

/// Makes a run that failed look as if it had passed, as one of a service that works would.
fn let_it_pass(sandbox: &Sandbox, id: &str, change: impl Fn(&mut Value)) {
    let path = sandbox.state.join("runs").join(id).join("record.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    record["verdict"] = json!("pass");
    record["exit_code"] = json!(0);
    record["findings"] = json!([]);
    change(&mut record);
    fs::write(&path, record.to_string()).unwrap();
    // Its signature does not hold any more; here it is the record alone, as from another machine.
    let directory = path.parent().unwrap();
    for file in ["MANIFEST", "MANIFEST.sig", "HEAD"] {
        let _ = fs::remove_file(directory.join(file));
    }
    fs::create_dir_all(sandbox.state.join("imported")).unwrap();
    fs::rename(directory, sandbox.state.join("imported").join(id)).unwrap();
    sandbox.run("history rebuild").exits(0);
}

#[test]
fn a_program_is_checked_with_all_that_it_names() {
    let sandbox = sandbox();
    let said = sandbox.run("validate --program lab").exits(0).stdout;
    assert!(said.contains("programs/lab.yaml is valid and asks for 8 drills"), "{said}");
    sandbox.run("validate --program dir/program.yaml").exits(0);
    assert!(!sandbox.state.exists());
    let cases: [(&str, &str, i32, &str); 6] = [
        (
            "./nothing.yaml, env",
            "complete_site_faliure, env",
            14,
            "nearest first: complete_site_failure",
        ),
        ("[nobody.yaml]", "[missing.yaml]", 14, "read dir/missing.yaml"),
        ("class: component,", "class: component, services: [wbe],", 14, "no service `wbe`; known"),
        // It would break sites that this environment does not have.
        ("./nothing.yaml, env", "complete_site_failure, env", 14, "complete_site_failure"),
        ("./nothing.yaml, env", "fault_without_effect, env", 14, "fault_without_effect"),
        (
            "title: One drill",
            "titel: One drill",
            14,
            "unknown key `titel`; known, the nearest first: title",
        ),
    ];
    for (from, to, code, what) in cases {
        assert!(PROGRAM.contains(from), "{from}");
        fs::write(sandbox.path("dir/changed.yaml"), PROGRAM.replacen(from, to, 1)).unwrap();
        let refused = sandbox.run("validate --program dir/changed.yaml").exits(code);
        assert!(refused.stderr.contains(what), "{to}: {refused:#?}");
    }
    let unknown = sandbox.run("validate --program labb").exits(2).stderr;
    assert!(
        unknown.contains("there is no program `labb`; known, the nearest first: lab"),
        "{unknown}"
    );
}

#[test]
fn a_quarter_fits_its_schema_and_shows_what_was_drilled() {
    let sandbox = sandbox();
    let empty = sandbox.run("history quarter --program lab --format json").exits(11);
    let empty = json_of(&empty);
    assert_eq!(empty["standing"]["verdict"], "inconclusive");
    assert!(
        empty["coverage"].as_array().unwrap().iter().all(|cell| cell["status"] == "never_tested")
    );
    assert!(!sandbox.state.exists(), "looking touched the state directory");
    let record = drill(&sandbox);
    let outcome = sandbox.run("history quarter --program dir/program.yaml --format json").exits(10);
    let shown = json_of(&outcome);
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let schema = sandbox.run("schema quarter").exits(0);
    compiler.add_resource("schema.json", json_of(&schema)).unwrap();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    for value in [&empty, &shown] {
        schemas.validate(value, index).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(shown["schema"], "drdrill/quarter/v1");
    let drill = &shown["drills"][0];
    assert_eq!(drill["run_id"], record["run_id"]);
    assert_eq!((&drill["evidence"], &drill["conclusion"]), (&json!("proven"), &json!("failed")));
    assert_eq!(shown["coverage"][0]["status"], "failed");
    assert_eq!(shown["participation"][0]["planned"], json!(["Ada (commander)"]));
    assert_eq!(shown["participation"][0]["present"], Value::Null);
    let text = sandbox.run("history quarter --program dir/program.yaml").exits(10).stdout;
    assert!(text.contains("not met") && text.contains("1 of 1 recovery failed"), "{text}");
    let future = sandbox.run("history quarter 2999-Q1 --program lab").exits(2).stderr;
    assert!(future.contains("has not begun"), "{future}");
    let wrong = sandbox.run("history quarter 2026 --program lab").exits(2).stderr;
    assert!(wrong.contains("such as 2026-Q4"), "{wrong}");
}

#[test]
fn a_pass_is_not_verified_any_more_when_a_file_changes() {
    let sandbox = sandbox();
    let id = drill(&sandbox)["run_id"].as_str().unwrap().to_owned();
    let_it_pass(&sandbox, &id, |_| ());
    let cell = |sandbox: &Sandbox| quarter(sandbox)["coverage"][0].clone();
    assert_eq!(cell(&sandbox)["status"], "verified", "{:#}", cell(&sandbox));
    assert_eq!(quarter(&sandbox)["drills"][0]["evidence"], "record_alone");
    let spoil = |name: &str, from: &str, to: &str| {
        let path = sandbox.path("dir").join(name);
        let old = fs::read_to_string(&path).unwrap();
        assert!(old.contains(from), "{from}");
        fs::write(&path, old.replacen(from, to, 1)).unwrap();
        let now = cell(&sandbox);
        fs::write(&path, old).unwrap();
        now
    };
    for (name, from, to, why) in [
        ("nothing.yaml", "soak: 0s", "soak: 1s", "the scenario has changed"),
        ("nothing.yaml", "rto: 1h", "rto: 2h", "RTO objective was"),
        ("nobody.yaml", "127.0.0.1:1", "127.0.0.1:2", "the environment has changed"),
        (
            "program.yaml",
            "[{ name: web, tier: 2 }]",
            "[{ name: web, tier: 2, targets: { rto: 1s } }]",
            "asks for a recovery time",
        ),
    ] {
        let now = spoil(name, from, to);
        assert_eq!(now["status"], "not_verified", "{why}: {now:#}");
        assert!(now["because"].to_string().contains(why), "{why}: {now:#}");
    }
    // Its title, and whom it tells, are no part of the system.
    assert_eq!(
        spoil("nobody.yaml", "provider:", "title: Another\nprovider:")["status"],
        "verified"
    );
    assert_eq!(cell(&sandbox)["status"], "verified");
}

#[test]
fn a_drill_with_settings_of_its_own_shows_nothing_of_the_program() {
    let sandbox = sandbox();
    let ran =
        sandbox.run("run dir/nothing.yaml --env dir/nobody.yaml --set every=60ms --format json");
    let record = json_of(&ran);
    assert_eq!(record["scenario"]["settings"], json!(["every=60ms"]));
    let_it_pass(&sandbox, record["run_id"].as_str().unwrap(), |_| ());
    let cell = quarter(&sandbox)["coverage"][0].clone();
    assert_eq!(cell["status"], "never_tested");
    assert!(cell["because"].to_string().contains("every=60ms"), "{cell:#}");
    let table = sandbox.run("history").exits(0).stdout;
    assert!(table.contains("every=60ms"), "{table}");
}

#[test]
fn findings_are_kept_through_a_rebuild_and_closed_by_a_later_pass() {
    let sandbox = sandbox();
    let first = drill(&sandbox)["run_id"].as_str().unwrap().to_owned();
    let list = |arguments: &str| {
        json_of(&sandbox.run(&format!("finding list {arguments} --format json")).exits(0))
    };
    let open = list("");
    let id = open[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&open[0]["status"], &open[0]["runs"]), (&json!("open"), &json!([first])));
    let say = |arguments: &str, more: &[&str]| {
        let mut command = sandbox.command(arguments);
        Outcome::of(&command.args(more).output().unwrap())
    };
    say(&format!("finding assign {id}"), &["--to", "Ada Lovelace"]).exits(0);
    say(&format!("finding due {} --on 2020-01-01", &id[..5]), &[]).exits(0);
    say(&format!("finding note {id}"), &["looked\ninto \u{1b}[31mit"]).exits(0);
    say(&format!("finding cause {id}"), &["nobody listens"]).exits(0);
    say(&format!("finding ticket {id} OPS-1"), &[]).exits(0);
    let late = list("--overdue");
    assert_eq!((&late[0]["owner"], &late[0]["overdue"]), (&json!("Ada Lovelace"), &json!(true)));
    let past =
        say(&format!("finding accept {id} --by Ada --until 2020-01-01 --because x"), &[]).exits(2);
    assert!(past.stderr.contains("2020-01-01 is over"), "{past:#?}");
    say(
        &format!("finding accept {id} --by Ada --until 2999-12-31"),
        &["--because", "it is a test"],
    )
    .exits(0);
    // The index is made again, and all of it is still there.
    fs::remove_file(sandbox.state.join("history.db")).unwrap();
    sandbox.run("history rebuild").exits(0);
    let kept = list("");
    let kept =
        kept.as_array().unwrap().iter().find(|one| one["id"] == id.as_str()).unwrap().clone();
    assert_eq!(
        (&kept["status"], &kept["root_cause"]),
        (&json!("accepted"), &json!("nobody listens"))
    );
    assert_eq!(kept["accepted"]["by"], "Ada");
    let shown = sandbox.run(&format!("finding show {id}")).exits(0).stdout;
    assert!(shown.contains("OPS-1") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(quarter(&sandbox)["accepted_risks"][0]["finding"], id.as_str());
    say(&format!("finding withdraw {id}"), &["--because", "it hurts"]).exits(0);
    assert_eq!(
        json_of(&sandbox.run(&format!("finding show {id} --format json")).exits(0))["status"],
        "open"
    );
    // A later drill passes.
    let second = drill(&sandbox)["run_id"].as_str().unwrap().to_owned();
    let_it_pass(&sandbox, &second, |_| ());
    assert_eq!(list(""), json!([]));
    let closed = list("--all");
    assert!(
        closed.as_array().unwrap().iter().all(|one| one["closed"]["run_id"] == second.as_str()),
        "{closed:#}"
    );
    let refused =
        say(&format!("finding accept {id} --by Ada --until 2999-12-31 --because x"), &[]).exits(2);
    assert!(refused.stderr.contains(&second), "{refused:#?}");
    let unknown = sandbox.run("finding show F-nothere").exits(2).stderr;
    assert!(unknown.contains("there is no finding `F-nothere`; known"), "{unknown}");
}

#[test]
fn words_that_cannot_be_read_are_said_and_do_not_hide_the_others() {
    let sandbox = sandbox();
    drill(&sandbox);
    let id = json_of(&sandbox.run("finding list --format json").exits(0))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    sandbox.run(&format!("finding assign {id} --to Ada")).exits(0);
    let path: &Path = &sandbox.state.join("findings.jsonl");
    let words = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{words}{{\"torn\": ")).unwrap();
    sandbox.run(&format!("finding due {id} --on 2999-01-01")).exits(0);
    let listed = sandbox.run("finding list --format json").exits(0);
    assert!(listed.stderr.contains("findings.jsonl:2: "), "{listed:#?}");
    let one = &json_of(&listed)[0];
    assert_eq!((&one["owner"], &one["due"]), (&json!("Ada"), &json!("2999-01-01")));
    let gaps = quarter(&sandbox)["gaps"].to_string();
    assert!(gaps.contains("line 2 of findings.jsonl"), "{gaps}");
}
