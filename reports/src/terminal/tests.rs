use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::recommend;
use crate::testkit::{Case, Fixture, hostile, poison};

fn record(case: Case) -> Record {
    let mut record = Fixture::build(case).record;
    record.recommendations = recommend(&record);
    record
}

#[test]
fn the_page_for_a_terminal() {
    for (case, name) in Case::ALL {
        let report = Path::new(".drdrill/runs/01997a3e/report.html");
        let page = summary_table(&record(case), Look::terminal(80, false), Some(report));
        insta::assert_snapshot!(format!("terminal_{name}"), page);
    }
}

#[test]
fn the_lines_for_a_pipe() {
    for (case, name) in Case::ALL {
        insta::assert_snapshot!(
            format!("plain_{name}"),
            summary_table(&record(case), Look::plain(), None)
        );
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (case, _) in Case::ALL {
        for width in [60, 72, 80, 100, 120, 300] {
            let page = summary_table(&record(case), Look::terminal(width, false), None);
            for line in page.lines().filter(|line| !line.contains("by hand")) {
                assert!(line.width() <= width, "{width}: {} {line}", line.width());
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let colours = |text: &str| {
        let mut out = String::new();
        let mut parts = text.split('\u{1b}');
        out.push_str(parts.next().unwrap());
        for part in parts {
            out.push_str(part.split_once('m').unwrap().1);
        }
        out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").replace(" PASSED  ", "PASSED")
    };
    let plain = summary_table(&record(Case::Passed), Look::terminal(80, false), None);
    let coloured = summary_table(&record(Case::Passed), Look::terminal(80, true), None);
    assert!(coloured.contains('\u{1b}') && !plain.contains('\u{1b}'));
    assert_eq!(colours(&coloured).replace(' ', ""), colours(&plain).replace(' ', ""));
}

#[test]
fn hostile_strings_reach_neither_terminal_nor_log() {
    for text in hostile::strings() {
        let mut fixture = Fixture::build(Case::Failed);
        poison::record(&mut fixture.record, &text);
        for look in [Look::terminal(80, false), Look::plain()] {
            let page = summary_table(&fixture.record, look, Some(Path::new(&text)));
            for line in page.lines() {
                assert!(!line.chars().any(char::is_control), "{text:?}: {line:?}");
                assert!(
                    !line.contains('\u{202e}') && !line.contains('\u{200b}'),
                    "{text:?}: {line:?}"
                );
                assert!(!line.trim_start().starts_with("::"), "{text:?}: {line:?}");
                assert!(look.boxes || !line.contains("##"), "{text:?}: {line:?}");
            }
        }
    }
}
