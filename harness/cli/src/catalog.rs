//! Scenarios and environments: those shipped in the program, and files on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use drdrill_core::backup_plan::BackupPlan;
use drdrill_core::inventory::Inventory;
use drdrill_core::names::known_names;
use drdrill_core::program::{Program, ProgramNames, parse_program};
use drdrill_core::runbook::{Followed, Runbook};
use drdrill_core::scenario::{self, Known, Scenario};
use drdrill_core::tabletop::{Names, Script};
use sha2::{Digest, Sha256};

use crate::exit::{Code, Failure};

/// A file shipped in the program.
pub(crate) struct Shipped {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    /// Whether it shows that drdrill notices a failure, and must not pass.
    pub(crate) must_fail: bool,
}

macro_rules! shipped {
    ($directory:literal, $name:literal, $must_fail:literal) => {
        Shipped {
            name: $name,
            path: concat!($directory, "/", $name, ".yaml"),
            text: include_str!(concat!("../../../", $directory, "/", $name, ".yaml")),
            must_fail: $must_fail,
        }
    };
}

/// The scenarios shipped in the program.
pub(crate) const SCENARIOS: [Shipped; 45] = [
    shipped!("scenarios", "complete_site_failure", false),
    shipped!("scenarios", "az_failure", false),
    shipped!("scenarios", "az_failure_standby", false),
    shipped!("scenarios", "site_frozen", false),
    shipped!("scenarios", "service_killed", false),
    shipped!("scenarios", "storage_read_only", false),
    shipped!("scenarios", "auth_down", false),
    shipped!("scenarios", "network_partition", false),
    shipped!("scenarios", "one_way_partition", false),
    shipped!("scenarios", "replication_stall", false),
    shipped!("scenarios", "data_corruption", false),
    shipped!("scenarios", "page_corruption", false),
    shipped!("scenarios", "accidental_deletion", false),
    shipped!("scenarios", "backup_unusable", false),
    shipped!("scenarios", "log_unusable", false),
    shipped!("scenarios", "cyber_attack_simulation", false),
    shipped!("scenarios", "complete_infrastructure_loss", false),
    shipped!("scenarios", "region_outage", false),
    shipped!("scenarios", "site_loss_by_runbook", false),
    shipped!("scenarios", "no_op", false),
    shipped!("scenarios/must_fail", "site_lost_nobody_fails_over", true),
    shipped!("scenarios/must_fail", "runbook_step_fails", true),
    shipped!("scenarios/must_fail", "runbook_people_too_slow", true),
    shipped!("scenarios/must_fail", "az_failure_with_lag", true),
    shipped!("scenarios/must_fail", "az_failure_standby_nobody_decides", true),
    shipped!("scenarios/must_fail", "site_frozen_nobody_fails_over", true),
    shipped!("scenarios/must_fail", "service_killed_nobody_fails_over", true),
    shipped!("scenarios/must_fail", "storage_read_only_nobody_fails_over", true),
    shipped!("scenarios/must_fail", "auth_down_nobody_fails_over", true),
    shipped!("scenarios/must_fail", "partition_promotes_both", true),
    shipped!("scenarios/must_fail", "one_way_partition_promotes_both", true),
    shipped!("scenarios/must_fail", "replication_stalls_too_long", true),
    shipped!("scenarios/must_fail", "data_corruption_nobody_restores", true),
    shipped!("scenarios/must_fail", "page_corruption_nobody_restores", true),
    shipped!("scenarios/must_fail", "accidental_deletion_nobody_restores", true),
    shipped!("scenarios/must_fail", "every_backup_unusable", true),
    shipped!("scenarios/must_fail", "log_unusable_loses_too_much", true),
    shipped!("scenarios/must_fail", "stolen_credentials_stay_good", true),
    shipped!("scenarios/must_fail", "cyber_attack_reaches_the_logs", true),
    shipped!("scenarios/must_fail", "infrastructure_lost_with_its_backups", true),
    shipped!("scenarios/must_fail", "region_outage_one_entrance", true),
    shipped!("scenarios/must_fail", "stale_reads_after_failover", true),
    shipped!("scenarios/must_fail", "torn_transfers", true),
    shipped!("scenarios/must_fail", "old_values_after_failback", true),
    shipped!("scenarios/must_fail", "fault_without_effect", true),
];

/// The environments shipped in the program.
pub(crate) const ENVIRONMENTS: [Shipped; 10] = [
    shipped!("environments", "lab", false),
    shipped!("environments", "lab_zones", false),
    shipped!("environments", "lab_zones_lag", false),
    shipped!("environments", "lab_bypass", false),
    shipped!("environments", "lab_at_dr", false),
    shipped!("environments", "lab_one_entrance", false),
    shipped!("environments", "lab_stale_reads", false),
    shipped!("environments", "lab_torn_transfers", false),
    shipped!("environments", "lab_old_values", false),
    shipped!("environments", "docker", false),
];

/// The runbooks shipped in the program.
pub(crate) const RUNBOOKS: [Shipped; 2] =
    [shipped!("runbooks", "site_loss", false), shipped!("runbooks", "site_loss_lab", false)];

/// The drill programs shipped in the program.
pub(crate) const PROGRAMS: [Shipped; 1] = [shipped!("programs", "lab", false)];

/// What people answer in shipped scenarios that follow a runbook.
const SCRIPTS: [Shipped; 3] = [
    shipped!("runbooks/answers", "site_loss_by_runbook", false),
    shipped!("runbooks/answers", "runbook_step_fails", false),
    shipped!("runbooks/answers", "runbook_people_too_slow", false),
];

/// The text of a file, and how to call it in errors.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// SHA-256 of the text, in hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    pub(crate) fn scenario(&self, known: &Known) -> Result<Scenario, Failure> {
        scenario::parse_scenario(&self.path, &self.text, known)
            .map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn runbook(&self) -> Result<Runbook, Failure> {
        scenario::parse_runbook(&self.path, &self.text).map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn followed(&self, followed: Followed) -> Result<Runbook, Failure> {
        scenario::parse_followed(&self.path, &self.text, followed)
            .map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn script(&self, known: &Names) -> Result<Script, Failure> {
        scenario::parse_script(&self.path, &self.text, known)
            .map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn backup_plan(&self) -> Result<BackupPlan, Failure> {
        scenario::parse_backup_plan(&self.path, &self.text)
            .map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn program(&self) -> Result<Program, Failure> {
        let known = ProgramNames::shipped(
            SCENARIOS.iter().map(|one| one.name),
            ENVIRONMENTS.iter().map(|one| one.name),
        );
        parse_program(&self.path, &self.text, &known).map_err(Failure::with(Code::InvalidFile))
    }

    pub(crate) fn inventory(&self) -> Result<Inventory, Failure> {
        scenario::parse_inventory(&self.path, &self.text).map_err(Failure::with(Code::InvalidFile))
    }
}

/// The scenario that `name` means.
pub(crate) fn scenario(name: &str) -> Result<Source, Failure> {
    find("scenario", name, &SCENARIOS)
}

/// The environment that `name` means.
pub(crate) fn environment(name: &str) -> Result<Source, Failure> {
    find("environment", name, &ENVIRONMENTS)
}

/// The runbook that `name` means.
pub(crate) fn runbook(name: &str) -> Result<Source, Failure> {
    find("runbook", name, &RUNBOOKS)
}

/// The drill program that `name` means.
pub(crate) fn program(name: &str) -> Result<Source, Failure> {
    find("program", name, &PROGRAMS)
}

/// What a program names, from where its file is: a path is meant from there.
pub(crate) fn from_program(program: &Source, name: &str) -> String {
    if !is_path(name) || Path::new(name).is_absolute() {
        return name.to_owned();
    }
    match Path::new(&program.path).parent() {
        Some(directory) if directory != Path::new("") => {
            directory.join(name).to_string_lossy().into_owned()
        }
        _ => name.to_owned(),
    }
}

/// The runbook that a scenario names; `None` when it names none.
pub(crate) fn runbook_of(scenario: &Scenario, file: &Source) -> Result<Option<Source>, Failure> {
    named_by(file, "runbook", scenario.runbook.as_deref(), &RUNBOOKS)
}

/// What people answer, where a scenario says so.
pub(crate) fn script_of(scenario: &Scenario, file: &Source) -> Result<Option<Source>, Failure> {
    named_by(file, "script", scenario.script.as_deref(), &SCRIPTS)
}

/// A file that a scenario names: a shipped one, or one beside it.
fn named_by(
    file: &Source,
    what: &str,
    name: Option<&str>,
    shipped: &[Shipped],
) -> Result<Option<Source>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let wrong = |failure: Failure| {
        let message = format!("{}: the {what} of the scenario: {}", file.path, failure.message);
        Failure::new(Code::InvalidFile, message)
    };
    if !is_path(name) {
        return find(what, name, shipped).map(Some).map_err(wrong);
    }
    let beside = beside(Path::new(&file.path), what, name);
    let path = beside.map_err(|why| {
        Failure::new(Code::InvalidFile, format!("{}: the {what} {name}: {why}", file.path))
    })?;
    self::file(&path.to_string_lossy()).map(Some).map_err(wrong)
}

/// The file `name` in or below the directory of `file`: one that was moved with its runbook still finds it. Nowhere else,
/// because who wrote a scenario is not always who runs it, and an error shows lines of the file.
fn beside(file: &Path, what: &str, name: &str) -> Result<PathBuf, String> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let below = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = directory.join(name);
    let (real, top) = (path.canonicalize(), directory.canonicalize());
    match (real, top) {
        (Ok(real), Ok(top)) if below && real.starts_with(&top) => Ok(path),
        (Err(error), _) | (_, Err(error)) if below => Err(error.to_string()),
        _ => Err(format!("a scenario's {what} stands in its own directory, or below")),
    }
}

fn is_path(name: &str) -> bool {
    name.contains('/')
        || [".yaml", ".yml"].iter().any(|ending| name.to_lowercase().ends_with(ending))
}

/// The file at `path`.
pub(crate) fn file(path: &str) -> Result<Source, Failure> {
    let text = read_start(path)
        .map_err(|error| Failure::new(Code::InvalidFile, format!("read {path}: {error}")))?;
    Ok(Source { path: path.to_owned(), text })
}

/// A name with a path's look is a file; anything else is shipped.
fn find(class: &str, name: &str, shipped: &[Shipped]) -> Result<Source, Failure> {
    if is_path(name) {
        return file(name);
    }
    let found = shipped.iter().find(|one| one.name == name).ok_or_else(|| {
        let known = known_names(name, shipped.iter().map(|one| one.name));
        let hint = "or give the path of a file that ends in .yaml";
        Failure::new(Code::Usage, format!("there is no {class} `{name}`; {known}; {hint}"))
    })?;
    Ok(Source { path: found.path.to_owned(), text: found.text.to_owned() })
}

/// So much of a file that the parser can tell that it is too long.
fn read_start(path: &str) -> io::Result<String> {
    let most = u64::try_from(scenario::LARGEST_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_shipped_parses_under_its_own_name() {
        for one in SCENARIOS {
            let source = scenario(one.name).unwrap();
            let scenario = source.scenario(&Known::default()).unwrap();
            assert_eq!(scenario.scenario, one.name);
            if let Some(runbook) = runbook_of(&scenario, &source).unwrap() {
                let runbook = runbook.runbook().unwrap();
                if let Some(script) = script_of(&scenario, &source).unwrap() {
                    crate::people::script(&script, &runbook).unwrap();
                }
            }
        }
        for one in RUNBOOKS {
            assert_eq!(runbook(one.name).unwrap().runbook().unwrap().runbook, one.name);
        }
        for one in PROGRAMS {
            assert_eq!(program(one.name).unwrap().program().unwrap().program, one.name);
        }
        for one in ENVIRONMENTS {
            assert_eq!(environment(one.name).unwrap().inventory().unwrap().environment, one.name);
        }
    }
}
