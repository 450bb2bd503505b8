use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::testkit::{Case, Fixture, hostile, poison};

fn rendered(fixture: &Fixture) -> Vec<u8> {
    let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
    let mut out = Vec::new();
    Pdf.render(run, &mut out).unwrap();
    out
}

/// What a program of poppler says of a PDF; it must not complain.
fn told(program: &str, arguments: &[&str], pdf: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pdf).unwrap();
    told_of(program, arguments, file.path())
}

fn told_of(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .args((program == "pdftotext").then_some("-"))
        .output()
        .expect("poppler-utils");
    // What poppler 22.12 says of every file that answers this question with no.
    let known = "Syntax Error: Suspects object is wrong type (boolean)\n";
    let stderr = String::from_utf8_lossy(&output.stderr).replace(known, "");
    assert!(output.status.success() && stderr.is_empty(), "{program}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn another_program_reads_pages_of_a4_with_all_texts_and_embedded_fonts() {
    for (case, name) in Case::ALL {
        let mut fixture = Fixture::build(case);
        fixture.record.recommendations = crate::recommend(&fixture.record);
        let pdf = rendered(&fixture);
        assert!(pdf.len() < 1_000_000, "{name}: {}", pdf.len());
        let info = told("pdfinfo", &[], &pdf);
        for line in [
            "Page size:       595.28 x 841.89 pts (A4)",
            "Tagged:          yes",
            "JavaScript:      no",
        ] {
            assert!(info.contains(line), "{name}: {info}");
        }
        let fonts = told("pdffonts", &[], &pdf);
        let fonts: Vec<&str> = fonts.lines().skip(2).collect();
        assert!(fonts.len() >= 3, "{fonts:?}");
        // Embedded, subset, and with the characters that the glyphs stand for.
        assert!(fonts.iter().all(|font| font.contains(" yes yes yes ")), "{name}: {fonts:?}");
        let text = told("pdftotext", &["-layout"], &pdf);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(crate::story::headline(&fixture.record)), "{name}: {flat}");
        for section in crate::sections::sections(Run {
            record: &fixture.record,
            history: &fixture.history,
            doubt: None,
        }) {
            assert!(flat.contains(section.title), "{name}: {}", section.title);
        }
        for service in &fixture.record.services {
            assert!(flat.contains(&crate::figures::rto(&service.rto)), "{name}: {flat}");
        }
    }
}

#[test]
fn parts_are_known_to_those_who_hear_them_and_headings_are_in_the_outline() {
    let fixture = Fixture::build(Case::Failed);
    let pdf = rendered(&fixture);
    let structure = told("pdfinfo", &["-struct-text"], &pdf);
    for part in ["H1", "H2", "Table", "THead", "TBody", "TR", "TH", "TD", "LI", "Figure"] {
        let found = structure.lines().any(|line| line.trim_start().starts_with(part));
        assert!(found, "{part}: {structure}");
    }
    assert!(structure.contains("Evidence") || structure.contains("evidence"));
    // Bookmarks, as another reader of PDF finds them.
    let html = told("pdftohtml", &["-xml", "-stdout", "-i"], &pdf);
    let outline = html.split("<outline>").nth(1).expect("an outline");
    for title in [
        "Objectives",
        "Timeline",
        "Recommendations",
        "Every write accounted for",
        "How to verify this evidence",
    ] {
        assert!(outline.contains(&format!(">{title}</item>")), "{title}: {outline}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let fixture = Fixture::build(Case::Passed);
    assert_eq!(rendered(&fixture), rendered(&fixture));
}

#[test]
fn hostile_strings_are_shown_and_do_nothing() {
    let poisoned = |text: &str| {
        let mut fixture = Fixture::with_rate(Case::Failed, 2);
        poison::record(&mut fixture.record, text);
        poison::history(&mut fixture.history, text);
        rendered(&fixture)
    };
    let calm = told("pdftotext", &[], &poisoned("calm"));
    assert!(calm.matches("calm").count() > 80, "{}", calm.matches("calm").count());
    // One file for many of them, because a reader is a process.
    for some in hostile::strings().chunks(16) {
        let pdf = poisoned(&some.join(" "));
        let text = told("pdftotext", &[], &pdf);
        let odd = text.chars().find(|c| c.is_control() && !"\n\u{c}".contains(*c));
        assert_eq!(odd, None, "{some:?}");
        let info = told("pdfinfo", &[], &pdf);
        assert!(
            info.contains("JavaScript:      no") && info.contains("Encrypted:       no"),
            "{info}"
        );
        assert_eq!(told("pdfinfo", &["-url"], &pdf).lines().count(), 1, "a link: {some:?}");
    }
    let all = told("pdftotext", &[], &poisoned(&hostile::everything()));
    let flat: String = all.split_whitespace().collect();
    for shown in [
        "<script>alert(1)</script>",
        "\\u{1b}[31mred",
        "\\u{202e}txt.exe",
        "\\u{65e5}\\u{672c}\\u{8a9e}",
    ] {
        assert!(flat.contains(shown), "{shown}");
    }
}

#[test]
fn a_cell_longer_than_a_page_goes_on_on_the_next() {
    let mut fixture = Fixture::with_rate(Case::Failed, 2);
    fixture.record.findings[0].message = "word ".repeat(6_000);
    let pdf = rendered(&fixture);
    let text = told("pdftotext", &[], &pdf);
    assert_eq!(text.matches("word").count(), 6_000);
}
