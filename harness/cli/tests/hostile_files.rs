//! Two hundred hostile strings in every text field of scenario and environment files: what comes of them on the
//! terminal, in Markdown and in HTML is text, as a second parser of each sees it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::collections::BTreeSet;
use std::fs;

use drdrill_core::scenario::{Known, parse_inventory, parse_scenario};
use drdrill_reports::escape;
use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use pulldown_cmark::{Event, Options, Parser};
use support::sandbox::Sandbox;

/// Least number of strings.
const LEAST: usize = 200;

/// What CI systems take for a command when it begins a line.
const COMMANDS: [&str; 12] = [
    "::error::x",
    "::error file=a,line=1::x",
    "::add-mask::x",
    "::set-env name=PATH::x",
    "::set-output name=a::x",
    "::add-path::/tmp",
    "::stop-commands::x",
    "::echo::on",
    "##[error]x",
    "##[group]x",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[buildStop]",
];

/// What could make it begin one.
const BEFORE: [&str; 12] = [
    "",
    " ",
    "\t",
    "a\n",
    "a\r",
    "a\r\n",
    "a\u{b}",
    "a\u{c}",
    "a\u{85}",
    "a\u{2028}",
    "\u{feff}",
    "\u{200b}",
];

const OTHERS: [&str; 60] = [
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
    "\u{1b}]8;;http://evil.example\u{7}click\u{1b}]8;;\u{7}",
    "\u{1b}P1$r0m\u{1b}\\",
    "\u{1b}_Gf=100;AAAA\u{1b}\\",
    "\u{1b}[6n",
    "\u{9b}31m",
    "\u{9d}0;title\u{9c}",
    "\u{7f}\u{8}\u{8}",
    "a\rb",
    "\u{202e}txt.exe",
    "\u{2066}isolate\u{2069}\u{200f}",
    "\u{61c}\u{200e}mark",
    "zero\u{200b}width\u{feff}",
    "soft\u{ad}hyphen",
    "\u{fffe}\u{ffff}",
    "\u{e0041}\u{e0042}tags",
    "o\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--!><svg onload=alert(1)>",
    "<iframe src=//evil.example>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<a href=javascript:alert(1)>x</a>",
    "<plaintext>",
    "<textarea>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "&#x3c;script&#x3e;",
    "{{ 7*7 }}{% raw %}",
    "[a](javascript:alert(1))",
    "![a](//evil.example/x.png)",
    "[a]: //evil.example",
    "<javascript:alert(1)>",
    "<a@evil.example>",
    "http://evil.example",
    "www.evil.example",
    "@everyone",
    "#1",
    "**bold** _em_ ~~no~~",
    "`code`",
    "a|b|c",
    "# heading",
    "- item",
    "1. item",
    "> quote",
    "***",
    "    indented",
    "```sh",
    "a  \nb",
    "a\n===\nb",
    "| a |\n|---|\n| b |",
    "[^1]: note",
    "$a$ {#id .class}",
];

fn strings() -> Vec<String> {
    let commands =
        BEFORE.iter().flat_map(|before| COMMANDS.map(|command| format!("{before}{command}")));
    let mut all: Vec<String> = commands.chain(OTHERS.map(str::to_owned)).collect();
    all.sort();
    all.dedup();
    assert!(all.len() >= LEAST, "{}", all.len());
    all
}

/// A text as YAML reads it, whatever is in it.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_ascii_graphic() || c == ' ' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    let body: Vec<String> = text.chars().map(escaped).collect();
    format!("\"{}\"", body.concat())
}

/// A scenario and an environment with every text field there is; each stands between two `@`.
const SCENARIO: &str = "\
scenario: @mine@
title: @A title@
description: @What happens@
proves: [@One thing@, @another@]
kind: @simulated@
targets: { rto: @5min@, rpo: @1s@, rlo: @80%@ }
probes: { every: @20ms@, deadline: @200ms@, samples: 2 }
faults:
  - { at: @5s@, inject: { network_partition: { on: @primary@, from: @dr@, way: @in@ } } }
  - { at: @6s@, inject: { packet_loss: { on: @primary@, share: @30%@ } } }
  - { at: @7s@, inject: { network_delay: { on: @primary@, from: @dr@, delay: @100ms@, jitter: @10ms@, reorder: @20%@ } } }
recovery: { failover: @own@, give_up_after: @10s@ }
verify: [@nothing@]
soak: @1s@
stop_when: [{ probe: @web@, success_below: @99%@, over: @1s@ }]
";
const ENVIRONMENT: &str = "\
environment: @mine@
title: @Somebody's own@
pin: { machine_id: @0123456789abcdef0123456789abcdef@, hostname: @db-1@, http: { url: @http://10.0.0.5/@, contains: @me@, headers: { Accept: @text/plain@, Cookie: { env: @A@ }, X-A: { file: @/x@ } } } }
window: { days: [@mon@], from: @09:00@, to: @16:00@, timezone: @UTC@ }
provider:
  host:
    probes:
      - { name: @web@, service: @shop@, purpose: @read@, attempt: { http: { url: @http://10.0.0.5/@, body_contains: @ok@, headers: { X-B: @b@ } } } }
      - { name: @tcp@, service: @shop@, attempt: { tcp: { address: @10.0.0.5:80@ } } }
    nodes: [{ name: @db@, site: @primary@, network: { netns: @db@ }, addresses: [@10.0.0.5@], canary: @10.0.0.5:80@ }, { name: @app@, site: @dr@, network: { netns: @app@ }, addresses: [@10.0.0.6@], canary: @10.0.0.6:80@ }]
services: [{ name: @shop@, tier: 1, targets: { rto: @5min@ } }]
measure: { sustained: @1s@ }
machinery: { monitor: { interval: @1s@ }, step_timeout: @10s@ }
";
const LAB: &str = "\
environment: @lab@
provider: { lab: { replication_lag: @50ms@, listen: @127.0.0.1:1@, keep_data: @/x@, toxiproxy: @http://127.0.0.1:8474@ } }
services: [{ name: @store@, tier: 1 }]
";

/// The file with its fields as they are, but for number `hostile`.
fn with(file: &str, hostile: Option<usize>, text: &str) -> String {
    let parts = file.split('@').enumerate();
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => part.to_owned(),
        _ if Some(at / 2) == hostile => quoted(text),
        _ => quoted(part),
    };
    parts.map(part).collect::<Vec<_>>().concat()
}

fn fields(file: &str) -> usize {
    file.matches('@').count() / 2
}

/// Controls, marks of direction and invisible characters, written down here and not taken from the code under test.
fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(u32::from(c), 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe0fff)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Nothing but visible text, but for `ours`, and no line that begins like a command.
#[track_caller]
fn visible(what: &str, text: &str, ours: char) {
    assert_eq!(text.chars().find(|&c| is_unwanted(c) && c != ours), None, "{what}: {text:?}");
    let odd = text.lines().find(|line| line.trim_start().starts_with("::"));
    assert_eq!(odd, None, "{what}");
}

/// What a terminal or the log of a CI system is shown: there `##` is a command wherever it stands.
#[track_caller]
fn harmless(what: &str, text: &str) {
    visible(what, text, '\n');
    let odd = text.lines().find(|line| line.contains("##["));
    let odd =
        odd.or_else(|| text.lines().find(|line| line.contains("##vso") || line.contains("##team")));
    assert_eq!(odd, None, "{what}");
}

/// What is said about a file that is refused, as the command line says it.
fn said(file: &str, text: &str, hostile: usize) -> Option<String> {
    let yaml = with(file, Some(hostile), text);
    let error = if file.starts_with("scenario") {
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        let known = Known {
            roles: names(&["primary", "dr"]),
            functions: names(&["nothing"]),
            probes: names(&["web"]),
            ..Known::default()
        };
        parse_scenario("mine.yaml", yaml, &known).err()
    } else {
        parse_inventory("mine.yaml", yaml).err()
    };
    let error = error?.to_string();
    assert!(error.starts_with("mine.yaml:"), "{error}");
    Some(error.lines().map(escape::ci_log).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_files_are_right_but_for_what_is_put_into_them() {
    for file in [SCENARIO, ENVIRONMENT, LAB] {
        assert!(fields(file) > 5);
        let yaml = with(file, None, "");
        assert_eq!(said(&yaml, "", usize::MAX), None, "{yaml}");
    }
}

#[test]
fn every_field_of_a_file_that_is_refused_is_shown_and_not_obeyed() {
    let (mut refused, mut taken) = (0, 0);
    for file in [SCENARIO, ENVIRONMENT, LAB] {
        for field in 0..fields(file) {
            for text in strings() {
                match said(file, &text, field) {
                    Some(said) => {
                        harmless(&format!("field {field}, {text:?}"), &said);
                        refused += 1;
                    }
                    None => taken += 1,
                }
            }
        }
    }
    assert!(refused > 40 * LEAST && taken > 8 * LEAST, "{refused} refused, {taken} taken");
}

/// Fields that take any text, of a drill that runs: what the record and the reports show.
fn write_drill(sandbox: &Sandbox, text: &str) {
    // A field may be shorter than some strings are.
    let short: String = text.chars().take(16).collect();
    let (text, short) = (quoted(text), quoted(&short));
    let scenario = format!(
        "scenario: mine\ntitle: {text}\ndescription: {text}\nproves: [{text}, {text}]\nkind: simulated\nprobes: {{ every: 20ms, deadline: 200ms, samples: 1 }}\nfaults: []\nrecovery: {{ failover: own }}\n"
    );
    let environment = format!(
        "environment: mine\ntitle: {text}\nprovider:\n  host:\n    probes:\n      - {{ name: web, service: {short}, attempt: {{ http: {{ url: \"http://127.0.0.1:1/\", body_contains: {text} }} }} }}\nservices: [{{ name: shop, tier: 1 }}]\n"
    );
    fs::write(sandbox.path("mine.yaml"), scenario).unwrap();
    fs::write(sandbox.path("env.yaml"), environment).unwrap();
}

/// What the reports of a drill with that text are made of besides text.
fn shapes(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let sandbox = Sandbox::new();
    write_drill(&sandbox, text);
    let explained = sandbox.run("explain mine.yaml --env env.yaml").exits(0);
    harmless(text, &explained.stdout);
    let outcome = sandbox.run("run mine.yaml --env env.yaml");
    // Nobody listens there, so that nothing succeeds.
    assert!(matches!(outcome.code, Some(10 | 11)), "{text:?}: {outcome:#?}");
    harmless(text, &outcome.stdout);
    harmless(text, &outcome.stderr);
    let run = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
    let markdown = fs::read_to_string(run.join("report.md")).unwrap();
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    // The word joiner is ours: it keeps names from being recognised.
    visible(text, &markdown, '\u{2060}');
    visible(text, &html, '\n');
    (html_shape(&html), markdown_shape(&markdown))
}

fn html_shape(page: &str) -> BTreeSet<String> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    let mut shape = BTreeSet::new();
    let mut open: Vec<Handle> = vec![dom.document.clone()];
    while let Some(node) = open.pop() {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                shape.insert(name.local.to_string());
                let attributes = attrs.borrow();
                shape.extend(
                    attributes.iter().map(|one| format!("{} {}", name.local, one.name.local)),
                );
            }
            NodeData::Comment { .. } => shape.extend(["a comment".to_owned()]),
            NodeData::ProcessingInstruction { .. } => shape.extend(["an instruction".to_owned()]),
            _ => {}
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    shape
}

fn markdown_shape(text: &str) -> BTreeSet<String> {
    let events = Parser::new_ext(text, Options::all()).filter_map(|event| match event {
        Event::Text(_) | Event::SoftBreak | Event::End(_) => None,
        Event::Code(_) => Some("code".to_owned()),
        other => Some(format!("{other:?}")),
    });
    events.collect()
}

#[test]
fn every_field_of_a_drill_that_runs_is_shown_and_not_obeyed() {
    let calm = shapes("calm");
    assert!(calm.0.len() > 20 && calm.1.len() > 5, "{calm:?}");
    let all = strings();
    let (even, odd): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    std::thread::scope(|scope| {
        for half in [even, odd] {
            let calm = &calm;
            scope.spawn(move || {
                for (_, text) in half {
                    let found = shapes(text);
                    let odd: Vec<&String> = found.0.difference(&calm.0).collect();
                    assert!(odd.is_empty(), "{text:?}: HTML has {odd:?}");
                    let odd: Vec<&String> = found.1.difference(&calm.1).collect();
                    assert!(odd.is_empty(), "{text:?}: Markdown has {odd:?}");
                }
            });
        }
    });
}

#[test]
fn the_checks_notice_what_they_look_for() {
    let calm = html_shape("<p title=a>calm</p>");
    for raw in ["<script>alert(1)</script>", "<p onclick=x>", "<!-- x -->", "<svg/onload=alert(1)>"]
    {
        assert!(!html_shape(&format!("<p title=a>{raw}</p>")).is_subset(&calm), "{raw}");
    }
    let calm = markdown_shape("calm");
    for raw in ["[a](javascript:alert(1))", "![a](b)", "# a", "<b>", "**a**", "| a |\n|---|\n| b |"]
    {
        assert!(!markdown_shape(raw).is_subset(&calm), "{raw}");
    }
    for raw in [
        "\u{1b}[2J",
        "a\u{202e}b",
        "a\u{85}b",
        "a\n::error::x",
        " ::error::x",
        "a ##[error]x",
        "\u{feff}",
    ] {
        assert!(std::panic::catch_unwind(|| harmless(raw, raw)).is_err(), "{raw:?}");
    }
}
