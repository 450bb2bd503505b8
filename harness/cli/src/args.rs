//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Breaks a system on purpose, invokes its failover and restore, times the recovery and counts what was lost as a
/// client sees it, puts everything back even if drdrill itself is killed, and writes the evidence.
#[derive(Debug, Parser)]
#[command(name = "drdrill", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Where runs, locks and keys are kept.
    #[arg(
        long,
        global = true,
        env = "DRDRILL_STATE",
        default_value = ".drdrill",
        value_name = "DIR"
    )]
    pub(crate) state: PathBuf,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  passed
   1  a bug in drdrill
   2  wrong usage
  10  a target was missed or a check failed
  11  unknown, or the drill is invalid
  12  something was left in place (outranks all others)
  13  the environment lacks a power or is not ready
  14  a scenario or environment file is invalid
  15  aborted by a stop condition, the operator or a signal
  16  refused by a guard";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a drill.
    Run(RunArgs),
    /// List the scenarios and environments.
    List(FormatArgs),
    /// Say what a drill would do, and touch nothing.
    Explain(DrillArgs),
    /// Check a scenario and an environment file, and touch nothing.
    Validate(DrillArgs),
    /// Say whether this machine has what drills need.
    Doctor(FormatArgs),
    /// Take back whatever runs that were killed have left in place.
    Recover(FormatArgs),
    /// Judge an old run again from its history.
    Check(OneRun),
    /// Check the evidence of a run: digests, chain, signature.
    Verify(VerifyArgs),
    /// Show the result of a run.
    Show(OneRun),
    /// List the runs.
    History(FormatArgs),
    /// Print the JSON Schema of a file format.
    Schema {
        /// Which format.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print shell completions.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Serve Toxiproxy's API and its proxies until interrupted.
    Toxiproxy {
        /// Where to serve the API.
        #[arg(long, default_value = "127.0.0.1:8474")]
        listen: SocketAddr,
    },
    /// Be the keeper of a running drill.
    #[command(hide = true)]
    Keeper {
        /// Id of the run.
        run: String,
    },
    /// Be a program of the lab.
    #[command(hide = true)]
    LabNode {
        /// Which program.
        program: String,
        /// Its configuration, as JSON.
        config: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// Name of a scenario, or path of a file that ends in `.yaml`.
    pub(crate) scenario: String,
    /// Name of an environment, or path of a file that ends in `.yaml`.
    #[arg(long, default_value = "lab", value_name = "NAME")]
    pub(crate) env: String,
    /// Change a setting, such as `failover=none` or `targets.rto=30s`. May be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) drill: DrillArgs,
    /// Sign with this Ed25519 key in OpenSSH's format instead of the one in the state directory.
    #[arg(long, env = "DRDRILL_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// Id of the run, the beginning of one, `last`, or the path of a run directory.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// A file with the public keys to trust, instead of the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArgs {
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// Environment files.
    Environment,
    /// `record.json`.
    Record,
}
