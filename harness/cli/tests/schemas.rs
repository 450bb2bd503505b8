//! The committed JSON Schemas are those of the program, and what is shipped and written fits them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// Formats and their committed schemas.
const COMMITTED: [(&str, &str); 8] = [
    ("scenario", "scenarios/schema.json"),
    ("environment", "environments/schema.json"),
    ("record", "harness/core/record.schema.json"),
    ("runbook", "runbooks/schema.json"),
    ("script", "runbooks/script.schema.json"),
    ("backup", "harness/backup/plan.schema.json"),
    ("program", "programs/schema.json"),
    ("quarter", "reports/quarter.schema.json"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema_of(format: &str) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_drdrill")).args(["schema", format]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A schema that can judge values.
struct Judge(Schemas, SchemaIndex);

impl Judge {
    fn of(format: &str) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema: Value = serde_json::from_str(&schema_of(format)).unwrap();
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn judge(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value, self.1).map_err(|error| error.to_string())
    }
}

/// The files of a directory that end in `.yaml`.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    assert!(!found.is_empty(), "{directory} is empty");
    found
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    for (format, path) in COMMITTED {
        let committed = fs::read_to_string(repository().join(path)).unwrap_or_default();
        assert!(
            committed == schema_of(format),
            "{path} is not what the program says; write it again with: \
             cargo run -q -- schema {format} > {path}  (or all of them: just schemas)"
        );
    }
}

#[test]
fn what_is_shipped_fits_its_schema() {
    let scenarios = [files("scenarios"), files("scenarios/must_fail")].concat();
    let others = [
        ("environment", files("environments")),
        ("runbook", files("runbooks")),
        ("script", files("runbooks/answers")),
        ("program", files("programs")),
    ];
    for (format, files) in [("scenario", scenarios)].into_iter().chain(others) {
        let judge = Judge::of(format);
        for file in files {
            judge.judge(&yaml(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

#[test]
fn an_editor_that_knows_the_schema_marks_what_drdrill_refuses() {
    let judge = Judge::of("scenario");
    let text =
        fs::read_to_string(repository().join("scenarios/complete_site_failure.yaml")).unwrap();
    for (from, to) in [
        ("give_up_after: 2min", "give_up_after: 2"),
        ("soak: 3s", "soka: 3s"),
        ("site_loss", "site_lost"),
        ("rlo: 80%", "rlo: 0.8"),
        ("kind: simulated", "kind: pretended"),
    ] {
        assert!(text.contains(from), "{from}");
        let value = serde_saphyr::from_str(&text.replace(from, to)).unwrap();
        assert!(judge.judge(&value).is_err(), "{to} should not fit the schema");
    }
}

#[test]
fn a_record_fits_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    let environment = "\
environment: nobody
provider:
  host:
    probes: [{ name: web, service: web, attempt: { tcp: { address: \"127.0.0.1:1\" } } }]
services: [{ name: web, tier: 1 }]
";
    fs::write(dir.path().join("env.yaml"), environment).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_drdrill"))
        .args(["run", "no_op", "--env", "env.yaml", "--format", "json", "--state", "state"])
        .current_dir(&dir)
        .output()
        .unwrap();
    Judge::of("record").judge(&serde_json::from_slice(&output.stdout).unwrap()).unwrap();
}
