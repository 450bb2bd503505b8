//! The history of a drill as a set: each write adds its number, each read-back reads them all.

use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{Entry, Event, StreamFacts};
use drdrill_core::probe::Purpose;
use drdrill_core::ranges::Ranges;
use drdrill_core::sample::Sample;

use super::{Nemesis, Op, Value, bank, transactions};
use crate::operation::{Operation, Outcome};
use crate::workload;

/// A history without one stream of writes: the numbers of several would be mixed up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the history has {0} streams of writes: only one can be exported")]
pub struct NoSingleWriter(usize);

/// The writes of a drill as `:add`, the read-backs from the side that decides as `:read`, for Jepsen's `set` and
/// `set-full`; its faults as the nemesis.
///
/// A number that was found twice stands twice in the value of the read. What was found damaged is also in its
/// `:corrupt`; what was found under names that are no numbers of this drill is in `:strays` alone.
///
/// # Errors
/// When the drill had no stream of writes, or several.
pub fn drill(history: &[Entry]) -> Result<(Vec<Op>, Vec<Nemesis>), NoSingleWriter> {
    let streams = history.iter().flat_map(|entry| match &entry.event {
        Event::DrillStarted(start) => start.streams.as_slice(),
        _ => &[],
    });
    let writers: Vec<&StreamFacts> =
        streams.filter(|stream| stream.purpose == Purpose::Write).collect();
    let [writer] = writers.as_slice() else { return Err(NoSingleWriter(writers.len())) };
    let mut operations = Vec::new();
    let mut nemesis = Vec::new();
    for entry in history {
        match &entry.event {
            Event::Sample(sample) if sample.stream == writer.id => operations.push(add(sample)),
            Event::WritesFound { site, service, started, authoritative: true, found, .. }
                if *service == writer.service =>
            {
                operations.push(Op {
                    client: 1,
                    f: "read",
                    asked: Value::Nil,
                    answered: numbers(found),
                    more: more(site, found),
                    sent: *started,
                    done: entry.at,
                    outcome: Outcome::Ok,
                });
            }
            Event::FaultApplying { id, from } => nemesis.push(fault("inject", *id, *from)),
            Event::FaultInEffect { id, at, .. } => nemesis.push(fault("in-effect", *id, *at)),
            Event::FaultReverted { id, at, .. } => nemesis.push(fault("reverted", *id, *at)),
            _ => {}
        }
    }
    Ok((operations, nemesis))
}

/// What the workloads of a drill did: each is a history of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workloads {
    /// Registers, as transactions of one read or write each, for Elle's `rw-register`.
    pub registers: Vec<Op>,
    /// Transfers and snapshots of all balances, for Jepsen's `bank`.
    pub bank: Vec<Op>,
}

/// The operations of a drill's workloads. Its faults are the nemesis that [`drill`] returns.
#[must_use]
pub fn workloads(history: &[Entry]) -> Workloads {
    let samples = || {
        history.iter().filter_map(|entry| match &entry.event {
            Event::Sample(sample) => Some(sample),
            _ => None,
        })
    };
    let registers: Vec<Operation> =
        samples().filter_map(workload::register).map(|answer| answer.operation).collect();
    let transfers: Vec<_> = samples().filter_map(workload::transfer).collect();
    let snapshots: Vec<_> = samples().filter_map(workload::snapshot).collect();
    Workloads { registers: transactions(&registers), bank: bank(&transfers, &snapshots) }
}

fn add(sample: &Sample) -> Op {
    Op {
        client: 0,
        f: "add",
        asked: sample.sequence.into(),
        answered: sample.sequence.into(),
        more: Vec::new(),
        sent: sample.sent,
        done: sample.done,
        outcome: workload::outcome(sample),
    }
}

fn numbers(found: &FoundWrites) -> Value {
    let present = found.present.iter().chain(found.duplicate.iter());
    let mut all: Vec<u64> = present.collect();
    all.sort_unstable();
    Value::Vector(all.into_iter().map(Value::from).collect())
}

fn more(site: &str, found: &FoundWrites) -> Vec<(&'static str, Value)> {
    let mut more = vec![("site", Value::Text(site.to_owned()))];
    if !found.corrupt.is_empty() {
        let corrupt = Ranges::iter(&found.corrupt).map(Value::from);
        more.push(("corrupt", Value::Vector(corrupt.collect())));
    }
    if !found.phantom.is_empty() {
        let strays = found.phantom.iter().cloned().map(Value::Text);
        more.push(("strays", Value::Vector(strays.collect())));
    }
    more
}

fn fault(f: &'static str, id: u32, at: drdrill_core::time::At) -> Nemesis {
    Nemesis { at, f, value: id.into() }
}
