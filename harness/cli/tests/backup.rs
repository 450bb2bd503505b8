//! Backups of files, programs and databases: what is restored is compared with what was there, by readers of the test's
//! own and by tar, zstd and sha256sum.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backups {
    mod killed;
    mod probes;
    mod s3;
}
mod support {
    pub(crate) mod backups;
    pub(crate) mod bucket;
    pub(crate) mod number;
    pub(crate) mod random;
    pub(crate) mod sandbox;
    pub(crate) mod tmpfs;
    pub(crate) mod tree;
    pub(crate) mod wait;
}

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::backups::{Planned, json, sh};
use support::sandbox::Outcome;
use support::tmpfs::Tmpfs;
use support::tree::{Thing, What, difference, everything, make_hostile};
use support::wait::{alone, until};

const HOME: &str = "{ name: home, from: { files: { path: $DIR/home } } }";
const WEEKLY: &str = "full_every: 7d";

#[track_caller]
fn same(restored: &Path, before: &BTreeMap<PathBuf, Thing>) {
    let differs = difference(before, &everything(restored));
    assert_eq!(differs, None, "{}", restored.display());
}

#[test]
fn a_hostile_tree_is_restored_as_it_was() {
    let planned = Planned::new(
        "",
        &[
            "{ name: home, from: { files: { path: $DIR/home, exclude: [\"*.tmp\", cache/, /closed/secret] } } }",
        ],
    );
    let home = planned.path("home");
    make_hostile(&home);
    let before = everything(&home);
    // What is left out, and what cannot be backed up.
    for left_out in ["x.tmp", "closed/y.tmp", "closed/secret"] {
        fs::write(home.join(left_out), "left out").unwrap();
    }
    fs::create_dir_all(home.join("closed/cache/deep")).unwrap();
    nix::unistd::mkfifo(&home.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(home.join("socket")).unwrap();
    for (path, thing) in
        [("", before[Path::new("")].clone()), ("closed", before[Path::new("closed")].clone())]
    {
        let seconds = u64::try_from(thing.written.0).unwrap();
        let time =
            std::time::UNIX_EPOCH + Duration::new(seconds, u32::try_from(thing.written.1).unwrap());
        let times = fs::FileTimes::new().set_modified(time);
        fs::File::open(home.join(path)).unwrap().set_times(times).unwrap();
    }
    let report = planned.back_up("", 0);
    let done = &report["sources"][0]["outcome"]["done"];
    assert_eq!((&done["skipped"], &done["extent"]), (&2.into(), &"full".into()), "{report:#}");
    assert_eq!(done["files"], before.len());
    same(&planned.restore("alone", "--source home"), &before);
    same(&planned.restore("all", "").join("home"), &before);
    assert_eq!(fs::read_dir(planned.path("all")).unwrap().count(), 1, "nothing else is left there");
    planned.verify(0);
}

#[test]
fn a_source_that_is_a_link_to_a_directory_is_backed_up_as_that_directory() {
    let planned = Planned::new(WEEKLY, &[HOME]);
    make_hostile(&planned.path("elsewhere"));
    symlink("elsewhere", planned.path("home")).unwrap();
    let before = everything(&planned.path("elsewhere"));
    for round in 0..2 {
        planned.back_up("", 0);
        same(&planned.restore(&format!("out-{round}"), "--source home"), &before);
    }
    planned.verify(0);
}

/// Changes a tree in all ways in which one can change, another one in each round.
fn change(home: &Path, round: usize) {
    let at = |name: &str| home.join(name);
    match round {
        0 => {}
        1 => {
            fs::write(at("plain"), "changed").unwrap();
            fs::remove_file(at("*")).unwrap();
            fs::remove_dir_all(at("closed")).unwrap();
        }
        2 => {
            // A directory, a link and a file change places.
            fs::write(at("closed"), "a file now").unwrap();
            fs::remove_file(at("absolute")).unwrap();
            fs::create_dir(at("absolute")).unwrap();
            fs::write(at("absolute/in it"), "new").unwrap();
            fs::remove_file(at("hundred")).unwrap();
            symlink("plain", at("hundred")).unwrap();
        }
        3 => {
            // Only what is said of them.
            fs::set_permissions(at("new\nline"), Permissions::from_mode(0o600)).unwrap();
            std::os::unix::fs::chown(at("-rf"), Some(7), Some(8)).unwrap();
            fs::remove_file(at("long")).unwrap();
            symlink("elsewhere", at("long")).unwrap();
        }
        4 => {
            fs::remove_file(at("closed")).unwrap();
            fs::create_dir(at("closed")).unwrap();
            fs::rename(at("plain"), at("closed/plain")).unwrap();
            fs::rename(at("big"), at("bigger")).unwrap();
        }
        _ => {
            // As long as before, and with the time of before: nothing but the kernel's own mark tells.
            let path = at("same size");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "BBBB").unwrap();
            let times = fs::FileTimes::new().set_modified(time);
            fs::File::open(&path).unwrap().set_times(times).unwrap();
        }
    }
}

#[test]
fn a_chain_restores_the_tree_of_each_of_its_points_and_so_do_tar_and_zstd() {
    let planned = Planned::new(WEEKLY, &[HOME]);
    let home = planned.path("home");
    make_hostile(&home);
    fs::write(home.join("same size"), "AAAA").unwrap();
    let big: Vec<u8> = (0..3_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(4_000_000)
        .collect();
    fs::write(home.join("big"), &big).unwrap();
    // What was written within two seconds before a backup is read again by the next one.
    std::thread::sleep(Duration::from_millis(2100));
    let mut states = Vec::new();
    for round in 0..6 {
        change(&home, round);
        let report = planned.back_up("", 0);
        let done = report["sources"][0]["outcome"]["done"].clone();
        states.push((report["point"].as_str().unwrap().to_owned(), done, everything(&home)));
    }
    for (round, (point, done, before)) in states.iter().enumerate() {
        let extent = if round == 0 { "full" } else { "incremental" };
        assert_eq!(done["extent"], extent, "{point}");
        let until = i64::try_from(done["read_until_ms"].as_u64().unwrap()).unwrap();
        let at = chrono::DateTime::from_timestamp_millis(until).unwrap().to_rfc3339();
        let restored = planned.restore(&format!("at-{round}"), &format!("--source home --at {at}"));
        same(&restored, before);
    }
    // What did not change is not stored again, though all of it is restored.
    for (point, done, _) in &states[1..4] {
        assert!(done["stored_bytes"].as_u64().unwrap() < 100_000, "{point}: {done:#}");
        assert!(done["bytes"].as_u64().unwrap() > 4_000_000);
    }
    assert!(states[1].1["deleted"].as_u64().unwrap() >= 3);
    planned.verify(0);
    without_drdrill(&planned, &states);
}

/// Restores the whole chain as README says, and checks it with the checksums beside it.
fn without_drdrill(planned: &Planned, states: &[(String, Value, BTreeMap<PathBuf, Thing>)]) {
    let by_hand = planned.path("by hand");
    fs::create_dir(&by_hand).unwrap();
    for (point, done, before) in states {
        let from = planned.object(point, "");
        sh(&from, "sha256sum --quiet --strict -c MANIFEST");
        let from = from.display();
        if done["extent"] == "incremental" {
            sh(&by_hand, &format!("xargs -0 -r rm -rf -- < {from}/home.deleted"));
        }
        sh(&by_hand, &format!("zstd -dc {from}/home.tar.zst | tar -xp --numeric-owner"));
        let (mut found, mut wanted) = (everything(&by_hand), before.clone());
        for tree in [&mut found, &mut wanted] {
            // What is in a directory changes its time, and the archive says nothing of the root.
            tree.remove(Path::new(""));
            let directories = tree.values_mut().filter(|thing| thing.what == What::Directory);
            directories.for_each(|thing| thing.written = (0, 0));
        }
        assert_eq!(difference(&wanted, &found), None, "{point}");
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn damage_to_any_stored_file_is_found() {
    let planned = Planned::new(
        WEEKLY,
        &[HOME, "{ name: os, from: { command: { run: [/usr/bin/uname, -a] } } }"],
    );
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/a"), "a").unwrap();
    planned.back_up("", 0);
    fs::remove_file(planned.path("home/a")).unwrap();
    fs::write(planned.path("home/b"), "b").unwrap();
    planned.back_up("", 0);
    planned.back_up("--full", 0);
    let stored = files(&planned.path("nas"));
    // Two full ones and an incremental one of home, of os three; a description and a manifest each.
    assert_eq!(stored.len(), 2 + 2 + 3 + 3 + 3 + 3, "{stored:#?}");
    for (number, path) in stored.iter().enumerate() {
        let good = fs::read(path).unwrap();
        let mut bad = good.clone();
        let at = number * 7919 % bad.len();
        bad[at] ^= 1 << (number % 8);
        fs::write(path, &bad).unwrap();
        let said = planned.verify(10).to_string();
        let point = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        assert!(said.contains(point), "{}: {said}", path.display());
        fs::write(path, &good[..good.len() - 1]).unwrap();
        planned.verify(10);
        fs::remove_file(path).unwrap();
        // Without its manifest nothing claims to be a point of an S3 bucket; a directory does.
        planned.verify(10);
        fs::write(path, &good).unwrap();
    }
    let other = planned.object(&planned.points("nas")[0], "home.more");
    fs::write(&other, "x").unwrap();
    let said = planned.verify(10);
    assert!(said.to_string().contains("home.more lies there"), "{said:#}");
    fs::remove_file(other).unwrap();
    planned.verify(0);
}

#[test]
fn verifying_walks_back_to_the_last_clean_point_and_so_does_a_restore() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    let mut states = Vec::new();
    for content in ["first", "second", "third"] {
        fs::write(planned.path("home/file"), content).unwrap();
        let report = planned.back_up("", 0);
        states.push(report["point"].as_str().unwrap().to_owned());
    }
    let path = planned.object(&states[2], "home.tar.zst");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let text = planned.sandbox.run("backup verify plan.yaml").exits(10).stdout;
    assert!(
        text.contains(&format!(
            "home: {} is not usable: home.tar.zst does not have the SHA-256",
            states[2]
        )),
        "{text}"
    );
    assert!(text.contains(&format!("home: {} is clean: ", states[1])), "{text}");
    let outcome = planned.sandbox.run("restore plan.yaml --to out --source home").exits(0);
    assert!(
        outcome.stdout.contains(&format!("{} of nas is not usable", states[2])),
        "{outcome:#?}"
    );
    assert_eq!(fs::read_to_string(planned.path("out/file")).unwrap(), "second");
    // Too old is not usable either.
    let old = planned.sandbox.run("backup verify plan.yaml --max-age 1ms").exits(10).stdout;
    assert!(old.contains(" old, and 1ms is the limit"), "{old}");
    let old = planned.sandbox.run("restore plan.yaml --to old --max-age 1ms").exits(10);
    assert!(old.stderr.contains("no restore point is usable"), "{old:#?}");
    let none =
        planned.sandbox.run("restore plan.yaml --to none --at 2020-01-01T00:00:00Z").exits(10);
    assert!(none.stderr.contains("there is no backup of that time"), "{none:#?}");
    assert_eq!(fs::read_dir(planned.path("none")).unwrap().count(), 0);
}

#[test]
fn what_is_wrong_with_where_it_is_restored_is_no_reason_for_an_older_state() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/file"), "old").unwrap();
    planned.back_up("", 0);
    let noise: Vec<u8> = (0..5_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    fs::write(planned.path("home/file"), &noise).unwrap();
    let newest = planned.back_up("", 0)["point"].as_str().unwrap().to_owned();
    let refused = |options: &str, to: &str, why: &str| {
        let command = format!("restore plan.yaml --to {to} --source home {options}");
        let outcome = planned.sandbox.run(&command).exits(13);
        assert!(outcome.stderr.contains(why), "{why}: {outcome:#?}");
        assert!(outcome.stderr.contains("no reason to restore an older state"), "{outcome:#?}");
        assert_eq!(files_or_none(&planned.path(to)), [""; 0]);
    };
    let disk = Tmpfs::mount(&planned.path("small"));
    fs::create_dir(disk.path.join("out")).unwrap();
    let full = format!("{newest} of nas cannot be restored now: home.tar.zst: No space left");
    refused("", "small/out", &full);
    // A check that takes too long has found nothing wrong; neither has one that is not there.
    let checked = |run: &str| {
        let check = format!("check: {{ run: {run}, timeout: 200ms }}");
        format!("{{ name: home, from: {{ files: {{ path: $DIR/home }} }}, {check} }}")
    };
    planned.plan("", &[&checked("[/bin/sleep, 60]")], &[]);
    refused("", "late", "did not end within 200ms");
    planned.plan("", &[&checked("[/nowhere/at/all]")], &[]);
    refused("", "absent", "No such file");
    // A destination that is away may have a newer one; who knows better says so.
    let away = "{ name: away, media: usb, to: { directory: { path: $DIR/away } } }";
    planned.plan("", &[HOME], &[away]);
    refused("", "far", "away: ");
    let restored = planned.restore("out", "--source home --from nas");
    assert_eq!(fs::read(restored.join("file")).unwrap(), noise);
    // The same point elsewhere is as good as one that cannot be read.
    fs::create_dir(planned.path("away")).unwrap();
    sh(&planned.path(""), "cp -a nas/test away/");
    let archive = planned.object(&newest, "home.tar.zst");
    fs::remove_file(&archive).unwrap();
    symlink("home.tar.zst", &archive).unwrap();
    let outcome = planned.sandbox.run("restore plan.yaml --to again --source home").exits(0);
    assert!(outcome.stdout.contains(&format!("{newest} of nas")), "{outcome:#?}");
    assert_eq!(fs::read(planned.path("again/file")).unwrap(), noise);
}

#[test]
fn one_source_of_four_fails_and_the_others_do_not_notice() {
    let planned = Planned::new(
        "",
        &[
            HOME,
            "{ name: os, from: { command: { run: [/bin/echo, an, answer] } } }",
            "{ name: broken, from: { command: { run: [/bin/sh, -c, \"echo much; echo why >&2; exit 3\"] } } }",
            "{ name: shop, from: { sqlite: { file: $DIR/shop.db } } }",
        ],
    );
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/a"), "a").unwrap();
    // A database in which somebody is in the middle of a transaction, and has more in its log.
    let shop = rusqlite::Connection::open(planned.path("shop.db")).unwrap();
    shop.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1), (2); BEGIN; INSERT INTO t VALUES (3);")
        .unwrap();
    let report = planned.back_up("", 10);
    let outcomes: Vec<bool> = report["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"]["done"].is_object())
        .collect();
    assert_eq!(outcomes, [true, true, false, true], "{report:#}");
    assert_eq!(report["sources"][2]["outcome"]["failed"]["reason"], "/bin/sh: exit status: 3: why");
    let point = report["point"].as_str().unwrap();
    let kept = files(&planned.object(point, ""));
    assert!(kept.iter().all(|path| !path.to_str().unwrap().contains("broken")), "{kept:?}");
    let text = planned.sandbox.run("backup run plan.yaml").exits(10).stdout;
    assert!(text.contains("broken: failed: /bin/sh: exit status: 3: why"), "{text}");
    assert!(text.contains("NOT ALL OF IT"), "{text}");
    let said = planned.verify(10);
    let sources = said["destinations"][0]["sources"].as_array().unwrap();
    let clean: Vec<bool> = sources.iter().map(|one| one["clean"].is_object()).collect();
    assert_eq!(clean, outcomes, "{said:#}");
    // All of them is more than there is, and then nothing is restored.
    let all = planned.sandbox.run("restore plan.yaml --to all").exits(10);
    assert!(
        all.stderr.contains("broken: no restore point is usable")
            || all.stderr.contains("broken: there is no"),
        "{all:#?}"
    );
    assert_eq!(fs::read_dir(planned.path("all")).unwrap().count(), 0);
    planned.restore("os", "--source os");
    assert_eq!(fs::read_to_string(planned.path("os/os.out")).unwrap(), "an answer\n");
    planned.restore("shop", "--source shop");
    assert_eq!(files(&planned.path("shop")), [planned.path("shop/shop.db")]);
    let shop = rusqlite::Connection::open(planned.path("shop/shop.db")).unwrap();
    let rows: i64 = shop.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn programs_are_bounded_and_those_of_others_are_not_started() {
    let planned = Planned::new(
        "",
        &[
            "{ name: slow, from: { command: { run: [/bin/sleep, 60], timeout: 200ms } } }",
            "{ name: much, from: { command: { run: [/usr/bin/yes], at_most: 1MB } } }",
            "{ name: theirs, from: { command: { run: [$DIR/theirs] } } }",
            "{ name: absent, from: { command: { run: [/nowhere/at/all] } } }",
            "{ name: empty, from: { command: { run: [/bin/true] } } }",
        ],
    );
    fs::write(planned.path("theirs"), "#!/bin/sh\ntouch started\n").unwrap();
    fs::set_permissions(planned.path("theirs"), Permissions::from_mode(0o777)).unwrap();
    let report = planned.back_up("", 10);
    let reasons: Vec<&str> = report["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"]["failed"]["reason"].as_str().unwrap_or("done"))
        .collect();
    let words = [
        "did not end within 200ms",
        "more than at_most: 1MB",
        "others can write to it",
        "No such file",
        "done",
    ];
    for (reason, word) in reasons.iter().zip(words) {
        assert!(reason.contains(word), "{reason}: {word}");
    }
    assert_eq!(report["sources"][4]["outcome"]["done"]["bytes"], 0);
    assert!(!planned.path("started").exists());
}

#[test]
fn what_is_restored_is_looked_at_by_a_program() {
    let check = "check: { run: [/bin/grep, -rq, GOOD, \"{restored}\"] }";
    let source = format!("{{ name: home, from: {{ files: {{ path: $DIR/home }} }}, {check} }}");
    let planned = Planned::new("keep: { full: 1 }", &[&source]);
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/file"), "GOOD").unwrap();
    let good = planned.back_up("", 0)["point"].as_str().unwrap().to_owned();
    fs::write(planned.path("home/file"), "encrypted by somebody").unwrap();
    // The last clean one stays, however many are to be kept.
    for round in 2..4 {
        let report = planned.back_up("", 10);
        let why = report["destinations"][0]["not_removed"].as_str().unwrap();
        assert!(why.contains("no restore point of home that would stay is clean"), "{why}");
        assert_eq!(planned.points("nas").len(), round);
    }
    let text = planned.sandbox.run("backup verify plan.yaml").exits(10).stdout;
    assert!(text.contains("is not usable: its check: /bin/grep: exit status: 1"), "{text}");
    assert!(text.contains(&format!("home: {good} is clean")), "{text}");
    let restored = planned.restore("out", "--source home");
    assert_eq!(fs::read_to_string(restored.join("file")).unwrap(), "GOOD");
    fs::write(planned.path("home/file"), "GOOD again").unwrap();
    let report = planned.back_up("", 0);
    assert_eq!(planned.points("nas"), [report["point"].as_str().unwrap()]);
}

#[test]
fn what_is_kept_is_whole() {
    let planned = Planned::new("full_every: 7d\nkeep: { full: 2 }", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    let mut made: Vec<(String, bool)> = Vec::new();
    for round in 0..9 {
        fs::write(planned.path(&format!("home/{round}")), format!("{round}")).unwrap();
        let full = round % 3 == 0;
        let report = planned.back_up(if full { "--full" } else { "" }, 0);
        assert_eq!(report["sources"][0]["outcome"]["done"]["extent"] == "full", full);
        made.push((report["point"].as_str().unwrap().to_owned(), full));
        // The two newest full ones, with all that goes on from them.
        let first = made
            .iter()
            .enumerate()
            .filter(|(_, (_, full))| *full)
            .map(|(at, _)| at)
            .rev()
            .nth(1)
            .unwrap_or(0);
        let wanted: Vec<String> = made[first..].iter().map(|(point, _)| point.clone()).collect();
        assert_eq!(planned.points("nas"), wanted);
        planned.verify(0);
    }
    same(&planned.restore("out", "--source home"), &everything(&planned.path("home")));
}

#[test]
fn nothing_is_restored_over_anything() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/file"), "backed up").unwrap();
    planned.back_up("", 0);
    let theirs = planned.path("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("file"), "theirs").unwrap();
    let before = everything(&theirs);
    let refused = planned.sandbox.run("restore plan.yaml --to theirs --source home").exits(13);
    assert!(
        refused.stderr.contains("it is not empty: file; restore into an empty directory"),
        "{refused:#?}"
    );
    same(&theirs, &before);
    let file = planned.sandbox.run("restore plan.yaml --to theirs/file").exits(13);
    assert!(file.stderr.contains("Not a directory"), "{file:#?}");
    fs::create_dir_all(planned.path("unfinished/.drdrill-restoring")).unwrap();
    let unfinished = planned.sandbox.run("restore plan.yaml --to unfinished").exits(13);
    assert!(unfinished.stderr.contains("a restore that was not finished"), "{unfinished:#?}");
    // A new file system has one directory.
    fs::create_dir_all(planned.path("new/lost+found")).unwrap();
    let restored = planned.restore("new", "");
    assert_eq!(fs::read_to_string(restored.join("home/file")).unwrap(), "backed up");
    let unknown = planned.sandbox.run("restore plan.yaml --to x --source hme").exits(2);
    assert!(
        unknown.stderr.contains("no source `hme`; known, the nearest first: home"),
        "{unknown:#?}"
    );
}

/// Writes the description and the manifest of a point again, so that they are those of what lies there.
fn seal(directory: &Path, name: &str, list_name: Option<&str>) {
    let sum = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let path = directory.join("point.json");
    let mut point: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for object in point["sources"][0]["outcome"]["done"]["objects"].as_array_mut().unwrap() {
        let own = object["name"].as_str().unwrap().to_owned();
        if own == name || Some(own.as_str()) == list_name {
            let bytes = fs::read(directory.join(&own)).unwrap();
            object["sha256"] = sum(&bytes).into();
            object["bytes"] = bytes.len().into();
        }
    }
    fs::write(&path, serde_json::to_vec(&point).unwrap()).unwrap();
    let mut lines: Vec<String> = files(directory)
        .iter()
        .filter(|path| path.file_name().unwrap() != "MANIFEST")
        .map(|path| {
            format!(
                "{}  {}\n",
                sum(&fs::read(path).unwrap()),
                path.file_name().unwrap().to_str().unwrap()
            )
        })
        .collect();
    lines.sort_by(|a, b| a[66..].cmp(&b[66..]));
    fs::write(directory.join("MANIFEST"), lines.concat()).unwrap();
}

#[test]
fn an_archive_that_leads_out_of_the_target_is_refused() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    fs::write(planned.path("home/file"), "backed up").unwrap();
    let report = planned.back_up("", 0);
    let point = planned.object(report["point"].as_str().unwrap(), "");
    let (archive, list) = (point.join("home.tar.zst"), point.join("home.files.zst"));
    let good = [fs::read(&archive).unwrap(), fs::read(&list).unwrap()];
    let spoilt = |make: &str| {
        fs::write(&archive, &good[0]).unwrap();
        fs::write(&list, &good[1]).unwrap();
        sh(&planned.path(""), make);
        seal(&point, "home.tar.zst", Some("home.files.zst"));
        let outcome = planned.sandbox.run("restore plan.yaml --to out").exits(10);
        assert_eq!(fs::read_dir(planned.path("out")).unwrap().count(), 0, "{make}");
        assert!(!planned.path("evil").exists() && !planned.path("out/evil").exists(), "{make}");
        planned.verify(10);
        outcome.stderr
    };
    let (tar, files) = (archive.display(), list.display());
    // GNU tar makes each of these archives.
    let pack = |how: &str| format!("rm -f {tar}; tar -cf - -P {how} | zstd -q -o {tar}");
    let above = spoilt(&pack("--transform 's,.*,../evil,' home/file"));
    assert!(above.contains("leads out of the tree"), "{above}");
    let absolute = spoilt(&pack("--transform \"s,.*,$PWD/evil,\" home/file"));
    assert!(absolute.contains("leads out of the tree"), "{absolute}");
    sh(&planned.path("home"), "ln file hard");
    let hard = spoilt(&pack("home/file home/hard"));
    assert!(hard.contains("in the archive"), "{hard}");
    let nothing = spoilt(&pack("--transform 's,.*,other,' home/file"));
    assert!(nothing.contains("file is not in it"), "{nothing}");
    // A list that leads out: through a link, and above.
    let relist = |sed: &str| {
        format!("zstd -dcq {files} | sed '{sed}' > l; rm {files}; zstd -q l -o {files}")
    };
    let above = spoilt(&relist("s,\"path\":\"file\",\"path\":\"../evil\","));
    assert!(above.contains("leads out of the tree"), "{above}");
    let through = spoilt(&relist("s,\"path\":\"file\",\"path\":\"link/evil\","));
    assert!(through.contains("in nothing that is a directory"), "{through}");
    // And the good one, sealed again in the same way, is good.
    fs::write(&archive, &good[0]).unwrap();
    fs::write(&list, &good[1]).unwrap();
    seal(&point, "home.tar.zst", Some("home.files.zst"));
    planned.verify(0);
}

#[test]
fn a_full_disk_leaves_no_point_and_the_other_destination_has_it() {
    let planned = Planned::new("", &[HOME]);
    let disk = Tmpfs::mount(&planned.path("small"));
    planned.plan(
        "",
        &[HOME],
        &["{ name: small, media: usb, to: { directory: { path: $DIR/small } } }"],
    );
    fs::create_dir(planned.path("home")).unwrap();
    planned.back_up("", 0);
    let (before, free) = (planned.points("small"), disk.free());
    let noise: Vec<u8> = (0..5_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    fs::write(planned.path("home/noise"), &noise).unwrap();
    let report = planned.back_up("", 10);
    assert_eq!(report["destinations"][0]["failed"], Value::Null, "{report:#}");
    let why = report["destinations"][1]["failed"].as_str().unwrap();
    assert!(why.contains("No space left on device"), "{why}");
    assert_eq!((planned.points("small"), disk.free()), (before, free));
    assert_eq!(disk.names().len(), 2, "theirs, and that of the plan");
    same(&planned.restore("out", "--source home"), &everything(&planned.path("home")));
    // A disk for the staging directory that is full.
    let mut planned = planned;
    planned.sandbox.state = planned.path("small/state");
    let points = planned.points("nas");
    let report = planned.back_up("", 10);
    assert_eq!(report["point"], Value::Null, "{report:#}");
    assert!(report.to_string().contains("staging directory: No space left"), "{report:#}");
    assert_eq!(planned.points("nas"), points);
}

#[test]
fn a_file_that_is_written_to_meanwhile_is_not_passed_off_as_a_backup() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    let path = planned.path("home/log");
    fs::write(&path, vec![1; 20_000_000]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = fs::File::options().append(true).open(&path).unwrap();
            while !stop.load(Ordering::SeqCst) {
                log.write_all(b"one more\n").unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let failed = planned.back_up("", 10);
        let keep = "{ name: home, from: { files: { path: $DIR/home, changing: keep } } }";
        planned.plan("", &[keep], &[]);
        let kept = planned.back_up("", 0);
        let text = planned.sandbox.run("backup run plan.yaml").exits(0).stdout;
        stop.store(true, Ordering::SeqCst);
        let reason = failed["sources"][0]["outcome"]["failed"]["reason"].as_str().unwrap();
        assert!(
            reason.contains("1 files or directories changed while they were read (log)"),
            "{reason}"
        );
        assert_eq!(kept["sources"][0]["outcome"]["done"]["torn"]["some"][0], "log");
        assert!(
            text.contains("home: 1 files or directories changed while they were read: log"),
            "{text}"
        );
    });
}

#[test]
fn a_disk_that_is_not_mounted_is_noticed() {
    let planned = Planned::new("", &[HOME]);
    let [usb, home] = ["usb", "home"].map(|name| Tmpfs::mount(&planned.path(name)));
    let to_usb = ["{ name: usb, media: usb, to: { directory: { path: $DIR/usb } } }"];
    planned.plan("", &[HOME], &to_usb);
    planned.back_up("", 0);
    // The mount point is there, and what was written to it is not.
    drop(usb);
    let report = planned.back_up("", 10);
    assert_eq!(report["destinations"][0]["failed"], Value::Null, "{report:#}");
    let why = report["destinations"][1]["failed"].as_str().unwrap();
    assert!(why.contains("is the disk mounted?"), "{why}");
    assert_eq!(files_or_none(&planned.path("usb")), [""; 0]);
    planned.back_up("--first", 0);
    assert_eq!(planned.points("usb").len(), 1);
    // And what is backed up.
    drop(home);
    let points = planned.points("nas");
    let report = planned.back_up("", 10);
    let reason = report["sources"][0]["outcome"]["failed"]["reason"].as_str().unwrap();
    assert!(reason.contains("it is empty, and the backup before has 2 files"), "{reason}");
    assert_eq!(planned.points("nas"), points);
    let told = "{ name: home, from: { files: { path: $DIR/home, allow_empty: true } } }";
    planned.plan("", &[told], &to_usb);
    planned.back_up("", 0);
}

#[test]
fn a_point_of_the_future_stops_its_destination_alone() {
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    fs::create_dir(planned.path("usb")).unwrap();
    let to_usb = ["{ name: usb, media: usb, to: { directory: { path: $DIR/usb } } }"];
    planned.plan("", &[HOME], &to_usb);
    let point = planned.back_up("", 0)["point"].as_str().unwrap().to_owned();
    let future = "29991231T235959.999Z";
    // One that only has such a name is none.
    fs::create_dir(planned.path("nas/test").join(future)).unwrap();
    sh(
        &planned.path("usb/test"),
        &format!("mv {point} {future}; sed -i s/{point}/{future}/ {future}/point.json"),
    );
    seal(&planned.path("usb/test").join(future), "", None);
    let report = planned.back_up("", 10);
    assert_eq!(report["destinations"][0]["failed"], Value::Null, "{report:#}");
    let why = report["destinations"][1]["failed"].as_str().unwrap();
    assert!(why.contains("if this point was written with a wrong clock, move it away"), "{why}");
}

#[test]
fn what_another_machine_has_written_is_left_alone() {
    let planned = Planned::new("keep: { full: 1 }", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    let point = planned.back_up("", 0)["point"].as_str().unwrap().to_owned();
    let own = planned.object(&point, "");
    sh(&own, "sed -i 's/\"machine\": \"[^\"]*\"/\"machine\": \"other 123\"/' point.json");
    seal(&own, "", None);
    let report = planned.back_up("", 10);
    let why = report["destinations"][0]["failed"].as_str().unwrap();
    assert!(why.contains("was written by another machine (other 123; this one is "), "{why}");
    assert_eq!(planned.points("nas"), [point]);
    // A machine of which nothing else is left is restored on another one.
    planned.restore("out", "--source home");
    let taken = planned.back_up("--any-machine", 0)["point"].as_str().unwrap().to_owned();
    assert_eq!(planned.points("nas"), [taken]);
}

#[test]
fn what_backups_are_written_to_is_not_backed_up_itself() {
    let planned = Planned::new("", &["{ name: all, from: { files: { path: $DIR } } }"]);
    let reason = planned.back_up("", 10)["sources"][0]["outcome"]["failed"]["reason"].to_string();
    assert!(reason.contains("lies in it, which this backup writes to: leave it out"), "{reason}");
    planned.plan(
        "",
        &["{ name: all, from: { files: { path: $DIR, exclude: [/nas, /state] } } }"],
        &[],
    );
    planned.back_up("", 0);
}

#[test]
fn one_drdrill_at_a_time() {
    let planned =
        Planned::new("", &["{ name: slow, from: { command: { run: [/bin/sleep, 300] } } }"]);
    let mut first = planned.sandbox.command("backup run plan.yaml").spawn().unwrap();
    let staging = planned.path("state/backup/test/staging");
    until("the first one begins", Duration::from_secs(30), || {
        files_or_none(&staging).contains(&"slow.out.zst".to_owned()).then_some(())
    });
    let second = planned.sandbox.run("backup run plan.yaml").exits(13);
    assert!(second.stderr.contains("another drdrill is at work on these backups"), "{second:#?}");
    // The same plan with another state directory: the place is taken, so that nothing is even read.
    let elsewhere = planned.path("elsewhere");
    let mut command = planned.sandbox.command("backup run plan.yaml");
    let third = Outcome::of(&command.env("DRDRILL_STATE", &elsewhere).output().unwrap()).exits(10);
    assert!(third.stdout.contains("nas: failed: "), "{third:#?}");
    assert!(third.stdout.contains("another drdrill is at work on these backups"), "{third:#?}");
    let verify = planned.sandbox.run("backup verify plan.yaml").exits(13);
    assert!(verify.stdout.contains("another drdrill is at work"), "{verify:#?}");
    first.kill().unwrap();
    first.wait().unwrap();
    planned.plan("", &["{ name: slow, from: { command: { run: [/bin/true] } } }"], &[]);
    planned.back_up("", 0);
}

fn files_or_none(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn mistakes_are_answered_and_change_nothing() {
    let planned = Planned::new("", &[HOME]);
    let text = fs::read_to_string(planned.path("plan.yaml")).unwrap();
    let line = text.lines().last().unwrap();
    let twin = format!("{line}\n{}", line.replace("name: nas", "name: twin"));
    for (from, to, what) in [
        (line, twin.as_str(), "two destinations are in one place"),
        ("media: disk", "medium: disk", "unknown key `medium`; known, the nearest first: media"),
        ("name: home", "name: Home", "lower-case letters"),
        ("backup: test", "backup: test\nkeep: { full: 0 }", "plan.yaml:2:"),
    ] {
        fs::write(planned.path("plan.yaml"), text.replace(from, to)).unwrap();
        let refused = planned.sandbox.run("backup run plan.yaml").exits(14);
        assert!(refused.stderr.contains(what), "{refused:#?}");
    }
    fs::write(planned.path("plan.yaml"), &text).unwrap();
    planned.sandbox.run("backup verify plan.yaml nas").exits(2);
    planned.sandbox.run("backup verify nowhere.yaml").exits(14);
    planned.sandbox.run("restore nas --to x --source home").exits(2);
    assert_eq!(files_or_none(&planned.path("nas")), [""; 0]);
    // A source and a destination that are not there.
    let away = "{ name: away, media: usb, to: { directory: { path: $DIR/not mounted } } }";
    planned.plan("", &[HOME, "{ name: os, from: { command: { run: [/bin/true] } } }"], &[away]);
    let report = planned.back_up("", 10);
    assert!(
        report["destinations"][1]["failed"].as_str().unwrap().contains("not mounted: No such file"),
        "{report:#}"
    );
    assert!(
        report["sources"][0]["outcome"]["failed"]["reason"]
            .as_str()
            .unwrap()
            .contains("No such file")
    );
    assert!(report["sources"][1]["outcome"]["done"].is_object());
    assert!(!planned.path("not mounted").exists());
    // What somebody else keeps there is nothing of ours.
    fs::write(planned.path("nas/test/notes"), "theirs").unwrap();
    let listed = json(&planned.sandbox.run("backup list plan.yaml --format json").exits(13));
    assert_eq!(listed["destinations"][0]["points"].as_array().unwrap().len(), 1);
}

#[test]
fn copies_on_the_disk_of_the_original_are_none() {
    let _alone = alone();
    let planned = Planned::new("", &[HOME]);
    fs::create_dir(planned.path("home")).unwrap();
    let rule = |report: &Value| report["rule_3_2_1"].clone();
    let one = rule(&planned.back_up("", 0));
    assert_eq!((&one["kept"], &one["copies"]), (&false.into(), &1.into()), "{one:#}");
    assert!(one.to_string().contains("nas is on the file system of the original"), "{one:#}");
    let disks = [Tmpfs::mount(&planned.path("usb")), Tmpfs::mount(&planned.path("far"))];
    let more = [
        "{ name: usb, media: usb, to: { directory: { path: $DIR/usb } } }",
        "{ name: far, media: disk, offsite: true, to: { directory: { path: $DIR/far } } }",
        "{ name: twin, media: tape, to: { directory: { path: $DIR/far/twin } } }",
    ];
    fs::create_dir(planned.path("far/twin")).unwrap();
    planned.plan("", &[HOME], &more);
    let three = rule(&planned.back_up("", 0));
    assert_eq!((&three["kept"], &three["copies"]), (&true.into(), &3.into()), "{three:#}");
    assert!(three.to_string().contains("twin is where far is"), "{three:#}");
    assert_eq!(rule(&planned.verify(0))["kept"], true);
    let listed = planned.sandbox.run("backup list plan.yaml").exits(0).stdout;
    assert!(
        listed.contains(
            "3-2-1 rule: kept: 3 copies, the original counted; media: disk, usb; 1 off-site"
        ),
        "{listed}"
    );
    // The original counts for as long as it is there, and a destination when it has the newest point.
    fs::rename(planned.path("home"), planned.path("moved")).unwrap();
    let gone = rule(&planned.verify(0));
    assert_eq!(gone["kept"], false, "{gone:#}");
    assert!(gone.to_string().contains("the original of home is no copy"), "{gone:#}");
    fs::rename(planned.path("moved"), planned.path("home")).unwrap();
    let newest = planned.points("usb").pop().unwrap();
    let aside = planned.path("aside");
    sh(&planned.path("usb/test"), &format!("cp -a {newest} {}; rm -r {newest}", aside.display()));
    let old = rule(&json(&planned.sandbox.run("backup list plan.yaml --format json").exits(0)));
    assert_eq!(old["kept"], false, "{old:#}");
    sh(&planned.path("usb/test"), &format!("cp -a {} {newest}", aside.display()));
    // One that is damaged is no copy any more.
    for path in files(&planned.path("usb/test")) {
        fs::write(path, "gone").unwrap();
    }
    let two = rule(&planned.verify(10));
    assert_eq!((&two["kept"], &two["copies"]), (&false.into(), &2.into()), "{two:#}");
    assert!(two.to_string().contains("usb does not have all of it"), "{two:#}");
    drop(disks);
}
