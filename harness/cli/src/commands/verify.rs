//! `drdrill verify`: checks the evidence of a run, a report or a bundle, offline.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::bundle::{BundleReport, SUMS, verify_bundle};
use drdrill_reports::evidence::{
    self as package, MANIFEST, PublicKey, SignatureState, Standing, VerifyReport, key, verify_file,
};
use serde_json::json;

use crate::args::{Format, VerifyArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::{evidence, out, worth};

/// Checks digests, chain and signature.
pub(crate) fn verify(state: &StateDir, args: &VerifyArgs) -> Outcome {
    let known = match &args.trust {
        Some(path) => evidence::keys_in(path)?,
        None => fs::read_to_string(key::public_path(&state.root().join("signing_key")))
            .map(|text| PublicKey::all_in(&text))
            .unwrap_or_default(),
    };
    let as_json = args.format.format == Format::Json;
    let standing = match what(state, &args.what)? {
        What::Run(dir) => of_run(state, &dir, &args.what, &known, as_json),
        What::Bundle(path) => of_bundle(&path, &known, as_json)?,
        What::Report(path) => of_report(&path, &known, as_json)?,
    };
    Ok(match standing {
        Standing::Proven => Code::Passed,
        Standing::SignedByStranger | Standing::Unsigned => Code::Unknown,
        Standing::Damaged => Code::Failed,
    })
}

/// What is to be verified.
enum What {
    Run(PathBuf),
    Bundle(PathBuf),
    Report(PathBuf),
}

/// What a name means. No id of a run has a dot or a slash in it, as names of files have.
fn what(state: &StateDir, name: &str) -> Result<What, Failure> {
    let path = Path::new(name);
    if name.contains(['/', '.']) && !path.exists() {
        let message = format!("there is no run directory, report or bundle {name}");
        return Err(Failure::new(Code::Usage, message));
    }
    if name.contains(['/', '.']) && !path.is_dir() {
        let bundle = name.ends_with(".tar.gz") || is_gzip(path);
        let path = path.to_owned();
        return Ok(if bundle { What::Bundle(path) } else { What::Report(path) });
    }
    if path.join(SUMS).exists() && !path.join(MANIFEST).exists() {
        let message = format!(
            "{name} is an unpacked bundle: verify the archive that it came from, or type what its README.txt says"
        );
        return Err(Failure::new(Code::Usage, message));
    }
    evidence::find_run(state, name).map(What::Run)
}

fn is_gzip(path: &Path) -> bool {
    let mut magic = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == [0x1f, 0x8b]
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::new(Code::Usage, format!("read {path}: {error}"))
}

const fn word(signature: &SignatureState) -> &'static str {
    match signature {
        SignatureState::Known { .. } => "known",
        SignatureState::Stranger { .. } => "stranger",
        SignatureState::Wrong => "wrong",
        SignatureState::Absent => "absent",
    }
}

fn json_of(report: &VerifyReport) -> serde_json::Value {
    json!({
        "run_id": report.run_id,
        "proven": report.is_proven(),
        "intact": report.intact,
        "changed": report.changed,
        "missing": report.missing,
        "extra": report.extra,
        "chain_lines": report.chain.as_ref().ok(),
        "chain_error": report.chain.as_ref().err(),
        "head_matches": report.head_matches,
        "signature": word(&report.signature),
        "signed_by": report.signature.fingerprint(),
        "problems": report.problems,
    })
}

fn of_run(
    state: &StateDir,
    dir: &Path,
    name: &str,
    known: &[PublicKey],
    as_json: bool,
) -> Standing {
    let report = worth::verified(state, dir, name, known);
    if as_json {
        out::json(&json_of(&report));
    } else {
        out::print(&report.to_string());
    }
    report.standing()
}

fn of_bundle(path: &Path, known: &[PublicKey], as_json: bool) -> Result<Standing, Failure> {
    let file = File::open(path).map_err(unreadable(path))?;
    let report: BundleReport = verify_bundle(BufReader::new(file), known);
    if as_json {
        let runs = report.runs.iter().map(|run| {
            let mut json = json_of(&run.report);
            json["directory"] = run.run_id.clone().into();
            if run.vouched {
                json["signature"] = "vouched".into();
            }
            json["proven"] = (run.standing() == Standing::Proven).into();
            json
        });
        out::json(&json!({
            "bundle": report.name,
            "proven": report.standing() == Standing::Proven,
            "whole": report.is_whole(),
            "files": report.files,
            "signature": word(&report.signature),
            "signed_by": report.signature.fingerprint(),
            "problems": report.problems,
            "runs": runs.collect::<Vec<_>>(),
        }));
    } else {
        out::print(&report.to_string());
    }
    Ok(report.standing())
}

/// A report has its signature beside it, and proves nothing else than who made it.
fn of_report(path: &Path, known: &[PublicKey], as_json: bool) -> Result<Standing, Failure> {
    let content = fs::read(path).map_err(unreadable(path))?;
    let beside = package::signature_path(path);
    let signature = match fs::read(&beside) {
        Ok(text) => verify_file(&content, &text, known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => SignatureState::Absent,
        Err(error) => return Err(unreadable(&beside)(error)),
    };
    let (standing, headline, meaning) = match &signature {
        SignatureState::Known { fingerprint } => (
            Standing::Proven,
            format!("intact, signed by {fingerprint}, a known key"),
            "Nothing was changed since the holder of this key made it. What it was made of is proved by the runs that it \
             names: drdrill verify RUN, or drdrill bundle.",
        ),
        SignatureState::Stranger { fingerprint } => (
            Standing::SignedByStranger,
            format!("intact, signed by {fingerprint}, a key that is not known here"),
            "Anybody can make a key. Compare the fingerprint with one that you got by another way (--trust).",
        ),
        SignatureState::Wrong => (
            Standing::Damaged,
            "DAMAGED: it is not what was signed".to_owned(),
            "Do not rely on this report.",
        ),
        SignatureState::Absent => (
            Standing::Unsigned,
            format!("not signed: there is no {}", beside.display()),
            "Nothing says that it was not changed. A report that `drdrill report … --out FILE` writes has its signature \
             beside it.",
        ),
    };
    if as_json {
        out::json(&json!({
            "report": path,
            "proven": standing == Standing::Proven,
            "signature": word(&signature),
            "signed_by": signature.fingerprint(),
        }));
    } else {
        out::line(&out::harmless(&format!("report {}: {headline}", path.display())));
        out::line(meaning);
    }
    Ok(standing)
}
