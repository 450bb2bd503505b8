//! A network fault put into effect and taken back, beside the `nft` command and beside the least that netlink can do.
//!
//! Everything runs in a namespace of its own; ours enters it each time, with a thread and `setns`, as in a drill.
//!
//! * `nft`: `nft -f` with the same rules, then `nft delete table` for each table; ours at most a thirtieth of it.
//! * bare: a transaction that drops the packets of one peer, each way, then one that deletes that, on a socket that stays
//!   open; ours at most five times it.
//!
//! The middle value of the rounds counts; the kinds take turns within a round. Before each there is a pause: the kernel
//! cleans up behind what was deleted for 5 to 25 ms, and whoever comes next in the same namespace waits for that.

use std::error::Error;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::network::Way;
use drdrill_core::units::Share;
use drdrill_faults::devices::Devices;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::nft::{Rules, Strike, Table};
use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
};
use netlink_packet_netfilter::NetfilterProtoFamily::{self, Inet, NetDev};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, DevHookNumber, ExpressionAttribute,
    Expressions, Hook, Immediate, InetHookNumber, ListAttribute, NfTablesMessage, Operator,
    Payload, Register, RuleAttribute, RuleMessage, TableAttribute, TableMessage, Verdict,
    VerdictAttribute,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};

type Failure = Box<dyn Error>;

const ROUNDS: usize = 100;
/// Longer than the kernel cleans up behind a fault that was taken back; a new one would wait for that.
const PAUSE: Duration = Duration::from_millis(50);
const NFT_ROUNDS: usize = 20;
const LEASE: Duration = Duration::from_secs(30);

/// Ours at most this part of the `nft` command, and at most so many times the bare transactions.
const OF_NFT: f64 = 1.0 / 30.0;
const TIMES_BARE: f64 = 5.0;

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<bool, Failure> {
    let namespace = place()?;
    let peers = vec!["10.9.0.2".parse()?, "fd09::2".parse()?];
    let rules = |strike, peers| Rules { strike, way: Way::Both, peers, ports: Vec::new() };
    let kinds = [
        ("partition", rules(Strike::Drop, peers.clone())),
        ("loss", rules(Strike::Lose(Share::percent(30)), Vec::new())),
    ];
    let mut good = true;
    for (name, rules) in kinds {
        good &= compare(name, &namespace, &rules)?;
    }
    Ok(good)
}

fn compare(name: &str, namespace: &Namespace, rules: &Rules) -> Result<bool, Failure> {
    let text = as_nft_wants_it(namespace, rules)?;
    let bare = Bare::new(namespace)?;
    let (mut ours, mut bares, mut nfts) = (Vec::new(), Vec::new(), Vec::new());
    let mut enters = Vec::new();
    for round in 0..ROUNDS {
        thread::sleep(PAUSE);
        ours.push(time(|| Ok(Table::install(namespace, "bench", rules, LEASE)?.remove()?))?);
        thread::sleep(PAUSE);
        enters.push(time(|| Ok(namespace.run(|| ())?))?);
        bares.push(time(|| bare.round())?);
        if round % (ROUNDS / NFT_ROUNDS) == 0 {
            thread::sleep(PAUSE);
            nfts.push(time(|| by_nft(namespace, &text))?);
        }
    }
    let (ours, bare, nft) = (middle(ours), middle(bares), middle(nfts));
    let enter = middle(enters);
    println!("{name}: ours {ours:.0} us (entering alone {enter:.0}), bare {bare:.0}, nft {nft:.0}");
    let mut good = true;
    for (what, ratio, limit) in
        [("the nft command", ours / nft, OF_NFT), ("a bare transaction", ours / bare, TIMES_BARE)]
    {
        let word = if ratio <= limit { "PASS" } else { "FAIL" };
        println!("{word} {name} beside {what}: {ratio:.4} of it (limit: at most {limit:.4})");
        good &= ratio <= limit;
    }
    Ok(good)
}

/// A namespace with one pair of devices.
fn place() -> Result<Namespace, Failure> {
    let namespace = Namespace::unnamed()?;
    let devices = Devices::of(&namespace)?;
    devices.pair("v0", None, &namespace, "v1")?;
    devices.up("v1")?;
    Ok(namespace)
}

/// The same rules as `nft` shows them, without the owner, who would be gone at once. It cannot read back `fwd to 0`.
fn as_nft_wants_it(namespace: &Namespace, rules: &Rules) -> Result<String, Failure> {
    let table = Table::install(namespace, "bench", rules, LEASE)?;
    let mut list = Command::new("nft");
    let shown = namespace.run(|| list.args(["-s", "list", "ruleset"]).output())??;
    table.remove()?;
    let lines = String::from_utf8(shown.stdout)?;
    let kept = lines.lines().filter(|line| !line.contains("flags owner"));
    let lines: Vec<String> = kept.map(|line| line.replace("fwd to 0", "drop")).collect();
    Ok(lines.join("\n") + "\n")
}

fn by_nft(namespace: &Namespace, text: &str) -> Result<(), Failure> {
    nft(namespace, &["-f", "-"], text)?;
    for table in text.lines().filter(|line| line.starts_with("table ")) {
        let words: Vec<&str> = table.split_whitespace().take(3).collect();
        nft(namespace, &[&["delete"], words.as_slice()].concat(), "")?;
    }
    Ok(())
}

fn nft(namespace: &Namespace, words: &[&str], text: &str) -> Result<(), Failure> {
    let mut command = Command::new("nft");
    command.args(words).stdin(Stdio::piped());
    let mut child = namespace.run(|| command.spawn())??;
    child.stdin.take().ok_or("no input")?.write_all(text.as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err(format!("nft {words:?}\n{text}").into()) }
}

/// A partition as one would send it by hand: one rule each way, where ours act too, and their deletion. No lease, no
/// owner, no sets, one peer of IPv4. The bytes are there before the clock runs.
struct Bare {
    socket: std::os::fd::OwnedFd,
    make: Vec<u8>,
    delete: Vec<u8>,
}

impl Bare {
    fn new(namespace: &Namespace) -> Result<Self, Failure> {
        let socket = namespace.run(|| {
            let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
            socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::NETFILTER))
        })??;
        let name = || "bare".to_owned();
        let table = || TableMessage { attributes: vec![TableAttribute::Name(name())] };
        let (mut make, mut delete) = (Vec::new(), Vec::new());
        // `NFTA_DEVICE_NAME`
        let device = DefaultNla::new(1, b"v0\0".to_vec());
        for (family, hook, source) in [
            (Inet, vec![Hook::Number(InetHookNumber::PreRouting.into())], 12),
            (
                NetDev,
                vec![Hook::Number(DevHookNumber::Egress.into()), Hook::NetDevices(vec![device])],
                16,
            ),
        ] {
            make.push((family, NfTablesMessage::NewTable(table()), NLM_F_CREATE));
            let attributes = vec![
                ChainAttribute::Table(name()),
                ChainAttribute::Name(name()),
                ChainAttribute::Hook([vec![Hook::Priority(0)], hook].concat()),
                ChainAttribute::Type("filter".to_owned()),
            ];
            let chain = NfTablesMessage::NewChain(ChainMessage { attributes });
            make.push((family, chain, NLM_F_CREATE));
            let attributes = vec![
                RuleAttribute::Table(name()),
                RuleAttribute::Chain(name()),
                RuleAttribute::Expressions(drop_peer(source)),
            ];
            let rule = NfTablesMessage::NewRule(RuleMessage { attributes });
            make.push((family, rule, NLM_F_CREATE | NLM_F_APPEND));
            delete.push((family, NfTablesMessage::DeleteTable(table()), 0));
        }
        Ok(Self { socket, make: transaction(make), delete: transaction(delete) })
    }

    fn round(&self) -> Result<(), Failure> {
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        let mut answer = [0; 1024];
        for bytes in [&self.make, &self.delete] {
            sendto(&self.socket, bytes, SendFlags::empty(), &kernel)?;
            recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
            // Type 2 (NLMSG_ERROR) with code 0 is the acknowledgement.
            if answer[4] != 2 || answer[16..20] != [0; 4] {
                return Err("the kernel refused a bare transaction".into());
            }
        }
        Ok(())
    }
}

/// Drops what has the peer's address at that place of its header.
fn drop_peer(offset: u32) -> Vec<ListAttribute<ExpressionAttribute>> {
    let register = Register::Reg32_00;
    vec![
        Expressions::Payload(vec![
            Payload::DestinationRegister(register),
            Payload::Base(1),
            Payload::Offset(offset),
            Payload::Len(4),
        ])
        .into(),
        Expressions::Cmp(vec![
            Cmp::SourceRegister(register),
            Cmp::Op(Operator::Equal),
            Cmp::Data(DataAttribute::Value(vec![10, 9, 0, 2])),
        ])
        .into(),
        Expressions::Immediate(vec![
            Immediate::DestinationRegister(Register::Verdict),
            Immediate::Data(DataAttribute::Verdict(vec![VerdictAttribute::Code(Verdict::Other(
                0,
            ))])),
        ])
        .into(),
    ]
}

/// Begin, messages of which the last asks for an acknowledgement, end.
fn transaction(messages: Vec<(NetfilterProtoFamily, NfTablesMessage, u16)>) -> Vec<u8> {
    let unspecified = || NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 10);
    let last = messages.len();
    let mut all = vec![(NetfilterMessage::new(unspecified(), ControlMessage::BatchBegin), 0)];
    for (number, (family, message, flags)) in (1..).zip(messages) {
        let ask = if number == last { NLM_F_ACK } else { 0 };
        let header = NetfilterHeader::new(family, 0, 0);
        all.push((NetfilterMessage::new(header, message), flags | ask));
    }
    all.push((NetfilterMessage::new(unspecified(), ControlMessage::BatchEnd), 0));
    let mut bytes = Vec::new();
    for (message, flags) in all {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, message.into());
        message.finalize();
        let start = bytes.len();
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut bytes[start..]);
    }
    bytes
}

/// Microseconds that it takes.
fn time(work: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
