//! Probes of Redis and of name servers: what each way to fail means, against servers that fail in that way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod server;
}

use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use drdrill_core::dns::DnsCall;
use drdrill_core::dns::RecordKind::{self, A, Aaaa, Cname, Txt};
use drdrill_core::probe::{Call, Connection, Probe, Purpose};
use drdrill_core::redis::{Command, RedisCall};
use drdrill_core::sample::Outcome;
use drdrill_core::secret::Secret;
use nix::sys::signal::Signal;
use support::record::record;
use support::sandbox::{Outcome as Ended, Sandbox};
use support::server::{Server, until};

const PASSWORD: &str = "open sesame, please";

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[track_caller]
fn is(outcome: &Outcome, kind: &str, words: &str) {
    let (is, text) = match outcome {
        Outcome::Ok => ("ok", ""),
        Outcome::Failed(text) => ("failed", &**text),
        Outcome::Unknown(text) => ("unknown", &**text),
        Outcome::ProberError(text) => ("prober_error", &**text),
    };
    assert!(is == kind && text.contains(words), "expected {kind} {words:?}: {outcome:?}");
    assert!(!text.contains(PASSWORD), "{text}");
}

/// A Redis server that asks for a password.
fn redis(more: &[&str]) -> Server {
    let server = Server::of("/usr/bin/redis-server", |port| {
        let own = ["--bind", "127.0.0.1", "--port", port, "--save", "", "--requirepass", PASSWORD];
        own.iter().chain(more).map(|&word| word.to_owned()).collect()
    });
    server.until_it_answers();
    until("redis is there", || cli(&server, &["PING"]) == "PONG");
    server
}

/// What redis-cli prints.
fn cli(server: &Server, words: &[&str]) -> String {
    let output = std::process::Command::new("/usr/bin/redis-cli")
        .args(["-p", server.port(), "--no-auth-warning", "-a", PASSWORD])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn asks(server: &Server, command: Command) -> RedisCall {
    RedisCall {
        address: server.address(),
        user: None,
        password: Some(Secret::new(PASSWORD.to_owned()).unwrap()),
        database: 0,
        command,
    }
}

fn probe(call: &RedisCall, connection: Connection) -> Arc<dyn Probe> {
    let writes = matches!(call.command, Command::Set { .. });
    let purpose = if writes { Purpose::Write } else { Purpose::Read };
    drdrill_measure::probe(&Call::Redis(Box::new(call.clone())), purpose, connection).unwrap()
}

fn set() -> Command {
    Command::Set { prefix: "drdrill".to_owned(), drill: "test".to_owned(), expires_s: 600 }
}

fn get(key: &str, answers: Option<&str>) -> Command {
    Command::Get { key: key.to_owned(), answers: answers.map(str::to_owned) }
}

#[test]
fn keys_are_set_once_and_read() {
    let server = redis(&[]);
    let once = |call: &RedisCall| run(probe(call, Connection::Fresh).attempt(1));
    is(&once(&asks(&server, Command::Ping)), "ok", "");
    is(&once(&asks(&server, set())), "ok", "");
    assert_eq!(cli(&server, &["GET", "drdrill:test:1"]), "1");
    let expires: u64 = cli(&server, &["TTL", "drdrill:test:1"]).parse().unwrap();
    assert!((500..=600).contains(&expires), "{expires}");
    is(&once(&asks(&server, set())), "unknown", "there already");
    is(&once(&asks(&server, get("drdrill:test:1", Some("1")))), "ok", "");
    is(&once(&asks(&server, get("drdrill:test:1", Some("2")))), "failed", "something else");
    is(&once(&asks(&server, get("drdrill:test:2", None))), "failed", "no such key");
    let other = RedisCall { database: 3, ..asks(&server, set()) };
    is(&once(&other), "ok", "");
    assert_eq!(cli(&server, &["-n", "3", "GET", "drdrill:test:1"]), "1");
    // A value longer than what is read at once.
    let long = "x".repeat(100_000);
    cli(&server, &["SET", "long", &long]);
    is(&once(&asks(&server, get("long", Some(&long)))), "ok", "");
}

#[test]
fn a_redis_server_that_refuses_has_done_nothing() {
    let server = redis(&[]);
    let once = |call: &RedisCall, sequence| run(probe(call, Connection::Fresh).attempt(sequence));
    let good = asks(&server, set());
    let wrong = Secret::new("not the password".to_owned()).unwrap();
    is(&once(&RedisCall { password: Some(wrong), ..good.clone() }, 1), "failed", "WRONGPASS");
    is(&once(&RedisCall { password: None, ..good.clone() }, 1), "failed", "NOAUTH");
    cli(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    is(&once(&good, 1), "failed", "OOM");
    cli(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    cli(&server, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
    is(&once(&good, 1), "failed", "NOREPLICAS");
    cli(&server, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
    is(&once(&good, 1), "ok", "");
    let master = ["--replicaof", "127.0.0.1", server.port(), "--masterauth", PASSWORD];
    let replica = redis(&master);
    is(&once(&asks(&replica, set()), 2), "failed", "READONLY");
    until("the replica has the key", || cli(&replica, &["GET", "drdrill:test:1"]) == "1");
    is(&once(&asks(&replica, get("drdrill:test:1", Some("1"))), 3), "ok", "");
    let address = server.address();
    drop(server);
    is(&once(&RedisCall { address, ..good }, 4), "failed", "refused");
}

#[test]
fn an_answer_of_redis_that_is_lost_leaves_everything_open() {
    let server = redis(&[]);
    let write = probe(&asks(&server, set()), Connection::Kept);
    run(async {
        is(&write.attempt(0).await, "ok", "");
        is(&write.attempt(1).await, "ok", "");
        assert_eq!(cli(&server, &["CLIENT", "LIST"]).lines().count(), 2, "one kept, and redis-cli");
        server.signal(Signal::SIGSTOP);
        // What the sampler does at the deadline, and calls unknown.
        let cut_off = tokio::time::timeout(Duration::from_millis(300), write.attempt(2)).await;
        assert!(cut_off.is_err(), "{cut_off:?}");
        server.signal(Signal::SIGCONT);
        until("it is done after all", || cli(&server, &["GET", "drdrill:test:2"]) == "2");
        // In the middle of a command.
        is(&write.attempt(3).await, "ok", "");
        server.signal(Signal::SIGSTOP);
        let (outcome, ()) = tokio::join!(write.attempt(4), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.signal(Signal::SIGKILL);
        });
        is(&outcome, "unknown", "");
        // And before the next one: nothing was sent.
        until("nobody is there", || std::net::TcpStream::connect(server.address()).is_err());
        is(&write.attempt(5).await, "failed", "refused");
    });
}

#[test]
fn a_kept_connection_to_redis_notices_its_end_once_and_for_certain() {
    let server = redis(&[]);
    let read = probe(&asks(&server, Command::Ping), Connection::Kept);
    run(async {
        is(&read.attempt(0).await, "ok", "");
        cli(&server, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // Whatever came meanwhile is read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        is(&read.attempt(1).await, "failed", "before the request was sent");
        is(&read.attempt(2).await, "ok", "");
    });
}

/// A name server that knows a few names.
fn name_server(more: &[&str]) -> Server {
    let server = Server::of("/usr/sbin/dnsmasq", |port| {
        let own = [
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            "--conf-file=/dev/null",
            "--pid-file=",
            "--user=root",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "--local-ttl=77",
            "--address=/app.test/192.0.2.7",
            "--address=/app.test/2001:db8::7",
            "--host-record=target.test,192.0.2.9",
            "--cname=alias.test,target.test",
            "--txt-record=text.test,hello there",
        ];
        let own = own.iter().chain(more).map(|&word| word.to_owned());
        own.chain([format!("--port={port}")]).collect()
    });
    server.until_it_answers();
    server
}

fn question(server: &Server, name: &str, record: RecordKind, answers: Option<&str>) -> Outcome {
    let call = DnsCall {
        server: server.address(),
        name: name.to_owned(),
        record,
        answers: answers.map(str::to_owned),
    };
    let call = Call::Dns(Box::new(call));
    run(drdrill_measure::probe(&call, Purpose::Read, Connection::Fresh).unwrap().attempt(0))
}

#[test]
fn names_are_asked_for_at_the_server_itself() {
    let long = "x".repeat(200);
    let long: Vec<String> = (0..12).map(|n| format!("--txt-record=long.test,{n}{long}")).collect();
    let server = name_server(&long.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, record, answers) in [
        ("app.test", A, Some("192.0.2.7")),
        ("APP.test.", A, None),
        ("app.test", Aaaa, Some("2001:DB8:0::7")),
        ("alias.test", Cname, Some("target.test")),
        ("alias.test", Cname, Some("target.test.")),
        // Who asks for an address is told where an alias leads.
        ("alias.test", A, Some("192.0.2.9")),
        ("text.test", Txt, Some("hello there")),
    ] {
        is(&question(&server, name, record, answers), "ok", "");
    }
    let other = question(&server, "app.test", A, Some("192.0.2.8"));
    is(&other, "failed", "answered 192.0.2.7 (for 77 s)");
    is(&question(&server, "text.test", A, None), "failed", "has no A");
    is(&question(&server, "nowhere.test", A, None), "failed", "answered ");
    // More than a datagram of the old size holds: asked again by TCP.
    for number in 0..12 {
        let text = format!("{number}{}", "x".repeat(200));
        is(&question(&server, "long.test", Txt, Some(&text)), "ok", "");
    }
    let call = Call::Dns(Box::new(DnsCall {
        server: server.address(),
        name: "app.test".to_owned(),
        record: A,
        answers: None,
    }));
    let probe = drdrill_measure::probe(&call, Purpose::Read, Connection::Fresh).unwrap();
    run(async {
        server.signal(Signal::SIGSTOP);
        let cut_off = tokio::time::timeout(Duration::from_millis(200), probe.attempt(0)).await;
        assert!(cut_off.is_err(), "{cut_off:?}");
        server.signal(Signal::SIGCONT);
        is(&probe.attempt(1).await, "ok", "");
        server.signal(Signal::SIGKILL);
        until("nobody is there", || std::net::TcpStream::connect(server.address()).is_err());
        is(&probe.attempt(2).await, "failed", "refused");
    });
}

#[test]
fn a_file_with_such_probes_is_run_and_its_mistakes_are_answered() {
    let (redis, names, sandbox) = (redis(&[]), name_server(&[]), Sandbox::new());
    let good = format!(
        "\
environment: servers
provider:
  host:
    probes:
      - name: set
        service: cache
        purpose: write
        attempt: {{ redis: {{ address: \"{redis}\", password: {{ env: CACHE }}, command: {{ set: {{ prefix: drdrill, expires: 5min }} }} }} }}
      - name: ping
        service: cache
        connection: kept
        attempt: {{ redis: {{ address: \"{redis}\", password: {{ env: CACHE }}, command: ping }} }}
      - name: name
        service: cache
        attempt: {{ dns: {{ server: \"{names}\", name: app.test, answers: 192.0.2.7 }} }}
services: [{{ name: cache, tier: 1 }}]
",
        redis = redis.address(),
        names = names.address(),
    );
    let file = sandbox.path("servers.yaml");
    fs::write(&file, &good).unwrap();
    let run = |arguments: &str| {
        Ended::of(&sandbox.command(arguments).env("CACHE", PASSWORD).output().unwrap())
    };
    let said = sandbox.run("doctor --env servers.yaml").stdout;
    assert!(said.contains("environment variable CACHE: "), "{said}");
    let record = record(&run("run no_op --env servers.yaml --format json").exits(0));
    let samples = &record["services"][0]["samples"];
    assert!(samples["ok"].as_u64().unwrap() >= 3 && samples["sent"] == samples["ok"], "{samples}");
    assert_ne!(cli(&redis, &["DBSIZE"]), "0");
    for (from, to, words) in [
        ("command: ping", "command: pong", "nearest first: ping"),
        ("command: ping", "command: { set: { prefix: x } }", "must be `write`"),
        ("purpose: write", "purpose: read", "must be `write`"),
        (
            "command: { set: { prefix: drdrill, expires: 5min } }",
            "command: ping",
            "command: { set:",
        ),
        ("name: app.test", "name: app..test", "a name such as app.example.org"),
        ("answers: 192.0.2.7", "answers: here", "is no IPv4 address"),
        ("app.test,", "app.test, record: mx,", "nearest first: "),
        ("name: app.test, answers", "connection: kept, name: app.test, answers", "nearest first: "),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let said = run("validate no_op --env servers.yaml").exits(14).stderr;
        assert!(said.contains(words) && said.contains("servers.yaml:"), "{to}: {said}");
    }
}
