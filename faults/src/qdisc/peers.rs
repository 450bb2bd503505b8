//! Leads the packets for some peers, and no others, to a discipline of their own.
//!
//! The root is `htb`, whose default is to let packets pass at once. One class of it, with a rate that nobody reaches,
//! takes what filters lead there by its destination.

use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcFilterU32, TcFilterU32Option, TcHandle, TcOption, TcU32Key, TcU32Selector,
    TcU32SelectorFlags,
};

use super::{Device, QdiscError, Qdiscs, about, module};

/// The kernel's name of the root.
pub(super) const KIND: &str = "htb";
/// Number of the class for the peers.
pub(super) const CLASS: u16 = 1;
/// Attributes of `htb` (`TCA_HTB_PARMS`, `TCA_HTB_INIT`, `TCA_HTB_DIRECT_QLEN` of `linux/pkt_sched.h`).
const PARMS: u16 = 1;
const INIT: u16 = 2;
const DIRECT_QLEN: u16 = 5;
/// Version of its options (`TC_HTB_PROTOVER`).
const VERSION: u32 = 3;
/// Packets for others that may wait for the device: the usual length of a device's queue.
const OTHERS: u32 = 1000;
/// Ethernet (`TC_LINKLAYER_ETHERNET`): without it the kernel would guess from a table.
const LINK_LAYER: u8 = 1;
/// Rate of the class, in bytes a second: the most that fits, 34 Gbit/s.
const RATE: u32 = u32::MAX;
/// What may pass at once, as time in ticks of 64 ns: 10 ms.
const BURST: u32 = 156_250;
/// Bytes that one class sends before it is another's turn. There is no other.
const QUANTUM: u32 = 60_000;
/// Ethernet's numbers of IPv4 and IPv6 (`linux/if_ether.h`), and where packets have their destination.
const FOUR: (u16, i32) = (0x0800, 16);
const SIX: (u16, i32) = (0x86dd, 24);

/// Makes root, class and filters.
pub(super) fn lead(
    qdiscs: &Qdiscs,
    handle: u16,
    device: &Device,
    peers: &[IpAddr],
) -> Result<(), QdiscError> {
    let root = TcHandle { major: handle, minor: 0 };
    let class = TcHandle { major: handle, minor: CLASS };
    qdiscs.make(device, root, TcHandle::ROOT, KIND, &root_options())?;
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    let refused = |error| QdiscError::refused(error, &module(KIND), device);
    let message = about(device, class, root, KIND, Some(&class_options()))?;
    qdiscs.0.tell(RouteNetlinkMessage::NewTrafficClass(message), flags).map_err(refused)?;
    for peer in peers {
        let peer = peer.to_canonical();
        let (protocol, _) = family(peer);
        let mut message = about(device, TcHandle::UNSPEC, root, TcFilterU32::KIND, None)?;
        // Priorities of their own: one list of filters is for one protocol only.
        let priority = if peer.is_ipv4() { 1 } else { 2 };
        message.header.info = (priority << 16) | u32::from(protocol.to_be());
        message.attributes.push(TcAttribute::Options(vec![
            TcOption::U32(TcFilterU32Option::ClassId(class)),
            TcOption::U32(TcFilterU32Option::Selector(destination(peer))),
        ]));
        let refused = |error| QdiscError::refused(error, "cls_u32", device);
        qdiscs.0.tell(RouteNetlinkMessage::NewTrafficFilter(message), flags).map_err(refused)?;
    }
    Ok(())
}

const fn family(peer: IpAddr) -> (u16, i32) {
    if peer.is_ipv4() { FOUR } else { SIX }
}

/// Matches packets for exactly this address.
fn destination(peer: IpAddr) -> TcU32Selector {
    let bytes = match peer {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    let (_, start) = family(peer);
    let words = bytes
        .chunks_exact(4)
        .map(|word| word.iter().fold(0, |all, byte| (all << 8) | u32::from(*byte)));
    let offsets = (start..).step_by(4);
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    for (val, off) in words.zip(offsets) {
        let mut key = TcU32Key::default();
        (key.mask, key.val, key.off) = (u32::MAX, val, off);
        selector.keys.push(key);
        selector.nkeys += 1;
    }
    selector
}

/// `struct tc_htb_glob`: version, quotient of rate and quantum, default class, debugging, packets that passed at once.
fn root_options() -> Vec<u8> {
    let init = words(&[VERSION, 10, 0, 0, 0]);
    let options = [DefaultNla::new(INIT, init), DefaultNla::new(DIRECT_QLEN, words(&[OTHERS]))];
    emitted(&options)
}

/// `struct tc_htb_opt`: rate, ceiling, buffer, cbuffer, quantum, level, priority.
fn class_options() -> Vec<u8> {
    // `struct tc_ratespec`: cell_log, linklayer, overhead, cell_align, mpu, rate.
    let mut rate = vec![0, LINK_LAYER, 0, 0, 0, 0, 0, 0];
    rate.extend(RATE.to_ne_bytes());
    let parms = [rate.clone(), rate, words(&[BURST, BURST, QUANTUM, 0, 0])].concat();
    emitted(&[DefaultNla::new(PARMS, parms)])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().copied().flat_map(u32::to_ne_bytes).collect()
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}
