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

/// Tells a database what operators tell it.
fn tell(run: &str, host: &str, path: &str, body: &str) {
    let tell = "import json, sys, urllib.request as u; port = json.load(open('/etc/drdrill.json'))['port']; \
                u.urlopen(u.Request(f'http://127.0.0.1:{port}{sys.argv[1]}', sys.argv[2].encode(), method='POST'))";
    let container = format!("drdrill-{run}-{host}");
    docker(&["exec", &container, "python3", "-c", tell, path, body]);
}

#[test]
fn a_standby_whose_source_has_not_its_log_is_copied_and_a_history_that_is_given_up_is_put_aside() {
    let _among = among_others();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker"));
    host.says("docker is up; clients come to http://");
    let run = marked(&sandbox);
    let standby = format!("drdrill-{run}-dr-database");
    let inside = |script: &str| docker(&["exec", &standby, "sh", "-c", script]);
    let source = inside("cat /data/agent.json");
    let follows = || {
        let sql = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        until("it follows", BACK, || (psql(&run, "dr-database", sql).trim() == "1").then_some(()));
    };

    let before = write(&run, "primary", "before");
    follows();
    docker(&["pause", &standby]);
    psql(&run, "primary-database", "ALTER SYSTEM SET wal_keep_size = 0");
    psql(&run, "primary-database", "SELECT pg_reload_conf()");
    let missed = write(&run, "primary", "missed");
    psql(&run, "primary-database", "SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    for _ in 0..3 {
        psql(&run, "primary-database", "SELECT beat(1)");
        psql(&run, "primary-database", "SELECT pg_switch_wal()");
        psql(&run, "primary-database", "CHECKPOINT");
    }
    docker(&["unpause", &standby]);
    let gone = "grep -c 'has already been removed' /data/server.log || true";
    until("it lacks the log", BACK, || (inside(gone).trim() != "0").then_some(()));
    tell(&run, "dr-database", "/follow", &source);
    follows();
    assert!(missed > 20 && before > 20, "{missed} and {before} acknowledged");
    until("it has what it missed", BACK, || {
        let kept = |round: &str| kept(&run, "dr-database", round);
        (kept("before") >= before && kept("missed") >= missed).then_some(())
    });

    // Twice the same number of a history: the second would find the first one in the archive.
    let archived = "ls /backups/wal | grep history || true";
    for epoch in [10, 11] {
        assert_eq!(inside(archived), "");
        tell(&run, "dr-database", "/promote", &format!(r#"{{"epoch": {epoch}}}"#));
        until("it is archived", BACK, || (inside(archived) == "00000002.history\n").then_some(()));
        tell(&run, "dr-database", "/follow", &source);
        follows();
    }
    assert_eq!(inside("ls -d /backups/wal/aside-*/00000002.history | wc -l").trim(), "2");
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    all_is_gone(&sandbox, &run);
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
