use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use drdrill_core::environment::ProcessIdentity;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::ledger::Line;

/// How a reverter fails on one thing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failing {
    /// Never returns.
    Hangs,
    /// Undoes it, and never comes back from looking.
    HangsLooking,
    /// Says that it is done, and does nothing.
    Lies,
    /// Takes back one of two parts, and says that all is done.
    Half,
    /// Panics.
    Panics,
    /// Undoes it, and panics while it looks.
    PanicsLooking,
    /// Does not work twice, and works then.
    Twice,
    /// Blocks its thread for longer than anybody waits.
    Blocks,
}

/// A world of named things, and a reverter that removes them, or fails to.
#[derive(Debug, Default)]
struct World {
    things: Mutex<Vec<String>>,
    tries: Mutex<Vec<String>>,
    params: Mutex<Vec<Value>>,
    failing: Vec<(&'static str, Failing)>,
}

impl World {
    fn how(&self, node: &str) -> Option<Failing> {
        self.failing.iter().find(|(name, _)| *name == node).map(|(_, how)| *how)
    }

    fn of(things: &[&str], failing: &[(&'static str, Failing)]) -> Arc<Self> {
        let things = things.iter().map(|&thing| thing.to_owned()).collect();
        let failing = failing.to_vec();
        Arc::new(Self { things: Mutex::new(things), failing, ..Self::default() })
    }

    fn things(&self) -> Vec<String> {
        self.things.lock().unwrap().clone()
    }

    fn tries(&self, node: &str) -> usize {
        self.tries.lock().unwrap().iter().filter(|tried| *tried == node).count()
    }

    /// In the order of their first try.
    fn order(&self) -> Vec<String> {
        let mut order = self.tries.lock().unwrap().clone();
        order.dedup();
        order
    }
}

#[async_trait]
impl Reverter for World {
    fn kind(&self) -> &'static str {
        "world"
    }

    async fn revert(&self, node: &str, params: &Value) -> Result<(), ActionError> {
        self.tries.lock().unwrap().push(node.to_owned());
        self.params.lock().unwrap().push(params.clone());
        let gone = |thing: &str| self.things.lock().unwrap().retain(|other| other != thing);
        match self.how(node) {
            Some(Failing::Hangs) => std::future::pending().await,
            Some(Failing::Lies) => {}
            Some(Failing::Half) => gone(&format!("{node}/1")),
            Some(Failing::Panics) => panic!("a bug in the undo of {node}"),
            Some(Failing::Twice) if self.tries(node) < 3 => {
                return Err(ActionError::new("undo", node, "not yet"));
            }
            Some(Failing::Blocks) => std::thread::sleep(Duration::from_secs(3)),
            _ => gone(node),
        }
        Ok(())
    }

    async fn residue(&self, node: &str, _: &Value) -> Result<Vec<String>, ActionError> {
        match self.how(node) {
            Some(Failing::HangsLooking) => std::future::pending().await,
            Some(Failing::PanicsLooking) => panic!("a bug in looking at {node}"),
            _ => {}
        }
        let part = format!("{node}/");
        let things = self.things().into_iter();
        Ok(things.filter(|thing| thing == node || thing.starts_with(&part)).collect())
    }

    fn by_hand(&self, node: &str, _: &Value) -> String {
        format!("remove {node}")
    }
}

fn opened(boot_id: &str) -> Line {
    Line::Opened {
        run_id: "run".into(),
        environment: "test".into(),
        harness: ProcessIdentity { node: "harness".into(), pid: 1, start_time: 1 },
        boot_id: boot_id.into(),
    }
}

fn undo(kind: &str, node: &str, params: Value) -> Undo {
    Undo::Revert { kind: kind.into(), node: node.to_owned(), params }
}

/// A ledger with an open intent on each of these things, and the directory it is in.
fn ledger(names: &[&str]) -> (TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(&path(&dir), opened("boot")).unwrap();
    for name in names {
        ledger.intend("fault", name, undo("world", name, Value::Null)).unwrap();
    }
    (dir, ledger)
}

fn path(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("ledger")
}

/// What of the ledger on disk is open, by what it acts on.
fn open_on_disk(path: &Path) -> Vec<String> {
    Ledger::look(path).unwrap().open().into_iter().map(|intent| intent.target).collect()
}

fn of(world: &Arc<World>) -> Reverters {
    Reverters::new(vec![world.clone()])
}

#[tokio::test]
async fn newest_first_and_the_second_time_there_is_nothing_to_do() {
    let (dir, mut ledger) = ledger(&["a", "b"]);
    let world = World::of(&["a", "b", "foreign"], &[]);
    assert_eq!(revert_open(&mut ledger, &of(&world)).await.done.len(), 2);
    assert_eq!(world.order(), ["b", "a"]);
    assert_eq!(world.things(), ["foreign"]);
    let before = std::fs::read(path(&dir)).unwrap();
    let again = revert_open(&mut ledger, &of(&world)).await;
    assert!(again.done.is_empty() && again.stuck.is_empty());
    assert_eq!(world.order(), ["b", "a"], "nothing was tried again");
    assert!(std::fs::read(path(&dir)).unwrap() == before, "nothing was written");
}

/// Each way to fail, between two that work: the others are gone, this one is open and explained, and time is bounded.
#[tokio::test(start_paused = true)]
async fn one_undo_that_fails_is_reported_and_does_not_stop_the_others() {
    let still = "the undo reported success, but the change is still there";
    for (how, error, seconds) in [
        (Failing::Hangs, "no answer within 10.000 s", 30),
        (Failing::HangsLooking, "no answer within 10.000 s", 30),
        (Failing::Lies, still, 0),
        (Failing::Half, still, 0),
        (Failing::Panics, "a bug", 0),
        (Failing::PanicsLooking, "a bug", 0),
    ] {
        let (dir, mut ledger) = ledger(&["a", "b", "c"]);
        let things =
            if how == Failing::Half { ["a", "b/1", "b/2", "c"] } else { ["a", "b", "c", "d"] };
        let world = World::of(&things, &[("b", how)]);
        let began = tokio::time::Instant::now();
        let reverted = revert_open(&mut ledger, &of(&world)).await;
        let took = began.elapsed().as_secs();
        assert!((seconds..=seconds + 1).contains(&took), "{how:?}: {took} s");
        assert_eq!(world.tries("b"), 3, "{how:?}");
        assert_eq!(world.order(), ["c", "b", "a"], "{how:?}");
        assert!(!world.things().iter().any(|thing| thing == "a" || thing == "c"), "{how:?}");
        assert_eq!(reverted.done.len(), 2, "{how:?}");
        let [stuck] = reverted.stuck.as_slice() else { panic!("{how:?}: {reverted:?}") };
        assert!(stuck.error.contains(error), "{how:?}: {}", stuck.error);
        assert_eq!(stuck.by_hand, "remove b");
        match how {
            Failing::Lies => assert_eq!(stuck.residue, ["b"]),
            Failing::Half => assert_eq!(stuck.residue, ["b/2"]),
            _ => assert!(stuck.residue.is_empty(), "{how:?}"),
        }
        assert_eq!(open_on_disk(&path(&dir)), ["b"], "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_works_at_the_third_try_is_done() {
    let (_dir, mut ledger) = ledger(&["a"]);
    let world = World::of(&["a"], &[("a", Failing::Twice)]);
    assert_eq!(revert_open(&mut ledger, &of(&world)).await.done.len(), 1);
    assert_eq!((world.tries("a"), world.things().len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn however_many_hang_the_rest_is_taken_back_within_a_minute() {
    const NAMES: [&str; 51] = {
        let mut names = ["hangs"; 51];
        names[0] = "oldest";
        names[25] = "middle";
        names
    };
    for count in [1, 2, 3, 4, 5, 6, 7, 20, 51] {
        let names = &NAMES[..count];
        let (dir, mut ledger) = ledger(names);
        let world = World::of(names, &[("hangs", Failing::Hangs)]);
        let began = tokio::time::Instant::now();
        let reverted = revert_open(&mut ledger, &of(&world)).await;
        let took = began.elapsed();
        assert!(took <= TOTAL_TIMEOUT + Duration::from_millis(1), "{count}: {took:?}");
        let hang = names.iter().filter(|name| **name == "hangs").count();
        assert_eq!(reverted.stuck.len(), hang, "{count}");
        assert!(!world.things().iter().any(|thing| thing != "hangs"), "{count}");
        assert!(world.tries("hangs") >= hang, "{count}: each is tried");
        if (2..=4).contains(&count) {
            assert!(world.tries("hangs") >= 3, "{count}: the first one has its three tries");
        }
        assert_eq!(open_on_disk(&path(&dir)).len(), hang, "{count}");
    }
}

/// In real time, because the thread really blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_blocks_its_thread_is_given_up() {
    let (_dir, ledger) = ledger(&["a"]);
    let world = World::of(&["a"], &[("a", Failing::Blocks)]);
    let intent = ledger.open().remove(0);
    let began = Instant::now();
    let stuck = revert_one(&intent, &of(&world), began).await.unwrap_err();
    assert!(stuck.error.contains("no answer within 1.000 s"), "{}", stuck.error);
    assert_eq!(world.things(), ["a"], "it was given up before it was done");
    assert!(began.elapsed() >= LEAST_TRY);
}

#[tokio::test]
async fn an_unknown_kind_stays_open_and_the_others_go() {
    let (dir, mut ledger) = ledger(&["a"]);
    ledger.intend("fault", "new", undo("from_the_future", "n", json!({ "x": 1 }))).unwrap();
    let world = World::of(&["a"], &[]);
    let reverted = revert_open(&mut ledger, &of(&world)).await;
    let stuck = &reverted.stuck[0];
    assert!(stuck.error.contains("does not know how to take back `from_the_future`"));
    assert!(stuck.by_hand.contains("use the drdrill version that ran the drill"));
    assert!(stuck.by_hand.contains(r#"{"x":1}"#), "{}", stuck.by_hand);
    assert!(world.things().is_empty());
    assert_eq!(open_on_disk(&path(&dir)), ["new"]);
}

/// An undo that names this very process, which stands for a stranger with the number of a process of long ago.
fn names_me() -> Value {
    let pid = i32::try_from(std::process::id()).unwrap();
    json!({ "server": drdrill_process::of_process("me", pid).unwrap(), "dir": "/x" })
}

fn server(params: &Value) -> ProcessIdentity {
    serde_json::from_value(params["server"].clone()).unwrap()
}

#[tokio::test]
async fn a_process_of_another_boot_is_nobody_to_the_reverter() {
    let this = drdrill_process::boot_id().unwrap();
    for (boot, alive) in [(this.as_str(), true), ("another boot", false)] {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::create(&path(&dir), opened(boot)).unwrap();
        ledger.intend("fault", "a", undo("world", "a", names_me())).unwrap();
        let world = World::of(&["a"], &[]);
        assert_eq!(revert_open(&mut ledger, &of(&world)).await.done.len(), 1);
        let told = world.params.lock().unwrap()[0].clone();
        assert_eq!(drdrill_process::is_alive(&server(&told)), alive, "{boot}");
        assert_eq!(told["dir"], "/x", "the rest is as it was");
        assert!(world.things().is_empty(), "files of any boot are removed");
    }
}

#[tokio::test]
async fn of_an_unknown_boot_only_what_names_no_process_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(&path(&dir), opened("boot")).unwrap();
    ledger.intend("fault", "files", undo("world", "files", Value::Null)).unwrap();
    ledger.intend("fault", "process", undo("world", "process", names_me())).unwrap();
    drop(ledger);
    let mut bytes = std::fs::read(path(&dir)).unwrap();
    bytes[20] ^= 1;
    std::fs::write(path(&dir), bytes).unwrap();
    let mut ledger = Ledger::take_over(&path(&dir)).unwrap();
    let world = World::of(&["files", "process"], &[]);
    let reverted = revert_open(&mut ledger, &of(&world)).await;
    assert_eq!(world.things(), ["process"], "it was not touched");
    assert!(reverted.stuck[0].error.contains("first line of its ledger is damaged"));
    assert_eq!(
        server_of(&reverted.stuck[0]),
        server(&names_me()),
        "what is shown is what stands there"
    );
    assert_eq!(open_on_disk(&path(&dir)), ["process"]);
}

fn server_of(stuck: &Stuck) -> ProcessIdentity {
    let Undo::Revert { params, .. } = &stuck.intent.undo else { panic!("{stuck:?}") };
    server(params)
}
