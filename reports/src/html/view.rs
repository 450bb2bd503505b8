//! What the template is given.

use drdrill_core::record::{Leftover, Record, Service};
use drdrill_core::reporter::Run;
use drdrill_core::verdict::Verdict;
use minijinja::{Value, context};

use crate::evidence::{VERIFY_BY_HAND, VERIFY_REPORT_BY_HAND};
use crate::sections::{Cell, Section, sections};
use crate::svg::{self, Shape};
use crate::timeline::timeline;
use crate::{figures, phases, story, words};

/// Everything that the template shows. Drawings and the style sheet are ours and marked as safe; nothing else is.
pub(super) fn view(run: Run<'_>, style: &str) -> Value {
    let record = run.record;
    let environment = &record.environment;
    context! {
        style => Value::from_safe_string(style.to_owned()),
        title => &record.scenario.title,
        scenario => &record.scenario.name,
        environment => &environment.name,
        provider => &environment.provider,
        emulated => environment.emulated,
        kind => story::kind(record.kind),
        started => &record.started_at,
        length => figures::duration(record.duration_ms),
        run => &record.run_id,
        tool => &record.tool.version,
        headline => story::headline(record),
        class => if record.leftovers.is_empty() { record.verdict } else { Verdict::Fail }.word(),
        summary => story::summary(record),
        reasons => &record.reasons,
        leftovers => record.leftovers.iter().map(leftover).collect::<Vec<_>>(),
        services => measured(record).iter().map(|one| service(record, one)).collect::<Vec<_>>(),
        charts => charts(run),
        phases => phase_view(record),
        recommendations => record.recommendations.iter().map(|advice| context! {
            text => &advice.text,
            rule => &advice.rule,
            evidence => &advice.evidence,
        }).collect::<Vec<_>>(),
        sections => sections(run).iter().map(section).collect::<Vec<_>>(),
        doubt => words::doubt(run),
        commands => VERIFY_BY_HAND,
        of_report => words::VERIFY_REPORT,
        report_command => VERIFY_REPORT_BY_HAND,
    }
}

/// The services of which something was measured.
fn measured(record: &Record) -> &[Service] {
    if record.tabletop.is_some() { &[] } else { &record.services }
}

fn leftover(left: &Leftover) -> Value {
    context! {
        kind => &left.kind,
        target => &left.target,
        error => &left.error,
        residue => &left.residue,
        by_hand => left.by_hand.lines().map(Value::from).collect::<Vec<_>>(),
    }
}

fn charts(run: Run<'_>) -> Vec<Value> {
    let draw = |shape: Shape| {
        let timeline = timeline(run.history, run.record.duration_ms, shape.bins);
        let drawn = !timeline.streams.is_empty();
        drawn.then(|| Value::from_safe_string(svg::chart(run.record, &timeline, shape).svg()))
    };
    [Shape::WIDE, Shape::NARROW].into_iter().filter_map(draw).collect()
}

fn phase_view(record: &Record) -> Value {
    let spans = phases::told(record);
    let words: Vec<String> =
        spans.iter().map(|span| format!("{} {}", span.phase.word(), span.took())).collect();
    let legend: Vec<Value> = spans
        .iter()
        .map(|span| {
            let index = phases::Phase::ALL.iter().position(|phase| *phase == span.phase);
            context! {
                index => index,
                word => span.phase.word(),
                took => span.took(),
            }
        })
        .collect();
    let bar = svg::phase_bar(&spans, &format!("Phases: {}", words.join(", ")));
    let bar = bar.map_or_else(String::new, |bar| bar.svg());
    context! { bar => Value::from_safe_string(bar), legend => legend }
}

fn service(record: &Record, service: &Service) -> Value {
    let mut cards = vec![rto(service)];
    cards.extend(service.rpo.as_ref().map(rpo));
    cards.push(rlo(service));
    let clients = match service.outage {
        None => "Clients saw no failure.".to_owned(),
        outage => format!("Clients saw an outage of {}.", figures::outage(outage)),
    };
    let mut notes = vec![clients];
    notes.extend(
        service
            .lost_service_ms
            .map(|ms| format!("{} of full service lost.", figures::duration(ms))),
    );
    if service.flaps > 0 {
        let times = figures::counted(u64::from(service.flaps), "time", "times");
        notes.push(format!("It came back and failed again {times}."));
    }
    notes.push(format!("{}.", words::samples(service.samples)));
    let back = words::way_back(record, service).map(|back| format!("Way back: {back}."));
    context! { name => &service.name, tier => service.tier, cards => cards, notes => notes.join(" "), way_back => back }
}

fn card(
    name: &str,
    meaning: &str,
    achieved: &str,
    target: &str,
    verdict: Verdict,
    gauge: &svg::Drawing,
) -> Value {
    let (figure, bounds) = achieved
        .split_once(" [")
        .map_or((achieved, None), |(figure, bounds)| (figure, Some(format!("[{bounds}"))));
    context! {
        name => name,
        meaning => meaning,
        figure => figure,
        bounds => bounds,
        target => target,
        verdict => story::mark(verdict),
        class => verdict.word(),
        gauge => Value::from_safe_string(gauge.svg()),
    }
}

fn rto(service: &Service) -> Value {
    let rto = &service.rto;
    let (achieved, target) = (figures::rto(rto), figures::at_most(rto.target_ms));
    let label = format!("Recovery time {achieved}, target {target}");
    let gauge = svg::objective(rto.at_least_ms, rto.at_most_ms, rto.target_ms, rto.verdict, &label);
    card("RTO", "from the fault to restored", &achieved, &target, rto.verdict, &gauge)
}

fn rpo(rpo: &drdrill_core::record::Rpo) -> Value {
    let target = figures::at_most(rpo.target_ms);
    let lost = figures::lost_writes(rpo);
    let measured = figures::is_measured(rpo);
    let achieved = if measured && rpo.writes.lost == 0 {
        "nothing lost".to_owned()
    } else {
        figures::rpo(rpo)
    };
    let meaning = if measured { lost.as_str() } else { "age of the oldest lost write" };
    let label = format!("Recovery point {achieved}, target {target}; {lost}");
    let gauge = svg::objective(rpo.at_least_ms, rpo.at_most_ms, rpo.target_ms, rpo.verdict, &label);
    card("RPO", meaning, &achieved, &target, rpo.verdict, &gauge)
}

fn rlo(service: &Service) -> Value {
    let rlo = &service.rlo;
    let (achieved, target) = (figures::rlo(rlo), figures::at_least(rlo.target));
    let label = format!("Recovery level {achieved}, target {target}");
    let gauge = svg::objective(rlo.achieved, rlo.achieved, rlo.target, rlo.verdict, &label);
    card("RLO", "worst second on the way to full capacity", &achieved, &target, rlo.verdict, &gauge)
}

fn section(section: &Section) -> Value {
    let row = |row: &Vec<Cell>| {
        row.iter().zip(section.columns).map(|(one, column)| cell(one, column)).collect::<Vec<_>>()
    };
    context! {
        id => section.id,
        title => section.title,
        note => &section.note,
        columns => section.columns.iter().enumerate().map(|(number, column)| {
            let figures = section.rows.iter().all(|row| matches!(row.get(number), Some(Cell::Figure(_))));
            context! { name => *column, class => if figures { "figure" } else { "" } }
        }).collect::<Vec<_>>(),
        rows => section.rows.iter().map(row).collect::<Vec<_>>(),
    }
}

pub(super) fn cell(cell: &Cell, column: &str) -> Value {
    let (class, text) = match cell {
        // Words that are not broken into lines.
        Cell::Text(text) if text.len() < 20 => ("short", text.as_str()),
        Cell::Text(text) => ("", text.as_str()),
        Cell::Code(text) => ("code", text.as_str()),
        Cell::Figure(text) => ("figure", text.as_str()),
        Cell::Verdict(verdict) => (verdict.word(), story::mark(*verdict)),
        Cell::Blank => ("blank", ""),
    };
    context! { class => class, text => text, column => column }
}
