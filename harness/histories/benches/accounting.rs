//! Ten million unique ids accounted for, from two files: 10 million a second, and every planted loss, duplicate and
//! phantom found.
//!
//! `cargo bench -p drdrill-histories --bench accounting`. The time is from opening the files, which the system may
//! hold in memory, to the tally. What was found is listed in no order, as a store that hashes its keys lists it.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use drdrill_histories::Books;
use drdrill_histories::accounting::{Tally, lists};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const IDS: u64 = 10_000_000;
const ROUNDS: usize = 5;
const LOST: usize = 1_000;
const DUPLICATES: usize = 10;
const REFUSED: usize = 5;
const UNSENT: u64 = 7;

fn main() -> ExitCode {
    let seed: u64 =
        std::env::var("DRDRILL_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed: DRDRILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut pick = |count: usize, but: &[&BTreeSet<u64>]| {
        let mut picked = BTreeSet::new();
        while picked.len() < count {
            let id = random.random_range(0..IDS);
            if but.iter().all(|set| !set.contains(&id)) {
                picked.insert(id);
            }
        }
        picked
    };
    let refused = pick(REFUSED, &[]);
    let lost = pick(LOST, &[&refused]);
    let duplicate = pick(DUPLICATES, &[&lost, &refused]);

    let dir = tempfile::tempdir().unwrap();
    let (written, found) = (dir.path().join("written"), dir.path().join("found"));
    let mut file = BufWriter::new(File::create(&written).unwrap());
    for id in 0..IDS {
        let outcome = if refused.contains(&id) { "failed" } else { "ok" };
        writeln!(file, "{id} {outcome}").unwrap();
    }
    file.flush().unwrap();
    let mut present: Vec<u64> = (0..IDS + UNSENT).filter(|id| !lost.contains(id)).collect();
    present.extend(&duplicate);
    for last in (1..present.len()).rev() {
        present.swap(last, random.random_range(0..=last));
    }
    let mut file = BufWriter::new(File::create(&found).unwrap());
    for id in present {
        writeln!(file, "{id}").unwrap();
    }
    file.flush().unwrap();

    let mut seconds = Vec::new();
    let mut good = true;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let (tally, all_lost) = account(&written, &found);
        seconds.push(begin.elapsed().as_secs_f64());
        good &= all_lost.into_iter().collect::<BTreeSet<u64>>() == lost
            && tally.duplicate.first == duplicate.iter().copied().collect::<Vec<_>>()
            && tally.refused.first == refused.iter().copied().collect::<Vec<_>>()
            && tally.unsent.first == (IDS..IDS + UNSENT).collect::<Vec<_>>()
            && tally.lost.count == LOST as u64
            && tally.acknowledged == IDS - REFUSED as u64;
    }
    seconds.sort_by(f64::total_cmp);
    println!("     rounds {seconds:.3?} s");
    let rate = IDS as f64 / seconds[ROUNDS / 2] / 1e6;
    let text = format!(
        "{LOST} lost, {DUPLICATES} duplicate, {} phantom of {IDS} ids: all found, and no other",
        REFUSED as u64 + UNSENT
    );
    let mut passed = say(good, &text);
    let ratio = rate / 10.0;
    let text = format!("{rate:.1} million ids/s, files read; limit ≥ 10, ratio {ratio:.2}");
    passed &= say(rate >= 10.0, &text);
    ExitCode::from(u8::from(!passed))
}

fn account(written: &Path, found: &Path) -> (Tally, Vec<u64>) {
    let mut books = Books::default();
    lists::writes(File::open(written).unwrap(), &mut books).unwrap();
    let mut reading = books.reading();
    lists::found(File::open(found).unwrap(), &mut reading).unwrap();
    reading.end();
    (books.tally(), books.lost().to_vec())
}

fn say(good: bool, text: &str) -> bool {
    println!("{} {text}", if good { "PASS" } else { "FAIL" });
    good
}
