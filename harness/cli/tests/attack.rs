//! Attacks on data, backups and credentials: what drdrill says of the recovery is what the files and the history say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod restored;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::Connection;
use serde_json::Value;
use support::restored::{Entries, Ran};
use support::sandbox::Sandbox;

static ATTACKED: LazyLock<Ran> = LazyLock::new(|| Ran::new("cyber_attack_simulation", 0));

/// What is stored of the credentials of the lab's user, and what the change log has of them, oldest first.
fn credentials(database: &Path) -> (String, Vec<String>) {
    let database = Connection::open(database).unwrap();
    let hash = database.query_row("SELECT hash FROM users", [], |row| row.get(0)).unwrap();
    let logged = "SELECT payload ->> '$.hash' FROM changes WHERE kind = 'user' ORDER BY lsn";
    let mut logged = database.prepare(logged).unwrap();
    let logged = logged.query_map([], |row| row.get(0)).unwrap();
    (hash, logged.map(Result::unwrap).collect())
}

/// Offsets, in milliseconds of the drill, of the beginning and the end of a step.
fn times(ran: &Ran, name: &str) -> (f64, f64) {
    let record = ran.record();
    let step = record["steps"].as_array().unwrap().iter().find(|step| step["name"] == name);
    let step = step.unwrap();
    (step["started_ms"].as_f64().unwrap(), step["finished_ms"].as_f64().unwrap())
}

#[track_caller]
fn lost_as_the_reader_counts(ran: &Ran) -> usize {
    let (writes, acknowledged) = (ran.writes(), ran.acknowledged());
    let entries = Entries::of(&ran.kept("primary/site.db")).unwrap();
    assert!(entries.is_clean(), "{entries:?}");
    let lost = acknowledged.difference(&entries.intact).count();
    assert_eq!(writes["acknowledged"], acknowledged.len(), "{writes}");
    assert_eq!(writes["lost"], lost, "{writes}");
    assert_eq!(writes["corrupt"], 0, "{writes}");
    lost
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_every_copy_is_sound() {
    let ran = &*ATTACKED;
    assert_eq!(lost_as_the_reader_counts(ran), 0);
    let rpo = &ran.record()["services"][0]["rpo"];
    assert_eq!((rpo["target_ms"].as_f64(), rpo["verdict"].as_str()), (Some(0.0), Some("pass")));
    let copy = Entries::of(&ran.kept("dr/site.db")).unwrap();
    assert!(copy.is_clean(), "{copy:?}");
    assert_eq!(ran.record()["leftovers"], Value::Array(Vec::new()));
    assert!(ran.outcome.stderr.contains("clients log in again"), "{:#?}", ran.outcome);
}

#[test]
fn explain_says_what_is_attacked_and_how_it_is_healed() {
    let explained = Sandbox::new().run("explain cyber_attack_simulation").exits(0).stdout;
    for words in [
        "somebody reads data of primary with a token that was stolen",
        "each of the newest 2 backups of primary is cut in half",
        "so that nobody can log in",
        "encrypted with a random key that nobody keeps",
        "cut both sites off from clients and from each other",
        "make all credentials anew",
    ] {
        let line = explained.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.contains(words), "{words}: {explained}");
    }
}

#[test]
fn backups_that_were_attacked_or_taken_of_encrypted_rows_are_passed_over() {
    let ran = &*ATTACKED;
    let (outcome, detail) = ran.step("verify the backups");
    assert_eq!(outcome, "done", "{detail}");
    let damaged = ran.record()["faults"][1]["proof"].as_str().unwrap().to_owned();
    let damaged: BTreeSet<&str> =
        damaged.split("; ").map(|one| one.split(" is unusable").next().unwrap()).collect();
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    let used = detail.split(" is clean").next().unwrap();
    let mut older = false;
    for (name, entries) in ran.backups() {
        older |= name == used;
        // Taken back by now: the database in it can be read, and was taken before the attack.
        let clean = entries.as_ref().unwrap().is_clean();
        if damaged.contains(name.as_str()) {
            assert!(clean && !older && detail.contains(&format!("{name}: ")), "{name}: {detail}");
        } else if detail.contains(&format!("{name}: ")) {
            assert!(!clean && !older, "{name}: {detail}");
        } else if older {
            assert!(clean, "{name}: {entries:?}");
        }
    }
    assert!(older, "{used} is not there");
}

#[test]
fn between_isolation_and_opening_no_client_is_served() {
    let ran = &*ATTACKED;
    let (_, isolated) = times(ran, "isolate the site");
    let (opens, _) = times(ran, "open the site");
    let (_, verified) = times(ran, "check what was restored");
    let (_, refused) = times(ran, "let nobody in with the old ones");
    assert!(isolated < verified && verified < refused && refused <= opens);
    let served = [ran.succeeded("write"), ran.succeeded("read")].concat();
    let ms = |sample: &Value, what: &str| sample[what].as_f64().unwrap() / 1e6;
    let meanwhile =
        served.iter().filter(|sample| ms(sample, "sent") > isolated && ms(sample, "done") < opens);
    assert_eq!(meanwhile.count(), 0);
    // Who looked: there were attempts, before and after.
    assert!(served.iter().any(|sample| ms(sample, "done") < isolated));
    assert!(served.iter().any(|sample| ms(sample, "sent") > opens));
}

#[test]
fn credentials_are_new_and_those_that_were_revoked_are_put_back_where_they_were() {
    let ran = &*ATTACKED;
    for (site, volume) in [("primary", "primary-0"), ("dr", "dr-0")] {
        let (now, logged) = credentials(&ran.kept(site).join("site.db"));
        assert_eq!(logged.len(), 2, "{site}: a password was set once more");
        assert_eq!(now, logged[1], "{site}");
        let (before, logged_before) =
            credentials(&ran.kept("detached").join(volume).join("site.db"));
        assert_eq!(logged_before, [logged[0].clone()], "{volume}");
        assert_eq!(before, logged[0], "{volume}: what was revoked is put back");
        let struck = Entries::of(&ran.kept("detached").join(volume).join("site.db")).unwrap();
        assert!(struck.is_clean(), "{volume}: {struck:?}");
    }
    let functions = ran.record()["functionality"].clone();
    let functions = functions.as_array().unwrap();
    let refused = functions.iter().rfind(|check| check["name"] == "intruders_refused").unwrap();
    assert_eq!(refused["outcome"], "pass", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("the old password are refused at 4 places"), "{detail}");
}

#[test]
fn stolen_credentials_that_stay_good_fail_the_drill() {
    let ran = Ran::new("stolen_credentials_stay_good", 10);
    assert_eq!(lost_as_the_reader_counts(&ran), 0);
    let reasons = ran.record()["reasons"].to_string();
    assert!(reasons.contains("`intruders_refused` never worked again"), "{reasons}");
    let functions = ran.record()["functionality"].clone();
    let functions = functions.as_array().unwrap();
    let tries = functions.iter().filter(|check| check["name"] == "intruders_refused");
    let tries: Vec<&Value> = tries.collect();
    assert!(tries.iter().all(|check| check["outcome"] != "pass"), "{tries:#?}");
    // The last one may have been cut short.
    let detail = tries[0]["detail"].as_str().unwrap();
    assert!(detail.contains("with a token that was stolen somebody reads data"), "{detail}");
    // Everything else is well: it is this check alone that fails the drill.
    for name in ["application_availability", "user_authentication", "data_access", "job_submission"]
    {
        let last = functions.iter().rfind(|check| check["name"] == name).unwrap();
        assert_eq!(last["outcome"], "pass", "{last}");
    }
}

#[test]
fn writes_that_are_in_no_log_any_more_are_counted_as_lost() {
    let ran = Ran::new("cyber_attack_reaches_the_logs", 10);
    let lost = lost_as_the_reader_counts(&ran);
    assert!(lost > 0);
    let rpo = &ran.record()["services"][0]["rpo"];
    assert_eq!(rpo["verdict"], "fail");
    // Two backups and their logs are gone, 4 s each.
    assert!(rpo["at_least_ms"].as_f64().unwrap() > 3_000.0, "{rpo}");
    // What was removed is back, as it was.
    for (name, entries) in ran.backups() {
        assert!(entries.is_some(), "{name}");
        for ending in ["json", "log"] {
            let file = ran.kept("backups/primary").join(&name).with_extension(ending);
            assert!(file.exists(), "{}", file.display());
        }
    }
}
