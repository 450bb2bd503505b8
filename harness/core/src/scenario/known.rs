//! Names that a scenario may use, given by the environment it is to run on.

use std::collections::BTreeMap;

use super::StopWhen;
use crate::names::known_names;

/// Names an environment has. A class that is `None` is not compared: the scenario is then only checked by itself.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Roles: the sites.
    pub roles: Option<Vec<String>>,
    /// Zones of each role; a role that is absent has none.
    pub zones: Option<BTreeMap<String, Vec<String>>>,
    /// Functionality checks.
    pub functions: Option<Vec<String>>,
    /// Probe streams.
    pub probes: Option<Vec<String>>,
    /// Probe streams that only scenarios that ask for them have.
    pub also: Option<Vec<String>>,
    /// Those of them that are several streams.
    pub workloads: Vec<String>,
    /// Processes of each role.
    pub components: Option<BTreeMap<String, Vec<String>>>,
    /// Directories of each role.
    pub directories: Option<BTreeMap<String, Vec<String>>>,
    /// Nodes of each role of which the network can be disturbed.
    pub nodes: Option<BTreeMap<String, Vec<String>>>,
}

pub(super) fn role(name: &str, known: &Known) -> garde::Result {
    compare("role", name, known.roles.as_deref())
}

/// A role, or one of its nodes as `role/node`.
pub(super) fn role_or_node(name: &str, known: &Known) -> garde::Result {
    let Some((site, node)) = name.split_once('/') else { return role(name, known) };
    role(site, known)?;
    let of_role = known.nodes.as_ref().map(|all| names_of(all, site));
    compare(&format!("node of {site} named"), node, of_role)
}

pub(super) fn function(name: &str, known: &Known) -> garde::Result {
    compare("functionality check", name, known.functions.as_deref())
}

pub(super) fn probe(name: &str, known: &Known) -> garde::Result {
    if known.workloads.iter().any(|one| one == name) {
        let text = format!(
            "`{name}` is a workload of several streams, and what it finds is judged at the end"
        );
        return Err(garde::Error::new(text));
    }
    let optional = known.also.as_ref().is_some_and(|also| also.iter().any(|one| one == name));
    if optional { Ok(()) } else { compare("probe", name, known.probes.as_deref()) }
}

pub(super) fn also(name: &str, known: &Known) -> garde::Result {
    compare("optional probe", name, known.also.as_deref())
}

/// Refuses a stop condition on a stream that nobody samples: it would never stop anything.
pub(super) fn are_sampled(also: &[String]) -> impl Fn(&Vec<StopWhen>, &Known) -> garde::Result {
    move |rules, known| {
        let optional = known.also.as_deref().unwrap_or_default();
        let mut names = rules.iter().map(|rule| &rule.probe);
        match names.find(|name| optional.contains(name) && !also.contains(name)) {
            Some(name) => Err(garde::Error::new(format!(
                "nobody samples `{name}` here; ask for it: `probes: {{ also: [{name}] }}`"
            ))),
            None => Ok(()),
        }
    }
}

pub(super) fn zone(role: &str) -> impl Fn(&String, &Known) -> garde::Result {
    move |name, known| {
        let of_role = known.zones.as_ref().map(|all| names_of(all, role));
        compare(&format!("zone of {role} named"), name, of_role).map_err(|error| {
            let none = of_role.is_some_and(<[String]>::is_empty);
            let hint = if none { " (of those that are shipped `lab_zones` has zones)" } else { "" };
            garde::Error::new(format!("{error}{hint}"))
        })
    }
}

pub(super) fn component(role: &str) -> impl Fn(&String, &Known) -> garde::Result {
    move |name, known| {
        let of_role = known.components.as_ref().map(|all| names_of(all, role));
        compare(&format!("process of {role} named"), name, of_role)
    }
}

pub(super) fn directory(role: &str) -> impl Fn(&String, &Known) -> garde::Result {
    move |name, known| {
        let of_role = known.directories.as_ref().map(|all| names_of(all, role));
        compare(&format!("directory of {role} named"), name, of_role)
    }
}

fn names_of<'a>(all: &'a BTreeMap<String, Vec<String>>, role: &str) -> &'a [String] {
    all.get(role).map_or(&[], Vec::as_slice)
}

fn compare(class: &str, name: &str, known: Option<&[String]>) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let known = known_names(name, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("the environment has no {class} `{name}`; {known}")))
}
