//! Runbooks (requirement C12): who does what, in what order, how long it may take, and what to do when it does not work.
//!
//! A drill may follow one as its recovery plan. A step is then done by a person, unless it says that the machinery, a
//! command of the environment or its functionality checks do it.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{distinct, known_names, simple_name};
use crate::units::Span;

/// A runbook, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(RunbookNames))]
pub struct Runbook {
    /// Name: lower-case letters, digits, `_` and `-`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub runbook: String,
    /// Title, for people.
    #[garde(length(min = 1, max = 200))]
    pub title: String,
    /// What it is for, for people.
    #[serde(default)]
    #[garde(length(max = 4000))]
    pub purpose: String,
    /// Who takes part, by role.
    #[garde(length(min = 1, max = 100), custom(distinct(|one: &Contact| &one.role)), dive)]
    pub contacts: Vec<Contact>,
    /// Whom to call when it takes too long.
    #[serde(default)]
    #[garde(length(max = 50), dive)]
    pub escalation: Vec<Escalation>,
    /// When it is to be followed, a sentence each.
    #[garde(length(min = 1, max = 50), inner(length(min = 1, max = 1000)))]
    pub triggers: Vec<String>,
    /// What to tick off.
    #[serde(default)]
    #[garde(dive)]
    pub checklists: Checklists,
    /// What to do, in order.
    #[garde(
        length(min = 1, max = 200),
        custom(distinct(|one: &RunbookStep| &one.name)),
        custom(can_be_followed),
        dive
    )]
    pub steps: Vec<RunbookStep>,
    /// How to give up and go back, in order.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 1000)))]
    pub rollback: Vec<String>,
}

/// Names that a runbook may use; what is `None` is not compared.
#[derive(Clone, Debug, Default)]
pub struct RunbookNames {
    /// Roles that own steps: they are among the contacts.
    pub roles: Option<Vec<String>>,
    /// What the environment has where a drill follows the runbook.
    pub followed: Option<Followed>,
}

/// What an environment has for the steps of a runbook that a drill follows.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    /// Commands.
    pub commands: Vec<String>,
    /// Functionality checks.
    pub functions: Vec<String>,
    /// Whether the scenario asks for a way back.
    pub failback: bool,
}

/// Somebody who takes part.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(RunbookNames))]
pub struct Contact {
    /// The role by which steps know them, such as `incident_commander`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub role: String,
    /// Who it is: a person, or a rota.
    #[garde(length(min = 1, max = 200))]
    pub name: String,
    /// How to reach them.
    #[garde(length(min = 1, max = 500))]
    pub reach: String,
    /// Who stands in.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub deputy: Option<String>,
}

/// Whom to call when it takes too long.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(RunbookNames))]
pub struct Escalation {
    /// So long after the trigger.
    #[garde(custom(crate::units::within(Duration::from_secs(1), LONGEST)))]
    pub after: Span,
    /// The role to call.
    #[garde(custom(known_owner))]
    pub to: String,
    /// What for.
    #[garde(length(min = 1, max = 1000))]
    pub because: String,
}

/// What to tick off before, while and after the steps are followed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(context(RunbookNames))]
pub struct Checklists {
    /// Before.
    #[garde(length(max = 100), inner(length(min = 1, max = 1000)))]
    pub before: Vec<String>,
    /// Meanwhile.
    #[garde(length(max = 100), inner(length(min = 1, max = 1000)))]
    pub during: Vec<String>,
    /// Afterwards.
    #[garde(length(max = 100), inner(length(min = 1, max = 1000)))]
    pub after: Vec<String>,
}

/// A stretch of the recovery.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Notice it.
    Detect,
    /// Decide what to do.
    Decide,
    /// Fail over, or restore.
    FailOver,
    /// See that it works again. The service is restored at the end of this.
    Verify,
    /// Go back to the original site.
    FailBack,
    /// Tell, write up, clean up.
    Close,
}

impl Phase {
    /// The phase in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Decide => "decide",
            Self::FailOver => "fail over",
            Self::Verify => "verify",
            Self::FailBack => "fail back",
            Self::Close => "close",
        }
    }

    /// Whether the service is not restored before it is over.
    #[must_use]
    pub fn counts_to_recovery(self) -> bool {
        self <= Self::Verify
    }
}

/// Something to do.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(RunbookNames))]
pub struct RunbookStep {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The stretch of the recovery that it belongs to.
    #[garde(skip)]
    pub phase: Phase,
    /// The role that does it.
    #[garde(custom(known_owner))]
    pub owner: String,
    /// How long it may take.
    #[garde(custom(crate::units::within(Duration::from_secs(1), LONGEST)))]
    pub within: Span,
    /// What to do, in order.
    #[serde(rename = "do")]
    #[garde(length(min = 1, max = 50), inner(length(min = 1, max = 2000)))]
    pub actions: Vec<String>,
    /// What is to be seen when it worked.
    #[garde(length(min = 1, max = 2000))]
    pub expect: String,
    /// What to do when it did not.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 2000)))]
    pub otherwise: Option<String>,
    /// In a drill, the machinery does this. A person does the step where this, `run` and `verify` are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(belongs_to(self.phase)))]
    pub action: Option<MachineAction>,
    /// In a drill, this command of the environment file is run, for at most `within`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(one_way(self.action.is_some())), inner(custom(known_command)))]
    pub run: Option<String>,
    /// In a drill, these functionality checks are tried until all work, for at most `within`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(
        length(max = 50),
        custom(one_way(self.action.is_some() || self.run.is_some())),
        inner(custom(known_function))
    )]
    pub verify: Vec<String>,
}

/// What the machinery can do as a step of a runbook. Each is a part of its failover plan, rolled back like it.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum MachineAction {
    /// Make the lost site refuse writes, where it can be reached.
    Fence,
    /// Start what of the site that takes over does not run, from backups where it has no data.
    Activate,
    /// Make it the primary.
    Promote,
    /// Send the clients there.
    Redirect,
    /// See that it serves.
    Check,
    /// All of the above, in this order.
    FailOver,
    /// The way back to the original site, as the scenario's `failback` says.
    FailBack,
}

impl MachineAction {
    /// Its name in files and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Activate => "activate",
            Self::Promote => "promote",
            Self::Redirect => "redirect",
            Self::Check => "check",
            Self::FailOver => "fail_over",
            Self::FailBack => "fail_back",
        }
    }
}

/// Who does a step of a runbook in a drill.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepBy {
    /// Somebody who was asked to.
    Person,
    /// drdrill's machinery.
    Machinery,
    /// A command of the environment file.
    Command,
    /// The functionality checks.
    Checks,
}

impl StepBy {
    /// Who, in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machinery => "machinery",
            Self::Command => "command",
            Self::Checks => "checks",
        }
    }
}

impl RunbookStep {
    /// Who does it in a drill.
    #[must_use]
    pub const fn by(&self) -> StepBy {
        if self.action.is_some() {
            StepBy::Machinery
        } else if self.run.is_some() {
            StepBy::Command
        } else if self.verify.is_empty() {
            StepBy::Person
        } else {
            StepBy::Checks
        }
    }
}

/// Longest time in a runbook.
const LONGEST: Duration = Duration::from_hours(24 * 30);

fn known_owner(role: &str, known: &RunbookNames) -> garde::Result {
    among("no contact has the role", role, known.roles.as_deref())
}

fn known_command(name: &str, known: &RunbookNames) -> garde::Result {
    let known = known.followed.as_ref().map(|known| known.commands.as_slice());
    among("the environment has no command", name, known)
}

fn known_function(name: &str, known: &RunbookNames) -> garde::Result {
    let known = known.followed.as_ref().map(|known| known.functions.as_slice());
    among("the environment has no functionality check", name, known)
}

fn among(what: &str, name: &str, known: Option<&[String]>) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let known = known_names(name, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("{what} `{name}`; {known}")))
}

/// What machinery does belongs where drills time it.
fn belongs_to<C>(phase: Phase) -> impl Fn(&Option<MachineAction>, &C) -> garde::Result {
    move |action, _| match (action, phase) {
        (None, _)
        | (Some(MachineAction::FailBack), Phase::FailBack)
        | (Some(MachineAction::Check), Phase::Verify) => Ok(()),
        (Some(action), Phase::FailOver) if *action != MachineAction::FailBack => Ok(()),
        (Some(MachineAction::FailBack), _) => {
            Err(garde::Error::new("`fail_back` belongs to a step of the phase fail_back"))
        }
        (Some(action), _) => Err(garde::Error::new(format!(
            "`{}` belongs to a step of the phase fail_over",
            action.word()
        ))),
    }
}

/// A step is done in one way.
fn one_way<T: Present, C>(otherwise: bool) -> impl Fn(&T, &C) -> garde::Result {
    move |way, _| {
        if otherwise && way.is_present() {
            return Err(garde::Error::new(
                "a step is done in one way: give `action`, `run` or `verify`, not several",
            ));
        }
        Ok(())
    }
}

/// Whether something is said at all.
trait Present {
    fn is_present(&self) -> bool;
}

impl Present for Option<String> {
    fn is_present(&self) -> bool {
        self.is_some()
    }
}

impl Present for Vec<String> {
    fn is_present(&self) -> bool {
        !self.is_empty()
    }
}

/// Whether the steps make a recovery plan, where a drill follows them.
fn can_be_followed(steps: &[RunbookStep], known: &RunbookNames) -> garde::Result {
    let Some(followed) = &known.followed else { return Ok(()) };
    let refused = |why: &str| Err(garde::Error::new(format!("to be followed by a drill, {why}")));
    if !steps.is_sorted_by_key(|step| step.phase) {
        return refused(
            "steps stand in the order of their phases: detect, decide, fail_over, verify, fail_back, close",
        );
    }
    if !steps.iter().any(|step| step.phase.counts_to_recovery()) {
        return refused(
            "some step must belong to the recovery: detect, decide, fail_over or verify",
        );
    }
    let actions: Vec<MachineAction> = steps.iter().filter_map(|step| step.action).collect();
    for (index, action) in actions.iter().enumerate() {
        if actions[..index].contains(action) {
            return refused(&format!("`action: {}` stands in one step only", action.word()));
        }
    }
    let parts = actions.iter().filter(|action| **action < MachineAction::FailOver);
    if actions.contains(&MachineAction::FailOver) && parts.count() > 0 {
        return refused(
            "`action: fail_over` is all of the failover, and its parts stand in no other step",
        );
    }
    let of_failover = actions.iter().filter(|action| **action < MachineAction::FailOver);
    if !of_failover.is_sorted() {
        return refused("actions stand in this order: fence, activate, promote, redirect, check");
    }
    let promotes = actions.contains(&MachineAction::Promote);
    if actions.contains(&MachineAction::Redirect) && !promotes {
        return refused(
            "`action: redirect` comes after `action: promote`: nobody would take writes",
        );
    }
    let goes_back = steps.iter().any(|step| step.phase == Phase::FailBack);
    let fails_over = promotes || actions.contains(&MachineAction::FailOver);
    if followed.failback && goes_back && fails_over && !actions.contains(&MachineAction::FailBack) {
        return refused("one of its steps in the phase fail_back says `action: fail_back`");
    }
    Ok(())
}

impl Runbook {
    /// The roles that may own steps.
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        self.contacts.iter().map(|contact| contact.role.clone()).collect()
    }

    /// How long the steps of a phase may take, one after the other; zero when it has none.
    #[must_use]
    pub fn expected(&self, phase: Phase) -> Duration {
        let own = self.steps.iter().filter(|step| step.phase == phase);
        own.map(|step| step.within.0).sum()
    }

    /// How long it may take until the service is restored, from detecting it to having verified it.
    #[must_use]
    pub fn expected_recovery(&self) -> Duration {
        let before = self.steps.iter().filter(|step| step.phase.counts_to_recovery());
        before.map(|step| step.within.0).sum()
    }
}
