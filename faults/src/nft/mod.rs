//! Network faults that the kernel takes back by itself.
//!
//! A fault is one table of `nf_tables`, for IPv4 and IPv6, that belongs to a netlink socket of this process. When the
//! process ends, however it ends, the kernel removes the table. When the process hangs, the rules stop to act as soon
//! as the lease is over. Nothing but this table is touched. `CAP_NET_ADMIN` is needed, also to look; for another
//! namespace than our own `CAP_SYS_ADMIN` as well, to enter it.
//!
//! # What is struck, and where
//!
//! The node's network is struck as if its cable were: what it forwards for containers or for others is struck, too.
//! Addresses and ports are those that peers see, before and after any translation on the node. Never struck: what goes
//! by the loopback device, and what keeps the link itself working (ARP, which is no IP; neighbour discovery and
//! multicast listener reports of IPv6). So a peer that was cut off looks the same over IPv4 and IPv6: silent, not
//! unreachable, and no switch or neighbour has to learn anything anew afterwards.
//!
//! # How a packet is lost
//!
//! An arriving packet is dropped. A leaving one cannot simply be, because the kernel would tell the sender: a drop in
//! `output` or `postrouting` gives UDP `EPERM`, one at the device's egress makes TCP try again every half second instead
//! of backing off. A node that the network fails never hears of it. So a leaving packet is marked after routing, and at
//! the egress of its device handed on to a device that does not exist: the kernel frees it without a word, and the
//! sender believes that it was sent. That takes a second table, of the family `netdev`, with the same name and owner; the
//! mark never leaves the machine. At a device that comes into being during a fault the leaving packet is dropped instead.

mod error;
mod expressions;
mod ruleset;
mod socket;
mod table;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use drdrill_core::network::Way;
use drdrill_core::units::{Rate, Share};
use netlink_packet_netfilter::nftables::{NfTablesMessage, TableAttribute};
use netlink_packet_netfilter::{NetfilterMessageInner, NetfilterProtoFamily};
use rustix::io::Errno;

pub use self::error::NftError;
use self::ruleset::Device;
use self::socket::{Refusal, Socket};
use self::table::{DELETE_TABLE, HOOK_DEVICES, INET, MAKE_TABLE, MAKE_VANISH, NETDEV};
use crate::namespace::Namespace;

/// Bytes of a name without its end (`NFT_NAME_MAXLEN` is 256).
const NAME_BYTES: usize = 255;

/// Families of tables that a fault consists of.
const FAMILIES: [NetfilterProtoFamily; 2] = [INET, NETDEV];

/// What happens to packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strike {
    /// All are lost.
    Drop,
    /// This share of them is lost, at random.
    Lose(Share),
    /// What is more than this many bytes a second is lost, for each direction on its own. Bytes of IP packets with their
    /// headers; one second's worth and one packet may pass at once. The kernel takes up to 18 GB/s.
    Limit(Rate),
}

/// Which packets are struck, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What happens to them.
    pub strike: Strike,
    /// Their direction, as the struck node sees it.
    pub way: Way,
    /// Addresses at the other end; empty: everybody. Some thousands at most.
    pub peers: Vec<IpAddr>,
    /// Ports of the struck node, for TCP and UDP: where arriving packets go to, where leaving ones come from. Empty: all
    /// traffic. Later fragments of a packet have no port; where the kernel tracks connections they are put together
    /// before.
    pub ports: Vec<u16>,
}

/// A fault in effect. When this is dropped, or the process ends, the kernel removes it.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
    families: &'static [NetfilterProtoFamily],
    lease: Duration,
}

/// A table that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Whether it belongs to a process that is alive.
    pub owned: bool,
}

impl Table {
    /// Puts rules into effect, all at once; they are when this returns. They cease to act when `lease` (at least 1 ms)
    /// goes by without [`Table::renew`].
    ///
    /// # Errors
    /// Nothing is in effect then.
    pub fn install(
        namespace: &Namespace,
        name: &str,
        rules: &Rules,
        lease: Duration,
    ) -> Result<Self, NftError> {
        check(name)?;
        let look = || if rules.way.leaving() { devices() } else { Ok(Vec::new()) };
        let (socket, names) = Socket::open_and(namespace, look)?;
        let names = names.map_err(|source| NftError::Socket {
            doing: "read which network devices there are",
            source,
        })?;
        let device = |name: String| socket.device(&name).map(|index| Device { name, index });
        let devices: Vec<Device> = names.into_iter().filter_map(device).collect();
        let lacks = |what, errno: Errno| NftError::Unsupported { what, source: errno.into() };
        let steps = ruleset::install(name, rules, lease, &devices);
        socket.transact(steps).map_err(|refusal| match refusal {
            Refusal::Step(MAKE_TABLE, Errno::PERM) => NftError::Held { name: name.to_owned() },
            Refusal::Step(MAKE_TABLE, Errno::EXIST) => NftError::Exists { name: name.to_owned() },
            Refusal::Step(MAKE_TABLE, errno @ Errno::AFNOSUPPORT) => {
                lacks("nf_tables of the families inet and netdev", errno)
            }
            Refusal::Step(MAKE_TABLE, errno @ (Errno::OPNOTSUPP | Errno::INVAL)) => {
                lacks("tables with an owner (Linux 5.12)", errno)
            }
            Refusal::Step(HOOK_DEVICES, errno @ (Errno::OPNOTSUPP | Errno::INVAL)) => {
                lacks("egress hook (Linux 5.16 with CONFIG_NETFILTER_EGRESS)", errno)
            }
            Refusal::Step(MAKE_VANISH, errno @ Errno::NOENT) => {
                lacks("forwarding between devices (CONFIG_NFT_FWD_NETDEV)", errno)
            }
            other => other.into(),
        })?;
        let families = if devices.is_empty() { &FAMILIES[..1] } else { &FAMILIES };
        Ok(Self { socket, name: name.to_owned(), families, lease })
    }

    /// Begins the lease anew. Rules whose lease was over act again.
    ///
    /// # Errors
    /// When the kernel does not do it; the lease then ends when it would have.
    pub fn renew(&mut self) -> Result<(), NftError> {
        Ok(self.socket.transact(ruleset::renew(&self.name, self.lease))?)
    }

    /// Takes the rules back; they are when this returns.
    ///
    /// # Errors
    /// When the kernel does not do it. It still removes the table, because its owner is gone.
    pub fn remove(self) -> Result<(), NftError> {
        let delete = |family: &NetfilterProtoFamily| table::delete(*family, &self.name);
        self.socket.transact(self.families.iter().map(delete).collect())?;
        self.socket.close_aside();
        Ok(())
    }
}

/// Whether a table of that name is in the namespace, and whether somebody owns it. Only looks.
///
/// # Errors
/// When it cannot be told: without `CAP_NET_ADMIN` the kernel does not answer.
pub fn find(namespace: &Namespace, name: &str) -> Result<Option<Found>, NftError> {
    check(name)?;
    let socket = Socket::open(namespace)?;
    for family in FAMILIES {
        if let Some(found) = look(&socket, family, name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Deletes a table that nobody owns. One that is not there is fine.
///
/// # Errors
/// [`NftError::Held`] when it belongs to a process that is alive.
pub fn remove_ownerless(namespace: &Namespace, name: &str) -> Result<(), NftError> {
    check(name)?;
    let socket = Socket::open(namespace)?;
    for family in FAMILIES {
        match socket.transact(vec![table::delete(family, name)]) {
            Err(Refusal::Step(DELETE_TABLE, Errno::NOENT)) => {}
            Err(Refusal::Step(DELETE_TABLE, Errno::PERM)) => {
                return Err(NftError::Held { name: name.to_owned() });
            }
            other => other?,
        }
    }
    Ok(())
}

/// Whether this kernel has what faults need, found out by making one in a namespace of its own.
///
/// # Errors
/// [`NftError::Unsupported`] when it has not; others when it could not be tried.
pub fn try_out() -> Result<(), NftError> {
    let place = Namespace::unnamed().map_err(NftError::not_entered)?;
    let rules =
        Rules { strike: Strike::Drop, way: Way::Both, peers: Vec::new(), ports: Vec::new() };
    Table::install(&place, "drdrill-doctor", &rules, Duration::from_secs(1))?.remove()
}

fn look(
    socket: &Socket,
    family: NetfilterProtoFamily,
    name: &str,
) -> Result<Option<Found>, NftError> {
    let question = socket::about(family, table::get(name));
    let answers = match socket.ask("to say what tables there are", question) {
        Err(Refusal::Step(_, Errno::NOENT)) => return Ok(None),
        Err(Refusal::Step(_, errno)) => return Err(Refusal::All(errno).into()),
        other => other?,
    };
    let owner = |attribute: &TableAttribute| matches!(attribute, TableAttribute::Owner(_));
    let found = answers.iter().find_map(|answer| match answer {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewTable(table)) => {
            Some(Found { owned: table.attributes.iter().any(owner) })
        }
        _ => None,
    });
    let nothing = || NftError::Answer("it neither has the table nor has it not".to_owned());
    found.map(Some).ok_or_else(nothing)
}

/// Names of the network devices where this thread is, without loopback.
fn devices() -> io::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    Ok(names.filter(|name| name != "lo").collect())
}

fn check(name: &str) -> Result<(), NftError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(fits);
    if good { Ok(()) } else { Err(NftError::Name { name: name.to_owned() }) }
}
