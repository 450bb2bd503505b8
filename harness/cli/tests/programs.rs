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

/// Puts a run that passed in the place of one that failed, as one of a service that works would: a record alone, as from
/// another machine.
fn let_it_pass(sandbox: &Sandbox, id: &str, change: impl Fn(&mut Value)) {
    let directory = sandbox.state.join("runs").join(id);
    let text = fs::read_to_string(directory.join("record.json")).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["verdict"] = json!("pass");
    record["exit_code"] = json!(0);
    record["findings"] = json!([]);
    change(&mut record);
    fs::remove_dir_all(directory).unwrap();
    fs::write(sandbox.path("passed.json"), record.to_string()).unwrap();
    sandbox.run("history import passed.json").exits(0);
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

/// What the index says of all runs.
fn change_index(sandbox: &Sandbox, from: &str, to: &str) {
    let index = rusqlite::Connection::open(sandbox.state.join("history.db")).unwrap();
    let changed = index
        .execute("UPDATE runs SET row = replace(row, ?1, ?2), verdict = 'pass'", [from, to])
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn what_a_record_says_counts_and_not_what_the_index_says_of_it() {
    let sandbox = sandbox();
    drill(&sandbox);
    change_index(&sandbox, "\"verdict\":\"fail\"", "\"verdict\":\"pass\"");
    let told = sandbox.run("history quarter --program dir/program.yaml --format json").exits(10);
    assert!(told.stderr.contains("the index said something else"), "{told:#?}");
    let told = json_of(&told);
    assert_eq!(
        (&told["drills"][0]["verdict"], &told["coverage"][0]["status"]),
        (&json!("fail"), &json!("failed"))
    );
    assert_eq!(told["gaps"], json!([]));
    // It is a cache, and says the same again from now on.
    let again = sandbox.run("history quarter --program dir/program.yaml --format json").exits(10);
    assert_eq!(again.stderr, "");
}

#[test]
fn a_run_that_lies_in_the_place_of_another_counts_for_neither() {
    let sandbox = sandbox();
    let [first, second] = [(); 2].map(|()| drill(&sandbox)["run_id"].as_str().unwrap().to_owned());
    let runs = sandbox.state.join("runs");
    fs::remove_dir_all(runs.join(&second)).unwrap();
    let copied = sandbox
        .program(Path::new("cp"))
        .arg("-r")
        .args([runs.join(&first), runs.join(&second)])
        .status();
    assert!(copied.unwrap().success());
    let told = quarter(&sandbox);
    assert_eq!((&told["drills"][0]["run_id"], &told["drills"][1]), (&json!(first), &Value::Null));
    let gaps = told["gaps"].to_string();
    assert!(
        gaps.contains(&format!("run {second} is damaged: its record is of run {first}")),
        "{gaps}"
    );
    assert_eq!((&told["facts"]["damaged"], &told["facts"]["cut_off"]), (&json!(1), &json!(0)));
    sandbox.run(&format!("verify {first}")).exits(0);
    let other = sandbox.run(&format!("verify {second}")).exits(10).stdout;
    assert!(other.contains(&format!("it is run {first} under another name")), "{other}");
    // As a directory somewhere it is what it is.
    sandbox.run(&format!("verify {}", runs.join(&second).display())).exits(0);
}

#[test]
fn a_seal_that_was_taken_away_is_damage_and_no_lack_of_one() {
    let (there, here) = (sandbox(), sandbox());
    let own = drill(&here)["run_id"].as_str().unwrap().to_owned();
    let id = drill(&there)["run_id"].as_str().unwrap().to_owned();
    let said = here.run(&format!("history import {}", there.state.display())).exits(0).stdout;
    assert!(said.contains("signed by an unknown key (SHA256:"), "{said}");
    let whole = quarter(&here);
    let worth = |whole: &Value, id: &str| {
        let drills = whole["drills"].as_array().unwrap();
        drills.iter().find(|one| one["run_id"] == id).map(|one| one["evidence"].clone())
    };
    assert_eq!(worth(&whole, &own), Some(json!("proven")));
    assert_eq!(worth(&whole, &id), Some(json!("signed_by_stranger")));
    here.run("bundle --program dir/program.yaml --output b.tar.gz").exits(0);
    let imported = here.state.join("imported");
    let spoils: [(&Path, &str, &str, &str); 5] = [
        (&here.state.join("runs").join(&own), "MANIFEST.sig", &own, "its signature is gone"),
        (&here.state.join("runs").join(&own), "MANIFEST", &own, "it has no seal"),
        (&imported.join(&id), "MANIFEST.sig", &id, "was signed when it was taken in"),
        (&imported.join(&id), "MANIFEST", &id, "had a seal when it was taken in"),
        (&imported, &format!("{id}.json"), &id, "the note where it came from"),
    ];
    for (directory, file, run, why) in spoils {
        let kept = fs::read(directory.join(file)).unwrap();
        fs::remove_file(directory.join(file)).unwrap();
        let told = quarter(&here);
        assert_eq!(worth(&told, run), None, "{why}");
        assert!(told["gaps"].to_string().contains(why), "{why}: {}", told["gaps"]);
        let refused =
            here.run("bundle --program dir/program.yaml --output c.tar.gz").exits(10).stderr;
        assert!(refused.contains(why), "{refused}");
        here.run(&format!("verify {run}")).exits(10);
        fs::write(directory.join(file), kept).unwrap();
    }
    assert_eq!(quarter(&here), whole);
    // A record alone is what was taken in, or nothing.
    fs::remove_dir_all(imported.join(&id)).unwrap();
    let alone = there.state.join("runs").join(&id).join("record.json");
    fs::copy(alone, here.path("alone.json")).unwrap();
    here.run("history import alone.json").exits(0);
    assert_eq!(worth(&quarter(&here), &id), Some(json!("record_alone")));
    let record = imported.join(&id).join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, format!("{text} ")).unwrap();
    assert!(quarter(&here)["gaps"].to_string().contains("is not the one that was taken in"));
}

#[test]
fn a_run_whose_evidence_was_destroyed_is_missed() {
    let sandbox = sandbox();
    let id = drill(&sandbox)["run_id"].as_str().unwrap().to_owned();
    let_it_pass(&sandbox, &id, |_| ());
    assert_eq!(quarter(&sandbox)["facts"]["unreadable"], 0);
    // A later one, of which only the list of digests is left.
    let gone = drill(&sandbox)["run_id"].as_str().unwrap().to_owned();
    let directory = sandbox.state.join("runs").join(&gone);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("MANIFEST") {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
    sandbox.run("history rebuild").exits(11);
    let told = quarter(&sandbox);
    assert_eq!((&told["facts"]["unreadable"], &told["facts"]["damaged"]), (&json!(1), &json!(1)));
    assert_eq!(told["standing"]["verdict"], "inconclusive");
    assert!(told["gaps"].to_string().contains(&gone), "{}", told["gaps"]);
}

#[test]
fn a_drill_that_was_refused_is_no_run_of_which_nothing_is_known() {
    let sandbox = sandbox();
    sandbox.run("run dir/nothing.yaml --env dir/missing.yaml").exits(14);
    fs::write(sandbox.path("dir/pinned.yaml"), format!("{NOBODY}production: true\n")).unwrap();
    let refused = sandbox.run("run dir/nothing.yaml --env dir/pinned.yaml");
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert_eq!(quarter(&sandbox)["facts"]["unreadable"], 0);
}
