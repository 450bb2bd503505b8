//! The crate `toxiproxy_rust` works against the embedded server, with everything it offers.
//!
//! It is blocking and panics inside an async runtime, so it has a thread of its own. Its ready-made client
//! `TOXIPROXY` knows one address only, 127.0.0.1:8474; for any other, `Client::new` takes `host:port` without
//! a scheme, and panics if that does not resolve.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use drdrill_faults::toxiproxy::server::Server;
use support::{assert_cut, behind, connect, echo, local, round_trip};
use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};
use toxiproxy_rust::toxic::ToxicPack;

#[tokio::test]
async fn toxiproxy_rust_works_against_the_embedded_server() {
    let server = Server::start(local()).await.unwrap();
    let api = server.api();
    let upstream = behind(echo);
    let worked = tokio::task::spawn_blocking(move || {
        thread::spawn(move || everything(api, upstream)).join()
    });
    worked.await.unwrap().unwrap();
}

fn everything(api: SocketAddr, upstream: SocketAddr) {
    let client = Client::new(api);
    assert!(client.is_running());
    assert!(client.version().unwrap().contains("2.12.0"));

    let listen = free_address();
    let pack = ProxyPack::new("socket".into(), listen.to_string(), upstream.to_string());
    let populated = client.populate(vec![pack]).unwrap();
    assert_eq!(populated.len(), 1);
    assert!(client.all().unwrap().contains_key("socket"));
    assert!(client.find_proxy("nope").is_err());
    let proxy = client.find_and_reset_proxy("socket").unwrap();
    assert_eq!(proxy.proxy_pack.listen, listen.to_string());
    round_trip(&mut connect(listen)).unwrap();

    every_toxic_is_created_and_shown(&proxy);
    proxy.delete_all_toxics().unwrap();
    effects(&proxy, listen);
    ups_and_downs(&client, &proxy, listen);
}

fn every_toxic_is_created_and_shown(proxy: &Proxy) {
    proxy
        .with_latency("downstream".into(), 2_000, 5, 0.5)
        .with_bandwidth("upstream".into(), 100, 1.0)
        .with_slow_close("downstream".into(), 30, 1.0)
        .with_timeout("upstream".into(), 40, 0.25)
        .with_slicer("downstream".into(), 64, 32, 10, 1.0)
        .with_limit_data("upstream".into(), 4_096, 1.0);
    let shown: HashMap<String, ToxicPack> =
        proxy.toxics().unwrap().into_iter().map(|toxic| (toxic.name.clone(), toxic)).collect();
    for (name, toxicity, attributes) in [
        ("latency_downstream", 0.5, vec![("latency", 2_000), ("jitter", 5)]),
        ("bandwidth_upstream", 1.0, vec![("rate", 100)]),
        ("slow_close_downstream", 1.0, vec![("delay", 30)]),
        ("timeout_upstream", 0.25, vec![("timeout", 40)]),
        (
            "slicer_downstream",
            1.0,
            vec![("average_size", 64), ("size_variation", 32), ("delay", 10)],
        ),
        ("limit_data_upstream", 1.0, vec![("bytes", 4_096)]),
    ] {
        let toxic = &shown[name];
        let expected: HashMap<String, u32> =
            attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(toxic.attributes, expected, "{name}");
        assert!((toxic.toxicity - toxicity).abs() < f32::EPSILON, "{name}");
        assert_eq!(toxic.name, format!("{}_{}", toxic.r#type, toxic.stream));
    }
    assert_eq!(shown.len(), 6);
}

fn effects(proxy: &Proxy, listen: SocketAddr) {
    let delay = Duration::from_millis(40);
    let mut stream = connect(listen);
    proxy
        .with_latency("downstream".into(), 40, 0, 1.0)
        .apply(|| assert!(round_trip(&mut connect(listen)).unwrap() >= delay))
        .unwrap();
    assert!(proxy.toxics().unwrap().is_empty());
    round_trip(&mut stream).unwrap();
    proxy
        .with_limit_data("downstream".into(), 0, 1.0)
        .apply(|| assert!(round_trip(&mut connect(listen)).is_err()))
        .unwrap();
    // The server refuses a name that is taken; this client does not notice.
    proxy.with_latency("upstream".into(), 40, 0, 1.0).with_latency(
        "upstream".into(),
        4_000,
        0,
        1.0,
    );
    assert_eq!(proxy.toxics().unwrap()[0].attributes["latency"], 40);
}

fn ups_and_downs(client: &Client, proxy: &Proxy, listen: SocketAddr) {
    let mut stream = connect(listen);
    proxy.with_down(|| assert!(TcpStream::connect(listen).is_err())).unwrap();
    assert_cut(&mut stream);
    round_trip(&mut connect(listen)).unwrap();
    proxy.disable().unwrap();
    assert!(!client.find_proxy("socket").unwrap().proxy_pack.enabled);
    client.reset().unwrap();
    let found = client.find_proxy("socket").unwrap();
    assert!(found.proxy_pack.enabled && found.proxy_pack.toxics.is_empty());
    found.disable().unwrap();
    client.find_and_reset_proxy("socket").unwrap();
    round_trip(&mut connect(listen)).unwrap();
    proxy.delete().unwrap();
    assert!(client.all().unwrap().is_empty());
    assert!(TcpStream::connect(listen).is_err());
}

/// This client cannot learn which port a server chose, so the test chooses.
fn free_address() -> SocketAddr {
    TcpListener::bind(local()).unwrap().local_addr().unwrap()
}
