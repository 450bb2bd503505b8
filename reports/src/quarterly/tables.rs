//! What auditors read, as tables. Those whose emptiness says something say it.

use crate::doc::{Block, Table, heading};
use crate::evidence::{VERIFY_BY_HAND, VERIFY_REPORT_BY_HAND};
use crate::figures;
use crate::quarter::controls::ControlStatus;
use crate::quarter::{EvidenceState, Quarter};
use crate::sections::Cell;
use crate::words;

/// A heading with a table below it, or a sentence where there is nothing.
fn section(
    id: &str,
    title: &str,
    columns: &[&str],
    rows: Vec<Vec<Cell>>,
    none: &str,
) -> Vec<Block> {
    let below = if rows.is_empty() {
        Block::Text(none.to_owned())
    } else {
        Block::Table(Table::new(title, columns, rows))
    };
    vec![heading(id, title), below]
}

fn text(text: impl std::fmt::Display) -> Cell {
    Cell::Text(format!("{text}"))
}

fn code(text: &str) -> Cell {
    Cell::Code(text.to_owned())
}

fn or_none(one: Option<&String>) -> Cell {
    one.map_or_else(|| text("–"), text)
}

pub(super) fn blocks(quarter: &Quarter) -> Vec<Block> {
    let all = [
        deviations(quarter),
        interventions(quarter),
        backups(quarter),
        participants(quarter),
        third_parties(quarter),
        findings(quarter),
        risks(quarter),
        exclusions(quarter),
        costs(quarter),
        next(quarter),
        controls(quarter),
        plans(quarter),
        gaps(quarter),
        evidence(quarter),
        sign_off(quarter),
    ];
    all.into_iter().flatten().collect()
}

fn deviations(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.deviations.iter();
    let rows =
        rows.map(|one| vec![code(&one.run_id), text(one.kind.replace('_', " ")), text(&one.text)]);
    let none = "Nothing deviated from the plans, as far as the records say.";
    section(
        "deviations",
        "Deviations from the plans",
        &["Run", "What", "What happened"],
        rows.collect(),
        none,
    )
}

fn interventions(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.interventions.iter().map(|one| {
        vec![
            code(&one.run_id),
            code(&one.step),
            text(&one.who),
            Cell::Figure(one.took_ms.map_or_else(|| "not finished".to_owned(), figures::duration)),
            Cell::Figure(figures::duration(one.within_ms)),
            text(one.outcome.map_or("not finished", words::step)),
            text(&one.note),
        ]
    });
    let columns = ["Run", "Step", "Who", "Took", "Allowed", "Outcome", "Note"];
    section("interventions", "What people did by hand", &columns, rows.collect(), "Nothing.")
}

fn backups(quarter: &Quarter) -> Vec<Block> {
    let word = |outcome: Option<drdrill_core::event::StepOutcome>| {
        text(outcome.map_or("not reached", words::step))
    };
    let rows = quarter.restores.iter().map(|one| {
        vec![
            code(&one.run_id),
            code(&format!("{} on {}", one.scenario, one.environment)),
            word(one.verified),
            word(one.restored),
            word(one.consistent),
            text(&one.detail),
        ]
    });
    let columns = ["Run", "Drill", "Verified", "Restored", "Holds together", "What was seen last"];
    let none = "No drill of the quarter restored anything, as far as the records say.";
    section("backups", "Restores from backups", &columns, rows.collect(), none)
}

fn participants(quarter: &Quarter) -> Vec<Block> {
    let names = |names: &Option<Vec<String>>| match names {
        None => text("nobody wrote it down"),
        Some(names) if names.is_empty() => text("nobody"),
        Some(names) => text(names.join(", ")),
    };
    let rows = quarter.participation.iter().map(|one| {
        vec![
            code(&one.run_id),
            code(&one.scenario),
            text(one.planned.join(", ")),
            names(&one.present),
            names(&one.absent),
        ]
    });
    let columns = ["Run", "Scenario", "Planned", "Present", "Absent"];
    section("participants", "Participants", &columns, rows.collect(), "Nobody was to take part.")
}

fn third_parties(quarter: &Quarter) -> Vec<Block> {
    if quarter.third_parties.is_empty() {
        return Vec::new();
    }
    let rows = quarter.third_parties.iter().map(|one| {
        let takes_part = if one.takes_part { "yes" } else { "no" };
        vec![
            text(&one.name),
            text(&one.provides),
            text(one.services.join(", ")),
            text(&one.contact),
            text(takes_part),
        ]
    });
    let columns = ["Who", "Provides", "For", "How to reach", "Takes part in drills"];
    section("third-parties", "Third parties", &columns, rows.collect(), "")
}

fn findings(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.findings.iter().map(|one| {
        let overdue = if one.overdue { " (OVERDUE)" } else { "" };
        let closed =
            one.closed.as_ref().map(|by| format!(" by {}", by.words())).unwrap_or_default();
        let repeats = one
            .repeats
            .as_ref()
            .map(|id| format!(" Came back: it was {id} before."))
            .unwrap_or_default();
        let cause = one
            .root_cause
            .as_ref()
            .map(|cause| format!(" Root cause: {cause}"))
            .unwrap_or_default();
        vec![
            code(&one.id),
            text(words::severity(one.severity)),
            text(format!(
                "{} on {}: {}{repeats}{cause}",
                one.scenario,
                one.environment,
                one.seen.join(" ")
            )),
            text(format!("{}{closed}", one.status.word())),
            or_none(one.owner.as_ref()),
            one.due.map_or_else(|| text("–"), |due| text(format!("{due}{overdue}"))),
            one.retest_due.map_or_else(|| text("–"), text),
            text(one.tickets.join(", ")),
        ]
    });
    let columns = ["Id", "Severity", "What", "Status", "Owner", "Due", "Retest by", "Tickets"];
    section("findings", "Findings", &columns, rows.collect(), "None was open in this quarter.")
}

fn risks(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.accepted_risks.iter().map(|one| {
        let holds = if one.holds { "yes" } else { "NO: it is over" };
        vec![
            text(&one.risk),
            text(&one.because),
            text(&one.by),
            text(one.on),
            text(one.until),
            text(holds),
            or_none(one.finding.as_ref()),
        ]
    });
    let columns = ["Risk", "Accepted because", "By", "On", "Until", "Holds", "Finding"];
    section("risks", "Accepted risks", &columns, rows.collect(), "No risk was accepted.")
}

fn exclusions(quarter: &Quarter) -> Vec<Block> {
    if quarter.exclusions.is_empty() {
        return Vec::new();
    }
    let all = |one: &Option<String>| text(one.as_deref().unwrap_or("all"));
    let rows = quarter.exclusions.iter().map(|one| {
        let holds = if one.holds { "yes" } else { "NO: it is over" };
        vec![
            all(&one.scenario),
            all(&one.environment),
            all(&one.service),
            text(&one.because),
            text(&one.by),
            text(one.until),
            text(holds),
        ]
    });
    let columns = [
        "Scenario",
        "Environment",
        "Service",
        "Not drilled because",
        "Decided by",
        "Until",
        "Holds",
    ];
    section("exclusions", "Not drilled on purpose", &columns, rows.collect(), "")
}

fn costs(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.costs.iter().map(|one| {
        let emulated = if one.emulated { " (emulated)" } else { "" };
        let outage = one.outage.map_or_else(
            || "not measured".to_owned(),
            |outage| figures::interval(outage.at_least_ms, outage.at_most_ms),
        );
        let tolerated = match one.tolerated {
            Some(true) => "within it",
            Some(false) => "LONGER",
            None => "cannot be told",
        };
        vec![
            text(&one.function),
            code(&format!("{} on {}{emulated}", one.scenario, one.environment)),
            text(outage),
            text(super::summary::range(one.at_least.as_ref(), one.at_most.as_ref())),
            text(if one.hypothetical { "would have" } else { "yes" }),
            text(format!("{}: {tolerated}", figures::at_most(one.tolerable_ms))),
        ]
    });
    let columns = ["Function", "Drill", "Outage", "Cost", "Incurred", "Tolerable"];
    let none = "No drill of this quarter touched a business function.";
    section("costs", "Cost of downtime", &columns, rows.collect(), none)
}

fn next(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.next.iter().map(|one| {
        let overdue = if one.overdue { " (OVERDUE)" } else { "" };
        vec![
            text(format!("{}{overdue}", one.on)),
            code(&one.scenario),
            code(&one.environment),
            text(one.class.word()),
            text(&one.owner),
            text(&one.because),
        ]
    });
    let columns = ["On", "Scenario", "Environment", "Counts as", "Owner", "Why"];
    section("next", "Next test dates", &columns, rows.collect(), "Nothing is to be drilled.")
}

fn controls(quarter: &Quarter) -> Vec<Block> {
    let rows = quarter.controls.iter().map(|one| {
        let status = match one.status {
            ControlStatus::Supported => "supported",
            ControlStatus::Partly => "partly",
            ControlStatus::Unsupported => "NOT SUPPORTED",
        };
        let emulated = match (one.on_paper_only, one.emulated_only) {
            (true, _) => ", on paper alone",
            (_, true) => ", on emulated environments alone",
            _ => "",
        };
        let runs: Vec<String> =
            one.evidence.iter().map(|run| format!("{} ({})", run.run_id, run.on)).collect();
        vec![
            text(&one.framework),
            text(&one.control),
            text(&one.title),
            text(format!("{status}: {} of {}{emulated}", one.verified, one.cells)),
            code(&runs.join(", ")),
        ]
    });
    let columns = ["Framework", "Control", "Asks for", "Evidence in drills", "Runs"];
    let none = "The program maps no controls.";
    let mut blocks = section("controls", "Control map", &columns, rows.collect(), none);
    if !quarter.controls.is_empty() {
        blocks.push(Block::Text(
            "drdrill knows whether there are drills; whether they are enough, auditors say."
                .to_owned(),
        ));
    }
    blocks
}

fn plans(quarter: &Quarter) -> Vec<Block> {
    if quarter.plans.is_empty() {
        return Vec::new();
    }
    let rows = quarter.plans.iter().map(|one| {
        let last = one.last.as_ref().map_or_else(
            || "never".to_owned(),
            |run| format!("{} ({})", run.on, run.verdict.word()),
        );
        vec![
            text(if one.title.is_empty() { &one.name } else { &one.title }),
            text(&one.version),
            text(one.since),
            text(&one.owner),
            code(&one.kept),
            text(last),
        ]
    });
    let columns = ["Plan", "Version", "Since", "Owner", "Kept", "This version tested last"];
    section("plans", "Plans", &columns, rows.collect(), "")
}

fn gaps(quarter: &Quarter) -> Vec<Block> {
    if quarter.gaps.is_empty() {
        return Vec::new();
    }
    vec![
        heading("gaps", "What could not be read"),
        Block::Text("The figures of this report are without it.".to_owned()),
        Block::List(quarter.gaps.clone()),
    ]
}

fn evidence(quarter: &Quarter) -> Vec<Block> {
    let worth = |state: EvidenceState| match state {
        EvidenceState::Proven => "whole, signed by a known key",
        EvidenceState::SignedByStranger => "whole, signed by a key that nobody vouched for",
        EvidenceState::Unsigned => "whole, not signed",
        EvidenceState::Damaged => "DAMAGED",
        EvidenceState::RecordAlone => "a record, and nothing that would prove it",
        EvidenceState::NotChecked => "not checked",
    };
    let rows = quarter.drills.iter().map(|drill| {
        vec![code(&drill.run_id), text(worth(drill.evidence)), code(&drill.scenario_sha256)]
    });
    let columns = ["Run", "Evidence", "SHA-256 of its scenario"];
    let mut blocks = section(
        "verify",
        "How to verify the evidence",
        &columns,
        rows.collect(),
        "There is none of this quarter.",
    );
    blocks.push(Block::Text(
        "Each run has a directory of its own. `drdrill verify RUN` checks it; without drdrill, inside that directory:".to_owned(),
    ));
    blocks.push(Block::Commands(VERIFY_BY_HAND.map(str::to_owned).to_vec()));
    blocks.push(Block::Text(
        "The first compares every file with its digest; the second checks who signed the list of digests. Anybody can make \
         a key: compare the fingerprint that the second prints with one that you got by another way. This report \
         is made of those directories and can be made again from them. What it says it does not prove by itself; that it is \
         what drdrill wrote, a signature beside its file does (REPORT.sig): `drdrill verify REPORT`, or"
            .to_owned(),
    ));
    blocks.push(Block::Commands(vec![VERIFY_REPORT_BY_HAND.to_owned()]));
    blocks.push(Block::Text(format!(
        "All of it, with these runs, in one archive that is verified without anything else: `drdrill bundle {}`.",
        quarter.period.quarter
    )));
    blocks
}

fn sign_off(quarter: &Quarter) -> Vec<Block> {
    let owner = &quarter.program.owner;
    let owner = if owner.is_empty() {
        "Owner of the program".to_owned()
    } else {
        format!("Owner of the program ({owner})")
    };
    let roles =
        [owner.as_str(), "Head of IT or operations", "Management", "Reviewer: evidence verified"];
    let rows = roles.map(|role| vec![text(role), Cell::Blank, Cell::Blank, Cell::Blank]).to_vec();
    let mut blocks = vec![heading("sign-off", "Sign-off")];
    let facts = &quarter.program;
    if !facts.objectives.is_empty() {
        blocks.push(Block::Text("What the program is to show:".to_owned()));
        blocks.push(Block::List(facts.objectives.clone()));
    }
    if !facts.assumptions.is_empty() {
        blocks.push(Block::Text("What it takes for granted:".to_owned()));
        blocks.push(Block::List(facts.assumptions.clone()));
    }
    blocks.push(Block::Table(Table::new("Sign-off", &["Who", "Name", "Date", "Signature"], rows)));
    blocks
}
