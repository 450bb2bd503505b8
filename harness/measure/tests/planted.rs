//! Real outages of a real server in a process of its own, the truth known on the same clock: the bounds contain it.

#![expect(clippy::unwrap_used, reason = "what cannot go on stops")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use drdrill_core::probe::{Connection, Purpose};
use drdrill_core::sample::Outcome;
use drdrill_measure::HttpProbe;
use support::drill::{Drill, Truth, contains, facts, probe};
use support::{ERROR_500, ERROR_IN_200, HOLD, OK, RESET, Server, pass, serve_if_child};

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
    assert_eq!(contains(&record, &truth).err(), None);
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

/// Outcomes of a stream of writes or reads, first while answers are held, then once the server was killed.
fn outcomes(purpose: Purpose, connection: Connection) -> (Vec<Outcome>, Vec<Outcome>) {
    let mut server = server();
    let url = format!("http://127.0.0.1:{}/w/{{sequence}}", server.port);
    let probe = HttpProbe::new("PUT", &url).unwrap().purpose(purpose).connection(connection);
    let probe = Arc::new(probe.body_template("value {sequence}"));
    let mut drill = Drill::start(facts(EVERY, DEADLINE), probe, SUSTAINED);
    pass(Duration::from_millis(150));
    let held = server.mode(HOLD);
    pass(Duration::from_millis(150));
    let gone = server.kill();
    drill.fault(gone);
    let origin = drill.origin();
    pass(Duration::from_millis(150));
    let (_, samples) = drill.finish();
    let between = |from: u64, to: u64| {
        let own = samples.iter().filter(|sample| {
            let sent = sample.sent.0 + origin;
            sent > from && sent < to && !matches!(sample.outcome, Outcome::ProberError(_))
        });
        own.map(|sample| sample.outcome.clone()).collect::<Vec<_>>()
    };
    (between(held.1, gone.0), between(gone.1, u64::MAX))
}

#[test]
fn an_answer_that_is_lost_leaves_a_write_open_and_fails_a_read() {
    for connection in [Connection::Fresh, Connection::Kept] {
        let (held, refused) = outcomes(Purpose::Write, connection);
        assert!(held.len() > 5 && refused.len() > 5, "{} and {}", held.len(), refused.len());
        assert!(held.iter().all(|outcome| matches!(outcome, Outcome::Unknown(_))), "{held:?}");
        assert!(refused.iter().all(|outcome| matches!(outcome, Outcome::Failed(_))), "{refused:?}");
        let (held, _) = outcomes(Purpose::Read, connection);
        assert!(held.iter().all(|outcome| matches!(outcome, Outcome::Failed(_))), "{held:?}");
    }
}

#[test]
fn a_kept_connection_is_opened_anew_after_a_failure() {
    let first = server();
    let port = first.port;
    let probe = probe(port, Connection::Kept);
    let mut drill = Drill::start(facts(EVERY, DEADLINE), probe, SUSTAINED);
    pass(Duration::from_millis(300));
    let broken = first.kill();
    drill.fault(broken);
    pass(Duration::from_millis(100));
    let second = Server::start(port, &CHILD);
    end(drill, Truth { broken, back: second.up });
}
