//! Registers and accounts in whole drills: what the record says of them, against an independent reader of the databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod quick;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rusqlite::Connection;
use serde_json::Value;
use support::quick::{quick, quick_but};
use support::record::record;
use support::sandbox::Sandbox;
use support::undisturbed::undisturbed;
use support::world::{nothing_is_left, runs};

const ASKED: &str = "--set also=registers,bank --set keep_data=kept --set every=20ms --format json";
const SITE: &str = "site_loss: { on: primary }";

/// A drill that ended, and its record.
struct Ended {
    sandbox: Sandbox,
    record: Value,
}

/// The operations of a drill, as its history has them.
#[derive(Debug, Default)]
struct Operations {
    /// Acknowledged writes of registers: key and value.
    written: BTreeSet<(u64, u64)>,
    /// For each register what its last answer said.
    last: BTreeMap<u64, u64>,
    reads: usize,
    /// Acknowledged transfers, by their numbers.
    moved: BTreeSet<u64>,
    snapshots: usize,
}

impl Ended {
    fn run(lost: &str, more: &str, code: i32) -> Self {
        let sandbox = Sandbox::new();
        let run = if lost == SITE { quick(&sandbox) } else { quick_but(&sandbox, SITE, lost) };
        let outcome = sandbox.run(&format!("{run} {ASKED} {more}"));
        nothing_is_left(&sandbox);
        let record = record(&outcome.exits(code));
        Self { sandbox, record }
    }

    fn registers(&self) -> &Value {
        &self.record["services"][0]["consistency"]["registers"]
    }

    fn bank(&self) -> &Value {
        &self.record["services"][0]["consistency"]["bank"]
    }

    fn operations(&self) -> Operations {
        let mut all = Operations::default();
        let mut last: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for line in events(&self.sandbox) {
            let sample = &line["event"]["sample"];
            if sample["outcome"] != "ok" {
                continue;
            }
            let (sent, deed) = (sample["sent"].as_u64().unwrap(), &sample["deed"]);
            let register = |deed: &Value| (deed["key"].as_u64().unwrap(), deed["value"].as_u64());
            if let Some(write) = deed.get("write") {
                let (key, value) = register(write);
                all.written.insert((key, value.unwrap()));
                let newest = last.entry(key).or_default();
                *newest = (*newest).max((sent, value.unwrap()));
            } else if let Some(read) = deed.get("read") {
                all.reads += 1;
                if let (key, Some(value)) = register(read) {
                    let newest = last.entry(key).or_default();
                    *newest = (*newest).max((sent, value));
                }
            } else if deed.get("transfer").is_some() {
                all.moved.insert(sample["sequence"].as_u64().unwrap());
            } else if let Some(read) = deed.get("balances") {
                all.snapshots += 1;
                let balances = read["balances"].as_object().unwrap().values();
                assert_eq!(balances.map(|one| one.as_i64().unwrap()).sum::<i64>(), 500);
            }
        }
        all.last = last.into_iter().map(|(key, (_, value))| (key, value)).collect();
        all
    }

    fn database(&self, site: &str) -> Connection {
        Connection::open(self.sandbox.path("kept").join(site).join("site.db")).unwrap()
    }

    /// Everything that the change log of a site says was written to registers.
    fn written_at(&self, site: &str) -> BTreeSet<(u64, u64)> {
        let sql = "SELECT subject, payload ->> '$.value' FROM changes WHERE kind = 'register'";
        pairs(&self.database(site), sql)
    }

    /// The registers of a site.
    fn values_at(&self, site: &str) -> BTreeMap<u64, u64> {
        pairs(&self.database(site), "SELECT key, value FROM registers").into_iter().collect()
    }

    /// Numbers of the transfers that a site has.
    fn moved_at(&self, site: &str) -> BTreeSet<u64> {
        let sql = "SELECT substr(subject, 3), 0 FROM changes WHERE subject LIKE 't-%'";
        pairs(&self.database(site), sql).into_iter().map(|(number, _)| number).collect()
    }

    fn total_at(&self, site: &str) -> i64 {
        let sum = "SELECT sum(balance) FROM accounts";
        self.database(site).query_row(sum, [], |row| row.get(0)).unwrap()
    }
}

/// The history of the only run.
fn events(sandbox: &Sandbox) -> Vec<Value> {
    let runs = runs(&sandbox.state);
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = sandbox.state.join("runs").join(runs.first().unwrap());
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pairs(database: &Connection, sql: &str) -> BTreeSet<(u64, u64)> {
    let mut query = database.prepare(sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).map(|(key, value)| (key.parse().unwrap(), value)).collect()
}

#[test]
fn a_hot_site_loss_keeps_every_value_and_every_transfer() {
    undisturbed(|| {
        let hot = "--set strategy=hot --set replication_lag=250ms --set failback=none";
        let ended = Ended::run(SITE, hot, 0);
        let (registers, bank) = (ended.registers(), ended.bank());
        let seen = ended.operations();
        assert!(seen.written.len() > 10 && seen.moved.len() > 10, "{seen:?}");
        assert_eq!((&registers["verdict"], &registers["lost"]), (&"pass".into(), &0.into()));
        assert!(registers["compared"].as_u64().unwrap() > 0, "{registers}");
        assert!(registers["reads_after_fault"].as_u64().unwrap() > 0, "{registers}");
        assert!(bank["snapshots_after_fault"].as_u64().unwrap() > 0, "{bank}");
        assert_eq!(
            (&registers["writes"], &registers["reads"]),
            (&seen.written.len().into(), &seen.reads.into())
        );
        assert_eq!((&bank["verdict"], &bank["total"]), (&"pass".into(), &500.into()));
        let opened =
            &events(&ended.sandbox)[0]["event"]["drill_started"]["environment"]["accounts"];
        assert_eq!(opened.as_object().unwrap().values().filter(|one| **one == 100).count(), 5);
        assert_eq!(bank["transfers"], seen.moved.len());
        // Whoever counts for themselves finds all of it at the site that took over.
        let lacks: Vec<_> = seen.written.difference(&ended.written_at("dr")).copied().collect();
        assert_eq!(lacks, []);
        assert!(seen.moved.is_subset(&ended.moved_at("dr")));
        assert_eq!(ended.total_at("dr"), 500);
        assert_eq!(
            ended.record["reasons"].as_array().unwrap().len(),
            4,
            "{}",
            ended.record["reasons"]
        );
    });
}

#[test]
fn what_an_asynchronous_site_lost_is_counted_and_is_no_inconsistency() {
    undisturbed(|| {
        let ended = Ended::run(SITE, "--set replication_lag=400ms --set failback=none", 0);
        let seen = ended.operations();
        let held = ended.written_at("dr");
        let lacks: BTreeSet<_> = seen.written.difference(&held).collect();
        let registers = ended.registers();
        let lost = registers["lost"].as_u64().unwrap();
        // Four writes a replication lag; what is overwritten before anybody reads it leaves no trace.
        assert!(lost > 0 && lost <= lacks.len() as u64, "{lost} of {lacks:?}");
        assert_eq!((&registers["verdict"], &registers["stale_reads"]), (&"pass".into(), &0.into()));
        assert!(registers["lost_at_most_ms"].as_f64().unwrap() < 1_000.0, "{registers}");
        // Within the objective or not is told as for other writes.
        assert_eq!(ended.values_at("dr"), seen.last);
        assert_eq!((ended.total_at("dr"), &ended.bank()["verdict"]), (500, &"pass".into()));
    });
}

#[test]
fn an_objective_of_no_loss_fails_on_lost_values_too() {
    undisturbed(|| {
        let ended = Ended::run(
            SITE,
            "--set replication_lag=400ms --set failback=none --set targets.rpo=0s",
            10,
        );
        let registers = ended.registers();
        assert_eq!((&registers["verdict"], &registers["stale_reads"]), (&"fail".into(), &0.into()));
        let told = registers["findings"][0].as_str().unwrap();
        assert!(told.contains("was lost, which clients had"), "{told}");
        assert_eq!(ended.bank()["verdict"], "pass");
    });
}

#[test]
fn the_way_back_loses_no_value_and_the_history_says_the_same_again_and_to_others() {
    undisturbed(|| {
        let ended = Ended::run(SITE, "", 0);
        let seen = ended.operations();
        assert_eq!(ended.registers()["verdict"], "pass", "{}", ended.registers());
        assert_eq!(ended.values_at("primary"), seen.last);
        // The DR site follows again, and may lack the last of it, but never half of a transfer.
        assert_eq!((ended.total_at("primary"), ended.total_at("dr")), (500, 500));
        let again = ended.sandbox.run("check last --format json --export-edn out.edn").exits(0);
        assert_eq!(record(&again), ended.record);
        let count = |file: &str, what: &str| {
            let text = fs::read_to_string(ended.sandbox.path(file)).unwrap();
            text.lines().filter(|line| line.contains(":type :ok") && line.contains(what)).count()
        };
        assert_eq!(count("out.registers.edn", ":txn, :value [[:r "), seen.reads);
        assert_eq!(count("out.registers.edn", ":txn, :value [[:w "), seen.written.len());
        assert_eq!(count("out.bank.edn", ":transfer"), seen.moved.len());
        assert_eq!(count("out.bank.edn", ":read"), seen.snapshots);
        assert!(count("out.edn", ":add") > 10);
        let text = fs::read_to_string(ended.sandbox.path("out.registers.edn")).unwrap();
        assert_eq!(text.matches(":process :nemesis, :f :inject").count(), 1);
    });
}

#[test]
fn a_partition_in_which_nobody_fails_over_allows_no_loss_at_all() {
    undisturbed(|| {
        let partition = "network_partition: { on: primary, from: dr }";
        let ended = Ended::run(partition, "--set failover=refrain --set failback=none", 0);
        let (registers, seen) = (ended.registers(), ended.operations());
        assert_eq!((&registers["verdict"], &registers["lost"]), (&"pass".into(), &0.into()));
        // The standby had nothing of it for a while, and has all of it afterwards.
        for site in ["primary", "dr"] {
            assert!(seen.written.is_subset(&ended.written_at(site)), "{site}");
            assert_eq!(ended.total_at(site), 500);
        }
    });
}

#[test]
fn reports_tell_what_registers_and_accounts_answered() {
    undisturbed(|| {
        let ended = Ended::run(SITE, "--set failback=none", 0);
        let shown = ended.sandbox.run("show last").exits(0).stdout;
        assert!(
            shown.contains("registers store: pass: ") && shown.contains("always 500 in all"),
            "{shown}"
        );
        let runs = runs(&ended.sandbox.state);
        let dir = ended.sandbox.state.join("runs").join(runs.first().unwrap());
        for file in ["report.md", "report.html"] {
            let text = fs::read_to_string(dir.join(file)).unwrap();
            assert!(text.contains("Registers and accounts"), "{file}");
            assert!(text.contains("none stale") && text.contains("always 500 in all"), "{file}");
        }
    });
}

#[test]
fn a_workload_that_is_unknown_or_cannot_run_is_refused_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &str, code: i32, says: &str| {
        let outcome = sandbox.run(arguments).exits(code);
        assert!(outcome.stderr.contains(says), "{arguments}: {}", outcome.stderr);
        nothing_is_left(&sandbox);
    };
    let run = quick(&sandbox);
    let both = "--set also=registers --set strategy=active_active";
    refused(&format!("{run} {both}"), 13, "which sites that both take writes cannot merge");
    refused(&format!("{run} --set also=regsters"), 2, "no optional probe `regsters`");
    let file = |from: &str, to: &str| {
        let text = fs::read_to_string(sandbox.path("quick.yaml")).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(sandbox.path("bad.yaml"), text.replace(from, to)).unwrap();
    };
    let bad = "validate bad.yaml --env env.yaml";
    file("every: 50ms", "also: [ledger]");
    refused(bad, 14, "the environment has no optional probe `ledger`");
    file("every: 50ms }", "also: [bank] }\nstop_when: [{ probe: bank, success_below: 99% }]");
    refused(bad, 14, "`bank` is a workload of several streams");
    let probe =
        "{ name: w, service: s, purpose: workload, attempt: { tcp: { address: \"10.0.0.5:1\" } } }";
    let env = format!(
        "environment: e\nprovider: {{ host: {{ probes: [{probe}] }} }}\nservices: [{{ name: s, tier: 1 }}]\n"
    );
    fs::write(sandbox.path("host.yaml"), env).unwrap();
    refused("doctor --env host.yaml", 14, "must be `read`, `write` or `bystander`");
}

#[test]
fn a_shipped_scenario_with_workloads_runs_with_every_strategy() {
    let sandbox = Sandbox::new();
    let explain =
        |set: &str, code: i32| sandbox.run(&format!("explain site_frozen {set}")).exits(code);
    for strategy in ["cold", "pilot_light", "warm", "hot"] {
        explain(&format!("--set strategy={strategy}"), 0);
    }
    let refused = explain("--set strategy=active_active", 13);
    assert!(refused.stderr.contains("(`--set also=none` goes without)"), "{}", refused.stderr);
    explain("--set strategy=active_active --set also=none", 0);
    explain("--set strategy=active_active --set also=", 0);
}
