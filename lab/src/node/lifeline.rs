//! The end of a program: it lives no longer than the process that started it.

use std::io::{self, Read};
use std::thread;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::{LabError, log};

/// Ends this process at once when its standard input ends.
///
/// The starter holds the other end of the pipe; the kernel closes it however the starter dies.
/// The watch is a thread of its own, so a busy or stuck runtime cannot keep the process alive.
/// `die_with_starting_thread` is `PR_SET_PDEATHSIG`, see the module above.
pub(crate) fn hold_lifeline(program: &str, die_with_starting_thread: bool) -> Result<(), LabError> {
    if die_with_starting_thread {
        prctl::set_pdeathsig(Signal::SIGKILL)
            .map_err(io::Error::from)
            .map_err(LabError::io("ask for a signal at the starter's death"))?;
    }
    let program = program.to_owned();
    thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(move || watch(&program))
        .map_err(LabError::io("start the lifeline thread"))?;
    Ok(())
}

fn watch(program: &str) -> ! {
    let mut input = io::stdin().lock();
    let mut ignored = [0; 256];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
            Ok(_) | Err(_) => {}
        }
    }
    log(program, "standard input has ended, so this process ends");
    std::process::exit(0)
}
