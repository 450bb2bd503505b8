//! Links between two sites that let nothing through: proved, no wider than meant, and taken back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use drdrill_core::action::{Action, Presence, Reverter, Tag, Undo};
use drdrill_core::links::{ClientPath, PeerLink, PeerLinks};
use drdrill_core::network::Way;
use drdrill_faults::link::partition::LinkPartition;
use drdrill_faults::link::reverter::BlockReverter;
use drdrill_faults::links::Links;
use drdrill_faults::toxiproxy::client::{Client, NewProxy};
use drdrill_faults::toxiproxy::server::Server;
use support::{behind, connect, local};

/// What does not come within this time does not come: nobody works meanwhile.
const SILENCE: Duration = Duration::from_millis(400);

/// Says something at once, then answers.
fn greet(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"hi")?;
    support::echo(stream)
}

/// Two sites that reach each other through proxies, one each way.
struct Sites {
    server: Server,
    client: Client,
    to_primary: SocketAddr,
    to_dr: SocketAddr,
    /// Where clients come: past the proxies.
    clients: SocketAddr,
}

impl Sites {
    async fn new() -> Self {
        let server = Server::start(local()).await.unwrap();
        let client = Client::new(server.url()).unwrap().with_time_limit(support::PATIENCE);
        let upstream = behind(support::echo);
        let make = async |name: &str| {
            let wanted = NewProxy::new(name, "127.0.0.1:0", upstream.to_string());
            client.create_proxy(&wanted).await.unwrap().listen.parse().unwrap()
        };
        let (to_primary, to_dr) = (make("primary").await, make("dr").await);
        Self { server, client, to_primary, to_dr, clients: upstream }
    }

    fn partition(&self, way: Way) -> LinkPartition {
        let link = |from: &str, to: &str, address: SocketAddr| PeerLink {
            proxy: to.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            address: address.to_string(),
            request: b"hello".to_vec(),
            replication: false,
        };
        let path = ClientPath {
            site: "primary".to_owned(),
            address: self.clients.to_string(),
            request: b"hello".to_vec(),
        };
        let links = PeerLinks {
            links: vec![link("dr", "primary", self.to_primary), link("primary", "dr", self.to_dr)],
            clients: vec![path],
            server: None,
        };
        LinkPartition {
            on: "primary".to_owned(),
            way,
            links,
            control: Links::of_server(&self.server.url()).unwrap(),
            open: Mutex::default(),
        }
    }

    async fn toxics(&self) -> usize {
        let proxies = self.client.proxies().await.unwrap();
        proxies.iter().map(|proxy| proxy.toxics.len()).sum()
    }
}

fn params(undo: &Undo) -> (&str, &serde_json::Value) {
    let Undo::Revert { node, params, .. } = undo else { panic!("{undo:?}") };
    (node, params)
}

/// Whether what is sent first by the listener arrives.
fn is_greeted(address: SocketAddr) -> bool {
    let mut stream = connect(address);
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.read(&mut [0; 2]).is_ok_and(|length| length > 0)
}

#[tokio::test]
async fn a_partition_is_seen_spares_clients_and_is_taken_back_once_for_all() {
    for (way, blocks) in [(Way::Both, 4), (Way::In, 2), (Way::Out, 2)] {
        let sites = Sites::new().await;
        let (partition, tag) = (sites.partition(way), Tag::new("test", 1));
        let undo = partition.plan(&tag).await.unwrap();
        assert_eq!(sites.toxics().await, 0, "planning changes nothing");
        let seen = partition.observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
        partition.apply(&tag).await.unwrap();
        assert_eq!(sites.toxics().await, blocks);
        let seen = partition.observe(&tag).await.unwrap();
        let Presence::InEffect { proof } = seen else { panic!("{seen:?}") };
        assert!(proof.contains("no answer within"), "{proof}");
        assert!(proof.ends_with("clients still reach primary"), "{proof}");

        let (node, params) = params(&undo);
        let reverter = BlockReverter { make_links: Links::of_server };
        assert_eq!(reverter.residue(node, params).await.unwrap().len(), blocks);
        for _ in 0..2 {
            reverter.revert(node, params).await.unwrap();
            assert_eq!(reverter.residue(node, params).await.unwrap(), Vec::<String>::new());
        }
        assert_eq!(sites.toxics().await, 0);
        let seen = partition.observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
        // A proxy that is gone needs no undo.
        sites.client.delete_proxy("dr").await.unwrap();
        reverter.revert(node, params).await.unwrap();
        assert_eq!(reverter.residue(node, params).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn one_way_means_one_way() {
    let sites = Sites::new().await;
    let greeting = behind(greet).to_string();
    for (way, to_primary, to_dr) in
        [(Way::In, true, false), (Way::Out, false, true), (Way::Both, false, false)]
    {
        let partition = sites.partition(way);
        let tag = Tag::new("test", 1);
        let undo = partition.plan(&tag).await.unwrap();
        partition.apply(&tag).await.unwrap();
        for name in ["primary", "dr"] {
            let change = drdrill_faults::toxiproxy::client::ProxyChange {
                upstream: Some(greeting.clone()),
                ..Default::default()
            };
            sites.client.update_proxy(name, &change).await.unwrap();
        }
        // What the primary site says to one that has connected leaves it; what the DR site says arrives at it.
        let seen = tokio::task::spawn_blocking({
            let (primary, dr) = (sites.to_primary, sites.to_dr);
            move || (is_greeted(primary), is_greeted(dr))
        });
        assert_eq!(seen.await.unwrap(), (to_primary, to_dr), "{way:?}");
        let (node, params) = params(&undo);
        let reverter = BlockReverter { make_links: Links::of_server };
        reverter.revert(node, params).await.unwrap();
    }
}

#[tokio::test]
async fn a_partition_that_clients_notice_is_too_wide() {
    let sites = Sites::new().await;
    let mut partition = sites.partition(Way::Both);
    partition.links.clients[0].address = sites.to_primary.to_string();
    let tag = Tag::new("test", 1);
    partition.plan(&tag).await.unwrap();
    partition.apply(&tag).await.unwrap();
    let seen = partition.observe(&tag).await.unwrap();
    assert!(matches!(seen, Presence::TooWide { .. }), "{seen:?}");
}

#[tokio::test]
async fn links_that_are_closed_already_and_links_that_are_gone_past_prove_nothing() {
    let sites = Sites::new().await;
    let mut past = sites.partition(Way::Both);
    past.links.links[1].address = sites.clients.to_string();
    let tag = Tag::new("test", 1);
    past.plan(&tag).await.unwrap();
    past.apply(&tag).await.unwrap();
    let Presence::Absent { detail } = past.observe(&tag).await.unwrap() else { panic!() };
    assert!(detail.contains("is still answered"), "{detail}");
    let error = sites.partition(Way::Both).plan(&Tag::new("test", 2)).await.unwrap_err();
    assert!(error.to_string().contains("even without a fault"), "{error}");
}
