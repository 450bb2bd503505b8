//! Findings, from the runs and what people said.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drdrill_core::checker::Severity;
use drdrill_core::program::{Date, Every};
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::words::{Line, Orphan, Say};
use crate::history::{BANK, FUNCTION, Problem, REGISTERS, RunRow};

/// What drills brought to light.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Finding {
    /// Its id: made of what it is about and of the run that opened it, so that it stays the same.
    pub id: String,
    /// The scenario whose drill shows it.
    pub scenario: String,
    /// The environment.
    pub environment: String,
    /// Whether an exercise showed it, and no drill.
    pub tabletop: bool,
    /// Whether the environment only imitates the real thing.
    pub emulated: bool,
    /// What it is about: the same for the same problem.
    pub key: String,
    /// How grave it is, at its worst.
    pub severity: Severity,
    /// What it meant for the drill, at its worst; `pass` where it spoiled nothing.
    pub verdict: Verdict,
    /// What the last run that shows it saw, a sentence each.
    pub seen: Vec<String>,
    /// The runs that show it, oldest first.
    pub runs: Vec<String>,
    /// When the first of them began.
    #[schemars(with = "String")]
    pub opened: DateTime<Utc>,
    /// An earlier finding of the same problem, which had been closed.
    pub repeats: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Who sees to it.
    pub owner: Option<String>,
    /// When it is to be over.
    pub due: Option<Date>,
    /// Whether that day has passed and it is open still.
    pub overdue: bool,
    /// When the drill is to be repeated at the latest; absent when it is closed.
    pub retest_due: Option<Date>,
    /// Why it is so, as people say.
    pub root_cause: Option<String>,
    /// Its tickets elsewhere.
    pub tickets: Vec<String>,
    /// What else people say.
    pub notes: Vec<Said>,
    /// Who accepted it, also when that holds no more.
    pub accepted: Option<Accepted>,
    /// What closed it.
    pub closed: Option<Closed>,
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has shown that it is over.
    Open,
    /// Somebody lives with it, for a time.
    Accepted,
    /// A later drill passed without it.
    Closed,
}

impl Status {
    /// The status in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Closed => "closed",
        }
    }
}

/// Something that somebody said.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Said {
    /// When.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

/// A risk that somebody accepted.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Accepted {
    /// Who.
    pub by: String,
    /// When.
    pub on: Date,
    /// Until when, that day included.
    pub until: Date,
    /// Why.
    pub because: String,
    /// Whether it still holds.
    pub holds: bool,
}

/// What closed a finding: a run that passed without it or, of what an exercise asked for, somebody's word.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Closed {
    /// The id of the run.
    pub run_id: Option<String>,
    /// Who said that it is done, and how that is known.
    pub said: Option<Said>,
    /// When the run began, or the word was said.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
}

impl Closed {
    /// In words, after "closed by".
    #[must_use]
    pub fn words(&self) -> String {
        match (&self.run_id, &self.said) {
            (Some(run), _) => format!("run {run}, which passed without it"),
            (None, Some(said)) => format!("{}: {}", said.by, said.text),
            (None, None) => "nobody".to_owned(),
        }
    }
}

/// Begins the key of what an exercise asked somebody to do. The next exercise does not show whether that was done.
pub const ACTION: &str = "action:";

/// All findings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The findings: open ones first, of those the gravest, of those the oldest.
    pub all: Vec<Finding>,
    /// Words about findings of which no run is here.
    pub orphans: Vec<Orphan>,
}

/// What is compared: a drill closes no finding of an exercise, nor the other way round.
type Track<'a> = (&'a str, &'a str, bool);

/// The findings of `rows`, as they stood at the end of the day `as_of`; whatever is later is left out. A drill that did not pass
/// is to be repeated within `retest`.
///
/// Scenarios that must fail show that drdrill notices, and runs with settings of their own are experiments: neither opens a
/// finding, nor closes one.
#[must_use]
pub fn findings(rows: &[RunRow], words: &[Line], as_of: Date, retest: Every) -> Findings {
    let mut rows: Vec<&RunRow> =
        rows.iter().filter(|row| row.counts() && row.started.date_naive() <= as_of.0).collect();
    rows.sort_by(|a, b| (a.started, &a.run_id).cmp(&(b.started, &b.run_id)));
    let mut all: Vec<Finding> = Vec::new();
    // Of each problem the finding that it was last, open or closed.
    let mut latest: BTreeMap<(Track<'_>, String), usize> = BTreeMap::new();
    for row in rows {
        let track =
            (row.scenario.name.as_str(), row.environment.name.as_str(), row.kind == Kind::Tabletop);
        if row.verdict == Verdict::Pass {
            let there = |key: &str| row.problems.iter().any(|problem| problem.key == key);
            let of_track = latest.range((track, String::new())..);
            for ((_, key), at) in of_track.take_while(|((of, _), _)| *of == track) {
                if !there(key) && all[*at].closed.is_none() && shows(row, key) {
                    all[*at].closed = Some(Closed {
                        run_id: Some(row.run_id.clone()),
                        said: None,
                        at: row.started,
                    });
                }
            }
        }
        for problem in &row.problems {
            let slot = (track, problem.key.clone());
            let before = latest.get(&slot).copied();
            if let Some(at) = before.filter(|at| all[*at].closed.is_none()) {
                seen_again(&mut all[at], row, problem);
            } else {
                let repeats = before.map(|at| all[at].id.clone());
                latest.insert(slot, all.len());
                all.push(opened(row, problem, repeats));
            }
        }
    }
    let orphans = hear(&mut all, words, as_of);
    for finding in &mut all {
        stand(finding, as_of, retest);
    }
    all.sort_by(|a, b| {
        (a.status, b.severity, a.opened, &a.id).cmp(&(b.status, a.severity, b.opened, &b.id))
    });
    Findings { all, orphans }
}

/// Whether a run that passed without a problem shows that it is over.
fn shows(row: &RunRow, key: &str) -> bool {
    if key.starts_with(ACTION) {
        return false;
    }
    if let Some(service) = key.strip_prefix("recovery_time:") {
        // One that did not watch the service, or asked nothing of it, shows nothing.
        let of = row.services.iter().find(|one| one.name == service);
        return of.is_some_and(|one| one.rto.target_ms.is_some() && one.rto.at_most_ms.is_some());
    }
    if let Some(service) = key.strip_prefix("recovery_point:") {
        let of = row.services.iter().find(|one| one.name == service).and_then(|one| one.rpo);
        return of.is_some_and(|rpo| rpo.target_ms.is_some() && rpo.is_measured());
    }
    if let Some(service) = key.strip_prefix("recovery_level:") {
        let of = row.services.iter().find(|one| one.name == service);
        return of.is_some_and(|one| one.rlo.target.is_some() && one.rlo.achieved.is_some());
    }
    if [FUNCTION, REGISTERS, BANK].iter().any(|one| key.starts_with(one)) {
        // The function may be checked, and the workload run, no more.
        return row.looked_at.iter().any(|one| one == key);
    }
    true
}

fn opened(row: &RunRow, problem: &Problem, repeats: Option<String>) -> Finding {
    let tabletop = row.kind == Kind::Tabletop;
    let mut finding = Finding {
        id: String::new(),
        scenario: row.scenario.name.clone(),
        environment: row.environment.name.clone(),
        tabletop,
        emulated: row.environment.emulated,
        key: problem.key.clone(),
        severity: problem.severity,
        verdict: problem.verdict,
        seen: problem.seen.clone(),
        runs: vec![row.run_id.clone()],
        opened: row.started,
        repeats,
        status: Status::Open,
        owner: problem.owner.clone(),
        due: problem.due.as_ref().and_then(|due| due.parse().ok()),
        overdue: false,
        // Counts from the last run that shows it, until it is known where it stands.
        retest_due: Some(Date(row.started.date_naive())),
        root_cause: None,
        tickets: Vec::new(),
        notes: Vec::new(),
        accepted: None,
        closed: None,
    };
    finding.id = id(&finding, &row.run_id);
    finding
}

/// All ids of findings: an earlier run that comes to light later changes the first one, and what was said stays said.
fn ids(all: &[Finding]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for (at, finding) in all.iter().enumerate() {
        ids.extend(finding.runs.iter().map(|run| (id(finding, run), at)));
    }
    ids
}

/// The id of a finding, had this run opened it.
fn id(finding: &Finding, run: &str) -> String {
    let named = [&finding.scenario, &finding.environment, &finding.key].map(String::as_str);
    let named = format!("{}\n{}\n{run}", finding.tabletop, named.join("\n"));
    format!("F-{}", &hex::encode(Sha256::digest(named))[..8])
}

fn seen_again(finding: &mut Finding, row: &RunRow, problem: &Problem) {
    finding.severity = finding.severity.max(problem.severity);
    finding.verdict = finding.verdict.max(problem.verdict);
    finding.seen.clone_from(&problem.seen);
    finding.runs.push(row.run_id.clone());
    finding.retest_due = Some(Date(row.started.date_naive()));
    finding.emulated = row.environment.emulated;
    if problem.owner.is_some() {
        finding.owner.clone_from(&problem.owner);
    }
    finding.due = problem.due.as_ref().and_then(|due| due.parse().ok()).or(finding.due);
}

/// Adds what people said, the later word over the earlier.
fn hear(all: &mut [Finding], words: &[Line], as_of: Date) -> Vec<Orphan> {
    let mut orphans: BTreeMap<&str, Orphan> = BTreeMap::new();
    let ids = if words.is_empty() { BTreeMap::new() } else { ids(all) };
    for word in words.iter().filter(|word| word.at.date_naive() <= as_of.0) {
        let Some(finding) = ids.get(&word.finding).map(|at| &mut all[*at]) else {
            let orphan = orphans.entry(&word.finding).or_insert_with(|| Orphan {
                finding: word.finding.clone(),
                about: word.about.clone(),
                words: 0,
            });
            orphan.words += 1;
            continue;
        };
        let said = |text: String| Said { at: word.at, by: word.by.clone(), text };
        match &word.say {
            Say::Assign { to } => finding.owner = Some(to.clone()),
            Say::Due { on } => finding.due = Some(*on),
            Say::Cause { text } => finding.root_cause = Some(text.clone()),
            Say::Ticket { reference } => finding.tickets.push(reference.clone()),
            Say::Note { text } => finding.notes.push(said(text.clone())),
            Say::Accept { by, until, because } => {
                finding.accepted = Some(Accepted {
                    by: by.clone(),
                    on: Date(word.at.date_naive()),
                    until: *until,
                    because: because.clone(),
                    holds: true,
                });
            }
            Say::Done { because } => {
                // What an exercise asked for again later is not done.
                let last_seen = finding.retest_due.is_none_or(|day| day.0 <= word.at.date_naive());
                if finding.key.starts_with(ACTION) && last_seen {
                    let said = Some(said(because.clone()));
                    finding.closed = Some(Closed { run_id: None, said, at: word.at });
                } else {
                    finding.notes.push(said(format!("done: {because}")));
                }
            }
            Say::Withdraw { because } => {
                if let Some(accepted) = &mut finding.accepted {
                    accepted.holds = false;
                }
                finding.notes.push(said(format!("accepted no more: {because}")));
            }
        }
    }
    orphans.into_values().collect()
}

fn stand(finding: &mut Finding, as_of: Date, retest: Every) {
    if let Some(accepted) = &mut finding.accepted {
        accepted.holds &= accepted.until >= as_of;
    }
    let accepted = finding.accepted.as_ref().is_some_and(|accepted| accepted.holds);
    finding.status = match (&finding.closed, accepted) {
        (Some(_), _) => Status::Closed,
        (None, true) => Status::Accepted,
        (None, false) => Status::Open,
    };
    finding.overdue = finding.status == Status::Open && finding.due.is_some_and(|due| due < as_of);
    let last_seen = finding.retest_due.filter(|_| finding.status != Status::Closed);
    finding.retest_due = last_seen.map(|day| day.after(retest));
}

#[cfg(test)]
mod tests;
