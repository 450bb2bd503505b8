//! The load: small round trips one after the other, and much data at once.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

/// Bytes of a small round trip.
pub(crate) const MESSAGE_BYTES: usize = 64;
/// Round trips that are not counted, at the start.
const WARM_UP: usize = 500;

/// The times of `count` round trips, in microseconds.
pub(crate) fn round_trips(address: SocketAddr, count: usize) -> io::Result<Vec<f64>> {
    let mut stream = connect(address)?;
    for _ in 0..WARM_UP {
        round_trip(&mut stream)?;
    }
    (0..count).map(|_| round_trip(&mut stream)).collect()
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One round trip, in microseconds.
pub(crate) fn round_trip(stream: &mut TcpStream) -> io::Result<f64> {
    let mut message = [7; MESSAGE_BYTES];
    let before = Instant::now();
    stream.write_all(&message)?;
    stream.read_exact(&mut message)?;
    Ok(before.elapsed().as_secs_f64() * 1e6)
}

/// Sends `bytes` and receives them all back; returns MiB per second.
pub(crate) fn bulk(address: SocketAddr, bytes: usize) -> io::Result<f64> {
    let mut receiving = connect(address)?;
    let mut sending = receiving.try_clone()?;
    let before = Instant::now();
    let sender = thread::spawn(move || -> io::Result<()> {
        let block = vec![7; 256 * 1024];
        for _ in 0..bytes / block.len() {
            sending.write_all(&block)?;
        }
        Ok(())
    });
    let mut block = vec![0; 256 * 1024];
    let mut received = 0;
    while received < bytes {
        match receiving.read(&mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => received += length,
        }
    }
    let elapsed = before.elapsed().as_secs_f64();
    sender.join().map_err(|_| io::Error::other("the sender crashed"))??;
    Ok(received as f64 / 1024.0 / 1024.0 / elapsed)
}
