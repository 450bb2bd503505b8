//! Each drill of the quarter, what deviated from its plan, and who took part.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use drdrill_core::event::StepOutcome;
use drdrill_core::program::{Class, DrillEntry};
use drdrill_core::record::{Interval, Record};
use drdrill_core::runbook::StepBy;
use drdrill_core::scenario::Kind;
use drdrill_core::tabletop::{Participant, StepResult};
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::coverage::Achieved;
use super::{EvidenceState, Inputs, Period, day_of};
use crate::findings::Finding;
use crate::history::{Functions, RunRow};

/// Exit code of a drill that was aborted (design.md, section 8).
const ABORTED: u8 = 15;

/// A drill or an exercise.
#[expect(clippy::struct_excessive_bools, reason = "facts, each of its own")]
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct DrillLine {
    /// Its id.
    pub run_id: String,
    /// When it began.
    #[schemars(with = "String")]
    pub started: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// The scenario.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file, in hexadecimal.
    pub scenario_sha256: String,
    /// Settings that were changed for it.
    pub settings: Vec<String>,
    /// The environment.
    pub environment: String,
    /// Whether it only imitates the real thing.
    pub emulated: bool,
    /// Whether real users depend on it.
    pub production: bool,
    /// Kind of drill.
    pub kind: Kind,
    /// What it counts as; absent when the program does not ask for it.
    pub class: Option<Class>,
    /// The runbook that was followed or walked through.
    pub runbook: Option<String>,
    /// Whether the scenario must fail: it shows that drdrill notices, and counts nowhere.
    pub must_fail: bool,
    /// What it came to.
    pub verdict: Verdict,
    /// The same in the words of auditors.
    pub conclusion: Conclusion,
    /// Why, a sentence each; absent where the record cannot be read.
    pub reasons: Option<Vec<String>>,
    /// Exit code of the run.
    pub exit_code: u8,
    /// Each service.
    pub services: Vec<ServiceLine>,
    /// Functionality checks.
    pub functions: Functions,
    /// Faults that could not be taken back.
    pub leftovers: u64,
    /// Ids of the findings that it shows.
    pub findings: Vec<String>,
    /// Whether it came from another machine.
    pub imported: bool,
    /// What its evidence is worth.
    pub evidence: EvidenceState,
    /// Version of the drdrill that ran it.
    pub tool: String,
}

/// What a drill comes to, in the words of auditors.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All that was asked for was observed.
    Passed,
    /// The same, and something is to be looked after.
    PassedWithConditions,
    /// It cannot be told.
    Inconclusive,
    /// Somebody, or a stop condition, ended it.
    Aborted,
    /// An objective was missed, or a check failed.
    Failed,
}

impl Conclusion {
    /// The conclusion in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::PassedWithConditions => "passed with conditions",
            Self::Inconclusive => "inconclusive",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }

    fn of(row: &RunRow) -> Self {
        match row.verdict {
            _ if row.exit_code == ABORTED => Self::Aborted,
            Verdict::Fail => Self::Failed,
            Verdict::Unknown => Self::Inconclusive,
            Verdict::Pass if row.problems.is_empty() => Self::Passed,
            Verdict::Pass => Self::PassedWithConditions,
        }
    }
}

/// A service in a drill.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ServiceLine {
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: u8,
    /// What it achieved; absent in an exercise, which measures nothing.
    pub achieved: Option<Achieved>,
    /// What clients saw; absent when nothing failed or nothing was measured.
    pub outage: Option<Interval>,
}

/// Something that did not go as planned.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Deviation {
    /// The run.
    pub run_id: String,
    /// What kind of thing: `settings`, `aborted`, `fault`, `step`, `runbook_step`, `participant`, `notice`, `leftover`.
    pub kind: String,
    /// What happened.
    pub text: String,
}

/// Something that a person did by hand.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Intervention {
    /// The run.
    pub run_id: String,
    /// The step of the runbook.
    pub step: String,
    /// Who did it: the person, or the role.
    pub who: String,
    /// How long it took, in milliseconds; absent when it was not finished.
    pub took_ms: Option<f64>,
    /// How long it may take.
    pub within_ms: f64,
    /// How it ended; absent when it did not.
    pub outcome: Option<StepOutcome>,
    /// What was said.
    pub note: String,
}

/// What a drill did with backups.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct RestoreLine {
    /// The run.
    pub run_id: String,
    /// The scenario.
    pub scenario: String,
    /// The environment.
    pub environment: String,
    /// How the verification of the backups ended, with a test restore; absent when it did not come to that.
    pub verified: Option<StepOutcome>,
    /// How the restore ended.
    pub restored: Option<StepOutcome>,
    /// How the look at what was restored ended.
    pub consistent: Option<StepOutcome>,
    /// What was seen in the last of these steps: which backup is clean, which are not usable, and why.
    pub detail: String,
}

/// Who was to take part in a run, and who did.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Participation {
    /// The run.
    pub run_id: String,
    /// The scenario.
    pub scenario: String,
    /// Who was to take part: of the program, and of the run.
    pub planned: Vec<String>,
    /// Who did; absent when nobody wrote it down.
    pub present: Option<Vec<String>>,
    /// Who was to take part and did not; absent when nobody wrote down who did.
    pub absent: Option<Vec<String>>,
}

/// A service of somebody else that the system needs.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct ThirdPartyLine {
    /// Who it is.
    pub name: String,
    /// What they provide.
    pub provides: String,
    /// The services that need it.
    pub services: Vec<String>,
    /// How to reach them.
    pub contact: String,
    /// Whether they take part in drills.
    pub takes_part: bool,
}

/// The rows of the quarter, oldest first.
pub(super) fn of_quarter<'a>(inputs: &Inputs<'a>, period: &Period) -> Vec<&'a RunRow> {
    let mut rows: Vec<&RunRow> = inputs.rows.iter().filter(|row| period.has(day_of(row))).collect();
    rows.sort_by(|a, b| (a.started, &a.run_id).cmp(&(b.started, &b.run_id)));
    rows
}

/// The entry of the program that asks for such a run.
fn entry_of<'a>(inputs: &Inputs<'a>, row: &RunRow) -> Option<&'a DrillEntry> {
    let all = inputs.program.drills.iter().zip(inputs.present);
    let mut found = all.filter(|(entry, present)| {
        present.scenario == row.scenario.name
            && (entry.class == Class::Tabletop) == (row.kind == Kind::Tabletop)
            && present.places.iter().any(|place| place.environment == row.environment.name)
    });
    found.next().map(|(entry, _)| entry)
}

fn record_of<'a>(inputs: &Inputs<'a>, row: &RunRow) -> Option<&'a Record> {
    inputs.records.iter().find(|record| record.run_id == row.run_id)
}

/// Ids of the findings that each run shows, by the ids of the runs.
pub(super) fn shown(findings: &[Finding]) -> HashMap<&str, Vec<&str>> {
    let mut shown: HashMap<&str, Vec<&str>> = HashMap::new();
    for finding in findings {
        for run in &finding.runs {
            shown.entry(run).or_default().push(&finding.id);
        }
    }
    shown
}

pub(super) fn line(
    inputs: &Inputs<'_>,
    row: &RunRow,
    shown: &HashMap<&str, Vec<&str>>,
) -> DrillLine {
    let exercise = row.kind == Kind::Tabletop;
    let services = row.services.iter().map(|service| ServiceLine {
        name: service.name.clone(),
        tier: service.tier,
        achieved: (!exercise).then(|| Achieved::of(service)),
        outage: service.outage,
    });
    let shown = shown.get(row.run_id.as_str()).into_iter().flatten();
    DrillLine {
        run_id: row.run_id.clone(),
        started: row.started,
        duration_ms: row.duration_ms,
        scenario: row.scenario.name.clone(),
        title: row.scenario.title.clone(),
        scenario_sha256: row.scenario.sha256.clone(),
        settings: row.scenario.settings.clone(),
        environment: row.environment.name.clone(),
        emulated: row.environment.emulated,
        production: row.environment.production,
        kind: row.kind,
        class: entry_of(inputs, row).map(|entry| entry.class),
        runbook: row.runbook.as_ref().map(|(name, _)| name.clone()),
        must_fail: row.scenario.must_fail,
        verdict: row.verdict,
        conclusion: Conclusion::of(row),
        reasons: record_of(inputs, row).map(|record| record.reasons.clone()),
        exit_code: row.exit_code,
        services: services.collect(),
        functions: row.functions,
        leftovers: row.leftovers,
        findings: shown.map(|id| (*id).to_owned()).collect(),
        imported: row.imported,
        evidence: inputs.evidence.get(&row.run_id).copied().unwrap_or(EvidenceState::NotChecked),
        tool: row.tool.clone(),
    }
}

/// What did not go as planned in a run.
pub(super) fn deviations(record: &Record) -> Vec<Deviation> {
    let mut found = Vec::new();
    let mut say = |kind: &str, text: String| {
        found.push(Deviation { run_id: record.run_id.clone(), kind: kind.to_owned(), text });
    };
    for setting in &record.scenario.settings {
        say("settings", format!("it ran with {setting}"));
    }
    if record.exit_code == ABORTED {
        let reason = record.reasons.first().cloned().unwrap_or_default();
        say("aborted", reason);
    }
    for fault in record.faults.iter().filter(|fault| fault.in_effect_ms.is_none()) {
        say("fault", format!("{} on {} was never seen in effect", fault.kind, fault.target));
    }
    for step in &record.steps {
        if step.outcome == StepOutcome::Failed {
            say("step", format!("step {} at {} failed: {}", step.name, step.site, step.detail));
        } else if step.rolled_back {
            say("step", format!("step {} at {} was taken back", step.name, step.site));
        }
    }
    for step in record.runbook.iter().flat_map(|runbook| &runbook.steps) {
        let took = step.finished_ms.zip(step.started_ms).map(|(to, from)| to - from);
        let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
        match step.outcome {
            None => say("runbook_step", format!("step {} was not finished{note}", step.name)),
            Some(StepOutcome::Failed) => {
                say("runbook_step", format!("step {} failed{note}", step.name));
            }
            Some(StepOutcome::Skipped) => {
                say("runbook_step", format!("step {} was skipped{note}", step.name));
            }
            Some(StepOutcome::Done) if took.is_some_and(|took| took > step.within_ms) => {
                let took = crate::figures::duration(took.unwrap_or_default());
                let within = crate::figures::duration(step.within_ms);
                say("runbook_step", format!("step {} took {took}, not {within}", step.name));
            }
            Some(StepOutcome::Done) => {}
        }
    }
    for step in record.tabletop.iter().flat_map(|exercise| &exercise.steps) {
        match step.result {
            StepResult::Failed => {
                say("runbook_step", format!("step {} could not be done", step.name));
            }
            StepResult::Skipped => {
                say("runbook_step", format!("step {} was not walked through", step.name));
            }
            StepResult::Done => {}
        }
    }
    for one in participants(record).iter().filter(|one| one.planned && !one.present) {
        say("participant", format!("{} ({}) was to take part and did not", one.name, one.role));
    }
    for notice in &record.notices {
        if let Some(error) = &notice.error {
            say("notice", format!("{} could not be told by {}: {error}", notice.to, notice.by));
        }
    }
    for left in &record.leftovers {
        say("leftover", format!("{} on {} could not be taken back", left.kind, left.target));
    }
    found
}

/// What people did by hand in a run.
pub(super) fn interventions(record: &Record) -> Vec<Intervention> {
    let steps = record.runbook.iter().flat_map(|runbook| &runbook.steps);
    let by_people = steps.filter(|step| step.by == StepBy::Person && step.started_ms.is_some());
    let line = |step: &drdrill_core::record::FollowedStep| Intervention {
        run_id: record.run_id.clone(),
        step: step.name.clone(),
        who: step.who.clone().unwrap_or_else(|| step.owner.clone()),
        took_ms: step.finished_ms.zip(step.started_ms).map(|(to, from)| to - from),
        within_ms: step.within_ms,
        outcome: step.outcome,
        note: step.note.clone(),
    };
    by_people.map(line).collect()
}

/// What a run did with backups; nothing where it did not touch them.
pub(super) fn restore(inputs: &Inputs<'_>, row: &RunRow) -> Option<RestoreLine> {
    let record = record_of(inputs, row)?;
    let of = |action: &str| record.steps.iter().find(|step| step.action == action);
    let steps = ["verify_backups", "restore", "check_consistency"].map(of);
    let last = steps.iter().copied().flatten().last()?;
    let [verified, restored, consistent] = steps.map(|step| step.map(|step| step.outcome));
    Some(RestoreLine {
        run_id: row.run_id.clone(),
        scenario: row.scenario.name.clone(),
        environment: row.environment.name.clone(),
        verified,
        restored,
        consistent,
        detail: format!("{}: {}", last.name, last.detail),
    })
}

/// Who took part in a run, as it wrote down.
fn participants(record: &Record) -> &[Participant] {
    let walked = record.tabletop.as_ref().map(|exercise| exercise.participants.as_slice());
    let followed = record.runbook.as_ref().map(|runbook| runbook.participants.as_slice());
    walked.or(followed).unwrap_or_default()
}

/// Who was to take part in a run, and who did; nothing where nobody was to.
pub(super) fn participation(inputs: &Inputs<'_>, row: &RunRow) -> Option<Participation> {
    let roles =
        entry_of(inputs, row).map(|entry| entry.participants.as_slice()).unwrap_or_default();
    let people = || inputs.program.people.iter().filter(|person| roles.contains(&person.role));
    let name = |one: &Participant| format!("{} ({})", one.name, one.role);
    let noted = record_of(inputs, row).map(participants).unwrap_or_default();
    let mut planned: Vec<String> =
        people().map(|person| format!("{} ({})", person.name, person.role)).collect();
    planned.extend(noted.iter().filter(|one| one.planned).map(name));
    planned.sort();
    planned.dedup();
    let present = (!noted.is_empty())
        .then(|| noted.iter().filter(|one| one.present).map(name).collect::<Vec<String>>());
    if planned.is_empty() && present.is_none() {
        return None;
    }
    let came = |name: &str, role: &str| {
        noted.iter().any(|one| one.present && one.name == name && one.role == role)
    };
    // The program names who has a role, and who stands in; who came is written down by name.
    let represented = |planned: &str| {
        people().any(|person| {
            format!("{} ({})", person.name, person.role) == planned
                && person.deputy.as_ref().is_some_and(|deputy| came(deputy, &person.role))
        })
    };
    let absent = present.as_ref().map(|present| {
        let missing = |one: &&String| !present.contains(one) && !represented(one);
        planned.iter().filter(missing).cloned().collect()
    });
    let (run_id, scenario) = (row.run_id.clone(), row.scenario.name.clone());
    Some(Participation { run_id, scenario, planned, present, absent })
}

pub(super) fn third_parties(inputs: &Inputs<'_>) -> Vec<ThirdPartyLine> {
    let all = inputs.program.third_parties.iter().map(|one| ThirdPartyLine {
        name: one.name.clone(),
        provides: one.provides.clone(),
        services: one.services.clone(),
        contact: one.contact.clone(),
        takes_part: one.takes_part,
    });
    all.collect()
}
