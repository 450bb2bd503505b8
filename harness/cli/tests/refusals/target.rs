//! Before anything is broken: is it the system that is meant, may it be broken, and now?

use std::fs;

use serde_json::Value;

use crate::support::drill::Drill;
use crate::support::page::{Page, answer};
use crate::support::quick::quick;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::undisturbed::undisturbed;
use crate::support::wall_clock::WallClock;
use crate::support::world::{nothing_is_left, runs};

/// Of no machine.
const ANOTHER: &str = "0123456789abcdef0123456789abcdef";

fn this_machine() -> String {
    fs::read_to_string("/etc/machine-id").unwrap().trim().to_owned()
}

/// Writes the quick drill, its environment with `lines` put in front; returns the arguments that run it.
fn quick_with(sandbox: &Sandbox, lines: &str) -> String {
    let run = quick(sandbox);
    let path = sandbox.path("env.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{lines}\n{text}")).unwrap();
    run
}

/// Writes an environment that is only watched, with a probe of `page`.
fn watched(sandbox: &Sandbox, page: &Page, lines: &str) {
    let text = format!(
        "environment: web\n{lines}\nprovider: {{ host: {{ probes: [{{ name: web, service: web, attempt: {{ tcp: {{ address: \"{}\" }} }} }}] }} }}\nservices: [{{ name: web, tier: 1 }}]\n",
        page.address
    );
    fs::write(sandbox.path("web.yaml"), text).unwrap();
}

#[track_caller]
fn refused(sandbox: &Sandbox, outcome: Outcome, words: &[&str]) {
    let outcome = outcome.exits(16);
    for word in words {
        assert!(outcome.stderr.contains(word), "{word:?} is not in {}", outcome.stderr);
    }
    assert_eq!(outcome.stdout, "");
    assert!(runs(&sandbox.state).is_empty(), "a run that was refused has no directory");
    nothing_is_left(sandbox);
}

/// It was let through and broke something. What the drill came to is not the guards' matter.
#[track_caller]
fn went_ahead(sandbox: &Sandbox, outcome: &Outcome) {
    assert!(matches!(outcome.code, Some(0 | 11)), "{outcome:#?}");
    assert_eq!(last_record(sandbox)["faults"].as_array().unwrap().len(), 1);
}

fn last_record(sandbox: &Sandbox) -> Value {
    let all = runs(&sandbox.state).into_iter();
    let paths = all.map(|run| sandbox.state.join("runs").join(run).join("record.json"));
    // Not by their ids, which tell the wall clock's time.
    let last = paths.max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    serde_json::from_slice(&fs::read(last.unwrap()).unwrap()).unwrap()
}

#[test]
fn another_machine_is_refused_before_anything_is_touched() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let page = Page::serve(|_, _| answer("200 OK", "", "hello"));
        let here = this_machine();
        watched(&sandbox, &page, &format!("pin: {{ machine_id: \"{ANOTHER}\" }}"));
        let outcome = sandbox.run("run no_op --env web.yaml");
        refused(&sandbox, outcome, &["not the pinned environment", &here, ANOTHER]);
        watched(&sandbox, &page, "pin: { hostname: surely-another-one }");
        let outcome = sandbox.run("run no_op --env web.yaml");
        refused(&sandbox, outcome, &["not the pinned environment", "surely-another-one"]);
        assert_eq!(page.asked(), 0, "not one probe was sent");

        let run = quick_with(&sandbox, &format!("pin: {{ machine_id: \"{ANOTHER}\" }}"));
        let outcome = sandbox.run(&run);
        refused(&sandbox, outcome, &[&here, ANOTHER]);
    });
}

#[test]
fn a_page_that_says_another_name_none_or_nothing_is_refused() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let elsewhere = Page::serve(|_, _| answer("200 OK", "", "cluster=one"));
        let location = format!("location: http://{}/\r\n", elsewhere.address);
        let answers = [
            (answer("200 OK", "", "cluster=two"), "answered 200 \"cluster=two\""),
            (answer("503 Unavailable", "", "cluster=one"), "answered 503"),
            (answer("302 Found", &location, ""), "answered 302"),
            ("nonsense\r\n\r\n".to_owned(), "not an HTTP/1 answer"),
            (String::new(), "closed before the answer"),
        ];
        for (answer, why) in answers {
            let page = Page::serve(move |_, _| answer.clone());
            let pin = format!(
                "pin: {{ http: {{ url: \"http://{}/id\", contains: cluster=one }} }}",
                page.address
            );
            watched(&sandbox, &page, &pin);
            let outcome = sandbox.run("run no_op --env web.yaml");
            refused(&sandbox, outcome, &["not the pinned environment", why, "cluster=one"]);
            assert_eq!(page.asked(), 1);
        }
        assert_eq!(elsewhere.asked(), 0, "a redirect is not followed");
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let pin =
            format!("pin: {{ http: {{ url: \"http://{nobody}/id\", contains: cluster=one }} }}");
        watched(&sandbox, &elsewhere, &pin);
        let outcome = sandbox.run("run no_op --env web.yaml");
        refused(&sandbox, outcome, &["connect: Connection refused"]);
    });
}

#[test]
fn what_was_pinned_is_in_the_record() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let page = Page::serve(|_, _| answer("200 OK", "", "cluster=one"));
        let (id, at) = (this_machine(), page.address);
        let pin = format!(
            "pin: {{ machine_id: \"{id}\", http: {{ url: \"http://{at}/id\", contains: cluster=one }} }}"
        );
        watched(&sandbox, &page, &pin);
        sandbox.run("run no_op --env web.yaml").exits(0);
        let pins = &last_record(&sandbox)["environment"]["pin"];
        let page = format!("http://{at}/id contains cluster=one");
        assert_eq!(pins, &serde_json::json!([format!("machine_id {id}"), page]));
        let doctor = sandbox.run("doctor --env web.yaml").exits(0).stdout;
        assert!(doctor.contains(&format!("machine_id: {id}")), "{doctor}");
        assert!(doctor.contains(&format!("pin: {{ machine_id: \"{id}\" }}")), "{doctor}");
        let text = fs::read_to_string(sandbox.path("web.yaml")).unwrap().replace(&id, ANOTHER);
        fs::write(sandbox.path("web.yaml"), text).unwrap();
        let doctor = sandbox.run("doctor --env web.yaml").exits(13).stdout;
        assert!(doctor.contains("MISSING") && doctor.contains(ANOTHER), "{doctor}");
        let explained = sandbox.run("explain no_op --env web.yaml").exits(0).stdout;
        assert!(
            explained.contains("read before the drill and again before each fault"),
            "{explained}"
        );
    });
}

#[test]
fn a_target_that_becomes_another_one_during_the_baseline_is_not_broken() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let page = Page::serve(|number, _| {
            answer("200 OK", "", if number == 0 { "cluster=one" } else { "cluster=two" })
        });
        let pin = format!(
            "pin: {{ http: {{ url: \"http://{}/id\", contains: cluster=one }} }}",
            page.address
        );
        let run = quick_with(&sandbox, &pin);
        let outcome = sandbox.run(&run).exits(16);
        assert!(outcome.stderr.contains("cluster=two"), "{}", outcome.stderr);
        assert_eq!(page.asked(), 2);
        let record = last_record(&sandbox);
        assert_eq!(record["verdict"], "unknown", "{record}");
        assert_eq!(record["faults"], serde_json::json!([]), "nothing was injected");
        assert!(record["reasons"].to_string().contains("not the pinned environment"), "{record}");
        nothing_is_left(&sandbox);
    });
}

#[test]
fn production_is_broken_only_by_name() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let lines = format!("production: true\npin: {{ machine_id: \"{}\" }}", this_machine());
        let run = quick_with(&sandbox, &lines);
        let outcome = sandbox.run(&run);
        refused(&sandbox, outcome, &["lab is production", "--yes-production lab"]);
        for other in ["LAB", "lab2", "la", "yes"] {
            let outcome = sandbox.run(&format!("{run} --yes-production {other}"));
            refused(&sandbox, outcome, &["not the name of the environment"]);
        }
        sandbox.run("run no_op --env env.yaml").exits(0);
        went_ahead(&sandbox, &sandbox.run(&format!("{run} --yes-production lab")));
        assert_eq!(last_record(&sandbox)["environment"]["production"], true);
        nothing_is_left(&sandbox);
    });
}

/// From nine to four, on all days.
const WINDOW: &str = "window: { days: [mon, tue, wed, thu, fri, sat, sun], from: \"09:00\", to: \"16:00\", timezone: UTC }";

#[test]
fn outside_of_the_window_and_shortly_before_its_end_a_drill_is_refused() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick_with(&sandbox, WINDOW);
        let at = |time: &str| {
            let clock = WallClock::at(&sandbox, time);
            Outcome::of(&clock.on(sandbox.command(&run)).output().unwrap())
        };
        refused(&sandbox, at("08:59:30"), &["09:00 to 16:00, UTC", "08:59"]);
        refused(&sandbox, at("16:00:00"), &["09:00 to 16:00, UTC", "16:00"]);
        // The fault at 1 s, 20 s until it gives up, 300 ms of soak.
        refused(&sandbox, at("15:59:50"), &["closes too soon", "21s 300ms"]);
        went_ahead(&sandbox, &at("15:59:20"));
        nothing_is_left(&sandbox);
    });
}

#[test]
fn a_window_that_closes_midway_ends_the_drill_and_everything_is_put_back() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let run = quick_with(&sandbox, WINDOW);
        for (moment, faults) in [("  run ", 0), ("  in effect: ", 1)] {
            let clock = WallClock::at(&sandbox, "12:00:00");
            // Nobody fails over: the fault stays until somebody takes it back.
            let run = format!("{run} --set failover=none --set failback=none");
            let mut drill = Drill::start(clock.on(sandbox.command(&run)));
            drill.says(moment);
            clock.set("16:00:01");
            let outcome = drill.end().exits(16);
            assert!(outcome.stderr.contains("the window closed"), "{}", outcome.stderr);
            let record = last_record(&sandbox);
            assert_eq!(record["verdict"], "unknown", "{record}");
            assert!(record["reasons"].to_string().contains("the window closed"), "{record}");
            assert_eq!(record["faults"].as_array().unwrap().len(), faults, "{record}");
            nothing_is_left(&sandbox);
        }
    });
}
