//! Questions to one name server, over UDP, and over TCP where an answer is too long.
//!
//! The server itself is asked: the resolver of this machine would hide for how long others get the old answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use async_trait::async_trait;
use drdrill_core::dns::{DnsCall, RecordKind};
use drdrill_core::probe::{Probe, Purpose};
use drdrill_core::sample::Outcome;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::policy::Broken;
use super::socket::close_at_once;
use super::target::{Target, TargetError};

/// Longest answer over UDP without an extension. Source: RFC 1035, section 4.2.1; some servers send more.
const LONGEST: usize = 4096;

/// One question an attempt.
#[derive(Debug)]
pub(super) struct DnsProbe {
    server: Target,
    name: Name,
    record: RecordType,
    wanted: Option<String>,
}

impl DnsProbe {
    /// A probe that asks this.
    ///
    /// # Errors
    /// When the server's address or the name is not valid.
    pub(super) fn new(call: &DnsCall) -> Result<Self, TargetError> {
        let bad = |_| TargetError::BadRequest { what: "the name", text: call.name.clone() };
        let mut name = Name::from_str(&call.name).map_err(bad)?;
        name.set_fqdn(true);
        let record = match call.record {
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
            RecordKind::Cname => RecordType::CNAME,
            RecordKind::Txt => RecordType::TXT,
        };
        let wanted = call.answers.as_deref().map(|text| normal(record, text));
        Ok(Self { server: Target::parse(&call.server)?, name, record, wanted })
    }

    async fn carry_out(&self) -> Result<(), Broken> {
        let server = self.server.address().await.map_err(Broken::Connecting)?;
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(self.name.clone(), self.record));
        let bytes = question
            .to_vec()
            .map_err(|error| Broken::BeforeSending(io::Error::other(error.to_string())))?;
        let id = question.metadata.id;
        let mut answer = by_udp(server, &bytes, id).await?;
        if answer.metadata.truncation {
            answer = by_tcp(server, &bytes, id).await?;
        }
        self.check(&answer)
    }

    fn check(&self, answer: &Message) -> Result<(), Broken> {
        let code = answer.metadata.response_code;
        if code != ResponseCode::NoError {
            return Err(Broken::Refused(format!("answered {code}")));
        }
        let ours = answer.answers.iter().filter(|record| record.record_type() == self.record);
        let found: Vec<(String, u32)> =
            ours.map(|record| (text(&record.data), record.ttl)).collect();
        match &self.wanted {
            _ if found.is_empty() => Err(Broken::Refused(format!("has no {}", self.record))),
            Some(wanted) if !found.iter().any(|(text, _)| text == wanted) => {
                // For how long others may believe it, is part of what it means.
                let all = found.iter().map(|(text, ttl)| format!("{text} (for {ttl} s)"));
                let all = all.collect::<Vec<_>>().join(", ");
                Err(Broken::Refused(format!("answered {all}")))
            }
            _ => Ok(()),
        }
    }
}

async fn by_udp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, Broken> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await.map_err(Broken::Connecting)?;
    // From nobody else anything is received.
    socket.connect(server).await.map_err(Broken::Connecting)?;
    socket.send(question).await.map_err(Broken::BeforeSending)?;
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(Broken::AfterSending)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        // Somebody else's answer, or no answer at all, is waited past.
        if let Ok(answer) = Message::from_vec(bytes)
            && answer.metadata.id == id
        {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, Broken> {
    let mut stream = TcpStream::connect(server).await.map_err(Broken::Connecting)?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    let bytes = [&length.to_be_bytes(), question].concat();
    stream.write_all(&bytes).await.map_err(Broken::AfterSending)?;
    let length = stream.read_u16().await.map_err(Broken::AfterSending)?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.map_err(Broken::AfterSending)?;
    close_at_once(&stream);
    let answer = Message::from_vec(&bytes)
        .map_err(|error| Broken::AfterSending(io::Error::other(error.to_string())))?;
    if answer.metadata.id != id {
        let why = "the answer is to another question";
        return Err(Broken::AfterSending(io::Error::other(why)));
    }
    Ok(answer)
}

/// What a record says, as [`normal`] has it.
fn text(data: &RData) -> String {
    match data {
        RData::TXT(text) => {
            let all: Vec<u8> = text.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            String::from_utf8_lossy(&all).into_owned()
        }
        other => normal(other.record_type(), &other.to_string()),
    }
}

/// What two records of a kind have in common that say the same: addresses in their shortest form, names in small letters
/// and without the dot at their end, texts as they are.
fn normal(record: RecordType, text: &str) -> String {
    match record {
        RecordType::A | RecordType::AAAA => {
            text.parse().map_or_else(|_| text.to_owned(), |address: IpAddr| address.to_string())
        }
        RecordType::CNAME => text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}

#[async_trait]
impl Probe for DnsProbe {
    async fn attempt(&self, _: u64) -> Outcome {
        match self.carry_out().await {
            Ok(()) => Outcome::Ok,
            Err(broken) => broken.outcome(Purpose::Read),
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};

    use super::*;

    /// Whether an answer of this record is what was wanted.
    fn is(record: RecordKind, wanted: &str, data: RData) -> bool {
        let call = DnsCall {
            server: "127.0.0.1:53".to_owned(),
            name: "app.example.org".to_owned(),
            record,
            answers: Some(wanted.to_owned()),
        };
        let probe = DnsProbe::new(&call).unwrap();
        let mut answer = Message::query();
        answer.add_answer(Record::from_rdata(probe.name.clone(), 60, data));
        probe.check(&answer).is_ok()
    }

    #[test]
    fn answers_are_compared_as_records_of_their_kind() {
        let cname = || RData::CNAME(CNAME(Name::from_str("DB.example.org.").unwrap()));
        for name in ["DB.example.org", "db.example.org", "db.Example.org."] {
            assert!(is(RecordKind::Cname, name, cname()), "{name}");
        }
        assert!(!is(RecordKind::Cname, "other.example.org", cname()));
        let text = || RData::TXT(TXT::new(vec!["Ready.".to_owned()]));
        assert!(is(RecordKind::Txt, "Ready.", text()));
        for other in ["ready.", "Ready", "ready"] {
            assert!(!is(RecordKind::Txt, other, text()), "{other}");
        }
        let number = RData::TXT(TXT::new(vec!["::0001".to_owned()]));
        assert!(!is(RecordKind::Txt, "::1", number));
        assert!(is(RecordKind::A, "10.0.0.1", RData::A(A::new(10, 0, 0, 1))));
        let six = || RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        assert!(is(RecordKind::Aaaa, "2001:DB8:0:0::0001", six()));
        assert!(!is(RecordKind::Aaaa, "2001:db8::2", six()));
    }
}
