//! Program files: what has to be drilled how often, who is responsible, and what downtime costs.
//!
//! A drill says what a system did on one day. Whether everything that matters was drilled, and in time, is a question about
//! many drills, and only people know what matters: they say it here, and quarterly reports compare it with the history.

mod date;
mod money;
mod names;
mod parse;

pub use date::{Date, Every};
pub use money::{Currency, Money};
pub use names::ProgramNames;
pub use parse::parse_program;

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{distinct, simple_name};
use crate::scenario::Targets;
use crate::units::{Span, within};

/// A drill program, as written in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Program {
    /// Name: lower-case letters, digits, `_` and `-`.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub program: String,
    /// Title, for people.
    #[garde(length(min = 1, max = 200))]
    pub title: String,
    /// Whose program it is.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub organisation: String,
    /// Who answers for it.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub owner: String,
    /// What the program is to show, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 1000)))]
    pub objectives: Vec<String>,
    /// What is taken for granted, a sentence each.
    #[serde(default)]
    #[garde(length(max = 50), inner(length(min = 1, max = 1000)))]
    pub assumptions: Vec<String>,
    /// The currency of all amounts, such as `EUR`.
    #[serde(default)]
    #[garde(skip)]
    pub currency: Option<Currency>,
    /// How often what is drilled.
    #[serde(default)]
    #[garde(skip)]
    pub cadence: Cadence,
    /// Who takes part.
    #[serde(default)]
    #[garde(length(max = 500), dive)]
    pub people: Vec<Person>,
    /// Services of others that the system needs.
    #[serde(default)]
    #[garde(length(max = 200), custom(distinct(|one: &ThirdParty| &one.name)), dive)]
    pub third_parties: Vec<ThirdParty>,
    /// The services, as environments name them.
    #[garde(length(min = 1, max = 500), custom(distinct(|one: &ServiceEntry| &one.name)), dive)]
    pub services: Vec<ServiceEntry>,
    /// What the business does with them.
    #[serde(default)]
    #[garde(length(max = 500), custom(distinct(|one: &BusinessFunction| &one.name)), dive)]
    pub functions: Vec<BusinessFunction>,
    /// Plans for an emergency.
    #[serde(default)]
    #[garde(length(max = 200), custom(distinct(|one: &PlanEntry| &one.name)), dive)]
    pub plans: Vec<PlanEntry>,
    /// What has to be drilled.
    #[garde(length(min = 1, max = 500), dive)]
    pub drills: Vec<DrillEntry>,
    /// What auditors ask for, and which drills are evidence of it.
    #[serde(default)]
    #[garde(length(max = 500), dive)]
    pub controls: Vec<Control>,
    /// What is not drilled, on purpose.
    #[serde(default)]
    #[garde(length(max = 200), dive)]
    pub exclusions: Vec<Exclusion>,
    /// Risks that somebody has accepted.
    #[serde(default)]
    #[garde(length(max = 200), dive)]
    pub accepted_risks: Vec<AcceptedRisk>,
}

/// How often what is drilled (requirements E).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cadence {
    /// Full failovers.
    pub full: Every,
    /// Components.
    pub component: Every,
    /// Whether replication keeps up.
    pub replication: Every,
    /// Tabletop exercises.
    pub tabletop: Every,
    /// A drill that did not pass is repeated within this time.
    pub retest: Every,
}

impl Default for Cadence {
    fn default() -> Self {
        Self {
            full: Every::QUARTERLY,
            component: Every::MONTHLY,
            replication: Every::WEEKLY,
            tabletop: Every::MONTHLY,
            // What the NIS2 template asks for (field.md, section 4).
            retest: Every { days: 30 },
        }
    }
}

impl Cadence {
    /// How often drills of that class are due.
    #[must_use]
    pub const fn of(&self, class: Class) -> Every {
        match class {
            Class::Full => self.full,
            Class::Component => self.component,
            Class::Replication => self.replication,
            Class::Tabletop => self.tabletop,
        }
    }
}

/// What a drill counts as.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A full failover.
    Full,
    /// Of some components of a site.
    Component,
    /// Of replication.
    Replication,
    /// People walk through it (`drdrill tabletop`).
    Tabletop,
}

impl Class {
    /// The class in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full failover",
            Self::Component => "component",
            Self::Replication => "replication",
            Self::Tabletop => "tabletop",
        }
    }
}

/// Somebody who takes part.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Person {
    /// Who it is.
    #[garde(length(min = 1, max = 200))]
    pub name: String,
    /// Their role, by which drills know them. Several people may share one.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub role: String,
    /// Who stands in.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 200)))]
    pub deputy: Option<String>,
}

/// A service of somebody else that the system needs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct ThirdParty {
    /// Who it is.
    #[garde(length(min = 1, max = 200))]
    pub name: String,
    /// What they provide.
    #[garde(length(min = 1, max = 1000))]
    pub provides: String,
    /// The services that need it.
    #[serde(default)]
    #[garde(length(max = 500), inner(custom(names::service)))]
    pub services: Vec<String>,
    /// How to reach them.
    #[serde(default)]
    #[garde(length(max = 500))]
    pub contact: String,
    /// Whether they take part in drills.
    #[serde(default)]
    #[garde(skip)]
    pub takes_part: bool,
}

/// A service, as environments name it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct ServiceEntry {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Title, for people.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub title: String,
    /// Its tier, 1 (most critical) to 4.
    #[garde(range(min = 1, max = 4))]
    pub tier: u8,
    /// Who answers for it.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub owner: String,
    /// What the business asks of it. A drill that was judged by laxer objectives does not show that they are met.
    #[serde(default)]
    #[garde(skip)]
    pub targets: Targets,
}

/// What the business does with services.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct BusinessFunction {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Title, for people.
    #[garde(length(min = 1, max = 200))]
    pub title: String,
    /// Who answers for it.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub owner: String,
    /// The services it needs: it is down while one of them is.
    #[garde(length(min = 1, max = 100), inner(custom(names::service)))]
    pub services: Vec<String>,
    /// What an outage of it costs; not known when absent.
    #[serde(default)]
    #[garde(dive)]
    pub impact: Option<Impact>,
}

/// The business impact analysis of a function.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Impact {
    /// Where the figures are from, such as the number of the analysis.
    #[serde(default)]
    #[garde(length(max = 500))]
    pub reference: String,
    /// Revenue that is lost with each hour.
    #[serde(default)]
    #[garde(inner(custom(names::currency)))]
    pub hourly_revenue: Option<Money>,
    /// What each hour costs in reputation: customers who leave, campaigns to win them back.
    #[serde(default)]
    #[garde(inner(custom(names::currency)))]
    pub hourly_reputation: Option<Money>,
    /// What is due once, when an outage lasts longer than a time.
    #[serde(default)]
    #[garde(length(max = 50), dive)]
    pub penalties: Vec<Penalty>,
    /// The longest outage that the business survives (MTD).
    #[serde(default)]
    #[garde(inner(custom(within(Duration::from_secs(1), LONGEST))))]
    pub tolerable: Option<Span>,
}

/// What is due once, when an outage lasts longer than a time.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Penalty {
    /// Longer than this.
    #[garde(custom(within(Duration::ZERO, LONGEST)))]
    pub after: Span,
    /// What is due.
    #[garde(custom(names::currency))]
    pub amount: Money,
    /// By which contract or law.
    #[serde(default)]
    #[garde(length(max = 500))]
    pub because: String,
}

/// A plan for an emergency.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct PlanEntry {
    /// Its name.
    #[garde(custom(simple_name))]
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Title, for people.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub title: String,
    /// Its version.
    #[garde(length(min = 1, max = 100))]
    pub version: String,
    /// Since when this version is in force: drills before that day tested another one.
    #[garde(skip)]
    pub since: Date,
    /// Who answers for it.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub owner: String,
    /// Where it is kept.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub kept: String,
}

/// Something that has to be drilled.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct DrillEntry {
    /// The scenario: the name of a shipped one, or the path of a file, from where this file is.
    #[garde(custom(names::scenario))]
    pub scenario: String,
    /// Where: names of shipped environments, or paths of files, from where this file is.
    #[garde(length(min = 1, max = 100), inner(custom(names::environment)))]
    pub environments: Vec<String>,
    /// What it counts as.
    #[garde(skip)]
    pub class: Class,
    /// The services that it is to show something of; all of the environment when absent.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 100), inner(custom(names::service))))]
    pub services: Option<Vec<String>>,
    /// How often, instead of as the program says for its class.
    #[serde(default)]
    #[garde(skip)]
    pub every: Option<Every>,
    /// Who sees to it.
    #[serde(default)]
    #[garde(length(max = 200))]
    pub owner: String,
    /// The roles that are to take part.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(names::role)))]
    pub participants: Vec<String>,
    /// The plan that it tests.
    #[serde(default)]
    #[garde(inner(custom(names::plan)))]
    pub plan: Option<String>,
}

/// What a framework asks for.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Control {
    /// The framework, such as `ISO 22301`.
    #[garde(length(min = 1, max = 100))]
    pub framework: String,
    /// The control, such as `8.5`.
    #[garde(length(min = 1, max = 100))]
    pub control: String,
    /// What it asks for.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub title: String,
    /// The scenarios whose drills are evidence of it, written as in `drills`.
    #[garde(length(min = 1, max = 500), inner(custom(names::drill)))]
    pub scenarios: Vec<String>,
}

/// What is not drilled, on purpose. What is left out means all of it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct Exclusion {
    /// The scenario, written as in `drills`.
    #[serde(default)]
    #[garde(inner(custom(names::drill)), custom(names::something(self.environment.is_some() || self.service.is_some())))]
    pub scenario: Option<String>,
    /// The environment, written as in `drills`.
    #[serde(default)]
    #[garde(inner(custom(names::place)))]
    pub environment: Option<String>,
    /// The service.
    #[serde(default)]
    #[garde(inner(custom(names::service)))]
    pub service: Option<String>,
    /// Why.
    #[garde(length(min = 1, max = 2000))]
    pub because: String,
    /// Who decided it.
    #[garde(length(min = 1, max = 200))]
    pub by: String,
    /// Until when it holds, that day included.
    #[garde(skip)]
    pub until: Date,
}

/// A risk that somebody has accepted.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(context(ProgramNames))]
pub struct AcceptedRisk {
    /// What may happen.
    #[garde(length(min = 1, max = 2000))]
    pub risk: String,
    /// Why it is accepted.
    #[garde(length(min = 1, max = 2000))]
    pub because: String,
    /// Who accepted it.
    #[garde(length(min = 1, max = 200))]
    pub by: String,
    /// When.
    #[garde(skip)]
    pub on: Date,
    /// Until when it holds, that day included.
    #[garde(skip)]
    pub until: Date,
}

/// Longest time in a program.
const LONGEST: Duration = Duration::from_hours(24 * 366);
