//! Probes of `PostgreSQL`: what each way to fail means, against servers that fail in that way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod databases {
    mod drills;
}
mod support {
    pub(crate) mod postgres;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::future::Future;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::environment::FoundWrites;
use drdrill_core::postgres::{PostgresCall, Server, Statement, Tls};
use drdrill_core::probe::{Call, Connection, Probe, Purpose};
use drdrill_core::sample::Outcome;
use drdrill_core::secret::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::postgres::{PASSWORD, Postgres, TABLE, own, rows};
use support::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn probe(call: &Call, purpose: Purpose, connection: Connection) -> Arc<dyn Probe> {
    drdrill_measure::probe(call, purpose, connection).unwrap()
}

fn writer(server: &Postgres) -> Arc<dyn Probe> {
    probe(&server.insert(), Purpose::Write, Connection::Fresh)
}

/// Kind and text of an outcome.
fn said(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Ok => ("ok", ""),
        Outcome::Failed(text) => ("failed", text),
        Outcome::Unknown(text) => ("unknown", text),
        Outcome::ProberError(text) => ("prober_error", text),
    }
}

#[track_caller]
fn is(outcome: &Outcome, kind: &str, words: &str) {
    let (is, text) = said(outcome);
    assert!(is == kind && text.contains(words), "expected {kind} {words:?}: {outcome:?}");
    assert!(!text.contains(PASSWORD), "{text}");
}

/// How many rows the server has of this number, as psql counts them.
fn count(server: &Postgres, seq: u64) -> String {
    server.psql(&format!("SELECT count(*) FROM {TABLE} WHERE seq = {seq}"))
}

fn read_back(server: &Postgres, address: &str) -> FoundWrites {
    let table = drdrill_measure::write_table(&server.server(), &rows()).unwrap();
    run(table.read_all(address)).unwrap()
}

/// Whatever answers these words of SQL.
#[track_caller]
fn wait_for(server: &Postgres, sql: &str) -> String {
    until(sql, PATIENCE, || Some(server.psql(sql)).filter(|answer| !answer.is_empty()))
}

/// The session of a probe that waits for something of that kind.
#[track_caller]
fn session_waiting_for(server: &Postgres, kind: &str) -> i32 {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'drdrill' AND wait_event LIKE '{kind}'"
    );
    wait_for(server, &sql).parse().unwrap()
}

#[test]
fn rows_are_written_read_and_read_back() {
    let server = Postgres::start().with_table();
    let newest = server.call(Statement::Newest(rows()));
    run(async {
        for connection in [Connection::Fresh, Connection::Kept] {
            let read = probe(&newest, Purpose::Read, connection);
            is(&read.attempt(0).await, "ok", "");
            let from = if connection == Connection::Fresh { 0 } else { 10 };
            let write = probe(&server.insert(), Purpose::Write, connection);
            for sequence in from..from + 10 {
                is(&write.attempt(sequence).await, "ok", "");
                is(&read.attempt(sequence).await, "ok", "");
            }
        }
    });
    let found = read_back(&server, &server.address);
    assert_eq!(found.present.to_string(), "0-19");
    assert!(found.corrupt.is_empty() && found.duplicate.is_empty() && found.phantom.is_empty());
    // Rows of other drills are not ours.
    server.psql(&format!(
        "INSERT INTO {TABLE} SELECT 'other', seq, id, client, checksum, payload FROM {TABLE}"
    ));
    server.psql(&format!("DELETE FROM {TABLE} WHERE drill = 'test' AND seq IN (3, 4, 5)"));
    server.psql(&format!("UPDATE {TABLE} SET payload = 'x' WHERE drill = 'test' AND seq = 19"));
    server.psql(&format!("UPDATE {TABLE} SET seq = -1 WHERE drill = 'test' AND seq = 0"));
    let found = read_back(&server, &server.address);
    assert_eq!(found.present.to_string(), "1-2,6-19");
    assert_eq!(found.corrupt.to_string(), "19");
    assert_eq!(found.phantom, ["-1 test-0"]);
    let read = probe(&newest, Purpose::Read, Connection::Fresh);
    is(&run(read.attempt(0)), "failed", "not whole");
}

#[test]
fn queries_are_answered_in_transactions_that_only_read() {
    let server = Postgres::start().with_table();
    let ask = |query: &str, answers: Option<&str>| {
        let statement =
            Statement::Select { query: query.to_owned(), answers: answers.map(str::to_owned) };
        run(probe(&server.call(statement), Purpose::Read, Connection::Fresh).attempt(0))
    };
    is(&ask("SELECT 6 * 7", Some("42")), "ok", "");
    is(&ask("SELECT 6 * 7", Some("43")), "failed", "something else");
    is(&ask("SELECT 1 WHERE false", Some("1")), "failed", "nothing");
    is(&ask("SELECT 1 WHERE false", None), "ok", "");
    is(&ask("SELECT nonsense", None), "failed", "42703");
    is(&ask(&format!("DELETE FROM {TABLE}"), None), "failed", "25006");
    // The comment ends with its line: the transaction is over when the next attempt comes.
    let query = "SELECT 1 -- alive".to_owned();
    let statement = Statement::Select { query, answers: Some("1".to_owned()) };
    let kept = probe(&server.call(statement), Purpose::Read, Connection::Kept);
    run(async {
        for attempt in 0..3 {
            is(&kept.attempt(attempt).await, "ok", "");
        }
    });
}

#[test]
fn nobody_there_is_a_certain_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let server = Server {
        address,
        database: "postgres".to_owned(),
        user: "drdrill".to_owned(),
        password: None,
        tls: Tls::Prefer,
        ca: None,
    };
    let call =
        Call::Postgres(Box::new(PostgresCall { server, statement: Statement::Insert(rows()) }));
    is(&run(probe(&call, Purpose::Write, Connection::Fresh).attempt(0)), "failed", "refused");
}

#[test]
fn whoever_is_not_let_in_has_done_nothing() {
    let server = Postgres::start_with("max_connections = 3\nmax_wal_senders = 0").with_table();
    let with = |change: &dyn Fn(&mut Server)| {
        let mut other = server.server();
        change(&mut other);
        let statement = Statement::Insert(rows());
        let call = Call::Postgres(Box::new(PostgresCall { server: other, statement }));
        run(probe(&call, Purpose::Write, Connection::Fresh).attempt(0))
    };
    let wrong = Secret::new("not the password".to_owned()).unwrap();
    is(&with(&|server| server.password = Some(wrong.clone())), "failed", "28P01");
    is(&with(&|server| server.password = None), "failed", "password missing");
    is(&with(&|server| server.database = "nowhere".to_owned()), "failed", "3D000");
    // All connections are taken by others, in the end.
    let (mut sequences, mut sleepers) = (1.., Vec::new());
    let full = until("all connections are taken", PATIENCE, || {
        sleepers.push(Sleeper::new(&server, "SELECT pg_sleep(60)"));
        let outcome = run(writer(&server).attempt(sequences.next()?));
        (!outcome.is_ok()).then_some(outcome)
    });
    is(&full, "failed", "53300");
    drop(sleepers);
}

/// A session of somebody else.
struct Sleeper(Child);

impl Sleeper {
    fn new(server: &Postgres, sql: &str) -> Self {
        Self(server.psql_command(sql).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_standby_reads_and_refuses_writes_for_certain() {
    let primary = Postgres::start().with_table();
    is(&run(writer(&primary).attempt(0)), "ok", "");
    let standby = primary.standby("copy");
    is(&run(writer(&standby).attempt(1)), "failed", "25006");
    let newest = probe(&standby.call(Statement::Newest(rows())), Purpose::Read, Connection::Fresh);
    is(&run(newest.attempt(0)), "ok", "");
    // The copy is read by its own address, with the login of the primary.
    assert_eq!(read_back(&primary, &standby.address).present.to_string(), "0");
    is(&run(writer(&primary).attempt(2)), "ok", "");
    until("the standby has it too", PATIENCE, || {
        (read_back(&primary, &standby.address).present.to_string() == "0,2").then_some(())
    });
    // Afterwards it decides, and takes writes.
    standby.psql("SELECT pg_promote()");
    is(&run(writer(&standby).attempt(3)), "ok", "");
    assert_eq!(read_back(&primary, &standby.address).present.to_string(), "0,2-3");
    assert_eq!(read_back(&primary, &primary.address).present.to_string(), "0,2");
}

#[test]
fn a_wait_for_a_standby_that_is_cancelled_is_no_acknowledgement() {
    let server = Postgres::start().with_table();
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.psql("SELECT pg_reload_conf()");
    until("the setting holds", PATIENCE, || {
        (server.psql("SHOW synchronous_standby_names") == "nobody").then_some(())
    });
    for (sequence, connection) in [(1, Connection::Fresh), (2, Connection::Kept)] {
        let write = probe(&server.insert(), Purpose::Write, connection);
        let outcome = std::thread::scope(|scope| {
            let attempt = scope.spawn(|| run(write.attempt(sequence)));
            let pid = session_waiting_for(&server, "SyncRep");
            assert_eq!(server.psql(&format!("SELECT pg_cancel_backend({pid})")), "t");
            attempt.join().unwrap()
        });
        is(&outcome, "unknown", "canceling wait for synchronous replication due to user request");
        // Committed here, and nowhere else: whoever calls that acknowledged counts it as lost after a failover.
        assert_eq!(count(&server, sequence), "1");
    }
    // The same, and the session is ended.
    let outcome = std::thread::scope(|scope| {
        let attempt = scope.spawn(|| run(writer(&server).attempt(3)));
        let pid = session_waiting_for(&server, "SyncRep");
        assert_eq!(server.psql(&format!("SELECT pg_terminate_backend({pid})")), "t");
        attempt.join().unwrap()
    });
    is(&outcome, "unknown", "");
    assert_eq!(count(&server, 3), "1");
    // One that a standby has is acknowledged.
    let standby = server.standby("nobody");
    is(&run(writer(&server).attempt(4)), "ok", "");
    assert_eq!(count(&standby, 4), "1");
}

#[test]
fn an_answer_that_is_lost_leaves_everything_open() {
    let server = Postgres::start().with_table();
    // Sent, and held up before it can be done.
    let lock = format!("BEGIN; LOCK TABLE {TABLE}; SELECT pg_sleep(60)");
    for (signal, kind, words) in [
        // The server ends all sessions when one was killed; it may say so.
        (Some(Signal::SIGKILL), "unknown", ""),
        // It says that it was ended; whether before or after the commit, it need not know.
        (None, "unknown", "57P01"),
    ] {
        let lock = Sleeper::new(&server, &lock);
        wait_for(&server, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        let outcome = std::thread::scope(|scope| {
            let attempt = scope.spawn(|| run(writer(&server).attempt(1)));
            let pid = session_waiting_for(&server, "relation");
            match signal {
                Some(signal) => kill(Pid::from_raw(pid), signal).unwrap(),
                None => {
                    assert_eq!(server.psql(&format!("SELECT pg_terminate_backend({pid})")), "t");
                }
            }
            attempt.join().unwrap()
        });
        is(&outcome, kind, words);
        drop(lock);
        // Of a client that is gone a server knows only when it answers.
        let _ = server.try_psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        );
        until("the server is itself again", PATIENCE, || server.try_psql("SELECT 1").ok());
    }
    // An id that is there although it is sent once was sent twice by somebody on the way.
    is(&run(writer(&server).attempt(7)), "ok", "");
    is(&run(writer(&server).attempt(7)), "unknown", "23505");
    // Any other violation is a certain failure.
    server.psql(&format!("ALTER TABLE {TABLE} ADD CHECK (seq <> 8)"));
    is(&run(writer(&server).attempt(8)), "failed", "23514");
}

#[test]
fn a_server_that_stands_still_may_do_later_what_it_was_asked() {
    let server = Postgres::start().with_table();
    let write = probe(&server.insert(), Purpose::Write, Connection::Kept);
    let stopped = run(async {
        is(&write.attempt(0).await, "ok", "");
        let pid =
            server.psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'drdrill'");
        let stopped = Pid::from_raw(pid.parse().unwrap());
        kill(stopped, Signal::SIGSTOP).unwrap();
        // What the sampler does at the deadline, and calls unknown.
        let cut_off = tokio::time::timeout(Duration::from_millis(300), write.attempt(1)).await;
        assert!(cut_off.is_err(), "{cut_off:?}");
        stopped
    });
    assert_eq!(count(&server, 1), "0");
    kill(stopped, Signal::SIGCONT).unwrap();
    until("the row is there after all", PATIENCE, || (count(&server, 1) == "1").then_some(()));
}

#[test]
fn a_kept_connection_notices_a_restart_once_and_for_certain() {
    let server = Postgres::start().with_table();
    let write = probe(&server.insert(), Purpose::Write, Connection::Kept);
    // The connection lives on between the attempts as in a drill: in one runtime.
    run(async {
        is(&write.attempt(0).await, "ok", "");
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'drdrill'";
        is(&write.attempt(1).await, "ok", "");
        assert_eq!(server.psql(sessions), "1");
        // Told to shut down, the server says good-bye (57P01) to sessions that are idle.
        server.stop(Signal::SIGINT);
        server.start_again();
        // Whatever came meanwhile is read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        is(&write.attempt(2).await, "failed", "the kept connection was ended: FATAL 57P01");
        is(&write.attempt(3).await, "ok", "");
        assert_eq!(server.psql(sessions), "1");
    });
    assert_eq!(read_back(&server, &server.address).present.to_string(), "0-1,3");
}

#[test]
fn a_server_that_starts_up_has_done_nothing() {
    let server = Postgres::start().with_table();
    let standby = server.standby("copy");
    standby.stop(Signal::SIGINT);
    // It lets nobody in before it has what it is told to wait for.
    fs::write(standby.path("data/standby.signal"), "").unwrap();
    own(&standby.path("data/standby.signal"));
    let settings = fs::read_to_string(standby.path("data/postgresql.conf")).unwrap();
    fs::write(standby.path("data/postgresql.conf"), settings + "hot_standby = off\n").unwrap();
    assert!(Command::new("setsid").arg("-f").arg(standby.script()).status().unwrap().success());
    let outcome = until("it starts", PATIENCE, || {
        let outcome = run(writer(&standby).attempt(0));
        said(&outcome).1.contains("57P03").then_some(outcome)
    });
    is(&outcome, "failed", "57P03");
}

#[test]
fn encryption_is_as_strict_as_it_was_asked_for() {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.self_signed(&key).unwrap();
    let plain = Postgres::start();
    let server = Postgres::start();
    for (name, text) in [("key", key.serialize_pem()), ("certificate", certificate.pem())] {
        let path = server.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        own(&path);
    }
    let path = |name| server.path(name).display().to_string();
    server.psql(&format!("ALTER SYSTEM SET ssl_key_file = '{}'", path("key")));
    server.psql(&format!("ALTER SYSTEM SET ssl_cert_file = '{}'", path("certificate")));
    server.psql("ALTER SYSTEM SET ssl = on");
    server.psql("SELECT pg_reload_conf()");
    until("the setting holds", PATIENCE, || (server.psql("SHOW ssl") == "on").then_some(()));
    let ask = |server: &Postgres, tls: Tls, host: &str, ca: Option<&str>| {
        let mut to = server.server();
        to.address = to.address.replace("127.0.0.1", host);
        to.tls = tls;
        to.ca = ca.map(|name| server.path(name));
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()".to_owned();
        let answers = |yes: &str| Some(yes.to_owned());
        let with = |answers| Statement::Select { query: query.clone(), answers };
        let call = |answers| {
            Call::Postgres(Box::new(PostgresCall { server: to.clone(), statement: with(answers) }))
        };
        let once =
            |answers| run(probe(&call(answers), Purpose::Read, Connection::Fresh).attempt(0));
        (once(answers("t")), once(answers("f")))
    };
    for (tls, host, ca) in [
        (Tls::Prefer, "127.0.0.1", None),
        (Tls::Require, "127.0.0.1", None),
        (Tls::VerifyFull, "localhost", Some("certificate")),
    ] {
        is(&ask(&server, tls, host, ca).0, "ok", "");
    }
    is(&ask(&server, Tls::Disable, "127.0.0.1", None).1, "ok", "");
    is(&ask(&plain, Tls::Prefer, "127.0.0.1", None).1, "ok", "");
    is(&ask(&plain, Tls::Require, "127.0.0.1", None).0, "failed", "does not support TLS");
    // Right certificate, wrong name.
    let outcome = ask(&server, Tls::VerifyFull, "127.0.0.1", Some("certificate")).0;
    is(&outcome, "failed", "certificate");
    // Right name, and nobody who vouches for it.
    let other = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let other = other.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    fs::write(server.path("other"), other.pem()).unwrap();
    let outcome = ask(&server, Tls::VerifyFull, "localhost", Some("other")).0;
    is(&outcome, "failed", "certificate");
}

#[test]
fn a_table_is_created_only_when_that_is_asked_for() {
    let server = Postgres::start();
    let table = drdrill_measure::write_table(&server.server(), &rows()).unwrap();
    let refused = run(table.prepare(false)).unwrap_err().to_string();
    assert!(refused.contains("42P01") && refused.contains("CREATE TABLE"), "{refused}");
    assert!(run(table.prepare(true)).unwrap());
    assert!(!run(table.prepare(true)).unwrap() && !run(table.prepare(false)).unwrap());
    is(&run(writer(&server).attempt(0)), "ok", "");
    // What the error says to type is what drdrill types.
    let by_hand = refused.split("by hand: ").nth(1).unwrap();
    server.psql(&format!("DROP TABLE {TABLE}"));
    server.psql(by_hand);
    assert!(!run(table.prepare(false)).unwrap());
    server.psql(&format!("ALTER TABLE {TABLE} DROP COLUMN checksum"));
    let refused = run(table.prepare(true)).unwrap_err().to_string();
    assert!(refused.contains("42703"), "{refused}");
}
