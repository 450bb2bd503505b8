//! The history of runs: found again by filters, compared, taken in from other machines; its index is a cache.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::thread;

use serde_json::{Value, json};
use support::sandbox::{Outcome, Sandbox};

/// Nothing listens there: a drill on it comes to its end at once, and does not pass.
const NOBODY: &str = "\
environment: nobody
provider:
  host:
    probes: [{ name: web, service: web, attempt: { tcp: { address: \"127.0.0.1:1\" } } }]
services: [{ name: web, tier: 1 }]
";

/// Runs a drill that fails; returns its record.
fn drill(sandbox: &Sandbox) -> Value {
    fs::write(sandbox.path("nobody.yaml"), NOBODY).unwrap();
    let ran = sandbox.run("run no_op --env nobody.yaml --set soak=0s --format json");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

/// A real record, from which others are made.
static RECORD: LazyLock<Value> = LazyLock::new(|| drill(&Sandbox::new()));

/// Plants a run directory with a record like a real one, but for some changes.
fn plant(runs: &Path, id: &str, changes: &[(&str, Value)]) -> PathBuf {
    let mut record = RECORD.clone();
    record["run_id"] = json!(id);
    for (pointer, value) in changes {
        *record.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
    }
    let dir = runs.join(id);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("record.json"), serde_json::to_string_pretty(&record).unwrap()).unwrap();
    fs::write(dir.join("events.jsonl"), "").unwrap();
    dir
}

/// Ids of the runs that a command lists.
fn listed(sandbox: &Sandbox, arguments: &str) -> Vec<String> {
    let rows = json_of(&sandbox.run(&format!("{arguments} --format json")).exits(0));
    let ids = rows.as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap().to_owned());
    ids.collect()
}

#[track_caller]
fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

fn three(sandbox: &Sandbox) {
    let runs = sandbox.state.join("runs");
    let at = |time: &str| ("/started_at", json!(time));
    plant(
        &runs,
        "20260801-120000-aaaaaaaa",
        &[at("2026-08-01T12:00:00.000Z"), ("/verdict", json!("pass"))],
    );
    plant(
        &runs,
        "20261101-120000-bbbbbbbb",
        &[at("2026-11-01T12:00:00.000Z"), ("/scenario/name", json!("az_failure"))],
    );
    plant(
        &runs,
        "20261102-120000-cccccccc",
        &[
            at("2026-11-02T12:00:00.000Z"),
            ("/environment/name", json!("shop")),
            ("/environment/emulated", json!(true)),
        ],
    );
    // It never came to a record.
    let cut = runs.join("20261103-120000-dddddddd");
    fs::create_dir_all(&cut).unwrap();
    fs::write(cut.join("events.jsonl"), "").unwrap();
    // An environment that was up, and no drill.
    fs::create_dir_all(runs.join("20261104-120000-eeeeeeee")).unwrap();
}

#[test]
fn a_drill_is_in_the_index_when_it_is_over_and_its_result_is_the_same_without_one() {
    let sandbox = Sandbox::new();
    let record = drill(&sandbox);
    assert!(sandbox.state.join("history.db").exists());
    // No `history` was asked for meanwhile: the run itself is in it.
    let index = rusqlite::Connection::open(sandbox.state.join("history.db")).unwrap();
    let (id, scenario, verdict): (String, String, String) = index
        .query_row("SELECT run_id, scenario, verdict FROM runs", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((id.as_str(), scenario.as_str()), (record["run_id"].as_str().unwrap(), "no_op"));
    assert_eq!(verdict, record["verdict"]);
    // A directory where the index should be: the drill comes to the same, and says so.
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.state.join("history.db")).unwrap();
    fs::set_permissions(&sandbox.state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    fs::write(sandbox.path("nobody.yaml"), NOBODY).unwrap();
    let ran = sandbox.run("run no_op --env nobody.yaml --set soak=0s --format json");
    assert_eq!(ran.code, record["exit_code"].as_i64().map(|code| i32::try_from(code).unwrap()));
    assert!(ran.stderr.contains("the index of the runs cannot be written"), "{ran:#?}");
    let id = json_of(&ran)["run_id"].as_str().unwrap().to_owned();
    assert_eq!(listed(&sandbox, "history"), [id]);
}

#[test]
fn filters_leave_what_they_ask_for() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let [a, b, c, d] = [
        "20260801-120000-aaaaaaaa",
        "20261101-120000-bbbbbbbb",
        "20261102-120000-cccccccc",
        "20261103-120000-dddddddd",
    ];
    for (filter, expected) in [
        ("", vec![a, b, c, d]),
        ("--scenario az_failure", vec![b]),
        ("--scenario no_op --scenario az_failure", vec![a, b, c]),
        ("--env shop", vec![c]),
        ("--verdict pass", vec![a]),
        ("--verdict cut_off", vec![d]),
        ("--verdict pass --verdict cut_off", vec![a, d]),
        ("--since 2026-11-01", vec![b, c]),
        ("--until 2026-11-01", vec![a, b]),
        ("--since 2026-11-02T12:00:01Z", vec![]),
        ("--newest 2", vec![c, d]),
        ("--newest 1 --verdict pass", vec![a]),
    ] {
        assert_eq!(listed(&sandbox, &format!("history {filter}")), expected, "{filter}");
    }
    let table = sandbox.run("history").exits(0).stdout;
    assert!(table.contains("emulated") && table.contains("cut off"), "{table}");
    assert_eq!(
        sandbox.run("history --scenario no_op --env shop --verdict pass").exits(0).stdout,
        "no run is like that\n"
    );
    for (arguments, said) in [
        (
            "history --scenario az_falure",
            "the scenario `az_falure`; known, the nearest first: az_failure",
        ),
        ("history --env shpo", "known, the nearest first: shop"),
        ("history --since yesterday", "write a day (2026-11-01)"),
        ("history --verdict passed", "pass, unknown, fail, cut_off, running"),
    ] {
        let refused = sandbox.run(arguments).exits(2);
        assert!(refused.stderr.contains(said), "{refused:#?}");
    }
}

#[test]
fn an_index_that_is_gone_damaged_or_old_is_made_again_from_the_runs() {
    type Spoil = fn(&Path);
    let sandbox = Sandbox::new();
    three(&sandbox);
    let all = listed(&sandbox, "history");
    let index = sandbox.state.join("history.db");
    let before = digest_of(&sandbox.state.join("runs"));
    let spoil: [(Spoil, Option<&str>); 5] = [
        (|index| fs::remove_file(index).unwrap(), None),
        (
            |index| fs::write(index, "no database at all, and long enough to be seen").unwrap(),
            Some("made again"),
        ),
        (
            |index| {
                rusqlite::Connection::open(index)
                    .unwrap()
                    .pragma_update(None, "user_version", 0)
                    .unwrap();
            },
            Some("its schema is 0"),
        ),
        (
            |index| {
                rusqlite::Connection::open(index)
                    .unwrap()
                    .execute_batch("DROP TABLE services")
                    .unwrap();
                // It is found out when something is entered.
                rusqlite::Connection::open(index)
                    .unwrap()
                    .execute_batch("DELETE FROM runs")
                    .unwrap();
            },
            Some("made again"),
        ),
        (
            |index| {
                rusqlite::Connection::open(index)
                    .unwrap()
                    .execute_batch("UPDATE runs SET row = '[]'")
                    .unwrap();
            },
            None,
        ),
    ];
    for (number, (spoil, said)) in spoil.into_iter().enumerate() {
        spoil(&index);
        if number == 4 {
            // What only a query finds out is an error that says what to do.
            let refused = sandbox.run("history").exits(13);
            assert!(refused.stderr.contains("drdrill history rebuild"), "{refused:#?}");
            sandbox.run("history rebuild").exits(0);
        }
        let outcome = sandbox.run("history --format json").exits(0);
        match said {
            Some(said) => assert!(outcome.stderr.contains(said), "{number}: {outcome:#?}"),
            None => assert_eq!(outcome.stderr, "", "{number}"),
        }
        assert_eq!(listed(&sandbox, "history"), all, "{number}");
    }
    let rebuilt = json_of(&sandbox.run("history rebuild --format json").exits(0));
    assert_eq!((rebuilt["runs"].as_u64(), rebuilt["without_record"].as_u64()), (Some(3), Some(1)));
    // A run that was removed is gone, and one that came by itself is there.
    fs::remove_dir_all(sandbox.state.join("runs/20261101-120000-bbbbbbbb")).unwrap();
    plant(&sandbox.state.join("runs"), "20261105-120000-ffffffff", &[]);
    let now = listed(&sandbox, "history");
    assert!(
        !now.contains(&all[1]) && now.contains(&"20261105-120000-ffffffff".to_owned()),
        "{now:?}"
    );
    fs::remove_dir_all(sandbox.state.join("runs/20261105-120000-ffffffff")).unwrap();
    plant(
        &sandbox.state.join("runs"),
        &all[1],
        &[
            ("/started_at", json!("2026-11-01T12:00:00.000Z")),
            ("/scenario/name", json!("az_failure")),
        ],
    );
    // The evidence was never touched.
    assert_eq!(digest_of(&sandbox.state.join("runs")), before);
}

/// Names, contents and times of change of all files below a directory.
fn digest_of(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let runs = sandbox.state.join("runs");
    fs::write(runs.join("20261101-120000-bbbbbbbb/record.json"), "{").unwrap();
    // One that was copied under another name is not that run.
    plant(&runs, "20261106-120000-99999999", &[]);
    fs::rename(runs.join("20261106-120000-99999999"), runs.join("20261107-120000-88888888"))
        .unwrap();
    let table = sandbox.run("history").exits(0).stdout;
    assert_eq!(table.matches("unreadable").count(), 2, "{table}");
    let rebuilt = sandbox.run("history rebuild").exits(11).stdout;
    assert!(
        rebuilt.contains("2 runs are in") && rebuilt.contains("is of run 20261106"),
        "{rebuilt}"
    );
}

#[test]
fn a_state_directory_that_cannot_be_written_to_can_be_looked_at() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let all = listed(&sandbox, "history");
    // Root may write anywhere, so the index is in the way itself.
    fs::remove_file(sandbox.state.join("history.db")).unwrap();
    fs::create_dir(sandbox.state.join("history.db")).unwrap();
    assert_eq!(listed(&sandbox, "history"), all);
}

#[test]
fn two_runs_are_compared() {
    let sandbox = Sandbox::new();
    three(&sandbox);
    let diff = json_of(&sandbox.run("history diff 20260801 20261101 --format json").exits(0));
    assert_eq!(diff["comparable"], false);
    let of = |what: &str| {
        let changes = diff["changes"].as_array().unwrap().iter();
        changes.filter(|change| change["of"] == what).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("scenario")[0]["after"], "az_failure");
    let table = sandbox.run("history diff 20260801 20261101").exits(0).stdout;
    assert!(table.contains("not the same drill") && table.contains("az_failure"), "{table}");
    let same = sandbox.run("history diff 20260801 20260801").exits(0).stdout;
    assert!(same.contains("nothing changed"), "{same}");
    let none = sandbox.run("history diff 2099 20260801").exits(2).stderr;
    assert!(none.contains("there is no run `2099`"), "{none}");
}

#[test]
fn runs_of_other_machines_are_taken_in_and_marked() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    let record = drill(&there);
    let id = record["run_id"].as_str().unwrap();
    let other = plant(&there.path("artefact"), "20261101-120000-bbbbbbbb", &[]);
    let said = here.run(&format!(
        "history import {} {}",
        there.state.display(),
        other.join("record.json").display()
    ));
    let said = said.exits(0).stdout;
    assert!(
        said.contains(&format!("run {id} imported; evidence: signed by an unknown key")),
        "{said}"
    );
    assert!(
        said.contains("run 20261101-120000-bbbbbbbb imported; evidence: record alone"),
        "{said}"
    );
    let rows = json_of(&here.run("history --format json").exits(0));
    for row in rows.as_array().unwrap() {
        assert_eq!(row["details"]["imported"], true, "{row}");
    }
    assert_eq!(rows.as_array().unwrap().len(), 2);
    // It is a run like any other: shown, compared, and verified by the key of the other machine.
    assert_eq!(json_of(&here.run(&format!("show {id} --format json")).exits(0)), record);
    let key = there.state.join("signing_key.pub");
    here.run(&format!("verify {id} --trust {}", key.display())).exits(0);
    let again = here.run(&format!("history import {}", there.state.display())).exits(0).stdout;
    assert!(again.contains("was there already"), "{again}");
    let trusted = Sandbox::new();
    let said =
        trusted.run(&format!("history import {} --trust {}", there.state.display(), key.display()));
    assert!(said.exits(0).stdout.contains("signed by a known key"));
    // All of it is found again without an index.
    fs::remove_file(here.state.join("history.db")).unwrap();
    assert_eq!(json_of(&here.run("history --format json").exits(0)), rows);
}

#[test]
fn what_is_there_is_never_replaced_and_what_is_damaged_is_not_taken_in() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    three(&here);
    let id = "20261101-120000-bbbbbbbb";
    let own = fs::read(here.state.join("runs").join(id).join("record.json")).unwrap();
    let other = plant(&there.path("artefact"), id, &[("/seed", json!(1))]);
    let refused = here.run(&format!("history import {}", other.display())).exits(16).stderr;
    assert!(refused.contains("another run of the same id"), "{refused}");
    assert_eq!(fs::read(here.state.join("runs").join(id).join("record.json")).unwrap(), own);
    // The same is refused when the one that is there was imported itself.
    let first = plant(&there.path("first"), "20261201-120000-aaaaaaaa", &[]);
    here.run(&format!("history import {}", first.display())).exits(0);
    let second = plant(&there.path("second"), "20261201-120000-aaaaaaaa", &[("/seed", json!(2))]);
    here.run(&format!("history import {}", second.display())).exits(16);
    // Changed after it was signed.
    let record = drill(&there);
    let run = there.state.join("runs").join(record["run_id"].as_str().unwrap());
    let text = fs::read_to_string(run.join("record.json")).unwrap();
    fs::write(run.join("record.json"), text.replacen("\"seed\": ", "\"seed\": 1", 1)).unwrap();
    let refused = here.run(&format!("history import {}", run.display())).exits(16).stderr;
    assert!(refused.contains("evidence is damaged"), "{refused}");
    let before = listed(&here, "history").len();
    for (name, text) in [
        ("id.json", json!({ "run_id": "../../escaped" })),
        ("schema.json", json!({ "schema": "drdrill/record/v9" })),
        ("time.json", json!({ "started_at": "yesterday" })),
    ] {
        let mut record = RECORD.clone();
        for (key, value) in text.as_object().unwrap() {
            record[key] = value.clone();
        }
        fs::write(here.path(name), record.to_string()).unwrap();
        here.run(&format!("history import {name}")).exits(16);
    }
    fs::write(here.path("no.json"), "{}").unwrap();
    here.run("history import no.json").exits(16);
    let nothing = here.run("history import missing").exits(2).stderr;
    assert!(nothing.contains("missing"), "{nothing}");
    fs::create_dir(here.path("empty")).unwrap();
    assert!(here.run("history import empty").exits(2).stderr.contains("no record.json"));
    assert_eq!(listed(&here, "history").len(), before);
    assert!(!here.state.parent().unwrap().join("escaped").exists());
}

#[test]
fn drills_that_end_at_once_are_all_entered() {
    let sandbox = Sandbox::new();
    for number in 0..6 {
        let text = NOBODY.replace("environment: nobody", &format!("environment: nobody{number}"));
        fs::write(sandbox.path(&format!("nobody{number}.yaml")), text).unwrap();
    }
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let run = |number: usize| {
            let arguments = format!("run no_op --env nobody{number}.yaml --set soak=0s");
            let mut command = sandbox.command(&arguments);
            scope.spawn(move || Outcome::of(&command.stdin(Stdio::null()).output().unwrap()))
        };
        let started: Vec<_> = (0..6).map(run).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for outcome in outcomes {
        assert!(!outcome.stderr.contains("index"), "{outcome:#?}");
    }
    let index = rusqlite::Connection::open(sandbox.state.join("history.db")).unwrap();
    let count: u32 = index.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 6);
}
