//! Jobs are processes, and what they said survives a failover.

use std::path::Path;
use std::time::Duration;

use drdrill_lab::Role;
use drdrill_lab::service::ServiceTiming;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::node::Node;
use crate::support::site::{Site, WORKER_TOKEN, config};

fn worker(site: &Site) -> Node {
    let config = json!({
        "service_url": site.url(), "worker_token": WORKER_TOKEN, "poll_ms": 10,
        "job_timeout_ms": 1_000, "output_limit_bytes": 1_000,
    });
    Node::start("worker", &config)
}

async fn submit(site: &Site, token: &str, argv: &[&str]) -> String {
    let body = json!({ "argv": argv });
    let answer = site.call(Method::POST, "/jobs", Some(token), &body).await.unwrap();
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned()
}

async fn job(site: &Site, token: &str, id: &str) -> Value {
    site.get(token, &format!("/jobs/{id}")).await.json().unwrap()
}

async fn ended(site: &Site, token: &str, id: &str) -> Value {
    eventually("the job ends", async || {
        let job = job(site, token, id).await;
        (job["state"] == "done" || job["state"] == "failed").then_some(job)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_a_process_without_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let _worker = worker(&site);
    let echo = submit(&site, &token, &["echo", "$HOME; exit 3"]).await;
    let fails = submit(&site, &token, &["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    let missing = submit(&site, &token, &["/no/such/program"]).await;
    let endless = submit(&site, &token, &["sleep", "60"]).await;
    let loud = submit(&site, &token, &["seq", "100000"]).await;

    let job = ended(&site, &token, &echo).await;
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("done"), &json!(0)));
    assert_eq!(job["output"], "$HOME; exit 3\n");
    let job = ended(&site, &token, &fails).await;
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("failed"), &json!(3)));
    assert_eq!(job["output"], "out\nerr\n");
    let job = ended(&site, &token, &missing).await;
    assert_eq!(job["state"], "failed");
    assert!(job["output"].as_str().unwrap().contains("/no/such/program"), "{job}");
    let job = ended(&site, &token, &endless).await;
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("failed"), &Value::Null));
    assert_eq!(job["output"], "killed after 1000 ms");
    let job = ended(&site, &token, &loud).await;
    assert_eq!(job["state"], "done");
    assert_eq!(job["output"].as_str().unwrap().len(), 1_000);
    assert_eq!(site.get(&token, "/jobs/none").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_their_output_survive_a_failover() {
    let directory = tempfile::tempdir().unwrap();
    let timing = ServiceTiming { job_lease_ms: 600_000, ..ServiceTiming::default() };
    let (mut primary, standby) = Site::pair(directory.path(), timing);
    let token = primary.login().await;
    let mut primary_worker = worker(&primary);
    let _standby_worker = worker(&standby);
    let done = submit(&primary, &token, &["echo", "before"]).await;
    ended(&primary, &token, &done).await;
    primary_worker.kill();
    let queued = submit(&primary, &token, &["echo", "after"]).await;
    // Claimed by a worker that is never heard of again.
    let claim = primary.call(Method::POST, "/jobs/claim", Some(WORKER_TOKEN), &json!({})).await;
    assert_eq!(claim.unwrap().json::<Value>().unwrap()["id"], queued.as_str());
    standby.catch_up(primary.lsn().await).await;
    assert_eq!(job(&standby, &token, &queued).await["state"], "running");
    primary.node.kill();
    standby.promote(2).await;

    assert_eq!(job(&standby, &token, &done).await["output"], "before\n");
    let job = ended(&standby, &token, &queued).await;
    assert_eq!((&job["state"], &job["output"]), (&json!("done"), &json!("after\n")));
    let fresh = submit(&standby, &token, &["echo", "fresh"]).await;
    assert_eq!(ended(&standby, &token, &fresh).await["output"], "fresh\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_takes_its_jobs_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::start(config("primary", directory.path(), Role::Primary));
    let token = site.login().await;
    let config = json!({ "service_url": site.url(), "worker_token": WORKER_TOKEN });
    let mut worker = Node::start("worker", &config);
    submit(&site, &token, &["sleep", "3600"]).await;
    let children = format!("/proc/{0}/task/{0}/children", worker.pid());
    let tasks = format!("/proc/{}/task", worker.pid());
    let pid = eventually("the job runs", async || {
        let threads = std::fs::read_dir(&tasks).unwrap();
        threads.flatten().find_map(|thread| {
            let pids = std::fs::read_to_string(thread.path().join("children")).ok()?;
            let pid = pids.split_whitespace().next()?.to_owned();
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name == "sleep\n").then_some(pid)
        })
    })
    .await;
    worker.kill();
    eventually("the job is gone", async || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (!Path::new(&children).exists() && (state.is_empty() || state.contains(") Z")))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_runs_makes_the_queue_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config("primary", directory.path(), Role::Primary);
    config.timing.queue_stall_ms = 100;
    let site = Site::start(config);
    let token = site.login().await;
    let id = submit(&site, &token, &["true"]).await;
    let body = eventually("the queue stalls", async || {
        let answer = site.get("", "/health").await;
        (answer.status == 503).then(|| answer.json::<Value>().unwrap())
    })
    .await;
    assert_eq!(body["database"], "ok");
    assert!(body["queue"].as_str().unwrap().starts_with("stalled"), "{body}");
    let _worker = worker(&site);
    ended(&site, &token, &id).await;
    assert_eq!(site.get("", "/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_claim_may_finish_a_job() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config("primary", directory.path(), Role::Primary);
    config.timing.job_lease_ms = 50;
    let site = Site::start(config);
    let token = site.login().await;
    let id = submit(&site, &token, &["true"]).await;
    let claim = async |token: &str| {
        site.call(Method::POST, "/jobs/claim", Some(token), &json!({})).await.unwrap()
    };
    assert_eq!(claim("wrong").await.status, 401);
    assert_eq!(claim(WORKER_TOKEN).await.json::<Value>().unwrap()["claim"], 1);
    let again = eventually("the lease ends", async || {
        let answer = claim(WORKER_TOKEN).await;
        (answer.status == 200).then(|| answer.json::<Value>().unwrap())
    })
    .await;
    assert_eq!(again["claim"], 2);
    let path = format!("/jobs/{id}/finish");
    for (claim, status) in [(1, 409), (2, 200), (2, 200)] {
        let body = json!({ "claim": claim, "exit_code": 0, "output": "x" });
        let answer = site.call(Method::POST, &path, Some(WORKER_TOKEN), &body).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
    }
    tokio::time::timeout(Duration::from_secs(5), ended(&site, &token, &id)).await.unwrap();
}
