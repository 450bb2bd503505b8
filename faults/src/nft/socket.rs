//! The netlink socket that owns a table, and transactions over it.

use std::os::fd::OwnedFd;
use std::thread;

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, sendto,
    socket_with,
};

use super::NftError;
use crate::namespace::Namespace;

/// Number of `nf_tables` among the subsystems of netfilter (`NFNL_SUBSYS_NFTABLES`); a batch names it.
const NF_TABLES: u16 = 10;

/// More than the longest answer: the kernel sends a refused message back, and ours are shorter than that.
const ANSWER_BYTES: usize = 64 * 1024;

/// Netlink messages begin at multiples of four bytes.
const ALIGNMENT: usize = 4;

/// One message of a transaction.
pub(super) struct Step {
    /// What it does, for errors.
    pub(super) name: &'static str,
    /// Family of the table that it is about.
    pub(super) family: NetfilterProtoFamily,
    /// Flags besides "request".
    pub(super) flags: u16,
    /// What it says.
    pub(super) message: NfTablesMessage,
}

/// Why something did not happen.
pub(super) enum Refusal {
    /// The kernel refused the transaction as such.
    All(Errno),
    /// It refused the step of that name, and with it all of them.
    Step(&'static str, Errno),
    /// Something else.
    Other(NftError),
}

impl From<Refusal> for NftError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::All(Errno::PERM) => Self::no_net_admin(),
            Refusal::All(errno @ (Errno::OPNOTSUPP | Errno::INVAL)) => {
                Self::Unsupported { what: "nf_tables (CONFIG_NF_TABLES)", source: errno.into() }
            }
            Refusal::All(errno) => Self::Refused { step: "the transaction", source: errno.into() },
            Refusal::Step(step, errno) => Self::Refused { step, source: errno.into() },
            Refusal::Other(error) => error,
        }
    }
}

/// What the kernel answered to the message with that number.
struct Answer {
    number: u32,
    payload: NetlinkPayload<NetfilterMessage>,
}

/// A netlink socket that no child inherits: what it owns must end with this process and no later.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Makes one inside a namespace; it belongs to that namespace from then on, wherever it is used.
    pub(super) fn open(namespace: &Namespace) -> Result<Self, NftError> {
        Ok(Self::open_and(namespace, || ())?.0)
    }

    /// The same, and something else that has to be done inside.
    pub(super) fn open_and<T: Send>(
        namespace: &Namespace,
        also: impl FnOnce() -> T + Send,
    ) -> Result<(Self, T), NftError> {
        let make = || (make(), also());
        let (socket, also) = namespace.run(make).map_err(NftError::not_entered)?;
        match socket {
            Ok(descriptor) => Ok((Self(descriptor), also)),
            Err(errno @ Errno::PROTONOSUPPORT) => Err(NftError::Unsupported {
                what: "netfilter over netlink (CONFIG_NETFILTER_NETLINK)",
                source: errno.into(),
            }),
            Err(errno) => {
                Err(NftError::Socket { doing: "make a netlink socket", source: errno.into() })
            }
        }
    }

    /// Closes it without waiting: the kernel lets a socket of the packet filter go only when it has cleaned up behind
    /// all recent changes, which takes 5 to 25 ms. Where no thread can be started it is waited for.
    pub(super) fn close_aside(self) {
        let close = thread::Builder::new().name("nft-close".to_owned()).spawn(move || drop(self));
        drop(close);
    }

    /// Number of a device in the socket's namespace, `None` when there is none of that name.
    pub(super) fn device(&self, name: &str) -> Option<u32> {
        name_to_index(&self.0, name).ok()
    }

    /// All steps or none; returns when the kernel has done them.
    pub(super) fn transact(&self, steps: Vec<Step>) -> Result<(), Refusal> {
        let mut bytes = Vec::with_capacity(4096);
        put(&mut bytes, 0, 0, bracket(ControlMessage::BatchBegin));
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        let mut last = 0;
        for (number, step) in (1..).zip(steps) {
            last = number;
            let ask = if number as usize == names.len() { NLM_F_ACK } else { 0 };
            put(&mut bytes, number, step.flags | ask, about(step.family, step.message));
        }
        put(&mut bytes, last + 1, 0, bracket(ControlMessage::BatchEnd));

        let mut done = false;
        for answer in self.exchange(&bytes)? {
            let NetlinkPayload::Error(error) = answer.payload else { continue };
            match (error.raw_code(), answer.number.checked_sub(1)) {
                (0, _) => done |= answer.number == last,
                (code, None) => return Err(Refusal::All(Errno::from_raw_os_error(-code))),
                (code, Some(index)) => {
                    let name = names.get(index as usize).copied().unwrap_or("the last step");
                    return Err(Refusal::Step(name, Errno::from_raw_os_error(-code)));
                }
            }
        }
        let silence = || NftError::Answer("the transaction was not acknowledged".to_owned());
        if done { Ok(()) } else { Err(Refusal::Other(silence())) }
    }

    /// One question and the answers to it.
    pub(super) fn ask(
        &self,
        name: &'static str,
        question: NetfilterMessage,
    ) -> Result<Vec<NetfilterMessageInner>, Refusal> {
        let mut bytes = Vec::with_capacity(256);
        put(&mut bytes, 0, NLM_F_ACK, question);
        let mut found = Vec::new();
        for answer in self.exchange(&bytes)? {
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => found.push(message.inner),
                NetlinkPayload::Error(error) if error.raw_code() != 0 => {
                    let errno = Errno::from_raw_os_error(-error.raw_code());
                    return Err(Refusal::Step(name, errno));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The kernel works messages off while they are being sent: after that all answers are there.
    fn exchange(&self, bytes: &[u8]) -> Result<Vec<Answer>, Refusal> {
        let failed = |doing| {
            move |errno: Errno| Refusal::Other(NftError::Socket { doing, source: errno.into() })
        };
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        sendto(&self.0, bytes, SendFlags::empty(), &kernel)
            .map_err(failed("talk to the kernel's packet filter"))?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; ANSWER_BYTES];
        loop {
            let length = match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return Ok(answers),
                Err(Errno::INTR) => continue,
                received => received.map_err(failed("hear the kernel's packet filter"))?.0,
            };
            parse(buffer.get(..length).unwrap_or_default(), &mut answers)?;
        }
    }
}

/// A socket with an address of its own.
///
/// The kernel knows the owner of a table by the address of the socket only, and an address can be had again before the
/// kernel has removed what belonged to the socket that had it: the new table would be removed with the old one. Left to
/// itself the kernel gives the process's id, again and again. So each socket gets one by chance, beyond all process ids
/// (at most 2^22) and positive, because the kernel gives negative ones itself.
fn make() -> Result<OwnedFd, Errno> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::NETFILTER))?;
    loop {
        let address = rand::random_range(0x4000_0000..0x8000_0000);
        match bind(&socket, &netlink::SocketAddrNetlink::new(address, 0)) {
            Err(Errno::ADDRINUSE) => {}
            other => return other.map(|()| socket),
        }
    }
}

/// The messages of one datagram.
fn parse(mut bytes: &[u8], answers: &mut Vec<Answer>) -> Result<(), Refusal> {
    let wrong = |error: netlink_packet_core::DecodeError| {
        Refusal::Other(NftError::Answer(error.to_string()))
    };
    while !bytes.is_empty() {
        let length = NetlinkBuffer::new_checked(&bytes).map_err(wrong)?.length() as usize;
        let message = NetlinkMessage::deserialize(bytes).map_err(wrong)?;
        let (header, payload) = message.into_parts();
        answers.push(Answer { number: header.sequence_number, payload });
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
    }
    Ok(())
}

/// Appends a message.
fn put(bytes: &mut Vec<u8>, number: u32, flags: u16, message: NetfilterMessage) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = number;
    let mut message = NetlinkMessage::new(header, message.into());
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(ALIGNMENT), 0);
    if let Some(place) = bytes.get_mut(start..) {
        message.emit(place);
    }
}

/// The first or last message of a transaction.
fn bracket(message: ControlMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NF_TABLES), message)
}

/// A message about tables of a family.
pub(super) fn about(family: NetfilterProtoFamily, message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)
}
