//! `--set NAME=VALUE`: settings of the scenario and the environment, changed for one run.

use drdrill_core::inventory::{Fence, Inventory, LabSpec, Provider};
use drdrill_core::names::known_names;
use drdrill_core::scenario::{Failover, Scenario};
use drdrill_environments::lab::OPTIONAL_STREAMS;
use garde::Validate;

use crate::exit::{Code, Failure};

/// Changes a setting to the value given as text.
type Change = fn(&mut Scenario, &mut Inventory, &str) -> Result<(), String>;

/// What can be set.
const SETTINGS: [(&str, Change); 21] = [
    ("failover", |scenario, _, value| {
        scenario.recovery.failover = match value {
            "built_in" => Failover::BuiltIn,
            "own" => Failover::Own,
            "none" => Failover::None,
            "refrain" => Failover::Refrain,
            "runbook" => Failover::Runbook,
            other => {
                let known = known_names(other, ["built_in", "own", "none", "refrain", "runbook"]);
                return Err(format!("`{other}` is no failover; {known}"));
            }
        };
        Ok(())
    }),
    ("restore", |scenario, _, value| match value {
        "none" => {
            scenario.recovery.restore = None;
            Ok(())
        }
        other => Err(format!("`{other}` is not `none`, the only value that can be set here")),
    }),
    ("failback", |scenario, _, value| match value {
        "none" => {
            scenario.failback = None;
            Ok(())
        }
        other => Err(format!("`{other}` is not `none`, the only value that can be set here")),
    }),
    ("give_up_after", |scenario, _, value| parse(value, &mut scenario.recovery.give_up_after)),
    ("soak", |scenario, _, value| parse(value, &mut scenario.soak)),
    ("every", |scenario, _, value| parse(value, &mut scenario.probes.every)),
    ("deadline", |scenario, _, value| parse(value, &mut scenario.probes.deadline)),
    ("also", |scenario, env, value| {
        lab(env)?;
        // So that a scenario with workloads can run where they cannot.
        if matches!(value.trim(), "" | "none") {
            scenario.probes.also.clear();
            return Ok(());
        }
        let names = value.split(',').map(|name| name.trim().to_owned());
        let names: Vec<String> = names.collect();
        let unknown = names.iter().find(|name| !OPTIONAL_STREAMS.contains(&name.as_str()));
        if let Some(name) = unknown {
            let known = known_names(name, OPTIONAL_STREAMS);
            return Err(format!("there is no optional probe `{name}`; {known}"));
        }
        scenario.probes.also = names;
        Ok(())
    }),
    ("targets.rto", |scenario, _, value| parse_some(value, &mut scenario.targets.rto)),
    ("targets.rpo", |scenario, _, value| parse_some(value, &mut scenario.targets.rpo)),
    ("targets.rlo", |scenario, _, value| parse_some(value, &mut scenario.targets.rlo)),
    ("strategy", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => parse(value, &mut docker.strategy),
        _ => lab(env).and_then(|lab| parse(value, &mut lab.strategy)),
    }),
    ("replication_lag", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => parse(value, &mut docker.replication_lag),
        _ => lab(env).and_then(|lab| parse(value, &mut lab.replication_lag)),
    }),
    ("backup_interval", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => parse(value, &mut docker.backup_interval),
        _ => lab(env).and_then(|lab| parse(value, &mut lab.backup_interval)),
    }),
    ("log_interval", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => parse(value, &mut docker.log_interval),
        _ => lab(env).and_then(|lab| parse(value, &mut lab.log_interval)),
    }),
    ("think_time", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => parse(value, &mut docker.think_time),
        _ => lab(env).and_then(|lab| parse(value, &mut lab.think_time)),
    }),
    ("listen", |_, env, value| match &mut env.provider {
        Provider::Docker(docker) => {
            docker.listen = Some(value.to_owned());
            Ok(())
        }
        _ => lab(env).map(|lab| lab.listen = Some(value.to_owned())),
    }),
    ("keep_data", |_, env, value| lab(env).map(|lab| lab.keep_data = Some(value.to_owned()))),
    ("toxiproxy", |_, env, value| lab(env).map(|lab| lab.toxiproxy = Some(value.to_owned()))),
    ("fence", |_, env, value| {
        env.machinery.fence = match value {
            "if_reached" => Fence::IfReached,
            "required" => Fence::Required,
            other => {
                let known = known_names(other, ["if_reached", "required"]);
                return Err(format!("`{other}` is no way to fence; {known}"));
            }
        };
        Ok(())
    }),
    ("sustained", |_, env, value| parse(value, &mut env.measure.sustained)),
];

fn parse<T: std::str::FromStr<Err = String>>(value: &str, into: &mut T) -> Result<(), String> {
    *into = value.parse()?;
    Ok(())
}

fn parse_some<T: std::str::FromStr<Err = String>>(
    value: &str,
    into: &mut Option<T>,
) -> Result<(), String> {
    *into = Some(value.parse()?);
    Ok(())
}

fn lab(env: &mut Inventory) -> Result<&mut LabSpec, String> {
    match &mut env.provider {
        Provider::Lab(lab) => Ok(lab),
        other @ (Provider::Docker(_) | Provider::Host(_)) => {
            Err(format!("an environment of provider {} has none", other.kind()))
        }
    }
}

/// Applies settings, in their order, and checks the result as if it had come from a file.
pub(crate) fn apply(
    settings: &[String],
    scenario: &mut Scenario,
    inventory: &mut Inventory,
) -> Result<(), Failure> {
    for setting in settings {
        let usage =
            |reason: String| Failure::new(Code::Usage, format!("--set {setting}: {reason}"));
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| usage("write it as NAME=VALUE, such as failover=none".to_owned()))?;
        let names = SETTINGS.iter().map(|(name, _)| *name);
        let (_, change) = SETTINGS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            usage(format!("there is no such setting; {}", known_names(name, names)))
        })?;
        change(scenario, inventory, value).map_err(usage)?;
        let known = drdrill_core::scenario::Known::default();
        let sound = scenario.validate_with(&known).and_then(|()| inventory.validate());
        sound.map_err(|report| usage(report.to_string().trim().to_owned()))?;
    }
    Ok(())
}
