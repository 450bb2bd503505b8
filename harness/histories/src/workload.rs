//! The samples of a drill as operations: what its clients wrote, read and moved.

use drdrill_core::sample::{self, Deed, Sample};

use crate::bank::{Snapshot, Transfer};
use crate::operation::{Access, Operation, Outcome};
use crate::succession::Answer;

/// Clients of each stream. An attempt is the next one's turn, whatever became of the one before.
const CLIENTS: u64 = 2;

/// What a sample did to a register; `None` where it did nothing of the kind.
#[must_use]
pub fn register(sample: &Sample) -> Option<Answer> {
    let (key, access) = match sample.deed.as_deref()? {
        Deed::Write { key, value } => (*key, Access::Write(*value)),
        Deed::Read { key, value } => (*key, Access::Read(*value)),
        Deed::Transfer { .. } | Deed::Balances { .. } => return None,
    };
    let operation = Operation {
        process: client(sample),
        key,
        access,
        sent: sample.sent,
        done: sample.done,
        outcome: outcome(sample),
    };
    let decider = sample.decider.as_ref();
    Some(Answer { operation, epoch: decider.map(|decider| decider.epoch) })
}

/// The transfer that a sample made, or may have made.
#[must_use]
pub fn transfer(sample: &Sample) -> Option<Transfer> {
    let Deed::Transfer { from, to, amount } = sample.deed.as_deref()? else { return None };
    Some(Transfer {
        process: client(sample),
        from: *from,
        to: *to,
        amount: *amount,
        sent: sample.sent,
        done: sample.done,
        outcome: outcome(sample),
    })
}

/// The balances that a sample read.
#[must_use]
pub fn snapshot(sample: &Sample) -> Option<Snapshot> {
    let Deed::Balances { balances } = sample.deed.as_deref()? else { return None };
    sample.outcome.is_ok().then(|| Snapshot {
        process: client(sample),
        balances: balances.clone(),
        atomic: true,
        sent: sample.sent,
        done: sample.done,
    })
}

/// A client of a stream, by a number of its own.
fn client(sample: &Sample) -> u32 {
    let turn = u32::try_from(sample.sequence % CLIENTS).unwrap_or(0);
    u32::from(sample.stream) * u32::try_from(CLIENTS).unwrap_or(1) + turn
}

/// What a sample says about its operation. After an error of our own nobody knows whether it was sent.
pub(crate) fn outcome(sample: &Sample) -> Outcome {
    match sample.outcome {
        sample::Outcome::Ok => Outcome::Ok,
        sample::Outcome::Failed(_) => Outcome::Failed,
        sample::Outcome::Unknown(_) | sample::Outcome::ProberError(_) => Outcome::Indeterminate,
    }
}
