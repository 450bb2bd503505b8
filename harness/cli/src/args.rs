//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use drdrill_core::program::Date;
use drdrill_core::units::Span;
use drdrill_reports::quarter::QuarterOf;

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
  16  refused by a guard
Of several drills the worst counts: 12, 10, 1, 11, 15, 16, 13, 14, 2, 0, in this order.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a drill, or several one after the other.
    Run(RunArgs),
    /// List the scenarios and environments.
    List(FormatArgs),
    /// Walk through a scenario with people and a runbook, and touch nothing.
    Tabletop(TabletopArgs),
    /// Say what a drill would do, or what a runbook says, and touch nothing.
    Explain(DrillArgs),
    /// Check a scenario and an environment file, a runbook, or a drill program, and touch nothing.
    Validate(ValidateArgs),
    /// Say whether this machine has what drills need.
    Doctor(DoctorArgs),
    /// Take back whatever runs that were killed have left in place.
    Recover(FormatArgs),
    /// End the drills of an environment, or of all, and refuse new ones until released.
    Halt(HaltArgs),
    /// Tell which drills run, what is halted, and what is in place.
    Status(FormatArgs),
    /// Bring an environment up without a drill, look at it, take it down.
    Env {
        #[command(subcommand)]
        what: EnvCommand,
    },
    /// Fail over an environment that is up.
    Failover(FailoverArgs),
    /// Make the original site of an environment that is up the primary again.
    Failback(FailbackArgs),
    /// Plant known defects in drdrill itself, and say which it noticed.
    Selftest(FormatArgs),
    /// Look after backups.
    Backup {
        #[command(subcommand)]
        what: BackupCommand,
    },
    /// Restore the newest clean backup, of a plan into an empty directory, of a lab into a file that is not there yet.
    Restore(RestoreArgs),
    /// Judge an old run again from its history.
    Check(CheckArgs),
    /// Account for writes by their unique ids, from lists in files: lost, duplicate, phantom, corrupt, resurrected.
    Account(AccountArgs),
    /// Check the evidence of a run (digests, chain, signature), a report with its signature, or a bundle.
    Verify(VerifyArgs),
    /// Pack the evidence of a quarter into one signed archive that can be verified without drdrill.
    Bundle(BundleArgs),
    /// Show the result of a run.
    Show(OneRun),
    /// Write a report of a run in another format, from its sealed evidence.
    Report {
        #[command(subcommand)]
        what: ReportCommand,
    },
    /// List the runs, compare two, take in those of other machines.
    History(HistoryArgs),
    /// See to findings: who owns them, until when, who accepts them.
    Finding {
        #[command(subcommand)]
        what: FindingCommand,
    },
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
        /// Be it oneself, and not who starts it and ends.
        #[arg(long)]
        detached: bool,
    },
    /// Hold the processes that standard input names, until it ends.
    #[command(hide = true)]
    Pauser,
    /// Start a program in a session of its own, and do not wait for it.
    #[command(hide = true)]
    Starter {
        /// The program, and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
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
    #[arg(required_unless_present = "runbook", conflicts_with = "runbook")]
    pub(crate) scenario: Option<String>,
    /// The runbook instead, as Markdown: its name, the path of its file, or the name of a scenario that has one.
    #[arg(long, value_name = "RUNBOOK")]
    pub(crate) runbook: Option<String>,
    #[command(flatten)]
    pub(crate) on: OnArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Name of a scenario, or path of a file that ends in `.yaml`.
    #[arg(required_unless_present_any = ["runbook", "program"], conflicts_with_all = ["runbook", "program"])]
    pub(crate) scenario: Option<String>,
    /// The runbook instead: its name, or the path of its file.
    #[arg(long, value_name = "RUNBOOK", conflicts_with = "program")]
    pub(crate) runbook: Option<String>,
    /// The drill program instead, with every scenario and environment that it names: its name, or the path of its file.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) program: Option<String>,
    #[command(flatten)]
    pub(crate) on: OnArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OnArgs {
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
    /// Names of scenarios, or paths of files that end in `.yaml`. Several run one after the other.
    #[arg(value_name = "SCENARIO", required_unless_present_any = ["all", "tags", "must_fail"])]
    pub(crate) scenarios: Vec<String>,
    /// Run every shipped scenario that the environment has the powers for.
    #[arg(long, conflicts_with_all = ["scenarios", "tags"])]
    pub(crate) all: bool,
    /// Run the shipped scenarios that have this tag. May be repeated.
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "scenarios")]
    pub(crate) tags: Vec<String>,
    /// Run the shipped scenarios that must fail, each on the environment it names, and pass only when each fails as it
    /// states.
    #[arg(long, conflicts_with_all = ["scenarios", "all"])]
    pub(crate) must_fail: bool,
    /// Take what people answer, where the drill follows a runbook, from this file (`drdrill schema script`).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "tags", "must_fail"])]
    pub(crate) script: Option<String>,
    /// Ask people at this terminal, although the scenario brings answers of its own.
    #[arg(long, conflicts_with_all = ["script", "all", "tags", "must_fail"])]
    pub(crate) ask: bool,
    #[command(flatten)]
    pub(crate) on: OnArgs,
    /// Break this environment although it is production; the name as in its file.
    #[arg(long, value_name = "NAME")]
    pub(crate) yes_production: Option<String>,
    /// Sign with this Ed25519 key in OpenSSH's format instead of the one in the state directory.
    #[arg(long, env = "DRDRILL_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TabletopArgs {
    /// Name of a scenario, or path of a file that ends in `.yaml`.
    pub(crate) scenario: String,
    /// The runbook to follow, instead of the scenario's own: its name, or the path of its file.
    #[arg(long, value_name = "RUNBOOK")]
    pub(crate) runbook: Option<String>,
    /// Take the answers from this file (YAML or JSON; `drdrill schema script`) and not from a terminal.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<String>,
    /// Sign with this Ed25519 key in OpenSSH's format instead of the one in the state directory.
    #[arg(long, env = "DRDRILL_SIGNING_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) on: OnArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at this environment too: its pin, its window, its secrets. A name, or the path of a file.
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Tell everybody whom that environment wants to be told of drills that this is a trial.
    #[arg(long, requires = "env")]
    pub(crate) notify: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HaltArgs {
    /// Name of the environment, or path of its file; every environment when left out.
    pub(crate) environment: Option<String>,
    /// Allow drills again, on what was halted by the same command.
    #[arg(long)]
    pub(crate) release: bool,
    /// How long to wait for the drills to end.
    #[arg(long, default_value = "2min", value_name = "TIME")]
    pub(crate) wait: Span,
    /// Do not wait for the drills to end.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// Bring it up, and hold it until it is taken down or this is interrupted.
    Up(UpArgs),
    /// Say which site serves, how they are doing, and what happened since it came up.
    Status(StandingArgs),
    /// Take it down.
    Down(StandingArgs),
    /// Build the images that an environment of containers is made of, where they are not there yet.
    Build(BuildArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The environment.
    #[arg(default_value = "docker")]
    pub(crate) environment: String,
    /// An image of Debian 12 to build on [default: debian:bookworm-slim, or one made of Debian's packages where no
    /// registry is reached].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Name of an environment, or path of a file that ends in `.yaml`.
    #[arg(default_value = "lab")]
    pub(crate) environment: String,
    /// Let the health monitor fail over by itself.
    #[arg(long)]
    pub(crate) automatic: bool,
    /// Change a setting, such as `strategy=hot`. May be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StandingArgs {
    /// Name of the environment, or path of its file.
    #[arg(default_value = "lab")]
    pub(crate) environment: String,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FailoverArgs {
    /// Name of the environment, or path of its file.
    #[arg(long, default_value = "lab", value_name = "NAME")]
    pub(crate) env: String,
    /// Say what would be done, and touch nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FailbackArgs {
    #[command(flatten)]
    pub(crate) what: FailoverArgs,
    /// How long each share of the traffic is held.
    #[arg(long, value_name = "TIME")]
    pub(crate) hold: Option<Span>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up what a plan names. Exit code 10 unless every source is at every destination.
    Run(BackupRunArgs),
    /// List the restore points of a plan, and say what can be told of the 3-2-1 rule.
    List(BackupListArgs),
    /// Verify backups: checksums, age, a test restore, and whether what is restored holds together, from the newest
    /// restore point back to the first that is clean. Exit code 10 unless that is the newest.
    Verify(BackupArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackupRunArgs {
    /// The plan, a file (`drdrill schema backup`).
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// Back up everything, also where the plan says that an incremental backup is due.
    #[arg(long)]
    pub(crate) full: bool,
    /// Begin anew at destinations where backups were written before and are not there any more. Without it they fail:
    /// most often a disk is not mounted then.
    #[arg(long)]
    pub(crate) first: bool,
    /// Go on where another machine has written, whose place this one has taken. Without it those destinations fail.
    #[arg(long)]
    pub(crate) any_machine: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupListArgs {
    /// The plan, a file.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// A backup plan (a file that ends in `.yaml`), or directories of backups that a lab has taken, such as
    /// `backups/primary` of `--set keep_data=DIR`.
    #[arg(required = true, value_name = "PLAN|DIR")]
    pub(crate) directories: Vec<PathBuf>,
    /// A restore point whose state is older is not usable.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub(crate) max_age: Span,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A backup plan (a file that ends in `.yaml`), or a directory of backups that a lab has taken.
    #[arg(value_name = "PLAN|DIR")]
    pub(crate) directory: PathBuf,
    /// The directory, which must be empty or not there; with a lab's backups the file, which must not be there.
    #[arg(long, value_name = "PATH")]
    pub(crate) to: PathBuf,
    /// A restore point whose state is older is not used. With a lab's backups 24h when not given.
    #[arg(long, value_name = "TIME")]
    pub(crate) max_age: Option<Span>,
    /// Of a plan, this source alone; what is in a tree then comes into the directory itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Of a plan, from this destination alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Of a plan, the newest state that is not after this time, such as 2026-11-21T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<chrono::DateTime<chrono::Utc>>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
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
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) what: Option<HistoryCommand>,
    #[command(flatten)]
    pub(crate) list: ListRunsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListRunsArgs {
    /// Only runs of this scenario. May be repeated.
    #[arg(long = "scenario", value_name = "NAME")]
    pub(crate) scenarios: Vec<String>,
    /// Only runs on this environment. May be repeated.
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environments: Vec<String>,
    /// Only runs that ended like this. May be repeated.
    #[arg(long = "verdict", value_name = "VERDICT", value_enum)]
    pub(crate) ended: Vec<EndedArg>,
    /// Only runs that began on this day (UTC) or later, such as 2026-11-01; or a time, or how long ago, such as 7days.
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<String>,
    /// Only runs that began on this day or before; or before a time, or so long ago.
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<String>,
    /// Only the newest so many of them.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) newest: Option<u32>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum EndedArg {
    /// Everything asked for was observed.
    Pass,
    /// It cannot be told.
    Unknown,
    /// A target was missed or a check failed.
    Fail,
    /// It was cut off, or its record cannot be read.
    CutOff,
    /// It runs.
    Running,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Say what changed between the results of two runs.
    Diff(DiffArgs),
    /// Take in runs of other machines: run directories, directories of such, or record.json alone. Nothing that is there is
    /// replaced.
    Import(ImportArgs),
    /// Make the index of the runs again from their directories.
    Rebuild(FormatArgs),
    /// Compare a quarter with a drill program: what is verified, failed, never tested, overdue, and due next.
    Quarter(QuarterArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QuarterArgs {
    /// The quarter, such as 2026-Q4; this one when left out.
    pub(crate) quarter: Option<QuarterOf>,
    /// The drill program: the name of a shipped one, or the path of a file that ends in `.yaml`.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) program: String,
    /// A file with public keys to trust, besides the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FindingCommand {
    /// List findings: those that are open or accepted, or all.
    List(FindingListArgs),
    /// Say all that is known of one.
    Show(FindingShowArgs),
    /// Say who sees to one.
    Assign {
        #[command(flatten)]
        which: FindingShowArgs,
        /// Who.
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Say until when one is to be over.
    Due {
        #[command(flatten)]
        which: FindingShowArgs,
        /// The day, such as 2026-12-31.
        #[arg(long, value_name = "DAY")]
        on: Date,
    },
    /// Accept the risk of one, for a time.
    Accept {
        #[command(flatten)]
        which: FindingShowArgs,
        /// Who accepts it.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Until when, that day included, such as 2026-12-31.
        #[arg(long, value_name = "DAY")]
        until: Date,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Say that what an exercise asked for is done; what a drill showed is closed by a later drill.
    Done {
        #[command(flatten)]
        which: FindingShowArgs,
        /// How that is known.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Accept the risk of one no more.
    Withdraw {
        #[command(flatten)]
        which: FindingShowArgs,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Write down why one is so.
    Cause(FindingTextArgs),
    /// Write down the name of its ticket elsewhere.
    Ticket(FindingTextArgs),
    /// Write down anything else.
    Note(FindingTextArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FindingListArgs {
    /// Also those that are closed.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those that are open and past the day on which they were to be over.
    #[arg(long, conflicts_with = "all")]
    pub(crate) overdue: bool,
    /// Only of this scenario. May be repeated.
    #[arg(long = "scenario", value_name = "NAME")]
    pub(crate) scenarios: Vec<String>,
    /// Only on this environment. May be repeated.
    #[arg(long = "env", value_name = "NAME")]
    pub(crate) environments: Vec<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FindingShowArgs {
    /// Id of the finding, or the beginning of one.
    pub(crate) finding: String,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FindingTextArgs {
    #[command(flatten)]
    pub(crate) which: FindingShowArgs,
    /// The text.
    pub(crate) text: String,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The first run: its id, the beginning of one, `last`, or the path of a run directory.
    pub(crate) before: String,
    /// The second run.
    #[arg(default_value = "last")]
    pub(crate) after: String,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What to take in.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) from: Vec<PathBuf>,
    /// A file with public keys to trust, besides the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) run: OneRun,
    /// Also write the writes and read-backs of the run as a history that Jepsen's `set` and `set-full` checkers read.
    #[arg(long, value_name = "FILE")]
    pub(crate) export_edn: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// What was written: a line each, an id in digits, a space, and `ok`, `failed` or `unknown`.
    pub(crate) written: PathBuf,
    /// What was read back, one file a reading in the order of time: a line each, an id, alone or with a space and
    /// `corrupt`. Lost is what the last one lacks.
    #[arg(required = true)]
    pub(crate) found: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The quarter, such as 2026-Q4; this one when left out.
    pub(crate) quarter: Option<QuarterOf>,
    /// The drill program: the name of a shipped one, or the path of a file that ends in `.yaml`.
    #[arg(long, default_value = "lab", value_name = "PROGRAM")]
    pub(crate) program: String,
    /// The file to write, which is replaced as a whole; drdrill-QUARTER.tar.gz when left out.
    #[arg(long, visible_alias = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Pack runs that do not verify, too: README.txt names them before anything else. Without this they are an error.
    #[arg(long)]
    pub(crate) allow_broken: bool,
    /// A file with public keys to trust, besides the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Sign with this Ed25519 key in OpenSSH's format instead of the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Id of the run, the beginning of one, `last`, or the path of a run directory, of a report or of a bundle.
    #[arg(default_value = "last", value_name = "RUN|FILE")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// A file with the public keys to trust, instead of the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Of one run. Its evidence is verified first and never changed.
    Run(ReportRunArgs),
    /// Of a quarter: what a drill program asks for, compared with what was drilled.
    Quarterly(ReportQuarterlyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReportQuarterlyArgs {
    /// The quarter, such as 2026-Q4; this one when left out.
    #[arg(long, value_name = "QUARTER")]
    pub(crate) quarter: Option<QuarterOf>,
    /// The drill program: the name of a shipped one, or the path of a file that ends in `.yaml`.
    #[arg(long, default_value = "lab", value_name = "PROGRAM")]
    pub(crate) program: String,
    /// A file with public keys to trust, besides the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) to: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportRunArgs {
    /// Id of the run, the beginning of one, `last`, or the path of a run directory.
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// A file with public keys to trust, besides the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) to: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// In which format.
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// The file to write, which is replaced as a whole, with its signature beside it in FILE.sig; standard output when
    /// left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Sign with this Ed25519 key in OpenSSH's format instead of the one in the state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page that loads nothing.
    Html,
    /// A4, tagged, with bookmarks. Needs drdrill built with `--features pdf`.
    Pdf,
    /// GitHub's.
    Markdown,
    /// The data itself.
    Json,
    /// One line a result.
    Csv,
    /// `JUnit` XML for CI systems, one test case a result.
    Junit,
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
    /// Runbooks.
    Runbook,
    /// Answers to a tabletop exercise.
    Script,
    /// Backup plans.
    Backup,
    /// Drill programs.
    Program,
    /// The data of a quarterly report (`drdrill history quarter --format json`).
    Quarter,
}
