//! The binary `drdrill`: where the names in files meet the parts that answer to them.
//!
//! - [`args`] — the command line; [`exit`] — exit codes and errors.
//! - [`catalog`] — scenarios and environments, shipped and on disk; [`settings`] — `--set`.
//! - [`wiring`], [`adapters`], [`archive`] and [`checks`] — a drill put together from the crates; [`guards`] — what is
//!   refused before it.
//! - [`people`] — who is asked in a drill that follows a runbook.
//! - [`progress`] — what is shown while it runs; [`evidence`] — what it leaves behind.
//! - [`commands`] — one file a command; [`selftest`] — defects that must be noticed.

mod adapters;
mod archive;
mod args;
mod catalog;
mod checks;
mod commands;
mod evidence;
mod exit;
mod guards;
mod notices;
mod origin;
mod out;
mod people;
mod program;
mod progress;
mod quarter;
mod runs;
mod selftest;
mod settings;
mod wiring;
mod worth;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        // What was typed wrong is quoted, and may have come from anywhere.
        Err(error) if error.use_stderr() => {
            out::error(&out::harmless(&error.to_string()));
            return exit::Code::Usage.into();
        }
        Err(help) => help.exit(),
    };
    let outcome = commands::dispatch(cli);
    match outcome {
        Ok(code) => code.into(),
        Err(error) => {
            out::error(&format!("drdrill: {}", out::harmless(&error.message)));
            error.code.into()
        }
    }
}
