//! Writes of a drill, counted without drdrill's help.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::sandbox::Sandbox;
use super::world::runs;

/// The history of the only run.
pub(crate) fn events(sandbox: &Sandbox) -> Vec<Value> {
    let runs = runs(&sandbox.state);
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = sandbox.state.join("runs").join(runs.first().unwrap());
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The attempts of its writes that were acknowledged.
pub(crate) fn writes(events: &[Value]) -> impl Iterator<Item = &Value> {
    let streams = events[0]["event"]["drill_started"]["streams"].as_array().unwrap();
    let write = streams.iter().find(|stream| stream["purpose"] == "write").unwrap();
    let samples = events.iter().map(|line| &line["event"]["sample"]);
    samples.filter(|sample| sample["stream"] == write["id"] && sample["outcome"] == "ok")
}

/// Sequences of the writes that the history of the only run says were acknowledged.
pub(crate) fn acknowledged(sandbox: &Sandbox) -> BTreeSet<u64> {
    writes(&events(sandbox)).map(|sample| sample["sequence"].as_u64().unwrap()).collect()
}
