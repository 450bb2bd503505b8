//! A directory of a test's own, and drdrill run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A working directory and a state directory that nobody else uses.
#[derive(Debug)]
pub(crate) struct Sandbox {
    dir: TempDir,
    pub(crate) state: PathBuf,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        Self { dir, state }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// drdrill with `arguments`, separated by spaces; nothing of this process's environment reaches it but `PATH`.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = self.program(Path::new(env!("CARGO_BIN_EXE_drdrill")));
        command.args(arguments.split_whitespace());
        command
    }

    /// Any program, as drdrill is run.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DRDRILL_STATE", &self.state)
            .stdin(Stdio::null());
        command
    }

    /// Runs drdrill to its end.
    pub(crate) fn run(&self, arguments: &str) -> Outcome {
        Outcome::of(&self.command(arguments).output().unwrap())
    }
}

/// What became of a process.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of: {self:#?}");
        self
    }
}
