//! Spoilt scenario and environment files: no panic, no slow answer, and every error says where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod mutate;
}

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::scenario::{Known, parse_inventory, parse_scenario};
use support::mutate::{Dice, LONGEST, mutate, tokens_of};

/// How many spoilt files, where `DRDRILL_MUTANTS` does not say.
const MUTANTS: u64 = 20_000;

/// One answer may take so long. The goal (S1) is 100 ms, for the program that is shipped; unoptimised, on a machine
/// that does other things beside, this says that nothing grows out of proportion.
const SLOWEST: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(2) } else { Duration::from_millis(100) };

/// The process may have needed so much memory. Source: undo-and-security goals, S1.
const MOST_MEMORY_KIB: u64 = 64 * 1024;

/// The shipped files below a directory, and whether they are scenarios.
fn shipped(directory: &Path, found: &mut Vec<Vec<u8>>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            shipped(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(fs::read(path).unwrap());
        }
    }
}

/// An environment with everything that guards it; those that are shipped need none.
const GUARDED: &str = r#"
environment: guarded
title: A system of somebody's own
production: true
pin:
  machine_id: "0123456789abcdef0123456789abcdef"
  hostname: db-1
  http: { url: "http://10.0.0.5:8080/identity?a=b", headers: { Accept: text/plain, Cookie: { env: A } }, contains: me }
window: { days: [mon, tue, fri], from: "09:00", to: "16:30", timezone: Europe/Berlin }
provider:
  host:
    probes:
      - { name: web, service: shop, attempt: { http: { url: "http://[fd00::5]:80/", headers: { Authorization: { file: /x } } } } }
      - { name: tcp, service: shop, purpose: bystander, attempt: { tcp: { address: "db-1.example:5432" } } }
    nodes:
      - { name: db1, site: primary, network: { netns: db1 }, addresses: [10.0.0.5], canary: "10.0.0.5:5432" }
services:
  - { name: shop, tier: 1, targets: { rto: 5min } }
"#;

fn files() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = vec![GUARDED.as_bytes().to_vec()];
    shipped(&root.join("scenarios"), &mut found);
    shipped(&root.join("environments"), &mut found);
    assert!(found.len() >= 6, "{}", found.len());
    found
}

/// What the lab has.
fn known() -> Known {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    Known {
        zones: Some([("primary".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into()),
        roles: names(&["primary", "dr"]),
        functions: names(&[
            "application_availability",
            "user_authentication",
            "data_access",
            "job_submission",
            "intruders_refused",
        ]),
        probes: names(&["write", "read", "bystander"]),
        also: names(&["login", "registers", "bank"]),
        workloads: ["registers", "bank"].map(str::to_owned).into(),
        components: Some(
            [("primary".to_owned(), vec!["service".to_owned(), "auth".to_owned()])].into(),
        ),
        directories: Some([("primary".to_owned(), vec!["data".to_owned()])].into()),
        nodes: Some([("primary".to_owned(), vec!["database".to_owned()])].into()),
    }
}

/// Both answers to a file; the errors among them.
fn errors_of(file: &[u8]) -> Vec<String> {
    let scenario = parse_scenario("f", file, &known()).err();
    let inventory = parse_inventory("f", file).err();
    scenario.into_iter().chain(inventory).map(|error| error.to_string()).collect()
}

/// The line and the column that an error begins with, counted from 1.
fn place(error: &str) -> Option<(usize, usize)> {
    let (line, rest) = error.strip_prefix("f:")?.split_once(':')?;
    let (column, _) = rest.split_once(": ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Whether there is such a place in the file, or right behind its end.
fn is_in(file: &[u8], (line, column): (usize, usize)) -> bool {
    let text = String::from_utf8_lossy(file).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<&str> = text.split('\n').collect();
    let width = |line: usize| lines.get(line - 1).map(|line| line.chars().count());
    line >= 1 && column >= 1 && width(line).is_some_and(|width| column <= width + 2)
}

/// Checks one file; says how long its answers took together.
#[track_caller]
fn check(what: &str, file: &[u8]) -> (Duration, usize) {
    let timed = || {
        let began = Instant::now();
        let errors = catch_unwind(AssertUnwindSafe(|| errors_of(file)));
        (began.elapsed(), errors)
    };
    let (mut took, errors) = timed();
    // Slow because of the file, or because somebody else had the processor? Only the file is slow each time.
    for _ in 0..2 {
        if took >= SLOWEST {
            took = took.min(timed().0);
        }
    }
    let shown = || String::from_utf8_lossy(&file[..file.len().min(400)]).into_owned();
    let Ok(errors) = errors else { panic!("{what}: the parser panicked on {:?}", shown()) };
    assert!(took < SLOWEST, "{what}: {took:?} for {} bytes: {:?}", file.len(), shown());
    for error in &errors {
        let Some(place) = place(error) else { panic!("{what}: no place: {error}\n{:?}", shown()) };
        assert!(is_in(file, place), "{what}: {place:?} is not in the file: {error}\n{:?}", shown());
    }
    (took, errors.len())
}

/// The most memory this process ever used, in KiB.
fn most_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn no_spoilt_file_panics_takes_long_or_is_refused_without_a_place() {
    let files = files();
    let mutants = std::env::var("DRDRILL_MUTANTS").map_or(MUTANTS, |n| n.parse().unwrap());
    let one = |seed: u64| {
        let file = mutate(seed, &files[Dice::new(!seed).below(files.len())]);
        check(&format!("seed {seed}"), &file)
    };
    let share = |first: u64| {
        let all = (first..mutants).step_by(2).map(one);
        all.fold((Duration::ZERO, 0), |(slowest, refused), (took, errors)| {
            (slowest.max(took), refused + errors)
        })
    };
    let (even, odd) = thread::scope(|scope| {
        let even = scope.spawn(|| share(0));
        let odd = share(1);
        (even.join().unwrap(), odd)
    });
    let (slowest, refused) = (even.0.max(odd.0), even.1 + odd.1);
    let memory = most_memory_kib();
    println!("{mutants} files, {refused} refusals; slowest {slowest:?}; at most {memory} KiB");
    // A spoilt file may still be right for one of the two; all of them being right would mean that nothing was spoilt.
    assert!(refused as u64 > mutants, "{refused}");
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}

#[test]
fn the_shipped_files_are_right_until_they_are_spoilt() {
    for file in files() {
        let errors = errors_of(&file);
        assert_eq!(errors.len(), 1, "it is one of the two: {errors:?}");
    }
}

#[test]
fn the_same_seed_spoils_in_the_same_way() {
    for file in files() {
        let all = |from: u64| (from..from + 50).map(|seed| mutate(seed, &file)).collect::<Vec<_>>();
        assert_eq!(all(0), all(0));
        assert_ne!(all(0), all(50));
    }
}

#[test]
fn sixty_four_kibibytes_of_anything_are_answered_quickly() {
    let pieces: [&[u8]; 24] = [
        b"[", b"{", b"]", b"}", b"- ", b"? ", b": ", b"a: ", b"{a: ", b"[{", b"\"", b"'", b"|\n",
        b"&a ", b"*a ", b"!x ", b"#", b"\\", b"\n", b"\r\n", b"\0", b" ", b"\t", b"\xff",
    ];
    for piece in pieces {
        let file: Vec<u8> = piece.iter().copied().cycle().take(LONGEST).collect();
        for before in
            [&b""[..], b"scenario: ", b"title: \"", b"scenario: a\ntitle: |\n  ", b"faults:\n"]
        {
            let file: Vec<u8> = before.iter().chain(&file).copied().take(LONGEST).collect();
            check(&format!("{before:?} + {piece:?}"), &file);
        }
    }
    let keys: Vec<u8> =
        (0..).flat_map(|n| format!("k{n}: 1\n").into_bytes()).take(LONGEST).collect();
    check("many keys", &keys);
    let nested: Vec<u8> =
        (0..350).flat_map(|n| format!("{:n$}a:\n", "").into_bytes()).take(LONGEST).collect();
    check("nested by indentation", &nested);
}

/// Longest word that is put in the place of another, in bytes.
const LONG_WORD: usize = 8 * 1024;

/// In the place of each word, so that it also reaches what compares names and shows the line.
#[test]
fn one_long_word_anywhere_is_answered_quickly() {
    for file in files() {
        let huge = b"x".repeat(LONG_WORD);
        for token in tokens_of(&file) {
            let mut file = file.clone();
            file.splice(token.clone(), huge.iter().copied());
            check(&format!("a long word at {token:?}"), &file);
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_placed() {
    for (file, place) in [
        (&b"\xff"[..], "f:1:1: "),
        (b"scenario: \xc3(", "f:1:11: "),
        (b"scenario: a\ntitle: \xc3\xbc\xed\xa0\x80", "f:2:9: "),
        (b"a\r\nb\rc\n\n\x80", "f:5:1: "),
        (b"title: \xf0\x9f", "f:1:8: "),
    ] {
        for error in errors_of(file) {
            assert!(error.starts_with(place), "{file:?}: {error}");
            assert!(error.contains("UTF-8"), "{error}");
        }
    }
}
