//! A Toxiproxy-compatible server that is not the lab's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::sandbox::Sandbox;

/// A server of its own process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct ProxyServer {
    process: Child,
    address: String,
}

impl ProxyServer {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command("toxiproxy --listen 127.0.0.1:0");
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(line.strip_prefix("ready ").unwrap()).unwrap();
        let address = ready["api"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { process, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a proxy that drdrill knows nothing of. It leads to the server itself, which answers.
    pub(crate) fn create(&self, name: &str) {
        let to = &self.address;
        let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{to}"}}"#);
        self.call("POST /proxies", &body);
    }

    /// All proxies, as the server tells of them.
    pub(crate) fn proxies(&self) -> Value {
        serde_json::from_str(&self.call("GET /proxies", "")).unwrap()
    }

    fn call(&self, what: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{what} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1).unwrap().starts_with('2'), "{what}: {answer}");
        body.to_owned()
    }
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
