//! What was done, and what was found.

use drdrill_core::event::Entry;
use drdrill_core::record::{Record, ToldOf};

use super::{Cell, Section};
use crate::{eventlog, figures, words};

/// Lines of the log at its beginning and at its end that are shown.
const LOG_LINES: (usize, usize) = (400, 100);

pub(super) fn faults(record: &Record) -> Section {
    let rows = record
        .faults
        .iter()
        .map(|fault| {
            let belts =
                if fault.belts.is_empty() { "none".to_owned() } else { fault.belts.join(", ") };
            vec![
                Cell::text(format!("{}", fault.id)),
                Cell::code(&fault.kind),
                Cell::code(&fault.target),
                Cell::code(&fault.via),
                Cell::text(belts),
                Cell::instant(fault.applied_ms),
                fault
                    .in_effect_ms
                    .map_or_else(|| Cell::text("never seen"), |ms| Cell::instant(Some(ms))),
                fault.reverted_ms.map_or_else(
                    || Cell::text("NOT SEEN TO BE GONE"),
                    |ms| Cell::instant(Some(ms)),
                ),
                Cell::code(fault.proof.as_deref().unwrap_or_default()),
            ]
        })
        .collect::<Vec<_>>();
    Section {
        id: "faults",
        title: "Faults",
        note: if rows.is_empty() {
            "No fault was injected.".to_owned()
        } else {
            "A fault counts from just before it was applied to when it was seen in effect. Belts are what would have \
             taken it back, had drdrill died."
                .to_owned()
        },
        columns: &[
            "Id",
            "Fault",
            "Target",
            "Via",
            "Belts",
            "Applied",
            "In effect",
            "Gone",
            "Proof",
        ],
        rows,
    }
}

pub(super) fn leftovers(record: &Record) -> Section {
    let rows = record
        .leftovers
        .iter()
        .map(|left| {
            vec![
                Cell::text(format!("{}", left.id)),
                Cell::code(&left.kind),
                Cell::code(&left.target),
                Cell::code(&left.error),
                Cell::code(left.residue.join("; ")),
                Cell::code(&left.by_hand),
            ]
        })
        .collect::<Vec<_>>();
    let all_gone = record.faults.iter().all(|fault| fault.reverted_ms.is_some());
    let note = match (rows.is_empty(), all_gone) {
        (false, _) => {
            "These could not be taken back. Run drdrill recover, or the commands by hand."
        }
        (true, true) if !record.faults.is_empty() => "None: every fault was seen to be gone.",
        (true, true) => "None.",
        (true, false) => "None is known, but not every fault was seen to be gone.",
    };
    Section {
        id: "leftovers",
        title: "Leftovers",
        note: note.to_owned(),
        columns: &["Id", "Fault", "Target", "Why", "Left", "By hand"],
        rows,
    }
}

pub(super) fn steps(record: &Record) -> Section {
    let rows = record
        .steps
        .iter()
        .map(|step| {
            let rolled_back = if step.rolled_back { ", rolled back" } else { "" };
            vec![
                Cell::code(&step.name),
                Cell::code(&step.action),
                Cell::code(&step.site),
                Cell::instant(Some(step.started_ms)),
                Cell::duration(step.finished_ms - step.started_ms),
                Cell::text(format!("{}{rolled_back}", words::step(step.outcome))),
                Cell::code(&step.detail),
            ]
        })
        .collect::<Vec<_>>();
    Section {
        id: "steps",
        title: "Steps of the plans",
        note: if rows.is_empty() {
            "drdrill carried out no steps: the system recovered by itself, or nobody did anything."
                .to_owned()
        } else {
            String::new()
        },
        columns: &["Step", "Action", "Site", "Started", "Took", "Outcome", "Seen"],
        rows,
    }
}

pub(super) fn split_brain(record: &Record) -> Section {
    let rows = record
        .split_brain
        .iter()
        .map(|split| {
            vec![
                Cell::instant(Some(split.from_ms)),
                Cell::instant(Some(split.to_ms)),
                Cell::duration(split.to_ms - split.from_ms),
                Cell::code(&split.detail),
            ]
        })
        .collect::<Vec<_>>();
    Section {
        id: "split-brain",
        title: "Split brain",
        note: if rows.is_empty() {
            "No two sites were seen deciding about writes at the same time.".to_owned()
        } else {
            "Two sites decided about writes at the same time.".to_owned()
        },
        columns: &["From", "To", "For", "Seen"],
        rows,
    }
}

pub(super) fn findings(record: &Record) -> Section {
    let mut findings: Vec<_> = record.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse((finding.verdict, finding.severity)));
    let row = |finding: &drdrill_core::checker::Finding| {
        vec![
            Cell::code(&finding.checker),
            Cell::Verdict(finding.verdict),
            Cell::text(words::severity(finding.severity)),
            Cell::text(&finding.message),
        ]
    };
    Section {
        id: "findings",
        title: "Findings",
        note: if findings.is_empty() {
            "No checker looked at this run.".to_owned()
        } else {
            String::new()
        },
        columns: &["Checker", "Result", "Severity", "Finding"],
        rows: findings.into_iter().map(row).collect(),
    }
}

pub(super) fn notices(record: &Record) -> Section {
    let row = |notice: &ToldOf| {
        let outcome = notice.error.as_ref().map_or_else(
            || Cell::text("taken"),
            |error| Cell::code(format!("NOT DELIVERED: {error}")),
        );
        vec![
            Cell::instant(Some(notice.due_ms)),
            Cell::code(&notice.to),
            Cell::text(&notice.by),
            Cell::text(notice.severity.to_string()),
            Cell::text(words::notice(notice.kind)),
            outcome,
        ]
    };
    Section {
        id: "notices",
        title: "Notices",
        note: String::new(),
        columns: &["At", "To", "By", "Severity", "About", "Outcome"],
        rows: record.notices.iter().map(row).collect(),
    }
}

pub(super) fn log(history: &[Entry]) -> Section {
    let lines = eventlog::log(history);
    let row = |line: &eventlog::Line| {
        vec![Cell::instant(Some(line.at_ms)), Cell::text(line.what), Cell::code(&line.text)]
    };
    let (first, last) = LOG_LINES;
    let left_out = lines.len().saturating_sub(first + last);
    let shown = lines.iter().take(first).chain(lines.iter().skip(first + left_out));
    let note = match left_out {
        0 => "Every event but the samples, in the drill's own time. All of it is in events.jsonl."
            .to_owned(),
        _ => format!(
            "{} lines in the middle are left out; all of them are in events.jsonl.",
            figures::count(left_out as u64)
        ),
    };
    Section {
        id: "log",
        title: "Event log",
        note,
        columns: &["At", "What", "Event"],
        rows: shown.map(row).collect(),
    }
}
