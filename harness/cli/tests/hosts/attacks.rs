//! Sites of containers of which nothing is left, and sites that were attacked: what is there is asked of Docker, of the
//! databases and of the sites themselves.

use std::path::PathBuf;

use serde_json::Value;

use crate::hosts::restored::{CHANGED, DATABASES, detail, nothing_is_lost};
use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::support::entries::acknowledged;
use crate::support::record::record;
use crate::support::undisturbed::undisturbed;
use crate::{all_is_gone, psql, ready, run_of};

/// Logs of the backups are a second apart; the rest is for a machine that is busy.
const NO_OLDER_MS: f64 = 10_000.0;

/// Names of all containers of a run, whether they run or not.
fn containers(run: &str) -> Vec<String> {
    let label = format!("label=drdrill.run={run}");
    let said = docker(&["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]);
    let mut names: Vec<String> = said.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn from_backups_alone_both_sites_are_built_anew_and_lost_is_what_a_select_misses() {
    undisturbed(|| {
        let sandbox = ready();
        // Without objectives of its own, so that a busy machine misses none.
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../environments/docker.yaml");
        let file = std::fs::read_to_string(shipped).unwrap();
        let free = file.replace("    targets: { rto: 2min, rpo: 2s, rlo: 80% }\n", "");
        assert_ne!(file, free);
        std::fs::write(sandbox.path("free.yaml"), free).unwrap();
        let mut drill = Drill::start(sandbox.command(
            "run complete_infrastructure_loss --env free.yaml --set every=100ms --set soak=5s --format json",
        ));
        drill.says("baseline: ");
        let run = run_of(&sandbox);
        let before = containers(&run);
        let lab: PathBuf = sandbox.state.join("runs").join(&run).join("lab");
        let data = ["primary", "dr"].map(|site| lab.join(site).join("cluster"));
        assert!(data.iter().all(|data| data.exists()), "{data:?}");
        // Of both sites: the DR site goes first.
        drill.says("  in effect: gone: dr/").says("  in effect: gone: primary/");
        // The host that reads backups is the operators' own.
        assert_eq!(containers(&run), [format!("drdrill-{run}-restore")]);
        assert!(data.iter().all(|data| !data.exists()), "{data:?}");
        drill.says("  done  provision the site").says("  done  serve what was restored");
        drill.says("  done  rebuild the copy").says("  soak: ");
        let present = DATABASES.map(|host| crate::present(&run, host));
        let changed = DATABASES.map(|host| psql(&run, host, CHANGED));
        assert_eq!(containers(&run), before);
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        assert!(changed.iter().all(|rows| rows.trim() == "0"), "{changed:?}");
        // What is under way while the two are read is left out: a second's worth.
        let mut acknowledged = acknowledged(&sandbox);
        let until = present[0].last().unwrap() - 10;
        acknowledged.retain(|sequence| *sequence <= until);
        let missing = present.each_ref().map(|present| acknowledged.difference(present).count());
        let rpo = &record["services"][0]["rpo"];
        assert_eq!(missing, [missing[0]; 2], "of {}", acknowledged.len());
        assert_eq!(rpo["writes"]["lost"], missing[0], "of {}: {rpo}", acknowledged.len());
        // The end of what there was, without holes, and as old as the record says.
        let fault = crate::acknowledged_before_the_fault(&sandbox);
        let (lost, kept): (Vec<u64>, Vec<u64>) =
            fault.iter().partition(|sequence| !present[0].contains(sequence));
        assert!(kept.len() > 20, "{kept:?}");
        assert!(lost.iter().all(|sequence| Some(sequence) > kept.last()), "{lost:?} {kept:?}");
        assert!(rpo["at_most_ms"].as_f64().unwrap() < NO_OLDER_MS, "{rpo}");
        assert_eq!((&rpo["holes"], &rpo["writes"]["corrupt"]), (&0.into(), &0.into()), "{rpo}");
        for (fault, site) in record["faults"].as_array().unwrap().iter().zip(["dr", "primary"]) {
            let proof = fault["proof"].as_str().unwrap();
            let gone = ["database", "service", "worker", "auth", "backup", "gateway"]
                .map(|host| format!("container drdrill-{run}-{site}-{host}"));
            assert!(gone.iter().all(|gone| proof.contains(gone)), "{proof}");
            assert!(proof.contains("6 proxies are down"), "{proof}");
            assert!(fault["reverted_ms"].is_number(), "{fault}");
        }
        assert_eq!(record["leftovers"], Value::Array(Vec::new()));
        assert_eq!(record["split_brain"], Value::Array(Vec::new()));
        eprintln!("lost {} of {}; {rpo}", lost.len(), fault.len());
    });
}

/// Reads the credentials that a site was started with.
const CREDENTIALS: &str =
    "import json; c = json.load(open('/etc/drdrill.json')); print(json.dumps(c))";

/// What opens a site: the key of its tokens, what its workers present, the user's password, and how its database is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Credentials {
    service: Value,
    password: String,
}

impl Credentials {
    fn of(run: &str) -> Self {
        let config = |host: &str| -> Value {
            let container = format!("drdrill-{run}-primary-{host}");
            let said = docker(&["exec", &container, "python3", "-c", CREDENTIALS]);
            serde_json::from_str(&said).unwrap()
        };
        let password = config("database")["user"]["password"].as_str().unwrap().to_owned();
        Self { service: config("service"), password }
    }

    /// The status of each way in at a site, tried by who knows nothing of drdrill; `0` where the database refuses the password.
    fn tried_at(&self, run: &str, site: &str) -> Vec<u64> {
        let mut of_site = self.service.clone();
        // Of the site's own database, by the passwords that were known.
        let database = docker(&[
            "inspect",
            "-f",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &format!("drdrill-{run}-{site}-database"),
        ]);
        for role in ["reads", "writes"] {
            let known = of_site[role].as_str().unwrap();
            let (_, rest) = known.split_once(' ').unwrap();
            of_site[role] = format!("host={} {rest}", database.trim()).into();
        }
        of_site["password"] = self.password.clone().into();
        let service = format!("drdrill-{run}-{site}-service");
        let said = docker(&["exec", &service, "python3", "-c", TRY, &of_site.to_string()]);
        serde_json::from_str(&said).unwrap()
    }
}

/// Tries a token, a worker's token, a password, and two roles of the database: 0 where the password is refused, 1 where it is not
/// even asked for.
const TRY: &str = r"
import sys; sys.path.insert(0, '/usr/local/lib/drdrill')
import http.client, json, psycopg2, web
known = json.loads(sys.argv[1])
def ask(method, path, body, bearer=None):
    connection = http.client.HTTPConnection('127.0.0.1:8000', timeout=5)
    connection.request(method, path, body, {'Authorization': f'Bearer {bearer}'} if bearer else {})
    return connection.getresponse().status
def connects(role):
    try:
        psycopg2.connect(known[role], connect_timeout=5).close()
        return 200
    except psycopg2.OperationalError as error:
        return 0 if 'password authentication failed' in str(error) else 1
token = web.issue(known['token_secret'], 'drill', 60000)
login = json.dumps({'user': 'drill', 'password': known['password']})
print(json.dumps([ask('GET', '/entries/landmark', None, token), ask('POST', '/login', login),
    ask('POST', '/jobs/claim', '{}', known['worker_token']), connects('reads'), connects('writes')]))
";

#[test]
fn after_an_attack_all_is_there_again_and_what_was_stolen_opens_nothing() {
    undisturbed(|| {
        let sandbox = ready();
        let mut drill = Drill::start(sandbox.command(
            "run cyber_attack_simulation --env docker --set every=100ms --set soak=12s --format json",
        ));
        drill.says("baseline: ");
        let run = run_of(&sandbox);
        let stolen = Credentials::of(&run);
        let before = stolen.tried_at(&run, "primary");
        // Two looks at all data, 2 s apart, come before anything is done about it.
        drill.says(" are encrypted in the database");
        let during = stolen.tried_at(&run, "primary");
        let struck = DATABASES.map(|host| psql(&run, host, CHANGED).trim().to_owned());
        drill.says("  done  serve what was restored").says("  done  rebuild the copy");
        drill.says("  soak: ");
        let present = DATABASES.map(|host| crate::present(&run, host));
        let tried = ["primary", "dr"].map(|site| stolen.tried_at(&run, site));
        let new = Credentials::of(&run);
        let let_in = ["primary", "dr"].map(|site| new.tried_at(&run, site));
        let outcome = drill.end();
        all_is_gone(&sandbox, &run);
        let record = record(&outcome.exits(0));
        assert!(before.iter().all(|status| *status / 100 == 2), "{before:?}");
        // Nobody can log in, and who has a token still gets in.
        assert_eq!((during[0], during[1]), (200, 401), "{during:?}");
        let proof = record["faults"][3]["proof"].as_str().unwrap();
        for (host, rows) in DATABASES.iter().zip(struck) {
            let part = format!("{rows} rows of drdrill-{run}-{host} are encrypted");
            assert!(proof.contains(&part), "{part}: {proof}");
        }
        assert_eq!(tried, [[401, 401, 401, 0, 0], [401, 401, 401, 0, 0]].map(Vec::from));
        assert!(let_in.iter().flatten().all(|status| *status / 100 == 2), "{let_in:?}");
        nothing_is_lost(&record, &sandbox, &present);
        let rpo = &record["services"][0]["rpo"];
        assert_eq!((rpo["target_ms"].as_f64(), rpo["verdict"].as_str()), (Some(0.0), Some("pass")));
        // The newest that is clean may be one that was taken between the faults.
        let walked = detail(&record, "verify the backups");
        let used = walked.split(" is clean").next().unwrap();
        // Clients went on writing until somebody had looked twice.
        let (_, later) = walked.split_once(" changes or removes rows of entries; ").unwrap();
        let carried: u64 = later.split(' ').next().unwrap().parse().unwrap();
        assert!(carried > 10, "{walked}");
        let cut = record["faults"][1]["proof"].as_str().unwrap();
        assert!(cut.matches(" is unusable").count() == 2 && !cut.contains(used), "{cut}: {walked}");
        let refused = detail(&record, "let nobody in with the old ones");
        assert!(refused.contains("the database's roles are refused"), "{refused}");
    });
}
