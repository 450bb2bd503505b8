//! Which drills are evidence of what auditors ask for, and of which plans.

use drdrill_core::program::{Class, Date};
use drdrill_core::scenario::Kind;
use schemars::JsonSchema;
use serde::Serialize;

use super::coverage::{Cell, Status};
use super::{Inputs, Period, RunRef, day_of};

/// A control of a framework. What drdrill knows is whether there are drills; whether they are enough, auditors say.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub struct ControlLine {
    /// The framework.
    pub framework: String,
    /// The control.
    pub control: String,
    /// What it asks for.
    pub title: String,
    /// The scenarios whose drills are evidence of it, as the program writes them.
    pub scenarios: Vec<String>,
    /// What there is.
    pub status: ControlStatus,
    /// How many of its cells are verified and in time.
    pub verified: u64,
    /// How many there are, without those that are excluded.
    pub cells: u64,
    /// Whether all drills of what is verified were on emulated environments; what was walked through on paper is no drill.
    pub emulated_only: bool,
    /// Whether all that is verified was only walked through on paper, where nothing is tried.
    pub on_paper_only: bool,
    /// The drills that are evidence of it.
    pub evidence: Vec<RunRef>,
}

/// What evidence there is of a control.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlStatus {
    /// All of its cells are verified, and in time.
    Supported,
    /// Some are.
    Partly,
    /// None is.
    Unsupported,
}

/// A plan, and when it was tested last.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct PlanLine {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: String,
    /// Since when that is in force.
    pub since: Date,
    /// Who answers for it.
    pub owner: String,
    /// Where it is kept.
    pub kept: String,
    /// The last drill or exercise of this version; absent when there was none.
    pub last: Option<RunRef>,
    /// The last drill or exercise of any version.
    pub last_of_any: Option<RunRef>,
}

pub(super) fn controls(inputs: &Inputs<'_>, cells: &[Cell]) -> Vec<ControlLine> {
    let line = |control: &drdrill_core::program::Control| {
        // Names as the program writes them stand for the scenarios that they mean.
        let means = |cell: &&Cell| {
            inputs.program.drills.iter().zip(inputs.present).any(|(entry, present)| {
                control.scenarios.contains(&entry.scenario) && present.scenario == cell.scenario
            })
        };
        let asked = cells.iter().filter(means).filter(|cell| cell.status != Status::Excluded);
        let asked: Vec<&Cell> = asked.collect();
        let good: Vec<&&Cell> =
            asked.iter().filter(|cell| cell.status == Status::Verified && !cell.overdue).collect();
        let paper = good.iter().filter(|cell| cell.class == Class::Tabletop).count();
        let mut evidence: Vec<RunRef> =
            good.iter().filter_map(|cell| cell.last_pass.clone()).collect();
        evidence.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        evidence.dedup();
        ControlLine {
            framework: control.framework.clone(),
            control: control.control.clone(),
            title: control.title.clone(),
            scenarios: control.scenarios.clone(),
            status: match good.len() {
                0 => ControlStatus::Unsupported,
                all if all == asked.len() => ControlStatus::Supported,
                _ => ControlStatus::Partly,
            },
            verified: good.len() as u64,
            cells: asked.len() as u64,
            emulated_only: good.len() > paper
                && good.iter().all(|cell| cell.emulated || cell.class == Class::Tabletop),
            on_paper_only: !good.is_empty()
                && good.iter().all(|cell| cell.class == Class::Tabletop),
            evidence,
        }
    };
    inputs.program.controls.iter().map(line).collect()
}

pub(super) fn plans(inputs: &Inputs<'_>, period: &Period) -> Vec<PlanLine> {
    let line = |plan: &drdrill_core::program::PlanEntry| {
        let entries = || {
            let all = inputs.program.drills.iter().zip(inputs.present);
            all.filter(|(entry, _)| entry.plan.as_ref() == Some(&plan.name))
        };
        let mut rows: Vec<_> = inputs
            .rows
            .iter()
            .filter(|row| day_of(row) <= period.as_of && row.counts())
            .filter(|row| {
                entries().any(|(entry, present)| {
                    present.scenario == row.scenario.name
                        && (entry.class == Class::Tabletop) == (row.kind == Kind::Tabletop)
                        && present.places.iter().any(|one| one.environment == row.environment.name)
                })
            })
            .collect();
        rows.sort_by(|a, b| (b.started, &b.run_id).cmp(&(a.started, &a.run_id)));
        let last = rows.iter().find(|row| day_of(row) >= plan.since);
        PlanLine {
            name: plan.name.clone(),
            title: plan.title.clone(),
            version: plan.version.clone(),
            since: plan.since,
            owner: plan.owner.clone(),
            kept: plan.kept.clone(),
            last: last.map(|row| RunRef::of(row)),
            last_of_any: rows.first().map(|row| RunRef::of(row)),
        }
    };
    inputs.program.plans.iter().map(line).collect()
}
