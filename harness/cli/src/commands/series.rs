//! `drdrill run`: one drill, or several one after the other.
//!
//! A series goes on after a failure. It ends early when a drill left something in place, because the next would be
//! measured on a system that is broken already, and when the operator interrupts or halts: both mean all of it.

mod choice;
mod table;

use drdrill_core::record::Record;
use drdrill_core::scenario::Expect;
use drdrill_engine::state::StateDir;

use super::halt::refuse_when_halted;
use super::run::{Ran, Session, run as drill};
use crate::args::{Format, RunArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::out;
use choice::{Chosen, choose};

/// How a drill of a series ended.
enum End {
    /// It ran.
    Ran(Box<Ran>),
    /// It was refused, or could not begin.
    Failed(Failure),
    /// It was not tried.
    NotTried(String),
}

/// A drill of a series.
struct Row {
    scenario: String,
    expect: Option<Expect>,
    end: End,
}

impl Row {
    /// The exit code that it adds to the series; `None` when it was not tried. One that must fail and does so as it
    /// states has passed.
    fn code(&self, must_fail: bool) -> Option<Code> {
        let code = match &self.end {
            End::Ran(ran) => Code::of_number(ran.record.exit_code),
            End::Failed(failure) => failure.code,
            End::NotTried(_) => return None,
        };
        if !must_fail || matches!(code, Code::LeftInPlace | Code::Aborted) {
            return Some(code);
        }
        Some(if self.as_stated().is_ok() { Code::Passed } else { Code::Failed })
    }

    /// Whether one that must fail did so as it states.
    fn as_stated(&self) -> Result<(), String> {
        let expect =
            self.expect.as_ref().ok_or("it does not state how it has to end (`expect`)")?;
        match &self.end {
            End::Ran(ran) => expect.compare(ran.record.exit_code, &ran.record.reasons),
            End::Failed(failure) => Err(failure.message.clone()),
            End::NotTried(why) => Err(why.clone()),
        }
    }

    fn record(&self) -> Option<&Record> {
        match &self.end {
            End::Ran(ran) => Some(&ran.record),
            End::Failed(_) | End::NotTried(_) => None,
        }
    }
}

/// Runs what the command line asks for.
pub(crate) fn run(state: &StateDir, args: &RunArgs) -> Outcome {
    if let [scenario] = args.scenarios.as_slice() {
        refuse_when_halted(state, &args.on.env)?;
        let plan = choice::plan(scenario, &args.on)?;
        let ran = drill(state, args, plan, &Session::start()?)?;
        super::print_record(&ran.record, ran.report.as_deref(), args.on.format);
        return Ok(Code::of_number(ran.record.exit_code));
    }
    let chosen = choose(args)?;
    let rows = run_all(state, args, chosen, &Session::start()?);
    let code = code_of(&rows, args.must_fail);
    if args.on.format.format == Format::Json {
        out::json(&rows.iter().filter_map(Row::record).collect::<Vec<_>>());
    } else {
        table::print(&rows, args.must_fail);
    }
    Ok(code)
}

/// The worst of a series. One of which nothing ran proves nothing, and neither does one of twins that were not tried.
fn code_of(rows: &[Row], must_fail: bool) -> Code {
    let untried = rows.iter().any(|row| matches!(row.end, End::NotTried(_)));
    let missing = (must_fail && untried).then_some(Code::Unknown);
    let codes = rows.iter().filter_map(|row| row.code(must_fail)).chain(missing);
    Code::worst(codes).unwrap_or(Code::NotReady)
}

fn run_all(state: &StateDir, args: &RunArgs, chosen: Vec<Chosen>, session: &Session) -> Vec<Row> {
    let count = chosen.len();
    let mut rows: Vec<Row> = Vec::new();
    let mut stopped: Option<String> = None;
    for (number, Chosen { scenario, environment, expect, plan }) in (1..).zip(chosen) {
        let plan = match &stopped {
            Some(why) => Err(why.clone()),
            None => plan,
        };
        let end = match plan {
            Err(why) => End::NotTried(why),
            Ok(plan) => {
                out::error(&out::harmless(&format!("drdrill: {number} of {count}: {scenario}")));
                let ran = refuse_when_halted(state, &environment)
                    .inspect_err(|halted| stopped = Some(first_line(&halted.message)))
                    .and_then(|()| drill(state, args, *plan, session));
                match ran {
                    Ok(ran) => End::Ran(Box::new(ran)),
                    Err(failure) => {
                        out::error(&format!("drdrill: {}", out::harmless(&failure.message)));
                        End::Failed(failure)
                    }
                }
            }
        };
        let row = Row { scenario, expect, end };
        if stopped.is_none() {
            stopped = why_stop(&row, session);
        }
        rows.push(row);
    }
    rows
}

/// Why nothing more is run after this drill.
fn why_stop(row: &Row, session: &Session) -> Option<String> {
    if row.code(false) == Some(Code::LeftInPlace) {
        return Some(format!("{} left something in place", row.scenario));
    }
    session.interrupted().then(|| "interrupted by the operator".to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
