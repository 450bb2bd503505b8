//! The history of a drill that passed, changed for the worse. The judge must notice each change.

use drdrill_core::environment::FoundWrites;
use drdrill_core::event::{Entry, Event, When};
use drdrill_core::record::{Record, Writes};
use drdrill_core::sample::Deed;
use drdrill_core::verdict::Verdict;

use super::Defect;
use crate::evidence::judge;
use crate::exit::Code;

/// Acknowledged writes that are made to vanish.
const LOST: usize = 5;

type Change = fn(&mut Vec<Entry>);
type Notices = fn(&Record, &Record) -> bool;

/// Changes a history in every way that has to be noticed.
pub(crate) fn defects(history: &[Entry], good: &Record) -> Vec<Defect> {
    let changes: [(&str, Change, Notices); 14] = [
        (
            "a failover that loses acknowledged writes",
            |history| lose_writes(history),
            |bad, good| {
                count(bad, |writes| writes.lost) == count(good, |writes| writes.lost) + LOST as u64
            },
        ),
        ("a checker fed a history with a duplicate", |history| found(history, duplicate), fails),
        ("a checker fed a history with a corrupt write", |history| found(history, corrupt), fails),
        ("a checker fed a history with a phantom", |history| found(history, phantom), fails),
        (
            "a history with a read of a value of long before",
            |history| last_read(history, |written, _| written.iter().min().copied()),
            |bad, _| fails_for(bad, "registers: a read of register"),
        ),
        (
            "a history with a read of what nobody wrote",
            |history| last_read(history, |_, last| last.map(|last| last + 1_000_000)),
            |bad, _| fails_for(bad, "nobody wrote"),
        ),
        (
            "a history in which money vanishes",
            |history| vanish(history),
            |bad, _| fails_for(bad, "add up to"),
        ),
        (
            "a history in which nothing was read of registers",
            |history| {
                history.retain(|entry| !matches!(deed(entry), Some(Deed::Read { .. })));
            },
            no_pass,
        ),
        (
            "a history in which no workload answered after the fault",
            |history| silent_after_the_fault(history),
            no_pass,
        ),
        (
            "a history in which nobody read the writes back",
            |history| {
                history.retain(|entry| !matches!(entry.event, Event::WritesFound { .. }));
            },
            no_pass,
        ),
        (
            "a history in which no fault was seen in effect",
            |history| {
                history.retain(|entry| !matches!(entry.event, Event::FaultInEffect { .. }));
            },
            no_pass,
        ),
        ("a history without samples after the fault", no_samples_after_the_fault, no_pass),
        (
            "a history in which no function was tried",
            |history| {
                history.retain(|entry| !matches!(entry.event, Event::FunctionChecked { .. }));
            },
            no_pass,
        ),
        (
            "a history in which a fault was never taken back",
            |history| never_reverted(history),
            |bad, _| bad.exit_code == Code::LeftInPlace as u8,
        ),
    ];
    let defect = |(name, change, notices): (&'static str, Change, Notices)| {
        let mut worse = history.to_vec();
        change(&mut worse);
        match judge(&worse) {
            Ok(bad) => {
                let seen = format!("exit {}: {}", bad.exit_code, said(&bad, good));
                Defect::new(name, notices(&bad, good), seen)
            }
            // What cannot be judged has not passed.
            Err(error) => Defect::new(name, true, error.to_string()),
        }
    };
    changes.into_iter().map(defect).collect()
}

/// The first reason that the good record does not give.
fn said(bad: &Record, good: &Record) -> String {
    let new = bad.reasons.iter().find(|reason| !good.reasons.contains(reason));
    new.cloned().unwrap_or_else(|| "nothing new was said".to_owned())
}

fn fails(bad: &Record, _: &Record) -> bool {
    bad.verdict == Verdict::Fail
}

fn fails_for(bad: &Record, reason: &str) -> bool {
    bad.verdict == Verdict::Fail && bad.reasons.iter().any(|one| one.contains(reason))
}

fn no_pass(bad: &Record, _: &Record) -> bool {
    bad.verdict != Verdict::Pass
}

fn count(record: &Record, what: fn(&Writes) -> u64) -> u64 {
    let points = record.services.iter().filter_map(|service| service.rpo.as_ref());
    points.map(|point| what(&point.writes)).sum()
}

/// Changes what the deciding sides hold after the recovery.
fn found(history: &mut [Entry], change: fn(&mut FoundWrites)) {
    for entry in history {
        if let Event::WritesFound {
            when: When::AfterRecovery, authoritative: true, found, ..
        } = &mut entry.event
        {
            change(found);
        }
    }
}

fn lose_writes(history: &mut [Entry]) {
    found(history, |found| {
        // From the beginning: those were acknowledged long before the fault, and replicated.
        found.present = found.present.iter().skip(LOST).collect();
    });
}

fn duplicate(found: &mut FoundWrites) {
    found.duplicate.extend_with_first(&found.present);
}

fn corrupt(found: &mut FoundWrites) {
    found.corrupt.extend_with_first(&found.present);
}

fn phantom(found: &mut FoundWrites) {
    found.phantom.push("never-sent".to_owned());
}

fn deed(entry: &Entry) -> Option<&Deed> {
    match &entry.event {
        Event::Sample(sample) if sample.outcome.is_ok() => sample.deed.as_deref(),
        _ => None,
    }
}

/// Changes what the last read of a register returned, knowing the values that were written to that register until the
/// fault, and what it did return.
fn last_read(history: &mut [Entry], change: fn(&[u64], Option<u64>) -> Option<u64>) {
    let last = history.iter().rev().find_map(deed_read);
    let fault = history.iter().position(|entry| matches!(entry.event, Event::FaultInEffect { .. }));
    let before = history.iter().take(fault.unwrap_or(0));
    let written: Vec<u64> = before
        .filter_map(|entry| match deed(entry)? {
            Deed::Write { key, value } if Some(*key) == last => Some(*value),
            _ => None,
        })
        .collect();
    for entry in history.iter_mut().rev() {
        if deed_read(entry).is_none() {
            continue;
        }
        if let Event::Sample(sample) = &mut entry.event
            && let Some(Deed::Read { value, .. }) = sample.deed.as_deref_mut()
        {
            *value = change(&written, *value);
        }
        return;
    }
}

fn deed_read(entry: &Entry) -> Option<u32> {
    match deed(entry)? {
        Deed::Read { key, .. } => Some(*key),
        _ => None,
    }
}

fn vanish(history: &mut [Entry]) {
    for entry in history.iter_mut().rev() {
        if let Event::Sample(sample) = &mut entry.event
            && sample.outcome.is_ok()
            && let Some(Deed::Balances { balances }) = sample.deed.as_deref_mut()
        {
            if let Some(balance) = balances.values_mut().next() {
                *balance -= 1;
            }
            return;
        }
    }
}

fn no_samples_after_the_fault(history: &mut Vec<Entry>) {
    let fault = history.iter().position(|entry| matches!(entry.event, Event::FaultInEffect { .. }));
    let mut index = 0;
    history.retain(|entry| {
        index += 1;
        Some(index) <= fault || !matches!(entry.event, Event::Sample(_))
    });
}

/// Whoever takes over answers no read of a register and no question for balances.
fn silent_after_the_fault(history: &mut [Entry]) {
    let fault = history.iter().position(|entry| matches!(entry.event, Event::FaultInEffect { .. }));
    for entry in history.iter_mut().skip(fault.unwrap_or(0)) {
        if let Event::Sample(sample) = &mut entry.event
            && sample.deed.is_some()
        {
            sample.outcome = drdrill_core::sample::Outcome::Failed("planted".into());
        }
    }
}

fn never_reverted(history: &mut [Entry]) {
    for entry in history {
        if let Event::FaultReverted { id, .. } = entry.event {
            entry.event = Event::FaultStuck {
                id,
                error: "planted".to_owned(),
                residue: Vec::new(),
                by_hand: String::new(),
            };
        }
    }
}

/// Marks the first write.
trait ExtendWithFirst {
    fn extend_with_first(&mut self, all: &Self);
}

impl ExtendWithFirst for drdrill_core::ranges::Ranges {
    fn extend_with_first(&mut self, all: &Self) {
        if let Some(first) = all.iter().next() {
            self.insert(first);
        }
    }
}
