//! A primary that was lost, and returns.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::among::among_others;
use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::support::wait::until;
use crate::{all_is_gone, marked, ready};

/// It is back within a second; a machine that is busy takes longer.
const BACK: Duration = Duration::from_mins(1);

/// A statement by the very client that the application of the primary site is, in one of its roles.
fn as_application(run: &str, role: &str, sql: &str) -> Output {
    let ask = "import json, psycopg2, sys; c = json.load(open('/etc/drdrill.json')); \
               k = psycopg2.connect(c[sys.argv[1]]).cursor(); k.execute(sys.argv[2]); print(k.fetchall())";
    let service = format!("drdrill-{run}-primary-service");
    let words = ["exec", &service, "python3", "-c", ask, role, sql];
    Command::new("docker").args(words).output().unwrap()
}

#[test]
fn a_primary_that_returns_can_be_read_and_not_written() {
    let _among = among_others();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker"));
    host.says("docker is up; clients come to http://");
    let run = marked(&sandbox);
    let database = format!("drdrill-{run}-primary-database");
    docker(&["kill", &database]);
    sandbox.run("failover --env docker").exits(0);
    docker(&["start", &database]);
    let fenced = until("the old primary is back", BACK, || {
        let status = sandbox.run("env status docker --format json");
        let status: Value = serde_json::from_str(&status.stdout).ok()?;
        let sites = status["sites"].as_array()?;
        let primary = sites.iter().find(|site| site["site"] == "primary")?;
        Some((primary["role"].as_str()?.to_owned(), primary["fenced"].as_bool()?))
    });
    assert_eq!(fenced, ("primary".to_owned(), true));
    let reads = as_application(&run, "reads", "SELECT count(*) FROM entries");
    assert!(reads.status.success(), "{reads:?}");
    let writes = as_application(&run, "writes", "SELECT beat(1)");
    let why = String::from_utf8_lossy(&writes.stderr).into_owned();
    assert!(!writes.status.success() && why.contains("pg_hba.conf rejects"), "{why}");
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    all_is_gone(&sandbox, &run);
}
