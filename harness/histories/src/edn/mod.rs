//! Histories in EDN as Jepsen writes them, so that Jepsen's checkers, Knossos and Elle can judge them too.
//!
//! One map a line: `{:index 0, :time 12, :type :invoke, :process 3, :f :add, :value 7}` when an operation was sent,
//! and the same with `:ok`, `:fail` (it certainly did not happen) or `:info` (it cannot be told) when its outcome was
//! known. Times are nanoseconds since the drill began. Whoever reads it takes the order of the lines for the order of
//! time; where instants are equal, what was sent stands first, so that the file claims no order that nobody saw.
//!
//! Source: jepsen.history, the README of Elle, and jepsen.checker for the sets.

mod drill;
mod value;

use std::collections::BTreeMap;
use std::io::{self, Write};

use drdrill_core::time::At;

use crate::bank::{Snapshot, Transfer};
use crate::operation::{Access, Operation, Outcome};
pub use drill::{NoSingleWriter, Workloads, drill, workloads};
pub use value::Value;

/// One operation: two lines of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// The client. In the file its operations get other processes where it did two things at once, and after one of
    /// unknown outcome: Jepsen's processes do one thing after the other and end with the first `:info`.
    pub client: u32,
    /// What was done, the `:f`.
    pub f: &'static str,
    /// The `:value` when it was sent.
    pub asked: Value,
    /// The `:value` when it ended.
    pub answered: Value,
    /// What else the line of its end carries.
    pub more: Vec<(&'static str, Value)>,
    /// When it was sent.
    pub sent: At,
    /// When its outcome was known, or the client gave up.
    pub done: At,
    /// What came of it.
    pub outcome: Outcome,
}

/// Something that was done to the system rather than by a client: one line, of process `:nemesis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Nemesis {
    /// When.
    pub at: At,
    /// What, the `:f`.
    pub f: &'static str,
    /// The `:value`.
    pub value: Value,
}

/// A line before it has its number. Its place is its time, then what was sent before what ended, then where it stood.
struct Line<'a> {
    place: (At, u8, usize),
    kind: &'static str,
    process: Option<u32>,
    f: &'static str,
    value: &'a Value,
    more: &'a [(&'static str, Value)],
}

/// Writes a history.
///
/// # Errors
/// When it cannot be written.
pub fn write(mut out: impl Write, operations: &[Op], nemesis: &[Nemesis]) -> io::Result<()> {
    let mut lines = Vec::with_capacity(operations.len() * 2 + nemesis.len());
    for (number, (op, process)) in operations.iter().zip(processes(operations)).enumerate() {
        let kind = match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "fail",
            Outcome::Indeterminate => "info",
        };
        let line = |at, rank, kind, value, more| Line {
            place: (at, rank, number),
            kind,
            process: Some(process),
            f: op.f,
            value,
            more,
        };
        lines.push(line(op.sent, 0, "invoke", &op.asked, &[]));
        lines.push(line(op.done.max(op.sent), 2, kind, &op.answered, op.more.as_slice()));
    }
    lines.extend(nemesis.iter().enumerate().map(|(number, one)| Line {
        place: (one.at, 1, number),
        kind: "info",
        process: None,
        f: one.f,
        value: &one.value,
        more: &[],
    }));
    lines.sort_by_key(|line| line.place);
    for (index, line) in lines.iter().enumerate() {
        let Line { place: (at, ..), kind, f, value, .. } = line;
        write!(out, "{{:index {index}, :time {}, :type :{kind}, ", at.0)?;
        match line.process {
            Some(process) => write!(out, ":process {process}, ")?,
            None => out.write_all(b":process :nemesis, ")?,
        }
        write!(out, ":f :{f}, :value {value}")?;
        for (key, value) in line.more {
            write!(out, ", :{key} {value}")?;
        }
        out.write_all(b"}\n")?;
    }
    out.flush()
}

/// A process for each operation: its client's own while that is free, else a new one.
fn processes(operations: &[Op]) -> Vec<u32> {
    let mut order: Vec<(usize, &Op)> = operations.iter().enumerate().collect();
    order.sort_by_key(|(number, op)| (op.sent, op.done, *number));
    let mut unused = operations.iter().map(|op| op.client).max().map_or(0, |last| last + 1);
    // Of each client the processes that are not at an end, and until when they were last busy.
    let mut lanes: BTreeMap<u32, Vec<(u32, At)>> = BTreeMap::new();
    let mut chosen = vec![0; operations.len()];
    for (number, op) in order {
        let is_new = !lanes.contains_key(&op.client);
        let own = lanes.entry(op.client).or_default();
        let process = match own.iter().position(|(_, until)| *until < op.sent) {
            Some(free) => own.swap_remove(free).0,
            None if is_new => op.client,
            None => {
                unused += 1;
                unused - 1
            }
        };
        if op.outcome != Outcome::Indeterminate {
            own.push((process, op.done.max(op.sent)));
        }
        if let Some(slot) = chosen.get_mut(number) {
            *slot = process;
        }
    }
    chosen
}

/// Operations on registers as transactions of one read or write each, for Elle's `rw-register`.
#[must_use]
pub fn transactions(history: &[Operation]) -> Vec<Op> {
    let of = |kind, key: u32, value: Option<u64>| {
        let value = value.map_or(Value::Nil, Value::from);
        Value::Vector(vec![Value::Vector(vec![Value::Keyword(kind), key.into(), value])])
    };
    let op = |one: &Operation| {
        let (asked, answered) = match one.access {
            Access::Write(value) => (of("w", one.key, Some(value)), of("w", one.key, Some(value))),
            Access::Read(value) => {
                (of("r", one.key, None), of("r", one.key, value.filter(|_| one.is_ok())))
            }
        };
        client_op(one, "txn", asked, answered)
    };
    history.iter().map(op).collect()
}

/// Operations on one register as reads and writes, for Knossos' `register`. Those on other keys are left out.
#[must_use]
pub fn register(history: &[Operation], key: u32) -> Vec<Op> {
    let op = |one: &Operation| match one.access {
        Access::Write(value) => client_op(one, "write", value.into(), value.into()),
        Access::Read(value) => {
            let seen = value.filter(|_| one.is_ok()).map_or(Value::Nil, Value::from);
            client_op(one, "read", Value::Nil, seen)
        }
    };
    history.iter().filter(|one| one.key == key).map(op).collect()
}

fn client_op(one: &Operation, f: &'static str, asked: Value, answered: Value) -> Op {
    let Operation { process, sent, done, outcome, .. } = *one;
    Op { client: process, f, asked, answered, more: Vec::new(), sent, done, outcome }
}

/// Transfers and snapshots, for Jepsen's `bank`.
#[must_use]
pub fn bank(transfers: &[Transfer], snapshots: &[Snapshot]) -> Vec<Op> {
    let transfer = |one: &Transfer| {
        let value = Value::Map(vec![
            (Value::Keyword("from"), one.from.into()),
            (Value::Keyword("to"), one.to.into()),
            (Value::Keyword("amount"), one.amount.into()),
        ]);
        let Transfer { process, sent, done, outcome, .. } = *one;
        let (asked, answered) = (value.clone(), value);
        Op {
            client: process,
            f: "transfer",
            asked,
            answered,
            more: Vec::new(),
            sent,
            done,
            outcome,
        }
    };
    let snapshot = |one: &Snapshot| {
        let balances = one.balances.iter();
        let balances = balances.map(|(account, balance)| ((*account).into(), (*balance).into()));
        Op {
            client: one.process,
            f: "read",
            asked: Value::Nil,
            answered: Value::Map(balances.collect()),
            more: Vec::new(),
            sent: one.sent,
            done: one.done,
            outcome: Outcome::Ok,
        }
    };
    transfers.iter().map(transfer).chain(snapshots.iter().map(snapshot)).collect()
}
