//! People are told of a drill while it runs, by real servers of mail and web; who cannot be told fails no drill.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod page;
    pub(crate) mod post_office;
    pub(crate) mod record;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
}

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::page::{Page, answer};
use support::post_office::{PASSWORD, PostOffice, USER};
use support::record::record;
use support::sandbox::{Outcome, Sandbox};
use support::wait::{alone, until};

const RUN: &str = "run idle.yaml --env shop.yaml --format json";
/// As those of chats are: whoever has it may write there.
const HOOK: &str = "https://localhost:PORT/hooks/T0123456789?key=K0123456789";
const TOKEN: &str = "key-of-the-status-page";

/// A page, and a process that may stand still without anybody noticing.
struct Shop {
    sandbox: Sandbox,
    page: Page,
    idle: Child,
}

impl Shop {
    /// A shop of which `notify` is told. The page answers by the number of the request.
    fn new(notify: &str, status: impl Fn(usize) -> &'static str + Send + Sync + 'static) -> Self {
        let sandbox = Sandbox::new();
        let page = Page::serve(move |number, _| answer(status(number), "", "open"));
        let idle = Command::new("sleep").arg("600").spawn().unwrap();
        fs::write(sandbox.path("idle.yaml"), SCENARIO).unwrap();
        let shop = Self { sandbox, page, idle };
        shop.environment(notify);
        shop
    }

    fn environment(&self, notify: &str) {
        let (page, pid) = (self.page.address, self.idle.id());
        let text = format!(
            "\
environment: shop
provider:
  host:
    probes: [{{ name: web, service: shop, attempt: {{ http: {{ url: \"http://{page}/\" }} }} }}]
    processes: [{{ name: idle, site: back, pid: {pid} }}]
services: [{{ name: shop, tier: 1, targets: {{ rto: 30s }} }}]
measure: {{ sustained: 500ms }}
{notify}"
        );
        fs::write(self.sandbox.path("shop.yaml"), text).unwrap();
    }

    /// Runs drdrill with these secrets, trusting nobody but that office.
    fn run(&self, office: &PostOffice, arguments: &str) -> Outcome {
        let mut command = self.sandbox.command(arguments);
        command
            .env("SSL_CERT_FILE", office.certificate())
            .env("HOOK", HOOK.replace("PORT", &office.web_port.to_string()))
            .env("PAGE_TOKEN", TOKEN)
            .env("MAIL_PASSWORD", PASSWORD);
        Outcome::of(&command.output().unwrap())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.idle.kill().unwrap();
        self.idle.wait().unwrap();
    }
}

const SCENARIO: &str = "\
scenario: idle
title: Something idle stands still
kind: simulated
targets: { rto: 1h }
probes: { every: 50ms }
faults:
  - at: 1s
    inject: { process_pause: { on: back } }
recovery: { failover: own, give_up_after: 10s }
soak: 100ms
";

/// The section `notify` of an environment in which all is as it should be.
fn everybody(office: &PostOffice) -> String {
    let (mail, web) = (office.mail_port, office.web_port);
    format!(
        "\
notify:
  to:
    - name: chat
      from: info
      by: {{ webhook: {{ url: {{ env: HOOK }} }} }}
    - name: pager
      by:
        webhook:
          url: https://localhost:{web}/pager
          headers: {{ X-Team: storage }}
          body: '{{\"summary\": {{{{ headline }}}}, \"kind\": {{{{ kind }}}}, \"services\": {{{{ services }}}}}}'
    - name: team
      title: '{{{{ severity }}}}: {{{{ headline }}}}'
      by:
        email:
          server: localhost:{mail}
          user: {USER}
          password: {{ env: MAIL_PASSWORD }}
          sender: drdrill <drdrill@example.org>
          to: [team@example.org, Lead <lead@example.org>]
    - name: board
      from: critical
      by: {{ webhook: {{ url: \"https://localhost:{web}/board\" }} }}
    - name: customers
      by:
        status_page:
          api: https://localhost:{web}/v1
          page: p1
          token: {{ env: PAGE_TOKEN }}
          components: [c1]
"
    )
}

/// Recipient, what about, and whether it arrived, of every notice.
fn told(record: &Value) -> Vec<(&str, &str, bool)> {
    let notices = record["notices"].as_array().unwrap();
    let one = |notice: &'_ Value| notice["error"].is_null();
    notices
        .iter()
        .map(|notice| {
            (notice["to"].as_str().unwrap(), notice["kind"].as_str().unwrap(), one(notice))
        })
        .collect()
}

#[test]
fn everybody_is_told_what_concerns_them() {
    let _alone = alone();
    let office = PostOffice::open();
    let shop = Shop::new(&everybody(&office), |_| "200 OK");
    let outcome = shop.run(&office, RUN).exits(0);
    let record = record(&outcome);
    let expected = |to: &str, kinds: &[&'static str]| {
        let told: Vec<_> = told(&record).into_iter().filter(|(name, ..)| *name == to).collect();
        let kinds: Vec<_> = kinds.iter().map(|kind| (to, *kind, true)).collect();
        assert_eq!(told, kinds, "{:#}", record["notices"]);
    };
    expected("chat", &["begun", "affected", "restored", "over"]);
    // Who was told that something is wrong is told the end as well.
    for to in ["pager", "team", "customers"] {
        expected(to, &["affected", "restored", "over"]);
    }
    expected("board", &[]);

    let chat = office.requests("POST", "/hooks/T0123456789?key=K0123456789");
    let texts: Vec<&str> = chat.iter().map(|one| one["body"]["text"].as_str().unwrap()).collect();
    assert!(texts[0].starts_with("[DRILL] shop: drill idle begins\n\n"), "{texts:#?}");
    assert!(texts[1].contains("Services: shop (tier 1, to be back within 30s)"), "{texts:#?}");
    assert!(texts[1].contains("Expected back by: "), "{texts:#?}");
    assert!(texts[3].contains("drill idle is over: passed"), "{texts:#?}");
    assert_eq!(chat[1]["body"]["notice"]["severity"], "high");
    assert_eq!(chat[1]["body"]["notice"]["run"], record["run_id"]);

    let pager = office.requests("POST", "/pager");
    assert_eq!(pager[0]["headers"]["x-team"], "storage");
    assert_eq!(pager[0]["body"]["kind"], "affected");
    assert_eq!(pager[0]["body"]["services"][0]["name"], "shop");

    let mails = office.mails();
    assert_eq!(mails.len(), 3);
    let run = record["run_id"].as_str().unwrap();
    for mail in &mails {
        assert!(mail.contains("X-To: team@example.org\r\nX-To: lead@example.org\r\n"), "{mail}");
        assert!(mail.contains("From: drdrill <drdrill@example.org>\r\n"), "{mail}");
        assert!(mail.contains(&format!("References: <{run}@drdrill>\r\n")), "{mail}");
    }
    assert!(mails[0].contains("Subject: high: a fault is in effect"), "{}", mails[0]);
    assert!(mails[0].contains("This is a disaster-recovery drill."), "{}", mails[0]);
    assert!(mails[2].contains("Subject: info: drill idle is over: passed\r\n"), "{}", mails[2]);

    let begun = office.requests("POST", "/v1/pages/p1/incidents");
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["headers"]["authorization"], format!("OAuth {TOKEN}"));
    let incident = &begun[0]["body"]["incident"];
    assert_eq!(incident["status"], "in_progress");
    assert_eq!(incident["components"]["c1"], "under_maintenance");
    // It ends by itself, should drdrill die.
    assert_eq!(incident["scheduled_auto_completed"], true);
    assert!(incident["scheduled_until"].as_str() > incident["scheduled_for"].as_str());
    let changes = office.requests("PATCH", "/v1/pages/p1/incidents/maintenance1");
    let statuses: Vec<_> = changes.iter().map(|one| &one["body"]["incident"]["status"]).collect();
    assert_eq!(statuses, ["verifying", "completed"]);
    assert_eq!(changes[1]["body"]["incident"]["components"]["c1"], "operational");

    // What was told is in the evidence, and no secret is.
    shop.sandbox.run("verify last").exits(0);
    let again = shop.sandbox.run("check last --format json").exits(0);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["notices"], record["notices"]);
    let dir = shop.sandbox.state.join("runs").join(run);
    let report = fs::read_to_string(dir.join("report.md")).unwrap();
    assert!(report.contains("## Notices"), "{report}");
    for entry in fs::read_dir(dir).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        for secret in [TOKEN, PASSWORD, "T0123456789", "K0123456789"] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}

#[test]
fn who_cannot_be_told_fails_no_drill_and_is_reported() {
    let _alone = alone();
    let office = PostOffice::open();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let notify = format!(
        "\
notify:
  to:
    - {{ name: gone, by: {{ webhook: {{ url: \"http://127.0.0.1:1/\" }} }} }}
    - {{ name: silent, by: {{ webhook: {{ url: \"http://{silent}/\" }} }} }}
    - {{ name: stranger, by: {{ webhook: {{ url: \"https://127.0.0.1:{web}/\" }} }} }}
    - name: locked
      by:
        email: {{ server: \"localhost:{mail}\", user: drdrill, password: {{ env: HOOK }}, sender: a@b.c, to: [d@e.f] }}
    - {{ name: there, by: {{ webhook: {{ url: \"https://localhost:{web}/there\" }} }} }}
",
        web = office.web_port,
        mail = office.mail_port,
    );
    let shop = Shop::new(&notify, |_| "200 OK");
    let outcome = shop.run(&office, RUN).exits(0);
    let record = record(&outcome);
    for (to, why) in [
        ("gone", "refused"),
        ("silent", "not answered for within 20 s"),
        ("stranger", "certificate not valid for name"),
        ("locked", "535"),
    ] {
        let notices = record["notices"].as_array().unwrap();
        let mine: Vec<_> = notices.iter().filter(|notice| notice["to"] == to).collect();
        assert_eq!(mine.len(), 3, "{to}: {notices:#?}");
        for notice in mine {
            let error = notice["error"].as_str().unwrap();
            assert!(error.contains(why), "{to}: {error}");
        }
        assert!(outcome.stderr.contains(&format!("not told: {to} by ")), "{}", outcome.stderr);
    }
    let there: Vec<_> = told(&record).into_iter().filter(|(to, ..)| *to == "there").collect();
    assert_eq!(there.len(), 3);
    assert!(there.iter().all(|(.., arrived)| *arrived), "{there:?}");
    // Nobody waited for them while the drill ran: it is over after its own time.
    let fault = record["faults"][0]["applied_ms"].as_f64().unwrap();
    assert!(record["duration_ms"].as_f64().unwrap() - fault < 10_000.0);
}

#[test]
fn while_clients_are_affected_the_word_that_was_promised_comes() {
    let _alone = alone();
    let office = PostOffice::open();
    let notify = format!(
        "\
notify:
  update_every: 1s
  to: [{{ name: team, by: {{ webhook: {{ url: \"https://localhost:{}/team\" }} }} }}]
",
        office.web_port
    );
    // The first second is the baseline, then the shop is closed for about three.
    let status = |number| if (25..85).contains(&number) { "500 Closed" } else { "200 OK" };
    let shop = Shop::new(&notify, status);
    let outcome = shop.run(&office, RUN);
    let record = record(&outcome);
    let kinds: Vec<_> = told(&record).into_iter().map(|(_, kind, _)| kind).collect();
    let updates = kinds.iter().filter(|kind| **kind == "update").count();
    assert!(updates >= 2, "{kinds:?}");
    let order: Vec<_> = kinds.into_iter().filter(|kind| *kind != "update").collect();
    assert_eq!(order, ["affected", "restored", "over"]);
}

#[test]
fn everybody_can_be_told_that_it_is_a_trial() {
    let office = PostOffice::open();
    let shop = Shop::new(&everybody(&office), |_| "200 OK");
    let said = shop.run(&office, "doctor --env shop.yaml").exits(0).stdout;
    assert!(said.contains("board by webhook, from critical"), "{said}");
    assert!(office.mails().is_empty(), "looking tells nobody");
    let said = shop.run(&office, "doctor --env shop.yaml --notify").exits(0).stdout;
    assert_eq!(said.matches("took a trial").count(), 5, "{said}");
    assert_eq!(office.mails().len(), 1);
    assert_eq!(office.requests("POST", "/board").len(), 1);
    let page = office.requests("POST", "/v1/pages/p1/incidents");
    assert_eq!(page[0]["body"]["incident"]["status"], "completed");
    let wrong = everybody(&office).replace("/board", "").replace("localhost:", "127.0.0.1:");
    shop.environment(&wrong);
    let said = shop.run(&office, "doctor --env shop.yaml --notify").exits(13).stdout;
    assert!(said.contains("certificate not valid for name"), "{said}");
}

#[test]
fn a_secret_that_is_not_there_is_said_before_anything_is_touched() {
    let office = PostOffice::open();
    let shop = Shop::new(&everybody(&office), |_| "200 OK");
    let said = shop.sandbox.run(RUN).exits(13).stderr;
    assert!(said.contains("notify chat: environment variable HOOK: "), "{said}");
    assert_eq!(shop.page.asked(), 0);
    let said = shop.run(&office, "explain idle.yaml --env shop.yaml").exits(0).stdout;
    assert!(said.contains("team by email: what is high or more urgent"), "{said}");
    assert!(said.contains("board by webhook: what is critical\n"), "{said}");
}

#[test]
fn a_mistake_is_placed_and_answered() {
    let shop = Shop::new("", |_| "200 OK");
    for (by, said) in [
        ("webhook: { url: \"ftp://a/\" }", "begins with https:// or http://"),
        ("webhook: { url: \"https://169.254.169.254/\" }", "is never probed"),
        ("webhook: { url: \"https://a/?token=x\" }", "credentials never stand in a file"),
        ("webhook: { url: \"https://a/\", body: '{{ severty }}' }", "undefined"),
        ("webhook: { url: \"https://a/\", body: '{{ headline }' }", "in this template, line 1"),
        ("webhook: { url: \"https://a/\", body: 'no' }", "this is not JSON"),
        ("mail: { }", "known, the nearest first: email"),
        ("email: { server: a, sender: b@c.d, to: [e@f.g] }", "host:port"),
        ("email: { server: \"a:25\", sender: b, to: [e@f.g] }", "must be an address"),
        (
            "email: { server: \"a:25\", user: x, sender: b@c.d, to: [e@f.g] }",
            "user and password go together",
        ),
        (
            "email: { server: \"a:25\", tls: none, user: x, password: { env: Y }, sender: b@c.d, to: [e@f.g] }",
            "a password is not sent without encryption",
        ),
        ("status_page: { page: ../x, token: { env: T } }", "must be an id"),
    ] {
        shop.environment(&format!("notify:\n  to:\n    - {{ name: x, by: {{ {by} }} }}\n"));
        let stderr = shop.sandbox.run(RUN).exits(14).stderr;
        assert!(stderr.starts_with("drdrill: shop.yaml:10:"), "{by}: {stderr}");
        assert!(stderr.contains(said), "{by}: {stderr}");
    }
}

#[test]
fn an_end_that_does_not_hold_is_withdrawn() {
    let _alone = alone();
    let office = PostOffice::open();
    let notify = format!(
        "\
notify:
  to:
    - {{ name: team, by: {{ webhook: {{ url: \"https://localhost:{web}/team\" }} }} }}
    - name: customers
      by: {{ status_page: {{ api: \"https://localhost:{web}/v1\", page: p1, token: {{ env: PAGE_TOKEN }} }} }}
",
        web = office.web_port
    );
    let shop = Shop::new(&notify, |_| "200 OK");
    let mut command = shop.sandbox.command(RUN);
    command.env("SSL_CERT_FILE", office.certificate()).env("PAGE_TOKEN", TOKEN);
    let drill = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let runs = shop.sandbox.state.join("runs");
    let run = until("the run begins", Duration::from_secs(10), || {
        fs::read_dir(&runs).ok()?.next()?.ok().map(|entry| entry.path())
    });
    // In the way of the report, which nobody needs before the end.
    fs::create_dir(run.join("report.html")).unwrap();
    let outcome = Outcome::of(&drill.wait_with_output().unwrap()).exits(11);
    assert!(outcome.stderr.contains("could not be written"), "{outcome:#?}");
    let told = office.requests("POST", "/team");
    let kinds: Vec<_> = told.iter().map(|one| one["body"]["notice"]["kind"].clone()).collect();
    assert_eq!(kinds, ["affected", "restored", "over", "withdrawn"]);
    // What is broken is as it was: the maintenance is over.
    let changes = office.requests("PATCH", "/v1/pages/p1/incidents/maintenance1");
    let statuses: Vec<_> = changes.iter().map(|one| &one["body"]["incident"]["status"]).collect();
    assert_eq!(statuses, [&Value::from("verifying"), &Value::from("completed"), &Value::Null]);
    let text = told[3]["body"]["text"].as_str().unwrap();
    assert!(text.contains("could not be written"), "{text}");
}
