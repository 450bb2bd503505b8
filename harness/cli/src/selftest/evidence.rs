//! The evidence of a drill that passed, changed. `drdrill verify` must notice.

use std::fs;
use std::io;
use std::path::Path;

use drdrill_reports::evidence::{HEAD, MANIFEST, MANIFEST_SIG, Standing, verify};

use super::Defect;
use crate::evidence::{EVENTS_FILE, RECORD_FILE};

/// Flips one bit of each file, cuts each short, and removes each.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn defects(run_dir: &Path) -> io::Result<Vec<Defect>> {
    let files = [EVENTS_FILE, RECORD_FILE, HEAD, MANIFEST, MANIFEST_SIG];
    let is_damaged = || verify(run_dir, &[]).standing() == Standing::Damaged;
    if is_damaged() {
        let seen = "evidence that nobody touched is called damaged".to_owned();
        return Ok(vec![Defect::new("evidence that was changed", false, seen)]);
    }
    let mut missed = [Vec::new(), Vec::new()];
    for file in files {
        let path = run_dir.join(file);
        let good = fs::read(&path)?;
        let mut flipped = good.clone();
        if let Some(byte) = flipped.get_mut(good.len() / 2) {
            *byte ^= 1;
        }
        let changed = [flipped, good[..good.len() - 1].to_vec()];
        for (bad, missed) in changed.into_iter().zip(&mut missed) {
            fs::write(&path, bad)?;
            if !is_damaged() {
                missed.push(file);
            }
        }
        fs::write(&path, good)?;
    }
    let names = ["evidence with one bit flipped", "evidence with its last byte cut off"];
    Ok(names
        .into_iter()
        .zip(missed)
        .map(|(name, missed)| {
            let seen = if missed.is_empty() {
                format!("in each of {}", files.join(", "))
            } else {
                format!("not noticed in {}", missed.join(", "))
            };
            Defect::new(name, missed.is_empty(), seen)
        })
        .collect())
}
