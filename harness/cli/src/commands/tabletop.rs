//! `drdrill tabletop`: people walk through a scenario with the runbook in hand. Nothing is touched; what they say ends in
//! the same evidence as a drill.

mod people;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;

use drdrill_core::event::{AbortCause, DrillStarted, Event, Journal};
use drdrill_core::runbook::{Runbook, RunbookStep};
use drdrill_core::scenario::{Kind, Scenario};
use drdrill_core::tabletop::{Answer, Conclusion, Participant, Script};
use drdrill_engine::history::Recorder;
use drdrill_engine::state::{StateDir, new_run_id};

use super::run::{Session, spoil};
use crate::adapters::History;
use crate::args::TabletopArgs;
use crate::catalog::{self, Source};
use crate::evidence::{self, EVENTS_FILE};
use crate::exit::{Code, Failure, Outcome};
use crate::people as people_of;
use crate::runs;
use crate::wiring::{self, Plan};
use people::People;

/// Why an exercise ends before its end.
struct Stop(String);

/// Where the answers come from.
enum Answers<'a> {
    Script(Script),
    People(People<'a>),
}

impl Answers<'_> {
    fn participants(&mut self, runbook: &Runbook) -> Result<Vec<Participant>, Stop> {
        match self {
            Self::Script(script) => Ok(script.participants.clone()),
            Self::People(people) => people.participants(runbook),
        }
    }

    fn step(&mut self, number: usize, of: usize, step: &RunbookStep) -> Result<Answer, Stop> {
        match self {
            Self::Script(script) => {
                let said = script.steps.iter().find(|answer| answer.step == step.name);
                Ok(said.cloned().unwrap_or_else(|| Answer::skipped(&step.name)))
            }
            Self::People(people) => people.step(number, of, step),
        }
    }

    fn conclusion(&mut self) -> Result<Conclusion, Stop> {
        match self {
            Self::Script(script) => Ok(script.conclusion.clone()),
            Self::People(people) => people.conclusion(),
        }
    }
}

/// Conducts an exercise.
pub(crate) fn tabletop(state: &StateDir, args: &TabletopArgs) -> Outcome {
    let plan = wiring::plan(&args.scenario, &args.on)?;
    let (source, runbook) = runbook(args, &plan)?;
    let script = args.script.as_deref().map(catalog::file).transpose()?;
    let script = script.map(|file| people_of::script(&file, &runbook)).transpose()?;
    if script.is_none() && !people_of::at_a_terminal() {
        let hint = "an exercise asks people: run it at a terminal, or give their answers with --script FILE";
        return Err(Failure::new(Code::Usage, hint));
    }
    state.prepare().map_err(Failure::with(Code::NotReady))?;
    let signer = evidence::signer(state, args.key.as_deref())?;
    let session = Session::start()?;
    let answers = script.map_or_else(|| Answers::People(People::new(&session)), Answers::Script);
    let now = chrono::Utc::now();
    let run_id = new_run_id(now);
    let run_dir = state.run(&run_id);
    let not_ready = |error: io::Error| {
        Failure::new(Code::NotReady, format!("write to {}: {error}", run_dir.display()))
    };
    fs::create_dir(&run_dir).map_err(not_ready)?;
    let (sink, head) = History::start(&run_dir.join(EVENTS_FILE)).map_err(not_ready)?;
    let recorder = Recorder::start(Box::new(sink)).map_err(not_ready)?;
    let started = started(&plan, run_id, &run_dir, now)?;
    conduct(&*recorder.journal(), started, (&source, runbook), answers);
    let (history, whole) = recorder.finish();
    let head = *head.lock().unwrap_or_else(PoisonError::into_inner);
    let mut record = evidence::judge(&history)
        .map_err(|error| Failure::new(Code::Bug, format!("judge the exercise: {error}")))?;
    if !whole {
        spoil(&mut record, "the history of this exercise could not be written whole");
    }
    let report = evidence::write(&run_dir, &record, &history, head, &signer);
    if let Err(error) = &report {
        let reason = format!("the evidence in {} could not be written: {error}", run_dir.display());
        crate::out::error(&format!("drdrill: {reason}"));
        spoil(&mut record, &reason);
        // What stands on disk must not say more than what is said here, where it can be written at all.
        let _ = evidence::write_record(&run_dir, &record);
    } else {
        runs::enter(state, &record);
    }
    super::print_record(&record, report.ok().as_deref(), args.on.format);
    Ok(Code::of_number(record.exit_code))
}

/// The runbook that is asked for, or that of the scenario.
fn runbook(args: &TabletopArgs, plan: &Plan) -> Result<(Source, Runbook), Failure> {
    let source = match &args.runbook {
        Some(name) => catalog::runbook(name)?,
        None => catalog::runbook_of(&plan.scenario, &plan.source)?.ok_or_else(|| {
            let name = &plan.scenario.scenario;
            let hint = "give one with --runbook, or write `runbook: NAME` into the scenario";
            Failure::new(Code::Usage, format!("scenario {name} names no runbook; {hint}"))
        })?,
    };
    let runbook = source.runbook()?;
    Ok((source, runbook))
}

fn started(
    plan: &Plan,
    run_id: String,
    run_dir: &Path,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<DrillStarted, Failure> {
    // Asked for its services and its identity; it does not come up.
    let environment = wiring::environment(&plan.inventory, &run_id, run_dir, Path::new(""), 0)?;
    let scenario = Scenario { kind: Kind::Tabletop, ..plan.scenario.clone() };
    Ok(DrillStarted {
        run_id,
        tool: wiring::tool(),
        environment: wiring::facts(&scenario, &plan.inventory, &*environment),
        scenario,
        scenario_sha256: plan.source.sha256(),
        settings: plan.settings.clone(),
        streams: Vec::new(),
        started_at: now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        seed: 0,
    })
}

fn conduct(
    journal: &dyn Journal,
    started: DrillStarted,
    (source, runbook): (&Source, Runbook),
    mut answers: Answers<'_>,
) {
    journal.record(Event::DrillStarted(Box::new(started)));
    if let Err(Stop(reason)) = walk(journal, source, runbook, &mut answers) {
        journal.record(Event::Aborted { cause: AbortCause::Operator, reason });
    }
    let finished_at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    journal.record(Event::DrillFinished { finished_at });
}

fn walk(
    journal: &dyn Journal,
    source: &Source,
    runbook: Runbook,
    answers: &mut Answers<'_>,
) -> Result<(), Stop> {
    let asked = answers.participants(&runbook);
    let (participants, stop) = match asked {
        Ok(participants) => (participants, None),
        Err(stop) => (Vec::new(), Some(stop)),
    };
    let steps = runbook.steps.clone();
    journal.record(Event::TabletopStarted {
        runbook: Box::new(runbook),
        runbook_sha256: source.sha256(),
        scripted: matches!(answers, Answers::Script(_)),
        participants,
    });
    stop.map_or(Ok(()), Err)?;
    for (number, step) in steps.iter().enumerate() {
        let started = journal.now();
        let answer = answers.step(number + 1, steps.len(), step)?;
        journal.record(Event::TabletopStep { started, finished: journal.now(), answer });
    }
    journal.record(Event::TabletopConcluded { conclusion: answers.conclusion()? });
    Ok(())
}
