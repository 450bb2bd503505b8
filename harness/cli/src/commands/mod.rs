//! One file a command.

mod account;
mod backup;
mod check;
mod completions;
mod doctor;
mod explain;
mod halt;
mod history;
mod keeper;
mod list;
mod recover;
mod run;
mod schema;
mod selftest;
mod servers;
mod show;
mod status;
mod validate;
mod verify;

use drdrill_core::record::Record;
use drdrill_engine::state::StateDir;
use drdrill_reports::Look;

use crate::args::{BackupCommand, Cli, Command, Format, FormatArgs};
use crate::exit::{Code, Failure, Outcome};

/// Runs a command.
pub(crate) fn dispatch(cli: Cli) -> Outcome {
    // A path that stays the same wherever the processes that are told it are started.
    let state = std::path::absolute(&cli.state).unwrap_or(cli.state);
    let state = StateDir::at(state);
    match cli.command {
        Command::Run(args) => {
            halt::refuse_when_halted(&state, &args.drill.env)?;
            run::run(&state, &args)
        }
        Command::List(args) => list::list(args),
        Command::Explain(args) => explain::explain(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::Doctor(args) => Ok(doctor::doctor(&state, &args)?),
        Command::Recover(args) => recover::recover(&state, args),
        Command::Halt(args) => halt::halt(&state, &args),
        Command::Status(args) => status::status(&state, args),
        Command::Selftest(args) => selftest::selftest(args),
        Command::Account(args) => account::account(&args),
        Command::Backup { what: BackupCommand::Verify(args) } => backup::verify(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Check(args) => check::check(&state, &args),
        Command::Verify(args) => verify::verify(&state, &args),
        Command::Show(args) => show::show(&state, &args),
        Command::History(args) => history::history(&state, args),
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
    enough_descriptors().map_err(|error| {
        Failure::new(Code::NotReady, format!("start the async runtime: {error}"))
    })?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::NotReady, format!("start the async runtime: {error}")))
}

/// Where the last free descriptors are gone while a runtime starts, tokio panics instead of saying so (its signal
/// handler wants a pair of sockets). So whether there are enough is seen before: it takes six.
fn enough_descriptors() -> std::io::Result<()> {
    let pair = std::os::unix::net::UnixStream::pair;
    drop((pair()?, pair()?, pair()?));
    Ok(())
}
