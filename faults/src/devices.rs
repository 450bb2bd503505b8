//! Network devices of a namespace, made over rtnetlink.
//!
//! Drills make none: [`two_sites`](crate::two_sites) is made of it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::namespace::Namespace;
use crate::rtnetlink::Rtnetlink;

/// Flags of a message that makes something new.
const MAKE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The devices of a namespace, and the routes between them.
#[derive(Debug)]
pub struct Devices(Rtnetlink);

impl Devices {
    /// Those of `namespace`. Changing them needs `CAP_NET_ADMIN` there.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn of(namespace: &Namespace) -> io::Result<Self> {
        Rtnetlink::open(namespace).map(Self)
    }

    /// Takes a device into use.
    ///
    /// # Errors
    /// What the kernel answers, here and below.
    pub fn up(&self, device: &str) -> io::Result<()> {
        let mut link = used();
        link.header.index = self.0.index(device)?;
        self.0.tell(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Makes a bridge that is in use.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn bridge(&self, name: &str) -> io::Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.0.tell(RouteNetlinkMessage::NewLink(link), MAKE)
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
            link.attributes.push(LinkAttribute::Controller(self.0.index(bridge)?));
        }
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.0.tell(RouteNetlinkMessage::NewLink(link), MAKE)
    }

    /// Gives a device an address, in a network of `prefix` bits. One of IPv6 can be used at once.
    ///
    /// # Errors
    /// See [`Devices::up`].
    pub fn address(&self, device: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = self.0.index(device)?;
        // Nobody else can have it: there is no need to ask around (duplicate address detection).
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.0.tell(RouteNetlinkMessage::NewAddress(message), MAKE)
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
        self.0.tell(RouteNetlinkMessage::NewRoute(route), MAKE)
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
    use super::*;

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
