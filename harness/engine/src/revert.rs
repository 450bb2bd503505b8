//! Taking open intents back. The harness, the keeper and `drdrill recover` all call this and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drdrill_core::action::{ActionError, Reverter, Undo};
use serde_json::Value;

use crate::ledger::{Intent, Ledger};

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

    fn find(&self, kind: &str) -> Option<&dyn Reverter> {
        self.all.iter().find(|one| one.kind() == kind).map(AsRef::as_ref)
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

/// Takes one intent back and looks at the world whether it is gone. Not written to the ledger.
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
        return Err(Box::new(Stuck {
            intent: intent.clone(),
            error: format!("this drdrill does not know how to take back `{kind}`"),
            residue: Vec::new(),
            by_hand: format!(
                "use the drdrill version that ran the drill, or undo by hand: {params}"
            ),
        }));
    };
    let mut last = (String::new(), Vec::new());
    for attempt in 0..TRIES {
        if attempt > 0 {
            if Instant::now() >= give_up {
                break;
            }
            tokio::time::sleep(TRY_AGAIN * attempt).await;
        }
        match tokio::time::timeout(TRY_TIMEOUT, revert_and_look(reverter, node, params)).await {
            Ok(Ok(residue)) if residue.is_empty() => return Ok(()),
            Ok(Ok(residue)) => {
                last = ("the undo reported success, but the change is still there".into(), residue);
            }
            Ok(Err(error)) => last = (error.to_string(), Vec::new()),
            Err(_) => {
                last = (format!("no answer within {} s", TRY_TIMEOUT.as_secs()), Vec::new());
            }
        }
    }
    let (error, residue) = last;
    Err(Box::new(Stuck {
        intent: intent.clone(),
        error,
        residue,
        by_hand: reverter.by_hand(node, params),
    }))
}

async fn revert_and_look(
    reverter: &dyn Reverter,
    node: &str,
    params: &Value,
) -> Result<Vec<String>, ActionError> {
    reverter.revert(node, params).await?;
    reverter.residue(node, params).await
}

/// Takes back every open intent of a ledger, newest first. One that does not go away does not stop the others.
pub async fn revert_open(ledger: &mut Ledger, reverters: &Reverters) -> Reverted {
    let give_up = Instant::now() + TOTAL_TIMEOUT;
    let mut reverted = Reverted::default();
    for intent in ledger.open() {
        let result = revert_one(&intent, reverters, give_up).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use drdrill_core::environment::ProcessIdentity;

    use super::*;
    use crate::ledger::Line;

    /// A world of named things, and a reverter that removes them, or lies about it.
    #[derive(Debug, Default)]
    struct World {
        things: Mutex<Vec<String>>,
        order: Mutex<Vec<String>>,
        lies: bool,
        hangs_on: Option<String>,
    }

    #[async_trait]
    impl Reverter for World {
        fn kind(&self) -> &'static str {
            "world"
        }
        async fn revert(&self, node: &str, _: &Value) -> Result<(), ActionError> {
            self.order.lock().unwrap().push(node.to_owned());
            if self.hangs_on.as_deref() == Some(node) {
                std::future::pending::<()>().await;
            }
            if !self.lies {
                self.things.lock().unwrap().retain(|thing| thing != node);
            }
            Ok(())
        }
        async fn residue(&self, node: &str, _: &Value) -> Result<Vec<String>, ActionError> {
            let things = self.things.lock().unwrap();
            Ok(things.iter().filter(|thing| *thing == node).cloned().collect())
        }
        fn by_hand(&self, node: &str, _: &Value) -> String {
            format!("remove {node}")
        }
    }

    fn ledger(dir: &std::path::Path, names: &[&str]) -> Ledger {
        let first = Line::Opened {
            run_id: "run".into(),
            environment: "test".into(),
            harness: ProcessIdentity { node: "harness".into(), pid: 1, start_time: 1 },
            boot_id: "boot".into(),
        };
        let mut ledger = Ledger::create(&dir.join("ledger"), first).unwrap();
        for name in names {
            let undo = Undo::Revert {
                kind: "world".into(),
                node: (*name).to_owned(),
                params: Value::Null,
            };
            ledger.intend("fault", name, undo).unwrap();
        }
        ledger
    }

    fn world(things: &[&str]) -> World {
        World {
            things: Mutex::new(things.iter().map(|&t| t.to_owned()).collect()),
            ..World::default()
        }
    }

    #[tokio::test]
    async fn newest_first_and_the_second_time_there_is_nothing_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), &["a", "b"]);
        let world = Arc::new(world(&["a", "b", "foreign"]));
        let reverters = Reverters::new(vec![world.clone()]);
        assert_eq!(revert_open(&mut ledger, &reverters).await.done.len(), 2);
        assert_eq!(*world.order.lock().unwrap(), ["b", "a"]);
        assert_eq!(*world.things.lock().unwrap(), ["foreign"]);
        let again = revert_open(&mut ledger, &reverters).await;
        assert!(again.done.is_empty() && again.stuck.is_empty());
    }

    #[tokio::test]
    async fn an_undo_that_lies_is_caught() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), &["a"]);
        let liar = World { lies: true, ..world(&["a"]) };
        let reverted = revert_open(&mut ledger, &Reverters::new(vec![Arc::new(liar)])).await;
        assert_eq!(reverted.stuck[0].residue, ["a"]);
        assert_eq!(reverted.stuck[0].by_hand, "remove a");
        assert_eq!(ledger.open().len(), 1, "it must stay open");
    }

    #[tokio::test(start_paused = true)]
    async fn an_undo_that_hangs_does_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), &["a", "b", "c"]);
        let world = Arc::new(World { hangs_on: Some("b".into()), ..world(&["a", "b", "c"]) });
        let began = tokio::time::Instant::now();
        let reverted = revert_open(&mut ledger, &Reverters::new(vec![world.clone()])).await;
        assert!(began.elapsed() <= TOTAL_TIMEOUT);
        assert_eq!(*world.things.lock().unwrap(), ["b"]);
        assert_eq!(reverted.stuck.len(), 1);
        assert!(reverted.stuck[0].error.contains("no answer within 10 s"));
    }

    #[tokio::test]
    async fn an_unknown_kind_stays_open_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(dir.path(), &["a"]);
        let reverted = revert_open(&mut ledger, &Reverters::default()).await;
        assert!(reverted.stuck[0].error.contains("does not know how to take back `world`"));
    }
}
