//! Reports of a run in every format, as a person asks for them; other programs read what comes out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod quick;
    pub(crate) mod sandbox;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::quick::quick;
use support::sandbox::Sandbox;

/// The schema of `JUnit` results of Jenkins.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reports/tests/data/junit-10.xsd");

fn program(name: &str, arguments: &[&str], dir: &Path) -> String {
    let output = Command::new(name).args(arguments).current_dir(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// All files below a directory, with their bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_is_told_in_every_format_and_its_evidence_stays_as_it_was() {
    let sandbox = Sandbox::new();
    let drill = quick(&sandbox);
    sandbox.run(&drill).exits(0);
    let before = files(&sandbox.state);
    let dir = sandbox.path("");
    let dir = dir.as_path();

    // What the end of the run wrote is what is written now.
    let run_dir = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    for (format, name) in
        [("html", "report.html"), ("markdown", "report.md"), ("json", "record.json")]
    {
        let text = sandbox.run(&format!("report run --format {format}")).exits(0).stdout;
        assert_eq!(text, fs::read_to_string(run_dir.join(name)).unwrap(), "{format}");
    }

    sandbox.run("report run last --format junit --out junit.xml").exits(0);
    program("xmllint", &["--nonet", "--noout", "--schema", SCHEMA, "junit.xml"], dir);
    let cases = program("xmllint", &["--xpath", "count(//testcase)", "junit.xml"], dir);
    let bad = program("xmllint", &["--xpath", "count(//failure|//error)", "junit.xml"], dir);
    assert!(cases.trim().parse::<u32>().unwrap() >= 12, "{cases}");
    assert_eq!(bad.trim(), "0");

    // A file that is there is replaced.
    fs::write(sandbox.path("results.csv"), "old ".repeat(100_000)).unwrap();
    sandbox.run("report run --format csv --out results.csv").exits(0);
    let count = "import csv; print(len(list(csv.DictReader(open('results.csv', newline='')))))";
    let lines = program("python3", &["-c", count], dir);
    assert_eq!(lines.trim(), cases.trim());

    // Tests are built with PDF, the quick start is not.
    sandbox.run("report run --format pdf --out report.pdf").exits(0);
    let info = program("pdfinfo", &["report.pdf"], dir);
    assert!(info.contains("A short loss of the primary site") && info.contains("(A4)"), "{info}");
    let text = program("pdftotext", &["report.pdf", "-"], dir);
    assert!(text.contains("PASSED") && text.contains("How to verify this evidence"), "{text}");

    assert_eq!(files(&sandbox.state), before, "reports have changed the evidence");
    sandbox.run("verify").exits(0);
}

#[test]
fn a_quarter_is_told_from_no_drill_and_from_one() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path("");
    let dir = dir.as_path();
    let tell = |name: &str| {
        for format in ["html", "markdown", "json", "csv", "pdf"] {
            sandbox
                .run(&format!("report quarterly --format {format} --out {name}.{format}"))
                .exits(0);
        }
        let text = program("pdftotext", &[&format!("{name}.pdf"), "-"], dir);
        for title in [
            "Executive summary",
            "Coverage",
            "Trends",
            "Next test dates",
            "Control map",
            "Sign-off",
        ] {
            assert!(text.contains(title), "{title}: {text}");
        }
        let page = fs::read_to_string(sandbox.path(&format!("{name}.html"))).unwrap();
        let csv = fs::read_to_string(sandbox.path(&format!("{name}.csv"))).unwrap();
        (text.split_whitespace().collect::<Vec<_>>().join(" "), page, csv)
    };
    let (text, page, csv) = tell("empty");
    assert!(text.contains("No drill was run in this quarter: nothing new is known."), "{text}");
    assert!(page.contains("– never tested") && csv.contains(",coverage,"), "{csv}");

    sandbox.run("run complete_site_failure").exits(0);
    let before = files(&sandbox.state.join("runs"));
    let (text, page, csv) = tell("one");
    assert!(text.contains("1 drill was run: 1 passed, 0 failed, 0 could not tell."), "{text}");
    assert!(text.contains("Faults and the proof") || text.contains("Proof of effect"), "{text}");
    assert!(page.contains("id=\"drill-0-timeline-title\""), "no timeline");
    assert!(csv.lines().any(|line| line.contains(",drill,")), "{csv}");
    assert_eq!(files(&sandbox.state.join("runs")), before);

    let wrong = sandbox.run("report quarterly --quarter 2026-Q5").exits(2);
    assert!(wrong.stderr.contains("2026-Q5"), "{}", wrong.stderr);
    let junit = sandbox.run("report quarterly --format junit").exits(2);
    assert!(junit.stderr.contains("drdrill report run"), "{}", junit.stderr);
}

#[test]
fn what_was_sealed_is_neither_written_to_nor_believed_when_it_was_changed() {
    let sandbox = Sandbox::new();
    let drill = quick(&sandbox);
    sandbox.run(&drill).exits(0);
    let run_dir = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    let inside = run_dir.join("junit.xml");
    let refused =
        sandbox.run(&format!("report run --format junit --out {}", inside.display())).exits(2);
    assert!(refused.stderr.contains("which is sealed"), "{}", refused.stderr);
    assert!(!inside.exists());

    let record = run_dir.join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replacen("\"exit_code\": 0", "\"exit_code\": 10", 1)).unwrap();
    let damaged = sandbox.run("report run --format csv --out x.csv").exits(10);
    assert!(damaged.stderr.contains("is damaged"), "{}", damaged.stderr);
    assert!(!sandbox.path("x.csv").exists());
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_nothing_half_written() {
    let sandbox = Sandbox::new();
    let none = sandbox.run("report run --format csv").exits(2);
    assert!(none.stderr.contains("there are no runs in"), "{}", none.stderr);
    let unknown = sandbox.run("report run --format docx").exits(2);
    assert!(unknown.stderr.contains("[possible values: html, pdf, markdown, json, csv, junit]"));
}
