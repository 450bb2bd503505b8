//! One fault: its undo on disk first, then the effect, then the proof of it.

use std::time::Duration;

use drdrill_core::action::{Action, Presence, Tag};
use drdrill_core::event::{Event, Journal};
use drdrill_core::time::At;
use tokio::time::{Instant, sleep, timeout_at};

use super::EFFECT_TIMEOUT;
use crate::ledger::Ledger;

/// Time between two looks at whether a fault is in effect.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Injects one fault. `Ok` is the interval in which it took effect, F− to F+; `Err` says why the drill cannot go on. In
/// both cases the ledger has all that is needed to take it back.
pub(super) async fn inject(
    run_id: &str,
    fault: &dyn Action,
    ledger: &mut Ledger,
    journal: &dyn Journal,
) -> Result<(At, At), String> {
    let tag = Tag::new(run_id, ledger.next_id());
    let undo = fault.plan(&tag).await.map_err(|error| error.to_string())?;
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
    loop {
        let seen = timeout_at(give_up, fault.observe(&tag)).await;
        let detail = match seen {
            Ok(Ok(Presence::InEffect { proof })) => {
                let at = journal.now();
                journal.record(Event::FaultInEffect { id, at, proof });
                return Ok((from, at));
            }
            Ok(Ok(Presence::Absent { detail })) => detail,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "looking took too long".to_owned(),
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
