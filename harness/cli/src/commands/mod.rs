//! One file a command.

mod account;
mod backup;
mod bundle;
mod check;
mod completions;
mod doctor;
mod env_build;
mod explain;
mod finding;
mod halt;
mod history;
mod keeper;
mod list;
mod recover;
mod report;
mod run;
mod runbook;
mod schema;
mod selftest;
mod series;
mod servers;
mod show;
mod standing;
mod status;
mod tabletop;
mod validate;
mod verify;

use std::io;
use std::os::unix::net::UnixStream;

use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::Look;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::args::{BackupCommand, Cli, Command, EnvCommand, Format, FormatArgs, ReportCommand};
use crate::exit::{Code, Failure, Outcome};

/// Runs a command.
pub(crate) fn dispatch(cli: Cli) -> Outcome {
    // A path that stays the same wherever the processes that are told it are started.
    let state = std::path::absolute(&cli.state).unwrap_or(cli.state);
    let state = StateDir::at(state);
    match cli.command {
        Command::Run(args) => series::run(&state, &args),
        Command::List(args) => list::list(args),
        Command::Tabletop(args) => tabletop::tabletop(&state, &args),
        Command::Explain(args) => explain::explain(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::Doctor(args) => Ok(doctor::doctor(&state, &args)?),
        Command::Recover(args) => recover::recover(&state, args),
        Command::Halt(args) => halt::halt(&state, &args),
        Command::Status(args) => status::status(&state, args),
        Command::Env { what: EnvCommand::Up(args) } => standing::up(&state, &args),
        Command::Env { what: EnvCommand::Status(args) } => standing::status(&state, &args),
        Command::Env { what: EnvCommand::Down(args) } => standing::down(&state, &args),
        Command::Env { what: EnvCommand::Build(args) } => env_build::build(&state, &args),
        Command::Failover(args) => standing::failover(&state, &args),
        Command::Failback(args) => standing::failback(&state, &args),
        Command::Selftest(args) => selftest::selftest(args),
        Command::Account(args) => account::account(&args),
        Command::Backup { what: BackupCommand::Run(args) } => backup::run::run(&state, &args),
        Command::Backup { what: BackupCommand::List(args) } => backup::list::list(&args),
        Command::Backup { what: BackupCommand::Verify(args) } => backup::verify(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Check(args) => check::check(&state, &args),
        Command::Verify(args) => verify::verify(&state, &args),
        Command::Bundle(args) => bundle::bundle(&state, &args),
        Command::Show(args) => show::show(&state, &args),
        Command::Report { what: ReportCommand::Run(args) } => report::run(&state, &args),
        Command::History(args) => history::history(&state, &args),
        Command::Finding { what } => finding::finding(&state, &what),
        Command::Report { what: ReportCommand::Quarterly(args) } => {
            report::quarterly(&state, &args)
        }
        Command::Schema { of } => Ok(schema::schema(of)),
        Command::Completions { shell } => Ok(completions::completions(shell)),
        Command::Toxiproxy { listen } => servers::toxiproxy(listen),
        Command::Keeper { run, detached: false } => keeper::detach(&state, &run),
        Command::Keeper { run, detached: true } => keeper::keeper(&state, &run),
        Command::Pauser => servers::pauser(),
        Command::Starter { command } => servers::starter(&command),
        Command::LabNode { program, config } => servers::lab_node(&program, &config),
    }
}

/// Prints a record as the reader wants it: the table on a terminal, plain lines in a pipe, or JSON.
fn print_record(record: &Record, report: Option<&std::path::Path>, format: FormatArgs) {
    if format.format == Format::Json {
        crate::out::json(record);
        return;
    }
    let terminal = console::Term::stdout();
    let look = if terminal.is_term() {
        Look::terminal(terminal.size().1.into(), console::colors_enabled())
    } else {
        Look::plain()
    };
    crate::out::print(&drdrill_reports::summary_table(record, look, report));
}

/// An async runtime for commands that need one.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // The command itself runs on the main thread; this one serves what it starts beside itself, such as the health
    // monitor and the watch for interrupts. The probes have a thread of their own.
    enough_descriptors(RUNTIME_DESCRIPTORS, "the async runtime")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::NotReady, format!("start the async runtime: {error}")))
}

/// Descriptors that a runtime takes while it starts. Where the last ones go meanwhile, tokio panics instead of saying so
/// (its signal handler wants a pair of sockets).
const RUNTIME_DESCRIPTORS: u64 = 6;

/// Whether so many more files may be open at once: what would fail in the middle is better said before.
fn enough_descriptors(needed: u64, by: &str) -> Result<(), Failure> {
    let pairs: io::Result<Vec<_>> = (0..needed.div_ceil(2)).map(|_| UnixStream::pair()).collect();
    let Err(error) = pairs else { return Ok(()) };
    if error.raw_os_error() != Some(Errno::EMFILE as i32) {
        return Err(Failure::new(Code::NotReady, format!("open files for {by}: {error}")));
    }
    let most = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft.to_string());
    let most = most.unwrap_or_else(|_| "too few".to_owned());
    let message = format!(
        "this process may have only {most} files open at once (EMFILE), and {by} needs {needed} more than are open: raise \
         the limit (ulimit -n)"
    );
    Err(Failure::new(Code::NotReady, message))
}
