//! A web server of a test's own that answers whatever the test says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Makes an answer from the number of the request, from 0, and its text.
type Answer = dyn Fn(usize, &str) -> String + Send + Sync;

/// The server. It answers for as long as this process lives.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Page {
    pub(crate) fn serve(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer): (_, Arc<Answer>) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut some = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut some) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend(&some[..read]),
                    }
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let answer = answer(number, &String::from_utf8_lossy(&request));
                // One that does not listen to the end is no matter of this server.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, asked }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// An answer of that status, with headers, each ended by a line break, and a body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
