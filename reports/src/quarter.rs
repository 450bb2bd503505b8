//! The data of a quarterly report: what a drill program asks for, compared with what was drilled.
//!
//! [`quarter`] is a pure function: the same runs, program, words and day give the same value, which any renderer can show.
//! What is not known is `null` and never a zero; what was not looked at did not pass; figures of emulated environments are
//! kept apart. Read in this order:
//!
//! 1. [`Inputs`] — what it is made of. [`Period`] — which days.
//! 2. [`coverage`] — scenario × service × environment: verified, no longer verified, failed, never tested, overdue.
//! 3. [`kpis`] and [`trends`] — rates and times, of this quarter and of those before it.
//! 4. [`drills`] — each drill, what deviated from its plan, who took part.
//! 5. [`costs`], [`controls`] — what outages would have cost, and which drills are evidence of what.
//! 6. [`standing`] — what all of it comes to.

mod build;
pub mod controls;
pub mod costs;
pub mod coverage;
pub mod drills;
pub mod kpis;
mod period;
pub mod standing;
#[cfg(test)]
mod tests;
pub mod trends;

pub use build::{quarter, relied_on};
pub use period::{NotAQuarter, Period, QuarterOf};

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drdrill_core::inventory::ServiceFacts;
use drdrill_core::program::{Date, Program};
use drdrill_core::record::{Recommendation, Record, Tool};
use drdrill_core::scenario::Kind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::findings::{Finding, Line, Orphan, Unreadable};
use crate::history::{RunRow, time_of_id};

/// Value of [`Quarter::schema`].
pub const SCHEMA: &str = "drdrill/quarter/v1";

/// What a quarter is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Which quarter.
    pub quarter: QuarterOf,
    /// Today: nothing later is looked at, and a quarter that is not over is looked at up to here.
    pub today: Date,
    /// This program.
    pub tool: &'a Tool,
    /// What has to be drilled.
    pub program: &'a Program,
    /// What the files of its drills say today, in their order.
    pub present: &'a [PresentDrill],
    /// All runs with a record, of any time, in any order.
    pub rows: &'a [RunRow],
    /// Records of the runs of the quarter. One that is missing has no details, and is named among the gaps.
    pub records: &'a [Record],
    /// Runs without a record that can be read.
    pub cut_off: &'a [CutOff],
    /// What the evidence of runs is worth, by their ids; one that is missing was not checked.
    pub evidence: &'a BTreeMap<String, EvidenceState>,
    /// What people said of findings.
    pub words: &'a [Line],
    /// Lines of that file that cannot be read.
    pub unreadable: &'a [Unreadable],
    /// What else could not be read, a sentence each.
    pub gaps: &'a [String],
}

/// What the files of a drill say today.
#[derive(Clone, Debug, PartialEq)]
pub struct PresentDrill {
    /// Name of the scenario.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the file of its runbook, where it has one.
    pub runbook_sha256: Option<String>,
    /// Where it is to run, in the order of the program.
    pub places: Vec<PresentPlace>,
}

/// What the file of an environment says today.
#[derive(Clone, Debug, PartialEq)]
pub struct PresentPlace {
    /// Name of the environment.
    pub environment: String,
    /// Whether it only imitates the real thing.
    pub emulated: bool,
    /// Whether real users depend on it.
    pub production: bool,
    /// SHA-256 of what it says of the system, as in records.
    pub definition: String,
    /// Its services, with the targets of the scenario applied.
    pub services: Vec<ServiceFacts>,
}

/// A run without a record that can be read.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct CutOff {
    /// Its id.
    pub run_id: String,
    /// The scenario, where it is known.
    pub scenario: Option<String>,
    /// The environment, where it is known.
    pub environment: Option<String>,
    /// When it began, where it is known.
    #[schemars(with = "Option<String>")]
    pub started: Option<DateTime<Utc>>,
    /// Why its record cannot be read or is not believed; absent when it has none.
    pub unreadable: Option<String>,
    /// Whether it was an exercise, where it is known.
    pub tabletop: Option<bool>,
    /// Whether the environment only imitates the real thing, where it is known.
    pub emulated: Option<bool>,
    /// Whether it would have counted: it was not to fail and had no settings of its own; where it is known.
    pub counts: Option<bool>,
}

impl CutOff {
    /// A run whose evidence is damaged: what its record says is not believed.
    fn damaged(row: &RunRow) -> Self {
        Self {
            run_id: row.run_id.clone(),
            scenario: Some(row.scenario.name.clone()),
            environment: Some(row.environment.name.clone()),
            // By its id, where its record says that it was earlier.
            started: Some(row.started).max(time_of_id(&row.run_id)),
            unreadable: Some("its evidence is damaged".to_owned()),
            tabletop: Some(row.kind == Kind::Tabletop),
            emulated: Some(row.environment.emulated),
            // Whoever damaged it could have said so.
            counts: None,
        }
    }

    /// What became of it, after "the last drill, on that day,".
    pub(crate) const fn word(&self) -> &'static str {
        if self.unreadable.is_some() { "has no record that can be believed" } else { "was cut off" }
    }
}

/// What the evidence of a run is worth.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceState {
    /// Whole, and signed by a known key.
    Proven,
    /// Whole, and signed by a key that nobody vouched for.
    SignedByStranger,
    /// The files agree with each other; nothing says that they were not all replaced.
    Unsigned,
    /// Something was changed.
    Damaged,
    /// There is a record and nothing that would prove it.
    RecordAlone,
    /// Nobody looked.
    NotChecked,
}

/// All that a quarterly report shows.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct Quarter {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The program that made this.
    pub tool: Tool,
    /// Which days.
    pub period: Period,
    /// Which drill program.
    pub program: ProgramFacts,
    /// What it all comes to.
    pub standing: standing::Standing,
    /// Counts for whoever reads one page.
    pub facts: standing::Facts,
    /// Rates and times of the quarter's drills on real environments.
    pub kpis: kpis::Kpis,
    /// The same of drills on emulated environments, which say nothing about real times; absent when there were none.
    pub emulated_kpis: Option<kpis::Kpis>,
    /// Scenario × service × environment.
    pub coverage: Vec<coverage::Cell>,
    /// What was drilled within the last year and is not in the program.
    pub outside: Vec<coverage::Outside>,
    /// Achieved times and losses over the last quarters.
    pub trends: Vec<trends::Trend>,
    /// The drills and exercises of the quarter, oldest first.
    pub drills: Vec<drills::DrillLine>,
    /// Runs of the quarter that were cut off.
    pub cut_off: Vec<CutOff>,
    /// What did not go as planned.
    pub deviations: Vec<drills::Deviation>,
    /// What people had to do by hand.
    pub interventions: Vec<drills::Intervention>,
    /// What drills did with backups, oldest first.
    pub restores: Vec<drills::RestoreLine>,
    /// Who was to take part, and who did.
    pub participation: Vec<drills::Participation>,
    /// Services of others that the system needs.
    pub third_parties: Vec<drills::ThirdPartyLine>,
    /// Findings that were open at some time in the quarter.
    pub findings: Vec<Finding>,
    /// Words about findings of which no run is here any more.
    pub orphans: Vec<Orphan>,
    /// Risks that somebody has accepted.
    pub accepted_risks: Vec<standing::AcceptedRiskLine>,
    /// What is not drilled, on purpose.
    pub exclusions: Vec<standing::ExclusionLine>,
    /// What the outages of the drills cost, or would have.
    pub costs: Vec<costs::Cost>,
    /// When what is to be drilled next, the most urgent first.
    pub next: Vec<coverage::Due>,
    /// Which drills are evidence of what.
    pub controls: Vec<controls::ControlLine>,
    /// Plans, and when each was tested last.
    pub plans: Vec<controls::PlanLine>,
    /// What to do, from the history.
    pub recommendations: Vec<Recommendation>,
    /// What could not be read, a sentence each: the figures are without it.
    pub gaps: Vec<String>,
}

/// A drill program, in short.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct ProgramFacts {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Whose it is.
    pub organisation: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is to show.
    pub objectives: Vec<String>,
    /// What is taken for granted.
    pub assumptions: Vec<String>,
    /// The business functions.
    pub functions: Vec<FunctionFacts>,
}

/// A business function.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct FunctionFacts {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// The services it needs.
    pub services: Vec<String>,
    /// The tier of the most critical of them; absent when it has none.
    pub tier: Option<u8>,
    /// Where the figures of its impact are from; absent when nobody analysed it.
    pub impact_reference: Option<String>,
}

/// A run, in short.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct RunRef {
    /// Its id.
    pub run_id: String,
    /// The day on which it began (UTC).
    pub on: Date,
    /// What it came to.
    pub verdict: drdrill_core::verdict::Verdict,
    /// Whether it came from another machine.
    pub imported: bool,
}

impl RunRef {
    fn of(row: &RunRow) -> Self {
        Self {
            run_id: row.run_id.clone(),
            on: day_of(row),
            verdict: row.verdict,
            imported: row.imported,
        }
    }
}

/// The day on which a run began (UTC).
fn day_of(row: &RunRow) -> Date {
    Date(row.started.date_naive())
}
