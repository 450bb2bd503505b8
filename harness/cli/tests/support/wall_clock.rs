//! A wall clock that a test sets, for one process and its children: the C library's, with an offset from a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::sandbox::Sandbox;

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    const char *path = getenv("TEST_WALL_OFFSET");
    FILE *file = id == CLOCK_REALTIME && path ? fopen(path, "r") : NULL;
    if (file) {
        long offset;
        if (fscanf(file, "%ld", &offset) == 1) now->tv_sec += offset;
        fclose(file);
    }
    return result;
}
"#;

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// The clock.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    /// One that shows `time`, `HH:MM:SS` in UTC.
    pub(crate) fn at(sandbox: &Sandbox, time: &str) -> Self {
        let (source, library) = (sandbox.path("clock.c"), sandbox.path("clock.so"));
        fs::write(&source, SHIM).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = cc.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let clock = Self { library, offset: sandbox.path("offset") };
        clock.set(time);
        clock
    }

    /// Sets it, also while a process has it.
    pub(crate) fn set(&self, time: &str) {
        let parts: Vec<u64> = time.split(':').map(|part| part.parse().unwrap()).collect();
        let wanted = parts[0] * 3600 + parts[1] * 60 + parts[2];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let offset = wanted.cast_signed() - (now % DAY).cast_signed();
        // At once, so that nobody reads half of it.
        let new = self.offset.with_extension("new");
        fs::write(&new, offset.to_string()).unwrap();
        fs::rename(new, &self.offset).unwrap();
    }

    /// Gives it to a process.
    pub(crate) fn on(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.library).env("TEST_WALL_OFFSET", &self.offset);
        command
    }
}
