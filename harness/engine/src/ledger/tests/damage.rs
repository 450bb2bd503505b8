//! What a crash or a bad disk does to a ledger: nothing durable and undamaged is lost, nothing is made up, and damage
//! that no crash does is reported.

use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A disk writes so many bytes whole or not at all.
const SECTOR: usize = 512;

/// The bytes of a ledger, and where each of its lines stands.
struct Written {
    bytes: Vec<u8>,
    lines: Vec<(Line, Range<usize>)>,
}

impl Written {
    fn of(lines: Vec<Line>) -> Self {
        let mut bytes = Vec::new();
        let place = |line: Line| {
            let from = bytes.len();
            bytes.extend(encode(&line).unwrap());
            (line, from..bytes.len())
        };
        Self { lines: lines.into_iter().map(place).collect(), bytes }
    }

    /// Lines that no byte of `damage` is in.
    fn untouched(&self, damage: &Range<usize>) -> Vec<&Line> {
        let apart = |place: &Range<usize>| place.end <= damage.start || damage.end <= place.start;
        self.lines.iter().filter(|(_, place)| apart(place)).map(|(line, _)| line).collect()
    }

    /// Whether what was read is true, where only bytes of `damage` were changed.
    fn check(&self, contents: &Contents, damage: &Range<usize>) -> Result<(), String> {
        let all: Vec<&Line> = self.lines.iter().map(|(line, _)| line).collect();
        if let Some(line) = contents.lines.iter().find(|line| !all.contains(line)) {
            return Err(format!("made up: {line:?}"));
        }
        if let Some(line) =
            self.untouched(damage).into_iter().find(|&l| !contents.lines.contains(l))
        {
            return Err(format!("lost: {line:?}"));
        }
        let missing = |(line, _): &&(Line, Range<usize>)| !contents.lines.contains(line);
        let Some((_, lost)) = self.lines.iter().find(missing) else { return Ok(()) };
        let intact_behind = self
            .lines
            .iter()
            .any(|(line, at)| at.start >= lost.end && contents.lines.contains(line));
        match (intact_behind, contents.damaged_inside > 0) {
            (true, false) => Err("damage in the middle was not reported".to_owned()),
            (false, true) => Err("a torn end was reported as damage in the middle".to_owned()),
            _ => Ok(()),
        }
    }

    #[track_caller]
    fn holds(&self, damaged: &[u8], damage: &Range<usize>) {
        if let Err(error) = self.check(&Contents::parse(damaged), damage) {
            panic!("bytes {damage:?}: {error}");
        }
    }
}

fn intent(id: u32, bytes: usize) -> Line {
    let undo = undo(&"a \"quoted\" \n line ".repeat(bytes / 18 + 1)[..bytes]);
    Line::Intent(Intent { id, kind: "fault".into(), target: format!("t{id}"), undo })
}

/// Five intents of several sizes, of which two were taken back and one is stuck.
fn several() -> Written {
    Written::of(vec![
        opened(),
        intent(0, 5),
        intent(1, 700),
        Line::Reverted { id: 1 },
        intent(2, 300),
        intent(3, 1),
        Line::Stuck { id: 0, error: "no".to_owned() },
        Line::Reverted { id: 3 },
        intent(4, 40),
    ])
}

/// In memory, because what is looked at here are bytes, and a disk takes milliseconds to make each line durable.
fn quick_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// A ledger file with these bytes in it, taken over.
fn taken_over(dir: &TempDir, bytes: &[u8]) -> Ledger {
    std::fs::write(dir.path().join("ledger"), bytes).unwrap();
    Ledger::take_over(&dir.path().join("ledger")).unwrap()
}

#[test]
fn cut_at_every_byte_it_loses_no_whole_line_and_goes_on() {
    let written = several();
    let dir = quick_dir();
    for cut in 0..=written.bytes.len() {
        // Both ways a crash can leave the file: shorter, or whole with zeros where nothing arrived.
        for pad in [0, 4096] {
            let mut torn = written.bytes[..cut].to_vec();
            torn.resize(cut + pad, 0);
            // A line that lacks nothing but its line break is whole.
            let whole = written.lines.iter().filter(|(_, place)| place.end - 1 <= cut);
            let whole: Vec<Line> = whole.map(|(line, _)| line.clone()).collect();
            assert_eq!(Contents::parse(&torn).lines, whole, "cut at {cut}, padded by {pad}");
            if pad > 0 {
                goes_on(taken_over(&dir, &torn), &format!("cut at {cut}"));
            }
        }
    }
}

/// A ledger that was torn at its end and taken over is not damaged in the middle, also when it is torn once more.
#[track_caller]
fn goes_on(mut ledger: Ledger, what: &str) {
    let (path, before, next) = (ledger.path.clone(), ledger.open(), ledger.next_id());
    assert_eq!(ledger.contents().damaged_inside, 0, "{what}");
    let is_sound = || {
        let read = Ledger::look(&path).unwrap();
        assert_eq!((read.damaged_inside, read.open()), (0, before.clone()), "{what}");
    };
    assert_eq!(ledger.intend("fault", "next", undo("next")).unwrap(), next, "{what}");
    ledger.reverted(next).unwrap();
    drop(ledger);
    is_sound();
    let mut torn = std::fs::read(&path).unwrap();
    let end = torn.iter().rposition(|&byte| byte != 0).unwrap();
    // The end of the last `reverted` did not arrive, so that its intent is open again.
    torn[end - 8..=end].fill(0);
    std::fs::write(&path, torn).unwrap();
    let mut ledger = Ledger::take_over(&path).unwrap();
    assert_eq!(ledger.open().first().map(|intent| intent.id), Some(next), "{what}");
    ledger.reverted(next).unwrap();
    is_sound();
}

#[test]
fn every_byte_zeroed_or_flipped_costs_at_most_its_line() {
    let written = several();
    for position in 0..written.bytes.len() {
        let only = position..position + 1;
        // Every bit, all bits, zero, and what line breaks and other structure could be taken for.
        let flips = (0..8).map(|bit| written.bytes[position] ^ (1 << bit));
        for value in flips.chain([!written.bytes[position], 0, b'\n', b' ', b'0', b'{', 0xFF]) {
            let mut damaged = written.bytes.clone();
            damaged[position] = value;
            written.holds(&damaged, &only);
        }
    }
}

#[test]
fn any_sector_zeroed_costs_its_lines_and_is_reported() {
    let written = several();
    for from in 0..written.bytes.len() {
        for size in [2, 64, SECTOR, 4096] {
            let hole = from..(from + size).min(written.bytes.len());
            let mut damaged = written.bytes.clone();
            damaged[hole.clone()].fill(0);
            written.holds(&damaged, &hole);
        }
    }
    // A whole line, with and without the line break after it: no fragment is left to tell of it, but the gap is.
    for (_, place) in &written.lines[..written.lines.len() - 1] {
        for more in [0, 1] {
            let hole = place.start..place.end + more;
            let mut damaged = written.bytes.clone();
            damaged[hole.clone()].fill(0);
            assert!(Contents::parse(&damaged).damaged_inside > 0, "{hole:?}");
            written.holds(&damaged, &hole);
        }
    }
}

/// The sectors of the last line, in the bytes of the file; sectors begin at multiples of [`SECTOR`].
fn sectors_of(tail: &Range<usize>) -> Vec<Range<usize>> {
    let first = tail.start / SECTOR;
    let last = (tail.end - 1) / SECTOR;
    let part = |n: usize| (n * SECTOR).max(tail.start)..((n + 1) * SECTOR).min(tail.end);
    (first..=last).map(part).collect()
}

#[test]
fn any_two_sectors_of_the_unsynced_end_zeroed_or_swapped_cost_that_line_alone() {
    let dir = quick_dir();
    // The end of the last line at many places in a sector.
    for shift in (0..SECTOR).step_by(7) {
        let mut lines = several();
        lines.lines.push((intent(5, 3000 + shift), 0..0));
        let written = Written::of(lines.lines.into_iter().map(|(line, _)| line).collect());
        let tail = written.lines.last().unwrap().1.clone();
        let sectors = sectors_of(&tail);
        for (one, other) in (0..sectors.len()).flat_map(|a| (0..=a).map(move |b| (b, a))) {
            let (one, other) = (sectors[one].clone(), sectors[other].clone());
            let mut zeroed = written.bytes.clone();
            zeroed[one.clone()].fill(0);
            zeroed[other.clone()].fill(0);
            written.holds(&zeroed, &tail);
            let mut swapped = written.bytes.clone();
            let size = one.len().min(other.len());
            swapped[one.start..one.start + size]
                .copy_from_slice(&written.bytes[other.start..other.start + size]);
            swapped[other.start..other.start + size]
                .copy_from_slice(&written.bytes[one.start..one.start + size]);
            written.holds(&swapped, &tail);
            if shift % 63 == 0 {
                goes_on(taken_over(&dir, &zeroed), &format!("{one:?} {other:?}"));
                goes_on(taken_over(&dir, &swapped), &format!("{one:?} {other:?}"));
            }
        }
    }
}

#[test]
fn whatever_a_ledger_is_filled_with_it_is_read_quickly() {
    let dir = quick_dir();
    let mib = 1024 * 1024;
    let random: Vec<u8> =
        (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).take(10 * mib).collect();
    let lines = || (0..).flat_map(|id| encode(&intent(id, 400)).unwrap()).take(10 * mib).collect();
    let long = encode(&intent(0, mib)).unwrap();
    let cut = long[..mib / 2].to_vec();
    let cases: [(&str, Vec<u8>, usize); 9] = [
        ("nothing", Vec::new(), 0),
        ("zeros", vec![0; 10 * mib], 0),
        ("line breaks", vec![b'\n'; 10 * mib], 0),
        ("zeros and line breaks", b"\0\n".repeat(5 * mib), 0),
        ("one letter", vec![b'f'; 10 * mib], 0),
        ("random bytes", random, 0),
        ("a line of 1 MiB", long, 1),
        ("half a line of 1 MiB", cut, 0),
        ("intents", lines(), 17_000),
    ];
    for (what, bytes, least) in cases {
        let began = Instant::now();
        let ledger = taken_over(&dir, &bytes);
        let open = ledger.open().len();
        assert!(if least == 0 { open == 0 } else { open >= least }, "{what}: {open}");
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", began.elapsed());
    }
}

fn any_line() -> impl Strategy<Value = Line> {
    prop_oneof![
        (0_u32..6, 0_usize..900).prop_map(|(id, bytes)| intent(id, bytes)),
        (0_u32..6).prop_map(|id| Line::Reverted { id }),
        (0_u32..6, ".{0,40}").prop_map(|(id, error)| Line::Stuck { id, error }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn any_range_of_any_ledger_overwritten_costs_its_lines_alone(
        lines in prop::collection::vec(any_line(), 1..12),
        from in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 1..700),
    ) {
        let written = Written::of(lines);
        let mut damaged = written.bytes.clone();
        let from = from.index(damaged.len());
        let end = (from + with.len()).min(damaged.len());
        damaged[from..end].copy_from_slice(&with[..end - from]);
        // Line numbers may repeat here, so what is lost is told by position alone.
        let contents = Contents::parse(&damaged);
        for line in written.untouched(&(from..end)) {
            prop_assert!(contents.lines.contains(line), "lost: {line:?}");
        }
        for line in &contents.lines {
            prop_assert!(written.lines.iter().any(|(known, _)| known == line), "made up: {line:?}");
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let contents = Contents::parse(&bytes);
        prop_assert!(contents.lines.is_empty());
        let _ = (contents.open(), contents.boot(), contents.next_id());
    }
}
