//! The moments of the recovery.

use drdrill_core::event::Milestone;
use drdrill_core::record::Phases;
use drdrill_core::time::At;

use super::case::Case;

/// Gathers the moments; those that did not come are absent. With several services, the restored one is the last.
pub(crate) fn gather(case: &Case<'_>, full_capacity: Option<At>) -> Phases {
    let outages = case.services.iter().filter_map(super::case::ServiceStory::outage);
    let first_error = outages.map(|outage| outage.began_by).min();
    let restored: Option<Vec<At>> =
        case.services.iter().map(|service| service.rto.restored_by).collect();
    let restored = restored.and_then(|all| all.into_iter().max());
    let passed = |milestone| case.digest.milestone(milestone).map(At::ms);
    // What came before the fault, as an alarm in the baseline, is no part of its recovery.
    let fault = case.disasters.first().map(|first| first.from);
    let since_fault = |milestone| case.digest.milestone_since(milestone, fault?).map(At::ms);
    Phases {
        fault_ms: fault.map(At::ms),
        first_error_ms: first_error.map(At::ms),
        detected_ms: since_fault(Milestone::Detected),
        decided_ms: since_fault(Milestone::Decided),
        failed_over_ms: since_fault(Milestone::FailedOver),
        restored_ms: restored.map(At::ms),
        full_capacity_ms: full_capacity.map(At::ms),
        failback_started_ms: passed(Milestone::FailbackStarted),
        failback_finished_ms: passed(Milestone::FailbackFinished),
    }
}
