//! The client against servers that answer wrongly, or not at all.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_faults::toxiproxy::client::{
    Client, Error, NamedToxic, NewProxy, ProxyChange, Stream, Toxic,
};

/// A proxy as a server shows it, with one toxic `t`.
const SHOWN: &str = r#"{"name":"p","listen":"127.0.0.1:1","upstream":"127.0.0.1:2","enabled":true,"toxics":[
    {"name":"t","type":"latency","stream":"downstream","toxicity":1,"attributes":{"latency":5,"jitter":0}}]}"#;

/// What a wrong server does with a request.
#[derive(Clone, Copy)]
enum Reply {
    Say(u16, &'static str),
    /// Half an answer, and then nothing.
    Stall,
    Hang,
    Cut,
    Garbage,
}

/// A server that answers as told by method and path.
struct Wrong {
    client: Client,
    /// The requests so far: method and path.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Wrong {
    fn new(reply: fn(&str) -> Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || answer(stream, reply, &log));
            }
        });
        let client = Client::new(url).unwrap().with_time_limit(Duration::from_millis(300));
        Self { client, seen }
    }
}

fn answer(
    mut stream: TcpStream,
    reply: fn(&str) -> Reply,
    log: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let request = first.rsplit_once(' ').unwrap().0.to_owned();
    log.lock().unwrap().push(request.clone());
    match reply(&request) {
        Reply::Say(status, body) => write!(
            stream,
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        Reply::Stall => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{{")?;
            stream.read(&mut [0]).map(drop)
        }
        Reply::Hang => stream.read(&mut [0]).map(drop),
        Reply::Cut => Ok(()),
        Reply::Garbage => stream.write_all(b"\x00\x01 SSH-2.0 not http\r\n\r\n"),
    }
}

fn toxic() -> NamedToxic {
    let latency = Duration::from_millis(5);
    let jitter = Duration::ZERO;
    NamedToxic::new("t", Stream::Downstream, Toxic::Latency { latency, jitter })
}

fn proxy() -> NewProxy {
    NewProxy::new("p", "127.0.0.1:1", "127.0.0.1:2")
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_time_limit_and_no_more() {
    let hang: fn(&str) -> Reply = |_| Reply::Hang;
    let stall: fn(&str) -> Reply = |_| Reply::Stall;
    let late: fn(&str) -> Reply = |request| match request {
        "DELETE /proxies/p/toxics/t" => Reply::Say(204, ""),
        _ => Reply::Hang,
    };
    for reply in [hang, stall, late] {
        let wrong = Wrong::new(reply);
        let before = Instant::now();
        let removed = wrong.client.remove_toxic("p", "t").await;
        assert!(matches!(removed, Err(Error::Timeout { .. })), "{removed:?}");
        let took = before.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn errors_keep_status_and_words() {
    let wrong = Wrong::new(|_| Reply::Say(500, r#"{"error":"out of luck","status":500}"#));
    let refused = wrong.client.create_proxy(&proxy()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Api { status: 500, message, .. } if message == "out of luck")
    );
    assert_eq!(refused.to_string(), "POST /proxies: Toxiproxy answered 500: out of luck");
    let wrong = Wrong::new(|_| Reply::Say(409, "conflict of another kind"));
    let refused = wrong.client.add_toxic("p", &toxic()).await;
    assert!(
        matches!(refused, Err(Error::Api { status: 409, message, .. }) if message == "conflict of another kind")
    );
    let wrong = Wrong::new(|_| Reply::Say(302, ""));
    assert!(matches!(wrong.client.reset().await, Err(Error::Api { status: 302, .. })));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_garbled() {
    let text: fn(&str) -> Reply = |_| Reply::Say(200, "<html>hello</html>");
    let half: fn(&str) -> Reply = |_| Reply::Say(200, r#"{"name":"p"}"#);
    let noise: fn(&str) -> Reply = |_| Reply::Garbage;
    for reply in [text, half, noise] {
        let wrong = Wrong::new(reply);
        let shown = wrong.client.proxy("p").await;
        assert!(matches!(shown, Err(Error::Garbled { .. })), "{shown:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_unreachable() {
    let wrong = Wrong::new(|_| Reply::Cut);
    let shown = wrong.client.proxy("p").await;
    assert!(matches!(shown, Err(Error::Unreachable { .. } | Error::Garbled { .. })), "{shown:?}");
}

#[tokio::test]
async fn a_yes_that_has_no_effect_is_found_out() {
    // Says yes to everything and never changes what it shows.
    let wrong = Wrong::new(|request| match request {
        "GET /proxies" => Reply::Say(
            200,
            r#"{"p":{"name":"p","listen":"127.0.0.1:1","upstream":"127.0.0.1:2","enabled":false}}"#,
        ),
        _ => Reply::Say(200, SHOWN),
    });
    let client = &wrong.client;
    client.create_proxy(&proxy()).await.unwrap();
    client.add_toxic("p", &toxic()).await.unwrap();
    let not_in_effect = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::NotInEffect { .. })), "{result:?}");
    };
    let other_port = NewProxy { listen: "127.0.0.1:3".to_owned(), ..proxy() };
    not_in_effect(client.create_proxy(&other_port).await.map(drop));
    let disabled = NewProxy { enabled: false, ..proxy() };
    not_in_effect(client.create_proxy(&disabled).await.map(drop));
    not_in_effect(client.update_proxy("p", &ProxyChange::enabled(false)).await.map(drop));
    not_in_effect(client.delete_proxy("p").await);
    not_in_effect(client.remove_toxic("p", "t").await);
    not_in_effect(client.add_toxic("p", &toxic().with_toxicity(0.5)).await.map(drop));
    let upstream = NamedToxic { stream: Stream::Upstream, ..toxic() };
    not_in_effect(client.add_toxic("p", &upstream).await.map(drop));
    not_in_effect(client.populate(&[proxy()]).await.map(drop));
    not_in_effect(client.reset().await);
}

#[tokio::test]
async fn an_old_server_is_asked_with_post() {
    let unknown_method: fn(&str) -> Reply = |request| match request {
        "PATCH /proxies/p/toxics/t" => Reply::Say(405, ""),
        _ => Reply::Say(200, SHOWN),
    };
    let unknown_page: fn(&str) -> Reply = |request| match request {
        "PATCH /proxies/p/toxics/t" => Reply::Say(404, "404 page not found\n"),
        _ => Reply::Say(200, SHOWN),
    };
    for reply in [unknown_method, unknown_page] {
        let wrong = Wrong::new(reply);
        wrong.client.update_toxic("p", &toxic()).await.unwrap();
        let expected = ["PATCH /proxies/p/toxics/t", "POST /proxies/p/toxics/t", "GET /proxies/p"];
        assert_eq!(*wrong.seen.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_toxic_that_is_gone_is_not_asked_for_twice() {
    let wrong = Wrong::new(|_| Reply::Say(404, r#"{"error":"toxic not found","status":404}"#));
    let updated = wrong.client.update_toxic("p", &toxic()).await;
    assert!(matches!(updated, Err(Error::ToxicNotFound { .. })));
    assert_eq!(wrong.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_version_is_plain_text() {
    let wrong = Wrong::new(|_| Reply::Say(200, "2.1.4"));
    assert_eq!(wrong.client.version().await.unwrap(), "2.1.4");
}
