//! Names that a program file may use: its own, and those of what is shipped.

use super::{Currency, Money, Program};
use crate::names::known_names;

/// Names that a program may use; what is `None` is not compared.
#[derive(Clone, Debug, Default)]
pub struct ProgramNames {
    /// Shipped scenarios.
    pub(super) scenarios: Option<Vec<String>>,
    /// Shipped environments.
    pub(super) environments: Option<Vec<String>>,
    /// What the file itself names.
    pub(super) own: Option<Own>,
}

impl ProgramNames {
    /// The names of what is shipped.
    #[must_use]
    pub fn shipped<'a>(
        scenarios: impl IntoIterator<Item = &'a str>,
        environments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self {
            scenarios: Some(scenarios.into_iter().map(str::to_owned).collect()),
            environments: Some(environments.into_iter().map(str::to_owned).collect()),
            own: None,
        }
    }
}

/// What a program file names itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    services: Vec<String>,
    roles: Vec<String>,
    plans: Vec<String>,
    drills: Vec<String>,
    places: Vec<String>,
    currency: Option<Currency>,
}

impl Own {
    pub(super) fn of(program: &Program) -> Self {
        let mut roles: Vec<String> = program.people.iter().map(|one| one.role.clone()).collect();
        let mut drills: Vec<String> =
            program.drills.iter().map(|one| one.scenario.clone()).collect();
        let mut places: Vec<String> =
            program.drills.iter().flat_map(|one| one.environments.clone()).collect();
        for names in [&mut roles, &mut drills, &mut places] {
            names.sort();
            names.dedup();
        }
        Self {
            services: program.services.iter().map(|one| one.name.clone()).collect(),
            roles,
            plans: program.plans.iter().map(|one| one.name.clone()).collect(),
            drills,
            places,
            currency: program.currency,
        }
    }
}

pub(super) fn scenario(name: &str, known: &ProgramNames) -> garde::Result {
    if is_path(name) {
        return Ok(());
    }
    let hint = "; or give the path of a file that ends in .yaml";
    among("there is no scenario", name, known.scenarios.as_deref(), hint)
}

pub(super) fn environment(name: &str, known: &ProgramNames) -> garde::Result {
    if is_path(name) {
        return Ok(());
    }
    let hint = "; or give the path of a file that ends in .yaml";
    among("there is no environment", name, known.environments.as_deref(), hint)
}

pub(super) fn service(name: &str, known: &ProgramNames) -> garde::Result {
    let own = known.own.as_ref().map(|own| own.services.as_slice());
    among("the program has no service", name, own, "")
}

pub(super) fn role(name: &str, known: &ProgramNames) -> garde::Result {
    let own = known.own.as_ref().map(|own| own.roles.as_slice());
    among("nobody among `people` has the role", name, own, "")
}

pub(super) fn plan(name: &str, known: &ProgramNames) -> garde::Result {
    let own = known.own.as_ref().map(|own| own.plans.as_slice());
    among("the program has no plan", name, own, "")
}

/// A scenario, as it is written in `drills`.
pub(super) fn drill(name: &str, known: &ProgramNames) -> garde::Result {
    let own = known.own.as_ref().map(|own| own.drills.as_slice());
    among("no entry of `drills` has the scenario", name, own, "")
}

/// An environment, as it is written in `drills`.
pub(super) fn place(name: &str, known: &ProgramNames) -> garde::Result {
    let own = known.own.as_ref().map(|own| own.places.as_slice());
    among("no entry of `drills` has the environment", name, own, "")
}

/// Amounts of two currencies cannot be added up, and no rate is made up here.
pub(super) fn currency(money: &Money, known: &ProgramNames) -> garde::Result {
    let Some(own) = &known.own else { return Ok(()) };
    match own.currency {
        Some(currency) if currency == money.currency => Ok(()),
        Some(currency) => Err(garde::Error::new(format!(
            "all amounts are in the program's currency, {currency}: give this one in {currency} too"
        ))),
        None => Err(garde::Error::new(format!(
            "the program says no currency; write `currency: {}` at its top",
            money.currency
        ))),
    }
}

/// An exclusion of everything would leave no program.
pub(super) fn something<C>(others: bool) -> impl Fn(&Option<String>, &C) -> garde::Result {
    move |scenario, _| {
        if scenario.is_some() || others {
            return Ok(());
        }
        Err(garde::Error::new(
            "an exclusion says what it excludes: `scenario`, `environment` or `service`, or several of them",
        ))
    }
}

/// Whether a name stands for a file.
fn is_path(name: &str) -> bool {
    let ends = |ending| name.to_lowercase().ends_with(ending);
    name.contains('/') || [".yaml", ".yml"].into_iter().any(ends)
}

fn among(what: &str, name: &str, known: Option<&[String]>, hint: &str) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let known = known_names(name, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("{what} `{name}`; {known}{hint}")))
}
