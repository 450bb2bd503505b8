//! The client against the embedded server: every call, and every refusal by type.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use drdrill_faults::toxiproxy::client::{
    Client, Error, NamedToxic, NewProxy, ProxyChange, Stream, Toxic,
};
use support::{Bed, behind, echo, latency, local};

fn toxic(name: &str) -> NamedToxic {
    NamedToxic::new(name, Stream::Upstream, latency(5))
}

#[tokio::test]
async fn every_call_works() {
    let bed = Bed::new(behind(echo)).await;
    let client = &bed.client;
    assert_eq!(client.version().await.unwrap(), "2.12.0");

    let odd = NewProxy::new("odd name %2F ?#ü", "localhost:0", "127.0.0.1:9");
    let made = client.create_proxy(&odd).await.unwrap();
    assert_eq!(made, client.proxy(&odd.name).await.unwrap());
    assert_eq!(client.proxies().await.unwrap().len(), 2);

    let added = client.add_toxic("p", &toxic("my toxic")).await.unwrap();
    let second = toxic("second").with_toxicity(0.5);
    client.add_toxic("p", &second).await.unwrap();
    assert_eq!(client.toxic("p", "my toxic").await.unwrap(), added);
    assert_eq!(client.toxics("p").await.unwrap(), [added.clone(), second]);
    let changed = NamedToxic { toxic: latency(7), ..added }.with_toxicity(0.1);
    client.update_toxic("p", &changed).await.unwrap();
    assert_eq!(client.toxic("p", "my toxic").await.unwrap(), changed);
    client.remove_toxic("p", "my toxic").await.unwrap();
    assert_eq!(client.toxics("p").await.unwrap().len(), 1);

    let moved = ProxyChange {
        listen: Some("127.0.0.1:0".to_owned()),
        upstream: Some("127.0.0.1:10".to_owned()),
        enabled: Some(true),
    };
    let moved = client.update_proxy("p", &moved).await.unwrap();
    assert_eq!(moved.upstream, "127.0.0.1:10");
    client.update_proxy("p", &ProxyChange::enabled(false)).await.unwrap();
    client.reset().await.unwrap();
    let reset = client.proxy("p").await.unwrap();
    assert!(reset.enabled && reset.toxics.is_empty());

    let many = [
        NewProxy::new("a", "127.0.0.1:0", "127.0.0.1:9"),
        NewProxy { enabled: false, ..NewProxy::new("b", "127.0.0.1:0", "127.0.0.1:9") },
    ];
    let populated = client.populate(&many).await.unwrap();
    assert_eq!(populated.iter().map(|p| p.enabled).collect::<Vec<_>>(), [true, false]);
    client.delete_proxy("a").await.unwrap();
    assert!(client.proxy("a").await.unwrap_err().is_gone());
}

#[tokio::test]
async fn every_kind_of_toxic_is_read_back_as_it_was_sent() {
    let bed = Bed::new(behind(echo)).await;
    let timeout = Duration::from_millis(7);
    for (index, toxic) in [
        Toxic::Latency { latency: timeout, jitter: timeout },
        Toxic::Bandwidth { kilobytes_per_second: 9 },
        Toxic::SlowClose { delay: timeout },
        Toxic::Timeout { timeout: Duration::ZERO },
        Toxic::ResetPeer { timeout },
        Toxic::Slicer { average_bytes: 9, variation_bytes: 3, delay: Duration::from_micros(1) },
        Toxic::LimitData { limit_bytes: 1 << 40 },
        Toxic::Noop,
    ]
    .into_iter()
    .enumerate()
    {
        let way = [Stream::Upstream, Stream::Downstream][index % 2];
        let named = NamedToxic::new(format!("t{index}"), way, toxic);
        assert_eq!(bed.client.add_toxic("p", &named).await.unwrap(), named);
    }
}

#[tokio::test]
async fn every_refusal_has_a_type() {
    let bed = Bed::new(behind(echo)).await;
    let client = &bed.client;
    let nope = client.proxy("nope").await;
    assert!(matches!(nope, Err(Error::ProxyNotFound { proxy }) if proxy == "nope"));
    let again = client.create_proxy(&NewProxy::new("p", "127.0.0.1:0", "127.0.0.1:9")).await;
    assert!(matches!(again, Err(Error::ProxyExists { proxy }) if proxy == "p"));
    let missing = client.remove_toxic("p", "t").await;
    assert!(
        matches!(missing, Err(Error::ToxicNotFound { proxy, toxic }) if proxy == "p" && toxic == "t")
    );
    let missing = client.update_toxic("p", &toxic("t")).await;
    assert!(matches!(missing, Err(Error::ToxicNotFound { .. })));
    client.add_toxic("p", &toxic("t")).await.unwrap();
    let twice = client.add_toxic("p", &toxic("t")).await;
    assert!(matches!(twice, Err(Error::ToxicExists { toxic, .. }) if toxic == "t"));
    let busy = NewProxy::new("busy", bed.listen.to_string(), "127.0.0.1:9");
    let busy = client.create_proxy(&busy).await.unwrap_err();
    assert!(matches!(&busy, Error::Api { status: 500, .. }), "{busy}");
    assert!(busy.to_string().contains("address already in use"), "{busy}");
    let kind = "mystery".to_owned();
    let other = Toxic::Other { kind, attributes: serde_json::json!({}) };
    let other = client.add_toxic("p", &NamedToxic::new("o", Stream::Upstream, other)).await;
    assert!(
        matches!(other, Err(Error::Api { status: 400, message, .. }) if message == "invalid toxic type")
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    // Nobody listens here, so that a call that is sent fails otherwise.
    let client = Client::new("http://127.0.0.1:9").unwrap();
    for toxicity in [-0.1, 1.5, 7.0, f32::NAN] {
        let refused = client.add_toxic("p", &toxic("t").with_toxicity(toxicity)).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{toxicity}");
    }
    for name in ["", "a/b", ".", ".."] {
        assert!(matches!(client.proxy(name).await, Err(Error::Invalid { .. })), "{name}");
    }
    for url in ["127.0.0.1:8474", "https://127.0.0.1:8474", "file:///x", "http://"] {
        assert!(matches!(Client::new(url), Err(Error::InvalidUrl { .. })), "{url}");
    }
    assert!(matches!(client.version().await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_toxic_on_a_disabled_proxy_is_not_in_effect() {
    let bed = Bed::new(behind(echo)).await;
    bed.client.update_proxy("p", &ProxyChange::enabled(false)).await.unwrap();
    let added = bed.client.add_toxic("p", &toxic("t")).await;
    assert!(matches!(added, Err(Error::NotInEffect { found, .. }) if found.contains("disabled")));
    let updated = bed.client.update_toxic("p", &toxic("t")).await;
    assert!(matches!(updated, Err(Error::NotInEffect { .. })));
    bed.client.remove_toxic("p", "t").await.unwrap();
}

#[tokio::test]
async fn what_a_toxic_is_cannot_be_changed_unnoticed() {
    let bed = Bed::new(behind(echo)).await;
    bed.client.add_toxic("p", &toxic("t")).await.unwrap();
    let other = NamedToxic::new("t", Stream::Downstream, latency(5));
    let updated = bed.client.update_toxic("p", &other).await;
    assert!(matches!(updated, Err(Error::NotInEffect { .. })));
}

#[tokio::test]
async fn a_server_that_is_gone_is_unreachable() {
    let bed = Bed::new(behind(echo)).await;
    bed.client.version().await.unwrap();
    bed.server.shutdown().await.unwrap();
    assert!(matches!(bed.client.version().await, Err(Error::Unreachable { .. })));
    assert_ne!(local(), bed.listen);
}
