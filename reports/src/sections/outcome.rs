//! What the run achieved.

use drdrill_core::event::{Entry, When};
use drdrill_core::record::{Latency, Record, Rpo, Stream};

use super::{Cell, Section};
use crate::figures::{self, count};
use crate::timeline::Stretch;
use crate::{phases, timeline, words};

/// Outages of one stream that are listed; the rest is counted.
const OUTAGES_PER_STREAM: usize = 12;

pub(super) fn phases(record: &Record) -> Section {
    let spans = phases::told(record);
    let whole: f64 = spans.iter().map(phases::Span::length_ms).sum();
    let rows = spans
        .iter()
        .map(|span| {
            vec![
                Cell::text(span.phase.word()),
                Cell::text(span.phase.between()),
                Cell::instant(Some(span.from_ms)),
                Cell::instant((!span.open).then_some(span.to_ms)),
                Cell::Figure(span.took()),
                Cell::Figure(figures::percent(span.length_ms() / whole.max(f64::MIN_POSITIVE))),
            ]
        })
        .collect();
    Section {
        id: "phases",
        title: "Where the time went",
        note: String::new(),
        columns: &["Phase", "Between", "From", "To", "Took", "Share"],
        rows,
    }
}

pub(super) fn functionality(record: &Record) -> Section {
    let row = |check: &drdrill_core::record::Functionality| {
        vec![
            Cell::code(&check.name),
            Cell::text(words::when(check.when)),
            Cell::code(&check.site),
            Cell::Verdict(check.outcome),
            Cell::duration(check.took_ms),
            Cell::code(&check.detail),
        ]
    };
    let after = record.functionality.iter().filter(|check| check.when != When::BeforeFault);
    let passed =
        after.clone().filter(|check| check.outcome == drdrill_core::verdict::Verdict::Pass);
    let note = match after.clone().count() {
        0 => "No function was tried after the recovery: that a service answers does not prove that it works.".to_owned(),
        all => format!("{} of {all} checks after the fault passed.", passed.count()),
    };
    Section {
        id: "functionality",
        title: "Functionality",
        note,
        columns: &["Check", "When", "Site", "Result", "Took", "Seen"],
        rows: record.functionality.iter().map(row).collect(),
    }
}

pub(super) fn writes(record: &Record) -> Section {
    let measured = || {
        let services = record.services.iter();
        services.filter_map(|service| Some((service.name.as_str(), service.rpo.as_ref()?)))
    };
    let note: Vec<String> =
        measured().map(|(name, rpo)| format!("{name}: {}.", figures::lost_writes(rpo))).collect();
    Section {
        id: "writes",
        title: "Every write accounted for",
        note: if note.is_empty() {
            "No service has a write probe: nothing is known about lost data.".to_owned()
        } else {
            note.join(" ")
        },
        columns: &["Service", "Class", "Writes"],
        rows: measured().flat_map(|(name, rpo)| classes(name, rpo, record)).collect(),
    }
}

fn classes(name: &str, rpo: &Rpo, record: &Record) -> Vec<Vec<Cell>> {
    let writes = rpo.writes;
    let classes = [
        ("acknowledged", writes.acknowledged),
        ("acknowledged and lost", writes.lost),
        ("acknowledged after the fault, and lost", rpo.lost_after_fault),
        ("bytes of payload lost", rpo.lost_bytes),
        ("survivors later than the first loss", rpo.holes),
        ("duplicate", writes.duplicate),
        ("phantom: present though it failed or was never sent", writes.phantom),
        ("corrupt", writes.corrupt),
        ("resurrected: lost, and back later", writes.resurrected),
        ("of unknown outcome, and present", writes.recovered),
        ("of unknown outcome, and absent", writes.unresolved),
    ];
    let mut rows: Vec<(&str, Cell)> =
        classes.map(|(class, number)| (class, Cell::count(number))).into();
    if !figures::is_measured(rpo) {
        // Nothing was read back: only what clients were told is known.
        rows.truncate(1);
    }
    if rpo.writes.lost > 0 {
        rows.insert(
            3,
            ("from the first to the last lost acknowledgement", Cell::duration(rpo.span_ms)),
        );
    }
    let phases = &record.phases;
    let begun = phases.failback_started_ms.or(phases.failback_finished_ms).is_some();
    let unknown = if begun { "not known" } else { "no failback" };
    let failback = rpo.failback_lost.map_or_else(|| unknown.to_owned(), count);
    rows.push(("lost on the way back", Cell::Figure(failback)));
    let row = |(class, cell)| vec![Cell::code(name), Cell::text(class), cell];
    rows.into_iter().map(row).collect()
}

pub(super) fn workloads(record: &Record) -> Section {
    let mut rows = Vec::new();
    for service in &record.services {
        for found in crate::workloads::of(service) {
            let row = |verdict, seen: &str| {
                vec![Cell::code(&service.name), Cell::text(found.name), verdict, Cell::text(seen)]
            };
            rows.push(row(Cell::Verdict(found.verdict), &found.text));
            rows.extend(found.examples.iter().map(|example| row(Cell::Blank, example)));
        }
    }
    let note = if rows.is_empty() {
        String::new()
    } else {
        "What clients wrote, read and moved, judged operation by operation. What a failover after the fault loses is \
         counted against the recovery point objective, and is no inconsistency."
            .to_owned()
    };
    Section {
        id: "workloads",
        title: "Registers and accounts",
        note,
        columns: &["Service", "Workload", "Result", "Seen"],
        rows,
    }
}

const STREAM_COLUMNS: &[&str] = &[
    "Stream",
    "Connection",
    "Sent",
    "Ok",
    "Failed",
    "Unknown",
    "Prober error",
    "Outage",
    "p50 / p99 before fault",
    "Worst lateness",
];

fn stream(stream: &Stream) -> Vec<Cell> {
    let samples = stream.samples;
    let latency = |latency: Latency| {
        let (p50, p99) = (figures::duration(latency.p50_ms), figures::duration(latency.p99_ms));
        format!("{p50} / {p99}")
    };
    vec![
        Cell::code(&stream.name),
        Cell::text(words::connection(stream.connection)),
        Cell::count(samples.sent),
        Cell::count(samples.ok),
        Cell::count(samples.failed),
        Cell::count(samples.unknown),
        Cell::count(samples.prober_error),
        Cell::Figure(figures::outage(stream.outage)),
        Cell::Figure(stream.baseline_latency.map_or_else(|| "–".to_owned(), latency)),
        Cell::duration(stream.worst_lateness_ms),
    ]
}

pub(super) fn streams(record: &Record) -> Section {
    Section {
        id: "streams",
        title: "What clients saw",
        note: "Fresh connections are what a new client sees, kept ones what an old client sees. A prober error is \
               drdrill's own, and never counted against the service."
            .to_owned(),
        columns: STREAM_COLUMNS,
        rows: record.services.iter().flat_map(|service| &service.streams).map(stream).collect(),
    }
}

pub(super) fn bystanders(record: &Record) -> Section {
    Section {
        id: "bystanders",
        title: "Outside the blast radius",
        note: if record.bystanders.is_empty() {
            "Nothing outside the blast radius was watched.".to_owned()
        } else {
            "Streams that the fault should not touch.".to_owned()
        },
        columns: STREAM_COLUMNS,
        rows: record.bystanders.iter().map(stream).collect(),
    }
}

pub(super) fn outages(history: &[Entry]) -> Section {
    let line = timeline::timeline(history, 0.0, 1);
    let mut rows = Vec::new();
    let mut left_out = 0;
    for stream in &line.streams {
        left_out += stream.outages.len().saturating_sub(OUTAGES_PER_STREAM);
        let name = &stream.facts.name;
        // The longest are shown, in order of time.
        let mut shown: Vec<&Stretch> = stream.outages.iter().collect();
        shown.sort_by_key(|stretch| std::cmp::Reverse(stretch.failed + stretch.unknown));
        shown.truncate(OUTAGES_PER_STREAM);
        shown.sort_by(|a, b| a.from_ms.total_cmp(&b.from_ms));
        rows.extend(shown.into_iter().map(|stretch| outage(name, stretch)));
    }
    let note = match left_out {
        0 if rows.is_empty() => "No stream saw a failure.".to_owned(),
        0 => "The chart as a table: failures without a success between them.".to_owned(),
        more => format!(
            "The chart as a table: the longest; {} shorter ones are left out.",
            count(more as u64)
        ),
    };
    Section {
        id: "outages",
        title: "Outages",
        note,
        columns: &["Stream", "First failure", "Next success", "Failed", "Unknown", "First error"],
        rows,
    }
}

fn outage(name: &str, stretch: &Stretch) -> Vec<Cell> {
    vec![
        Cell::code(name),
        Cell::instant(Some(stretch.from_ms)),
        stretch.to_ms.map_or_else(|| Cell::Figure("none".to_owned()), |to| Cell::instant(Some(to))),
        Cell::count(stretch.failed),
        Cell::count(stretch.unknown),
        Cell::code(&stretch.first_error),
    ]
}
