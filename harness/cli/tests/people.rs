//! A runbook followed as the recovery plan: by people, by commands and by the machinery; and whatever happens meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod daemon;
    pub(crate) mod drill;
    pub(crate) mod machine;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod undisturbed;
    pub(crate) mod wait;
    pub(crate) mod world;
}

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pulldown_cmark::{Event, Options, Parser};
use serde_json::{Value, json};
use support::daemon::Daemon;
use support::drill::Drill;
use support::machine::{entry, environment, scenario};
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::undisturbed::undisturbed;
use support::wait::until;
use support::world::{nothing_is_left, processes, runs};

/// A drill that is ended has put everything back so long after. Source: undo-and-security goals, R9.
const UNDONE: Duration = Duration::from_secs(5);

const SCENARIO: &str = "\
scenario: people
title: A short loss of the primary site, with people
kind: simulated
runbook: runbook.yaml
targets: { rto: 1h, rpo: 15min }
probes: { every: 50ms }
faults:
  - at: 1s
    inject: { site_loss: { on: primary } }
recovery: { failover: runbook, give_up_after: 40s }
verify: [application_availability, data_access]
soak: 300ms
failback: { shift: [50%, 100%], hold: 300ms }
";

const RUNBOOK: &str = "\
runbook: small
title: The site is gone
triggers: [The alarm]
contacts: [{ role: lead, name: Rota, reach: phone 1 }, { role: ops, name: Operations, reach: phone 2 }]
steps:
  - { name: confirm, phase: detect, owner: lead, within: 5min, do: [Look twice], expect: Nothing answers, otherwise: Wait }
  - { name: decide, phase: decide, owner: lead, within: 1s, do: [Decide], expect: A decision }
  - { name: mark, phase: fail_over, owner: ops, within: 10s, do: [Mark it], expect: It is marked, run: mark }
  - { name: over, phase: fail_over, owner: ops, within: 1min, do: [Fail over], expect: DR decides, action: fail_over }
  - { name: second, phase: verify, owner: ops, within: 2s, do: [Second command], expect: It works, run: second }
  - { name: works, phase: verify, owner: ops, within: 30s, do: [Try], expect: It works, verify: [data_access] }
  - { name: tell, phase: verify, owner: lead, within: 5min, do: [Tell users], expect: They know, otherwise: Call them }
  - { name: back, phase: fail_back, owner: ops, within: 2min, do: [Go back], expect: Home, action: fail_back }
  - { name: review, phase: close, owner: lead, within: 1h, do: [Write], expect: Lessons }
rollback: [Say that it stays]
";

const SCRIPT: &str = "\
participants: [{ name: Ada, role: lead, present: true }]
steps:
  - { step: confirm, result: done, takes: 700ms, decision: Two probes see nothing }
  - { step: decide, result: done, takes: 1100ms }
  - { step: tell, result: done, takes: 200ms, issues: [The page was slow] }
";

/// Writes a program that only its owner may write to; returns its path.
fn program(sandbox: &Sandbox, name: &str, script: &str) -> String {
    let path = sandbox.path(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// The file that the command makes and its undo removes.
fn marked(sandbox: &Sandbox) -> bool {
    sandbox.path("marked").exists()
}

/// How often the undo was run.
fn undos(sandbox: &Sandbox) -> usize {
    fs::read_to_string(sandbox.path("undos")).unwrap_or_default().lines().count()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in [("people", SCENARIO), ("runbook", RUNBOOK), ("script", SCRIPT)] {
        fs::write(sandbox.path(&format!("{name}.yaml")), text).unwrap();
    }
    let file = |name: &str| sandbox.path(name).display().to_string();
    let mark = program(&sandbox, "mark", &format!("echo marked > {}", file("marked")));
    let undo = format!("echo undone >> {}; rm -f {}", file("undos"), file("marked"));
    let unmark = program(&sandbox, "unmark", &undo);
    let second = program(&sandbox, "second", "exit 0");
    let environment = format!(
        "\
environment: lab
provider: {{ lab: {{ replication_lag: 50ms }} }}
services: [{{ name: store, tier: 1 }}]
measure: {{ sustained: 500ms }}
machinery:
  monitor: {{ interval: 200ms, timeout: 150ms, failures: 2, kinds: 2, both: true }}
  step_timeout: 10s
commands:
  - {{ name: mark, command: [{mark}], undo: [{unmark}] }}
  - {{ name: second, command: [{second}] }}
"
    );
    fs::write(sandbox.path("env.yaml"), environment).unwrap();
    sandbox
}

const RUN: &str = "run people.yaml --env env.yaml";

fn replaced(sandbox: &Sandbox, file: &str, from: &str, to: &str) {
    let path = sandbox.path(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The answer to the first step comes in ten minutes: nobody waits for it.
fn nobody_answers(sandbox: &Sandbox, step: &str) {
    let script = fs::read_to_string(sandbox.path("script.yaml")).unwrap();
    let from = script.lines().find(|line| line.contains(&format!("step: {step},"))).unwrap();
    let to = format!("  - {{ step: {step}, result: done, takes: 10min }}");
    replaced(sandbox, "script.yaml", from, &to);
}

fn step<'a>(record: &'a Value, name: &str) -> &'a Value {
    let steps = record["runbook"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap()
}

fn took_ms(step: &Value) -> f64 {
    step["finished_ms"].as_f64().unwrap() - step["started_ms"].as_f64().unwrap()
}

fn evidence(sandbox: &Sandbox, file: &str) -> String {
    let dir = sandbox.state.join("runs").join(runs(&sandbox.state).first().unwrap());
    fs::read_to_string(dir.join(file)).unwrap()
}

fn last_record(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&evidence(sandbox, "record.json")).unwrap()
}

#[test]
fn a_drill_by_the_runbook_passes_and_the_time_of_people_is_in_its_recovery_time() {
    undisturbed(|| {
        let sandbox = sandbox();
        let outcome = sandbox.run(&format!("{RUN} --script script.yaml --format json")).exits(0);
        let record = record(&outcome);
        assert_eq!(record["verdict"], "pass");
        // Seven tenths and eleven tenths of a second before anything is done, on top of the alarm.
        let rto = &record["services"][0]["rto"];
        assert!(rto["at_least_ms"].as_f64().unwrap() >= 1_800.0, "{rto:#}");
        let confirm = step(&record, "confirm");
        assert_eq!((&confirm["by"], &confirm["who"]), (&json!("person"), &json!("Ada")));
        assert_eq!(confirm["note"], "Two probes see nothing");
        assert!(took_ms(confirm) >= 700.0, "{confirm:#}");
        assert!((1_800.0..10_000.0).contains(&record["runbook"]["by_people_ms"].as_f64().unwrap()));
        assert_eq!(record["runbook"]["scripted"], true);
        for (name, by) in [("mark", "command"), ("over", "machinery"), ("works", "checks")] {
            let step = step(&record, name);
            assert_eq!((&step["by"], &step["outcome"]), (&json!(by), &json!("done")), "{step:#}");
        }
        assert_eq!(step(&record, "back")["outcome"], "done");
        // The lost site could not be fenced, and the step does not claim it.
        let over = step(&record, "over")["note"].as_str().unwrap();
        assert!(over.starts_with("fence the lost site: not possible, and not needed, "), "{over}");
        assert_eq!(step(&record, "review")["started_ms"], Value::Null);
        // The steps follow one another in the order of the file.
        let steps = record["runbook"]["steps"].as_array().unwrap();
        let starts: Vec<f64> = steps.iter().filter_map(|one| one["started_ms"].as_f64()).collect();
        assert!(starts.len() == 8 && starts.is_sorted(), "{starts:?}");
        // People decided when they said so, and not when the alarm was raised.
        let phases = &record["phases"];
        let decided = phases["decided_ms"].as_f64().unwrap();
        assert!(decided - phases["detected_ms"].as_f64().unwrap() >= 1_800.0, "{phases:#}");
        // A second and a tenth where the runbook gives one second.
        let rules = record["recommendations"].to_string();
        assert!(
            rules.contains("manual_steps_slow") && rules.contains("step decide: took 1.1"),
            "{rules}"
        );
        // After the way back, too: nobody can tell whether it has ended what the command did.
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        sandbox.run("verify last").exits(0);
        let shown = sandbox.run("show last").exits(0).stdout;
        for told in ["runbook step confirm: done", "by person (Ada); Two probes", "people: "] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        for file in ["report.html", "report.md"] {
            let report = evidence(&sandbox, file);
            for told in
                ["Steps of the runbook", "Two probes see nothing", "Ada", "came from a file"]
            {
                assert!(report.contains(told), "{file} lacks {told}");
            }
        }
        nothing_is_left(&sandbox);
    });
}

/// As it is shipped, where each part of the failover is a step of its own.
#[test]
fn the_shipped_scenario_is_carried_out_part_by_part() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let set = "--set failback=none --set soak=1s --set sustained=1s --format json";
        let outcome = sandbox.run(&format!("run site_loss_by_runbook {set}")).exits(0);
        let record = record(&outcome);
        let rto = record["services"][0]["rto"]["at_least_ms"].as_f64().unwrap();
        assert!(rto >= 2_000.0, "two people took a second each: {rto}");
        let plan = record["steps"].as_array().unwrap();
        for (name, part) in [
            ("fence_primary", "fence the lost site"),
            ("start_dr", "activate the DR site"),
            ("promote_dr", "promote the DR site"),
            ("redirect_traffic", "redirect the traffic"),
            ("look_at_dr", "see that it serves"),
        ] {
            let step = step(&record, name);
            assert_eq!((&step["by"], &step["outcome"]), (&json!("machinery"), &json!("done")));
            // That part of the plan, and only that, was carried out during the step.
            let during = |one: &&Value| {
                one["started_ms"].as_f64() >= step["started_ms"].as_f64()
                    && one["finished_ms"].as_f64() <= step["finished_ms"].as_f64()
            };
            let names: Vec<&str> =
                plan.iter().filter(during).map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(names, [part], "{name}");
        }
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_person_who_fails_takes_everything_back_in_reverse_order_and_is_named() {
    undisturbed(|| {
        let sandbox = sandbox();
        replaced(
            &sandbox,
            "script.yaml",
            "result: done, takes: 200ms",
            "result: failed, takes: 200ms",
        );
        let set = "--set give_up_after=5s --script script.yaml --format json";
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(10);
        let record = record(&outcome);
        let reasons = record["reasons"].to_string();
        assert!(
            reasons.contains("step tell of the runbook failed: The page was slow"),
            "{reasons}"
        );
        assert!(
            outcome.stderr.contains("step tell failed; the runbook says: Call them"),
            "{}",
            outcome.stderr
        );
        let rolled_back = |name: &str| {
            let steps = record["steps"].as_array().unwrap();
            steps.iter().find(|step| step["name"] == name).unwrap()["rolled_back"] == true
        };
        assert!(rolled_back("promote the DR site") && rolled_back("redirect the traffic"));
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        // The command was the first that was done, so it is the last that is taken back.
        let undone: Vec<&str> = outcome
            .stderr
            .lines()
            .filter_map(|line| line.split_once("rollback of ").map(|(_, what)| what))
            .map(|what| what.split(" (").next().unwrap())
            .collect();
        let place = |name: &str| undone.iter().position(|one| *one == name).unwrap();
        assert!(place("redirect the traffic") < place("promote the DR site"), "{undone:?}");
        assert!(place("promote the DR site") < place("fence the lost site"), "{undone:?}");
        assert_eq!(undone.last(), Some(&"mark"), "{undone:?}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_command_that_fails_or_takes_too_long_rolls_back_and_is_named() {
    undisturbed(|| {
        for (script, why) in [
            ("echo no such thing >&2; exit 3", "no such thing"),
            ("sleep 600", "not done within 2s"),
        ] {
            let sandbox = sandbox();
            program(&sandbox, "second", script);
            let set = "--set give_up_after=6s --set failback=none --script script.yaml";
            let outcome = sandbox.run(&format!("{RUN} {set} --format json")).exits(10);
            let record = record(&outcome);
            let reasons = record["reasons"].to_string();
            assert!(reasons.contains("step second of the runbook failed"), "{reasons}");
            assert!(step(&record, "second")["note"].as_str().unwrap().contains(why), "{record:#}");
            assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
            assert_eq!(step(&record, "tell")["started_ms"], Value::Null);
            nothing_is_left(&sandbox);
        }
    });
}

#[test]
fn a_drill_that_ends_at_the_other_site_takes_back_what_commands_did() {
    undisturbed(|| {
        let sandbox = sandbox();
        sandbox.run(&format!("{RUN} --set failback=none --script script.yaml")).exits(0);
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn an_interrupt_while_somebody_is_asked_puts_everything_back_at_once() {
    undisturbed(|| {
        // Before anything is done, and after the command and the failover.
        for asked in ["confirm", "tell"] {
            let sandbox = sandbox();
            nobody_answers(&sandbox, asked);
            let mut drill = Drill::start(sandbox.command(&format!("{RUN} --script script.yaml")));
            drill.says(&format!("  step {asked} by Ada"));
            assert_eq!(marked(&sandbox), asked == "tell");
            let began = Instant::now();
            drill.signal(Signal::SIGINT);
            drill.end().exits(15);
            assert!(began.elapsed() < UNDONE, "{asked}: {:?}", began.elapsed());
            assert!(!marked(&sandbox), "{asked}: what the command did is taken back");
            nothing_is_left(&sandbox);
            let record = last_record(&sandbox);
            let reasons = record["reasons"].to_string();
            assert!(reasons.contains(&format!("the drill ended during step {asked}")), "{reasons}");
            let asked = step(&record, asked);
            assert!(asked["started_ms"].is_number() && asked["finished_ms"].is_null(), "{asked:#}");
        }
    });
}

#[test]
fn halt_ends_the_waiting_too() {
    undisturbed(|| {
        let sandbox = sandbox();
        nobody_answers(&sandbox, "confirm");
        let mut drill = Drill::start(sandbox.command(&format!("{RUN} --script script.yaml")));
        drill.says("  step confirm by Ada");
        let began = Instant::now();
        sandbox.run("halt lab --no-wait");
        drill.end().exits(15);
        assert!(began.elapsed() < UNDONE, "{:?}", began.elapsed());
        sandbox.run("halt lab --release").exits(0);
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_stop_condition_ends_the_waiting_too() {
    undisturbed(|| {
        let sandbox = sandbox();
        nobody_answers(&sandbox, "confirm");
        let stop = "stop_when: [{ probe: write, success_below: 50%, over: 1s }]\nsoak:";
        replaced(&sandbox, "people.yaml", "soak:", stop);
        let began = Instant::now();
        let outcome = sandbox.run(&format!("{RUN} --script script.yaml --format json")).exits(15);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let record = record(&outcome);
        assert!(record["reasons"].to_string().contains("probe write: "), "{record:#}");
        assert!(step(&record, "confirm")["started_ms"].is_number());
        nothing_is_left(&sandbox);
    });
}

/// Half a way back: it is not waited for without an end, and what commands did is taken back in its place.
#[test]
fn who_does_not_answer_on_the_way_back_is_not_waited_for_either() {
    undisturbed(|| {
        let sandbox = sandbox();
        let agree = "  - { name: agree, phase: fail_back, owner: lead, within: 1min, do: [Agree], expect: It is agreed }";
        replaced(
            &sandbox,
            "runbook.yaml",
            "  - { name: back,",
            &format!("{agree}\n  - {{ name: back,"),
        );
        let answer = "  - { step: agree, result: done, takes: 10min }\n";
        let script = fs::read_to_string(sandbox.path("script.yaml")).unwrap();
        fs::write(sandbox.path("script.yaml"), script + answer).unwrap();
        let set = "--set give_up_after=8s --script script.yaml --format json";
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(10);
        let reasons = record(&outcome)["reasons"].to_string();
        assert!(reasons.contains("step agree of the runbook was never done (Ada)"), "{reasons}");
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn who_does_not_answer_is_not_waited_for_longer_than_the_scenario_says() {
    undisturbed(|| {
        let sandbox = sandbox();
        nobody_answers(&sandbox, "confirm");
        let set = "--set give_up_after=2s --set failback=none --script script.yaml --format json";
        let began = Instant::now();
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(10);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let reasons = record(&outcome)["reasons"].to_string();
        assert!(reasons.contains("step confirm of the runbook was never done (Ada)"), "{reasons}");
        assert!(reasons.contains("never restored within"), "{reasons}");
        nothing_is_left(&sandbox);
    });
}

/// Who gives up takes back the machinery's part too, before the lost site returns, and does not go back: nobody is away.
#[test]
fn a_recovery_that_is_given_up_is_rolled_back_before_the_fault_is() {
    undisturbed(|| {
        let sandbox = sandbox();
        nobody_answers(&sandbox, "tell");
        let set = "--set give_up_after=8s --script script.yaml --format json";
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(10);
        let record = record(&outcome);
        let reasons = record["reasons"].to_string();
        assert!(reasons.contains("step tell of the runbook was never done (Ada)"), "{reasons}");
        let steps = record["steps"].as_array().unwrap();
        for name in ["redirect the traffic", "promote the DR site"] {
            let step = steps.iter().find(|step| step["name"] == name).unwrap();
            assert_eq!(step["rolled_back"], true, "{name}: {step:#}");
        }
        assert_eq!(step(&record, "back")["started_ms"], Value::Null);
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        let place = |words: &str| {
            outcome.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", outcome.stderr))
        };
        assert!(place("command taken back") < place("   taken back"), "{}", outcome.stderr);
        nothing_is_left(&sandbox);
    });
}

/// What the machinery has begun on the way back it brings to its end: half of it is worse than either end.
#[test]
fn the_machinery_is_not_stopped_half_way_back() {
    undisturbed(|| {
        let sandbox = sandbox();
        // Longer than people are waited for.
        replaced(&sandbox, "people.yaml", "[50%, 100%], hold: 300ms", "[50%, 100%], hold: 4s");
        let set = "--set give_up_after=6s --script script.yaml --format json";
        let outcome = sandbox.run(&format!("{RUN} {set}"));
        let record = record(&outcome);
        assert_eq!(step(&record, "back")["outcome"], "done", "{record:#}");
        assert!(took_ms(step(&record, "back")) > 6_000.0, "{record:#}");
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
        nothing_is_left(&sandbox);
    });
}

fn keeper(sandbox: &Sandbox) -> Pid {
    let found = processes(&sandbox.state);
    let keeper = found.iter().find(|(_, what)| what.contains(" keeper ")).map(|(pid, _)| *pid);
    Pid::from_raw(keeper.unwrap_or_else(|| panic!("no keeper in {found:?}")))
}

#[test]
fn a_killed_drill_leaves_nothing_of_a_command_whoever_takes_it_back() {
    undisturbed(|| {
        for with_keeper in [false, true] {
            let sandbox = sandbox();
            nobody_answers(&sandbox, "tell");
            let mut drill = Drill::start(sandbox.command(&format!("{RUN} --script script.yaml")));
            drill.says("  step tell by Ada");
            assert!(marked(&sandbox), "the command was run");
            if with_keeper {
                kill(keeper(&sandbox), Signal::SIGKILL).unwrap();
            }
            drill.signal(Signal::SIGKILL);
            assert_eq!(drill.end().code, None);
            if with_keeper {
                sandbox.run("recover").exits(0);
            }
            until("the command is taken back", UNDONE, || (!marked(&sandbox)).then_some(()));
            nothing_is_left(&sandbox);
            assert_eq!(undos(&sandbox), 1, "with_keeper {with_keeper}");
        }
    });
}

#[test]
fn a_command_that_outlives_the_drill_is_ended_before_it_is_taken_back() {
    undisturbed(|| {
        let sandbox = sandbox();
        let (late, marked_file) = (sandbox.path("late"), sandbox.path("marked"));
        let script = format!(
            "echo marked > {}; setsid -f sh -c 'sleep 3; echo late > {}'; sleep 600",
            marked_file.display(),
            late.display()
        );
        program(&sandbox, "mark", &script);
        let mut drill = Drill::start(sandbox.command(&format!("{RUN} --script script.yaml")));
        drill.says("  step mark by a command");
        until("the command runs", UNDONE, || marked(&sandbox).then_some(()));
        let began = Instant::now();
        drill.signal(Signal::SIGKILL);
        drill.end();
        until("the command is taken back", UNDONE, || (!marked(&sandbox)).then_some(()));
        nothing_is_left(&sandbox);
        // By then the straggler would have written, had it lived.
        std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
        assert!(!late.exists() && !marked(&sandbox), "something of the command lived on");
    });
}

#[test]
fn where_nobody_can_be_asked_nothing_is_touched() {
    let sandbox = sandbox();
    for command in [RUN, "run people.yaml --env env.yaml --ask"] {
        let stderr = sandbox.run(command).exits(13).stderr;
        assert!(
            stderr.contains(
                "step confirm of the runbook small is for a person, and nobody can be asked"
            ) && stderr.contains("--script FILE"),
            "{stderr}"
        );
    }
    let stderr = sandbox.run("run no_op --script script.yaml").exits(2).stderr;
    assert!(
        stderr.contains("nobody is asked anything in no_op: it follows no runbook"),
        "{stderr}"
    );
    // Without the runbook nobody is asked either.
    let stderr = sandbox
        .run("run people.yaml --env env.yaml --set failover=built_in --script script.yaml")
        .exits(2)
        .stderr;
    assert!(stderr.contains("it follows no runbook"), "{stderr}");
    assert!(!sandbox.state.exists(), "something was touched");
}

#[test]
fn a_mistake_in_what_is_followed_is_placed_and_answered() {
    for (file, from, to, code, place, said) in [
        (
            "runbook.yaml",
            "run: mark",
            "run: mrak",
            14,
            "runbook.yaml:8:",
            "the environment has no command `mrak`; known, the nearest first: mark",
        ),
        (
            "runbook.yaml",
            "verify: [data_access]",
            "verify: [data_acces]",
            14,
            "runbook.yaml:11:",
            "no functionality check `data_acces`; known, the nearest first: data_access",
        ),
        (
            "runbook.yaml",
            "action: fail_over",
            "action: failover",
            14,
            "runbook.yaml:9:",
            "unknown name `failover`; known, the nearest first: fail_over",
        ),
        (
            "runbook.yaml",
            "action: fail_over",
            "action: fail_over, run: mark",
            14,
            "runbook.yaml:9:",
            "a step is done in one way",
        ),
        (
            "runbook.yaml",
            "phase: fail_over, owner: ops, within: 1min",
            "phase: decide, owner: ops, within: 1min",
            14,
            "runbook.yaml:9:",
            "`fail_over` belongs to a step of the phase fail_over",
        ),
        (
            "runbook.yaml",
            "phase: decide",
            "phase: verify",
            14,
            "runbook.yaml:6:",
            "in the order of their phases",
        ),
        (
            "runbook.yaml",
            ", action: fail_back",
            "",
            14,
            "runbook.yaml:6:",
            "says `action: fail_back`",
        ),
        (
            "people.yaml",
            "runbook: runbook.yaml\n",
            "",
            14,
            "people.yaml:",
            "the scenario names none",
        ),
        ("script.yaml", "step: tell", "step: tel", 14, "script.yaml:5:", "no step `tel`"),
    ] {
        let sandbox = sandbox();
        replaced(&sandbox, file, from, to);
        let stderr = sandbox.run(&format!("{RUN} --script script.yaml")).exits(code).stderr;
        let first = stderr.lines().next().unwrap().replace("./", "");
        assert!(first.starts_with(&format!("drdrill: {place}")), "{to}: {stderr}");
        assert!(first.contains(said), "{to}: {stderr}");
        assert!(!sandbox.state.exists(), "{to}: something was touched");
    }
}

#[test]
fn a_command_that_somebody_else_could_change_is_refused() {
    let sandbox = sandbox();
    fs::set_permissions(sandbox.path("unmark"), fs::Permissions::from_mode(0o777)).unwrap();
    let stderr = sandbox.run(&format!("{RUN} --script script.yaml")).exits(13).stderr;
    assert!(
        stderr.contains("command mark: ") && stderr.contains("others can write to it"),
        "{stderr}"
    );
    assert!(runs(&sandbox.state).is_empty() && !marked(&sandbox));
}

#[test]
fn an_environment_that_asks_for_a_fence_gets_one() {
    let sandbox = sandbox();
    // Written out, because a line that is continued loses its indent.
    let parts = "  - { name: up, phase: fail_over, owner: ops, within: 1min, do: [x], expect: x, action: activate }\n  - { name: over, phase: fail_over, owner: ops, within: 1min, do: [x], expect: x, action: promote }";
    let runbook = fs::read_to_string(sandbox.path("runbook.yaml")).unwrap();
    let whole = runbook.lines().find(|line| line.contains("action: fail_over")).unwrap();
    replaced(&sandbox, "runbook.yaml", whole, parts);
    let stderr =
        sandbox.run(&format!("{RUN} --set fence=required --script script.yaml")).exits(13).stderr;
    assert!(stderr.contains("it promotes without a fence"), "{stderr}");
    nothing_is_left(&sandbox);
}

#[test]
fn a_command_that_cannot_be_taken_back_is_said_and_recover_tries_again() {
    undisturbed(|| {
        let sandbox = sandbox();
        program(&sandbox, "unmark", "exit 7");
        let set = "--set failback=none --script script.yaml --format json";
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(12);
        let left = &record(&outcome)["leftovers"][0];
        assert_eq!((&left["kind"], &left["target"]), (&json!("command"), &json!("mark")));
        assert!(left["error"].as_str().unwrap().contains("exit status: 7"), "{left:#}");
        assert!(left["by_hand"].as_str().unwrap().contains("/unmark; when that is "), "{left:#}");
        // No other drill begins over it.
        sandbox.run(&format!("{RUN} {set}")).exits(12);
        sandbox.run("recover").exits(12);
        assert!(marked(&sandbox));
        program(&sandbox, "unmark", &format!("rm {}", sandbox.path("marked").display()));
        sandbox.run("recover").exits(0);
        assert!(!marked(&sandbox));
        nothing_is_left(&sandbox);
    });
}

/// An undo that works once, and that somebody has run by hand, never works again: what it says to do about it works.
#[test]
fn what_was_taken_back_by_hand_can_be_closed_as_it_is_said() {
    undisturbed(|| {
        let sandbox = sandbox();
        program(&sandbox, "unmark", "exit 7");
        sandbox.run(&format!("{RUN} --set failback=none --script script.yaml")).exits(12);
        let said = sandbox.run("recover").exits(12).stdout;
        let (by_hand, ledger) = said.split_once("in place: rm ").unwrap();
        assert!(by_hand.contains("/unmark; when that is done"), "{said}");
        let ledger = std::path::Path::new(ledger.lines().next().unwrap().trim());
        assert!(ledger.starts_with(&sandbox.state) && ledger.exists(), "{said}");
        fs::remove_file(sandbox.path("marked")).unwrap();
        fs::remove_file(ledger).unwrap();
        nothing_is_left(&sandbox);
        // The next drill begins.
        program(&sandbox, "unmark", &format!("rm {}", sandbox.path("marked").display()));
        sandbox.run(&format!("{RUN} --set failback=none --script script.yaml")).exits(0);
    });
}

/// A daemon that a command has started is its work, and not the command: its undo finds it at work.
#[test]
fn a_daemon_that_a_command_has_started_lives_until_its_undo_ends_it() {
    undisturbed(|| {
        let sandbox = sandbox();
        let file = |name: &str| sandbox.path(name).display().to_string();
        let (pid, marked_file, ended) = (file("pid"), file("marked"), file("ended"));
        let start = format!(
            "setsid -f sh -c 'trap \"echo > {ended}; exit\" TERM; echo $$ > {pid}; while :; do sleep 0.05; done' </dev/null >/dev/null 2>&1\n\
             until [ -s {pid} ]; do sleep 0.01; done; echo marked > {marked_file}"
        );
        program(&sandbox, "mark", &start);
        // Only one that still runs can end in order.
        let undo = format!(
            "kill $(cat {pid}); for try in $(seq 60); do [ -e {ended} ] && break; sleep 0.05; done\n\
             [ -e {ended} ] && echo undone >> {}; rm -f {marked_file}",
            file("undos")
        );
        program(&sandbox, "unmark", &undo);
        sandbox.run(&format!("{RUN} --set failback=none --script script.yaml")).exits(0);
        assert!(!marked(&sandbox), "the undo was run");
        assert_eq!(undos(&sandbox), 1, "the daemon was gone before its undo");
        nothing_is_left(&sandbox);
    });
}

/// A command without an undo leaves nothing to take back, but it must not go on alone.
#[test]
fn a_command_without_an_undo_does_not_outlive_a_killed_drill() {
    undisturbed(|| {
        let sandbox = sandbox();
        let (late, runs) = (sandbox.path("late"), sandbox.path("runs"));
        let script = format!(
            "setsid -f sh -c 'sleep 3; echo late > {}'; echo runs > {}; sleep 600",
            late.display(),
            runs.display()
        );
        program(&sandbox, "second", &script);
        replaced(&sandbox, "runbook.yaml", "within: 2s", "within: 1min");
        let mut drill = Drill::start(sandbox.command(&format!("{RUN} --script script.yaml")));
        drill.says("  step second by a command");
        until("the command runs", UNDONE, || runs.exists().then_some(()));
        let began = Instant::now();
        drill.signal(Signal::SIGKILL);
        drill.end();
        nothing_is_left(&sandbox);
        // By then it would have written, had it lived.
        std::thread::sleep(Duration::from_secs(4).saturating_sub(began.elapsed()));
        assert!(!late.exists(), "it lived on");
        assert!(!marked(&sandbox) && undos(&sandbox) == 1, "{} undos", undos(&sandbox));
    });
}

/// What would be obeyed where it is shown as it is.
const ATTACKS: [&str; 6] = [
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "::error::x",
    "a\n##[error]x",
    "<script>alert(1)</script>",
    "| a | b |\n# heading",
    "\u{202e}txt.exe",
];

#[test]
fn notes_are_shown_and_not_obeyed() {
    undisturbed(|| {
        let sandbox = sandbox();
        let attack = serde_json::to_string(&ATTACKS.join(" ")).unwrap();
        replaced(
            &sandbox,
            "script.yaml",
            "decision: Two probes see nothing",
            &format!("decision: {attack}"),
        );
        replaced(&sandbox, "script.yaml", "name: Ada", &format!("name: {attack}"));
        let set = "--set failback=none --script script.yaml";
        let outcome = sandbox.run(&format!("{RUN} {set}")).exits(0);
        let shown = sandbox.run("show last").exits(0);
        for text in [&outcome.stdout, &outcome.stderr, &shown.stdout] {
            let unwanted = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert_eq!(text.chars().find(|&c| unwanted(c)), None, "{text:?}");
            for line in text.lines() {
                let line = line.trim_start();
                assert!(!line.starts_with("::") && !line.contains("##["), "{line:?}");
            }
        }
        let html = evidence(&sandbox, "report.html");
        assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;alert"));
        let markdown = evidence(&sandbox, "report.md");
        for event in Parser::new_ext(&markdown, Options::ENABLE_TABLES) {
            assert!(!matches!(event, Event::Html(_) | Event::InlineHtml(_)), "{event:?}");
        }
        assert!(!markdown.contains("\n# heading"), "{markdown}");
        // As they were said, nothing is left out of the evidence.
        let note = step(&last_record(&sandbox), "confirm")["note"].as_str().unwrap().to_owned();
        assert!(ATTACKS.iter().all(|attack| note.contains(attack.trim())), "{note:?}");
        sandbox.run("check last").exits(0);
    });
}

/// A drill at a terminal of its own.
struct AtATerminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl AtATerminal {
    fn start(sandbox: &Sandbox, arguments: &str) -> Self {
        let drdrill = env!("CARGO_BIN_EXE_drdrill");
        let mut command = sandbox.program("script".as_ref());
        command
            .args(["-qec", &format!("exec {drdrill} {arguments}"), "/dev/null"])
            .env("TERM", "xterm");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut out, seen) = (child.stdout.take().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut some) {
                seen.lock().unwrap().extend_from_slice(&some[..read]);
            }
        });
        Self { child, keys, screen }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `words` are shown, and types.
    #[track_caller]
    fn types(&mut self, words: &str, keys: &str) {
        until(words, Duration::from_mins(1), || {
            if self.shown().contains(words) {
                return Some(());
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?} before {words:?}: {}", self.shown());
            None
        });
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    #[track_caller]
    fn end(mut self) -> Outcome {
        let status = until("the end", Duration::from_mins(1), || self.child.try_wait().unwrap());
        Outcome { code: status.code(), stdout: self.shown(), stderr: String::new() }
    }
}

impl Drop for AtATerminal {
    fn drop(&mut self) {
        // Does nothing when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn people_are_asked_at_a_terminal_and_a_mistyped_answer_is_asked_again() {
    undisturbed(|| {
        let sandbox = sandbox();
        // Typed before anybody was asked: it must answer nothing.
        let mut drill = AtATerminal::start(&sandbox, &format!("{RUN} --set failback=none"));
        drill.types("baseline", "failed too early\n");
        drill.types("1/9  detect: confirm   by lead (Rota), within 5m", "what?\n");
        drill.types("write d (done), f (failed) or s (skipped)", "done: two probes\n");
        drill.types("2/9  decide: decide", "d\n");
        drill.types("7/9  verify: tell", "d the page says so\n");
        let outcome = drill.end();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
        for told in ["do      Look twice", "expect  Nothing answers", "else    Wait"] {
            assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
        }
        let record = last_record(&sandbox);
        assert_eq!(record["runbook"]["scripted"], false);
        let confirm = step(&record, "confirm");
        assert_eq!((&confirm["note"], &confirm["who"]), (&json!("two probes"), &json!("Rota")));
        assert_eq!(step(&record, "tell")["note"], "the page says so");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_person_at_a_terminal_may_skip_or_interrupt() {
    undisturbed(|| {
        let sandbox = sandbox();
        let mut drill = AtATerminal::start(&sandbox, &format!("{RUN} --set failback=none"));
        drill.types("1/9  detect: confirm", "s nobody on site\n");
        // What a terminal makes of Ctrl-C.
        drill.types("2/9  decide: decide", "\u{3}");
        let began = Instant::now();
        let outcome = drill.end();
        assert_eq!(outcome.code, Some(15), "{}", outcome.stdout);
        assert!(began.elapsed() < UNDONE, "{:?}", began.elapsed());
        nothing_is_left(&sandbox);
        let record = last_record(&sandbox);
        assert_eq!(step(&record, "confirm")["outcome"], "skipped");
        let reasons = record["reasons"].to_string();
        assert!(
            reasons.contains("step confirm of the runbook was skipped: nobody on site"),
            "{reasons}"
        );
    });
}

const BY_HAND: &str = "\
runbook: by_hand
title: The daemon is gone
triggers: [A call]
contacts: [{ role: lead, name: Rota, reach: phone 1 }]
steps:
  - { name: notice, phase: detect, owner: lead, within: 5min, do: [Notice it], expect: It is gone }
  - { name: agree, phase: decide, owner: lead, within: 5min, do: [Agree], expect: A decision }
  - { name: start, phase: fail_over, owner: lead, within: 10s, do: [Start it], expect: It runs, run: start_db }
  - { name: tell, phase: verify, owner: lead, within: 5min, do: [Tell], expect: They know }
rollback: [Leave it running]
";

const BY_HAND_SCRIPT: &str = "\
participants: [{ name: Ada, role: lead, present: true }]
steps:
  - { step: notice, result: done, takes: 1300ms }
  - { step: agree, result: done, takes: 900ms }
  - { step: tell, result: done, takes: 100ms }
";

/// A drill on two daemons by hand, which the command `start_db` with this undo starts again.
fn by_hand(sandbox: &Sandbox, db: &Daemon, web: &Daemon, undo: &str) {
    let processes = [entry(db, "db", "primary"), entry(web, "web", "dr")].concat();
    let script = format!("setsid -f {} </dev/null >/dev/null 2>&1", db.script().display());
    let start = program(sandbox, "start_db", &script);
    let commands = format!("commands: [{{ name: start_db, command: [{start}]{undo} }}]\n");
    fs::write(sandbox.path("env.yaml"), environment(db, web, &processes) + &commands).unwrap();
    let drill = scenario("process_kill: { on: primary, component: db }")
        .replace("failover: own, give_up_after: 2s", "failover: runbook, give_up_after: 20s")
        .replace("kind:", "runbook: by_hand.yaml\nkind:");
    fs::write(sandbox.path("end.yaml"), drill).unwrap();
    fs::write(sandbox.path("by_hand.yaml"), BY_HAND).unwrap();
    fs::write(sandbox.path("script.yaml"), BY_HAND_SCRIPT).unwrap();
}

const RUN_BY_HAND: &str = "run end.yaml --env env.yaml --script script.yaml";

/// Nobody has seen that the way back undid what the command did, whatever people say of it: its own undo is carried out.
#[test]
fn people_who_skip_the_way_back_or_go_it_leave_the_undo_of_a_command_to_the_drill() {
    undisturbed(|| {
        for (result, code, back) in [("skipped", 10, "never finished"), ("done", 0, "")] {
            let sandbox = Sandbox::new();
            let (db, web) = (Daemon::start("127.47.1.3:7000"), Daemon::start("127.47.1.4:7000"));
            let unmark = format!("echo undone >> {}", sandbox.path("undos").display());
            let unmark = program(&sandbox, "unmark", &unmark);
            by_hand(&sandbox, &db, &web, &format!(", undo: [{unmark}]"));
            let home = "  - { name: home, phase: fail_back, owner: lead, within: 1min, do: [Go], expect: Home }\nrollback:";
            replaced(&sandbox, "by_hand.yaml", "rollback:", home);
            replaced(&sandbox, "end.yaml", "soak: 300ms", "soak: 300ms\nfailback: {}");
            let answer = format!("  - {{ step: home, result: {result}, takes: 50ms }}\n");
            fs::write(sandbox.path("script.yaml"), BY_HAND_SCRIPT.to_owned() + &answer).unwrap();
            let outcome = sandbox.run(&format!("{RUN_BY_HAND} --format json")).exits(code);
            let record = record(&outcome);
            assert!(record["reasons"].to_string().contains(back), "{result}: {record:#}");
            assert_eq!(undos(&sandbox), 1, "{result}");
            nothing_is_left(&sandbox);
        }
    });
}

/// A skipped step has failed nothing over.
#[test]
fn what_nobody_has_done_is_no_failover() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let (db, web) = (Daemon::start("127.47.1.5:7000"), Daemon::start("127.47.1.6:7000"));
        by_hand(&sandbox, &db, &web, "");
        replaced(
            &sandbox,
            "by_hand.yaml",
            "do: [Start it], expect: It runs, run: start_db",
            "do: [Start it], expect: x",
        );
        let answer = "  - { step: start, result: skipped, takes: 10ms }\n";
        fs::write(sandbox.path("script.yaml"), BY_HAND_SCRIPT.to_owned() + answer).unwrap();
        let set = "--set give_up_after=4s --format json";
        let outcome = sandbox.run(&format!("{RUN_BY_HAND} {set}")).exits(10);
        let phases = &record(&outcome)["phases"];
        assert!(phases["decided_ms"].is_number(), "{phases:#}");
        assert_eq!(phases["failed_over_ms"], Value::Null, "{phases:#}");
        nothing_is_left(&sandbox);
    });
}

/// Where drdrill has no power over sites there is no monitor either: the steps begin with the fault, and people and
/// commands do all of them.
#[test]
fn on_a_system_that_is_already_there_people_and_commands_do_all_of_it() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let (db, web) = (Daemon::start("127.47.1.1:7000"), Daemon::start("127.47.1.2:7000"));
        by_hand(&sandbox, &db, &web, "");
        let (before, other) = (db.pid(), web.pid());
        let outcome = sandbox.run(&format!("{RUN_BY_HAND} --format json")).exits(0);
        assert!(db.pid() != before && web.pid() == other);
        let record = record(&outcome);
        let rto = record["services"][0]["rto"]["at_least_ms"].as_f64().unwrap();
        assert!((2_100.0..9_000.0).contains(&rto), "{rto}");
        let phases = &record["phases"];
        let fault = phases["fault_ms"].as_f64().unwrap();
        // Nobody but people noticed.
        let at = |phase: &str| phases[phase].as_f64().unwrap();
        assert!(at("detected_ms") - fault >= 1_300.0, "{phases:#}");
        // What it took to decide is no part of noticing it, and nothing was failed over before it was decided.
        assert!(at("decided_ms") - at("detected_ms") >= 900.0, "{phases:#}");
        assert!(at("failed_over_ms") >= at("decided_ms"), "{phases:#}");
        assert_eq!(step(&record, "start")["by"], "command");
        assert!(db.starts() == 2 && db.listens(), "the command started it, and nobody else");
        // What the machinery would do it cannot do here.
        replaced(&sandbox, "by_hand.yaml", "run: start_db", "action: fail_over");
        let stderr = sandbox.run(RUN_BY_HAND).exits(13).stderr;
        assert!(stderr.contains("cannot run on machine, which cannot: "), "{stderr}");
    });
}
