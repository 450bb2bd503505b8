//! The machinery that fails over, as written in an environment file.

use std::time::Duration;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Provider, SiteName};
use crate::names::known_names;
use crate::units::{Share, Span, within};

/// The machinery that fails over.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Machinery {
    /// The health monitor.
    #[garde(dive)]
    pub monitor: Monitor,
    /// Time one step of a plan may take.
    #[garde(custom(within(Duration::from_secs(1), Duration::from_hours(24))))]
    pub step_timeout: Span,
    /// The site at which it stands: it then reaches the other one only by the links between the two. Outside of both, with
    /// a way of its own to each, when absent.
    #[garde(skip)]
    pub at: Option<SiteName>,
    /// What becomes of a failover when the old primary cannot be told to take no more writes.
    #[garde(skip)]
    pub fence: Fence,
    /// The share of the traffic that a failover can move. The rest keeps going where it went, as clients do that have
    /// cached an address.
    #[garde(skip)]
    pub redirect: Share,
}

/// What becomes of a failover when the old primary cannot be told to take no more writes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// It goes on: a site that is lost cannot be told anything.
    #[default]
    IfReached,
    /// It ends there: two sites that decide are worse than none.
    Required,
}

/// Roles of the sites of the lab.
const LAB_SITES: [&str; 2] = ["primary", "dr"];

/// Whether it stands at a site that there is.
pub(super) fn stands_somewhere<C>(
    provider: &Provider,
) -> impl Fn(&Machinery, &C) -> garde::Result + '_ {
    move |machinery, _| {
        let Some(at) = &machinery.at else { return Ok(()) };
        match provider {
            Provider::Lab(lab) if lab.zones.is_some() && at == LAB_SITES[0] => {
                Err(garde::Error::new("`at`: that site has zones, which fail on their own"))
            }
            Provider::Lab(_) | Provider::Docker(_) if LAB_SITES.contains(&at.as_str()) => Ok(()),
            Provider::Lab(_) | Provider::Docker(_) => {
                let known = known_names(at, LAB_SITES);
                Err(garde::Error::new(format!("`at`: there is no site `{at}`; {known}")))
            }
            Provider::Host(_) => {
                Err(garde::Error::new("`at`: drdrill's machinery only works in the lab so far"))
            }
        }
    }
}

impl Default for Machinery {
    fn default() -> Self {
        Self {
            monitor: Monitor::default(),
            step_timeout: Span(Duration::from_mins(1)),
            at: None,
            fence: Fence::default(),
            redirect: Share::percent(100),
        }
    }
}

/// The health monitor (requirement C1: every 30 s, 3 failures in a row, or at least 2 kinds failed at once).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Time between two rounds of checks.
    #[garde(custom(within(Duration::from_millis(10), Duration::from_hours(1))))]
    pub interval: Span,
    /// Time one check may take.
    #[garde(custom(within(Duration::from_millis(1), Duration::from_hours(1))))]
    pub timeout: Span,
    /// Rounds in a row in which a kind of check must fail.
    #[garde(range(min = 1, max = 100))]
    pub failures: u32,
    /// Kinds that must fail in one round to fail over without waiting for more rounds.
    #[garde(range(min = 1, max = 10))]
    pub kinds: u32,
    /// Fail over when either holds (`false`), or only when both hold (`true`).
    #[garde(skip)]
    pub both: bool,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            interval: Span(Duration::from_secs(30)),
            timeout: Span(Duration::from_secs(2)),
            failures: 3,
            kinds: 2,
            both: false,
        }
    }
}
