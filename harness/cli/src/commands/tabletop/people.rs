//! People at a terminal: what they are shown and asked. Questions go to standard error, so that standard output carries
//! the result alone.

use std::io::{self, BufRead, Write};
use std::thread;

use drdrill_core::runbook::{Runbook, RunbookStep};
use drdrill_core::tabletop::{Answer, Conclusion, FollowUp, Names, Participant, StepResult};
use drdrill_core::units::Span;
use garde::Validate;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Stop;
use crate::commands::run::Session;
use crate::out;

pub(super) struct People<'a> {
    session: &'a Session,
    lines: UnboundedReceiver<String>,
}

impl<'a> People<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        let (said, lines) = unbounded_channel();
        // Waits for a line on a thread of its own, which ends with the process: an interrupt must not wait for one.
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if said.send(line).is_err() {
                    break;
                }
            }
        });
        Self { session, lines }
    }

    /// Who is there, role by role.
    pub(super) fn participants(&mut self, runbook: &Runbook) -> Result<Vec<Participant>, Stop> {
        say(&format!("\n{}\n", runbook.title));
        let mut participants = Vec::new();
        for contact in &runbook.contacts {
            let (role, planned) = (&contact.role, &contact.name);
            let name = self.ask(&format!("{role} ({planned}): who is here? (Enter: nobody)"))?;
            let present = !name.is_empty();
            let name = if present { name } else { planned.clone() };
            participants.push(Participant { name, role: role.clone(), planned: true, present });
        }
        Ok(participants)
    }

    /// Presents a step, and asks what comes of it.
    pub(super) fn step(
        &mut self,
        number: usize,
        of: usize,
        step: &RunbookStep,
    ) -> Result<Answer, Stop> {
        let (name, phase, owner) = (&step.name, step.phase.word(), &step.owner);
        say(&format!("\n{number}/{of}  {phase}: {name}   by {owner}, within {}", step.within));
        for action in &step.actions {
            say(&format!("    do      {action}"));
        }
        say(&format!("    expect  {}", step.expect));
        if let Some(otherwise) = &step.otherwise {
            say(&format!("    else    {otherwise}"));
        }
        let result = self.result()?;
        let takes = match result {
            StepResult::Done => Some(self.takes(step.within)?),
            StepResult::Failed | StepResult::Skipped => None,
        };
        Ok(Answer {
            step: name.clone(),
            result,
            takes,
            decision: self.ask("Decision? (Enter: none)")?,
            issues: self.several("Issue? (Enter: no more)")?,
            lessons: self.several("Lesson? (Enter: no more)")?,
        })
    }

    /// Asks what the exercise as a whole brought to light.
    pub(super) fn conclusion(&mut self) -> Result<Conclusion, Stop> {
        say("\nThe exercise as a whole");
        let issues = self.several("Issue? (Enter: no more)")?;
        let lessons = self.several("Lesson? (Enter: no more)")?;
        let mut actions = Vec::new();
        loop {
            let line = self.ask("Action? WHAT; OWNER; YYYY-MM-DD (Enter: no more)")?;
            if line.is_empty() {
                return Ok(Conclusion { issues, lessons, actions });
            }
            match follow_up(&line) {
                Ok(action) => actions.push(action),
                Err(wrong) => say(&wrong),
            }
        }
    }

    fn result(&mut self) -> Result<StepResult, Stop> {
        loop {
            let said = self.ask("Can it be done so? [d]one, [f]ailed, [s]kip (Enter: done)")?;
            match said.to_lowercase().as_str() {
                "" | "d" | "done" => return Ok(StepResult::Done),
                "f" | "failed" => return Ok(StepResult::Failed),
                "s" | "skip" | "skipped" => return Ok(StepResult::Skipped),
                _ => say("write d, f or s"),
            }
        }
    }

    fn takes(&mut self, within: Span) -> Result<Span, Stop> {
        loop {
            let said =
                self.ask(&format!("How long does it take? (Enter: {within}, all it has)"))?;
            if said.is_empty() {
                return Ok(within);
            }
            match said.parse() {
                Ok(takes) => return Ok(takes),
                Err(wrong) => say(&wrong),
            }
        }
    }

    fn several(&mut self, question: &str) -> Result<Vec<String>, Stop> {
        let mut all = Vec::new();
        loop {
            let said = self.ask(question)?;
            if said.is_empty() {
                return Ok(all);
            }
            all.push(said);
        }
    }

    fn ask(&mut self, question: &str) -> Result<String, Stop> {
        let _ = write!(io::stderr().lock(), "{} ", out::harmless(question));
        match self.session.unless_interrupted(self.lines.recv()) {
            Some(Some(line)) => Ok(line.trim().to_owned()),
            Some(None) => Err(Stop("nobody answered any more".to_owned())),
            None => Err(Stop("interrupted by the operator".to_owned())),
        }
    }
}

fn say(text: &str) {
    out::error(&out::harmless(text));
}

fn follow_up(line: &str) -> Result<FollowUp, String> {
    let parts: Vec<&str> = line.split(';').map(str::trim).collect();
    let [what, owner, due] = parts.as_slice() else {
        return Err(
            "write what is to be done, who does it, and until when, with `;` between".to_owned()
        );
    };
    let action =
        FollowUp { what: (*what).to_owned(), owner: (*owner).to_owned(), due: (*due).to_owned() };
    let sound = action.validate_with(&Names::default());
    sound.map(|()| action).map_err(|report| report.to_string().trim().to_owned())
}
