mod damage;

use drdrill_core::environment::ProcessIdentity;

use super::*;

fn opened() -> Line {
    Line::Opened {
        run_id: "run".to_owned(),
        environment: "lab".to_owned(),
        harness: ProcessIdentity { node: "harness".to_owned(), pid: 1, start_time: 1 },
        boot_id: "boot".to_owned(),
    }
}

fn undo(text: &str) -> Undo {
    Undo::Revert {
        kind: "test".to_owned(),
        node: "n".to_owned(),
        params: serde_json::json!({ "text": text }),
    }
}

fn ids(contents: &Contents) -> Vec<u32> {
    contents.open().iter().map(|intent| intent.id).collect()
}

#[test]
fn what_was_intended_and_not_reverted_is_open_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    for text in ["a", "b", "c"] {
        ledger.intend("fault", text, undo(text)).unwrap();
    }
    ledger.intend("fault", "d", Undo::Nothing { because: "it cannot be".to_owned() }).unwrap();
    ledger.reverted(1).unwrap();
    ledger.stuck(0, "no").unwrap();
    drop(ledger);
    assert_eq!(ids(&Ledger::look(&path).unwrap()), [2, 0]);
}

#[test]
fn a_held_ledger_is_held_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let ledger = Ledger::create(&path, opened()).unwrap();
    assert!(matches!(Ledger::take_over(&path), Err(LedgerError::InUse { .. })));
    drop(ledger);
    assert_eq!(Ledger::take_over(&path).unwrap().next_id(), 0);
}

#[test]
fn lines_in_any_order_say_the_same() {
    let intent =
        |id| Line::Intent(Intent { id, kind: "k".into(), target: "t".into(), undo: undo("u") });
    let lines = [Line::Reverted { id: 1 }, intent(1), intent(0)];
    assert_eq!(ids(&Contents { lines: lines.to_vec(), ..Contents::default() }), [0]);
}

#[test]
fn only_a_ledger_with_nothing_open_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (path, evidence) = (dir.path().join("ledger"), dir.path().join("evidence"));
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    let id = ledger.intend("fault", "a", undo("a")).unwrap();
    ledger.settle(&evidence, false).unwrap();
    assert!(path.exists() && !evidence.exists());
    let mut ledger = Ledger::take_over(&path).unwrap();
    ledger.reverted(id).unwrap();
    ledger.settle(&evidence, false).unwrap();
    assert!(!path.exists());
    let aside = Ledger::look(&evidence).unwrap();
    assert_eq!((aside.lines.len(), ids(&aside)), (3, Vec::new()));
    assert!(std::fs::metadata(&evidence).unwrap().len() < RESERVED_BYTES);
}

#[test]
fn the_ledger_of_nothing_takes_no_intent() {
    let mut ledger = Ledger::of_nothing();
    assert!(ledger.intend("fault", "a", undo("a")).is_err());
    assert!(ledger.open().is_empty());
}
