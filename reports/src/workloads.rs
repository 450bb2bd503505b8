//! What the registers and accounts of a service answered, in words.

use drdrill_core::record::{BankFound, RegistersFound, Service};
use drdrill_core::verdict::Verdict;

use crate::figures::{count, counted, duration, interval};

/// What was found of one workload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found<'a> {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// Counts.
    pub(crate) text: String,
    /// Examples of what is wrong.
    pub(crate) examples: &'a [String],
}

/// The workloads of a service.
pub(crate) fn of(service: &Service) -> Vec<Found<'_>> {
    let Some(consistency) = &service.consistency else { return Vec::new() };
    let registers = consistency.registers.as_ref().map(|found| Found {
        name: "Registers",
        verdict: found.verdict,
        text: registers(found),
        examples: &found.findings,
    });
    let bank = consistency.bank.as_ref().map(|found| Found {
        name: "Accounts",
        verdict: found.verdict,
        text: bank(found),
        examples: &found.findings,
    });
    registers.into_iter().chain(bank).collect()
}

fn registers(found: &RegistersFound) -> String {
    let stale = match found.stale_for_ms {
        Some(longest) => {
            format!("{} stale by up to {} or more", count(found.stale_reads), duration(longest))
        }
        None => "none stale".to_owned(),
    };
    let mut parts = vec![
        counted(found.writes, "write", "writes"),
        counted(found.reads, "read", "reads"),
        stale,
    ];
    let more = [
        (found.contradictory, "registers contradictory"),
        (found.out_of_order, "registers out of order"),
        (found.returned, "reads of values that had been lost"),
        (found.unjudged, "registers not judged"),
        (found.untold, "answers without a word who decided"),
        (found.lost_after_fault, "values written after the fault and lost"),
    ];
    let more = more.iter().filter(|(number, _)| *number > 0);
    parts.extend(more.map(|(number, word)| format!("{} {word}", count(*number))));
    parts.push(match found.lost_at_least_ms {
        Some(at_least) => {
            let age = interval(at_least, found.lost_at_most_ms);
            let lost = counted(found.lost, "value", "values");
            format!("{lost} lost to the fault, the oldest {age} before it")
        }
        None => "no value of before the fault lost".to_owned(),
    });
    parts.join(" · ")
}

fn bank(found: &BankFound) -> String {
    let mut parts = vec![counted(found.transfers, "transfer", "transfers")];
    if found.unknown_transfers > 0 {
        parts.push(format!("{} of unknown outcome", count(found.unknown_transfers)));
    }
    parts.push(counted(found.snapshots, "snapshot of the balances", "snapshots of the balances"));
    parts.push(match (found.wrong_snapshots, found.total) {
        (0, Some(total)) => format!("always {total} in all"),
        (0, None) => "no total is known".to_owned(),
        (wrong, _) => format!("{} of them wrong", count(wrong)),
    });
    parts.join(" · ")
}
