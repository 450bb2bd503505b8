//! Reading an answer from bytes that arrive in pieces (RFC 9112, sections 6 and 7).

use drdrill_core::names::is_simple;
use drdrill_core::sample::Decider;
use httparse::{EMPTY_HEADER, Status, parse_chunk_size};

/// An answer longer than this is not read to its end: probes ask for something small.
const LONGEST: usize = 8 * 1024 * 1024;

/// Most header lines that are accepted.
const MOST_HEADERS: usize = 64;

/// A whole answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Its body, without its framing.
    pub(super) body: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
    /// Who decided about a write, where its headers say so.
    pub(super) decider: Option<Decider>,
}

/// What the bytes so far amount to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// More bytes are needed.
    Partial,
    /// The answer is whole.
    Whole(Answer),
    /// This is no HTTP/1 answer, or one that is too long.
    Senseless(&'static str),
}

/// How the end of the body is found.
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads what has arrived. `closed` says that nothing more will; `head` that the request was `HEAD`.
pub(super) fn read(bytes: &[u8], closed: bool, head: bool) -> Progress {
    let mut rest = bytes;
    loop {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(rest) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if rest.len() > LONGEST => {
                return Progress::Senseless("an answer without end");
            }
            Ok(Status::Partial) => return Progress::Partial,
            Err(_) => return Progress::Senseless("not an HTTP/1 answer"),
        };
        let status = response.code.unwrap_or(0);
        let body = &rest[length..];
        if (100..200).contains(&status) && status != 101 {
            rest = body;
            continue;
        }
        return read_body(status, &response, body, closed, head);
    }
}

fn read_body(
    status: u16,
    response: &httparse::Response<'_, '_>,
    bytes: &[u8],
    closed: bool,
    head: bool,
) -> Progress {
    let framing = match framing(status, response, head) {
        Ok(framing) => framing,
        Err(why) => return Progress::Senseless(why),
    };
    let stays_open = stays_open(response);
    let decider = decider(response);
    let whole = |body: Vec<u8>, used: usize| {
        Progress::Whole(Answer {
            status,
            body,
            // Bytes that nobody asked for make the connection useless.
            reusable: stays_open && !closed && used == bytes.len(),
            decider: decider.clone(),
        })
    };
    match framing {
        Framing::Length(length) if length > LONGEST => {
            Progress::Senseless("an answer of more than 8 MiB")
        }
        Framing::Length(length) if bytes.len() < length => Progress::Partial,
        Framing::Length(length) => whole(bytes[..length].to_vec(), length),
        Framing::UntilClosed if closed => whole(bytes.to_vec(), 0),
        Framing::Chunked | Framing::UntilClosed if bytes.len() > LONGEST => {
            Progress::Senseless("an answer of more than 8 MiB")
        }
        Framing::UntilClosed => Progress::Partial,
        Framing::Chunked => match chunks(bytes) {
            Ok(Some((body, used))) => whole(body, used),
            Ok(None) => Progress::Partial,
            Err(why) => Progress::Senseless(why),
        },
    }
}

fn framing(
    status: u16,
    response: &httparse::Response<'_, '_>,
    head: bool,
) -> Result<Framing, &'static str> {
    if head || matches!(status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if values(response, "transfer-encoding").any(|value| value.eq_ignore_ascii_case(b"chunked")) {
        return Ok(Framing::Chunked);
    }
    match values(response, "content-length").next() {
        None => Ok(Framing::UntilClosed),
        Some(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Framing::Length)
            .ok_or("a content-length that is no number"),
    }
}

fn stays_open(response: &httparse::Response<'_, '_>) -> bool {
    let says =
        |word: &[u8]| values(response, "connection").any(|value| value.eq_ignore_ascii_case(word));
    if response.version == Some(1) { !says(b"close") } else { says(b"keep-alive") }
}

/// Who decided, from the headers `X-Drdrill-Site` and `X-Drdrill-Epoch`. A name that no site can have is none.
fn decider(response: &httparse::Response<'_, '_>) -> Option<Decider> {
    let text = |name| std::str::from_utf8(values(response, name).next()?).ok().map(str::trim);
    let site = text("x-drdrill-site").filter(|site| is_simple(site))?;
    let epoch = text("x-drdrill-epoch")?.parse().ok()?;
    Some(Decider { site: site.into(), epoch })
}

fn values<'a>(
    response: &'a httparse::Response<'_, '_>,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    response
        .headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// The body of chunks and the length of all of them, or `None` when bytes are missing.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    const SENSELESS: &str = "chunks that make no sense";
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (skip, size) = match parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(SENSELESS),
        };
        let size = usize::try_from(size).map_err(|_| SENSELESS)?;
        if size > LONGEST {
            return Err("a chunk of more than 8 MiB");
        }
        at += skip;
        if size == 0 {
            return Ok(after_trailers(&bytes[at..]).map(|length| (body, at + length)));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        if &chunk[size..] != b"\r\n" {
            return Err(SENSELESS);
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

/// Length of the trailers and the empty line behind the last chunk.
fn after_trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8], closed: bool) -> Answer {
        match read(bytes, closed, false) {
            Progress::Whole(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nA: b\r\n\r\n";

    #[test]
    fn every_framing_is_read() {
        let answer = whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
        assert_eq!((answer.status, &answer.body[..], answer.reusable), (200, &b"ok"[..], true));
        let answer = whole(CHUNKED, false);
        assert_eq!((&answer.body[..], answer.reusable), (&b"Wikipedia"[..], true));
        let until_closed = b"HTTP/1.0 200 OK\r\n\r\nall of it";
        assert_eq!(read(until_closed, false, false), Progress::Partial);
        assert_eq!(whole(until_closed, true).body, b"all of it");
        let continued = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
        assert_eq!(whole(continued, false).status, 204);
    }

    #[test]
    fn a_connection_is_kept_only_when_the_answer_allows_it() {
        let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(!whole(close, false).reusable);
        assert!(!whole(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false).reusable);
        assert!(!whole(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP", false).reusable);
    }

    #[test]
    fn an_answer_says_who_decided_or_nothing_is_taken_from_it() {
        let said = |headers: &str| {
            let bytes = format!("HTTP/1.1 201 Created\r\n{headers}Content-Length: 0\r\n\r\n");
            whole(bytes.as_bytes(), false).decider
        };
        let east = Decider { site: "east".into(), epoch: 7 };
        assert_eq!(said("X-Drdrill-Site: east\r\nx-drdrill-epoch: 7\r\n"), Some(east));
        for senseless in [
            "",
            "x-drdrill-site: east\r\n",
            "x-drdrill-epoch: 7\r\n",
            "x-drdrill-site: east\r\nx-drdrill-epoch: -1\r\n",
            "x-drdrill-site: not a site\r\nx-drdrill-epoch: 7\r\n",
        ] {
            assert_eq!(said(senseless), None, "{senseless:?}");
        }
    }

    #[test]
    fn a_short_body_is_never_whole_even_when_the_connection_closed() {
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok";
        assert_eq!(read(short, true, false), Progress::Partial);
    }

    #[test]
    fn nonsense_is_said_to_be_nonsense() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(matches!(read(bytes, false, false), Progress::Senseless(_)), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_is_partial_and_never_something_else(cut in 0..CHUNKED.len()) {
            prop_assert_eq!(read(&CHUNKED[..cut], false, false), Progress::Partial);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            answer.extend(&bytes);
            let _ = read(&answer, true, false);
            let _ = read(&bytes, true, false);
        }
    }
}
