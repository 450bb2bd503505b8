//! `drdrill toxiproxy` and the programs of the lab.

use std::net::SocketAddr;

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
