//! What all of it comes to, and the counts for whoever reads one page.

use chrono::TimeDelta;
use drdrill_core::checker::Severity;
use drdrill_core::program::{Class, Date};
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::coverage::{self, Cell};
use super::drills::DrillLine;
use super::{CutOff, EvidenceState, Inputs, Period};
use crate::figures;
use crate::findings::{Finding, Status};

/// What the quarter comes to.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Standing {
    /// In a word.
    pub verdict: StandingVerdict,
    /// Why, a sentence each.
    pub because: Vec<String>,
}

/// What a quarter comes to, in a word.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StandingVerdict {
    /// All that the program asks for is verified and in time, on real environments, and nothing is open.
    Met,
    /// The same, but for what was accepted, excluded, emulated or is open without being critical.
    MetWithConditions,
    /// Something is not verified, or not any more, or overdue: it cannot be told.
    Inconclusive,
    /// Something failed, was left in place, or a critical finding is open.
    NotMet,
}

impl StandingVerdict {
    /// The verdict in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetWithConditions => "met with conditions",
            Self::Inconclusive => "inconclusive",
            Self::NotMet => "not met",
        }
    }
}

/// Counts for whoever reads one page.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize)]
pub struct Facts {
    /// What the program asks for: scenario × service × environment, without what is excluded.
    pub asked: u64,
    /// Of that, verified and in time.
    pub verified_in_time: u64,
    /// Of those, by a drill: what was walked through on paper is not among them.
    pub proved_in_time: u64,
    /// Of those, on an emulated environment alone.
    pub proved_in_time_emulated: u64,
    /// Verified and in time by nothing but walking through it on paper: no drill of the same proves it.
    pub on_paper_alone: u64,
    /// Verified.
    pub verified: u64,
    /// No longer verified.
    pub not_verified: u64,
    /// Could not be told.
    pub unknown: u64,
    /// Failed.
    pub failed: u64,
    /// Never tested.
    pub never_tested: u64,
    /// Should have been drilled before.
    pub overdue: u64,
    /// Verified on an emulated environment.
    pub verified_on_emulated: u64,
    /// Excluded, and not among those that are asked for.
    pub excluded: u64,
    /// Drills of the quarter; exercises, experiments, what must fail and what was cut off are not among them.
    pub drills: u64,
    /// Of those, passed.
    pub drills_passed: u64,
    /// Of those, failed.
    pub drills_failed: u64,
    /// Of those, could not tell.
    pub drills_unknown: u64,
    /// Exercises of the quarter.
    pub exercises: u64,
    /// Runs that were cut off, without experiments and what must fail.
    pub cut_off: u64,
    /// Runs whose record or evidence cannot be believed, without experiments and what must fail.
    pub damaged: u64,
    /// Runs, of any time, that left no record, of which it is not known what was drilled, and which may have been later than the
    /// last drill of something that is asked for.
    pub unreadable: u64,
    /// Verified by a drill whose evidence is not proven: it is not signed by a known key.
    pub doubted: u64,
    /// Risks of the program that were accepted until a day that has passed.
    pub risks_expired: u64,
    /// Runs of scenarios that must fail.
    pub must_fail: u64,
    /// Runs with settings of their own, which count nowhere.
    pub experiments: u64,
    /// Runs that came from other machines.
    pub imported: u64,
    /// Faults that could not be taken back.
    pub leftovers: u64,
    /// Findings that are open of what is not in the program. They are among none of the following.
    pub findings_outside: u64,
    /// Findings that are open of what the program asks for.
    pub findings_open: u64,
    /// Of those, critical.
    pub findings_critical: u64,
    /// Of those, past the day on which they were to be over.
    pub findings_overdue: u64,
    /// Of those, without an owner.
    pub findings_unowned: u64,
    /// Findings that somebody accepted.
    pub findings_accepted: u64,
    /// Findings that were opened in the quarter.
    pub findings_opened: u64,
    /// Findings that were closed in the quarter.
    pub findings_closed: u64,
    /// Of those that are open, came back after they had been closed.
    pub findings_repeated: u64,
}

/// A risk that somebody has accepted: in the program, or of a finding.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct AcceptedRiskLine {
    /// What may happen.
    pub risk: String,
    /// Why it is accepted.
    pub because: String,
    /// Who accepted it.
    pub by: String,
    /// When.
    pub on: Date,
    /// Until when.
    pub until: Date,
    /// Whether that still holds.
    pub holds: bool,
    /// The finding it is about; absent where the program says it.
    pub finding: Option<String>,
}

/// What is not drilled, on purpose.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct ExclusionLine {
    /// The scenario; all when absent.
    pub scenario: Option<String>,
    /// The environment; all when absent.
    pub environment: Option<String>,
    /// The service; all when absent.
    pub service: Option<String>,
    /// Why.
    pub because: String,
    /// Who decided it.
    pub by: String,
    /// Until when.
    pub until: Date,
    /// Whether that still holds.
    pub holds: bool,
}

pub(super) fn facts(
    inputs: &Inputs<'_>,
    cells: &[Cell],
    drills: &[DrillLine],
    cut_off: &[CutOff],
    findings: &[Finding],
    period: &Period,
    asked_for: impl Fn(&Finding) -> bool,
) -> Facts {
    let count = |number: usize| number as u64;
    let asked = || cells.iter().filter(|cell| cell.status != coverage::Status::Excluded);
    let of = |status| count(asked().filter(|cell| cell.status == status).count());
    let counting = || drills.iter().filter(|one| !one.must_fail && one.settings.is_empty());
    let real = || counting().filter(|one| one.kind != Kind::Tabletop);
    let with = |verdict| count(real().filter(|one| one.verdict == verdict).count());
    let (findings, outside): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|one| asked_for(one));
    let is_open = |one: &&&Finding| one.status == Status::Open;
    let open = || findings.iter().filter(is_open);
    let in_quarter = |at: chrono::DateTime<chrono::Utc>| period.has(Date(at.date_naive()));
    let verified = |cell: &&Cell| cell.status == coverage::Status::Verified;
    let proved =
        || asked().filter(verified).filter(|cell| !cell.overdue && cell.class != Class::Tabletop);
    let of_quarter = |damaged: bool| {
        let mine = |run: &&CutOff| run.counts != Some(false) && run.unreadable.is_some() == damaged;
        count(cut_off.iter().filter(mine).count())
    };
    Facts {
        asked: count(asked().count()),
        verified_in_time: count(asked().filter(verified).filter(|cell| !cell.overdue).count()),
        proved_in_time: count(proved().count()),
        proved_in_time_emulated: count(proved().filter(|cell| cell.emulated).count()),
        verified: of(coverage::Status::Verified),
        not_verified: of(coverage::Status::NotVerified),
        unknown: of(coverage::Status::Unknown),
        failed: of(coverage::Status::Failed),
        never_tested: of(coverage::Status::NeverTested),
        overdue: count(asked().filter(|cell| cell.overdue).count()),
        verified_on_emulated: count(asked().filter(verified).filter(|cell| cell.emulated).count()),
        excluded: count(cells.len()) - count(asked().count()),
        drills: count(real().count()),
        drills_passed: with(Verdict::Pass),
        drills_failed: with(Verdict::Fail),
        drills_unknown: with(Verdict::Unknown),
        exercises: count(counting().filter(|one| one.kind == Kind::Tabletop).count()),
        on_paper_alone: count(
            asked()
                .filter(verified)
                .filter(|cell| !cell.overdue && cell.class == Class::Tabletop)
                .filter(|paper| !proved().any(|drill| is_of_same(paper, drill)))
                .count(),
        ),
        cut_off: of_quarter(false),
        damaged: of_quarter(true),
        unreadable: count(
            inputs.cut_off.iter().filter(|run| may_be_of_any(inputs, asked, run, period)).count(),
        ),
        doubted: count(
            asked()
                .filter(verified)
                .filter(|cell| cell.evidence != Some(EvidenceState::Proven))
                .count(),
        ),
        risks_expired: count(
            inputs.program.accepted_risks.iter().filter(|risk| risk.until < period.as_of).count(),
        ),
        must_fail: count(drills.iter().filter(|one| one.must_fail).count()),
        experiments: count(
            drills.iter().filter(|one| !one.must_fail && !one.settings.is_empty()).count(),
        ),
        imported: count(drills.iter().filter(|one| one.imported).count()),
        leftovers: drills.iter().map(|one| one.leftovers).sum(),
        findings_outside: count(outside.iter().filter(is_open).count()),
        findings_open: count(open().count()),
        findings_critical: count(open().filter(|one| one.severity == Severity::Critical).count()),
        findings_overdue: count(open().filter(|one| one.overdue).count()),
        findings_unowned: count(open().filter(|one| one.owner.is_none()).count()),
        findings_accepted: count(
            findings.iter().filter(|one| one.status == Status::Accepted).count(),
        ),
        findings_opened: count(findings.iter().filter(|one| in_quarter(one.opened)).count()),
        findings_closed: count(
            findings
                .iter()
                .filter(|one| one.closed.as_ref().is_some_and(|by| in_quarter(by.at)))
                .count(),
        ),
        findings_repeated: count(open().filter(|one| one.repeats.is_some()).count()),
    }
}

fn is_of_same(one: &Cell, other: &Cell) -> bool {
    (&one.scenario, &one.environment, &one.service)
        == (&other.scenario, &other.environment, &other.service)
}

/// Whether a run without a record, of which nobody knows what was drilled, may have been the last drill of something.
fn may_be_of_any<'a, I: Iterator<Item = &'a Cell>>(
    inputs: &Inputs<'_>,
    asked: impl Fn() -> I,
    run: &CutOff,
    period: &Period,
) -> bool {
    if run.scenario.is_some() {
        return false;
    }
    let Some(at) = run.started else { return true };
    // Its id is all that says when it was, to the second: it may have been at the end of that.
    let latest = at + TimeDelta::seconds(1);
    let began = |id: &str| inputs.rows.iter().find(|row| row.run_id == id).map(|row| row.started);
    let before = |cell: &Cell| {
        let last = cell.last.as_ref().and_then(|last| began(&last.run_id));
        last.is_none_or(|last| last < latest)
    };
    Date(at.date_naive()) <= period.as_of && asked().any(before)
}

/// What speaks against each verdict that is better, the gravest first.
fn reasons(
    facts: &Facts,
    accepted: &[AcceptedRiskLine],
) -> [(StandingVerdict, Vec<Option<String>>); 3] {
    // What the program asks for is that so many recoveries are proved: a scenario, for a service, on an environment.
    let recoveries = |number: u64, one: &str, many: &str| {
        let of = figures::counted(facts.asked, "recovery", "recoveries");
        let what = if number == 1 { one } else { many };
        (number > 0).then(|| format!("{} of {of} {what}", figures::count(number)))
    };
    let some = |number: u64, one: &str, many: &str| {
        (number > 0).then(|| figures::counted(number, one, many))
    };
    let risks = accepted.iter().filter(|risk| risk.holds).count() as u64;
    [
        (
            StandingVerdict::NotMet,
            vec![
                recoveries(
                    facts.failed,
                    "failed when it was last drilled",
                    "failed when they were last drilled",
                ),
                some(
                    facts.leftovers,
                    "fault could not be taken back",
                    "faults could not be taken back",
                ),
                some(
                    facts.findings_critical,
                    "critical finding is open",
                    "critical findings are open",
                ),
            ],
        ),
        (
            StandingVerdict::Inconclusive,
            vec![
                (facts.asked == 0).then(|| "nothing is asked for, so nothing was shown".to_owned()),
                recoveries(facts.never_tested, "was never drilled", "were never drilled"),
                recoveries(
                    facts.not_verified,
                    "worked, but something has changed since",
                    "worked, but something has changed since",
                ),
                recoveries(
                    facts.unknown,
                    "was drilled without a clear result",
                    "were drilled without a clear result",
                ),
                some(
                    facts.unreadable,
                    "run left no record that can be read, and nobody knows of which drill it was",
                    "runs left no record that can be read, and nobody knows of which drills they were",
                ),
                recoveries(facts.overdue, "is overdue for a drill", "are overdue for a drill"),
            ],
        ),
        (
            StandingVerdict::MetWithConditions,
            vec![
                recoveries(
                    facts.verified_on_emulated,
                    "is proved on an emulated environment alone",
                    "are proved on emulated environments alone",
                ),
                recoveries(
                    facts.doubted,
                    "is proved by evidence that is not signed by a known key",
                    "are proved by evidence that is not signed by a known key",
                ),
                recoveries(
                    facts.on_paper_alone,
                    "was walked through on paper alone, where nothing is tried",
                    "were walked through on paper alone, where nothing is tried",
                ),
                some(facts.findings_open, "finding is open", "findings are open"),
                some(
                    facts.findings_outside,
                    "finding is open of what is not in the program",
                    "findings are open of what is not in the program",
                ),
                some(risks, "risk was accepted", "risks were accepted"),
                some(
                    facts.risks_expired,
                    "risk of the program is accepted by nobody any more",
                    "risks of the program are accepted by nobody any more",
                ),
                some(
                    facts.excluded,
                    "recovery is left out on purpose",
                    "recoveries are left out on purpose",
                ),
            ],
        ),
    ]
}

pub(super) fn standing(facts: &Facts, accepted: &[AcceptedRiskLine]) -> Standing {
    let mut because = Vec::new();
    let mut verdict = StandingVerdict::Met;
    for (level, reasons) in reasons(facts, accepted) {
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        if !reasons.is_empty() && verdict == StandingVerdict::Met {
            verdict = level;
        }
        because.extend(reasons);
    }
    if verdict == StandingVerdict::Met {
        because.push(format!(
            "{} of {} proved in time{}",
            figures::count(facts.proved_in_time),
            figures::counted(facts.asked, "recovery", "recoveries"),
            match facts.verified_in_time - facts.proved_in_time {
                0 => String::new(),
                1 => ", and 1 walked through on paper beside it".to_owned(),
                paper =>
                    format!(", and {} walked through on paper beside it", figures::count(paper)),
            }
        ));
    }
    Standing { verdict, because }
}

pub(super) fn accepted(
    inputs: &Inputs<'_>,
    findings: &[Finding],
    as_of: Date,
) -> Vec<AcceptedRiskLine> {
    let of_program = inputs.program.accepted_risks.iter().map(|one| AcceptedRiskLine {
        risk: one.risk.clone(),
        because: one.because.clone(),
        by: one.by.clone(),
        on: one.on,
        until: one.until,
        holds: (one.on..=one.until).contains(&as_of),
        finding: None,
    });
    let of_findings =
        findings.iter().filter(|one| one.status != Status::Closed).filter_map(|one| {
            let accepted = one.accepted.as_ref()?;
            Some(AcceptedRiskLine {
                risk: one.seen.first().cloned().unwrap_or_else(|| one.key.clone()),
                because: accepted.because.clone(),
                by: accepted.by.clone(),
                on: accepted.on,
                until: accepted.until,
                holds: accepted.holds,
                finding: Some(one.id.clone()),
            })
        });
    of_program.chain(of_findings).collect()
}

pub(super) fn exclusions(inputs: &Inputs<'_>, as_of: Date) -> Vec<ExclusionLine> {
    let all = inputs.program.exclusions.iter().map(|one| ExclusionLine {
        scenario: one.scenario.clone(),
        environment: one.environment.clone(),
        service: one.service.clone(),
        because: one.because.clone(),
        by: one.by.clone(),
        until: one.until,
        holds: one.until >= as_of,
    });
    all.collect()
}
