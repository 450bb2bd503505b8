//! `drdrill verify`: checks the evidence of a run, offline.

use std::fs;

use drdrill_engine::state::StateDir;
use drdrill_reports::evidence::{PublicKey, SignatureState, Standing, key};

use crate::args::{Format, VerifyArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::{evidence, out};

/// Checks digests, chain and signature.
pub(crate) fn verify(state: &StateDir, args: &VerifyArgs) -> Outcome {
    let dir = evidence::find_run(state, &args.run.run)?;
    let known = match &args.trust {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::new(Code::Usage, format!("read {}: {error}", path.display()))
            })?;
            PublicKey::all_in(&text)
        }
        None => fs::read_to_string(key::public_path(&state.root().join("signing_key")))
            .map(|text| PublicKey::all_in(&text))
            .unwrap_or_default(),
    };
    let report = drdrill_reports::evidence::verify(&dir, &known);
    if args.run.format.format == Format::Json {
        let signature = match &report.signature {
            SignatureState::Known { .. } => "known",
            SignatureState::Stranger { .. } => "stranger",
            SignatureState::Wrong => "wrong",
            SignatureState::Absent => "absent",
        };
        out::json(&serde_json::json!({
            "run_id": report.run_id,
            "proven": report.is_proven(),
            "intact": report.intact,
            "changed": report.changed,
            "missing": report.missing,
            "extra": report.extra,
            "chain_lines": report.chain.as_ref().ok(),
            "chain_error": report.chain.as_ref().err(),
            "head_matches": report.head_matches,
            "signature": signature,
            "problems": report.problems,
        }));
    } else {
        out::print(&report.to_string());
    }
    Ok(match report.standing() {
        Standing::Proven => Code::Passed,
        Standing::SignedByStranger | Standing::Unsigned => Code::Unknown,
        Standing::Damaged => Code::Failed,
    })
}
