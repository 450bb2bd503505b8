//! What the lab is made of: its sites, and the zones of a site that has them. Each has all the processes of a site, and its
//! own links, data and backups.

use drdrill_core::inventory::{LabSpec, SiteName, Strategy, ZONES};

use super::site::{AUTH, SERVICE, WORKER};
use super::volumes::BACKUP;
use super::{COMPONENTS, DR, PRIMARY};

/// A site, or a zone of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unit {
    /// Its name; that of its site where that has no zones.
    pub(super) name: SiteName,
    /// The site, by its role.
    pub(super) role: &'static str,
    /// The last byte of its addresses.
    pub(super) host: u8,
}

impl Unit {
    /// What scenarios call one of its processes: with its zone before it, where it is one of several.
    pub(super) fn component(&self, component: &str) -> String {
        let zone = self.name.strip_prefix(self.role).and_then(|rest| rest.strip_prefix('-'));
        zone.map_or_else(|| component.to_owned(), |zone| format!("{zone}-{component}"))
    }
}

/// Names of the processes of a site, as scenarios know them.
#[must_use]
pub fn components(spec: &LabSpec, role: &str) -> Vec<String> {
    let units = meant(spec, role);
    units.iter().flat_map(|unit| COMPONENTS.map(|component| unit.component(component))).collect()
}

/// The name of a zone.
pub(super) fn zone_name(role: &str, zone: &str) -> SiteName {
    format!("{role}-{zone}")
}

/// All of them, in the order in which they take over. The first serves normally.
pub(super) fn units(spec: &LabSpec) -> Vec<Unit> {
    let unit = |name: SiteName, role, host| Unit { name, role, host };
    let dr = unit(DR.to_owned(), DR, 2);
    if spec.zones.is_none() {
        return vec![unit(PRIMARY.to_owned(), PRIMARY, 1), dr];
    }
    let [first, second] = ZONES.map(|zone| zone_name(PRIMARY, zone));
    vec![unit(first, PRIMARY, 1), unit(second, PRIMARY, 5), dr]
}

/// Those that a name means: a role means all zones of the site.
pub(super) fn meant(spec: &LabSpec, name: &str) -> Vec<Unit> {
    let mut units = units(spec);
    units.retain(|unit| unit.name == name || unit.role == name);
    units
}

/// What of a unit runs while it stands by.
pub(super) const fn stand_by(strategy: Strategy) -> &'static [&'static str] {
    match strategy {
        Strategy::Cold => &[],
        Strategy::PilotLight => &[SERVICE],
        Strategy::Warm | Strategy::Hot | Strategy::ActiveActive => &[SERVICE, WORKER, BACKUP, AUTH],
    }
}

/// What of a unit does not run while it stands by.
pub(super) fn not_in_stand_by(strategy: Strategy) -> Vec<&'static str> {
    COMPONENTS.into_iter().filter(|one| !stand_by(strategy).contains(one)).collect()
}
