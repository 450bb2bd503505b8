//! kill -9 of a backup at any moment: there is a whole restore point, or none that claims to be one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::backups::{Planned, json, sh};
use crate::support::number::number_of;
use crate::support::random::Random;
use crate::support::tree::{difference, everything};

const HOME: &str = "{ name: home, from: { files: { path: $DIR/home } } }";

#[test]
fn a_run_that_is_killed_leaves_a_whole_point_or_none() {
    let planned = Planned::new(
        "full_every: 7d\nkeep: { full: 2 }",
        &[HOME, "{ name: list, from: { command: { run: [/usr/bin/find, $DIR/home, -type, f] } } }"],
    );
    fs::create_dir(planned.path("home")).unwrap();
    sh(&planned.path("home"), "head -c 6000000 /dev/urandom > noise");
    sh(&planned.path("home"), "head -c 3000000 /dev/urandom > more");
    planned.back_up("", 0);
    let began = Instant::now();
    planned.back_up("--full", 0);
    // Many runs come to their end, and many do not.
    let long = began.elapsed() * 3;
    let mut random = Random::new();
    let kills = number_of("DRDRILL_KILLS").unwrap_or(24);
    let (mut whole, mut none) = (0, 0);
    let mut trees = BTreeMap::new();
    let first = planned.points("nas").pop().unwrap();
    trees.insert(first.clone(), everything(&planned.path("home")));
    let mut newest = first;
    for round in 0..kills {
        // Another tree each time, every third time all of it, so that points are removed too.
        fs::write(planned.path(&format!("home/{}", round % 7)), format!("{round}")).unwrap();
        sh(&planned.path("home"), "head -c 3000000 /dev/urandom > more");
        let tree = everything(&planned.path("home"));
        let full = if round % 3 == 0 { "--full" } else { "" };
        let mut command = planned.sandbox.command(&format!("backup run plan.yaml {full}"));
        let mut process = command.stdout(Stdio::null()).spawn().unwrap();
        // Every other time certainly before it is done.
        let moment = random.below(if round % 2 == 0 { long } else { long / 6 });
        std::thread::sleep(moment);
        process.kill().unwrap();
        process.wait().unwrap();
        let listed = json(&planned.sandbox.run("backup list plan.yaml --format json").exits(0));
        let points = listed["destinations"][0]["points"].as_array().unwrap();
        for point in points {
            assert!(point["wrong"].is_null(), "after {moment:?}: {point:#}");
        }
        let top = points[0]["point"].as_str().unwrap().to_owned();
        if top == newest {
            none += 1;
        } else {
            whole += 1;
            newest.clone_from(&top);
            trees.insert(top.clone(), tree);
        }
        // What verify calls clean restores to what was there, and the newest is clean, as none but whole ones count.
        let said = planned.verify(0);
        assert_eq!(
            said["destinations"][0]["sources"][0]["clean"]["point"],
            top.as_str(),
            "after {moment:?}"
        );
        let out = planned.restore("out", "--source home");
        assert_eq!(difference(&trees[&top], &everything(&out)), None, "after {moment:?}: {top}");
        fs::remove_dir_all(out).unwrap();
    }
    println!("{whole} whole, {none} none");
    assert!(none > 0 && whole > 0, "it was never killed before, or never after it was done");
    planned.back_up("--full", 0);
    // Nothing of those that were killed is left.
    let points = planned.points("nas");
    assert!(points.iter().all(|name| !name.starts_with('.')), "{points:?}");
    assert_eq!(fs::read_dir(planned.path("state/backup/test")).unwrap().count(), 0);
}

#[test]
fn a_restore_that_is_killed_does_not_look_finished() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    sh(&planned.path("home"), "head -c 8000000 /dev/urandom > noise; seq 300 | xargs touch");
    planned.back_up("", 0);
    let before = everything(&planned.path("home"));
    let began = Instant::now();
    planned.restore("whole", "--source home");
    let long = began.elapsed();
    let mut random = Random::new();
    let mut unfinished = 0;
    for round in 0..12 {
        let to = format!("out-{round}");
        let mut command =
            planned.sandbox.command(&format!("restore plan.yaml --to {to} --source home"));
        let mut process = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(random.below(long).min(Duration::from_secs(10)));
        process.kill().unwrap();
        process.wait().unwrap();
        let out = planned.path(&to);
        if !out.exists() || fs::read_dir(&out).unwrap().next().is_none() {
            continue;
        }
        if out.join(".drdrill-restoring").exists() {
            unfinished += 1;
            let again = planned
                .sandbox
                .run(&format!("restore plan.yaml --to {to} --source home"))
                .exits(13);
            assert!(
                again.stderr.contains("a restore that was not finished")
                    || again.stderr.contains("it is not empty"),
                "{again:#?}"
            );
        } else {
            // The time of the directory itself is the very last thing: what lies in it changes that.
            let (mut before, mut found) = (before.clone(), everything(&out));
            for tree in [&mut before, &mut found] {
                tree.get_mut(Path::new("")).unwrap().written = (0, 0);
            }
            assert_eq!(difference(&before, &found), None, "{to}");
        }
    }
    assert!(unfinished > 0, "it was never killed in the middle");
}
