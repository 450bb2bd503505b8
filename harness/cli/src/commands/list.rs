//! `drdrill list`.

use drdrill_core::scenario::{Known, Targets};
use serde::Serialize;
use tabled::settings::{Style, Width};
use tabled::{Table, Tabled};

use crate::args::{Format, FormatArgs};
use crate::catalog::{ENVIRONMENTS, SCENARIOS, Source};
use crate::exit::{Code, Outcome};
use crate::out;

#[derive(Debug, Serialize, Tabled)]
struct ScenarioRow {
    #[tabled(rename = "scenario")]
    name: String,
    title: String,
    #[tabled(rename = "targets (RTO / RPO / RLO)")]
    targets: String,
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

/// Lists what is shipped.
pub(crate) fn list(args: FormatArgs) -> Outcome {
    let mut listing = Listing { scenarios: Vec::new(), environments: Vec::new() };
    for shipped in SCENARIOS {
        let source = Source { path: shipped.path.to_owned(), text: shipped.text.to_owned() };
        let scenario = source.scenario(&Known::default())?;
        listing.scenarios.push(ScenarioRow {
            name: scenario.scenario,
            title: scenario.title,
            targets: targets(scenario.targets),
            must_fail: shipped.must_fail,
        });
    }
    for shipped in ENVIRONMENTS {
        let source = Source { path: shipped.path.to_owned(), text: shipped.text.to_owned() };
        let inventory = source.inventory()?;
        listing
            .environments
            .push(EnvironmentRow { name: inventory.environment, title: inventory.title });
    }
    if args.format == Format::Json {
        out::json(&listing);
        return Ok(Code::Passed);
    }
    out::line(&table(&listing.scenarios));
    out::line("");
    out::line(&table(&listing.environments));
    out::line("\nStart one with: drdrill run SCENARIO [--env ENVIRONMENT]");
    Ok(Code::Passed)
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
