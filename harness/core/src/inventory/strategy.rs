//! How much stands ready for the day that a site or a zone is lost, as written in an environment file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabSpec;
use crate::names::known_names;

/// How the DR site stands by (requirement C9).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nothing runs there. It is built from the primary site's backups when it has to take over.
    Cold,
    /// Its data follows the primary site; what works behind the service is started when it has to take over.
    PilotLight,
    /// All of it runs and follows the primary site, which does not wait for it.
    #[default]
    Warm,
    /// All of it runs, and the primary site acknowledges nothing that it does not have. A primary site that cannot reach
    /// it acknowledges nothing, until the machinery decides who goes on alone.
    Hot,
    /// All of it runs and takes writes beside the primary site, and neither waits for the other. Of two changes that did
    /// not know of each other the later one is kept.
    ActiveActive,
}

impl Strategy {
    /// All of them, from the cheapest on.
    pub const ALL: [Self; 5] =
        [Self::Cold, Self::PilotLight, Self::Warm, Self::Hot, Self::ActiveActive];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::PilotLight => "pilot_light",
            Self::Warm => "warm",
            Self::Hot => "hot",
            Self::ActiveActive => "active_active",
        }
    }
}

impl std::str::FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let known = known_names(text, Self::ALL.map(Self::name));
            format!("`{text}` is no strategy; {known}")
        })
    }
}

/// How the second zone of a site gets what the first one writes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Zones {
    /// The zone that leads acknowledges nothing that the other one does not have.
    Synchronous,
    /// The zone that leads does not wait for the other one, which follows after `replication_lag`.
    Asynchronous,
}

/// Names of the zones of a site that has them. The first one leads normally.
pub const ZONES: [&str; 2] = ["a", "b"];

/// A defect that the lab has on purpose.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Planted {
    /// The DR site answers reads of registers from a snapshot that is a second old.
    StaleReads,
    /// The DR site takes from one account in one transaction and gives to the other in another one.
    TornTransfers,
    /// A site that comes back answers reads of registers with what it had before its data was replaced.
    OldValues,
}

/// Whether the DR site stands by as it does beside a primary site with zones.
pub(super) fn fits_zones<C>(zones: Option<Zones>) -> impl FnOnce(&Strategy, &C) -> garde::Result {
    move |strategy, _| {
        if zones.is_none() || *strategy == Strategy::Warm {
            return Ok(());
        }
        Err(garde::Error::new("must be `warm` where the primary site has `zones`"))
    }
}

impl LabSpec {
    /// Whether the one that takes over first has everything that is acknowledged.
    #[must_use]
    pub fn is_synchronous(&self) -> bool {
        self.strategy == Strategy::Hot || self.zones == Some(Zones::Synchronous)
    }
}
