//! drdrill notices the defects that it plants in itself.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_planted_defect_is_caught() {
    let mut drdrill = Command::new(env!("CARGO_BIN_EXE_drdrill"));
    let output = drdrill.args(["selftest", "--format", "json"]).output().unwrap();
    let defects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let slipped: Vec<_> = defects.iter().filter(|defect| defect["caught"] != true).collect();
    assert!(slipped.is_empty(), "{slipped:#?}");
    assert_eq!(output.status.code(), Some(0));
    let planted = |name: &str| {
        assert!(defects.iter().any(|one| one["defect"].as_str().unwrap().contains(name)), "{name}");
    };
    for name in [
        "does nothing",
        "undoes half",
        "wrong object",
        "a fault that does nothing",
        "loses",
        "phantom",
        "a read of a value of long before",
        "a read of what nobody wrote",
        "money vanishes",
        "a corrupt backup",
        "a backup of corrupt rows",
    ] {
        planted(name);
    }
}
