use std::collections::BTreeMap;

use drdrill_core::inventory::ServiceFacts;
use drdrill_core::program::{Date, Program, ProgramNames, parse_program};
use drdrill_core::record::Tool;
use drdrill_core::scenario::Targets;
use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::*;
use crate::history::RunRow;
use crate::quarter::{Inputs, PresentDrill, PresentPlace, QuarterOf, quarter};
use crate::testkit::{Case, Fixture, hostile, poison};

const PROGRAM: &str = "\
program: shop
title: What the shop has to show
organisation: Shop
owner: Ada
currency: EUR
objectives: [Orders come back]
assumptions: [One site is left]
people: [{ name: Grace, role: commander }]
third_parties: [{ name: Carrier, provides: lines, services: [orders], contact: phone 1 }]
services: [{ name: orders, tier: 1 }, { name: billing, tier: 2 }]
functions:
  - { name: sales, title: Sales, services: [orders], impact: { hourly_revenue: 12000 EUR, tolerable: 8h } }
plans: [{ name: loss, title: Loss of a site, version: \"1\", since: 2026-01-01, owner: Ada, kept: wiki }]
drills:
  - { scenario: complete_site_failure, environments: [lab], class: full, owner: Ada, participants: [commander], plan: loss }
  - { scenario: data_corruption, environments: [lab], class: component, owner: Ada }
controls: [{ framework: DORA, control: Art. 11, title: Tests, scenarios: [complete_site_failure] }]
exclusions: [{ service: billing, because: It is leaving, by: Ada, until: 2026-12-31 }]
accepted_risks:
  - { risk: Both sites at once, because: Too dear, by: Ada, on: 2026-01-01, until: 2026-12-31 }
";

fn program() -> Program {
    parse_program("shop.yaml", PROGRAM, &ProgramNames::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A quarter of those runs, with its records.
fn told(records: &[Record], program: &Program) -> Quarter {
    let rows: Vec<RunRow> = records.iter().map(|record| RunRow::of(record).unwrap()).collect();
    let service =
        |name: &str| ServiceFacts { name: name.to_owned(), tier: 1, targets: Targets::default() };
    let present = ["complete_site_failure", "data_corruption"].map(|scenario| PresentDrill {
        scenario: scenario.to_owned(),
        title: scenario.to_owned(),
        sha256: "0".repeat(64),
        runbook_sha256: None,
        places: vec![PresentPlace {
            environment: "lab".to_owned(),
            emulated: false,
            production: false,
            definition: String::new(),
            services: vec![service("orders"), service("billing")],
        }],
    });
    let tool = Tool { version: "0.1.0".to_owned(), commit: None };
    quarter(&Inputs {
        quarter: "2026-Q1".parse::<QuarterOf>().unwrap(),
        today: Date("2026-03-20".parse().unwrap()),
        tool: &tool,
        program,
        present: &present,
        rows: &rows,
        records,
        cut_off: &[],
        evidence: &BTreeMap::new(),
        words: &[],
        unreadable: &[],
        gaps: &["a <gap>".to_owned()],
    })
}

/// Runs that ended in every way, the same run under other names.
fn runs() -> Vec<Record> {
    let of = |(number, (case, _)): (usize, (Case, &str))| {
        let mut record = Fixture::with_rate(case, 5).record;
        record.run_id = format!("20260314-09265{number}-0000000{number}");
        record
    };
    Case::ALL.into_iter().enumerate().map(of).collect()
}

fn pages(records: &[Record], program: &Program) -> [String; 3] {
    let quarter = told(records, program);
    let report = Quarterly { quarter: &quarter, records };
    let csv = String::from_utf8(report.csv().unwrap()).unwrap();
    [report.html().unwrap(), report.markdown(), csv]
}

/// How often there is which element and attribute.
fn shape(page: &str) -> BTreeMap<String, usize> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    assert_eq!(dom.errors.borrow().len(), 0, "{:?}", dom.errors.borrow());
    let mut shape = BTreeMap::new();
    let mut open: Vec<Handle> = vec![dom.document.clone()];
    while let Some(node) = open.pop() {
        if let NodeData::Element { name, attrs, .. } = &node.data {
            *shape.entry(name.local.to_string()).or_default() += 1;
            for one in attrs.borrow().iter() {
                *shape.entry(format!("{} {}", name.local, one.name.local)).or_default() += 1;
            }
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    shape
}

#[test]
fn every_section_is_there_from_no_drill_from_one_and_from_many() {
    let program = program();
    let all = runs();
    for (records, runs) in [
        (&all[..0], "No drill was run"),
        (&all[..1], "1 drill was run"),
        (&all, "6 drills were run"),
    ] {
        let [page, markdown, csv] = pages(records, &program);
        assert!(page.contains(runs) && markdown.contains(runs), "{runs}");
        for title in [
            "Executive summary",
            "Coverage",
            "Achieved against target",
            "Trends",
            "Drills of the quarter",
            "Deviations from the plans",
            "What people did by hand",
            "Participants",
            "Third parties",
            "Findings",
            "Accepted risks",
            "Not drilled on purpose",
            "Cost of downtime",
            "Next test dates",
            "Control map",
            "Plans",
            "What could not be read",
            "How to verify the evidence",
            "Sign-off",
        ] {
            assert!(page.contains(&format!(">{title}</h2>")), "{runs}: {title}");
            assert!(markdown.contains(&format!("\n## {title}\n")), "{runs}: {title}");
        }
        for what in ["standing", "coverage", "accepted risk", "next", "control", "gap"] {
            assert!(csv.contains(&format!("2026-Q1,{what},")), "{runs}: {what}");
        }
        let document =
            roxmltree::Document::parse(page.strip_prefix("<!DOCTYPE html>").unwrap()).unwrap();
        let ids: Vec<&str> =
            document.descendants().filter_map(|node| node.attribute("id")).collect();
        for node in document.descendants() {
            if let Some(link) = node.attribute("href") {
                assert!(ids.contains(&link.strip_prefix('#').unwrap()), "{link}");
            }
        }
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len());
        shape(&page);
    }
}

#[test]
fn a_drill_is_told_with_its_times_its_proof_and_its_cost() {
    let all = runs();
    let [page, markdown, _] = pages(&all[..1], &program());
    let text = page.replace("&#39;", "'");
    for part in [
        "3 pidfds readable; connect to 127.0.0.1:41873 refused",
        "promote_dr",
        "fault: site_loss on primary",
        "EUR ",
        "would have",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(markdown.contains("`3 pidfds readable; connect to 127.0.0.1:41873 refused`"));
    // What never came back is never a number.
    let never: Vec<Record> =
        all.into_iter().filter(|one| one.services[0].rto.at_most_ms.is_none()).collect();
    let [page, ..] = pages(&never, &program());
    assert!(page.contains("&gt; 54.934 s") && page.contains("never"), "{page}");
}

/// Strings of people become `text`; dates, amounts and names that are looked up stay.
fn poisoned(program: &Program, text: &str) -> Program {
    const PEOPLE: [&str; 15] = [
        "title",
        "organisation",
        "owner",
        "objectives",
        "assumptions",
        "provides",
        "contact",
        "because",
        "by",
        "risk",
        "framework",
        "control",
        "reference",
        "kept",
        "version",
    ];
    fn walk(value: &mut serde_json::Value, text: &str, here: bool) {
        match value {
            serde_json::Value::String(string) if here => text.clone_into(string),
            serde_json::Value::Array(values) => {
                for value in values {
                    walk(value, text, here);
                }
            }
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    walk(value, text, PEOPLE.contains(&key.as_str()));
                }
            }
            _ => {}
        }
    }
    let mut json = serde_json::to_value(program).unwrap();
    walk(&mut json, text, false);
    serde_json::from_value(json).unwrap()
}

/// Links, images and HTML of a Markdown document.
fn odd(markdown: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let odd = Parser::new_ext(markdown, Options::all()).filter(|event| {
        matches!(
            event,
            Event::Html(_)
                | Event::InlineHtml(_)
                | Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
        )
    });
    odd.map(|event| format!("{event:?}")).collect()
}

#[test]
fn hostile_strings_do_nothing_in_any_format() {
    let pages_of = |text: &str| {
        let mut records = runs();
        records.truncate(2);
        for record in &mut records {
            let (id, at) = (record.run_id.clone(), record.started_at.clone());
            poison::record(record, text);
            (record.run_id, record.started_at) = (id, at.clone());
            record.finished_at = Some(at);
            record.schema = drdrill_core::record::SCHEMA.to_owned();
        }
        let program = poisoned(&program(), text);
        let quarter = told(&records, &program);
        let report = Quarterly { quarter: &quarter, records: &records };
        let pdf = report.pdf().map(Result::unwrap);
        (pages(&records, &program), pdf)
    };
    let comparable = |page: &str| {
        let mut shape = shape(page);
        shape.retain(|what, _| !what.starts_with("text") && what != "title");
        shape
    };
    let ([calm, ..], _) = pages_of("calm");
    assert!(calm.matches("calm").count() > 60, "{}", calm.matches("calm").count());
    for text in
        ["<script>alert(1)</script>", "\"'`>&\u{1b}[31m\u{202e}", "=cmd|' /C calc'!A0", "a\nb"]
    {
        let ([page, markdown, csv], pdf) = pages_of(text);
        assert_eq!(comparable(&page), comparable(&calm), "{text:?}");
        for file in [&page, &markdown, &csv] {
            assert!(!file.chars().any(|c| c.is_control() && !"\r\n".contains(c)), "{text:?}");
        }
        assert_eq!(odd(&markdown), Vec::<String>::new(), "{text:?}");
        assert!(!csv.contains(",=") && !csv.contains("\"=") && !csv.contains("\n="), "{text:?}");
        assert!(pdf.is_none_or(|pdf| pdf.starts_with(b"%PDF-")));
    }
    // All at once must still be a page and a document.
    let ([page, ..], pdf) = pages_of(&hostile::everything());
    shape(&page);
    assert!(pdf.is_none_or(|pdf| pdf.starts_with(b"%PDF-")));
}
