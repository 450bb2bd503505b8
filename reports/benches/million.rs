//! The HTML report of a drill with a million samples, in less than 2 s and 3 MB, beside writing and reading the same history.
//!
//! `cargo bench -p drdrill-reports --bench million`. The history is compared with as it is on disk, one JSON object a line;
//! reading it is what any report has to do before it can tell anything. Fails when a limit is exceeded, or when an outage of
//! one sample is not in the page.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]

#[path = "../src/testkit/mod.rs"]
#[expect(dead_code, reason = "a bench needs one of the cases")]
mod testkit;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use drdrill_core::event::{Entry, Event};
use drdrill_core::reporter::{Reporter, Run};
use drdrill_core::sample::Outcome;
use drdrill_reports::Html;
use testkit::{Case, Fixture};

const MOST_TIME: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 3_000_000;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    // 60 s of four streams.
    let mut fixture = Fixture::with_rate(Case::Passed, 4_200);
    let mut number = 0;
    for entry in &mut fixture.history {
        if let Event::Sample(sample) = &mut entry.event {
            number += 1;
            sample.outcome =
                if number == 654_321 { Outcome::Failed("planted".into()) } else { Outcome::Ok };
        }
    }
    let lines: Vec<String> =
        fixture.history.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let on_disk: usize = lines.iter().map(|line| line.len() + 1).sum();
    let read = best(|| {
        let entries = lines.iter().map(|line| serde_json::from_str::<Entry>(line).unwrap());
        entries.filter(|entry| matches!(entry.event, Event::Sample(_))).count()
    });
    let mut page = Vec::new();
    let made = best(|| {
        page.clear();
        let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
        Html.render(run, &mut page).unwrap();
        page.len()
    });
    let found = String::from_utf8_lossy(&page).contains(r#"<path class="failed""#);
    println!("{number} samples, {} MB of history; best of {ROUNDS}", on_disk / 1_000_000);
    println!("reading the history        {:>8.0} ms", read.as_secs_f64() * 1e3);
    println!(
        "report.html                {:>8.0} ms  {:.2} x reading (limit {} ms)",
        made.as_secs_f64() * 1e3,
        made.as_secs_f64() / read.as_secs_f64(),
        MOST_TIME.as_millis()
    );
    println!(
        "                           {:>8.0} kB  1/{:.0} of the history (limit {} kB)",
        page.len() as f64 / 1e3,
        on_disk as f64 / page.len() as f64,
        MOST_BYTES / 1000
    );
    println!("the outage of one sample   {}", if found { "is drawn" } else { "IS MISSING" });
    let kept = made <= MOST_TIME && page.len() <= MOST_BYTES && found;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn best(mut work: impl FnMut() -> usize) -> Duration {
    let round = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}
