//! Registers judged: a million operations of 50 clients on one key in under 1 s; a million on a thousand keys at
//! 5 million a second and within 160 MiB; no disagreement with trying every order on 100,000 small histories.
//!
//! `cargo bench -p drdrill-histories --bench registers`. Memory is the peak of the whole process while judging, the
//! history itself included.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]

#[path = "../tests/support/exhaustive.rs"]
mod exhaustive;
#[path = "../tests/support/load.rs"]
mod load;
#[path = "../tests/support/random.rs"]
mod random;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use drdrill_core::verdict::Verdict;
use drdrill_histories::{KeyOrder, Operation, Registers, StaleReads};

const OPERATIONS: usize = 1_000_000;
const ROUNDS: usize = 7;
const SMALL: usize = 100_000;

fn main() -> ExitCode {
    let seed = random::seed();
    let mut good = many_keys(seed);
    good &= one_key(seed);
    good &= agrees(seed);
    ExitCode::from(u8::from(!good))
}

fn many_keys(seed: u64) -> bool {
    let mut history = load::history(seed, OPERATIONS, 50, 1_000);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let seconds = median_seconds(&history);
    let peak_mib = peak_kib() as f64 / 1024.0;
    let rate = OPERATIONS as f64 / seconds / 1e6;
    let what = "1,000,000 operations, 1,000 keys";
    let mut good = say(rate >= 5.0, what, &format!("{rate:.1} million/s"), rate / 5.0, "≥ 5");
    let memory = format!("peak {peak_mib:.0} MiB");
    good &= say(peak_mib < 160.0, what, &memory, peak_mib / 160.0, "< 160 MiB");
    let key = load::make_stale(&mut history);
    let found = Registers::judge(&history);
    let named = found.violations.first().is_some_and(|violation| violation.key == key);
    good & plain(
        named && found.failing_keys == 1,
        "the planted stale read is found, in its key only",
    )
}

fn one_key(seed: u64) -> bool {
    let mut history = load::history(seed, OPERATIONS, 50, 1);
    let seconds = median_seconds(&history);
    let what = "1,000,000 operations, 50 clients, one key";
    let good = say(seconds < 1.0, what, &format!("{seconds:.3} s"), seconds, "< 1 s");
    also("stale reads", || StaleReads::judge(&history).verdict());
    also("order per key", || KeyOrder::judge(&history).verdict());
    load::make_stale(&mut history);
    let found = Registers::judge(&history);
    for violation in &found.violations {
        println!("     {violation}");
    }
    good & plain(found.failing_keys == 1, "the planted stale read is found")
}

fn agrees(seed: u64) -> bool {
    let mut histories = random::Histories::new(seed);
    let (mut linearizable, mut timed_out, mut disagreements) = (0, 0, 0);
    for _ in 0..SMALL {
        let (mut history, _) = histories.small();
        histories.shuffle(&mut history);
        let truth = exhaustive::is_linearizable(&history);
        linearizable += usize::from(truth);
        let lost = |one: &Operation| one.outcome == drdrill_histories::Outcome::Indeterminate;
        timed_out += usize::from(history.iter().any(lost));
        // Unknown is said of histories without a read, which are linearizable.
        let verdict = Registers::judge(&history).verdict();
        disagreements += usize::from((verdict != Verdict::Fail) != truth);
    }
    let text = format!(
        "{SMALL} small histories, {linearizable} linearizable, {timed_out} with indeterminate operations: \
         {disagreements} disagreements with trying every order; limit 0"
    );
    plain(disagreements == 0, &text)
}

fn median_seconds(history: &[Operation]) -> f64 {
    let round = |_| {
        let begin = Instant::now();
        let found = Registers::judge(black_box(history));
        let took = begin.elapsed().as_secs_f64();
        assert_eq!(found.verdict(), Verdict::Pass, "{found:?}");
        took
    };
    let mut all: Vec<f64> = (0..ROUNDS).map(round).collect();
    all.sort_by(f64::total_cmp);
    println!("     rounds {all:.3?} s");
    all[ROUNDS / 2]
}

/// Without a limit, for comparison.
fn also(what: &str, judge: impl FnOnce() -> Verdict) {
    let begin = Instant::now();
    assert_eq!(judge(), Verdict::Pass, "{what}");
    println!("     {what} on the same history: {:.3} s", begin.elapsed().as_secs_f64());
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn say(good: bool, what: &str, measured: &str, ratio: f64, limit: &str) -> bool {
    plain(good, &format!("{what}: {measured}; limit {limit}, ratio {ratio:.2}"))
}

fn plain(good: bool, text: &str) -> bool {
    println!("{} {text}", if good { "PASS" } else { "FAIL" });
    good
}
