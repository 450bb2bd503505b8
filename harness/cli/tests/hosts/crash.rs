//! A database that crashes while its host goes on, one that does not answer when it is fenced, and one whose host is killed while
//! it is rewound.

use std::time::Duration;

use serde_json::Value;

use crate::hosts::standby::WRITERS;
use crate::support::among::among_others;
use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::support::sandbox::Sandbox;
use crate::support::wait::until;
use crate::{all_is_gone, marked, psql, ready};

/// A server that ended is started again within a second; a machine that is busy takes longer.
const BACK: Duration = Duration::from_mins(1);

/// What a site of an environment that is up says of itself.
fn site(sandbox: &Sandbox, name: &str) -> Option<Value> {
    let status = sandbox.run("env status docker --format json");
    let status: Value = serde_json::from_str(&status.stdout).ok()?;
    status["sites"].as_array()?.iter().find(|site| site["site"] == name).cloned()
}

/// Writes of two seconds at a site; returns how many were acknowledged.
fn write(run: &str, at: &str, round: &str) -> usize {
    let service = format!("drdrill-{run}-{at}-service");
    let said = docker(&["exec", &service, "python3", "-c", WRITERS, round]);
    let count: Value = serde_json::from_str(&said).unwrap();
    count["201"].as_u64().unwrap_or(0).try_into().unwrap()
}

/// Writes of a round that a database has.
fn kept(run: &str, host: &str, round: &str) -> usize {
    let sql = format!("SELECT count(*) FROM entries WHERE id LIKE 'x-{round}-%'");
    psql(run, host, &sql).trim().parse().unwrap()
}

#[test]
fn a_crash_a_server_that_stands_still_and_a_rewind_that_is_cut_off_lose_nothing() {
    let _among = among_others();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker"));
    host.says("docker is up; clients come to http://");
    let run = marked(&sandbox);
    let database = format!("drdrill-{run}-primary-database");
    let inside = |script: &str| docker(&["exec", &database, "sh", "-c", script]);
    let before = write(&run, "primary", "before");

    // Of the host only the server ends, without a word.
    inside("kill -9 $(head -1 /data/cluster/postmaster.pid)");
    until("it is back, and decides nothing", BACK, || {
        let primary = site(&sandbox, "primary")?;
        (primary["role"] == "primary" && primary["fenced"] == true).then_some(())
    });

    // It takes connections and answers nothing, and would go on where it was.
    inside("pkill -STOP -x postgres");
    sandbox.run("failover --env docker").exits(0);
    assert_eq!(inside("pgrep -x -r T postgres || true"), "", "none of them goes on later");
    let primary = site(&sandbox, "primary").unwrap();
    assert_eq!((&primary["role"], &primary["fenced"]), (&"primary".into(), &true.into()));
    assert!(kept(&run, "dr-database", "before") >= before, "of {before} acknowledged");

    // On the way back it is rewound, which takes longer than its host lives.
    inside(
        "cd /usr/lib/postgresql/15/bin && mv pg_rewind rewind && \
         printf '#!/bin/sh\\ntouch /data/rewinding; rm -r /data/cluster/base; sleep 600\\n' > pg_rewind && chmod +x pg_rewind",
    );
    let back = Drill::start(sandbox.command("failback --env docker"));
    until("it is being rewound", BACK, || inside("ls /data").contains("rewinding").then_some(()));
    docker(&["kill", &database]);
    assert_ne!(back.end().code, Some(0));
    let during = write(&run, "dr", "during");
    sandbox.run("failback --env docker").exits(0);
    let after = write(&run, "primary", "after");
    for (round, acknowledged) in [("before", before), ("during", during), ("after", after)] {
        assert!(acknowledged > 20, "{round}: {acknowledged}");
        assert!(kept(&run, "primary-database", round) >= acknowledged, "{round}: {acknowledged}");
    }
    until("the DR site has it all", BACK, || {
        (kept(&run, "dr-database", "after") >= after).then_some(())
    });
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    all_is_gone(&sandbox, &run);
}
