//! The binary `drdrill`: where the names in files meet the parts that answer to them.
//!
//! - [`args`] — the command line; [`exit`] — exit codes and errors.
//! - [`catalog`] — scenarios and environments, shipped and on disk; [`settings`] — `--set`.
//! - [`wiring`] and [`adapters`] — a drill put together from the crates.
//! - [`progress`] — what is shown while it runs; [`evidence`] — what it leaves behind.
//! - [`commands`] — one file a command.

mod adapters;
mod args;
mod catalog;
mod commands;
mod evidence;
mod exit;
mod out;
mod progress;
mod settings;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let outcome = commands::dispatch(args::Cli::parse());
    match outcome {
        Ok(code) => code.into(),
        Err(error) => {
            out::error(&format!("drdrill: {}", out::harmless(&error.message)));
            error.code.into()
        }
    }
}
