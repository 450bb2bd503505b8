//! `README.txt`: what a bundle holds, and how to verify it with programs that are everywhere. What is to be typed is indented
//! by four blanks, and nothing else is.

use std::fmt::Write as _;

use super::write::Contents;
use super::{VERIFY_BUNDLE_BY_HAND, VERIFY_RUNS_BY_HAND};
use crate::escape;

pub(super) fn readme(contents: &Contents) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    say(&escape::terminal(&contents.title));
    say("");
    let broken: Vec<_> = contents.runs.iter().filter(|run| run.broken).collect();
    if !broken.is_empty() {
        say("BROKEN RUNS ARE IN THIS BUNDLE. They do not verify, and prove nothing:");
        for run in broken {
            say(&format!("- {}: {}", run.run_id, escape::terminal(&run.worth)));
        }
        say("");
    }
    say("HOW TO VERIFY");
    say("");
    say("With drdrill: drdrill verify FILE.tar.gz --trust FILE_WITH_THE_PUBLIC_KEY");
    say("It looks at every byte of the archive, and at each run in it.");
    say("");
    say(
        "Without drdrill, with sha256sum (coreutils), ssh-keygen (OpenSSH 8.1 or newer) and a shell,",
    );
    say("inside the directory that the archive was unpacked to:");
    say("");
    for command in VERIFY_BUNDLE_BY_HAND {
        say(&format!("    {command}"));
    }
    say("");
    say(
        "The first compares every file with its digest, the second checks who signed the list of digests,",
    );
    say(
        "the third that nothing else is there. Each says nothing, or that the signature is good, and ends with 0.",
    );
    say("");
    text.push_str(
        "Anybody can make a key, and a bundle with any text in it, this one included. Compare the fingerprint that\n\
         the second command PRINTS with one that you got by another way than this bundle; no other text in here tells\n\
         whose signature it is. Better: put the key that you got into a file outside this directory, as a line like those of allowed_signers,\n\
         and type its name behind -f in the place of allowed_signers. Then no other signature passes.\n\
         A signature does not prove when it was made, nor that its holder told the truth.\n",
    );
    if !contents.runs.is_empty() {
        text.push_str("\nEach run is sealed by itself too, often by the machine that ran it:\n\n");
        let _infallible = writeln!(text, "    {VERIFY_RUNS_BY_HAND}");
        text.push_str(
            "\nIt believes the keys that the signer of the list vouches for, and names each run whose own list of\n\
             digests is not signed, or signed by a key that nobody vouched for. A run that is named above as broken is not to be\n\
             believed, also where this passes.\n",
        );
    }
    text.push_str("\nWHAT IS IN IT\n\n");
    let mut say = |what: &str, about: &str| {
        let _infallible = writeln!(text, "{what:<20} {about}");
    };
    for name in contents.files.keys() {
        let about = match name.as_str() {
            "program.yaml" => "the drill program: what is to be drilled",
            "findings.jsonl" => "what people said of findings, a line each",
            name if name.starts_with("report.") => "the report of the quarter",
            _ => "",
        };
        say(&escape::terminal(name), about);
    }
    say(
        "allowed_signers",
        "the public key that signed the list, and those that its holder vouches for",
    );
    say("runs/ID/", "the runs: of the quarter, and earlier ones that its report relies on");
    say("  events.jsonl", "what happened, each line with the SHA-256 of the one before");
    say("  record.json", "the judgement, made from nothing but events.jsonl");
    say("  report.html, .md", "the same for people");
    say("  MANIFEST, .sig", "the digests of all files of the run, and the signature over them");
    text.push_str("\nRUNS\n\n");
    if contents.runs.is_empty() {
        text.push_str("There is none.\n");
    }
    for run in &contents.runs {
        let (about, worth) = (escape::terminal(&run.about), escape::terminal(&run.worth));
        let _infallible = writeln!(text, "{}  {about}; evidence: {worth}", run.run_id);
    }
    text
}
