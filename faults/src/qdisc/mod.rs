//! Queueing disciplines: what the kernel does with packets on their way out of a device.
//!
//! A fault is the root discipline of a device, with a handle that is made of the fault's name. It takes the place of the
//! kernel's own and of nothing else: what somebody has put there the kernel keeps (`NLM_F_EXCL`), and it removes a
//! discipline only when device, handle and kind are those of the fault. After that it puts its own there again. Nobody
//! but drdrill takes it back.

mod error;
mod netem;
mod peers;

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcHeader, TcMessage};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use self::error::QdiscError;
pub use self::netem::{Delay, try_out};
use crate::namespace::Namespace;
use crate::rtnetlink::Rtnetlink;

/// Attributes of a discipline (`TCA_KIND`, `TCA_OPTIONS` of linux/rtnetlink.h).
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
/// Bytes of the header of a netlink message, and of that of one about disciplines (`struct tcmsg`).
const HEADERS: (usize, usize) = (16, 20);
/// Handles of faults: neither those that people like (1:, 10:) nor those that the kernel gives (from 8000: on).
const HANDLES: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;
/// Handle of what is asked for to be refused.
const ATTEMPT: u16 = 0x3fff;

/// A device of a namespace. Its number is not given again as long as the namespace exists.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name when the fault was planned, for people.
    pub name: String,
    /// Its number.
    pub index: u32,
}

/// What is done to packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discipline {
    /// The kernel's name of the discipline, such as `netem`.
    pub kind: &'static str,
    /// Its options, as the kernel reads them.
    pub options: Vec<u8>,
}

/// The root discipline of a fault, as its undo knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Number of the discipline, before the colon.
    pub handle: u16,
    /// The kernel's name of it.
    pub kind: String,
}

impl Root {
    /// That of the fault of that name: the discipline itself, or one that leads to it what is for the peers.
    #[must_use]
    pub fn of(tag: &str, discipline: &Discipline, peers: &[IpAddr]) -> Self {
        let kind = if peers.is_empty() { discipline.kind } else { peers::KIND };
        Self { handle: handle(tag), kind: kind.to_owned() }
    }

    /// The command that removes it from a device.
    #[must_use]
    pub fn by_hand(&self, device: &Device) -> String {
        let Self { handle, kind } = self;
        format!("tc qdisc delete dev {} root handle {handle:x}: {kind}", device.name)
    }
}

/// FNV-1a, folded to as many numbers as there are handles for faults.
fn handle(tag: &str) -> u16 {
    let mixed = tag
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let folded = u16::try_from((mixed >> 16) ^ (mixed & 0xffff)).unwrap_or_default();
    HANDLES.start() + folded % (HANDLES.end() - HANDLES.start() + 1)
}

/// A discipline that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Number of its device.
    pub index: u32,
    /// The kernel's name of it.
    pub kind: String,
    /// Its number; 0 for one that the kernel made by itself.
    pub handle: u16,
    /// Whether all packets that leave the device come to it first.
    pub root: bool,
}

/// The disciplines of the devices of a namespace.
#[derive(Debug)]
pub struct Qdiscs(Rtnetlink);

impl Qdiscs {
    /// Those of `namespace`.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn of(namespace: &Namespace) -> Result<Self, QdiscError> {
        Rtnetlink::open(namespace).map(Self).map_err(QdiscError::not_entered)
    }

    /// The devices that have one of the addresses, each once.
    ///
    /// # Errors
    /// [`QdiscError::NoDevice`] when there is none.
    pub fn devices_with(&self, addresses: &[IpAddr]) -> Result<Vec<Device>, QdiscError> {
        let failed = QdiscError::doing("read which addresses there are");
        let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let mut devices: Vec<Device> = Vec::new();
        for message in self.0.list(&question).map_err(&failed)? {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&message);
            let message = message.map_err(|error| failed(io::Error::other(error)))?;
            let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) =
                message.payload
            else {
                continue;
            };
            let index = message.header.index;
            let meant = own_address(&message).is_some_and(|own| addresses.contains(&own));
            if meant && devices.iter().all(|device| device.index != index) {
                devices.push(Device { name: self.0.name(index).map_err(&failed)?, index });
            }
        }
        if devices.is_empty() {
            return Err(QdiscError::NoDevice { addresses: addresses.to_vec() });
        }
        Ok(devices)
    }

    /// All disciplines that the kernel tells of.
    ///
    /// # Errors
    /// When it does not.
    pub fn list(&self) -> Result<Vec<Found>, QdiscError> {
        let failed = QdiscError::doing("read which queueing disciplines there are");
        let question = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
        let list = self.0.list(&question).map_err(&failed)?;
        let found = list.iter().map(|message| parse(message).map_err(&failed));
        found.collect()
    }

    /// The root discipline of a device; `None` also for a device that is not in use or gone.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn root(&self, device: &Device) -> Result<Option<Found>, QdiscError> {
        let mut list = self.list()?.into_iter();
        Ok(list.find(|found| found.root && found.index == device.index))
    }

    /// Whether a fault may be put there: nobody has put anything there, the kernel knows what is needed, and this process
    /// may change it. Changes nothing.
    ///
    /// # Errors
    /// Why it may not.
    pub fn may_be_put(
        &self,
        discipline: &Discipline,
        device: &Device,
        peers: &[IpAddr],
    ) -> Result<(), QdiscError> {
        if let Some(found) = self.root(device)?.filter(|found| found.handle != 0) {
            return Err(QdiscError::Taken {
                device: device.name.clone(),
                by: format!("{} {:x}:", found.kind, found.handle),
            });
        }
        self.is_known(discipline.kind, device)?;
        if peers.is_empty() { Ok(()) } else { self.is_known(peers::KIND, device) }
    }

    /// With options that are too short no discipline is made; what the kernel says first is whether it knows the kind.
    fn is_known(&self, kind: &str, device: &Device) -> Result<(), QdiscError> {
        let root = Root { handle: ATTEMPT, kind: kind.to_owned() };
        let handle = TcHandle { major: root.handle, minor: 0 };
        match self.make(device, handle, TcHandle::ROOT, kind, &[0]) {
            Err(QdiscError::Failed { source, .. })
                if source.kind() == io::ErrorKind::InvalidInput =>
            {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.remove(&root, device)?;
                let error = io::Error::other("the kernel took it");
                Err(QdiscError::doing(format!("try {kind} without its options"))(error))
            }
        }
    }

    /// Puts a discipline at the root of a device, for all packets that leave there or for those to `peers` only.
    ///
    /// # Errors
    /// What the kernel refuses. What was made until then is there until [`Qdiscs::remove`].
    pub fn install(
        &self,
        root: &Root,
        discipline: &Discipline,
        device: &Device,
        peers: &[IpAddr],
    ) -> Result<(), QdiscError> {
        let handle = TcHandle { major: root.handle, minor: 0 };
        if peers.is_empty() {
            return self.make(device, handle, TcHandle::ROOT, discipline.kind, &discipline.options);
        }
        peers::lead(self, root.handle, device, peers)?;
        let class = TcHandle { major: root.handle, minor: peers::CLASS };
        self.make(device, TcHandle::UNSPEC, class, discipline.kind, &discipline.options)
    }

    /// Removes the root discipline of a fault, and with it all below it. Where another one is, or none, nothing is done.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn remove(&self, root: &Root, device: &Device) -> Result<(), QdiscError> {
        if !self.is_there(root, device)? {
            return Ok(());
        }
        let handle = TcHandle { major: root.handle, minor: 0 };
        let message = about(device, handle, TcHandle::ROOT, &root.kind, None)?;
        let told = self.0.tell(RouteNetlinkMessage::DelQueueDiscipline(message), 0);
        match told {
            // Somebody was faster: the kernel removes nothing that is not of this handle and kind.
            Err(error) if is_another(&error) => Ok(()),
            told => told.map_err(|error| QdiscError::refused(error, &module(&root.kind), device)),
        }
    }

    /// Whether the root discipline of a device is that of the fault.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn is_there(&self, root: &Root, device: &Device) -> Result<bool, QdiscError> {
        let found = self.root(device)?;
        Ok(found.is_some_and(|found| found.handle == root.handle && found.kind == root.kind))
    }

    fn make(
        &self,
        device: &Device,
        handle: TcHandle,
        parent: TcHandle,
        kind: &str,
        options: &[u8],
    ) -> Result<(), QdiscError> {
        let message = about(device, handle, parent, kind, Some(options))?;
        self.0
            .tell(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|error| QdiscError::refused(error, &module(kind), device))
    }
}

/// The module of the kernel in which a discipline is.
fn module(kind: &str) -> String {
    format!("sch_{kind}")
}

/// Whether the kernel says that what is to be removed is not there: no such device or discipline, or one of another
/// handle or kind.
fn is_another(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::NOENT | Errno::NODEV | Errno::INVAL))
}

/// A message about a discipline, a class or a filter of a device.
fn about(
    device: &Device,
    handle: TcHandle,
    parent: TcHandle,
    kind: &str,
    options: Option<&[u8]>,
) -> Result<TcMessage, QdiscError> {
    let mut message = TcMessage::default();
    message.header.index = i32::try_from(device.index)
        .map_err(|error| QdiscError::doing("name a device")(io::Error::other(error)))?;
    message.header.handle = handle;
    message.header.parent = parent;
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    let options = options.map(|bytes| TcAttribute::Other(DefaultNla::new(OPTIONS, bytes.to_vec())));
    message.attributes.extend(options);
    Ok(message)
}

/// Reads what concerns everybody of a message about a discipline, whatever its kind.
fn parse(message: &[u8]) -> io::Result<Found> {
    let message = message.get(HEADERS.0..).unwrap_or_default();
    let header = TcHeader::parse(message).map_err(io::Error::other)?;
    let mut kind = None;
    for attribute in NlasIterator::new(message.get(HEADERS.1..).unwrap_or_default()) {
        let attribute = attribute.map_err(io::Error::other)?;
        if attribute.kind() == KIND {
            let name = String::from_utf8_lossy(attribute.value());
            kind = Some(name.trim_end_matches('\0').to_owned());
        }
    }
    Ok(Found {
        index: u32::try_from(header.index).map_err(io::Error::other)?,
        kind: kind.ok_or_else(|| io::Error::other("a queueing discipline without a kind"))?,
        handle: header.handle.major,
        root: header.parent == TcHandle::ROOT,
    })
}

/// The address of the device itself: where there is a local one, the other is that of the peer.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let attributes = message.attributes.iter();
    let local = attributes.clone().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        attributes.clone().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_different_handles_that_nobody_else_likes() {
        let of = |run: &str| handle(&format!("drdrill-20261121-095644-{run}-1"));
        let handles: std::collections::BTreeSet<u16> =
            (0..1000).map(|run| of(&format!("{run:08x}"))).collect();
        assert!(handles.iter().all(|handle| HANDLES.contains(handle)));
        // By chance 1,000 of 16,384 give about 970 different ones.
        assert!(handles.len() > 930, "{}", handles.len());
        assert_eq!(of("468aa8ab"), of("468aa8ab"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [&[][..], &[0; 20], &[0; 36], &[1; 48]] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
