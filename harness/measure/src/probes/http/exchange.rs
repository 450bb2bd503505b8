//! One request out, one answer back, and exactly how far it came.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::policy::Broken;
use super::super::pool::{Pool, still_open};
use super::super::socket::{close_at_once, connect_to_any};
use super::super::target::Target;
use super::answer::{self, Answer, Progress};
use super::request::Request;

/// On a new connection, which is closed afterwards.
pub(super) async fn fresh(
    targets: &[Target],
    bytes: &[u8],
    request: &Request,
) -> Result<Answer, Broken> {
    let mut stream = connect_to_any(targets).await.map_err(Broken::Connecting)?;
    let answer = exchange(&mut stream, bytes, request).await?;
    close_at_once(&stream);
    Ok(answer)
}

/// On a kept connection if an idle one is there, else on a new one; it is kept when the answer allows that.
pub(super) async fn kept(
    targets: &[Target],
    pool: &Pool,
    bytes: &[u8],
    request: &Request,
) -> Result<Answer, Broken> {
    let mut stream = match pool.take() {
        Some(stream) => still_open(stream).map_err(Broken::BeforeSending)?,
        None => connect_to_any(targets).await.map_err(Broken::Connecting)?,
    };
    let answer = exchange(&mut stream, bytes, request).await?;
    if answer.reusable {
        pool.keep(stream);
    }
    Ok(answer)
}

async fn exchange(
    stream: &mut TcpStream,
    bytes: &[u8],
    request: &Request,
) -> Result<Answer, Broken> {
    send(stream, bytes).await?;
    let mut received = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut received).await.map_err(Broken::AfterSending)?;
        match answer::read(&received, read == 0, request.is_head()) {
            Progress::Whole(answer) => return Ok(answer),
            Progress::Partial if read > 0 => {}
            Progress::Partial => return Err(lost("the connection was closed before the answer")),
            Progress::Senseless(why) => return Err(lost(why)),
        }
    }
}

/// A server that answers and closes while a long request is still being sent is heard as a lost answer: the
/// request had not been sent whole.
async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Broken> {
    let first = stream.write(bytes).await.map_err(Broken::BeforeSending)?;
    if first < bytes.len() {
        let rest = &bytes[first..];
        stream.write_all(rest).await.map_err(Broken::AfterSending)?;
    }
    Ok(())
}

fn lost(why: &'static str) -> Broken {
    Broken::AfterSending(io::Error::new(io::ErrorKind::UnexpectedEof, why))
}
