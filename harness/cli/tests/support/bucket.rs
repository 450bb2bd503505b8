//! A service that speaks the API of S3, on loopback, for as long as a test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait::until;

/// The service and its bucket `far`. Killed when dropped.
pub(crate) struct Bucket {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Bucket {
    /// Starts the service; `None`, said in a line of its own, where it cannot be had.
    pub(crate) fn serve() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/s3-endpoint.sh");
        let made = Command::new("bash").arg(script).stderr(Stdio::piped()).output().unwrap();
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr);
            let why = why.lines().last().unwrap_or("no reason given");
            // Past the capture of the test, so that it is seen although the test passes.
            let said = format!("\nSKIPPED: there is no S3 service to test with: {why}\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return None;
        }
        let program = String::from_utf8(made.stdout).unwrap();
        // A port that is free now; whoever takes it first is noticed by the answer that is missing.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(program.trim())
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bucket = Self { process, address };
        until("the service answers", Duration::from_mins(1), || TcpStream::connect(address).ok());
        let (status, _) = bucket.ask("PUT", "/far", &[]);
        assert_eq!(status, 200);
        Some(bucket)
    }

    /// The address of a way to the service on which one bit of every packed file changes.
    pub(crate) fn through_bad_memory(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, service) = (listener.local_addr().unwrap(), self.address);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(service).unwrap();
                let (mut answers, mut back) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
                std::thread::spawn(move || spoil(client, server));
            }
        });
        address
    }

    /// A request with a signature that means nothing: this service looks whether there is one, and not at it.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let signed = "AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {signed}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            let mut header = String::new();
            answer.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = Vec::new();
        answer.read_to_end(&mut body).unwrap();
        (status, body)
    }

    /// What the service says of what lies in the bucket.
    pub(crate) fn listing(&self) -> String {
        let (status, body) = self.ask("GET", "/far?list-type=2", &[]);
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }

    /// The names of what lies in the bucket.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listing = self.listing();
        let keys = listing.split("<Key>").skip(1);
        keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }
}

/// Passes on what is sent, with one bit changed behind each beginning of a packed file.
fn spoil(mut client: TcpStream, mut server: TcpStream) {
    /// What files packed by zstd begin with.
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut some = vec![0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut some) {
        let begins = some[..read].windows(4).position(|bytes| bytes == MAGIC);
        if let Some(byte) = begins.and_then(|at| some[..read].get_mut(at + 12)) {
            *byte ^= 1;
        }
        if server.write_all(&some[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Write);
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
