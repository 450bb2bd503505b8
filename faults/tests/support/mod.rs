//! What the tests of the embedded server share: a server, something behind it, and patience.
#![expect(dead_code, reason = "each test uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_faults::toxiproxy::client::{Client, NamedToxic, NewProxy, Stream, Toxic};
use drdrill_faults::toxiproxy::server::Server;

/// Longer than anything here takes on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server with one proxy `p` that leads to `upstream`.
pub(crate) struct Bed {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) listen: SocketAddr,
}

impl Bed {
    pub(crate) async fn new(upstream: SocketAddr) -> Self {
        let server = Server::start(local()).await.unwrap();
        let client = Client::new(server.url()).unwrap().with_time_limit(PATIENCE);
        let wanted = NewProxy::new("p", "127.0.0.1:0", upstream.to_string());
        let proxy = client.create_proxy(&wanted).await.unwrap();
        let listen = proxy.listen.parse().unwrap();
        Self { server, client, listen }
    }

    pub(crate) async fn add(&self, stream: Stream, toxic: Toxic) {
        let named = NamedToxic::new("t", stream, toxic);
        self.client.add_toxic("p", &named).await.unwrap();
    }

    pub(crate) async fn remove(&self) {
        self.client.remove_toxic("p", "t").await.unwrap();
    }

    /// A connection through the proxy that is known to work.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.listen)
    }
}

pub(crate) fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Runs `serve` for each connection to a free port.
pub(crate) fn behind(serve: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Sends everything back, and the end too.
pub(crate) fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut block = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            length => stream.write_all(&block[..length])?,
        }
    }
}

/// Reads until the end; returns the number of bytes.
pub(crate) fn drain(stream: &mut TcpStream) -> io::Result<usize> {
    let mut block = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(total),
            length => total += length,
        }
    }
}

/// The time of one small round trip.
pub(crate) fn round_trip(stream: &mut TcpStream) -> io::Result<Duration> {
    let mut message = *b"0123456789abcdef";
    let before = Instant::now();
    stream.write_all(&message)?;
    stream.read_exact(&mut message)?;
    assert_eq!(&message, b"0123456789abcdef");
    Ok(before.elapsed())
}

pub(crate) fn latency(millis: u64) -> Toxic {
    Toxic::Latency { latency: Duration::from_millis(millis), jitter: Duration::ZERO }
}

/// The connection has been closed or reset: not merely silent.
pub(crate) fn assert_cut(stream: &mut TcpStream) {
    match stream.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0, "data came"),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}
