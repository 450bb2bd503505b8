use std::collections::BTreeMap;

use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::*;
use crate::recommend;
use crate::testkit::{Case, Fixture, hostile, poison};

fn rendered(fixture: &Fixture) -> String {
    let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
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

/// What `tidy` says of a page, without what it does not know: it is older than today's HTML, in which `div` groups the
/// entries of a list of terms, and titles of drawings have ids.
fn complaints(page: &str) -> Vec<String> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let known = [
        "trimming empty <span>",
        "<title> proprietary attribute \"id\"",
        "missing </dl> before </div>",
        "missing </div> before <dt>",
        "inserting implicit <dl>",
        "missing <dd>",
    ];
    let mut tidy = Command::new("tidy")
        .args(["-quiet", "-errors", "--show-body-only", "no"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tidy");
    let mut stdin = tidy.stdin.take().unwrap();
    let page = page.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let output = tidy.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = text.lines().filter(|line| !known.iter().any(|known| line.ends_with(known)));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_validator_finds_nothing_to_complain_about() {
    for (case, name) in Case::ALL {
        assert_eq!(complaints(&rendered(&sample(case))), Vec::<String>::new(), "{name}");
    }
    // And it would.
    let page = rendered(&sample(Case::Passed));
    for (from, to) in [
        ("<h1>", "<h1 onfoo=\"\">"),
        ("</main>", ""),
        ("role=\"img\"", "rôle=\"img\""),
        ("<ol", "<p><ol"),
    ] {
        let spoilt = page.replacen(from, to, 1);
        assert!(spoilt == page || !complaints(&spoilt).is_empty(), "{from}");
    }
}

/// Colours of a block of the style sheet by their names.
fn colours(style: &str, block: &str) -> BTreeMap<String, [f64; 3]> {
    let start = style.find(block).unwrap_or_else(|| panic!("{block}"));
    let root = &style[start..];
    let root = &root[root.find(":root {").unwrap()..];
    let root = &root[..root.find('}').unwrap()];
    let mut found = BTreeMap::new();
    for part in root.split(';') {
        let Some((name, value)) = part.split_once(": #") else { continue };
        let name = name.rsplit("--").next().unwrap().trim().to_owned();
        let hex = value.trim();
        let hex = if hex.len() == 3 {
            hex.chars().flat_map(|c| [c, c]).collect()
        } else {
            hex.to_owned()
        };
        let channel = |at: usize| {
            let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        found.insert(name, [channel(0), channel(2), channel(4)]);
    }
    found
}

/// The contrast of WCAG 2: 4.5 for text, 3 for what has to be seen of drawings.
#[test]
fn every_colour_can_be_told_from_what_is_behind_it() {
    let light = colours(STYLE, ":root");
    for (name, block) in
        [("light", ":root"), ("dark", "prefers-color-scheme: dark"), ("print", "@media print")]
    {
        let mut colours_of = light.clone();
        colours_of.extend(colours(STYLE, block));
        let luminance = |name: &str| {
            let [red, green, blue] = colours_of.get(name).unwrap_or_else(|| panic!("{name}"));
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let contrast = |a: &str, b: &str| {
            let (a, b) = (luminance(a), luminance(b));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        let mut text: Vec<(&str, &str)> = Vec::new();
        for behind in ["paper", "panel"] {
            text.extend(
                ["ink", "quiet", "pass", "fail", "unsure", "link"].map(|ink| (ink, behind)),
            );
        }
        text.extend([
            ("pass", "pass-soft"),
            ("fail", "fail-soft"),
            ("unsure", "unsure-soft"),
            ("ink", "unsure-soft"),
            ("ink", "fail-soft"),
        ]);
        text.extend(
            ["heat-pass", "heat-fail", "heat-unknown", "heat-none"].map(|behind| ("ink", behind)),
        );
        for (ink, behind) in text {
            let ratio = contrast(ink, behind);
            assert!(ratio >= 4.5, "{name}: {ink} on {behind}: {ratio:.2}");
        }
        for (mark, behind) in [
            ("failed", "paper"),
            ("failed", "track"),
            ("p50", "paper"),
            ("p99", "paper"),
            ("max", "paper"),
            ("fault", "paper"),
            ("pass", "track"),
            ("fail", "track"),
            ("unsure", "track"),
        ] {
            let ratio = contrast(mark, behind);
            assert!(ratio >= 3.0, "{name}: {mark} on {behind}: {ratio:.2}");
        }
    }
}

/// One sample of a million fails, alone: it is in both drawings, where and when it was, and in the table.
#[test]
fn one_failure_of_one_sample_among_a_million_is_drawn_where_it_was() {
    use drdrill_core::event::Event;
    use drdrill_core::sample::Outcome;
    let mut fixture = Fixture::with_rate(Case::Passed, 4_200);
    let mut at = Vec::new();
    for entry in &mut fixture.history {
        if let Event::Sample(sample) = &mut entry.event {
            sample.outcome = Outcome::Ok;
            at.push(sample.sent.ms());
        }
    }
    assert!(at.len() > 1_000_000);
    let chosen = at.len() / 3 * 2 + 12_345;
    let samples = fixture.history.iter_mut().filter_map(|entry| match &mut entry.event {
        Event::Sample(sample) => Some(sample),
        _ => None,
    });
    let planted = samples.into_iter().nth(chosen).unwrap();
    planted.outcome = Outcome::Failed("planted & alone".into());
    let (ms, stream) = (planted.sent.ms(), planted.stream);
    let page = rendered(&fixture);
    assert!(page.len() < 3_000_000, "{}", page.len());
    let document =
        roxmltree::Document::parse(page.strip_prefix("<!DOCTYPE html>").unwrap()).unwrap();
    let has_class =
        |node: &roxmltree::Node<'_, '_>, class: &str| node.attribute("class") == Some(class);
    let duration = fixture.record.duration_ms.max(at.iter().copied().fold(0.0, f64::max));
    for (shape, width, bins) in [("chart wide", 1040.0, 320.0), ("chart narrow", 360.0, 120.0)] {
        let chart = document.descendants().find(|node| has_class(node, shape)).unwrap();
        let failed: Vec<&str> = chart
            .descendants()
            .filter(|node| has_class(node, "failed"))
            .filter_map(|node| node.attribute("d"))
            .collect();
        assert_eq!(failed.len(), 1, "{shape}: {failed:?}");
        let place: Vec<&str> =
            failed[0].split(['M', ' ', 'h', 'v', 'z']).filter(|part| !part.is_empty()).collect();
        // One rectangle, a bin wide, over the moment.
        assert_eq!(failed[0].matches('M').count(), 1, "{shape}: {failed:?}");
        let x: f64 = place[0].parse().unwrap();
        let height: f64 = place[3].parse().unwrap();
        assert!(height >= 3.0, "{shape}: too small to be seen: {failed:?}");
        let (left, right) = (46.0, width - 6.0);
        let bin = (right - left) / bins;
        let expected = left + (ms / duration) * (right - left);
        assert!((x - 0.1..=x + bin + 0.1).contains(&expected), "{shape}: {x}, {expected}");
    }
    let row = document.descendants().find(|node| {
        node.has_tag_name("tr")
            && node.descendants().any(|one| one.text() == Some("planted & alone"))
    });
    let row = row.expect("a row of the table of outages");
    let name = fixture.history.iter().find_map(|entry| match &entry.event {
        Event::DrillStarted(start) => start.streams.iter().find(|one| one.id == stream),
        _ => None,
    });
    assert!(row.descendants().any(|one| one.text() == Some(name.unwrap().name.as_str())));
}
