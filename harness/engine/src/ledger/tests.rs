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
fn cut_anywhere_it_loses_no_whole_line_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut ledger = Ledger::create(&path, opened()).unwrap();
    let mut ends = vec![ledger.end];
    for text in ["a", "b"] {
        ledger.intend("fault", text, undo(text)).unwrap();
        ends.push(ledger.end);
    }
    drop(ledger);
    let bytes = std::fs::read(&path).unwrap();
    for cut in 0..=usize::try_from(ends[2]).unwrap() {
        // Both ways a crash can leave the file: shorter, or whole with zeros where nothing arrived.
        for pad in [0, 4096] {
            let mut torn = bytes[..cut].to_vec();
            torn.resize(cut + pad, 0);
            std::fs::write(&path, &torn).unwrap();
            let whole = ends[1..].iter().filter(|&&end| end <= cut as u64).count();
            // A line that lacks nothing but its line break is whole too.
            let whole_but_for_break =
                ends[1..].iter().filter(|&&end| end - 1 == cut as u64).count();
            let expected = u32::try_from(whole + whole_but_for_break).unwrap();
            let mut ledger = Ledger::take_over(&path).unwrap();
            let open: Vec<u32> = ledger.open().iter().map(|intent| intent.id).collect();
            assert_eq!(
                open,
                (0..expected).rev().collect::<Vec<_>>(),
                "cut at {cut}, padded by {pad}"
            );
            if pad > 0 {
                let next = ledger.intend("fault", "next", undo("next")).unwrap();
                drop(ledger);
                assert_eq!(ids(&Ledger::look(&path).unwrap()).first(), Some(&next), "cut at {cut}");
            }
        }
    }
}

#[test]
fn any_damaged_byte_costs_at_most_its_line() {
    let lines: Vec<Vec<u8>> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(id, text)| {
            let id = u32::try_from(id).unwrap();
            let (kind, target) = ("fault".to_owned(), (*text).to_owned());
            encode(&Line::Intent(Intent { id, kind, target, undo: undo(text) })).unwrap()
        })
        .collect();
    let bytes = lines.concat();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            let contents = Contents::parse(&damaged);
            // A damaged line break joins two lines; any other damage spoils one.
            let least = if bytes[position] == b'\n' { 1 } else { 2 };
            assert!(contents.open().len() >= least, "byte {position} bit {bit}");
            assert!(
                contents.damaged > 0 || contents.open().len() == 3,
                "byte {position} bit {bit}"
            );
        }
    }
}

#[test]
fn lines_in_any_order_say_the_same() {
    let intent =
        |id| Line::Intent(Intent { id, kind: "k".into(), target: "t".into(), undo: undo("u") });
    let lines = [Line::Reverted { id: 1 }, intent(1), intent(0)];
    assert_eq!(ids(&Contents { lines: lines.to_vec(), damaged: 0, damaged_inside: 0 }), [0]);
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
fn damage_before_an_intact_line_is_told_from_a_torn_end() {
    let line = |id| {
        let (kind, target) = ("fault".to_owned(), "a".to_owned());
        encode(&Line::Intent(Intent { id, kind, target, undo: undo("a") })).unwrap()
    };
    let (mut first, mut last) = (line(0), line(1));
    last.truncate(20);
    assert_eq!(Contents::parse(&[first.clone(), last].concat()).damaged_inside, 0);
    first[12] ^= 1;
    assert_eq!(Contents::parse(&[first, line(1)].concat()).damaged_inside, 1);
}

#[test]
fn the_ledger_of_nothing_takes_no_intent() {
    let mut ledger = Ledger::of_nothing();
    assert!(ledger.intend("fault", "a", undo("a")).is_err());
    assert!(ledger.open().is_empty());
}
