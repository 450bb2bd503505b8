//! Scenario × service × environment: what is verified, and what is not any more.

use drdrill_core::inventory::ServiceFacts;
use drdrill_core::program::{Class, Date, DrillEntry, Every, ServiceEntry};
use drdrill_core::record::{Rlo, Rto};
use drdrill_core::scenario::{Kind, Targets};
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::{CutOff, EvidenceState, Inputs, Period, PresentDrill, PresentPlace, RunRef, day_of};
use crate::figures;
use crate::history::{RpoRow, RunRow, ServiceRow};

/// What the program asks for: that a scenario is drilled for a service on an environment.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Cell {
    /// The scenario.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// Its tier.
    pub tier: u8,
    /// What it counts as.
    pub class: Class,
    /// Who sees to it.
    pub owner: String,
    /// Whether the environment only imitates the real thing: figures from there say nothing about real ones.
    pub emulated: bool,
    /// Whether real users depend on the environment.
    pub production: bool,
    /// Where it stands.
    pub status: Status,
    /// Why it stands there, a sentence each.
    pub because: Vec<String>,
    /// Whether it should have been drilled (again) before.
    pub overdue: bool,
    /// Days from one drill to the next.
    pub every_days: u32,
    /// When it is to be drilled next; absent when it is excluded.
    pub next: Option<Date>,
    /// The last drill.
    pub last: Option<RunRef>,
    /// The last drill that passed.
    pub last_pass: Option<RunRef>,
    /// What the evidence of that is worth.
    pub evidence: Option<EvidenceState>,
    /// What the last drill achieved; absent when it never was or nothing was measured, as in an exercise.
    pub achieved: Option<Achieved>,
}

/// Where a cell stands.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The last drill passed, and what it passed on is what is there today.
    Verified,
    /// The last drill passed, and something has changed since, or it shows less than the program asks for.
    NotVerified,
    /// The last drill could not tell.
    Unknown,
    /// The last drill failed.
    Failed,
    /// There was none.
    NeverTested,
    /// It is not drilled, on purpose.
    Excluded,
}

impl Status {
    /// The status in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NotVerified => "not verified",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::NeverTested => "never tested",
            Self::Excluded => "excluded",
        }
    }
}

/// What a drill achieved for a service.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Achieved {
    /// Recovery time.
    pub rto: Rto,
    /// Recovery point; absent when nothing was written.
    pub rpo: Option<AchievedRpo>,
    /// Recovery level.
    pub rlo: Rlo,
}

/// What a drill achieved as a recovery point.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
pub struct AchievedRpo {
    /// The objective, in milliseconds.
    pub target_ms: Option<f64>,
    /// Age at the fault of the first lost write, not shorter than this; absent when not measured.
    pub at_least_ms: Option<f64>,
    /// Not longer than this.
    pub at_most_ms: Option<f64>,
    /// Against the objective.
    pub verdict: Verdict,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Of those, lost; absent when it is not known.
    pub lost: Option<u64>,
    /// Of those lost, acknowledged after the fault, which is no part of the recovery point.
    pub lost_after_fault: Option<u64>,
}

impl Achieved {
    pub(super) fn of(service: &ServiceRow) -> Self {
        Self { rto: service.rto, rpo: service.rpo.as_ref().map(AchievedRpo::of), rlo: service.rlo }
    }
}

impl AchievedRpo {
    fn of(rpo: &RpoRow) -> Self {
        Self {
            target_ms: rpo.target_ms,
            at_least_ms: rpo.at_least_ms,
            at_most_ms: rpo.at_most_ms,
            verdict: rpo.verdict,
            acknowledged: rpo.acknowledged,
            lost: rpo.is_measured().then_some(rpo.lost),
            lost_after_fault: rpo.is_measured().then_some(rpo.lost_after_fault),
        }
    }
}

/// What was drilled and is not in the program.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Outside {
    /// The scenario.
    pub scenario: String,
    /// The environment.
    pub environment: String,
    /// Whether it was walked through, and not drilled.
    pub tabletop: bool,
    /// How many runs there were within a year.
    pub runs: u64,
    /// The last one.
    pub last: RunRef,
}

/// When something is to be drilled next.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Due {
    /// The day.
    pub on: Date,
    /// Whether that day has passed.
    pub overdue: bool,
    /// The scenario.
    pub scenario: String,
    /// The environment.
    pub environment: String,
    /// What it counts as.
    pub class: Class,
    /// Who sees to it.
    pub owner: String,
    /// What for.
    pub because: String,
}

/// Looks at everything that the program asks for, in its order.
pub(super) fn coverage(inputs: &Inputs<'_>, period: &Period) -> Vec<Cell> {
    let mut rows: Vec<&RunRow> =
        inputs.rows.iter().filter(|row| was_drilled(row, period)).collect();
    rows.sort_by(|a, b| (a.started, &a.run_id).cmp(&(b.started, &b.run_id)));
    let mut cells = Vec::new();
    for (entry, present) in inputs.program.drills.iter().zip(inputs.present) {
        for (written, place) in entry.environments.iter().zip(&present.places) {
            let asked = Asked { inputs, period, entry, present, written, place };
            let wanted = |service: &&ServiceFacts| {
                entry.services.as_ref().is_none_or(|names| names.contains(&service.name))
            };
            let mine: Vec<&RunRow> =
                rows.iter().rev().copied().filter(|row| asked.is_of(row)).collect();
            cells.extend(place.services.iter().filter(wanted).map(|one| asked.cell(&mine, one)));
        }
    }
    cells
}

/// Whether a run had begun by then, and is none of those that must fail.
fn was_drilled(row: &RunRow, period: &Period) -> bool {
    !row.scenario.must_fail && day_of(row) <= period.as_of
}

/// What one drill of the program asks for on one environment.
struct Asked<'a> {
    inputs: &'a Inputs<'a>,
    period: &'a Period,
    entry: &'a DrillEntry,
    present: &'a PresentDrill,
    /// The environment, as it is written in the program.
    written: &'a str,
    place: &'a PresentPlace,
}

impl Asked<'_> {
    fn every(&self) -> Every {
        self.entry.every.unwrap_or_else(|| self.inputs.program.cadence.of(self.entry.class))
    }

    /// Whether a run is one of this drill.
    fn is_of(&self, row: &RunRow) -> bool {
        row.scenario.name == self.present.scenario
            && row.environment.name == self.place.environment
            && (row.kind == Kind::Tabletop) == (self.entry.class == Class::Tabletop)
    }

    /// What stands in the cell of a service; `rows` are the runs of this drill, the newest first.
    fn cell(&self, rows: &[&RunRow], service: &ServiceFacts) -> Cell {
        let of_service = |row: &RunRow| row.services.iter().any(|one| one.name == service.name);
        let mine = rows.iter().filter(|row| of_service(row));
        let (mine, experiments): (Vec<&RunRow>, Vec<&RunRow>) =
            mine.copied().partition(|row| row.counts());
        let last = mine.first().copied();
        let cut_off = self.cut_off_after(last);
        let last_pass = mine.iter().find(|row| row.verdict == Verdict::Pass).copied();
        let (status, mut because, next) = self.judge(last, cut_off, service);
        because.extend(
            last_pass.filter(|_| status == Status::Verified).and_then(|row| self.doubt(row)),
        );
        let later =
            experiments.first().filter(|row| last.is_none_or(|last| row.started > last.started));
        if let Some(row) = later {
            let (on, word, settings) =
                (day_of(row), row.verdict.word(), row.scenario.settings.join(", "));
            because.push(format!("a later run, on {on}, had settings of its own and does not count ({word}; {settings})"));
        }
        let overdue = status != Status::Excluded
            && match last {
                // Since when it is asked for, nobody says.
                None => true,
                Some(last) => self.due(last, cut_off) < self.period.as_of,
            };
        let entry = self.inputs.program.services.iter().find(|entry| entry.name == service.name);
        let measured = last.filter(|row| row.kind != Kind::Tabletop);
        let of_last =
            measured.and_then(|row| row.services.iter().find(|one| one.name == service.name));
        Cell {
            scenario: self.present.scenario.clone(),
            title: self.present.title.clone(),
            environment: self.place.environment.clone(),
            service: service.name.clone(),
            tier: entry.map_or(service.tier, |entry| entry.tier),
            class: self.entry.class,
            owner: self.entry.owner.clone(),
            emulated: self.place.emulated || last.is_some_and(|row| row.environment.emulated),
            production: self.place.production,
            status,
            because,
            overdue,
            every_days: self.every().days,
            next,
            last: last.map(RunRef::of),
            last_pass: last_pass.map(RunRef::of),
            evidence: last_pass.map(|row| self.evidence(row)),
            achieved: of_last.map(Achieved::of),
        }
    }

    /// The newest run of this drill that has no record and is later than the last one that has. It was one of all services.
    fn cut_off_after(&self, last: Option<&RunRow>) -> Option<(&CutOff, Date)> {
        let tabletop = self.entry.class == Class::Tabletop;
        let mine = |run: &&CutOff| {
            run.scenario.as_ref() == Some(&self.present.scenario)
                && run.environment.as_ref() == Some(&self.place.environment)
                && run.tabletop.is_none_or(|one| one == tabletop)
                && run.counts != Some(false)
        };
        let runs = self.inputs.cut_off.iter().filter(mine);
        let later = runs.filter_map(|run| {
            let at = run.started?;
            let day = Date(at.date_naive());
            let is = day <= self.period.as_of && last.is_none_or(|last| at > last.started);
            is.then_some((at, run, day))
        });
        later.max_by_key(|(at, ..)| *at).map(|(_, run, day)| (run, day))
    }

    fn evidence(&self, row: &RunRow) -> EvidenceState {
        self.inputs.evidence.get(&row.run_id).copied().unwrap_or(EvidenceState::NotChecked)
    }

    /// Why somebody may doubt a pass, though nothing is wrong with it.
    fn doubt(&self, pass: &RunRow) -> Option<String> {
        let why = match self.evidence(pass) {
            EvidenceState::Proven | EvidenceState::Damaged => return None,
            EvidenceState::SignedByStranger => "is signed by a key that nobody vouched for",
            EvidenceState::Unsigned => "is not signed",
            EvidenceState::RecordAlone => "is a record alone, which nothing proves",
            EvidenceState::NotChecked => "was not checked",
        };
        Some(format!("its evidence {why}"))
    }

    /// When it is due again, had nothing changed since the last one.
    fn due_after(&self, last: &RunRow) -> Date {
        let cadence = day_of(last).after(self.every());
        if last.verdict == Verdict::Pass {
            return cadence;
        }
        cadence.min(day_of(last).after(self.inputs.program.cadence.retest))
    }

    /// The same, had one been cut off after it: that one asks for another soon, and puts nothing off.
    fn due(&self, last: &RunRow, cut_off: Option<(&CutOff, Date)>) -> Date {
        let due = self.due_after(last);
        cut_off.map_or(due, |(_, day)| due.min(self.due_after_cut_off(day)))
    }

    fn due_after_cut_off(&self, day: Date) -> Date {
        day.after(self.inputs.program.cadence.retest).min(day.after(self.every()))
    }

    fn judge(
        &self,
        last: Option<&RunRow>,
        cut_off: Option<(&CutOff, Date)>,
        service: &ServiceFacts,
    ) -> (Status, Vec<String>, Option<Date>) {
        if let Some(because) = self.excluded(service) {
            return (Status::Excluded, vec![because], None);
        }
        let as_of = self.period.as_of;
        if let Some((run, day)) = cut_off {
            // It may have shown anything; what passed before is no longer the last word.
            let because = format!("the last drill, on {day}, {}", run.word());
            let retest = self.due_after_cut_off(day);
            let next = last.map_or(retest, |last| self.due(last, cut_off));
            return (Status::Unknown, vec![because], Some(next));
        }
        let Some(last) = last else {
            return (Status::NeverTested, vec!["it was never tested".to_owned()], Some(as_of));
        };
        let failed = |status, what: &str| {
            let first = last.problems.first().and_then(|problem| problem.seen.first());
            let why = first.map_or_else(String::new, |seen| format!(": {seen}"));
            let because = format!("the last drill, on {}, {what}{why}", day_of(last));
            (status, vec![because], Some(self.due_after(last)))
        };
        match last.verdict {
            Verdict::Fail => return failed(Status::Failed, "failed"),
            Verdict::Unknown => return failed(Status::Unknown, "could not tell"),
            Verdict::Pass => {}
        }
        let stale = self.stale(last, service);
        if stale.is_empty() {
            let because = format!("the last drill, on {}, passed", day_of(last));
            return (Status::Verified, vec![because], Some(self.due_after(last)));
        }
        (Status::NotVerified, stale, Some(as_of))
    }

    fn excluded(&self, service: &ServiceFacts) -> Option<String> {
        let mut all = self.inputs.program.exclusions.iter();
        let means =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|one| one == name);
        let one = all.find(|one| {
            one.until >= self.period.as_of
                && means(&one.scenario, &self.entry.scenario)
                && means(&one.environment, self.written)
                && means(&one.service, &service.name)
        })?;
        Some(format!("{} (decided by {}, until {})", one.because, one.by, one.until))
    }

    /// Why a pass shows nothing about what is there today.
    fn stale(&self, pass: &RunRow, service: &ServiceFacts) -> Vec<String> {
        let mut why = Vec::new();
        let mut say = |is: bool, text: String| {
            if is {
                why.push(text);
            }
        };
        let ran = &pass.scenario;
        say(ran.sha256 != self.present.sha256, "the scenario has changed since".to_owned());
        let definition = pass.environment.definition.as_deref();
        say(
            definition.is_some_and(|one| one != self.place.definition),
            "the environment has changed since".to_owned(),
        );
        say(
            definition.is_none(),
            "what the environment was then was not recorded, so it cannot be compared".to_owned(),
        );
        if let Some((name, sha256)) = &pass.runbook {
            let now = self.present.runbook_sha256.as_ref();
            say(
                now != Some(sha256),
                format!("the runbook {name} has changed since, or another one was followed"),
            );
        }
        let plans = &self.inputs.program.plans;
        let plan =
            self.entry.plan.as_ref().and_then(|name| plans.iter().find(|one| one.name == *name));
        if let Some(plan) = plan {
            let (name, version, since) = (&plan.name, &plan.version, plan.since);
            let before = since <= self.period.as_of && day_of(pass) < since;
            say(before, format!("version {version} of the plan {name} is in force since {since}"));
        }
        let Some(then) = pass.services.iter().find(|one| one.name == service.name) else {
            return why;
        };
        if pass.kind != Kind::Tabletop {
            why.extend(changed_targets(then, service.targets));
            let entry = self.inputs.program.services.iter().find(|one| one.name == service.name);
            why.extend(entry.into_iter().flat_map(|entry| not_shown(then, entry)));
        }
        why
    }
}

/// Objectives that are others today than in the drill.
fn changed_targets(then: &ServiceRow, now: Targets) -> Vec<String> {
    let ms = |span: drdrill_core::units::Span| span.0.as_secs_f64() * 1e3;
    let mut changed = Vec::new();
    let mut compare = |what: &str,
                       then: Option<f64>,
                       now: Option<f64>,
                       show: fn(Option<f64>) -> String| {
        let same = match (then, now) {
            (Some(then), Some(now)) => (then - now).abs() < 1e-6,
            (then, now) => then.is_none() && now.is_none(),
        };
        if !same {
            changed.push(format!("the {what} objective was {} and is {}", show(then), show(now)));
        }
    };
    compare("RTO", then.rto.target_ms, now.rto.map(ms), figures::at_most);
    if let Some(rpo) = &then.rpo {
        compare("RPO", rpo.target_ms, now.rpo.map(ms), figures::at_most);
    }
    compare(
        "RLO",
        then.rlo.target,
        now.rlo.map(drdrill_core::units::Share::ratio),
        figures::at_least,
    );
    changed
}

/// What the program asks of a service and a drill that passed did not show.
fn not_shown(then: &ServiceRow, asked: &ServiceEntry) -> Vec<String> {
    let ms = |span: drdrill_core::units::Span| span.0.as_secs_f64() * 1e3;
    let mut lacks = Vec::new();
    if let Some(target) = asked.targets.rto.map(ms)
        && then.rto.at_most_ms.is_none_or(|most| most > target)
    {
        let (asked, was) = (figures::at_most(Some(target)), figures::rto(&then.rto));
        lacks.push(format!("the program asks for a recovery time {asked}; it was {was}"));
    }
    if let Some(target) = asked.targets.rpo.map(ms) {
        let most = then.rpo.as_ref().and_then(|rpo| rpo.at_most_ms);
        if most.is_none_or(|most| most > target) {
            let asked = figures::at_most(Some(target));
            let was = most.map_or_else(
                || "not measured".to_owned(),
                |most| format!("up to {}", figures::duration(most)),
            );
            lacks.push(format!("the program asks for a recovery point {asked}; it was {was}"));
        }
    }
    if let Some(target) = asked.targets.rlo.map(drdrill_core::units::Share::ratio)
        && then.rlo.achieved.is_none_or(|achieved| achieved < target)
    {
        let (asked, was) = (figures::at_least(Some(target)), figures::rlo(&then.rlo));
        lacks.push(format!("the program asks for a recovery level {asked}; it was {was}"));
    }
    lacks
}

/// Whether the program asks for drills of a scenario on an environment, or for exercises.
pub(super) fn is_asked_for(
    inputs: &Inputs<'_>,
    scenario: &str,
    environment: &str,
    tabletop: bool,
) -> bool {
    inputs.program.drills.iter().zip(inputs.present).any(|(entry, present)| {
        present.scenario == scenario
            && (entry.class == Class::Tabletop) == tabletop
            && present.places.iter().any(|place| place.environment == environment)
    })
}

/// Whether there is a cell for drills of a scenario on an environment, or for exercises.
pub(crate) fn has(cells: &[Cell], scenario: &str, environment: &str, tabletop: bool) -> bool {
    cells.iter().any(|cell| {
        cell.scenario == scenario
            && cell.environment == environment
            && (cell.class == Class::Tabletop) == tabletop
    })
}

/// What was drilled within a year and is not in the program, by scenario and environment.
pub(super) fn outside(inputs: &Inputs<'_>, period: &Period) -> Vec<Outside> {
    let asked = |row: &RunRow| {
        let tabletop = row.kind == Kind::Tabletop;
        is_asked_for(inputs, &row.scenario.name, &row.environment.name, tabletop)
    };
    let within_a_year = |row: &RunRow| day_of(row).days_to(period.as_of) < 366;
    let mut found: Vec<Outside> = Vec::new();
    let mut rows: Vec<&RunRow> =
        inputs.rows.iter().filter(|row| was_drilled(row, period)).collect();
    rows.sort_by(|a, b| (a.started, &a.run_id).cmp(&(b.started, &b.run_id)));
    for row in rows.into_iter().filter(|row| within_a_year(row) && !asked(row)) {
        let tabletop = row.kind == Kind::Tabletop;
        let same = found.iter_mut().find(|one| {
            (&one.scenario, &one.environment, one.tabletop)
                == (&row.scenario.name, &row.environment.name, tabletop)
        });
        if let Some(one) = same {
            one.runs += 1;
            one.last = RunRef::of(row);
            continue;
        }
        found.push(Outside {
            scenario: row.scenario.name.clone(),
            environment: row.environment.name.clone(),
            tabletop,
            runs: 1,
            last: RunRef::of(row),
        });
    }
    found.sort_by(|a, b| {
        (&a.scenario, &a.environment, a.tabletop).cmp(&(&b.scenario, &b.environment, b.tabletop))
    });
    found
}

/// When what is to be drilled next, the most urgent first. A drill is one for all of its services.
pub(super) fn due(cells: &[Cell], period: &Period) -> Vec<Due> {
    let mut all: Vec<Due> = Vec::new();
    for cell in cells {
        let Some(on) = cell.next else { continue };
        let because = match cell.status {
            Status::NeverTested => "it was never tested",
            Status::Failed => "the last drill failed",
            Status::Unknown => "the last drill could not tell",
            Status::NotVerified => "the last pass shows nothing about what is there today",
            Status::Verified | Status::Excluded => "its time comes again",
        };
        let due = Due {
            on,
            overdue: cell.overdue || on < period.as_of,
            scenario: cell.scenario.clone(),
            environment: cell.environment.clone(),
            class: cell.class,
            owner: cell.owner.clone(),
            because: because.to_owned(),
        };
        let same = all.iter_mut().find(|one| {
            (&one.scenario, &one.environment, one.class)
                == (&due.scenario, &due.environment, due.class)
        });
        match same {
            Some(one) if due.on < one.on => {
                *one = Due { overdue: due.overdue || one.overdue, ..due }
            }
            Some(one) => one.overdue |= due.overdue,
            None => all.push(due),
        }
    }
    all.sort_by(|a, b| {
        (a.on, &a.scenario, &a.environment).cmp(&(b.on, &b.scenario, &b.environment))
    });
    all
}
