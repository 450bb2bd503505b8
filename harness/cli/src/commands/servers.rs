//! `drdrill toxiproxy`, the pauser, the starter, and the programs of the lab.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use drdrill_core::environment::ProcessIdentity;
use drdrill_faults::process::pauser::hold;
use drdrill_faults::process::starter::detach;
use drdrill_faults::toxiproxy::server::Server;

use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// Serves Toxiproxy's API and its proxies, until interrupted or, as a part of the lab, until standard input ends.
pub(crate) fn toxiproxy(listen: SocketAddr) -> Outcome {
    let runtime = super::runtime()?;
    let server = runtime.block_on(Server::start(listen)).map_err(Failure::with(Code::NotReady))?;
    out::line(&format!("ready {}", serde_json::json!({ "api": server.url() })));
    if std::env::var_os(drdrill_environments::lab::MARK).is_some() {
        // The lifeline of the lab: it ends with the harness, however that ends.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        return Ok(Code::Passed);
    }
    runtime
        .block_on(tokio::signal::ctrl_c())
        .map(|()| Code::Passed)
        .map_err(|error| Failure::new(Code::NotReady, format!("listen for signals: {error}")))
}

/// Runs a program of the lab until its standard input ends.
pub(crate) fn lab_node(program: &str, config: &str) -> Outcome {
    let runtime = super::runtime()?;
    runtime
        .block_on(drdrill_lab::node::run(program, config))
        .map(|()| Code::Passed)
        .map_err(|error| Failure::new(Code::NotReady, format!("lab {program}: {error}")))
}

/// Holds the processes that the first line of standard input names, until it ends.
pub(crate) fn pauser() -> Outcome {
    let mut input = BufReader::new(std::io::stdin());
    let mut line = String::new();
    let read = input.read_line(&mut line).map_err(|error| error.to_string());
    let processes: Vec<ProcessIdentity> = read
        .and_then(|_| serde_json::from_str(&line).map_err(|error| error.to_string()))
        .map_err(Failure::with(Code::Usage))?;
    hold(&processes, input, std::io::stdout())
        .map(|()| Code::Passed)
        .map_err(|error| Failure::new(Code::NotReady, format!("hold a process: {error}")))
}

/// Starts a program that outlives drdrill.
pub(crate) fn starter(command: &[OsString]) -> Outcome {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::new(Code::Usage, "name the program to start"))?;
    detach(program, arguments).map(|()| Code::Passed).map_err(Failure::with(Code::NotReady))
}
