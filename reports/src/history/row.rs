//! What is kept of one run.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use drdrill_core::record::{
    EnvironmentRef, Interval, Record, Rlo, Rpo, Rto, SCHEMA, ScenarioRef, Service,
};
use drdrill_core::scenario::Kind;
use drdrill_core::verdict::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{Problem, looked_at, problems};
use crate::tries::last_tries;

/// What is kept of one run: enough to find it, and for figures over many runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RunRow {
    /// Unique id of the run.
    pub run_id: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Length in milliseconds.
    pub duration_ms: f64,
    /// The scenario; rows of the same one share it.
    pub scenario: Arc<ScenarioRef>,
    /// The environment; rows of the same one share it.
    pub environment: Arc<EnvironmentRef>,
    /// Kind of drill.
    pub kind: Kind,
    /// Version of the drdrill that ran it.
    pub tool: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Exit code of the run.
    pub exit_code: u8,
    /// How many faults were part of it. Without one there was nothing to recover from, and no objective to meet.
    pub faults: u64,
    /// Each service.
    pub services: Vec<ServiceRow>,
    /// Functionality checks after the recovery and after failback.
    pub functions: Functions,
    /// What somebody has to look after.
    pub problems: Vec<Problem>,
    /// Keys of problems that it would have shown, had there been any: of functions that were tried and workloads that were
    /// judged. Rows of the same drill share them.
    pub looked_at: Arc<Vec<String>>,
    /// Faults that could not be taken back.
    pub leftovers: u64,
    /// The runbook that was followed or walked through, where there was one: name and SHA-256 of its file.
    pub runbook: Option<(String, String)>,
    /// Whether the evidence came from another machine (`drdrill history import`).
    #[serde(default)]
    pub imported: bool,
}

/// Scenarios and environments that many rows share: of a hundred thousand runs there are some dozens.
#[derive(Debug, Default)]
pub(super) struct Names {
    scenarios: BTreeMap<String, Vec<Arc<ScenarioRef>>>,
    environments: BTreeMap<String, Vec<Arc<EnvironmentRef>>>,
    /// By the name of the scenario.
    looked_at: BTreeMap<String, Vec<Arc<Vec<String>>>>,
}

impl Names {
    /// Lets a row share what an earlier one has, and gives back the room for more that was made while it was read: most
    /// have one service, and room for four.
    pub(super) fn share(&mut self, row: &mut RunRow) {
        row.services.shrink_to_fit();
        row.problems.shrink_to_fit();
        for problem in &mut row.problems {
            problem.seen.shrink_to_fit();
        }
        let (scenario, environment) = (row.scenario.name.clone(), row.environment.name.clone());
        share(&mut self.looked_at, &mut row.looked_at, &scenario);
        share(&mut self.scenarios, &mut row.scenario, &scenario);
        share(&mut self.environments, &mut row.environment, &environment);
    }
}

/// One that changes from run to run is not looked for further back than this.
const VARIANTS: usize = 8;

fn share<T: PartialEq>(known: &mut BTreeMap<String, Vec<Arc<T>>>, one: &mut Arc<T>, name: &str) {
    let Some(variants) = known.get_mut(name) else {
        known.insert(name.to_owned(), vec![one.clone()]);
        return;
    };
    match variants.iter().rev().take(VARIANTS).find(|known| *known == one) {
        Some(same) => *one = same.clone(),
        None => variants.push(one.clone()),
    }
}

/// What is kept of a service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: u8,
    /// Recovery time.
    pub rto: Rto,
    /// What clients saw.
    pub outage: Option<Interval>,
    /// Recovery point; absent when it has no write probe.
    pub rpo: Option<RpoRow>,
    /// Recovery level.
    pub rlo: Rlo,
}

/// What is kept of a recovery point.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct RpoRow {
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
    /// Of those, lost.
    pub lost: u64,
    /// Of those lost, acknowledged after the fault. They are no part of the recovery point.
    #[serde(default)]
    pub lost_after_fault: u64,
}

impl RpoRow {
    /// Whether it is known what was lost.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.at_least_ms.is_some() || self.at_most_ms.is_some()
    }
}

/// How many functionality checks came to what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Functions {
    /// Worked.
    pub pass: u64,
    /// Could not be told.
    pub unknown: u64,
    /// Did not work.
    pub fail: u64,
}

/// A record of which no row can be made.
#[derive(Debug, thiserror::Error)]
pub enum NotARow {
    /// It is another format.
    #[error("schema `{0}` is not {SCHEMA}")]
    OtherSchema(String),
    /// It has no time, so it has no place in a history.
    #[error("`{0}` is not when a run began")]
    NoTime(String),
    /// It could not be the name of a run directory.
    #[error("`{0}` is not the id of a run")]
    NoId(String),
}

impl RunRow {
    /// The row of a run, from its record.
    ///
    /// # Errors
    /// When the record is of another schema, or does not say which run it is or when that began.
    pub fn of(record: &Record) -> Result<Self, NotARow> {
        if record.schema != SCHEMA {
            return Err(NotARow::OtherSchema(record.schema.clone()));
        }
        if !is_run_id(&record.run_id) {
            return Err(NotARow::NoId(record.run_id.clone()));
        }
        let started = DateTime::parse_from_rfc3339(&record.started_at)
            .map_err(|_| NotARow::NoTime(record.started_at.clone()))?
            .with_timezone(&Utc);
        let followed = record.runbook.as_ref().map(|one| (one.name.clone(), one.sha256.clone()));
        let walked = record.tabletop.as_ref();
        let walked = walked.map(|one| (one.runbook.clone(), one.runbook_sha256.clone()));
        Ok(Self {
            run_id: record.run_id.clone(),
            started,
            duration_ms: record.duration_ms,
            scenario: Arc::new(record.scenario.clone()),
            environment: Arc::new(record.environment.clone()),
            kind: record.kind,
            tool: record.tool.version.clone(),
            verdict: record.verdict,
            exit_code: record.exit_code,
            faults: record.faults.len() as u64,
            services: record.services.iter().map(ServiceRow::of).collect(),
            functions: functions(record),
            problems: problems(record),
            looked_at: Arc::new(looked_at(record)),
            leftovers: record.leftovers.len() as u64,
            runbook: followed.or(walked),
            imported: false,
        })
    }

    /// Whether it is a drill of the system, as its scenario is written. One that must fail shows that drdrill notices; one
    /// with settings of its own is an experiment. Neither says whether what is asked for was shown.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.scenario.must_fail && self.scenario.settings.is_empty()
    }

    /// The slowest recovery over all services; one that never came back is slower than any other.
    #[must_use]
    pub fn slowest(&self) -> Option<&Rto> {
        let end =
            |rto: &Rto| (rto.at_least_ms.is_some() && rto.at_most_ms.is_none(), rto.at_least_ms);
        let rtos = self.services.iter().map(|service| &service.rto);
        rtos.max_by(|a, b| {
            let ((a_never, a), (b_never, b)) = (end(a), end(b));
            a_never.cmp(&b_never).then(a.unwrap_or(-1.0).total_cmp(&b.unwrap_or(-1.0)))
        })
    }
}

/// Whether a text could be the id of a run: it becomes the name of a directory.
fn is_run_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

impl ServiceRow {
    fn of(service: &Service) -> Self {
        Self {
            name: service.name.clone(),
            tier: service.tier,
            rto: service.rto,
            outage: service.outage,
            rpo: service.rpo.as_ref().map(rpo_row),
            rlo: service.rlo,
        }
    }
}

fn rpo_row(rpo: &Rpo) -> RpoRow {
    RpoRow {
        target_ms: rpo.target_ms,
        at_least_ms: rpo.at_least_ms,
        at_most_ms: rpo.at_most_ms,
        verdict: rpo.verdict,
        acknowledged: rpo.writes.acknowledged,
        lost: rpo.writes.lost,
        lost_after_fault: rpo.lost_after_fault,
    }
}

fn functions(record: &Record) -> Functions {
    let mut counted = Functions::default();
    for (check, _) in last_tries(record) {
        match check.outcome {
            Verdict::Pass => counted.pass += 1,
            Verdict::Unknown => counted.unknown += 1,
            Verdict::Fail => counted.fail += 1,
        }
    }
    counted
}

/// The time that the id of a run begins with, where it was drdrill that named it (UTC).
#[must_use]
pub fn time_of_id(id: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(id.get(..15)?, "%Y%m%d-%H%M%S").ok().map(|time| time.and_utc())
}
