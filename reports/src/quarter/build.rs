//! A quarter, put together.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Days, Utc};
use drdrill_core::program::{Date, Program};
use drdrill_core::record::Record;

use super::kpis::kpis;
use super::{
    CutOff, EvidenceState, FunctionFacts, Inputs, Period, ProgramFacts, Quarter, SCHEMA, controls,
    costs, coverage, day_of, drills, standing, trends,
};
use crate::findings::{Finding, Status, findings};
use crate::history::RunRow;
use crate::recommend::recommend_for;

/// The data of a quarterly report. A run whose evidence is damaged is one without a record: nothing is told from it.
#[must_use]
pub fn quarter(inputs: &Inputs<'_>) -> Quarter {
    of_believed(inputs, of_inputs)
}

/// Findings that a run closed since are told to be closed only where the evidence of that run was looked at; those of before are in the
/// reports of before.
const CLOSED_LATELY: Days = Days::new(366);

/// Ids of the runs that a quarter shows, or relies on: those whose evidence has to be looked at. What is known to be damaged is
/// none of them.
#[must_use]
pub fn relied_on(inputs: &Inputs<'_>) -> BTreeSet<String> {
    of_believed(inputs, |inputs| {
        let period = inputs.quarter.period(inputs.today);
        let drills = drills::of_quarter(inputs, &period).into_iter().map(|row| row.run_id.clone());
        let cells = coverage::coverage(inputs, &period);
        let passes = cells.into_iter().filter_map(|cell| cell.last_pass).map(|run| run.run_id);
        let plans = controls::plans(inputs, &period).into_iter();
        let plans = plans.flat_map(|plan| [plan.last, plan.last_of_any]).flatten();
        let outside = coverage::outside(inputs, &period).into_iter().map(|one| one.last);
        let tested = plans.chain(outside).map(|run| run.run_id);
        let found =
            findings(inputs.rows, inputs.words, period.as_of, inputs.program.cadence.retest).all;
        // What was closed is not shown because a run closed it.
        let lately = |at: &DateTime<Utc>| at.date_naive() > period.as_of.0 - CLOSED_LATELY;
        let closed = found.iter().filter_map(|finding| finding.closed.as_ref());
        let closed = closed.filter(|closed| lately(&closed.at));
        let closed = closed.filter_map(|closed| closed.run_id.clone());
        let shown = found.iter().filter(|finding| was_open_in(finding, &period));
        // Those between say nothing that these two do not.
        let shown = shown.flat_map(|one| [one.runs.first(), one.runs.last()]).flatten().cloned();
        let claims = trends::claimed(inputs, &period);
        let of_findings: Vec<String> = closed.chain(shown).collect();
        drills.chain(passes).chain(tested).chain(of_findings).chain(claims).collect()
    })
}

/// What is made of the inputs without the runs whose evidence is damaged.
fn of_believed<T>(inputs: &Inputs<'_>, make: impl Fn(&Inputs<'_>) -> T) -> T {
    let damaged = |row: &&RunRow| inputs.evidence.get(&row.run_id) == Some(&EvidenceState::Damaged);
    if !inputs.rows.iter().any(|row| damaged(&row)) {
        return make(inputs);
    }
    let mut cut_off = inputs.cut_off.to_vec();
    cut_off.extend(inputs.rows.iter().filter(damaged).map(CutOff::damaged));
    let rows: Vec<RunRow> = inputs.rows.iter().filter(|row| !damaged(row)).cloned().collect();
    let believed: HashSet<&str> = rows.iter().map(|row| row.run_id.as_str()).collect();
    let records = inputs.records.iter().filter(|one| believed.contains(one.run_id.as_str()));
    let records: Vec<Record> = records.cloned().collect();
    make(&Inputs { rows: &rows, records: &records, cut_off: &cut_off, ..*inputs })
}

fn of_inputs(inputs: &Inputs<'_>) -> Quarter {
    let period = inputs.quarter.period(inputs.today);
    let all = findings(inputs.rows, inputs.words, period.as_of, inputs.program.cadence.retest);
    let rows = drills::of_quarter(inputs, &period);
    let cut_off = cut_off(inputs, &period);
    let lines: Vec<_> = {
        let shown = drills::shown(&all.all);
        rows.iter().map(|row| drills::line(inputs, row, &shown)).collect()
    };
    let cells = coverage::coverage(inputs, &period);
    let of_quarter: Vec<Finding> =
        all.all.into_iter().filter(|finding| was_open_in(finding, &period)).collect();
    let asked_for = |finding: &Finding| {
        let (scenario, environment) = (&finding.scenario, &finding.environment);
        coverage::is_asked_for(inputs, scenario, environment, finding.tabletop)
    };
    let facts = standing::facts(inputs, &cells, &lines, &cut_off, &of_quarter, &period, asked_for);
    let accepted_risks = standing::accepted(inputs, &of_quarter, period.as_of);
    let counted: Vec<&RunRow> = rows.iter().copied().filter(|row| row.counts()).collect();
    let (emulated, real): (Vec<&RunRow>, Vec<&RunRow>) =
        counted.iter().copied().partition(|row| row.environment.emulated);
    // One of which it is not known where it took place did not pass on a real environment.
    let of_place = |emulated: bool| -> Vec<&CutOff> {
        let of = |run: &&CutOff| run.emulated.unwrap_or(false) == emulated;
        cut_off.iter().filter(|run| run.counts != Some(false)).filter(of).collect()
    };
    let ids: HashSet<&str> = rows.iter().map(|row| row.run_id.as_str()).collect();
    let records = || inputs.records.iter().filter(|one| ids.contains(one.run_id.as_str()));
    let mut quarter = Quarter {
        schema: SCHEMA.to_owned(),
        tool: inputs.tool.clone(),
        program: program(inputs.program),
        standing: standing::standing(&facts, &accepted_risks),
        facts,
        kpis: kpis(&real, &of_place(false)),
        emulated_kpis: (!emulated.is_empty() || !of_place(true).is_empty())
            .then(|| kpis(&emulated, &of_place(true))),
        outside: coverage::outside(inputs, &period),
        trends: trends::trends(inputs, &period),
        drills: lines,
        deviations: records().flat_map(drills::deviations).collect(),
        interventions: records().flat_map(drills::interventions).collect(),
        restores: counted.iter().filter_map(|row| drills::restore(inputs, row)).collect(),
        participation: counted
            .iter()
            .filter_map(|row| drills::participation(inputs, row))
            .collect(),
        third_parties: drills::third_parties(inputs),
        findings: of_quarter,
        orphans: all.orphans,
        accepted_risks,
        exclusions: standing::exclusions(inputs, period.as_of),
        costs: counted
            .iter()
            .flat_map(|row| costs::costs(row, &inputs.program.functions))
            .collect(),
        next: coverage::due(&cells, &period),
        controls: controls::controls(inputs, &cells),
        plans: controls::plans(inputs, &period),
        recommendations: Vec::new(),
        gaps: gaps(inputs, &rows),
        coverage: cells,
        cut_off,
        period,
    };
    quarter.recommendations = recommend_for(&quarter);
    quarter
}

/// Whether a finding was open, or accepted, on some day of the quarter.
fn was_open_in(finding: &Finding, period: &Period) -> bool {
    let closed = finding.closed.as_ref().map(|by| Date(by.at.date_naive()));
    finding.status != Status::Closed || closed.is_some_and(|day| day >= period.from)
}

fn cut_off(inputs: &Inputs<'_>, period: &Period) -> Vec<CutOff> {
    // One of which it is not known when it was belongs to no quarter, and is told among the gaps.
    let when = |run: &&CutOff| run.started.is_some_and(|at| period.has(Date(at.date_naive())));
    inputs.cut_off.iter().filter(when).cloned().collect()
}

fn gaps(inputs: &Inputs<'_>, rows: &[&RunRow]) -> Vec<String> {
    let mut gaps = inputs.gaps.to_vec();
    let known: HashSet<&str> = inputs.records.iter().map(|one| one.run_id.as_str()).collect();
    for row in rows {
        if !known.contains(row.run_id.as_str()) {
            let (id, day) = (&row.run_id, day_of(row));
            gaps.push(format!("the record of run {id} of {day} is not here: its deviations and participants are not known"));
        }
    }
    // Whoever looked at the evidence says more.
    let told = |run: &&CutOff| inputs.gaps.iter().any(|gap| gap.contains(&run.run_id));
    for run in inputs.cut_off.iter().filter(|run| !told(run)) {
        match (&run.unreadable, run.started) {
            (Some(why), _) => {
                gaps.push(format!("the record of run {} cannot be read: {why}", run.run_id));
            }
            (None, None) => {
                gaps.push(format!("run {} was cut off, and does not say when it was", run.run_id));
            }
            (None, Some(_)) => {}
        }
    }
    for line in inputs.unreadable {
        gaps.push(format!("line {} of findings.jsonl cannot be read: {}", line.line, line.why));
    }
    gaps
}

fn program(program: &Program) -> ProgramFacts {
    let tier =
        |name: &String| program.services.iter().find(|one| one.name == *name).map(|one| one.tier);
    let functions = program.functions.iter().map(|function| FunctionFacts {
        name: function.name.clone(),
        title: function.title.clone(),
        owner: function.owner.clone(),
        services: function.services.clone(),
        tier: function.services.iter().filter_map(tier).min(),
        impact_reference: function.impact.as_ref().map(|impact| impact.reference.clone()),
    });
    ProgramFacts {
        name: program.program.clone(),
        title: program.title.clone(),
        organisation: program.organisation.clone(),
        owner: program.owner.clone(),
        objectives: program.objectives.clone(),
        assumptions: program.assumptions.clone(),
        functions: functions.collect(),
    }
}
