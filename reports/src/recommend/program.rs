//! Rules about a drill program, over the history: what was never drilled, what shows nothing any more, what gets worse.

use drdrill_core::checker::Severity;
use drdrill_core::event::StepOutcome;
use drdrill_core::record::Recommendation;

use super::Advice;
use crate::figures;
use crate::findings::{Finding, Status as FindingStatus};
use crate::quarter::Quarter;
use crate::quarter::coverage::{self, Cell, Status};
use crate::quarter::drills::RestoreLine;
use crate::quarter::trends::{Point, Trend};

/// A rule over a quarter.
#[derive(Clone, Copy, Debug)]
pub struct ProgramRule {
    /// Its id, in reports.
    pub id: &'static str,
    /// When it applies, in a sentence.
    pub when: &'static str,
    /// Looks at a quarter; one advice for each thing that it applies to.
    pub advise: fn(&Quarter) -> Vec<Advice>,
}

/// A target met with more than this factor to spare is paid for and not needed.
const ROOM: f64 = 10.0;
/// So many drills must have met it.
const DRILLS_FOR_ROOM: u64 = 3;

/// All rules, the most urgent first.
pub const RULES: &[ProgramRule] = &[
    ProgramRule {
        id: "finding_repeats",
        when: "a finding came back after a drill had passed without it",
        advise: repeats,
    },
    ProgramRule {
        id: "critical_finding_unowned",
        when: "a critical finding is open and nobody sees to it",
        advise: unowned,
    },
    ProgramRule {
        id: "backups_failed",
        when: "the last drill of a scenario that restores found no backup to use, or what it restored did not hold together",
        advise: backups_failed,
    },
    ProgramRule {
        id: "never_drilled",
        when: "the program asks for a drill that never was",
        advise: never,
    },
    ProgramRule {
        id: "stale_evidence",
        when: "the last drill passed on something that is not there any more",
        advise: stale,
    },
    ProgramRule { id: "overdue", when: "a drill is overdue", advise: overdue },
    ProgramRule {
        id: "backups_untested",
        when: "there were drills, and none of them restored anything from a backup",
        advise: backups_untested,
    },
    ProgramRule {
        id: "recovery_gets_slower",
        when: "every recovery of a quarter took longer than every one of the quarter before that had drills",
        advise: slower,
    },
    ProgramRule {
        id: "targets_have_room",
        when: "three drills or more all met the recovery time objective with more than ten times to spare",
        advise: room,
    },
    ProgramRule {
        id: "impact_unknown",
        when: "nobody said what an outage of a business function costs",
        advise: impact,
    },
];

/// What to do about a quarter, the most urgent first.
#[must_use]
pub fn recommend_for(quarter: &Quarter) -> Vec<Recommendation> {
    let of_rule = |rule: &ProgramRule| {
        let advice = (rule.advise)(quarter).into_iter();
        let rule = rule.id;
        advice.map(move |advice| Recommendation {
            rule: rule.to_owned(),
            text: advice.text,
            evidence: advice.evidence,
        })
    };
    RULES.iter().flat_map(of_rule).collect()
}

/// Findings that are open and like that: those of the program one by one, in one sentence each; the others are counted.
fn open(quarter: &Quarter, is: impl Fn(&Finding) -> bool) -> (Vec<&Finding>, Option<String>) {
    let open = quarter.findings.iter().filter(|one| one.status == FindingStatus::Open && is(one));
    let (inside, outside): (Vec<&Finding>, Vec<&Finding>) = open.partition(|one| {
        coverage::has(&quarter.coverage, &one.scenario, &one.environment, one.tabletop)
    });
    let others = (!outside.is_empty()).then(|| {
        let others = figures::counted(outside.len() as u64, "finding", "findings");
        format!("{others} more of what is not in the program (drdrill finding list)")
    });
    (inside, others)
}

/// What a finding saw first.
fn seen(finding: &Finding) -> &str {
    finding.seen.first().map_or("nothing is said of it", String::as_str)
}

fn repeats(quarter: &Quarter) -> Vec<Advice> {
    let (back, others) = open(quarter, |one| one.repeats.is_some());
    let line = |one: &&Finding| {
        let before = one.repeats.as_deref().unwrap_or_default();
        let (scenario, environment) = (&one.scenario, &one.environment);
        format!("{} repeats {before}: {scenario} on {environment}: {}", one.id, seen(one))
    };
    let found: Vec<String> = back.iter().map(line).chain(others).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let text = "Look for the cause of what came back: what was done about it did not last.";
    vec![Advice::new(text, found)]
}

fn unowned(quarter: &Quarter) -> Vec<Advice> {
    let (unowned, others) =
        open(quarter, |one| one.severity == Severity::Critical && one.owner.is_none());
    let line = |one: &&Finding| {
        format!("{}: {} on {}: {}", one.id, one.scenario, one.environment, seen(one))
    };
    let found: Vec<String> = unowned.iter().map(line).chain(others).collect();
    if found.is_empty() {
        return Vec::new();
    }
    let text = "Give critical findings an owner and a date (drdrill finding assign, due).";
    vec![Advice::new(text, found)]
}

fn backups_failed(quarter: &Quarter) -> Vec<Advice> {
    let mut last: Vec<&RestoreLine> = Vec::new();
    for line in &quarter.restores {
        last.retain(|one| (&one.scenario, &one.environment) != (&line.scenario, &line.environment));
        last.push(line);
    }
    let failed = |line: &&RestoreLine| {
        [line.verified, line.restored, line.consistent].contains(&Some(StepOutcome::Failed))
    };
    let found: Vec<String> = last
        .into_iter()
        .filter(failed)
        .map(|line| {
            format!(
                "{} on {}, run {}: {}",
                line.scenario, line.environment, line.run_id, line.detail
            )
        })
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let text = "Mend the backups before anything else is drilled with them: what cannot be restored is no backup.";
    vec![Advice::new(text, found)]
}

fn backups_untested(quarter: &Quarter) -> Vec<Advice> {
    let restored = quarter.restores.iter().any(|line| line.restored == Some(StepOutcome::Done));
    // Of a drill whose record cannot be read nobody knows.
    let unknown = quarter.drills.iter().any(|drill| drill.reasons.is_none());
    if restored || unknown || quarter.facts.drills == 0 {
        return Vec::new();
    }
    let text = "Drill a restore from backups (data_corruption, accidental_deletion, cyber_attack_simulation): replication \
                carries a damage to every site.";
    let drills = figures::counted(quarter.facts.drills, "drill", "drills");
    vec![Advice::new(text, [format!("{drills} in the quarter, none with a restore")])]
}

/// A cell in words.
fn name(cell: &Cell) -> String {
    format!("{} on {} ({}, {})", cell.scenario, cell.environment, cell.service, cell.class.word())
}

fn of_cells(quarter: &Quarter, is: fn(&Cell) -> bool, text: &str) -> Vec<Advice> {
    let cells = quarter.coverage.iter().filter(|cell| is(cell));
    let found: Vec<String> =
        cells.map(|cell| format!("{}: {}", name(cell), cell.because.join("; "))).collect();
    // One advice for all: a program that has just begun would drown the rest.
    if found.is_empty() { Vec::new() } else { vec![Advice::new(text, found)] }
}

fn never(quarter: &Quarter) -> Vec<Advice> {
    let text =
        "Drill what was never drilled, the most critical tier first: nothing is known of it.";
    of_cells(quarter, |cell| cell.status == Status::NeverTested, text)
}

fn stale(quarter: &Quarter) -> Vec<Advice> {
    let text = "Drill again what has changed since it passed: its evidence is of something else.";
    of_cells(quarter, |cell| cell.status == Status::NotVerified, text)
}

fn overdue(quarter: &Quarter) -> Vec<Advice> {
    let late: Vec<String> = quarter
        .coverage
        .iter()
        .filter(|cell| cell.overdue && cell.status != Status::NeverTested)
        .filter_map(|cell| {
            let last = cell.last.as_ref()?;
            Some(format!("{}: last on {}, every {} days", name(cell), last.on, cell.every_days))
        })
        .collect();
    if late.is_empty() {
        return Vec::new();
    }
    vec![Advice::new("Repeat what is overdue, or say in the program that it may wait.", late)]
}

fn slower(quarter: &Quarter) -> Vec<Advice> {
    let advise = |trend: &Trend| {
        let drilled: Vec<&Point> = trend.quarters.iter().filter(|point| point.rto.n > 0).collect();
        let [.., before, now] = drilled.as_slice() else { return None };
        if now.quarter != quarter.period.quarter {
            return None;
        }
        // Nothing that overlaps: a few drills scatter.
        let slowest_before = before.rto.max_ms?;
        let fastest_now = now.rto.min_ms?;
        if fastest_now <= slowest_before {
            return None;
        }
        let text = format!(
            "{} recovers more slowly than before in {} on {}: find out what changed.",
            trend.service, trend.scenario, trend.environment
        );
        let figure = |point: &Point| {
            let median = point.rto.median_ms.map_or_else(|| "none".to_owned(), figures::duration);
            let drills = figures::counted(point.rto.n, "drill", "drills");
            format!("{}: {drills}, median {median}", point.quarter)
        };
        Some(Advice::new(text, [figure(before), figure(now)]))
    };
    quarter.trends.iter().filter_map(advise).collect()
}

fn room(quarter: &Quarter) -> Vec<Advice> {
    let advise = |trend: &Trend| {
        // Of an emulated environment a time says nothing about a target.
        if trend.emulated || trend.claim.is_none_or(|claim| claim.n < DRILLS_FOR_ROOM) {
            return None;
        }
        let slowest = trend.quarters.iter().filter_map(|point| point.rto.max_ms);
        let slowest = slowest.max_by(f64::total_cmp).filter(|ms| *ms > 0.0)?;
        let targets = trend.quarters.iter().filter_map(|point| point.rto_target_ms);
        let target = targets.min_by(f64::total_cmp)?;
        if target <= ROOM * slowest {
            return None;
        }
        let text = format!(
            "{} recovers far faster in {} on {} than it has to: tighten the target, or choose a cheaper strategy.",
            trend.service, trend.scenario, trend.environment
        );
        let n = trend.claim.map_or(0, |claim| claim.n);
        let figure = format!(
            "{}: the slowest took {}, target {}",
            figures::counted(n, "drill", "drills"),
            figures::duration(slowest),
            figures::at_most(Some(target))
        );
        Some(Advice::new(text, [figure]))
    };
    quarter.trends.iter().filter_map(advise).collect()
}

fn impact(quarter: &Quarter) -> Vec<Advice> {
    let unknown: Vec<String> = quarter
        .program
        .functions
        .iter()
        .filter(|function| function.impact_reference.is_none())
        .map(|function| format!("{}: no impact in the program", function.name))
        .collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    let text =
        "Ask the owners what an outage costs: without that nobody can say what a target is worth.";
    vec![Advice::new(text, unknown)]
}
