//! A container engine that dies in the middle of a drill, and one that hangs.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::drill::Drill;
use crate::support::record::record;
use crate::support::sandbox::Sandbox;
use crate::support::wait::alone;
use crate::{all_is_gone, of_engine, ready};

/// The machine's engine.
const ENGINE: &str = "/var/run/docker.sock";

/// What is between drdrill and the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
    /// The engine.
    There,
    /// A socket that nobody listens at any more, as one that was killed leaves it.
    Dead,
    /// A socket that takes connections and answers nothing.
    Hanging,
}

/// A socket behind which the engine can die without any other drill noticing.
struct Engine {
    socket: PathBuf,
    state: Arc<Mutex<(Is, Vec<UnixStream>)>>,
}

impl Engine {
    fn new(sandbox: &Sandbox) -> Self {
        let socket = sandbox.path("engine.sock");
        let engine = Self { socket, state: Arc::new(Mutex::new((Is::There, Vec::new()))) };
        engine.listen();
        engine
    }

    fn listen(&self) {
        let _ = fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let state = self.state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut state = state.lock().unwrap();
                state.1.push(client.try_clone().unwrap());
                match state.0 {
                    Is::There => {
                        let engine = UnixStream::connect(ENGINE).unwrap();
                        state.1.push(engine.try_clone().unwrap());
                        pass(client.try_clone().unwrap(), engine.try_clone().unwrap());
                        pass(engine, client);
                    }
                    Is::Dead => return,
                    // It is held, and not read.
                    Is::Hanging => {}
                }
            }
        });
    }

    /// All connections end with it.
    fn becomes(&self, is: Is) {
        let mut state = self.state.lock().unwrap();
        let before = std::mem::replace(&mut state.0, is);
        for stream in state.1.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        if is == Is::Dead {
            // Wakes the listener, which ends.
            let _ = UnixStream::connect(&self.socket);
        }
        if before == Is::Dead {
            self.listen();
        }
    }

    fn command(&self, sandbox: &Sandbox, arguments: &str) -> Command {
        let mut command = sandbox.command(arguments);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        command
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

/// A drill whose fault can only be taken back by the engine, which starts the container again.
const DRILL: &str = "scenario: worker_killed
title: The worker of the DR site is killed
kind: simulated
tags: [process]
probes: { every: 50ms, deadline: 900ms }
faults:
  - at: 1s
    inject: { process_kill: { on: dr, component: worker } }
recovery: { failover: refrain, give_up_after: 1min }
soak: 1s
";

#[test]
fn an_engine_that_dies_in_a_drill_leaves_what_recover_removes_when_it_is_back() {
    let _alone = alone();
    let sandbox = ready();
    let engine = Engine::new(&sandbox);
    fs::write(sandbox.path("worker.yaml"), DRILL).unwrap();
    let run = "run worker.yaml --env docker --format json";
    let mut drill = Drill::start(engine.command(&sandbox, run));
    drill.says("  in effect: ");
    engine.becomes(Is::Dead);
    let outcome = drill.end().exits(12);
    assert!(outcome.stderr.contains("the container engine does not answer"), "{outcome:?}");
    let left = record(&outcome)["leftovers"].to_string();
    assert!(left.contains(r#""kind":"environment""#), "{left}");
    // What is known is kept, and is what it was.
    sandbox.run("verify").exits(0);
    assert!(!of_engine(&sandbox).is_empty());
    // Without a word where the engine is: the ledger knows, and believes no other one.
    engine.becomes(Is::Hanging);
    let still = sandbox.run("recover").exits(12);
    assert!(still.stdout.contains("no container engine answers at unix://"), "{still:?}");
    engine.becomes(Is::There);
    sandbox.run("recover").exits(0);
    all_is_gone(&sandbox);
}
