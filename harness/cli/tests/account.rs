//! `drdrill account`: lists of ids, and what became of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::fs;

use serde_json::{Value, json};
use support::sandbox::{Outcome, Sandbox};

fn account(written: &str, found: &[&str], more: &str) -> Outcome {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("written"), written).unwrap();
    let mut arguments = vec!["account written".to_owned()];
    for (number, list) in (0..).zip(found) {
        let name = format!("found{number}");
        fs::write(sandbox.path(&name), list).unwrap();
        arguments.push(name);
    }
    arguments.push(more.to_owned());
    sandbox.run(&arguments.join(" "))
}

#[test]
fn what_is_all_there_passes() {
    let outcome = account("1 ok\n2 unknown\n3 ok\n", &["3\n1\n"], "").exits(0);
    assert_eq!(outcome.stdout, "pass: 2 acknowledged; of unknown outcome: 0 present, 1 absent\n");
}

#[test]
fn each_kind_of_wrong_write_is_named() {
    let written = "1 ok\n2 ok\n3 ok\n4 failed\n5 ok\n6 ok\n";
    let found = ["1\n2\n2\n4\n5 corrupt\n9\n", "1\n2\n3\n5\n"];
    let outcome = account(written, &found, "").exits(10);
    assert_eq!(
        outcome.stdout,
        "fail: 5 acknowledged; of unknown outcome: 0 present, 0 absent\n\
         lost: 1 (6)\n\
         duplicate: 1 (2)\n\
         phantom, refused: 1 (4)\n\
         phantom, unsent: 1 (9)\n\
         corrupt: 1 (5)\n\
         resurrected: 1 (3)\n"
    );
    let outcome = account(written, &found, "--format json").exits(10);
    let value: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(value["verdict"], "fail");
    assert_eq!(value["resurrected"], json!({ "count": 1, "first": [3] }));
}

#[test]
fn nothing_acknowledged_is_unknown() {
    account("1 unknown\n", &[""], "").exits(11);
}

#[test]
fn a_wrong_line_is_named_with_its_file() {
    let outcome = account("1 ok\n2 okay\n", &["1\n"], "").exits(2);
    assert_eq!(
        outcome.stderr,
        "drdrill: written: line 2: `2 okay` is not an id in digits, a space, and `ok`, `failed` or `unknown`\n"
    );
    let outcome = account("1 ok\n", &["1\n", "x\n"], "").exits(2);
    assert!(outcome.stderr.starts_with("drdrill: found1: line 1: `x` is not"), "{outcome:?}");
    account("1 ok\n", &[], "").exits(2);
}
