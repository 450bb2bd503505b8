//! What each side of an environment has of the drill's writes.

use drdrill_core::environment::Side;
use drdrill_core::event::{Event, Journal, When};

use super::Drill;

/// Reads every write of the drill back from each side.
pub(super) async fn read_back(drill: &Drill, journal: &dyn Journal, when: When) {
    let Some(audit) = drill.environment.audit() else { return };
    let serving = drill.recovery.as_ref().map(|recovery| recovery.serving_site());
    let of_site = |name| Side { authoritative: serving.as_ref() == Some(&name), name };
    let of_sites = || drill.environment.sites().into_iter().map(of_site).collect();
    for side in audit.sides().unwrap_or_else(of_sites) {
        let Side { name: site, authoritative } = side;
        let started = journal.now();
        journal.record(match audit.read_all(&site).await {
            Ok(found) => Event::WritesFound {
                authoritative,
                service: audit.service(),
                site,
                when,
                started,
                found,
            },
            Err(error) => Event::WritesUnreadable { site, when, error: error.to_string() },
        });
    }
}
