//! Puts a hostile string into every string field.

use drdrill_core::event::Entry;
use drdrill_core::record::{Leftover, Recommendation, Record, SplitBrain};
use serde_json::Value;

/// Every string of a record that is not a word of ours becomes `text`.
pub(crate) fn record(record: &mut Record, text: &str) {
    record.leftovers.push(Leftover {
        id: 1,
        kind: String::new(),
        target: String::new(),
        error: String::new(),
        residue: vec![String::new()],
        by_hand: String::new(),
    });
    record.split_brain.push(SplitBrain { from_ms: 1.0, to_ms: 2.0, detail: String::new() });
    record.recommendations.push(Recommendation {
        rule: String::new(),
        text: String::new(),
        evidence: vec![String::new()],
    });
    let json = serde_json::to_value(&*record).unwrap();
    *record = serde_json::from_value(poisoned(json, text)).unwrap();
}

/// The same for a history.
pub(crate) fn history(history: &mut [Entry], text: &str) {
    for entry in history.iter_mut().filter(|entry| !is_clean(entry)) {
        let json = serde_json::to_value(&*entry).unwrap();
        *entry = serde_json::from_value(poisoned(json, text)).unwrap();
    }
}

/// Most samples carry no string at all.
fn is_clean(entry: &Entry) -> bool {
    use drdrill_core::event::Event;
    matches!(&entry.event, Event::Sample(sample) if sample.outcome.is_ok())
}

/// Keys whose values are variants, digests and numbers with units: a foreign string cannot be there.
const OURS: &[&str] = &[
    "verdict",
    "outcome",
    "kind",
    "when",
    "connection",
    "severity",
    "purpose",
    "stage_started",
    "milestone",
    "from",
    "to",
    "cause",
    "belts",
    "targets",
    "measure",
    "present",
    "duplicate",
    "corrupt",
    "probes",
    "recovery",
    "soak",
    "failback",
    "at",
    "proves",
    "stop_when",
];

fn poisoned(value: Value, text: &str) -> Value {
    match value {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Array(values) => values.into_iter().map(|value| poisoned(value, text)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let ours = OURS.contains(&key.as_str()) && is_ours(&key, &value);
                let value = if ours { value } else { poisoned(value, text) };
                (key, value)
            })
            .collect(),
        other => other,
    }
}

/// `kind` is a word of ours for a drill, and a foreign string for a fault; `outcome` may carry a foreign message.
fn is_ours(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("kind", Value::String(word)) => ["simulated", "full", "tabletop"].contains(&word.as_str()),
        ("belts", Value::Array(belts)) => belts.is_empty() || belts.len() == 2,
        ("outcome", Value::Object(_)) => false,
        // That of a record names services and streams; that of a scenario holds shares and times.
        ("failback", Value::Object(fields)) => !fields.contains_key("services"),
        _ => true,
    }
}
