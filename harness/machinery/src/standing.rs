//! How what takes over stands by, and what that adds to the plans (requirement C9).

use std::sync::Arc;

use drdrill_core::backup::RestoreControl;
use drdrill_core::inventory::SiteName;

use crate::plan::{Act, OnFailure, Step};
use crate::restore;

/// How what takes over stands by.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The one that serves acknowledges nothing that the first of those behind it does not have.
    pub synchronous: bool,
    /// It takes writes too, and half of the clients' requests.
    pub both_decide: bool,
    /// It runs nothing and has no data: it is built from the backups of the one that serves.
    pub from_backups: Option<Arc<dyn RestoreControl>>,
    /// Some of it runs only while it serves.
    pub stands_down: bool,
}

impl Standing {
    /// The steps before a site can be activated and promoted.
    pub(crate) fn activate(&self, from: &SiteName, to: &SiteName) -> Vec<Step> {
        let control = self.from_backups.iter();
        control.flat_map(|control| restore::elsewhere(control, from, to)).collect()
    }

    /// The steps after `home` serves again; `away` served meanwhile. It takes writes by then, so nothing is rolled back.
    pub(crate) fn stand_by_again(
        &self,
        home: &SiteName,
        away: &SiteName,
        called: &str,
    ) -> Vec<Step> {
        let step = |name: &str, site: &SiteName, act| Step {
            name: name.to_owned(),
            site: site.clone(),
            act,
            on_failure: OnFailure::GoOn,
        };
        let mut steps = Vec::new();
        if self.from_backups.is_none() {
            let follow = Act::Follow { source: home.clone() };
            steps.push(step(&format!("{called} follows again"), away, follow));
        }
        if self.stands_down {
            steps.push(step("end what runs there only while it serves", away, Act::StandDown));
        }
        steps
    }

    /// The steps that make `home` acknowledge only what `partner` has.
    pub(crate) fn together(&self, home: &SiteName, partner: &SiteName) -> Vec<Step> {
        if !self.synchronous {
            return Vec::new();
        }
        let step = |name: &str, site: &SiteName, act| Step {
            name: name.to_owned(),
            site: site.clone(),
            act,
            on_failure: OnFailure::GoOn,
        };
        let act = Act::WaitFor { standbys: vec![partner.clone()], before: Vec::new() };
        vec![step("acknowledge only what both have", home, act)]
    }
}
