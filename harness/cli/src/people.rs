//! People in a drill that follows a runbook: asked at the terminal, or spoken for by a file of answers.

use std::io::{self, BufRead, IsTerminal, Read};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use drdrill_core::people::{LONGEST_NOTE, People, Said};
use drdrill_core::runbook::{Contact, Runbook, RunbookStep, StepBy};
use drdrill_core::tabletop::{Answer, Names, Participant, Script, StepResult};
use tokio::sync::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::args::RunArgs;
use crate::catalog::{self, Source};
use crate::exit::{Code, Failure};
use crate::out;
use crate::wiring::Plan;

/// A line that is typed is cut after so many bytes: room for the longest note, whatever it is written in.
const LONGEST_LINE: u64 = 4 * LONGEST_NOTE as u64 + 100;
/// Lines that may wait to be heard; more are forgotten, and answer nothing.
const WAITING: usize = 100;

/// What is asked for after a line that says nothing.
const HOW_TO_ANSWER: &str =
    "write d (done), f (failed) or s (skipped), and behind it a note if there is one";

/// Who answers in a drill.
pub(crate) struct Asked {
    pub(crate) people: Arc<dyn People>,
    /// Whether their answers come from a file.
    pub(crate) scripted: bool,
    /// Where the screen says which question it has shown; `None` where it shows none.
    pub(crate) shown: Option<watch::Sender<usize>>,
    pub(crate) participants: Vec<Participant>,
}

/// Who answers in this drill; `None` where it follows no runbook.
///
/// Answers come from the file that the command line names, else from the scenario's own, else from the terminal; with
/// `--ask` from the terminal. Refused before anything is touched when somebody has to be asked and nobody can be.
pub(crate) fn of(plan: &Plan, args: &RunArgs) -> Result<Option<Asked>, Failure> {
    let Some(followed) = &plan.followed else {
        if args.script.is_none() && !args.ask {
            return Ok(None);
        }
        let name = &plan.scenario.scenario;
        let message = format!("nobody is asked anything in {name}: it follows no runbook");
        return Err(Failure::new(Code::Usage, message));
    };
    let runbook = &followed.runbook;
    let script = match (&args.script, args.ask) {
        (Some(path), _) => Some(script(&catalog::file(path)?, runbook)?),
        (None, true) => None,
        (None, false) => followed.script.clone(),
    };
    let contacts = runbook.contacts.clone();
    if let Some(script) = script {
        let participants = script.participants.clone();
        let people = Arc::new(Scripted { script, contacts });
        return Ok(Some(Asked { people, scripted: true, shown: None, participants }));
    }
    let first = runbook.steps.iter().find(|step| step.by() == StepBy::Person);
    if let Some(step) = first
        && !at_a_terminal()
    {
        let message = format!(
            "step {} of the runbook {} is for a person, and nobody can be asked: run it at a terminal, or give the answers \
             with --script FILE",
            step.name, runbook.runbook
        );
        return Err(Failure::new(Code::NotReady, message));
    }
    if first.is_some() {
        // Listened to from now on, so that what is typed before a question can be told from its answer.
        typed();
    }
    let (screen, shown) = watch::channel(0);
    let people = Arc::new(Terminal { contacts, shown });
    Ok(Some(Asked { people, scripted: false, shown: Some(screen), participants: Vec::new() }))
}

/// Reads answers, whose names must be those of the runbook.
pub(crate) fn script(source: &Source, runbook: &Runbook) -> Result<Script, Failure> {
    let steps = runbook.steps.iter().map(|step| step.name.clone()).collect();
    source.script(&Names { steps: Some(steps), roles: Some(runbook.roles()) })
}

/// Whether somebody can read a question and answer it.
pub(crate) fn at_a_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The lines that are typed, from now to the end of the process: an interrupt must not wait for one.
fn typed() -> &'static Mutex<Receiver<String>> {
    static TYPED: OnceLock<Mutex<Receiver<String>>> = OnceLock::new();
    TYPED.get_or_init(|| {
        let (said, lines) = channel(WAITING);
        thread::spawn(move || {
            let mut input = io::stdin().lock();
            while let Some(line) = next_line(&mut input) {
                if let Err(TrySendError::Closed(_)) = said.try_send(line) {
                    break;
                }
            }
        });
        Mutex::new(lines)
    })
}

/// The beginning of the next line; `None` at the end. What is no text is shown as such, and ends nothing.
fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
    if !read.is_ok_and(|read| read > 0) {
        return None;
    }
    if !line.ends_with(b"\n") {
        // The rest of a line is no line of its own.
        input.skip_until(b'\n').ok()?;
    }
    Some(String::from_utf8_lossy(&line).trim().to_owned())
}

fn contact<'a>(contacts: &'a [Contact], role: &str) -> &'a str {
    contacts.iter().find(|one| one.role == role).map_or("", |one| &one.name)
}

/// The beginning of what somebody said.
fn note(text: &str) -> String {
    text.trim().chars().take(LONGEST_NOTE).collect()
}

/// People at the terminal. What they are shown is the drill's screen; here they are heard.
#[derive(Debug)]
struct Terminal {
    contacts: Vec<Contact>,
    /// Number of the question that was shown last.
    shown: watch::Receiver<usize>,
}

#[async_trait]
impl People for Terminal {
    fn who(&self, role: &str) -> String {
        contact(&self.contacts, role).to_owned()
    }

    async fn ask(&self, number: usize, _: usize, _: &RunbookStep) -> Result<Said, String> {
        let asked = Instant::now();
        // A terminal may take no output for a while: nobody answers what they cannot see.
        let shown = self.shown.clone().wait_for(|shown| *shown == number).await.map(drop);
        shown.map_err(|_| "nobody is shown anything any more")?;
        let shown_after = asked.elapsed();
        let mut lines = typed().lock().await;
        // What was typed before the question answers another one.
        while lines.try_recv().is_ok() {}
        loop {
            let line = lines.recv().await.ok_or("nobody answers any more")?;
            if let Some(said) = understood(&line) {
                return Ok(Said { shown_after, ..said });
            }
            out::error(HOW_TO_ANSWER);
        }
    }
}

/// A line as an answer. Nothing is not an answer: somebody who only presses Enter has not said that it is done.
fn understood(line: &str) -> Option<Said> {
    let line = line.trim();
    let end = line.find(|one: char| !one.is_alphabetic()).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let result = match word.to_lowercase().as_str() {
        "d" | "done" => StepResult::Done,
        "f" | "failed" => StepResult::Failed,
        "s" | "skip" | "skipped" => StepResult::Skipped,
        _ => return None,
    };
    let said = rest.trim_start_matches(|one: char| one.is_whitespace() || ":,;.-".contains(one));
    Some(Said { result, note: note(said), shown_after: Duration::ZERO })
}

/// Answers from a file, each as late as it says.
#[derive(Debug)]
struct Scripted {
    script: Script,
    contacts: Vec<Contact>,
}

#[async_trait]
impl People for Scripted {
    fn who(&self, role: &str) -> String {
        let mut present = self.script.participants.iter().filter(|one| one.present);
        let found = present.find(|one| one.role == role).map(|one| one.name.as_str());
        found.unwrap_or_else(|| contact(&self.contacts, role)).to_owned()
    }

    async fn ask(&self, _: usize, _: usize, step: &RunbookStep) -> Result<Said, String> {
        let answer = self.script.steps.iter().find(|answer| answer.step == step.name);
        let Some(Answer { result, takes, decision, issues, .. }) = answer else {
            let note = "the answers say nothing of it".to_owned();
            return Ok(Said { result: StepResult::Skipped, note, shown_after: Duration::ZERO });
        };
        if let Some(takes) = takes {
            sleep(takes.0).await;
        }
        let words: Vec<&str> = [decision].into_iter().chain(issues).map(String::as_str).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let note = note(&words.join("; "));
        Ok(Said { result: *result, note, shown_after: Duration::ZERO })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_STEP: &str = "\
runbook: r
title: R
triggers: [x]
contacts: [{ role: lead, name: L, reach: x }]
steps: [{ name: tell, phase: verify, owner: lead, within: 1s, do: [x], expect: x, otherwise: y }]
rollback: [x]
";

    #[tokio::test]
    async fn nobody_is_asked_before_the_question_is_shown() {
        let (screen, shown) = watch::channel(0);
        let terminal = Terminal { contacts: Vec::new(), shown };
        let step = drdrill_core::scenario::parse_runbook("r", ONE_STEP).unwrap().steps.remove(0);
        let asking = tokio::time::timeout(Duration::from_millis(100), terminal.ask(1, 1, &step));
        assert!(asking.await.is_err(), "it was answered, unseen");
        drop(screen);
        let said = terminal.ask(1, 1, &step).await.unwrap_err();
        assert_eq!(said, "nobody is shown anything any more");
    }

    #[test]
    fn a_line_is_cut_and_what_is_cut_off_is_no_answer() {
        let long = format!("f {}\nd\n\u{fe}last", "x".repeat(100_000));
        let mut input = io::Cursor::new(long);
        let first = next_line(&mut input).unwrap();
        assert!(first.starts_with("f xxx") && first.len() < 10_000, "{}", first.len());
        assert_eq!(next_line(&mut input).as_deref(), Some("d"));
        assert_eq!(next_line(&mut input).as_deref(), Some("\u{fe}last"));
        assert_eq!(next_line(&mut input), None);
    }

    #[test]
    fn an_answer_is_one_of_three_and_may_have_a_note() {
        let said = |line: &str| understood(line).map(|said| (said.result, said.note));
        assert_eq!(said("d"), Some((StepResult::Done, String::new())));
        assert_eq!(
            said("  Done: at 10:02, by phone "),
            Some((StepResult::Done, "at 10:02, by phone".into()))
        );
        assert_eq!(said("f no access"), Some((StepResult::Failed, "no access".into())));
        assert_eq!(said("s"), Some((StepResult::Skipped, String::new())));
        for nothing in ["", "   ", "y", "ok", "donee", "-", "1", "dfs"] {
            assert_eq!(said(nothing), None, "{nothing:?}");
        }
        let (_, long) = said(&format!("d {}", "x".repeat(10 * LONGEST_NOTE))).unwrap();
        assert_eq!(long.len(), LONGEST_NOTE);
    }
}
