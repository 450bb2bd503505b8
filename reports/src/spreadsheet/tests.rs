use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::testkit::{Case, Fixture, hostile, poison};

fn rendered(fixture: &Fixture) -> String {
    let mut out = Vec::new();
    Csv.render(Run { record: &fixture.record, history: &[], doubt: None }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The cells as Python's reader finds them with that separator, cells of a line by `\u{1f}`, lines by `\u{1e}`.
fn cells(text: &str, separator: &str) -> Vec<Vec<String>> {
    const READ: &str = "import csv, io, sys
csv.field_size_limit(1 << 24)
text = io.TextIOWrapper(sys.stdin.buffer, 'utf-8', newline='')
rows = csv.reader(text, delimiter=sys.argv[1])
sys.stdout.buffer.write('\\x1e'.join('\\x1f'.join(row) for row in rows).encode())";
    let mut python = Command::new("python3")
        .args(["-c", READ, separator])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\u{1e}').map(|row| row.split('\u{1f}').map(str::to_owned).collect()).collect()
}

#[test]
fn another_reader_finds_one_line_a_result_with_all_its_cells() {
    for (case, name) in Case::ALL {
        let fixture = Fixture::build(case);
        let found = cells(&rendered(&fixture), ",");
        assert_eq!(found[0], COLUMNS, "{name}");
        let expected = results(&fixture.record);
        assert_eq!(found.len(), expected.len() + 1, "{name}");
        for (row, one) in found[1..].iter().zip(expected) {
            assert_eq!(row.len(), COLUMNS.len(), "{name}: {row:?}");
            assert_eq!((row[5].as_str(), row[8].as_str()), (one.group.word(), one.came.word()));
            let target: Option<f64> = row[9].parse().ok();
            assert_eq!(target, one.figures.and_then(|figures| figures.target), "{name}");
        }
    }
}

#[test]
fn no_cell_begins_a_formula_whatever_separates_cells() {
    let mut strings = hostile::strings();
    strings.push(hostile::everything());
    for start in
        ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "＠x", "|x", "%x"]
    {
        strings.extend(
            ["", "a;", "a,", "a\"", "\"", "';", "a; ", "a:"]
                .map(|before| format!("{before}{start}")),
        );
    }
    let mut text = Vec::new();
    let mut table = Table::new(&mut text, &["a", "b"]).unwrap();
    for hostile in &strings {
        table.row(&[Field::Text(hostile), Field::Text("calm")]).unwrap();
    }
    table.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.chars().any(|c| c.is_control() && c != '\r' && c != '\n'));
    for separator in [",", ";", "\t", ":"] {
        let found = cells(&text, separator);
        assert!(found.len() > strings.len());
        for cell in found.iter().flatten() {
            let first = cell.trim_start().chars().next().unwrap_or('a');
            assert!(!"=+-@|%＝＋－＠".contains(first), "{separator:?}: {cell:?}");
        }
    }
    let found = cells(&text, ",");
    assert_eq!(found.len(), strings.len() + 1);
    assert!(found[1..].iter().all(|row| row.len() == 2 && row[1] == "calm"));
}

#[test]
fn hostile_strings_add_no_line_and_no_cell() {
    let lines = |text: &str| {
        let mut fixture = Fixture::with_rate(Case::Failed, 2);
        poison::record(&mut fixture.record, text);
        cells(&rendered(&fixture), ",").iter().map(Vec::len).collect::<Vec<_>>()
    };
    let calm = lines("calm");
    assert!(calm.iter().all(|cells| *cells == COLUMNS.len()));
    for text in [hostile::everything(), "a\r\nb,\"c\"".to_owned(), "\"".to_owned(), "\n".to_owned()]
    {
        assert_eq!(lines(&text), calm, "{text:?}");
    }
}

#[test]
fn numbers_have_no_exponent_and_no_separator_of_thousands() {
    assert_eq!(plain(1_234_567.5), "1234567.5");
    assert_eq!(plain(0.000_001), "0.000001");
    assert_eq!(plain(3_600_000.0), "3600000");
    assert_eq!(plain(0.0), "0");
}
