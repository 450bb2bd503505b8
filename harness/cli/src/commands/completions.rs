//! `drdrill completions`.

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::Code;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Code {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "drdrill", &mut script);
    crate::out::print(&String::from_utf8_lossy(&script));
    Code::Passed
}
