//! What makes no sense is refused before anything is touched, with the place and with what to write instead.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod sandbox;
}

use std::fs;

use support::sandbox::Sandbox;

const GOOD: &str = "\
scenario: site
title: A site is lost
kind: simulated
targets: { rto: 1h, rpo: 15min, rlo: 80% }
probes: { every: 20ms, deadline: 900ms }
faults:
  - at: 5s
    inject: { site_loss: { on: primary } }
recovery: { failover: built_in, give_up_after: 2min }
verify: [data_access]
stop_when:
  - { probe: bystander, success_below: 99%, over: 2s }
";

const HOST: &str = "\
environment: shop
provider:
  host:
    probes:
      - { name: web, service: web, attempt: { tcp: { address: \"127.0.0.1:1\" } } }
services: [{ name: web, tier: 1 }]
";

/// What is refused with `code`, and what standard error says then.
#[track_caller]
fn refused(sandbox: &Sandbox, arguments: &str, code: i32) -> String {
    let outcome = sandbox.run(arguments).exits(code);
    assert_eq!(outcome.stdout, "", "standard output carries results alone");
    assert!(!sandbox.state.exists(), "{arguments}: it touched the state directory");
    outcome.stderr
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones_the_nearest_first() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        (
            "run complete_site_faliure",
            "drdrill: there is no scenario `complete_site_faliure`; \
             known, the nearest first: complete_site_failure, ",
        ),
        (
            "run no_op --env lab_bypas",
            "drdrill: there is no environment `lab_bypas`; known, the nearest first: lab_bypass, ",
        ),
        (
            "run complete_site_failure --set faliover=none",
            "drdrill: --set faliover=none: there is no such setting; known, the nearest first: failover, ",
        ),
        (
            "run complete_site_failure --set failover=non",
            "drdrill: --set failover=non: `non` is no failover; known, the nearest first: none, ",
        ),
        (
            "run complete_site_failure --set failover",
            "drdrill: --set failover: write it as NAME=VALUE, such as failover=none",
        ),
        ("run complete_site_failure --set soak=3", "drdrill: --set soak=3: `3` has no unit"),
        ("run complete_site_failure --set deadline=2s", "from 1ms to 900ms"),
        ("show 2026", "drdrill: there is no run `2026`; there are none"),
        ("verify last", "drdrill: there are no runs in "),
    ] {
        let stderr = refused(&sandbox, arguments, 2);
        assert!(stderr.contains(said), "{arguments}\n  expected {said}\n  got      {stderr}");
        let hint = "or give the path of a file that ends in .yaml";
        let by_name = arguments.contains("faliure") || arguments.contains("--env");
        assert_eq!(stderr.contains(hint), by_name, "{stderr}");
    }
}

#[test]
fn a_mistake_in_a_scenario_is_placed_shown_and_answered() {
    let sandbox = Sandbox::new();
    for (from, to, place, said) in [
        ("verify:", "verfy:", "10:1", "unknown key `verfy`; known, the nearest first: verify, "),
        ("every: 20ms", "every: 20", "5:18", "`20` has no unit"),
        ("rlo: 80%", "rlo: 0.8", "4:38", "has no unit"),
        (
            "on: primary",
            "on: primry",
            "8:13",
            "no role `primry`; known, the nearest first: primary, dr",
        ),
        (
            "[data_access]",
            "[data_acces]",
            "10:10",
            "no functionality check `data_acces`; known, the nearest first: data_access, ",
        ),
        (
            "probe: bystander",
            "probe: bystandr",
            "12:14",
            "no probe `bystandr`; known, the nearest first: bystander, ",
        ),
        ("title: A", "kind: full\ntitle: A", "4:1", "duplicate"),
        ("site_loss", "site_lost", "8:15", "known, the nearest first: site_loss, "),
        ("give_up_after: 2min", "give_up_after: 2", "9:48", "`2` has no unit"),
        ("at: 5s", "at: 5ms", "7:9", "must be from 1s to 1h"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        fs::write(sandbox.path("mine.yaml"), &text).unwrap();
        for command in ["run", "validate", "explain"] {
            let stderr = refused(&sandbox, &format!("{command} mine.yaml"), 14);
            assert!(
                stderr.starts_with(&format!("drdrill: mine.yaml:{place}: ")),
                "expected {place} for {to}, got {stderr}"
            );
            assert!(stderr.contains(said), "expected {said} for {to}, got {stderr}");
            let number = place.split(':').next().unwrap().parse::<usize>().unwrap();
            let line = text.lines().nth(number - 1).unwrap().trim();
            assert!(stderr.contains(line), "it should show {line:?}: {stderr}");
        }
    }
}

#[test]
fn a_mistake_in_an_environment_is_placed_shown_and_answered() {
    let sandbox = Sandbox::new();
    for (from, to, place, said) in [
        (
            "services:",
            "servces:",
            "6:1",
            "unknown key `servces`; known, the nearest first: services, ",
        ),
        ("tier: 1", "tier: 9", "6:31", "greater than 4"),
        ("host:", "hast:", "3:3", "known, the nearest first: host, lab"),
        ("tcp:", "tpc:", "5:47", "known, the nearest first: tcp, http"),
        ("tier: 1 }]", "tier: 1 }]\nmachinery: { at: dr }", "7:12", "only works in the lab"),
        ("tier: 1 }]", "tier: 1 }]\nmachinery: { fence: no }", "7:21", "if_reached, required"),
    ] {
        assert!(HOST.contains(from), "{from}");
        fs::write(sandbox.path("env.yaml"), HOST.replacen(from, to, 1)).unwrap();
        let stderr = refused(&sandbox, "run no_op --env env.yaml", 14);
        assert!(
            stderr.starts_with(&format!("drdrill: env.yaml:{place}: ")) && stderr.contains(said),
            "expected {place} {said} for {to}, got {stderr}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    for arguments in ["run absent.yaml", "run no_op --env absent.yaml", "run ./absent"] {
        let stderr = refused(&sandbox, arguments, 14);
        assert!(stderr.contains("absent") && stderr.contains("No such file"), "{stderr}");
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("mine.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    let stderr = refused(&sandbox, "run mine.yaml", 14);
    assert!(stderr.starts_with("drdrill: read mine.yaml: "), "{stderr}");
}

#[test]
fn an_environment_without_the_powers_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("env.yaml"), HOST).unwrap();
    let stderr = refused(&sandbox, "run complete_site_failure --env env.yaml", 14);
    assert!(stderr.contains("scenarios/complete_site_failure.yaml:"), "{stderr}");
    assert!(stderr.contains("the environment has no role `primary`; there are none"), "{stderr}");

    let watch = "scenario: watch\ntitle: Watch\nkind: simulated\nfaults: []\n";
    fs::write(sandbox.path("mine.yaml"), watch).unwrap();
    for command in ["run", "validate", "explain"] {
        let stderr = refused(&sandbox, &format!("{command} mine.yaml --env env.yaml"), 13);
        assert_eq!(
            stderr,
            "drdrill: scenario watch cannot run on shop, which cannot: fail over and back\n"
        );
    }
}

#[test]
fn a_setting_that_the_environment_does_not_have_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("env.yaml"), HOST).unwrap();
    let stderr = refused(&sandbox, "run no_op --env env.yaml --set replication_lag=1s", 2);
    assert!(stderr.contains("an environment of provider host has none"), "{stderr}");
}

#[test]
fn looking_touches_nothing() {
    let sandbox = Sandbox::new();
    for arguments in [
        "list",
        "explain complete_site_failure",
        "validate complete_site_failure",
        "history",
        "recover",
        "schema record",
        "completions bash",
        "--help",
        "--version",
    ] {
        sandbox.run(arguments).exits(0);
        assert!(!sandbox.state.exists(), "{arguments} touched the state directory");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let help = Sandbox::new().run("--help").exits(0).stdout;
    for code in ["0  passed", "12  something was left in place", "16  refused by a guard"] {
        assert!(help.contains(code), "{code} in {help}");
    }
}
