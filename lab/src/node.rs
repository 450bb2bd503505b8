//! What every program of the lab has in common.
//!
//! - It prints exactly one line on standard output when it works: `ready <JSON>`, with the
//!   addresses that it listens on. Port 0 in a configuration lets the kernel choose.
//! - Its log goes to standard error.
//! - It ends at once, with exit code 0, when its standard input ends. The starter holds the other
//!   end of that pipe, so no program outlives its starter, however the starter dies.
//! - `die_with_starting_thread` also asks the kernel for SIGKILL when the *thread* that started it
//!   ends. That reaches even a stopped process, but only a thread that lives as long as the starter
//!   may set it: one of a pool (`spawn_blocking`) ends earlier and would take the program along.

mod error;
mod lifeline;
mod listen;
mod log;
mod signals;
mod time;

use serde::Deserialize;
use serde_json::Value;

pub use error::LabError;
pub(crate) use lifeline::hold_lifeline;
pub(crate) use listen::{listen, ready, serve};
pub(crate) use log::log;
pub(crate) use signals::survive_refused_writes;
pub(crate) use time::now_ms;

use crate::{auth, backup, bystander, gateway, service, worker};

/// The names of the programs, as [`run`] takes them.
pub const PROGRAMS: [&str; 6] = ["service", "worker", "backup", "auth", "gateway", "bystander"];

/// Runs one program of the lab until its standard input ends.
///
/// `program` is one of [`PROGRAMS`]; `config` is that program's configuration as JSON, or `-` for the first line of
/// standard input: anybody on the machine can read a command line, and configurations carry secrets.
/// The command line of the calling process must end in these two arguments, because the worker
/// starts jobs through a copy of its own executable (program `job`, see [`worker`]).
///
/// # Errors
///
/// When the program is unknown, its configuration is not valid, or it cannot start.
pub async fn run(program: &str, config: &str) -> Result<(), LabError> {
    let mut line = String::new();
    let config = if config == "-" {
        // The lifeline reads on behind this line, through the same buffer.
        std::io::stdin()
            .read_line(&mut line)
            .map_err(LabError::io("read the configuration from standard input"))?;
        line.as_str()
    } else {
        config
    };
    match program {
        "service" => service::run(parse(program, config)?).await,
        "worker" => worker::run(parse(program, config)?).await,
        "backup" => backup::run(parse(program, config)?).await,
        "auth" => auth::run(parse(program, config)?).await,
        "gateway" => gateway::run(parse(program, config)?).await,
        "bystander" => bystander::run(parse(program, config)?).await,
        worker::JOB_PROGRAM => Err(worker::become_job(&parse(program, config)?)),
        unknown => Err(LabError::UnknownProgram { program: unknown.to_owned() }),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(program: &str, config: &str) -> Result<T, LabError> {
    serde_json::from_str(config)
        .map_err(|source| LabError::Config { program: program.to_owned(), source })
}

/// What a ready line says about the process itself.
pub(crate) fn ready_fields(program: &str) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("program".to_owned(), program.into());
    fields.insert("pid".to_owned(), std::process::id().into());
    fields
}
