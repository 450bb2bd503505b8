//! The parts that rules are made of.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta,
    MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

/// One part of a rule.
pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// What parts of a rule hand to each other.
const FIRST: Register = Register::Reg32_00;

/// The register after [`FIRST`]: what lies in both is one key.
pub(super) const SECOND: Register = Register::Reg32_01;

/// Index of the loopback device in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// Where in a packet to look (`enum nft_payload_bases`).
#[derive(Clone, Copy)]
pub(super) enum Base {
    /// Its network header.
    Network = 1,
    /// Its transport header.
    Transport = 2,
}

/// Something about the packet into the first register.
pub(super) fn load(key: MetaKey) -> Expression {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(FIRST)]).into()
}

/// Bytes of the packet into a register. A packet that has none there does not match the rule.
pub(super) fn bytes(base: Base, offset: u32, length: u32, into: Register) -> Expression {
    Expressions::Payload(vec![
        Payload::DestinationRegister(into),
        Payload::Base(base as u32),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
    .into()
}

/// Bytes of the packet into the first register.
pub(super) fn first_bytes(base: Base, offset: u32, length: u32) -> Expression {
    bytes(base, offset, length, FIRST)
}

/// Goes on when the first register compares so with a value.
pub(super) fn compare(operator: Operator, value: &[u8]) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(FIRST),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(value.to_vec())),
    ])
    .into()
}

/// Goes on when the first register, and as many after it as the set's key is long, is in a set.
pub(super) fn among(set: &str) -> Expression {
    Expressions::Lookup(vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(FIRST)]).into()
}

/// Goes on when the first register is not in a set (`NFT_LOOKUP_F_INV`).
pub(super) fn not_among(set: &str) -> Expression {
    let (set, inverted) = (Lookup::Set(set.to_owned()), Lookup::Flags(1));
    Expressions::Lookup(vec![set, Lookup::SourceRegister(FIRST), inverted]).into()
}

/// Goes on unless the packet comes by, or goes by, the loopback device.
pub(super) fn not_loopback(device: MetaKey) -> [Expression; 2] {
    [load(device), compare(Operator::NotEqual, &LOOPBACK.to_ne_bytes())]
}

/// What happens to a packet that came so far.
pub(super) fn verdict(code: Verdict) -> Expression {
    decide(vec![VerdictAttribute::Code(code)])
}

/// Goes on in another chain and does not come back.
pub(super) fn go_to(chain: &str) -> Expression {
    let chain = VerdictAttribute::Chain(chain.to_owned());
    decide(vec![VerdictAttribute::Code(Verdict::Goto), chain])
}

fn decide(verdict: Vec<VerdictAttribute>) -> Expression {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(verdict)),
    ])
    .into()
}

/// Marks the packet, for chains that it passes later.
pub(super) fn mark(value: u32) -> [Expression; 2] {
    let set = Expressions::Meta(vec![Meta::Key(MetaKey::Mark), Meta::SourceRegister(FIRST)]);
    [put(&value.to_ne_bytes()), set.into()]
}

/// Hands the packet to the device with index 0. There never is one: the kernel frees the packet, and whoever sent it
/// believes that it was sent (`nf_fwd_netdev_egress`). Attribute: `enum nft_fwd_attributes`.
pub(super) fn vanish() -> [Expression; 2] {
    [put(&0_u32.to_ne_bytes()), other("fwd", &[(1, u32::from(FIRST))])]
}

/// A value into the first register.
fn put(value: &[u8]) -> Expression {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(FIRST),
        Immediate::Data(DataAttribute::Value(value.to_vec())),
    ])
    .into()
}

/// Goes on with that many of a million packets, at random.
///
/// Attributes: `enum nft_ng_attributes`, `enum nft_byteorder_attributes`. Comparing compares bytes, so the number is
/// brought into network order first.
pub(super) fn by_chance(per_million: u32) -> [Expression; 3] {
    let first = u32::from(FIRST);
    let (random, to_network) = (1, 1);
    [
        other("numgen", &[(1, first), (2, 1_000_000), (3, random)]),
        other("byteorder", &[(1, first), (2, first), (3, to_network), (4, 4), (5, 4)]),
        compare(Operator::LessThan, &per_million.to_be_bytes()),
    ]
}

/// Goes on with what is more than that many bytes a second.
///
/// Attributes: `enum nft_limit_attributes`. The kernel's bucket holds what flows in one second, and `burst` bytes more.
pub(super) fn over(bytes_per_second: u64, burst: u32) -> Expression {
    let (second, count_bytes, inverted) = (1_u64, 1_u32, 1_u32);
    Expressions::Other {
        expression_type: "limit".to_owned(),
        attributes: vec![
            DefaultNla::new(1, bytes_per_second.to_be_bytes().to_vec()),
            DefaultNla::new(2, second.to_be_bytes().to_vec()),
            number(3, burst),
            number(4, count_bytes),
            number(5, inverted),
        ],
    }
    .into()
}

/// An expression that the library does not know, with 32-bit attributes.
fn other(name: &str, attributes: &[(u16, u32)]) -> Expression {
    let attributes = attributes.iter().map(|(kind, value)| number(*kind, *value)).collect();
    Expressions::Other { expression_type: name.to_owned(), attributes }.into()
}

fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}
