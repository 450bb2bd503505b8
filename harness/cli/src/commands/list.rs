//! `drdrill list`.

use drdrill_core::environment::Power;
use drdrill_core::scenario::{Known, Targets};
use serde::Serialize;
use tabled::settings::{Style, Width};
use tabled::{Table, Tabled};

use crate::args::{Format, FormatArgs, OnArgs};
use crate::catalog::{self, ENVIRONMENTS, SCENARIOS, Shipped};
use crate::exit::{Code, Failure, Outcome};
use crate::{out, wiring};

#[derive(Debug, Serialize, Tabled)]
struct ScenarioRow {
    /// What it is about: its first tag.
    group: String,
    #[tabled(rename = "scenario")]
    name: String,
    title: String,
    #[tabled(rename = "targets (RTO / RPO / RLO)")]
    targets: String,
    /// The shipped environments that have the roles and powers it needs.
    #[tabled(rename = "runs on", format("{}", self.runs_on.join(", ")))]
    runs_on: Vec<String>,
    /// What an environment must be able to do for it.
    #[tabled(skip)]
    needs: Vec<&'static str>,
    #[tabled(skip)]
    tags: Vec<String>,
    #[tabled(rename = "must fail", format("{}", if self.must_fail { "yes" } else { "" }))]
    must_fail: bool,
}

#[derive(Debug, Serialize, Tabled)]
struct EnvironmentRow {
    #[tabled(rename = "environment")]
    name: String,
    title: String,
}

#[derive(Debug, Serialize)]
struct Listing {
    scenarios: Vec<ScenarioRow>,
    environments: Vec<EnvironmentRow>,
}

/// What a scenario without a tag is about.
const OTHER: &str = "other";

/// Lists what is shipped: scenarios by group, those that must fail last.
pub(crate) fn list(args: FormatArgs) -> Outcome {
    let mut listing = Listing { scenarios: Vec::new(), environments: Vec::new() };
    for shipped in SCENARIOS {
        listing.scenarios.push(scenario_row(&shipped)?);
    }
    // Within a group they stay in the order of the catalogue.
    listing.scenarios.sort_by(|a, b| (a.must_fail, &a.group).cmp(&(b.must_fail, &b.group)));
    for shipped in ENVIRONMENTS {
        let inventory = catalog::environment(shipped.name)?.inventory()?;
        listing
            .environments
            .push(EnvironmentRow { name: inventory.environment, title: inventory.title });
    }
    if args.format == Format::Json {
        out::json(&listing);
        return Ok(Code::Passed);
    }
    // A group is named once.
    let mut last = None;
    for row in &mut listing.scenarios {
        let group = (row.must_fail, row.group.clone());
        if last.as_ref() == Some(&group) {
            row.group.clear();
        }
        last = Some(group);
    }
    out::line(&table(&listing.scenarios));
    out::line("");
    out::line(&table(&listing.environments));
    out::line(
        "\nStart one with: drdrill run SCENARIO [--env ENVIRONMENT]; several: drdrill run --all, or --tag GROUP",
    );
    Ok(Code::Passed)
}

fn scenario_row(shipped: &Shipped) -> Result<ScenarioRow, Failure> {
    let scenario = catalog::scenario(shipped.name)?.scenario(&Known::default())?;
    let on = |environment: &str| OnArgs {
        env: environment.to_owned(),
        settings: Vec::new(),
        format: FormatArgs { format: Format::Json },
    };
    let runs_on = ENVIRONMENTS.iter().filter(|environment| {
        wiring::plan(shipped.name, &on(environment.name))
            .is_ok_and(|plan| wiring::check_powers(&plan).is_ok())
    });
    let lab = wiring::plan(shipped.name, &on(ENVIRONMENTS[0].name));
    let followed = lab.ok().and_then(|plan| plan.followed);
    let needs = wiring::needed(&scenario, followed.as_ref());
    Ok(ScenarioRow {
        group: scenario.tags.first().cloned().unwrap_or_else(|| OTHER.to_owned()),
        name: scenario.scenario,
        title: scenario.title,
        targets: targets(scenario.targets),
        runs_on: runs_on.map(|environment| environment.name.to_owned()).collect(),
        needs: needs.into_iter().map(Power::word).collect(),
        tags: scenario.tags,
        must_fail: shipped.must_fail,
    })
}

fn targets(targets: Targets) -> String {
    let part = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{} / {} / {}",
        part(targets.rto.map(|one| one.to_string())),
        part(targets.rpo.map(|one| one.to_string())),
        part(targets.rlo.map(|one| one.to_string())),
    )
}

/// A table that fits the terminal.
pub(super) fn table<T: Tabled>(rows: &[T]) -> String {
    let terminal = console::Term::stdout();
    let mut table = Table::new(rows);
    table.with(Style::blank());
    if terminal.is_term() {
        table.with(Width::wrap(usize::from(terminal.size().1)).keep_words(true));
    }
    crate::out::harmless(&table.to_string())
}
