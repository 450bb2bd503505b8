//! Tabletop exercises: people walk through a scenario with the runbook in hand, and nothing is touched. The same file of
//! answers can speak for people in a drill that follows the runbook.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{distinct, known_names, simple_name};
use crate::units::{Span, within};

/// The answers to a tabletop exercise, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Names))]
pub struct Script {
    /// Who was to take part, and who did.
    #[garde(length(min = 1, max = 200), dive)]
    pub participants: Vec<Participant>,
    /// What came of each step of the runbook. One that is missing was skipped.
    #[garde(length(max = 200), custom(distinct(|one: &Answer| &one.step)), dive)]
    pub steps: Vec<Answer>,
    /// What the exercise as a whole brought to light.
    #[serde(default)]
    #[garde(dive)]
    pub conclusion: Conclusion,
}

/// Names of the runbook that an exercise follows; what is `None` is not compared.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Its steps.
    pub steps: Option<Vec<String>>,
    /// Its roles.
    pub roles: Option<Vec<String>>,
}

/// Somebody who was to take part, or did.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Names))]
pub struct Participant {
    /// Who it is.
    #[garde(length(min = 1, max = 200))]
    pub name: String,
    /// The role of the runbook that they play.
    #[garde(custom(known_role))]
    pub role: String,
    /// Whether they were to take part.
    #[serde(default = "yes")]
    #[garde(skip)]
    pub planned: bool,
    /// Whether they did.
    #[garde(skip)]
    pub present: bool,
}

const fn yes() -> bool {
    true
}

/// What people say of a step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// They could do it as the runbook says.
    Done,
    /// They could not.
    Failed,
    /// They did not walk through it.
    Skipped,
}

/// What came of a step.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Names))]
pub struct Answer {
    /// The step's name in the runbook.
    #[garde(custom(known_step))]
    pub step: String,
    /// What people say of it.
    #[garde(custom(said_how_long(self.takes)))]
    pub result: StepResult,
    /// How long it would take, in the judgement of those who would do it. In a drill the answer comes so much later.
    #[serde(default)]
    #[garde(inner(custom(within(Duration::ZERO, Duration::from_hours(24 * 30)))))]
    pub takes: Option<Span>,
    /// What was decided.
    #[serde(default)]
    #[garde(length(max = 4000))]
    pub decision: String,
    /// What stood in the way, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 2000)))]
    pub issues: Vec<String>,
    /// What was learnt, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 2000)))]
    pub lessons: Vec<String>,
}

impl Answer {
    /// A step that nobody walked through.
    #[must_use]
    pub fn skipped(step: &str) -> Self {
        Self {
            step: step.to_owned(),
            result: StepResult::Skipped,
            takes: None,
            decision: String::new(),
            issues: Vec::new(),
            lessons: Vec::new(),
        }
    }
}

/// What an exercise as a whole brought to light.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(Names))]
pub struct Conclusion {
    /// What stood in the way, a sentence each.
    #[garde(length(max = 50), inner(length(min = 1, max = 2000)))]
    pub issues: Vec<String>,
    /// What was learnt, a sentence each.
    #[garde(length(max = 50), inner(length(min = 1, max = 2000)))]
    pub lessons: Vec<String>,
    /// What is to be done.
    #[garde(length(max = 50), dive)]
    pub actions: Vec<FollowUp>,
}

/// Something to be done after an exercise.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Names))]
pub struct FollowUp {
    /// What.
    #[garde(length(min = 1, max = 2000))]
    pub what: String,
    /// Who does it.
    #[garde(length(min = 1, max = 200))]
    pub owner: String,
    /// Until when, `YYYY-MM-DD`.
    #[garde(custom(date))]
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    pub due: String,
}

fn known_role(name: &str, known: &Names) -> garde::Result {
    simple_name(name, known)?;
    among("role", name, known.roles.as_deref())
}

fn known_step(name: &str, known: &Names) -> garde::Result {
    among("step", name, known.steps.as_deref())
}

fn among(class: &str, name: &str, known: Option<&[String]>) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let known = known_names(name, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("the runbook has no {class} `{name}`; {known}")))
}

fn said_how_long<C>(takes: Option<Span>) -> impl Fn(&StepResult, &C) -> garde::Result {
    move |result, _| {
        if *result != StepResult::Done || takes.is_some() {
            return Ok(());
        }
        Err(garde::Error::new("a step that is done says how long it takes (`takes: 5min`)"))
    }
}

fn date<C>(text: &str, _: &C) -> garde::Result {
    let read = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d");
    if text.len() == 10 && read.is_ok() {
        return Ok(());
    }
    Err(garde::Error::new("must be a date, such as 2026-12-31"))
}
