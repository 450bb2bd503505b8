//! Runbooks (requirement C12): who does what, in what order, how long it may take, and what to do when it does not work.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{distinct, known_names, simple_name};
use crate::units::Span;

/// A runbook, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Owners))]
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
    #[garde(length(min = 1, max = 200), custom(distinct(|one: &RunbookStep| &one.name)), dive)]
    pub steps: Vec<RunbookStep>,
    /// How to give up and go back, in order.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 1000)))]
    pub rollback: Vec<String>,
}

/// Roles that own steps, which must be among the contacts; `None` when they are not compared.
pub type Owners = Option<Vec<String>>;

/// Somebody who takes part.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(Owners))]
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
#[garde(context(Owners))]
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
#[garde(context(Owners))]
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
#[garde(context(Owners))]
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
}

/// Longest time in a runbook.
const LONGEST: Duration = Duration::from_hours(24 * 30);

fn known_owner(role: &str, known: &Owners) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == role) {
        return Ok(());
    }
    let known = known_names(role, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("no contact has the role `{role}`; {known}")))
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
