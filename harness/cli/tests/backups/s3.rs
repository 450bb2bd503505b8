//! Backups to a service that speaks the API of S3, which is moto: what is in the bucket is looked at without drdrill.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::support::backups::{Planned, json, sh};
use crate::support::bucket::Bucket;
use crate::support::sandbox::Outcome;
use crate::support::tmpfs::Tmpfs;
use crate::support::tree::{difference, everything, make_hostile};
use crate::support::wait::{alone, until};
use serde_json::Value;

const HOME: &str = "{ name: home, from: { files: { path: $DIR/home } } }";
const ID: &str = "AKIDEXAMPLEEXAMPLE";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A plan with a bucket and, first, the directory `nas`.
fn planned(bucket: &Bucket, head: &str) -> Planned {
    let planned = Planned::new("", &[]);
    fs::create_dir(planned.path("home")).unwrap();
    planned.plan(head, &[HOME], &[&far(bucket, "")]);
    planned
}

fn far(bucket: &Bucket, more: &str) -> String {
    let address = bucket.address;
    format!(
        "{{ name: far, media: object_storage, offsite: true, to: {{ s3: {{ endpoint: \"http://{address}\", bucket: far, \
         prefix: a/b, access_key: {{ env: ID }}, secret_key: {{ env: KEY }}{more} }} }} }}"
    )
}

/// Runs drdrill with the credentials, of which nothing may come out again.
#[track_caller]
fn run(planned: &Planned, arguments: &str, code: i32) -> Outcome {
    let mut command = planned.sandbox.command(arguments);
    let outcome = Outcome::of(&command.env("ID", ID).env("KEY", KEY).output().unwrap()).exits(code);
    for secret in [ID, KEY] {
        assert!(
            !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
            "{outcome:#?}"
        );
    }
    outcome
}

#[track_caller]
fn back_up(planned: &Planned, options: &str, code: i32) -> Value {
    json(&run(planned, &format!("backup run plan.yaml --format json {options}"), code))
}

#[test]
fn a_bucket_has_what_a_directory_has_and_restores_it() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "full_every: 7d");
    fs::remove_dir(planned.path("home")).unwrap();
    make_hostile(&planned.path("home"));
    // Large enough to be written in parts.
    let noise: Vec<u8> = (0..9_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    fs::write(planned.path("home/noise"), &noise).unwrap();
    planned.plan("full_every: 7d", &[HOME], &[&far(&bucket, ", storage_class: STANDARD_IA")]);
    let full = back_up(&planned, "", 0);
    fs::remove_file(planned.path("home/plain")).unwrap();
    let next = back_up(&planned, "", 0);
    assert_eq!(next["sources"][0]["outcome"]["done"]["extent"], "incremental");
    let point = full["point"].as_str().unwrap();
    // The very same bytes, under the prefix, in the storage class.
    for name in ["home.tar.zst", "home.files.zst", "point.json", "MANIFEST"] {
        let (status, body) = bucket.ask("GET", &format!("/far/a/b/test/{point}/{name}"), &[]);
        assert!(status == 200 && body == fs::read(planned.object(point, name)).unwrap(), "{name}");
    }
    let listing = bucket.listing();
    assert_eq!(
        listing.matches("<StorageClass>STANDARD_IA<").count(),
        bucket.keys().len(),
        "{listing}"
    );
    run(&planned, "backup verify plan.yaml", 0);
    run(&planned, "restore plan.yaml --to out --source home --from far", 0);
    assert_eq!(
        difference(&everything(&planned.path("home")), &everything(&planned.path("out"))),
        None
    );
    // Without the directory the bucket is enough, and nobody has to say so.
    fs::remove_dir_all(planned.path("nas/test")).unwrap();
    let restored =
        json(&run(&planned, "restore plan.yaml --to again --source home --format json", 0));
    assert_eq!(
        (&restored["sources"][0]["from"], &restored["sources"][0]["incrementals"]),
        (&"far".into(), &1.into())
    );
    assert!(restored["sources"][0]["bytes_per_second"].as_u64().unwrap() > 0);
    // By hand, as README says.
    for name in ["home.tar.zst", "MANIFEST"] {
        let (_, body) = bucket.ask("GET", &format!("/far/a/b/test/{point}/{name}"), &[]);
        fs::write(planned.path(name), body).unwrap();
    }
    sh(
        &planned.path(""),
        "grep home.tar.zst MANIFEST | sha256sum -c; mkdir hand; zstd -dc home.tar.zst | tar -x -C hand; cmp hand/noise home/noise",
    );
}

#[test]
fn damage_in_a_bucket_is_found() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "");
    fs::write(planned.path("home/file"), "backed up").unwrap();
    back_up(&planned, "", 0);
    let keys = bucket.keys();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for (number, key) in keys.iter().enumerate() {
        let path = format!("/far/{key}");
        let (_, good) = bucket.ask("GET", &path, &[]);
        let mut bad = good.clone();
        let at = (number * 7919 + 11) % bad.len();
        bad[at] ^= 1 << (number % 8);
        assert_eq!(bucket.ask("PUT", &path, &bad).0, 200);
        let said = run(&planned, "backup verify plan.yaml", 10).stdout;
        assert!(said.contains("not usable") || said.contains("damaged"), "{key}: {said}");
        // The directory still has it.
        let to = format!("restore plan.yaml --to out-{number} --source home");
        run(&planned, &to, 0);
        assert_eq!(bucket.ask("PUT", &path, &good).0, 200);
    }
    run(&planned, "backup verify plan.yaml", 0);
    // Without its manifest nothing claims to be a point.
    let manifest = keys.iter().find(|key| key.ends_with("MANIFEST")).unwrap();
    bucket.ask("DELETE", &format!("/far/{manifest}"), &[]);
    let listed = json(&run(&planned, "backup list plan.yaml --format json", 0));
    assert_eq!(listed["destinations"][1]["points"], Value::Array(Vec::new()), "{listed:#}");
    let said = run(&planned, "backup verify plan.yaml", 10).stdout;
    assert!(said.contains("there is no backup"), "{said}");
}

#[test]
fn what_a_service_keeps_as_something_else_does_not_count() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "");
    fs::write(planned.path("home/file"), "backed up").unwrap();
    let spoilt = bucket.through_bad_memory().to_string();
    planned.plan("", &[HOME], &[&far(&bucket, "").replace(&bucket.address.to_string(), &spoilt)]);
    let report = back_up(&planned, "", 10);
    let why = report["destinations"][1]["failed"].as_str().unwrap();
    assert!(why.contains("home.tar.zst does not have the SHA-256 it was written with"), "{why}");
    assert_eq!(bucket.keys(), [""; 0], "nothing of it stays");
    assert_eq!(report["destinations"][0]["failed"], Value::Null);
}

#[test]
fn what_is_superfluous_goes_from_a_bucket_too_and_the_rule_is_kept() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "keep: { full: 2 }");
    let disk = Tmpfs::mount(&planned.path("usb"));
    let usb = "{ name: usb, media: disk, to: { directory: { path: $DIR/usb } } }";
    planned.plan("keep: { full: 2 }", &[HOME], &[&far(&bucket, ""), usb]);
    let mut made = Vec::new();
    for round in 0..4 {
        fs::write(planned.path("home/file"), format!("{round}")).unwrap();
        let report = back_up(&planned, "", 0);
        assert_eq!(report["rule_3_2_1"]["kept"], true, "{report:#}");
        made.push(report["point"].as_str().unwrap().to_owned());
    }
    let keys = bucket.keys();
    let left = |point: &String| keys.iter().filter(|key| key.contains(point.as_str())).count();
    assert_eq!(made.iter().map(left).collect::<Vec<_>>(), [0, 0, 4, 4], "{keys:?}");
    assert_eq!(planned.points("usb"), made[2..]);
    let said = run(&planned, "backup verify plan.yaml", 0).stdout;
    assert!(said.contains("3-2-1 rule: kept: 3 copies, the original counted; media: disk, object_storage; 1 off-site"), "{said}");
    drop(disk);
}

#[test]
fn a_service_that_is_away_or_refuses_fails_alone_and_nobody_learns_the_secret() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "");
    fs::write(planned.path("home/file"), "backed up").unwrap();
    let failed = |more: &str| {
        let far = far(&bucket, "").replace("bucket: far", &format!("bucket: {more}"));
        planned.plan("", &[HOME], &[&far]);
        let report = back_up(&planned, "", 10);
        assert_eq!(report["destinations"][0]["failed"], Value::Null, "{report:#}");
        report["destinations"][1]["failed"].as_str().unwrap().to_owned()
    };
    let absent = failed("absent");
    assert!(
        absent.contains("NoSuchBucket")
            || absent.contains("does not exist")
            || absent.contains("not found"),
        "{absent}"
    );
    planned.plan("", &[HOME], &[&far(&bucket, "")]);
    let nothing = planned.sandbox.run("backup run plan.yaml --format json").exits(10);
    assert!(
        json(&nothing)["destinations"][1]["failed"]
            .as_str()
            .unwrap()
            .contains("environment variable ID")
    );
    // What the stored description says is for whoever can read the bucket.
    back_up(&planned, "", 0);
    for key in bucket.keys() {
        let (_, body) = bucket.ask("GET", &format!("/far/{key}"), &[]);
        assert!(!String::from_utf8_lossy(&body).contains(KEY), "{key}");
    }
    let plan = fs::read_to_string(planned.path("plan.yaml")).unwrap();
    fs::write(planned.path("plan.yaml"), plan.replace("{ env: KEY }", &format!("\"{KEY}\"")))
        .unwrap();
    let refused = planned.sandbox.run("backup run plan.yaml").exits(14);
    assert!(refused.stderr.contains("credentials never stand in a file"), "{refused:#?}");
    assert!(!refused.stderr.contains(KEY), "{refused:#?}");
    // Nobody answers there any more.
    planned.plan("", &[HOME], &[&far(&bucket, "")]);
    drop(bucket);
    let away = back_up(&planned, "", 10);
    assert_eq!(away["destinations"][0]["failed"], Value::Null);
    assert!(away["destinations"][1]["failed"].is_string(), "{away:#}");
    let listed = run(&planned, "backup verify plan.yaml", 13).stdout;
    assert!(listed.contains("is clean"), "{listed}");
}

#[test]
fn a_run_that_is_killed_while_it_writes_to_a_bucket_leaves_no_point_there() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let planned = planned(&bucket, "");
    let noise: Vec<u8> = (0..5_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    fs::write(planned.path("home/noise"), &noise).unwrap();
    let before = everything(&planned.path("home"));
    let mut unfinished = 0;
    for round in 0..8u64 {
        let seen = bucket.keys().len();
        let mut command = planned.sandbox.command("backup run plan.yaml");
        let mut process =
            command.env("ID", ID).env("KEY", KEY).stdout(Stdio::null()).spawn().unwrap();
        // From the first object in the bucket on, a little later each time.
        until("something is written, or it ended", Duration::from_mins(1), || {
            (bucket.keys().len() > seen || process.try_wait().unwrap().is_some()).then_some(())
        });
        std::thread::sleep(Duration::from_millis(round * 40));
        process.kill().unwrap();
        process.wait().unwrap();
        let keys = bucket.keys();
        let manifests = keys.iter().filter(|key| key.ends_with("/MANIFEST")).count();
        let points = keys.iter().map(|key| key.split('/').nth(3).unwrap());
        unfinished += points.collect::<std::collections::BTreeSet<_>>().len() - manifests;
        let listed = json(&run(&planned, "backup list plan.yaml --format json", 0));
        assert_eq!(listed["destinations"][1]["points"].as_array().unwrap().len(), manifests);
        if manifests > 0 {
            let to = format!("out-{round}");
            run(&planned, &format!("restore plan.yaml --to {to} --source home --from far"), 0);
            assert_eq!(difference(&before, &everything(&planned.path(&to))), None);
        }
    }
    assert!(unfinished > 0, "it was never killed in the middle");
    back_up(&planned, "", 0);
    run(&planned, "backup verify plan.yaml", 0);
}
