//! `drdrill finding`: what drills brought to light, and who sees to it.
//!
//! What is written down goes to `findings.jsonl` in the state directory, which no rebuild touches.

use chrono::Utc;
use drdrill_core::checker::Severity;
use drdrill_core::names::known_names;
use drdrill_core::program::{Date, Every};
use drdrill_engine::state::StateDir;
use drdrill_reports::findings::{
    ACTION, Closed, Finding, Findings, Line, Say, Status, append, findings,
};
use drdrill_reports::history::Filter;
use nix::unistd::{User, getuid};
use tabled::Tabled;

use super::list::table;
use crate::args::{FindingCommand, FindingListArgs, FindingShowArgs, Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::out;
use crate::quarter::words;
use crate::runs::Runs;

/// When a drill that did not pass is to be repeated, where no program says so.
const RETEST: Every = Every { days: 30 };

#[derive(Tabled)]
struct Row {
    finding: String,
    severity: &'static str,
    status: String,
    scenario: String,
    environment: String,
    #[tabled(rename = "what was seen")]
    seen: String,
    owner: String,
    due: String,
}

/// Lists findings, or writes down what is said of one.
pub(crate) fn finding(state: &StateDir, what: &FindingCommand) -> Outcome {
    let text = |text: &str, what: &str| {
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::new(Code::Usage, format!("{what} is empty")));
        }
        Ok(text.to_owned())
    };
    let (which, say) = match what {
        FindingCommand::List(args) => return list(state, args),
        FindingCommand::Show(which) => {
            let all = read(state)?;
            show(one(&all, &which.finding)?, which.format);
            return Ok(Code::Passed);
        }
        FindingCommand::Assign { which, to } => (which, Say::Assign { to: text(to, "the name")? }),
        FindingCommand::Due { which, on } => (which, Say::Due { on: *on }),
        FindingCommand::Accept { which, by, until, because } => {
            if *until < today() {
                let message = format!("{until} is over: a risk is accepted until a day to come");
                return Err(Failure::new(Code::Usage, message));
            }
            let (by, because) = (text(by, "the name")?, text(because, "the reason")?);
            (which, Say::Accept { by, until: *until, because })
        }
        FindingCommand::Done { which, because } => {
            (which, Say::Done { because: text(because, "the reason")? })
        }
        FindingCommand::Withdraw { which, because } => {
            (which, Say::Withdraw { because: text(because, "the reason")? })
        }
        FindingCommand::Cause(args) => {
            (&args.which, Say::Cause { text: text(&args.text, "the cause")? })
        }
        FindingCommand::Ticket(args) => {
            (&args.which, Say::Ticket { reference: text(&args.text, "the ticket")? })
        }
        FindingCommand::Note(args) => {
            (&args.which, Say::Note { text: text(&args.text, "the note")? })
        }
    };
    write_down(state, which, say)
}

/// Writes down what was said, and shows what the finding is now.
fn write_down(state: &StateDir, which: &FindingShowArgs, say: Say) -> Outcome {
    let all = read(state)?;
    let found = one(&all, &which.finding)?;
    if found.status == Status::Closed && matches!(say, Say::Accept { .. }) {
        let by = found.closed.as_ref().map(Closed::words).unwrap_or_default();
        let message = format!("{} is closed by {by}: there is nothing to accept", found.id);
        return Err(Failure::new(Code::Usage, message));
    }
    if matches!(say, Say::Done { .. }) && !found.key.starts_with(ACTION) {
        let message = format!(
            "{} was shown by a drill, and a later one that passes without it closes it: {} is to be drilled on {} again",
            found.id, found.scenario, found.environment
        );
        return Err(Failure::new(Code::Usage, message));
    }
    let user = User::from_uid(getuid()).ok().flatten();
    let line = Line {
        at: Utc::now(),
        by: user.map_or_else(|| getuid().to_string(), |user| user.name),
        finding: found.id.clone(),
        about: format!("{} on {}: {}", found.scenario, found.environment, found.key),
        say,
    };
    state.prepare().map_err(Failure::with(Code::NotReady))?;
    let path = state.findings();
    append(&path, &line).map_err(|error| {
        Failure::new(Code::NotReady, format!("write to {}: {error}", path.display()))
    })?;
    let all = read(state)?;
    show(one(&all, &found.id)?, which.format);
    Ok(Code::Passed)
}

fn today() -> Date {
    Date(Utc::now().date_naive())
}

/// All findings as they stand today. What cannot be read is said.
fn read(state: &StateDir) -> Result<Findings, Failure> {
    let rows = Runs::of(state)?.find(&Filter::default())?;
    let (words, unreadable) = words(state)?;
    for line in unreadable {
        let path = state.findings();
        let text = format!("drdrill: {}:{}: {}", path.display(), line.line, line.why);
        out::error(&out::harmless(&text));
    }
    Ok(findings(&rows, &words, today(), RETEST))
}

/// The finding that an id, or the beginning of one, means.
fn one<'a>(all: &'a Findings, name: &str) -> Result<&'a Finding, Failure> {
    let found: Vec<&Finding> = all.all.iter().filter(|one| one.id.starts_with(name)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let known = known_names(name, all.all.iter().map(|one| one.id.as_str()));
            Err(Failure::new(Code::Usage, format!("there is no finding `{name}`; {known}")))
        }
        several => {
            let several: Vec<&str> = several.iter().map(|one| one.id.as_str()).collect();
            let several = several.join(", ");
            Err(Failure::new(Code::Usage, format!("`{name}` begins several findings: {several}")))
        }
    }
}

fn list(state: &StateDir, args: &FindingListArgs) -> Outcome {
    let found = read(state)?;
    let among = |wanted: &[String], name: &String| wanted.is_empty() || wanted.contains(name);
    let shown: Vec<&Finding> = found
        .all
        .iter()
        .filter(
            |one| if args.overdue { one.overdue } else { args.all || one.status != Status::Closed },
        )
        .filter(|one| among(&args.scenarios, &one.scenario))
        .filter(|one| among(&args.environments, &one.environment))
        .collect();
    if args.format.format == Format::Json {
        out::json(&shown);
    } else if shown.is_empty() {
        out::line(if args.all { "there are no findings" } else { "no finding is open" });
    } else {
        out::line(&table(&shown.into_iter().map(row).collect::<Vec<_>>()));
    }
    for orphan in &found.orphans {
        let words = orphan.words;
        let text = format!(
            "{} ({}): {words} words of a run that is not here",
            orphan.finding, orphan.about
        );
        out::error(&out::harmless(&format!("drdrill: {text}")));
    }
    Ok(Code::Passed)
}

fn none() -> String {
    "-".to_owned()
}

fn row(one: &Finding) -> Row {
    let mut due = one.due.map_or_else(none, |day| day.to_string());
    if one.overdue {
        due.push_str(" overdue");
    }
    let mut status = one.status.word().to_owned();
    if let Some(accepted) = one.accepted.as_ref().filter(|accepted| accepted.holds) {
        status = format!("{status} until {}", accepted.until);
    }
    Row {
        finding: one.id.clone(),
        severity: severity(one.severity),
        status,
        scenario: one.scenario.clone(),
        environment: one.environment.clone(),
        seen: one.seen.first().cloned().unwrap_or_else(|| one.key.clone()),
        owner: one.owner.clone().unwrap_or_else(none),
        due,
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn show(one: &Finding, format: FormatArgs) {
    if format.format == Format::Json {
        out::json(one);
        return;
    }
    let say = |text: String| out::line(&out::harmless(&text));
    say(format!("{}  {}  {}", one.id, severity(one.severity), one.status.word()));
    let drill = if one.tabletop { "exercise" } else { "drill" };
    say(format!("of        {drill} {} on {}", one.scenario, one.environment));
    for seen in &one.seen {
        say(format!("seen      {seen}"));
    }
    say(format!("in        {}", one.runs.join(", ")));
    let facts = [
        ("repeats", one.repeats.clone()),
        ("owner", one.owner.clone()),
        ("due", one.due.map(|day| format!("{day}{}", if one.overdue { ", overdue" } else { "" }))),
        ("retest", one.retest_due.map(|day| format!("by {day}"))),
        ("cause", one.root_cause.clone()),
        ("tickets", (!one.tickets.is_empty()).then(|| one.tickets.join(", "))),
        (
            "accepted",
            one.accepted.as_ref().map(|accepted| {
                let holds = if accepted.holds { "" } else { "; holds no more" };
                let (by, on, until) = (&accepted.by, accepted.on, accepted.until);
                format!("by {by} on {on} until {until}: {}{holds}", accepted.because)
            }),
        ),
        ("closed", one.closed.as_ref().map(|by| format!("by {}", by.words()))),
    ];
    for (what, text) in facts {
        if let Some(text) = text {
            say(format!("{what:<9} {text}"));
        }
    }
    for note in &one.notes {
        say(format!("{} {}: {}", note.at.format("%Y-%m-%d"), note.by, note.text));
    }
}
