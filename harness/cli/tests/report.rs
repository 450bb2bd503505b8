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
use support::sandbox::{Outcome, Sandbox};

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
    let drill = "run no_op --set soak=0s";
    sandbox.run(drill).exits(0);
    let run_dir = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    let inside = run_dir.join("junit.xml");
    let refused =
        sandbox.run(&format!("report run --format junit --out {}", inside.display())).exits(2);
    assert!(refused.stderr.contains("which is sealed"), "{}", refused.stderr);
    assert!(!inside.exists());

    // Nor is another one, of which the report is not.
    sandbox.run(drill).exits(0);
    let id = run_dir.file_name().unwrap().to_str().unwrap();
    for other in fs::read_dir(sandbox.state.join("runs")).unwrap() {
        let inside = other.unwrap().path().join("junit.xml");
        let command = format!("report run {id} --format junit --out {}", inside.display());
        assert!(sandbox.run(&command).exits(2).stderr.contains("which is sealed"));
        assert!(!inside.exists());
    }
    let record = run_dir.join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replacen("\"exit_code\": 0", "\"exit_code\": 10", 1)).unwrap();
    let damaged = sandbox.run(&format!("report run {id} --format csv --out x.csv")).exits(10);
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
    // What was good stays good where another one cannot be written in its place.
    sandbox.run("run no_op --set soak=0s").exits(0);
    sandbox.run("report run --format html --out r").exits(0);
    let before = files(&sandbox.path(""));
    let told = sandbox.run("report run --format html --out missing/r").exits(13);
    assert!(told.stderr.contains("missing/r"), "{}", told.stderr);
    let mut full = sandbox.program(Path::new("sh"));
    // No file may grow, as on a full disk.
    let command = "trap '' XFSZ; ulimit -f 0; exec \"$0\" report run --format html --out r";
    full.args(["-c", command, env!("CARGO_BIN_EXE_drdrill")]);
    let told = Outcome::of(&full.output().unwrap()).exits(13);
    assert!(told.stderr.contains("write r: "), "{}", told.stderr);
    sandbox.run("report run --format html --out state").exits(13);
    assert_eq!(files(&sandbox.path("")), before);
    sandbox.run("verify ./r").exits(0);
}

#[test]
fn a_report_of_what_nobody_known_has_signed_says_so() {
    let (there, here) = (Sandbox::new(), Sandbox::new());
    there.run("run no_op --set soak=0s").exits(0);
    let own = there.run("report run --format html --out r").exits(0).stderr;
    assert_eq!(own, "");
    let run = fs::read_dir(there.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    let told = here.run(&format!("report run {} --format html", run.display())).exits(0);
    assert!(told.stderr.contains("a key that is not known here"), "{}", told.stderr);
    // And in the report itself, which may get a signature of ours.
    for format in ["html", "markdown"] {
        let command = format!("report run {} --format {format}", run.display());
        let text = here.run(&command).exits(0).stdout;
        assert!(text.contains("The evidence of this run is signed by SHA256"), "{format}: {text}");
        let own = there.run(&format!("report run last --format {format}")).exits(0).stdout;
        assert!(!own.contains("The evidence of this run is"), "{format}");
    }
    fs::remove_file(run.join("MANIFEST.sig")).unwrap();
    let told = here.run(&format!("report run {} --format html", run.display())).exits(0);
    assert!(told.stderr.contains("is not signed"), "{}", told.stderr);
}

/// What `README.txt` of an unpacked bundle says is to be typed, and whether it passes.
fn typed(top: &Path) -> Vec<bool> {
    let readme = fs::read_to_string(top.join("README.txt")).unwrap();
    let commands = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let passes = |command: &str| {
        let shell = Command::new("sh").args(["-c", command]).current_dir(top).output().unwrap();
        shell.status.success()
    };
    commands.map(passes).collect()
}

#[test]
fn a_bundle_holds_the_quarter_and_is_verified_with_and_without_drdrill() {
    let sandbox = Sandbox::new();
    let nothing = sandbox.run("bundle").exits(2);
    assert!(nothing.stderr.contains("there is no run of"), "{}", nothing.stderr);
    sandbox.run("run no_op --set soak=0s").exits(0);
    let before = files(&sandbox.state.join("runs"));
    let told = sandbox.run("bundle --output b.tar.gz").exits(0).stdout;
    assert!(told.contains("b.tar.gz: 1 run, 19 files"), "{told}");
    assert_eq!(files(&sandbox.state.join("runs")), before);
    let bytes = fs::read(sandbox.path("b.tar.gz")).unwrap();
    // A name of a key that was mistyped makes none.
    sandbox.run("bundle --output no.tar.gz --key mistyped").exits(13);
    assert!(!sandbox.path("mistyped").exists() && !sandbox.path("no.tar.gz").exists());
    sandbox.run("bundle --output again.tar.gz").exits(0);
    assert_eq!(fs::read(sandbox.path("again.tar.gz")).unwrap(), bytes);

    let verified = sandbox.run("verify b.tar.gz").exits(0).stdout;
    assert!(verified.contains("1, of them 1 signed by a known key"), "{verified}");
    let key = fs::read_to_string(sandbox.state.join("signing_key.pub")).unwrap();
    for (trusted, code) in [
        (key.as_str(), 0),
        ("", 2),
        (&format!(" # {key}"), 2),
        (&format!("x valid-before=\"20200101\" {key}"), 2),
    ] {
        fs::write(sandbox.path("some.pub"), trusted).unwrap();
        sandbox.run("verify b.tar.gz --trust some.pub").exits(code);
    }
    let stranger = Sandbox::new();
    stranger.run("run no_op --set soak=0s").exits(0);
    let bundle = sandbox.path("b.tar.gz");
    let strange =
        stranger.run(&format!("verify {} --format json", bundle.display())).exits(11).stdout;
    let strange: serde_json::Value = serde_json::from_str(&strange).unwrap();
    for by in [&strange["signed_by"], &strange["runs"][0]["signed_by"]] {
        assert!(by.as_str().unwrap().starts_with("SHA256:"), "{strange:#}");
    }
    // Every bit of a smaller one is flipped where the library is tested.
    for at in [0, 3, 9, bytes.len() / 2, bytes.len() - 200, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(sandbox.path("flipped.tar.gz"), &flipped).unwrap();
        let damaged = sandbox.run("verify flipped.tar.gz").exits(10).stdout;
        assert!(damaged.contains("Do not rely on this bundle"), "{damaged}");
        fs::write(sandbox.path("cut.tar.gz"), &bytes[..at]).unwrap();
        sandbox.run("verify cut.tar.gz --format json").exits(10);
    }

    program("tar", &["-xzf", "b.tar.gz"], &sandbox.path(""));
    let top = fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap().path());
    let top = top.into_iter().find(|path| path.join("SHA256SUMS").exists()).unwrap();
    assert_eq!(typed(&top), [true; 4]);
    for name in ["program.yaml", "report.html", "report.pdf", "report.json", "report.csv"] {
        assert!(top.join(name).is_file(), "{name}");
    }
    let unpacked = sandbox.run(&format!("verify {}", top.display())).exits(2);
    assert!(unpacked.stderr.contains("is an unpacked bundle"), "{}", unpacked.stderr);
    let run = fs::read_dir(top.join("runs")).unwrap().next().unwrap().unwrap().path();
    let record = fs::read_to_string(run.join("record.json")).unwrap();
    fs::write(run.join("record.json"), record.replacen("pass", "fail", 1)).unwrap();
    assert_eq!(typed(&top), [false, true, true, false]);
}

#[test]
fn a_run_that_does_not_verify_is_packed_only_when_asked_for_and_named_first() {
    let sandbox = Sandbox::new();
    sandbox.run("run no_op --set soak=0s").exits(0);
    let run = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(run.join("record.json")).unwrap();
    fs::write(run.join("record.json"), text.replacen("\"exit_code\": 0", "\"exit_code\": 10", 1))
        .unwrap();
    // One that was cut off, and one of which somebody took away all that says what it was.
    let [cut_off, robbed] = ["00000001", "00000002"].map(|end| format!("{}{end}", &id[..16]));
    for (other, file) in [(&cut_off, "events.jsonl"), (&robbed, "MANIFEST")] {
        let directory = sandbox.state.join("runs").join(other);
        fs::create_dir(&directory).unwrap();
        fs::copy(run.join(file), directory.join(file)).unwrap();
    }
    let refused = sandbox.run("bundle --output b.tar.gz").exits(10);
    for (id, why) in [(&id, "DAMAGED"), (&cut_off, "NOT SEALED"), (&robbed, "are missing")] {
        let line = refused.stderr.lines().find(|line| line.contains(id.as_str()));
        assert!(line.is_some_and(|line| line.contains(why)), "{why}: {}", refused.stderr);
    }
    assert!(!sandbox.path("b.tar.gz").exists());

    let told = sandbox.run("bundle --output b.tar.gz --allow-broken").exits(0).stdout;
    assert_eq!(told.matches("broken: ").count(), 3, "{told}");
    let verified = sandbox.run("verify b.tar.gz").exits(10).stdout;
    assert!(verified.contains("intact, signed by a known key"), "{verified}");
    assert!(verified.contains(&format!("{id}: DAMAGED")), "{verified}");
    program("tar", &["-xzf", "b.tar.gz", "--strip-components=1"], &sandbox.path(""));
    let readme = fs::read_to_string(sandbox.path("README.txt")).unwrap();
    let (first, _) = readme.split_once("HOW TO VERIFY").unwrap();
    assert!([&id, &cut_off, &robbed].iter().all(|id| first.contains(id.as_str())), "{readme}");
}

#[test]
fn a_report_that_was_written_to_a_file_is_verified_by_the_signature_beside_it() {
    let sandbox = Sandbox::new();
    sandbox.run("run no_op --set soak=0s").exits(0);
    for command in ["report run --format json --out r", "report quarterly --format csv --out r"] {
        sandbox.run(command).exits(0);
        sandbox.run("verify ./r").exits(0);
        let signers = sandbox.state.join("runs");
        let run = fs::read_dir(signers).unwrap().next().unwrap().unwrap().path();
        fs::copy(run.join("allowed_signers"), sandbox.path("allowed_signers")).unwrap();
        let by_hand = drdrill_reports::evidence::VERIFY_REPORT_BY_HAND.replace("REPORT", "r");
        program("sh", &["-c", &by_hand], &sandbox.path(""));
        let told = fs::read(sandbox.path("r")).unwrap();
        fs::write(sandbox.path("r"), [&told, b" ".as_slice()].concat()).unwrap();
        sandbox.run("verify ./r").exits(10);
    }
    fs::remove_file(sandbox.path("r.sig")).unwrap();
    let unsigned = sandbox.run("verify ./r").exits(11).stdout;
    assert!(unsigned.contains("not signed: there is no ./r.sig"), "{unsigned}");
    let missing = sandbox.run("verify r.html").exits(2);
    assert!(missing.stderr.contains("no run directory, report or bundle"), "{}", missing.stderr);
}
