use std::collections::BTreeMap;

use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::*;
use crate::recommend;
use crate::testkit::{Case, Fixture, hostile, poison};

fn rendered(fixture: &Fixture) -> String {
    let run = Run { record: &fixture.record, history: &fixture.history };
    let mut out = Vec::new();
    Html.render(run, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn sample(case: Case) -> Fixture {
    let mut fixture = Fixture::build(case);
    fixture.record.recommendations = recommend(&fixture.record);
    fixture
}

/// Elements and attributes as a browser sees them: name, and how often.
fn shape(page: &str) -> BTreeMap<String, usize> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    assert_eq!(dom.errors.borrow().len(), 0, "{:?}", dom.errors.borrow());
    let mut shape = BTreeMap::new();
    let mut open: Vec<Handle> = vec![dom.document.clone()];
    while let Some(node) = open.pop() {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                *shape.entry(name.local.to_string()).or_default() += 1;
                for attribute in attrs.borrow().iter() {
                    *shape
                        .entry(format!("{} {}", name.local, attribute.name.local))
                        .or_default() += 1;
                }
            }
            NodeData::Comment { .. } => *shape.entry("comment".to_owned()).or_default() += 1,
            _ => {}
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    shape
}

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    for (case, name) in Case::ALL {
        let page = rendered(&sample(case));
        let shape = shape(&page);
        for element in
            ["script", "img", "link", "iframe", "object", "embed", "base", "form", "audio", "video"]
        {
            assert!(!shape.contains_key(element), "{name}: {element}");
        }
        for attribute in
            shape.keys().filter_map(|key| key.split_once(' ').map(|(_, attribute)| attribute))
        {
            assert!(!attribute.starts_with("on"), "{name}: {attribute}");
            assert!(
                !["src", "srcset", "style", "background", "poster"].contains(&attribute),
                "{name}: {attribute}"
            );
        }
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
        assert!(!page.contains("@import") && !page.contains("url("));
    }
}

/// The page is XML as well, which a second parser checks; links stay inside it.
#[test]
fn a_second_parser_agrees_and_all_links_stay_inside() {
    for (case, name) in Case::ALL {
        let page = rendered(&sample(case));
        let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
        let document =
            roxmltree::Document::parse(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ids: Vec<&str> =
            document.descendants().filter_map(|node| node.attribute("id")).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{name}");
        for node in document.descendants() {
            if let Some(link) = node.attribute("href") {
                assert!(ids.contains(&link.strip_prefix('#').unwrap()), "{name}: {link}");
            }
            for label in node.attribute("aria-labelledby").iter().flat_map(|ids| ids.split(' ')) {
                assert!(ids.contains(&label), "{name}: {label}");
            }
            if node.tag_name().name() == "svg" {
                let named = node.attribute("aria-label").or(node.attribute("aria-labelledby"));
                assert!(node.attribute("role") == Some("img") && named.is_some());
            }
            if node.tag_name().name() == "th" {
                assert!(node.attribute("scope").is_some());
            }
        }
    }
}

#[test]
fn headings_descend_one_level_at_a_time() {
    let page = rendered(&sample(Case::Stuck));
    let mut level = 0;
    for part in page.split("<h").skip(1) {
        if let Some(next) = part.chars().next().and_then(|c| c.to_digit(10)) {
            assert!(next <= level + 1, "h{next} after h{level}");
            level = next;
        }
    }
}

#[test]
fn hostile_strings_make_no_element_and_no_attribute() {
    let poisoned_page = |text: &str| {
        let mut fixture = Fixture::with_rate(Case::Failed, 10);
        poison::record(&mut fixture.record, text);
        poison::history(&mut fixture.history, text);
        rendered(&fixture)
    };
    let shape_of = |text: &str| {
        let page = poisoned_page(text);
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        shape(&page)
    };
    // A short string fits where a long one does not, so labels that are dropped for want of room are not compared.
    let comparable = |mut shape: BTreeMap<String, usize>| {
        shape.retain(|key, _| !key.starts_with("text"));
        shape
    };
    let calm = comparable(shape_of("calm"));
    let everywhere = poisoned_page("calm").matches("calm").count();
    assert!(everywhere > 200, "{everywhere}");
    let mut strings = hostile::strings();
    strings.push(hostile::everything());
    for text in strings {
        // An empty line of a command is no line.
        let mut found = comparable(shape_of(&text));
        for key in ["code", "li"] {
            let allowed = text.lines().count().abs_diff(1) + 1;
            let count = found.insert(key.to_owned(), calm[key]).unwrap_or(0);
            assert!(count.abs_diff(calm[key]) <= 2 * allowed, "{text:?}: {key}");
        }
        assert_eq!(found, calm, "{text:?}");
    }
}

#[test]
fn a_million_samples_stay_small_and_no_outage_disappears() {
    // 60 s of four streams.
    let fixture = Fixture::with_rate(Case::Failed, 4_200);
    assert!(fixture.history.len() > 1_000_000);
    let page = rendered(&fixture);
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert!(page.contains(r#"<path class="failed""#));
    assert!(page.contains("503 Service Unavailable"));
}

#[test]
fn the_way_back_is_told_where_there_was_one() {
    let mut fixture = sample(Case::Failed);
    let page = rendered(&fixture);
    assert!(page.contains("Way back: read unavailable 21 ms [0, 43]; 1 of "), "{page}");
    assert!(page.contains("; 3 lost."));
    fixture.record.failback = None;
    assert!(!rendered(&fixture).contains("Way back"));
}

#[test]
fn a_failback_that_nobody_read_back_is_not_called_none() {
    let mut fixture = sample(Case::Passed);
    fixture.record.services[0].rpo.as_mut().unwrap().failback_lost = None;
    let page = rendered(&fixture);
    assert!(page.contains("not known") && !page.contains("no failback"));
}

#[test]
fn a_run_without_anything_still_has_a_page() {
    let mut fixture = Fixture::build(Case::Invalid);
    fixture.history.clear();
    fixture.record.services.clear();
    fixture.record.faults.clear();
    fixture.record.steps.clear();
    fixture.record.findings.clear();
    fixture.record.bystanders.clear();
    fixture.record.functionality.clear();
    let page = rendered(&fixture);
    shape(&page);
    assert!(page.contains("No service was measured."));
}
