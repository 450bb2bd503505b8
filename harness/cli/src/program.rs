//! What the scenarios and environments of a drill program say today.

use std::path::Path;

use drdrill_core::program::{Class, DrillEntry, Program};
use drdrill_reports::quarter::{PresentDrill, PresentPlace};

use crate::args::{Format, FormatArgs, OnArgs};
use crate::catalog::{self, Source};
use crate::exit::{Code, Failure};
use crate::wiring;

/// What the files of each drill of a program say today, in its order; each must be able to run where the program says.
pub(crate) fn present(file: &Source, program: &Program) -> Result<Vec<PresentDrill>, Failure> {
    program.drills.iter().map(|drill| of_drill(file, drill)).collect()
}

fn of_drill(file: &Source, drill: &DrillEntry) -> Result<PresentDrill, Failure> {
    let wrong = |failure: Failure| {
        let message = format!("{}: the drill {}: {}", file.path, drill.scenario, failure.message);
        Failure::new(Code::InvalidFile, message)
    };
    let name = catalog::from_program(file, &drill.scenario);
    let mut present: Option<PresentDrill> = None;
    for environment in &drill.environments {
        let on = OnArgs {
            env: catalog::from_program(file, environment),
            settings: Vec::new(),
            format: FormatArgs { format: Format::Text },
        };
        let plan = wiring::plan(&name, &on).map_err(wrong)?;
        if plan.scenario.expect.is_some() {
            let message = "it must fail, which says nothing of the system";
            return Err(wrong(Failure::new(Code::InvalidFile, message)));
        }
        if drill.class != Class::Tabletop {
            wiring::check_powers(&plan).map_err(wrong)?;
        }
        let nowhere = Path::new("");
        let environment =
            wiring::environment(&plan.inventory, "", nowhere, nowhere, 0).map_err(wrong)?;
        let facts = wiring::facts(&plan.scenario, &plan.inventory, &*environment);
        let has = |name: &String| facts.services.iter().any(|service| service.name == *name);
        if let Some(lacks) = drill.services.iter().flatten().find(|name| !has(name)) {
            let has: Vec<&str> = facts.services.iter().map(|one| one.name.as_str()).collect();
            let known = drdrill_core::names::known_names(lacks, has);
            let message = format!("environment {} has no service `{lacks}`; {known}", facts.name);
            return Err(wrong(Failure::new(Code::InvalidFile, message)));
        }
        let runbook = catalog::runbook_of(&plan.scenario, &plan.source).map_err(wrong)?;
        let drill = present.get_or_insert_with(|| PresentDrill {
            scenario: plan.scenario.scenario.clone(),
            title: plan.scenario.title.clone(),
            sha256: plan.source.sha256(),
            runbook_sha256: runbook.map(|runbook| runbook.sha256()),
            places: Vec::new(),
        });
        drill.places.push(PresentPlace {
            environment: facts.name,
            emulated: facts.emulated,
            production: facts.production,
            definition: facts.definition.unwrap_or_default(),
            services: facts.services,
        });
    }
    // The file asks for at least one.
    present.ok_or_else(|| Failure::new(Code::InvalidFile, "a drill without an environment"))
}
