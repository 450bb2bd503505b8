//! Functionality checks of the operator's own: asked for by name, tried as the file says, and judged like any other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod page;
    pub(crate) mod record;
    pub(crate) mod sandbox;
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};

use rusqlite::Connection;
use serde_json::Value;
use support::page::{Page, answer};
use support::record::record;
use support::sandbox::Sandbox;

/// A shop: a page, a database, a program, and a process that may stand still without anybody noticing.
struct Shop {
    sandbox: Sandbox,
    page: Page,
    idle: Child,
}

impl Shop {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let page = Page::serve(|_, _| answer("200 OK", "", "open for business"));
        let idle = Command::new("sleep").arg("600").spawn().unwrap();
        let database = Connection::open(sandbox.path("shop.db")).unwrap();
        database
            .execute_batch("CREATE TABLE orders (id); INSERT INTO orders VALUES (1), (2)")
            .unwrap();
        let script = sandbox.path("try-order");
        fs::write(&script, "#!/bin/sh\necho \"$# words, the second is $2\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let shop = Self { sandbox, page, idle };
        shop.verify("[shop_open, port_open, orders_there, can_order]");
        shop.environment("");
        shop
    }

    /// Writes the environment, with these checks besides those it has.
    fn environment(&self, more: &str) {
        let (page, dir) = (self.page.address, self.sandbox.path(""));
        let text = format!(
            "\
environment: shop
provider:
  host:
    probes: [{{ name: web, service: shop, attempt: {{ http: {{ url: \"http://{page}/\" }} }} }}]
    processes: [{{ name: idle, site: back, pid: {pid} }}]
services: [{{ name: shop, tier: 1 }}]
measure: {{ sustained: 500ms }}
checks:
  - {{ name: shop_open, check: {{ http: {{ url: \"http://{page}/\", body_contains: open }} }} }}
  - {{ name: port_open, check: {{ tcp: {{ address: \"{page}\" }} }} }}
  - {{ name: orders_there, check: {{ sqlite: {{ file: {dir}shop.db, query: SELECT count(*) FROM orders, at_least: 2 }} }} }}
  - {{ name: can_order, timeout: 30s, check: {{ exec: {{ command: [{dir}try-order, one, \"two; three\"] }} }} }}
{more}",
            dir = dir.display(),
            pid = self.idle.id(),
        );
        fs::write(self.sandbox.path("shop.yaml"), text).unwrap();
    }

    /// Writes the scenario, which asks for these checks.
    fn verify(&self, names: &str) {
        let text = format!(
            "\
scenario: idle
title: Something idle stands still
kind: simulated
targets: {{ rto: 1h }}
faults:
  - at: 1s
    inject: {{ process_pause: {{ on: back }} }}
recovery: {{ failover: own, give_up_after: 3s }}
verify: {names}
soak: 100ms
"
        );
        fs::write(self.sandbox.path("idle.yaml"), text).unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.idle.kill().unwrap();
        self.idle.wait().unwrap();
    }
}

const RUN: &str = "run idle.yaml --env shop.yaml --format json";

/// Name, outcome and detail of every try.
fn outcomes(record: &Value) -> Vec<(&str, &str, &str)> {
    fn text<'a>(check: &'a Value, field: &str) -> &'a str {
        check[field].as_str().unwrap()
    }
    let all = record["functionality"].as_array().unwrap();
    assert!(all.iter().all(|check| check["site"] == "shop"), "{all:?}");
    let one = |check| (text(check, "name"), text(check, "outcome"), text(check, "detail"));
    all.iter().map(one).collect()
}

#[test]
fn checks_of_four_kinds_are_tried_after_the_recovery() {
    let shop = Shop::new();
    let outcome = shop.sandbox.run(RUN).exits(0);
    let record = record(&outcome);
    assert!(shop.page.asked() > 3, "by the probe and by the check");
    assert_eq!(
        outcomes(&record),
        [
            ("shop_open", "pass", "answered as it should"),
            ("port_open", "pass", "answered as it should"),
            ("orders_there", "pass", "the query found 2"),
            ("can_order", "pass", "exit code 0: 2 words, the second is two; three"),
        ]
    );
    let report = shop.sandbox.run("show last").stdout;
    assert!(report.contains("can_order"), "{report}");
}

#[test]
fn a_function_that_does_not_work_fails_the_drill() {
    for (more, why) in [
        (
            "  - { name: extra, check: { exec: { command: [/bin/ls, /nowhere] } } }",
            "exit status: 2",
        ),
        ("  - { name: extra, check: { tcp: { address: \"127.0.0.1:1\" } } }", "refused"),
    ] {
        let shop = Shop::new();
        shop.environment(more);
        shop.verify("[extra]");
        let record = record(&shop.sandbox.run(RUN).exits(10));
        let (name, outcome, detail) = outcomes(&record)[0];
        assert_eq!((name, outcome), ("extra", "fail"));
        assert!(detail.contains(why), "{detail}");
        let reasons = record["reasons"].to_string();
        assert!(reasons.contains("`extra` never worked again after the recovery"), "{reasons}");
    }
}

#[test]
fn a_name_that_nobody_has_is_answered_with_the_known_ones() {
    let shop = Shop::new();
    shop.verify("[shop_opne]");
    let said = shop.sandbox.run(RUN).exits(14).stderr;
    assert!(
        said.contains("no functionality check `shop_opne`; known, the nearest first: shop_open")
    );
    // In the lab it is one more.
    fs::write(shop.sandbox.path("lab.yaml"), LAB).unwrap();
    for (asked, code) in [("[data_access, mine]", 0), ("[data_access, mien]", 14)] {
        shop.verify(asked);
        let text = fs::read_to_string(shop.sandbox.path("idle.yaml")).unwrap();
        fs::write(shop.sandbox.path("idle.yaml"), text.replace("on: back", "on: dr")).unwrap();
        let said = shop.sandbox.run("validate idle.yaml --env lab.yaml").exits(code).stderr;
        assert!(code == 0 || said.contains("the nearest first: mine, "), "{said}");
    }
}

/// A lab with a check of its own beside those that it brings along.
const LAB: &str = "\
environment: lab
provider: { lab: {} }
services: [{ name: store, tier: 1 }]
checks: [{ name: mine, check: { exec: { command: [/bin/true] } } }]
";

#[test]
fn a_program_that_others_could_replace_is_not_run() {
    let shop = Shop::new();
    let script = shop.sandbox.path("try-order");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).unwrap();
    let said = shop.sandbox.run(RUN).exits(13).stderr;
    assert!(
        said.contains("check can_order: ") && said.contains("others can write to it"),
        "{said}"
    );
    shop.verify("[shop_open]");
    shop.sandbox.run(RUN).exits(0);
}

#[test]
fn a_mistake_in_a_check_is_placed_and_answered() {
    let shop = Shop::new();
    for (check, said) in [
        ("exec: { command: [ls, /] }", "must begin with the absolute path of a program"),
        ("exec: { command: ls / }", "expected"),
        ("sql: { file: /a, query: b }", "known, the nearest first: "),
        ("sqlite: { file: a.db, query: b }", "must be an absolute path"),
        ("http: { url: \"http://169.254.169.254/\" }", "is never probed"),
    ] {
        shop.environment(&format!("  - {{ name: extra, check: {{ {check} }} }}"));
        let stderr = shop.sandbox.run(RUN).exits(14).stderr;
        assert!(stderr.starts_with("drdrill: shop.yaml:13:"), "{check}: {stderr}");
        assert!(stderr.contains(said), "{check}: {stderr}");
    }
    shop.environment("  - { name: shop_open, check: { exec: { command: [/bin/true] } } }");
    let stderr = shop.sandbox.run(RUN).exits(14).stderr;
    assert!(stderr.contains("the name `shop_open` stands twice"), "{stderr}");
}
