//! Real outages of a real server in a process of its own, the truth known on the same clock: the bounds contain it.

mod support;

use std::time::Duration;

use drdrill_core::probe::Connection;
use support::drill::{Drill, Truth, contains, facts, probe};
use support::{ERROR_500, ERROR_IN_200, OK, RESET, Server, pass, serve_if_child};

const EVERY: Duration = Duration::from_millis(5);
const DEADLINE: Duration = Duration::from_millis(900);
const SUSTAINED: Duration = Duration::from_millis(600);
const PATIENCE: Duration = Duration::from_secs(20);
const CHILD: [&str; 3] = ["--exact", "this_is_the_server", "--nocapture"];

/// Not a test: the server's process begins here. Without the variable it does nothing.
#[test]
fn this_is_the_server() {
    serve_if_child();
}

fn server() -> Server {
    Server::start(Server::free_port(), &CHILD)
}

fn begin(port: u16) -> Drill {
    let drill = Drill::start(facts(EVERY, DEADLINE), probe(port, Connection::Fresh), SUSTAINED);
    pass(Duration::from_millis(400));
    drill
}

fn end(mut drill: Drill, truth: Truth) {
    drill.wait_restored(PATIENCE);
    let (record, _) = drill.finish();
    contains(&record, &truth).unwrap();
}

#[test]
fn a_dozen_servers_killed_and_restarted() {
    for round in 0..12 {
        let server = server();
        let port = server.port;
        let mut drill = begin(port);
        let broken = server.kill();
        drill.fault(broken);
        pass(Duration::from_millis(100 + 17 * round));
        let server = Server::start(port, &CHILD);
        end(drill, Truth { broken, back: server.up });
    }
}

#[test]
fn a_server_that_hangs() {
    for round in 0..2 {
        let server = server();
        let mut drill = begin(server.port);
        let broken = server.pause();
        drill.fault(broken);
        // Shorter and longer than the deadline.
        pass(Duration::from_millis(300 + 900 * round));
        let back = server.resume();
        end(drill, Truth { broken, back });
    }
}

fn misbehave(mode: u8) {
    let mut server = server();
    let mut drill = begin(server.port);
    let broken = server.mode(mode);
    drill.fault(broken);
    pass(Duration::from_millis(250));
    let back = server.mode(OK);
    end(drill, Truth { broken, back });
}

#[test]
fn a_server_that_resets() {
    misbehave(RESET);
}

#[test]
fn a_server_that_answers_500() {
    misbehave(ERROR_500);
}

#[test]
fn a_server_that_answers_200_with_an_error_in_it() {
    misbehave(ERROR_IN_200);
}

#[test]
fn a_server_that_flaps() {
    let mut server = server();
    let mut drill = begin(server.port);
    let broken = server.mode(ERROR_500);
    drill.fault(broken);
    for _ in 0..4 {
        pass(Duration::from_millis(80));
        server.mode(OK);
        pass(Duration::from_millis(40));
        server.mode(ERROR_500);
    }
    pass(Duration::from_millis(80));
    let back = server.mode(OK);
    drill.wait_restored(PATIENCE);
    let (record, _) = drill.finish();
    contains(&record, &Truth { broken, back }).unwrap();
    assert!(record.services[0].flaps >= 2, "{:?}", record.services[0]);
}
