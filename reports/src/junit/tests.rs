use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::testkit::{Case, Fixture, hostile, poison};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit-10.xsd");

fn rendered(fixture: &Fixture) -> String {
    let mut out = Vec::new();
    Junit.render(Run { record: &fixture.record, history: &[], doubt: None }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What `xmllint` says of a document and the schema: nothing when it is valid.
fn complaints(document: &str) -> String {
    let mut lint = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is in Debian's libxml2-utils");
    lint.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = lint.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { String::new() } else { text }
}

#[test]
fn the_schema_of_jenkins_is_kept_whatever_came_of_the_run() {
    for (case, name) in Case::ALL {
        let document = rendered(&Fixture::build(case));
        assert_eq!(complaints(&document), "", "{name}: {document}");
    }
    // And it would notice: an attribute that it does not know, as others write it.
    let document = rendered(&Fixture::build(Case::Passed));
    assert!(
        complaints(&document.replacen("<testsuites ", "<testsuites skipped=\"0\" ", 1))
            .contains("skipped")
    );
}

#[test]
fn the_counts_are_those_of_the_cases_and_failures_have_their_text() {
    for (case, name) in Case::ALL {
        let fixture = Fixture::build(case);
        let text = rendered(&fixture);
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        let count = |of: &str| {
            document.descendants().filter(|node| node.has_tag_name(of)).count().to_string()
        };
        assert_eq!(root.attribute("tests"), Some(count("testcase").as_str()), "{name}");
        assert_eq!(root.attribute("failures"), Some(count("failure").as_str()), "{name}");
        assert_eq!(root.attribute("errors"), Some(count("error").as_str()), "{name}");
        let bad = count("failure") != "0" || count("error") != "0";
        assert_eq!(bad, fixture.record.exit_code != 0, "{name}");
        for node in document.descendants() {
            if node.has_tag_name("failure") || node.has_tag_name("error") {
                assert!(node.text().is_some_and(|text| text.len() > 10), "{name}");
                assert!(node.attribute("message").is_some_and(|text| text.len() > 10), "{name}");
            }
        }
    }
    let failed = rendered(&Fixture::build(Case::NeverRecovered));
    assert!(failed.contains("achieved &gt; 54.934 s; the objective is ≤ 30 s"), "{failed}");
}

#[test]
fn hostile_strings_make_no_element_and_stay_valid() {
    let shape = |text: &str| {
        let mut fixture = Fixture::with_rate(Case::Failed, 2);
        poison::record(&mut fixture.record, text);
        let text = rendered(&fixture);
        let document = roxmltree::Document::parse(&text).unwrap();
        let names = document
            .descendants()
            .map(|node| (node.tag_name().name().to_owned(), node.attributes().count()));
        let names: Vec<_> = names.filter(|(name, _)| !name.is_empty()).collect();
        (names, text)
    };
    let (calm, text) = shape("calm");
    assert!(text.matches("calm").count() > 40);
    let mut strings = hostile::strings();
    strings.push(hostile::everything());
    strings.push("]]>&#0;\u{0}\u{b}\u{fffe}\u{ffff}\u{85}".to_owned());
    for (number, hostile) in strings.iter().enumerate() {
        let (found, text) = shape(hostile);
        assert_eq!(found, calm, "{hostile:?}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{hostile:?}");
        // A process each: not for all of them.
        if number % 10 == 0 {
            assert_eq!(complaints(&text), "", "{hostile:?}");
        }
    }
    let (_, all) = shape(&hostile::everything());
    assert_eq!(complaints(&all), "");
}
