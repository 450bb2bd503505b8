//! A process that nothing but its end ends.

use std::process::{Child, Command};

/// A process with the mark of a run of the lab that notices no end of anybody: it has to be found and killed. Killed when
/// dropped.
#[derive(Debug)]
pub(crate) struct Straggler(pub(crate) Child);

impl Straggler {
    pub(crate) fn of(run: &str) -> Self {
        let mut command = Command::new("sleep");
        command.arg("600").env_clear().env("PATH", "/usr/bin:/bin").env("DRDRILL_LAB", run);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn is_there(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Straggler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
