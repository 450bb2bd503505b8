//! Names that a scenario may use, given by the environment it is to run on.

use crate::names::known_names;

/// Names an environment has. A class that is `None` is not compared: the scenario is then only checked by itself.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Roles: the sites.
    pub roles: Option<Vec<String>>,
    /// Functionality checks.
    pub functions: Option<Vec<String>>,
    /// Probe streams.
    pub probes: Option<Vec<String>>,
}

pub(super) fn role(name: &str, known: &Known) -> garde::Result {
    compare("role", name, known.roles.as_deref())
}

pub(super) fn function(name: &str, known: &Known) -> garde::Result {
    compare("functionality check", name, known.functions.as_deref())
}

pub(super) fn probe(name: &str, known: &Known) -> garde::Result {
    compare("probe", name, known.probes.as_deref())
}

fn compare(class: &str, name: &str, known: Option<&[String]>) -> garde::Result {
    let Some(known) = known else { return Ok(()) };
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    let known = known_names(name, known.iter().map(String::as_str));
    Err(garde::Error::new(format!("the environment has no {class} `{name}`; {known}")))
}
