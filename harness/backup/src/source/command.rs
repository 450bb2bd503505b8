//! What a program prints.

use std::io::Write;
use std::path::Path;

use drdrill_core::backup_plan::Dump;

use super::{Job, Packed, Taken};
use crate::digest::Hashing;
use crate::exec;
use crate::point::{Extent, Torn};

/// Runs the program and keeps what it prints.
pub(super) fn take(dump: &Dump, job: &Job<'_>) -> Result<Taken, String> {
    let program = dump.run.first().map_or("", String::as_str);
    (job.trust)(Path::new(program))?;
    let failed = |error: std::io::Error| error.to_string();
    let name = format!("{}.out.zst", job.source.name);
    let mut out = Hashing::new(Packed::create(job.staging, name).map_err(failed)?);
    exec::run(&dump.run, dump.timeout.0, |bytes| {
        out.write_all(bytes).map_err(failed)?;
        if out.bytes() > dump.at_most.bytes {
            return Err(format!("{program} printed more than at_most: {}", dump.at_most));
        }
        Ok(())
    })?;
    let (packed, sha256, bytes) = out.finish();
    Ok(whole(bytes, sha256, vec![packed.finish().map_err(failed)?]))
}

/// A backup of one file, which is always a full one.
pub(super) fn whole(bytes: u64, sha256: String, objects: Vec<crate::point::Object>) -> Taken {
    Taken {
        extent: Extent::Full,
        base: None,
        files: 1,
        bytes,
        read_bytes: bytes,
        deleted: 0,
        skipped: 0,
        torn: Torn::default(),
        objects,
        sha256: Some(sha256),
    }
}
