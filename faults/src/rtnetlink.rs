//! A socket to the kernel's side of networking: devices, addresses, routes and queueing disciplines of one namespace.

use std::io;
use std::os::fd::OwnedFd;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::io::Errno;
use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};

use crate::namespace::Namespace;

/// More than the kernel puts into one datagram of an answer (`NLMSG_GOODSIZE` and 32 KiB for lists).
const ANSWER_BYTES: usize = 64 * 1024;
/// Netlink messages begin at multiples of four bytes.
const ALIGNMENT: usize = 4;
/// Type of the message that ends a list (`NLMSG_DONE`), and of one that says what went wrong (`NLMSG_ERROR`).
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// So often a list is asked for that changes while it is told.
const TRIES: u32 = 10;

/// The socket.
#[derive(Debug)]
pub(crate) struct Rtnetlink(OwnedFd);

impl Rtnetlink {
    /// Makes one inside a namespace; it belongs to that namespace from then on, wherever it is used.
    pub(crate) fn open(namespace: &Namespace) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // No protocol is that of routes and devices (`NETLINK_ROUTE` is 0).
        let make = || socket_with(family, kind, SocketFlags::CLOEXEC, None);
        Ok(Self(namespace.run(make)??))
    }

    /// Number of a device.
    pub(crate) fn index(&self, device: &str) -> io::Result<u32> {
        Ok(name_to_index(&self.0, device)?)
    }

    /// Name of a device.
    pub(crate) fn name(&self, index: u32) -> io::Result<String> {
        Ok(index_to_name(&self.0, index)?)
    }

    /// One message, and the kernel's answer to it.
    pub(crate) fn tell(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.send(message, NLM_F_ACK | flags)?;
        let answer = self.receive()?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
        match answer.map_err(io::Error::other)?.payload {
            NetlinkPayload::Error(error) if error.raw_code() == 0 => Ok(()),
            NetlinkPayload::Error(error) => Err(io::Error::from_raw_os_error(-error.raw_code())),
            other => Err(io::Error::other(format!("not an answer: {other:?}"))),
        }
    }

    /// A list: the bytes of its messages, with their headers.
    pub(crate) fn list(&self, question: &RouteNetlinkMessage) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..TRIES {
            if let Some(list) = self.list_once(question.clone())? {
                return Ok(list);
            }
        }
        Err(io::Error::other("it changes faster than it can be told"))
    }

    /// `None` when it changed while it was told.
    fn list_once(&self, question: RouteNetlinkMessage) -> io::Result<Option<Vec<Vec<u8>>>> {
        self.send(question, NLM_F_DUMP)?;
        let (mut list, mut whole) = (Vec::new(), true);
        loop {
            let datagram = self.receive()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let buffer = NetlinkBuffer::new_checked(&rest).map_err(io::Error::other)?;
                let (kind, length) = (buffer.message_type(), buffer.length() as usize);
                whole &= buffer.flags() & NLM_F_DUMP_INTR == 0;
                let message = rest.get(..length).unwrap_or_default();
                match kind {
                    DONE => return Ok(Some(list).filter(|_| whole)),
                    ERROR => return Err(refusal(message)),
                    _ => list.push(message.to_vec()),
                }
                rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
            }
        }
    }

    fn send(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        sendto(&self.0, &bytes, SendFlags::empty(), &kernel)?;
        Ok(())
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; ANSWER_BYTES];
        loop {
            match recv(&self.0, &mut bytes[..], RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                received => {
                    bytes.truncate(received?.0);
                    return Ok(bytes);
                }
            }
        }
    }
}

/// Why a list is not told.
fn refusal(message: &[u8]) -> io::Error {
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).map(|it| it.payload) {
        Ok(NetlinkPayload::Error(error)) => io::Error::from_raw_os_error(-error.raw_code()),
        other => io::Error::other(format!("not an answer: {other:?}")),
    }
}
