//! Runs one program of the lab: `drdrill-lab-node <program> <config JSON>`.

use std::process::ExitCode;

/// The program ran and its standard input ended.
const ENDED: u8 = 0;
/// The program could not start or go on.
const FAILED: u8 = 1;
/// The command line is not `<program> <config JSON>`.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, config] = arguments.as_slice() else {
        eprintln!(
            "usage: drdrill-lab-node <{}> <config JSON>",
            drdrill_lab::node::PROGRAMS.join("|")
        );
        return USAGE.into();
    };
    match drdrill_lab::node::run(program, config).await {
        Ok(()) => ENDED.into(),
        Err(error) => {
            eprintln!("drdrill-lab-node {program}: {error}");
            FAILED.into()
        }
    }
}
