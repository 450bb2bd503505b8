//! Taking open intents back. The harness, the keeper and `drdrill recover` all call this and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drdrill_core::action::{ActionError, Reverter, Undo};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Boot, Intent, Ledger, bury_processes};

/// Time one try of an undo may take.
///
/// Source: undo-and-security goals, R7: 10 s a try, 3 tries, 60 s in all.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before the second try; twice as long before the third.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// Tries of one undo.
pub const TRIES: u32 = 3;
/// Time all undos of one ledger may take together; each is tried at least once.
pub const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);
/// An undo whose time is over before it began is still tried once, for so long: one that does not hang takes less.
const LEAST_TRY: Duration = Duration::from_secs(1);

/// Those who take changes back, by kind.
#[derive(Clone, Debug, Default)]
pub struct Reverters {
    all: Vec<Arc<dyn Reverter>>,
}

impl Reverters {
    /// A set of reverters.
    #[must_use]
    pub fn new(all: Vec<Arc<dyn Reverter>>) -> Self {
        Self { all }
    }

    fn find(&self, kind: &str) -> Option<Arc<dyn Reverter>> {
        self.all.iter().find(|one| one.kind() == kind).cloned()
    }
}

/// An intent that could not be taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// The intent.
    pub intent: Intent,
    /// Why.
    pub error: String,
    /// What is left, a line each.
    pub residue: Vec<String>,
    /// What a person would type.
    pub by_hand: String,
}

/// What became of the open intents.
#[derive(Debug, Default)]
pub struct Reverted {
    /// Seen to be taken back.
    pub done: Vec<Intent>,
    /// Still open.
    pub stuck: Vec<Stuck>,
}

impl Stuck {
    fn new(intent: &Intent, error: impl Into<String>, by_hand: String) -> Box<Self> {
        let (intent, error) = (intent.clone(), error.into());
        Box::new(Self { intent, error, residue: Vec::new(), by_hand })
    }
}

/// Kind of what a command of a runbook did, in the ledger.
pub(crate) const COMMAND: &str = "command";

/// What came of an intent of this ledger, with how it is closed by hand where that has to be said: nobody can look whether
/// somebody has taken back by hand what somebody's own command did.
pub(crate) fn with_its_ledger(
    result: Result<(), Box<Stuck>>,
    ledger: &Ledger,
) -> Result<(), Box<Stuck>> {
    result.map_err(|mut stuck| {
        if stuck.intent.kind == COMMAND {
            stuck
                .by_hand
                .push_str("; when that is done, and nothing else is listed as in place: rm ");
            stuck.by_hand.push_str(&ledger.path().display().to_string());
        }
        stuck
    })
}

/// Takes one intent back and looks at the world whether it is gone. Not written to the ledger.
///
/// No try lasts longer than [`TRY_TIMEOUT`], and none beyond `give_up`, but for the first, which has at least a second.
/// An undo that panics has failed like any other.
///
/// # Errors
/// When it is still there after all tries.
pub async fn revert_one(
    intent: &Intent,
    reverters: &Reverters,
    give_up: Instant,
) -> Result<(), Box<Stuck>> {
    let Undo::Revert { kind, node, params } = &intent.undo else {
        return Ok(());
    };
    let Some(reverter) = reverters.find(kind) else {
        return Err(Stuck::new(
            intent,
            format!("this drdrill does not know how to take back `{kind}`"),
            format!("use the drdrill version that ran the drill, or undo by hand: {params}"),
        ));
    };
    let mut stuck = Stuck::new(intent, "", by_hand(&*reverter, node, params));
    for attempt in 0..TRIES {
        let left = time_left(give_up);
        let limit = match attempt {
            0 => left.max(LEAST_TRY),
            _ if left.is_zero() => break,
            _ => left,
        };
        sleep(TRY_AGAIN * attempt).await;
        (stuck.error, stuck.residue) =
            match look_after_revert(&reverter, node, params, limit.min(TRY_TIMEOUT)).await {
                Ok(residue) if residue.is_empty() => return Ok(()),
                Ok(residue) => {
                    ("the undo reported success, but the change is still there".into(), residue)
                }
                Err(error) => (error, Vec::new()),
            };
    }
    Err(stuck)
}

/// By tokio's clock, which runs with the timeouts.
fn time_left(until: Instant) -> Duration {
    tokio::time::Instant::from_std(until).saturating_duration_since(tokio::time::Instant::now())
}

/// One try: the undo, and what is left after it. In a task of its own, so that a panic is a failed try and not the end
/// of all the others, and so that one that blocks its thread is given up like one that waits.
async fn look_after_revert(
    reverter: &Arc<dyn Reverter>,
    node: &str,
    params: &Value,
    limit: Duration,
) -> Result<Vec<String>, String> {
    let (reverter, node, params) = (reverter.clone(), node.to_owned(), params.clone());
    let attempt = AbortOnDropHandle::new(tokio::spawn(async move {
        reverter.revert(&node, &params).await?;
        reverter.residue(&node, &params).await
    }));
    match timeout(limit, attempt).await {
        Ok(Ok(seen)) => seen.map_err(|error: ActionError| error.to_string()),
        Ok(Err(broken)) => Err(format!("the undo itself failed, which is a bug: {broken}")),
        Err(_) => Err(format!("no answer within {:.3} s", limit.as_secs_f64())),
    }
}

fn by_hand(reverter: &dyn Reverter, node: &str, params: &Value) -> String {
    catch_unwind(AssertUnwindSafe(|| reverter.by_hand(node, params)))
        .unwrap_or_else(|_| format!("undo by hand: {params}"))
}

/// Until when an intent may be tried that so many others come after. Each of `all` has an equal share of the time, but no
/// more than [`TRY_TIMEOUT`], for itself alone; what the shares of those after it leave over it may take as well.
pub(crate) fn its_time_ends(began: Instant, all: u32, others: u32) -> Instant {
    let share = TRY_TIMEOUT.min(TOTAL_TIMEOUT / all.max(1));
    began + TOTAL_TIMEOUT.saturating_sub(share * others)
}

/// Takes back every open intent of a ledger, newest first. One that does not go away does not stop the others.
///
/// All of it takes no longer than [`TOTAL_TIMEOUT`], shared as `its_time_ends` says. So one that hangs has its [`TRIES`] where up to four intents are open, and no number of them keeps the others from being tried.
///
/// A ledger of another boot names processes that are gone and whose numbers others may have; see [`Boot`].
pub async fn revert_open(ledger: &mut Ledger, reverters: &Reverters) -> Reverted {
    let began = tokio::time::Instant::now().into_std();
    let boot = ledger.contents().boot();
    let open = ledger.open();
    let all = u32::try_from(open.len()).unwrap_or(u32::MAX);
    let mut reverted = Reverted::default();
    for (others, intent) in (0..all).rev().zip(open) {
        let give_up = its_time_ends(began, all, others);
        let result = revert_of(boot, &intent, reverters, give_up).await;
        let result = with_its_ledger(result, ledger);
        // When the ledger cannot be written the intent stays open, and a later recover finds it gone already.
        let _ = match &result {
            Ok(()) => ledger.reverted(intent.id),
            Err(stuck) => ledger.stuck(intent.id, &stuck.error),
        };
        match result {
            Ok(()) => reverted.done.push(intent),
            Err(stuck) => reverted.stuck.push(*stuck),
        }
    }
    reverted
}

/// Takes back an intent that may be of another boot.
async fn revert_of(
    boot: Boot,
    intent: &Intent,
    reverters: &Reverters,
    give_up: Instant,
) -> Result<(), Box<Stuck>> {
    let mut known = intent.clone();
    let in_doubt = boot != Boot::This && bury_processes(&mut known.undo) && boot == Boot::Unknown;
    if in_doubt {
        let error = "it names a process, and the first line of its ledger is damaged: nobody can tell whether that \
                     process still is who it was";
        let by_hand = format!("undo by hand, if it is still there: {}", json!(intent.undo));
        return Err(Stuck::new(intent, error, by_hand));
    }
    revert_one(&known, reverters, give_up).await
}

#[cfg(test)]
mod tests;
