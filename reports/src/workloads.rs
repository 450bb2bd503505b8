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
        (found.contradictory, "register contradictory", "registers contradictory"),
        (
            found.returned,
            "read of a value that had not been found",
            "reads of values that had not been found",
        ),
        (found.unjudged, "register not judged", "registers not judged"),
        (found.untold, "answer without a word who decided", "answers without a word who decided"),
        (
            found.lost_after_fault,
            "value written after the fault and lost",
            "values written after the fault and lost",
        ),
    ];
    let more = more.iter().filter(|(number, ..)| *number > 0);
    parts.extend(more.map(|(number, one, several)| counted(*number, one, several)));
    match found.compared {
        // Of what nobody looked at nothing is said to be lost or kept.
        Some(0) if found.lost == 0 => {
            parts.push(
                "what the failover lost is not known: no register could be compared".to_owned(),
            );
        }
        Some(compared) => {
            let all = counted(found.registers, "register", "registers");
            parts.push(format!("{} of {all} compared across the failover", count(compared)));
            if found.lost == 0 {
                parts.push("no value lost".to_owned());
            }
        }
        None => {}
    }
    if let Some(at_least) = found.lost_at_least_ms {
        let age = interval(at_least, found.lost_at_most_ms);
        let lost = counted(found.lost, "value", "values");
        parts.push(format!("{lost} lost to the fault, the oldest {age} before it"));
    }
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

#[cfg(test)]
mod tests {
    use drdrill_core::record::{Consistency, Record};
    use drdrill_core::reporter::Run;

    use super::*;
    use crate::terminal::{Look, summary_table};
    use crate::testkit::{Case, Fixture};

    /// A drill whose site that took over answered from an old snapshot.
    fn stale() -> RegistersFound {
        RegistersFound {
            verdict: Verdict::Fail,
            registers: 5,
            writes: 201,
            unknown_writes: 3,
            reads: 402,
            reads_after_fault: Some(97),
            stale_reads: 7,
            stale_for_ms: Some(299.4),
            contradictory: 2,
            out_of_order: 0,
            returned: 0,
            unjudged: 0,
            untold: 0,
            compared: Some(4),
            lost: 2,
            lost_after_fault: 0,
            lost_at_least_ms: Some(153.4),
            lost_at_most_ms: Some(170.5),
            findings: vec!["a read of register 3 at 4.213 s returned <57>".to_owned()],
        }
    }

    fn sound() -> BankFound {
        BankFound {
            verdict: Verdict::Pass,
            transfers: 201,
            unknown_transfers: 3,
            snapshots: 1_402,
            snapshots_after_fault: Some(300),
            wrong_snapshots: 0,
            total: Some(500),
            findings: Vec::new(),
        }
    }

    const REGISTERS: &str = "201 writes · 402 reads · 7 stale by up to 299 ms or more · 2 registers contradictory · \
                             4 of 5 registers compared across the failover · \
                             2 values lost to the fault, the oldest 161.9 ms [153.4, 170.5] before it";
    const BANK: &str = "201 transfers · 3 of unknown outcome · 1,402 snapshots of the balances · always 500 in all";

    fn record() -> (Fixture, Record) {
        let fixture = Fixture::build(Case::Passed);
        let mut record = fixture.record.clone();
        record.services[0].consistency =
            Some(Consistency { registers: Some(stale()), bank: Some(sound()) });
        (fixture, record)
    }

    #[test]
    fn every_report_tells_what_was_found_and_shows_examples() {
        let (fixture, record) = record();
        let plain = summary_table(&record, Look::plain(), None);
        assert!(plain.contains(&format!("registers orders: fail: {REGISTERS}\n")), "{plain}");
        assert!(
            plain.contains("registers orders: a read of register 3 at 4.213 s returned <57>\n")
        );
        assert!(plain.contains(&format!("accounts orders: pass: {BANK}\n")), "{plain}");
        let boxed = summary_table(&record, Look::terminal(100, false), None);
        let coloured = summary_table(&record, Look::terminal(100, true), None);
        assert!(!boxed.contains('\u{1b}') && coloured.contains('\u{1b}'), "{boxed}{coloured}");
        assert!(boxed.contains("Registers") && boxed.contains("7 stale by up to"), "{boxed}");
        let run = Run { record: &record, history: &fixture.history, doubt: None };
        let sections = crate::sections::sections(run);
        let section = sections.iter().find(|section| section.id == "workloads").unwrap();
        assert_eq!(section.rows.len(), 3, "{section:?}");
    }

    #[test]
    fn a_drill_without_workloads_says_nothing_of_them() {
        let fixture = Fixture::build(Case::Passed);
        assert_eq!(of(&fixture.record.services[0]), []);
        let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
        assert!(crate::sections::sections(run).iter().all(|section| section.id != "workloads"));
    }

    #[test]
    fn what_nothing_was_lost_of_is_not_said_to_be_lost() {
        let found = RegistersFound {
            stale_reads: 0,
            stale_for_ms: None,
            contradictory: 0,
            lost: 0,
            lost_at_least_ms: None,
            ..stale()
        };
        let all = "201 writes · 402 reads · none stale";
        assert_eq!(
            registers(&found),
            format!("{all} · 4 of 5 registers compared across the failover · no value lost")
        );
        let nobody_looked = RegistersFound { compared: Some(0), ..found.clone() };
        assert_eq!(
            registers(&nobody_looked),
            format!("{all} · what the failover lost is not known: no register could be compared")
        );
        let nobody_took_over = RegistersFound { compared: None, ..found };
        assert_eq!(registers(&nobody_took_over), all);
    }
}
