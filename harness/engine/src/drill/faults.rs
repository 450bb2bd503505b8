//! One fault: its undo on disk first, then the effect, then the proof of it.

use std::time::Duration;

use drdrill_core::action::{Action, Presence, Tag};
use drdrill_core::event::{Event, Journal};
use drdrill_core::time::At;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::EFFECT_TIMEOUT;
use crate::ledger::Ledger;

/// Time between two looks at whether a fault is in effect.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Injects one fault. `Ok` is the interval in which it took effect, F− to F+. In any case the ledger has all that is
/// needed to take it back.
///
/// # Errors
/// Why the drill cannot go on.
pub async fn inject(
    run_id: &str,
    fault: &dyn Action,
    ledger: &mut Ledger,
    journal: &dyn Journal,
) -> Result<(At, At), String> {
    let tag = Tag::new(run_id, ledger.next_id());
    // It only looks, so nothing is left of one that is given up.
    let planned = timeout(EFFECT_TIMEOUT, fault.plan(&tag)).await.map_err(|_| {
        let (kind, target) = (fault.kind(), fault.target());
        format!(
            "{kind} on {target}: what it would strike does not answer within {EFFECT_TIMEOUT:?}"
        )
    })?;
    let undo = planned.map_err(|error| error.to_string())?;
    let id = ledger
        .intend(fault.kind(), &fault.target(), undo.clone())
        .map_err(|error| format!("{error}; the fault was not injected"))?;
    journal.record(Event::FaultPlanned {
        id,
        kind: fault.kind().to_owned(),
        target: fault.target(),
        via: fault.via(),
        belts: fault.belts(),
        undo,
    });
    let give_up = Instant::now() + EFFECT_TIMEOUT;
    let from = journal.now();
    journal.record(Event::FaultApplying { id, from });
    let applied = match timeout_at(give_up, fault.apply(&tag)).await {
        Ok(applied) => applied.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", EFFECT_TIMEOUT.as_secs())),
    };
    if let Err(error) = applied {
        journal.record(Event::FaultApplyFailed { id, error: error.clone() });
        return Err(format!("{} on {}: {error}", fault.kind(), fault.target()));
    }
    let mut detail = "looking took too long".to_owned();
    loop {
        let seen = timeout_at(give_up, fault.observe(&tag)).await;
        detail = match seen {
            Ok(Ok(Presence::InEffect { proof })) => {
                let at = journal.now();
                journal.record(Event::FaultInEffect { id, at, proof });
                return Ok((from, at));
            }
            Ok(Ok(Presence::Absent { detail })) => detail,
            Ok(Ok(Presence::TooWide { detail })) => {
                let detail = format!("it strikes more than it should: {detail}");
                journal.record(Event::FaultWithoutEffect { id, detail: detail.clone() });
                return Err(format!("{} on {}: {detail}", fault.kind(), fault.target()));
            }
            Ok(Err(error)) => error.to_string(),
            // What was seen before says more.
            Err(_) => detail,
        };
        if Instant::now() >= give_up {
            journal.record(Event::FaultWithoutEffect { id, detail: detail.clone() });
            return Err(format!(
                "{} on {} was never seen in effect: {detail}",
                fault.kind(),
                fault.target()
            ));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Looks so often at a fault that does not seem to be there any more: a single look may be unlucky.
const LAST_LOOKS: u32 = 3;

/// Looks, before a fault is taken back, whether it still is in effect: a service that recovered because the fault was
/// over has not recovered.
pub(super) async fn look_again(run_id: &str, id: u32, fault: &dyn Action, journal: &dyn Journal) {
    let tag = Tag::new(run_id, id);
    let mut last = None;
    for _ in 0..LAST_LOOKS {
        last = Some(timeout_at(Instant::now() + EFFECT_TIMEOUT, fault.observe(&tag)).await);
        if let Some(Ok(Ok(Presence::InEffect { .. } | Presence::TooWide { .. }))) = last {
            return;
        }
        sleep(LOOK_AGAIN).await;
    }
    journal.record(match last {
        Some(Ok(Ok(Presence::Absent { detail }))) => {
            Event::FaultEnded { id, at: journal.now(), detail }
        }
        Some(Ok(Err(error))) => Event::Note { text: format!("look at fault {id} again: {error}") },
        _ => Event::Note { text: format!("looking at fault {id} again took too long") },
    });
}
