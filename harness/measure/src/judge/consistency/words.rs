//! What was found, in words for an engineer.

use std::collections::BTreeMap;
use std::time::Duration;

use drdrill_core::record::{BankFound, RegistersFound};
use drdrill_core::time::At;
use drdrill_histories::bank::Wrong;
use drdrill_histories::operation::{Access, Operation};
use drdrill_histories::registers::{Reason, Violation};
use drdrill_histories::stale::Stale;
use drdrill_histories::succession::{Lost, Returned};

use super::super::text::{show, show_bounds};

/// An instant of the drill: `4.213 s`.
fn at(at: At) -> String {
    format!("{:.3} s", at.ms() / 1e3)
}

fn value(value: Option<u64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

/// Sites, by the client and the time of what they answered.
pub(super) type Sites<'a> = BTreeMap<(u32, At), &'a str>;

/// `a read of register 3 at 4.213 s, answered by dr, returned 57`.
fn read(read: &Operation, sites: &Sites<'_>) -> String {
    let (key, sent) = (read.key, at(read.sent));
    let site = sites.get(&(read.process, read.sent));
    let by = site.map_or_else(String::new, |site| format!(", answered by {site},"));
    format!("a read of register {key} at {sent}{by} returned {}", value(read.value()))
}

/// `57 was written by 4.213 s`: an operation that shows a value.
fn shown(one: &Operation) -> String {
    let (word, when) = match one.access {
        Access::Write(_) => ("written", at(one.done)),
        Access::Read(_) => ("read", at(one.done)),
    };
    format!("{} was {word} by {when}", value(one.value()))
}

pub(super) fn stale(stale: &Stale, sites: &Sites<'_>) -> String {
    let (read, over) = (read(&stale.read, sites), &stale.overwritten);
    let (by, when, ago) = (value(over.value()), at(over.done), show(stale.at_least));
    format!("{read}, which had been overwritten by {by} at {when}, {ago} before")
}

pub(super) fn violation(violation: &Violation, sites: &Sites<'_>) -> String {
    match &violation.reason {
        Reason::NeverWritten { read: one } => format!("{}, which nobody wrote", read(one, sites)),
        Reason::WriteFailed { read: one, write } => {
            format!("{}, whose write at {} had failed", read(one, sites), at(write.sent))
        }
        Reason::BeforeItsWrite { read: one, write } => {
            format!("{}, which was written only at {}", read(one, sites), at(write.sent))
        }
        Reason::Crossed { early, late, other_early, other_late } => {
            let key = violation.key;
            let first =
                early.as_ref().map_or_else(|| "nothing was there at first".to_owned(), shown);
            format!(
                "register {key} had two values at once: {first} and there at {}, {} and there at {}",
                at(late.sent),
                shown(other_early),
                at(other_late.sent)
            )
        }
    }
}

pub(super) fn returned(returned: &Returned, sites: &Sites<'_>) -> String {
    let Returned { read: one, before } = returned;
    let (other, when) = (value(before.value()), at(before.sent));
    format!(
        "{}, of before the failover, which was not found at {when}: {other} was there then",
        read(one, sites)
    )
}

pub(super) fn out_of_order(key: u32) -> String {
    format!("clients saw the values of register {key} in different orders")
}

pub(super) fn lost(lost: &Lost, sites: &Sites<'_>) -> String {
    let Lost { write, shown, read: one, disaster, .. } = lost;
    let after = write.sent > disaster.at;
    let when = if after {
        "after the fault".to_owned()
    } else {
        format!("{} before the fault", show(disaster.from.since(shown.done)))
    };
    format!("{}: {} was lost, which clients had {when}", read(one, sites), value(write.value()))
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The first thing that is wrong, and how much more there is.
pub(super) fn wrong(found: &RegistersFound) -> String {
    let first = found.findings.first().map_or("the answers contradict each other", String::as_str);
    let counts = [
        (found.stale_reads, "stale read", "stale reads"),
        (found.contradictory, "contradictory register", "contradictory registers"),
        (
            found.returned,
            "read of a value that had not been found",
            "reads of values that had not been found",
        ),
        (found.lost, "value lost", "values lost"),
    ];
    let counts = counts.iter().filter(|(count, ..)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, one, more)| counted(*count, one, more)).collect();
    format!("{first} ({})", counts.join(", "))
}

pub(super) fn untold(found: &RegistersFound) -> String {
    let RegistersFound { untold, .. } = found;
    format!(
        "{untold} answers do not say who decided, so what was lost to the fault cannot be told from what is wrong: {}",
        wrong(found)
    )
}

pub(super) fn early(found: &RegistersFound) -> String {
    format!(
        "the system failed over before anything was broken, so nothing can be told of: {}",
        wrong(found)
    )
}

pub(super) fn unjudged(found: &RegistersFound, unexplained: u64) -> String {
    if unexplained > 0 {
        return format!(
            "the history was cut off, and lacks the writes of {unexplained} values that were read"
        );
    }
    format!("{} registers cannot be judged: a value was written twice", found.unjudged)
}

/// Why registers of which nothing is wrong have not passed: where nobody looked there is nothing to see.
pub(super) fn nothing_read(found: &RegistersFound) -> Option<&'static str> {
    if found.reads == 0 {
        Some("no read was answered")
    } else if found.writes == 0 {
        Some("no write was acknowledged")
    } else if found.reads_after_fault == Some(0) {
        Some("no read was answered after the fault, between the recovery and the way back")
    } else {
        None
    }
}

/// The same of accounts.
pub(super) fn nothing_moved(found: &BankFound) -> Option<&'static str> {
    if found.snapshots == 0 || found.total.is_none() {
        Some("no snapshots of the balances could be compared")
    } else if found.transfers == 0 {
        Some("no transfer was acknowledged")
    } else if found.snapshots_after_fault == Some(0) {
        Some(
            "no snapshot of the balances was answered after the fault, between the recovery and the way back",
        )
    } else {
        None
    }
}

/// Why nothing is said of losses.
pub(super) fn not_compared() -> &'static str {
    "what the failover lost is not known: no register was read after it before it was written again"
}

pub(super) fn registers(found: &RegistersFound, target: Option<Duration>) -> String {
    let RegistersFound { reads, registers, lost, .. } = found;
    let mut all = format!("{reads} reads of {registers} registers, none of them stale or wrong");
    if let Some(compared) = found.compared {
        if compared + lost == 0 {
            return format!("{all}; {}", not_compared());
        }
        all = format!("{all}; {compared} of {registers} registers compared across the failover");
    }
    let ms = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
    let Some(at_least) = found.lost_at_least_ms.filter(|_| *lost > 0) else {
        return match lost {
            0 if found.compared.is_none() => all,
            0 => format!("{all}, no value lost"),
            lost if found.lost_after_fault == 0 => format!(
                "{all}; {} lost to a second failover under the same fault, of no known age",
                counted(*lost, "value", "values")
            ),
            lost => format!(
                "{all}; lost, and written after the fault: {}",
                counted(*lost, "value", "values")
            ),
        };
    };
    let age = show_bounds(ms(at_least), found.lost_at_most_ms.map(ms));
    let objective = target.map_or_else(
        || "no objective was set".to_owned(),
        |target| format!("the objective is {}", show(target)),
    );
    format!(
        "{all}; {} lost to the fault, the oldest seen {age} before it; {objective}",
        counted(*lost, "value", "values")
    )
}

pub(super) fn bank(found: &BankFound) -> String {
    let BankFound { snapshots, transfers, unknown_transfers, wrong_snapshots, .. } = found;
    if let Some(first) = found.findings.first() {
        return format!("{first} ({wrong_snapshots} wrong snapshots of {snapshots})");
    }
    if let Some(nothing) = nothing_moved(found) {
        return nothing.to_owned();
    }
    let total = found.total.unwrap_or_default();
    let unknown = match unknown_transfers {
        0 => String::new(),
        unknown => format!(" and {unknown} of unknown outcome"),
    };
    format!(
        "{transfers} transfers{unknown}; all {snapshots} snapshots of the balances add up to {total}"
    )
}

pub(super) fn wrong_snapshot(wrong: &Wrong) -> String {
    let (Wrong::Total { snapshot, .. }
    | Wrong::Missing { snapshot, .. }
    | Wrong::Overdrawn { snapshot, .. }) = wrong;
    let when = at(snapshot.sent);
    match wrong {
        Wrong::Total { total, expected, .. } => {
            format!("the balances read at {when} add up to {total}, and there is {expected}")
        }
        Wrong::Missing { account, .. } => {
            format!("the balances read at {when} lack account {account}")
        }
        Wrong::Overdrawn { account, balance, .. } => {
            format!("account {account} had {balance} in the balances read at {when}")
        }
    }
}
