//! Network devices of a namespace, made over rtnetlink.
//!
//! Drills make none: `doctor` asks here what the kernel can do, and [`two_sites`](crate::two_sites) is made of it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::net::netdevice::name_to_index;
use rustix::net::{
    AddressFamily as SocketFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv,
    sendto, socket_with,
};

use crate::namespace::Namespace;

/// More than an answer, which repeats what was asked.
const ANSWER_BYTES: usize = 8192;

/// Flags of a message that makes something new.
const MAKE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Type and bytes of the options of netem (`TCA_OPTIONS`, `struct tc_netem_qopt`): zero is a delay of nothing.
const NETEM_OPTIONS: (u16, [u8; 24]) = (2, [0; 24]);

/// The devices of a namespace, and the routes between them.
#[derive(Debug)]
pub struct Devices(OwnedFd);

impl Devices {
    /// Those of `namespace`. Changing them needs `CAP_NET_ADMIN` there.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn of(namespace: &Namespace) -> io::Result<Self> {
        let (family, kind) = (SocketFamily::NETLINK, SocketType::RAW);
        // No protocol is that of routes and devices (`NETLINK_ROUTE` is 0).
        let make = || socket_with(family, kind, SocketFlags::CLOEXEC, None);
        Ok(Self(namespace.run(make)??))
    }

    /// Takes a device into use.
    ///
    /// # Errors
    /// What the kernel answers, here and below.
    pub fn up(&self, device: &str) -> io::Result<()> {
        let mut link = used();
        link.header.index = self.index(device)?;
        self.tell(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Makes a bridge that is in use.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn bridge(&self, name: &str) -> io::Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.tell(RouteNetlinkMessage::NewLink(link), MAKE)
    }

    /// Makes a pair of devices: what goes into one comes out of the other, which is in another namespace. The one here is
    /// in use, and a port of a bridge where one is given; the other can only be taken into use when both are there.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn pair(
        &self,
        name: &str,
        bridge: Option<&str>,
        there: &Namespace,
        name_there: &str,
    ) -> io::Result<()> {
        let mut peer = LinkMessage::default();
        peer.attributes.push(LinkAttribute::IfName(name_there.to_owned()));
        peer.attributes.push(LinkAttribute::NetNsFd(there.as_fd().as_raw_fd()));
        let mut link = named(name);
        if let Some(bridge) = bridge {
            link.attributes.push(LinkAttribute::Controller(self.index(bridge)?));
        }
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.tell(RouteNetlinkMessage::NewLink(link), MAKE)
    }

    /// Gives a device an address, in a network of `prefix` bits. One of IPv6 can be used at once.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn address(&self, device: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = self.index(device)?;
        // Nobody else can have it: there is no need to ask around (duplicate address detection).
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.tell(RouteNetlinkMessage::NewAddress(message), MAKE)
    }

    /// Sends what is for nobody here to a gateway.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn default_route(&self, gateway: IpAddr) -> io::Result<()> {
        let mut route = RouteMessage::default();
        route.header.address_family = family(gateway);
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Static;
        route.header.kind = RouteType::Unicast;
        route.attributes = vec![RouteAttribute::Gateway(gateway.into())];
        self.tell(RouteNetlinkMessage::NewRoute(route), MAKE)
    }

    /// Lets a device delay what it sends by nothing, with the kernel's network emulator.
    ///
    /// # Errors
    /// `NotFound` when this kernel has no `sch_netem`; see [`Devices::up`].
    pub fn netem(&self, device: &str) -> io::Result<()> {
        let mut discipline = TcMessage::default();
        discipline.header.index = i32::try_from(self.index(device)?).map_err(io::Error::other)?;
        discipline.header.parent = TcHandle::ROOT;
        let (kind, options) = NETEM_OPTIONS;
        discipline.attributes = vec![
            TcAttribute::Kind("netem".to_owned()),
            TcAttribute::Other(DefaultNla::new(kind, options.to_vec())),
        ];
        self.tell(RouteNetlinkMessage::NewQueueDiscipline(discipline), MAKE)
    }

    fn index(&self, device: &str) -> io::Result<u32> {
        Ok(name_to_index(&self.0, device)?)
    }

    /// One message, and the kernel's answer to it.
    fn tell(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        sendto(&self.0, &bytes, SendFlags::empty(), &kernel)?;
        let mut answer = vec![0; ANSWER_BYTES];
        let (length, _) = recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        let answer = answer.get(..length).unwrap_or_default();
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(answer);
        match answer.map_err(io::Error::other)?.payload {
            NetlinkPayload::Error(error) if error.raw_code() == 0 => Ok(()),
            NetlinkPayload::Error(error) => Err(io::Error::from_raw_os_error(-error.raw_code())),
            other => Err(io::Error::other(format!("not an answer: {other:?}"))),
        }
    }
}

/// A device that is in use.
fn used() -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn named(name: &str) -> LinkMessage {
    let mut link = used();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

const fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a kernel without netem says, this one says of a discipline that does not exist.
    #[test]
    fn whether_there_is_netem_is_found_out_by_trying() {
        let place = Namespace::unnamed().unwrap();
        let ours = Devices::of(&place).unwrap().netem("lo");
        let mut tc = Command::new("tc");
        tc.args(["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
        let other = Namespace::unnamed().unwrap();
        let theirs = other.run(|| tc.output().unwrap()).unwrap();
        assert_eq!(ours.is_ok(), theirs.status.success(), "{ours:?}, {theirs:?}");
        if let Err(error) = ours {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let place = Namespace::unnamed().unwrap();
        let devices = Devices::of(&place).unwrap();
        assert!(devices.up("none").is_err());
        devices.bridge("lan").unwrap();
        assert_eq!(devices.bridge("lan").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(devices.default_route("10.0.0.1".parse().unwrap()).is_err());
    }
}
