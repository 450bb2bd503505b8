//! Drills on a `PostgreSQL` server that is already there: its own writes are counted, as psql counts them.

use std::fs;
use std::net::TcpListener;
use std::thread;

use crate::support::postgres::{PASSWORD, Postgres, TABLE};
use crate::support::record::record;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::undisturbed::undisturbed;
use crate::support::world::nothing_is_left;
use serde_json::Value;

/// A database, and a drill that ends and starts it.
struct World {
    sandbox: Sandbox,
    server: Postgres,
}

impl World {
    /// `insert` is what the writing probe is told besides the table.
    fn new(insert: &str) -> Self {
        let world = Self { sandbox: Sandbox::new(), server: Postgres::start() };
        world.server.first("sleep 0.7\n");
        let scenario = "\
scenario: restart
title: The database is killed and started again
kind: simulated
targets: { rto: 1h, rpo: 0s }
probes: { every: 100ms }
faults:
  - at: 2s
    inject: { process_restart: { on: primary } }
recovery: { failover: own, give_up_after: 20s }
soak: 300ms
";
        fs::write(world.sandbox.path("restart.yaml"), scenario).unwrap();
        world.environment(insert, "");
        world
    }

    /// Another service whose clients write, who come first in the file. Nothing of what they write is read back.
    fn with_a_cache(self, insert: &str) -> Self {
        let cache = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = cache.local_addr().unwrap();
        thread::spawn(move || cache.incoming().for_each(drop));
        let writer = format!(
            "      - {{ name: cache-write, service: cache, purpose: write, attempt: {{ tcp: {{ address: \"{address}\" }} }} }}\n"
        );
        self.environment(insert, &writer);
        self
    }

    fn environment(&self, insert: &str, others: &str) {
        let server = &self.server;
        let probe = |name: &str, more: &str, statement: &str| {
            format!(
                "      - name: {name}
        service: db
        {more}
        attempt:
          postgres:
            address: {address}
            database: postgres
            user: drdrill
            password: {{ env: DATABASE_PASSWORD }}
            statement: {statement}
",
                address = server.address
            )
        };
        let insert = format!("{{ insert: {{ table: {TABLE}{insert} }} }}");
        let newest = format!("{{ newest: {{ table: {TABLE} }} }}");
        let text = format!(
            "\
environment: database
provider:
  host:
    probes:
{others}{}{}{}    processes:
      - {{ name: db, site: primary, pid_file: {}, start: [{}], canary: \"{}\" }}
services: [{{ name: db, tier: 1 }}{}]
measure: {{ sustained: 1s }}
",
            probe("write", "purpose: write", &insert),
            probe("read", "purpose: read", &newest),
            probe("read-kept", "connection: kept", &newest),
            server.pid_file().display(),
            server.script().display(),
            server.address,
            if others.is_empty() { "" } else { ", { name: cache, tier: 1 }" },
        );
        fs::write(self.sandbox.path("database.yaml"), text).unwrap();
    }

    fn run(&self, arguments: &str) -> Outcome {
        let mut command = self.sandbox.command(arguments);
        Outcome::of(&command.env("DATABASE_PASSWORD", PASSWORD).output().unwrap())
    }

    fn drill(&self, code: i32) -> Value {
        let outcome = self.run("run restart.yaml --env database.yaml --format json");
        let log = fs::read_to_string(self.server.path("log")).unwrap();
        assert_eq!(outcome.code, Some(code), "{}\n{log}\n{}", outcome.stderr, outcome.stdout);
        record(&outcome)
    }

    /// Numbers of the rows of the run, as psql sees them.
    fn rows(&self, record: &Value) -> Vec<u64> {
        let run = record["run_id"].as_str().unwrap();
        let sql = format!("SELECT seq FROM {TABLE} WHERE drill = '{run}' ORDER BY seq");
        self.server.psql(&sql).lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Numbers of the writes that were acknowledged, as the history says.
    fn acknowledged(&self, record: &Value) -> Vec<u64> {
        let run = record["run_id"].as_str().unwrap();
        let history = self.sandbox.state.join("runs").join(run).join("events.jsonl");
        let history = fs::read_to_string(history).unwrap();
        let lines: Vec<Value> =
            history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let streams = lines[0]["event"]["drill_started"]["streams"].as_array().unwrap();
        let writer = &streams.iter().find(|stream| stream["name"] == "write").unwrap()["id"];
        let samples = lines.iter().filter_map(|line| line["event"]["sample"].as_object());
        let written =
            samples.filter(|sample| &sample["stream"] == writer && sample["outcome"] == "ok");
        written.map(|sample| sample["sequence"].as_u64().unwrap()).collect()
    }
}

#[test]
fn a_server_that_is_killed_and_starts_again_loses_nothing() {
    undisturbed(|| {
        let world = World::new(", create: true");
        let record = world.drill(0);
        let service = &record["services"][0];
        assert!(service["rto"]["at_least_ms"].as_f64().unwrap() >= 300.0, "{}", service["rto"]);
        assert!(service["rto"]["at_most_ms"].is_number(), "{}", service["rto"]);
        let acknowledged = world.acknowledged(&record);
        let rows = world.rows(&record);
        assert!(acknowledged.len() > 10 && acknowledged.iter().all(|seq| rows.contains(seq)));
        let writes = &service["rpo"]["writes"];
        assert_eq!(writes["acknowledged"], acknowledged.len(), "{writes}");
        assert_eq!(writes["lost"], 0, "{writes}");
        let reasons = record["reasons"].to_string();
        let said = format!("0 of {} acknowledged writes lost; resolution", acknowledged.len());
        assert!(reasons.contains(&said), "{reasons}");
        // That the table was made and stays is in the history, and how to remove the rows.
        let run = record["run_id"].as_str().unwrap();
        let history = world.sandbox.state.join("runs").join(run).join("events.jsonl");
        let history = fs::read_to_string(history).unwrap();
        assert!(history.contains("was created by drdrill and stays; the rows of this drill stay"));
        assert!(!history.contains(PASSWORD));
        world.server.psql(&format!("DELETE FROM {TABLE} WHERE drill = '{run}'"));
        assert_eq!(world.rows(&record), Vec::<u64>::new());
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn rows_that_somebody_deletes_are_lost_exactly_as_psql_says() {
    undisturbed(|| {
        let world = World::new(", create: true").with_a_cache(", create: true");
        let (host, port) = world.server.address.split_once(':').unwrap();
        // Somebody deletes rows as soon as the server is back.
        world.server.first(&format!(
            "sleep 0.7
export PGPASSWORD='{PASSWORD}'
(for _ in $(seq 500); do /usr/lib/postgresql/15/bin/psql -q -h {host} -p {port} -U drdrill postgres \
 -c 'DELETE FROM {TABLE} WHERE seq IN (SELECT seq FROM {TABLE} ORDER BY seq LIMIT 4 OFFSET 2)' && break; sleep 0.02; done) >/dev/null 2>&1 &
"
        ));
        let record = world.drill(10);
        let rows = world.rows(&record);
        let acknowledged = world.acknowledged(&record);
        let lost = acknowledged.iter().filter(|seq| !rows.contains(seq)).count();
        // Of the four that were deleted the odd one may not have been acknowledged in time.
        assert!((1..=4).contains(&lost), "{acknowledged:?} {rows:?}");
        let service = &record["services"][0];
        let writes = &service["rpo"]["writes"];
        assert_eq!(writes["lost"], lost, "{writes}");
        assert_eq!(writes["acknowledged"], acknowledged.len());
        assert_eq!(service["rpo"]["verdict"], "fail", "{}", service["rpo"]);
        let reasons = record["reasons"].to_string();
        let said = format!("db: {lost} of {} acknowledged writes lost", acknowledged.len());
        assert!(reasons.contains(&said), "{reasons}");
        // The rows are those of the database: nothing is known of what the cache has.
        let cache = &record["services"][1];
        assert_eq!(cache["name"], "cache", "{cache}");
        assert_eq!(cache["rpo"]["verdict"], "unknown", "{cache}");
        assert!(cache["rpo"]["at_least_ms"].is_null(), "{cache}");
        nothing_is_left(&world.sandbox);
    });
}

#[test]
fn a_drill_without_its_table_or_its_password_does_not_begin() {
    let world = World::new("");
    let said = world.run("run restart.yaml --env database.yaml").exits(13).stderr;
    assert!(said.contains("42P01") && said.contains("create: true"), "{said}");
    let said = world.sandbox.run("run restart.yaml --env database.yaml").exits(13).stderr;
    assert!(said.contains("DATABASE_PASSWORD") && !said.contains(PASSWORD), "{said}");
    let said = world.sandbox.run("doctor --env database.yaml").stdout;
    assert!(said.contains("environment variable DATABASE_PASSWORD: "), "{said}");
    assert_eq!(
        world.server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
}

#[test]
fn a_mistake_in_a_probe_is_placed_and_answered() {
    let world = World::new("");
    let good = fs::read_to_string(world.sandbox.path("database.yaml")).unwrap();
    let insert = "{ insert: { table: drdrill_writes";
    let cases = [
        (
            "password: { env: DATABASE_PASSWORD }",
            "password: hunter2hunter2",
            "never stand in a file",
        ),
        ("purpose: write", "purpose: read", "must be `write`"),
        ("purpose: read", "purpose: write", "`write` needs `statement: { insert"),
        ("connection: kept", "connection: keep", "nearest first: kept"),
        ("purpose: write", "purpose: write\n        connection: kept", "judged by new connections"),
        (insert, "{ insert: { table: \"x; DROP\"", "`table` or `schema.table`"),
        (insert, "{ insert: { table: other", "into which no probe inserts"),
        (
            "{ newest: { table: drdrill_writes }",
            "{ select: { query: \"COMMIT; DELETE FROM t\" }",
            "must be one statement",
        ),
        (insert, "{ insert: { copies: [nowhere], table: drdrill_writes", "host:port"),
        (
            "user: drdrill",
            "user: drdrill\n            tls: verify-full",
            "nearest first: verify_full",
        ),
        (
            "user: drdrill",
            "user: drdrill\n            ca: /tmp/ca.pem",
            "goes with `tls: verify_full`",
        ),
        ("statement: { newest", "statement: { oldest", "nearest first: newest"),
    ];
    for (from, to, words) in cases {
        let before = good.find(from).unwrap();
        fs::write(world.sandbox.path("database.yaml"), good.replacen(from, to, 1)).unwrap();
        let said = world.run("validate restart.yaml --env database.yaml").exits(14).stderr;
        assert!(said.contains(words), "{to}: {said}");
        // What is looked at when all is read is placed at the whole of it.
        let line = if said.contains("validation error") {
            3
        } else {
            good[..before].lines().count() + to.lines().count() - 1
        };
        assert!(said.contains(&format!("database.yaml:{line}:")), "{line}: {to}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
