//! Whatever stands in names, files and notes of others: what drdrill prints is visible text, line by line, and no line is
//! a command to a CI system.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::fs;

use support::sandbox::{Outcome, Sandbox};

/// What terminals and CI systems act upon.
const ATTACKS: [&str; 16] = [
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
    "\u{9b}31m",
    "\u{7f}\u{8}\u{8}",
    "\u{202e}txt.exe",
    "\u{2066}isolate\u{2069}\u{200f}",
    "zero\u{200b}width\u{feff}",
    "\u{fffe}\u{ffff}",
    "::error::x",
    "::set-env name=PATH::x",
    "a\n::add-mask::x",
    "a\r\n::stop-commands::x",
    "a\u{85}::error::x",
    "a\u{2028}::error::x",
    "a\n##[error]x",
    "a\n##vso[task.setvariable variable=a]b",
];

/// Controls, marks of direction and invisible characters, written down here and not taken from the code under test.
fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(u32::from(c), 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[track_caller]
fn harmless(what: &str, outcome: &Outcome) {
    assert!(!matches!(outcome.code, None | Some(1 | 101)), "{what}: {outcome:#?}");
    for text in [&outcome.stdout, &outcome.stderr] {
        assert_eq!(text.chars().find(|&c| is_unwanted(c)), None, "{what}: {text:?}");
        for line in text.lines() {
            let line = line.trim_start();
            assert!(!line.starts_with("::") && !line.contains("##"), "{what}: {line:?}");
        }
    }
}

#[test]
fn names_on_the_command_line_are_shown_and_not_obeyed() {
    let sandbox = Sandbox::new();
    for attack in ATTACKS {
        for before in [
            &["run"][..],
            &["run", "no_op", "--env"],
            &["halt"],
            &["show"],
            &["halt", "--release"],
            &["halt", "--wait"],
            &["history", "--format"],
        ] {
            let output = sandbox.command("").args(before).arg(attack).output().unwrap();
            let outcome = Outcome::of(&output);
            assert_ne!(outcome.code, Some(0), "{before:?} {attack:?}");
            harmless(&format!("{before:?} {attack:?}"), &outcome);
        }
    }
}

#[test]
fn words_in_files_are_shown_and_not_obeyed() {
    let sandbox = Sandbox::new();
    for attack in ATTACKS {
        let quoted = serde_json::to_string(attack).unwrap();
        let files = [
            format!("scenario: {quoted}\ntitle: x\nkind: simulated\nfaults: []\n"),
            format!("scenario: x\n{quoted}: x\n"),
            format!("scenario: x\ntitle: x\nkind: {quoted}\n"),
            format!("scenario: x\ntitle: x\nkind: simulated\nfaults: []\nverify: [{quoted}]\n"),
            format!("scenario: x # {attack}\ntitle: [\n"),
            format!("# {attack}\n"),
        ];
        for file in files {
            fs::write(sandbox.path("mine.yaml"), &file).unwrap();
            for arguments in ["validate mine.yaml", "validate no_op --env mine.yaml"] {
                let outcome = sandbox.run(arguments).exits(14);
                harmless(&format!("{arguments}: {file:?}"), &outcome);
            }
        }
    }
}

#[test]
fn what_stands_in_the_state_directory_is_shown_and_not_obeyed() {
    let sandbox = Sandbox::new();
    sandbox.run("halt lab").exits(0);
    let lever = sandbox.state.join("halts/lab.halt");
    for attack in ATTACKS {
        let note = serde_json::json!({ "by": attack, "since": attack });
        fs::write(&lever, note.to_string()).unwrap();
        harmless(attack, &sandbox.run("status").exits(0));
        harmless(attack, &sandbox.run("run no_op").exits(16));
    }
    // A name that no drill would give, which somebody put there.
    fs::write(sandbox.state.join("halts/\u{1b}[2J::error::.halt"), b"{}").unwrap();
    harmless("a name", &sandbox.run("status").exits(0));
    harmless("a name", &sandbox.run("halt --release").exits(0));
}
