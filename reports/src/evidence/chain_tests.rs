use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::testkit::{Case, Fixture};

fn note(number: u64) -> Entry {
    Entry {
        at: At(number),
        event: Event::Note { text: format!("note {number} \u{1f600} \"quoted\"\nline") },
    }
}

fn written(entries: &[Entry]) -> (Vec<u8>, Head) {
    let mut writer = ChainWriter::new(Vec::new());
    for entry in entries {
        writer.append(entry).unwrap();
    }
    let head = writer.head();
    (writer.into_inner(), head)
}

fn notes(count: u64) -> Vec<Entry> {
    (0..count).map(note).collect()
}

#[test]
fn a_whole_run_comes_back_as_it_was() {
    let history = Fixture::build(Case::Failed).history;
    let (bytes, head) = written(&history);
    let chain = read_chain(bytes.as_slice()).unwrap();
    assert_eq!(chain.entries, history);
    assert_eq!(chain.head, head);
    assert!(!chain.is_truncated());
}

#[test]
fn a_line_is_the_entry_with_number_and_link_in_front() {
    let (bytes, _) = written(&notes(2));
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
    let zeros = "0".repeat(64);
    assert!(first.starts_with(&format!("{{\"n\":0,\"prev\":\"{zeros}\",\"at\":0,\"event\":")));
    let link = Digest::of(first.as_bytes());
    assert!(second.starts_with(&format!("{{\"n\":1,\"prev\":\"{link}\",\"at\":1,\"event\":")));
}

#[test]
fn an_empty_file_is_an_empty_chain() {
    let chain = read_chain(&b""[..]).unwrap();
    assert_eq!((chain.head, chain.is_truncated()), (Head::EMPTY, false));
}

#[test]
fn a_torn_last_line_is_said_and_the_whole_lines_are_kept() {
    let entries = notes(3);
    let (bytes, _) = written(&entries);
    let (_, head_of_two) = written(&entries[..2]);
    let second_ends = bytes.len() - bytes.split(|byte| *byte == b'\n').nth(2).unwrap().len() - 1;
    for end in second_ends + 1..bytes.len() {
        let chain = read_chain(&bytes[..end]).unwrap();
        assert_eq!(chain.entries, entries[..2]);
        assert_eq!(chain.head, head_of_two);
        assert_eq!(chain.torn_bytes, (end - second_ends) as u64);
    }
}

#[test]
fn every_flipped_bit_before_the_last_line_names_a_line() {
    let (bytes, head) = written(&notes(4));
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        match read_chain(flipped.as_slice()) {
            // In the last line the head tells.
            Ok(chain) => assert!(chain.head != head || chain.is_truncated(), "bit {at}"),
            Err(error) => assert!(error.to_string().contains("line "), "bit {at}: {error}"),
        }
    }
}

#[test]
fn dropped_repeated_and_swapped_lines_are_errors_that_name_the_line() {
    let (bytes, _) = written(&notes(4));
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (order, line) in [
        (vec![1, 2, 3], 1),
        (vec![0, 2, 3], 2),
        (vec![0, 0, 1], 2),
        (vec![0, 2, 1], 2),
        (vec![0, 1, 3], 3),
    ] {
        let mixed: Vec<u8> = order.iter().flat_map(|at| lines[*at].to_vec()).collect();
        let error = read_chain(mixed.as_slice()).unwrap_err();
        assert!(matches!(error, ChainError::Numbering { line: at, .. } if at == line), "{error}");
    }
}

#[test]
fn a_line_of_another_chain_does_not_fit() {
    let (ours, _) = written(&notes(3));
    let (theirs, _) = written(&[note(9), note(1), note(2)]);
    let first: &[u8] = ours.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let rest = theirs.splitn(2, |byte| *byte == b'\n').nth(1).unwrap();
    let error = read_chain([first, rest].concat().as_slice()).unwrap_err();
    assert!(matches!(error, ChainError::Broken { line: 2 }), "{error}");
}

#[test]
fn a_chain_can_be_gone_on_with() {
    let entries = notes(5);
    let (whole, head) = written(&entries);
    let (mut front, middle) = written(&entries[..2]);
    let mut writer = ChainWriter::resume(&mut front, middle);
    for entry in &entries[2..] {
        writer.append(entry).unwrap();
    }
    assert_eq!(writer.head(), head);
    assert_eq!(front, whole);
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let mut writer = ChainWriter::new(Full(250));
    writer.append(&note(0)).unwrap();
    assert!(writer.append(&note(1)).is_err());
    assert!(writer.append(&note(2)).is_err());
    assert_eq!(writer.head().lines, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_survives(texts in prop::collection::vec(".*", 0..8)) {
        let entries: Vec<Entry> = texts
            .into_iter()
            .map(|text| Entry { at: At(7), event: Event::Note { text } })
            .collect();
        let (bytes, head) = written(&entries);
        let chain = read_chain(bytes.as_slice()).unwrap();
        prop_assert_eq!(chain.entries, entries);
        prop_assert_eq!(chain.head, head);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_chain(bytes.as_slice());
    }
}
