//! Probes of buckets, against moto: what each way to fail means, and what is in the bucket afterwards.

use std::fs;
use std::sync::Arc;

use crate::support::backups::json;
use crate::support::bucket::Bucket;
use crate::support::sandbox::{Outcome as Ended, Sandbox};
use crate::support::wait::alone;
use drdrill_core::probe::{Call, Connection, Probe, Purpose};
use drdrill_core::s3::{Request, S3Call};
use drdrill_core::sample::Outcome;
use drdrill_core::secret::Secret;

const ID: &str = "AKIDPROBEPROBEPROBE";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYPROBEKEYAB";

fn probe(endpoint: &str, bucket: &str, request: Request) -> Arc<dyn Probe> {
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let writes = matches!(request, Request::Put { .. });
    let call = S3Call {
        endpoint: endpoint.to_owned(),
        region: "us-east-1".to_owned(),
        bucket: bucket.to_owned(),
        access_key: secret(ID),
        secret_key: secret(KEY),
        session_token: Some(secret("a token of a session")),
        request,
    };
    let purpose = if writes { Purpose::Write } else { Purpose::Read };
    drdrill_measure::probe(&Call::S3(Box::new(call)), purpose, Connection::Fresh).unwrap()
}

fn once(endpoint: &str, bucket: &str, request: Request) -> Outcome {
    let attempt = async { probe(endpoint, bucket, request).attempt(7).await };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(attempt)
}

#[track_caller]
fn failed(outcome: &Outcome, words: &str) {
    let Outcome::Failed(text) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains(words) && !text.contains(KEY) && !text.contains("Signature"), "{text}");
}

#[test]
fn objects_are_written_read_and_asked_for() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let endpoint = format!("http://{}", bucket.address);
    let put = || Request::Put { prefix: "a/b c".to_owned(), drill: "test".to_owned() };
    assert_eq!(once(&endpoint, "far", put()), Outcome::Ok);
    assert_eq!(bucket.keys(), ["a/b c/test/7"]);
    let get = |key: &str, text: Option<&str>| Request::Get {
        key: key.to_owned(),
        body_contains: text.map(str::to_owned),
    };
    assert_eq!(once(&endpoint, "far", get("a/b c/test/7", Some("test/7"))), Outcome::Ok);
    failed(&once(&endpoint, "far", get("a/b c/test/7", Some("test/8"))), "without the expected");
    failed(&once(&endpoint, "far", get("nothing", None)), "404");
    let head = |key: &str| Request::Head { key: key.to_owned() };
    assert_eq!(once(&endpoint, "far", head("a/b c/test/7")), Outcome::Ok);
    failed(&once(&endpoint, "far", head("nothing")), "404");
    failed(&once(&endpoint, "nowhere", put()), "404");
    drop(bucket);
    failed(&once(&endpoint, "far", put()), "refused");
}

#[test]
fn a_file_with_such_probes_is_run_and_its_mistakes_are_answered() {
    let _alone = alone();
    let Some(bucket) = Bucket::serve() else { return };
    let (sandbox, address) = (Sandbox::new(), bucket.address);
    let place = format!(
        "endpoint: \"http://{address}\", bucket: far, access_key: {{ env: ID }}, secret_key: {{ env: KEY }}"
    );
    let good = format!(
        "\
environment: objects
provider:
  host:
    probes:
      - name: put
        service: store
        purpose: write
        attempt: {{ s3: {{ {place}, request: {{ put: {{ prefix: drdrill }} }} }} }}
services: [{{ name: store, tier: 1 }}]
"
    );
    let file = sandbox.path("objects.yaml");
    fs::write(&file, &good).unwrap();
    let run = |arguments: &str| {
        Ended::of(&sandbox.command(arguments).env("ID", ID).env("KEY", KEY).output().unwrap())
    };
    let record = json(&run("run no_op --env objects.yaml --format json").exits(0));
    let id = record["run_id"].as_str().unwrap();
    assert!(bucket.keys().contains(&format!("drdrill/{id}/0")), "{:?}", bucket.keys());
    let said = sandbox.run("doctor --env objects.yaml").stdout;
    assert!(said.contains("environment variable KEY: "), "{said}");
    for (from, to, words) in [
        ("http://", "https://", "only http:// is spoken"),
        ("{ env: KEY }", "secretsecret", "never stand in a file"),
        ("purpose: write", "purpose: read", "must be `write`"),
        ("put: { prefix: drdrill }", "head: { key: x }", "`write` needs `request: { put"),
        ("put:", "puts:", "nearest first: put"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let said = run("validate no_op --env objects.yaml").exits(14).stderr;
        assert!(said.contains(words) && !said.contains("secretsecret"), "{to}: {said}");
    }
}
