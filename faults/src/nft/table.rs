//! Messages about the things a table holds.

use std::time::Duration;

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, DevHookNumber, Hook, InetHookNumber,
    ListAttribute, NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute, SetDescription,
    SetElementAttribute, SetElementList, SetElementMessage, SetFlags, SetMessage, TableAttribute,
    TableFlags, TableMessage,
};

use netlink_packet_netfilter::NetfilterProtoFamily;

use super::expressions::Expression;
use super::ruleset::Device;
use super::socket::Step;

/// Name of the step that makes the table: its refusal has meanings of its own.
pub(super) const MAKE_TABLE: &str = "to make the table";

/// Name of the step that hooks into devices.
pub(super) const HOOK_DEVICES: &str = "to hook into network devices";

/// Name of the step that makes packets vanish.
pub(super) const MAKE_VANISH: &str = "to make the rule that makes packets vanish";

/// Name of the step that deletes the table.
pub(super) const DELETE_TABLE: &str = "to delete the table";

/// Elements in one message: an attribute holds at most 64 KiB, and an element takes fewer than 40 bytes.
const ELEMENTS_A_MESSAGE: usize = 500;

/// IPv4 and IPv6 at once.
pub(super) const INET: NetfilterProtoFamily = NetfilterProtoFamily::Inet;

/// Network devices.
pub(super) const NETDEV: NetfilterProtoFamily = NetfilterProtoFamily::NetDev;

/// The table, owned by the socket that makes it.
pub(super) fn owned(family: NetfilterProtoFamily, table: &str) -> Step {
    let attributes =
        vec![TableAttribute::Name(table.to_owned()), TableAttribute::Flags(TableFlags::Owner)];
    Step {
        name: MAKE_TABLE,
        family,
        flags: NLM_F_CREATE | NLM_F_EXCL,
        message: NfTablesMessage::NewTable(TableMessage { attributes }),
    }
}

/// Away with the table and all that is in it.
pub(super) fn delete(family: NetfilterProtoFamily, table: &str) -> Step {
    let attributes = vec![TableAttribute::Name(table.to_owned())];
    Step {
        name: DELETE_TABLE,
        family,
        flags: 0,
        message: NfTablesMessage::DeleteTable(TableMessage { attributes }),
    }
}

/// A question for the table.
pub(super) fn get(table: &str) -> NfTablesMessage {
    let attributes = vec![TableAttribute::Name(table.to_owned())];
    NfTablesMessage::GetTable(TableMessage { attributes })
}

/// A set to look packets up in.
#[derive(Clone, Copy)]
pub(super) struct Set {
    /// Its name.
    pub(super) name: &'static str,
    /// Number within the transaction.
    pub(super) id: u32,
    /// What its keys are, as `nft list` shows them (`enum datatypes` of the nft tool; the kernel does not care).
    pub(super) kind: u32,
    /// Bytes of a key.
    pub(super) length: u32,
}

impl Set {
    /// A set that never changes, with its elements.
    pub(super) fn constant(self, table: &str, keys: &[Vec<u8>]) -> Vec<Step> {
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let size = SetAttribute::Description(vec![SetDescription::Size(count)]);
        let mut steps = vec![self.make(table, SetFlags::Constant, Some(size))];
        let chunks = keys.chunks(ELEMENTS_A_MESSAGE);
        steps.extend(chunks.map(|keys| self.add(table, keys, None)));
        steps
    }

    /// A set whose elements go away by themselves, still without any.
    pub(super) fn expiring(self, table: &str) -> Step {
        self.make(table, SetFlags::Timeout, None)
    }

    fn make(self, table: &str, flags: SetFlags, size: Option<SetAttribute>) -> Step {
        let mut attributes = vec![
            SetAttribute::Table(table.to_owned()),
            SetAttribute::Name(self.name.to_owned()),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(self.kind),
            SetAttribute::KeyLen(self.length),
            SetAttribute::Id(self.id),
        ];
        attributes.extend(size);
        Step {
            name: "to make a set",
            family: INET,
            flags: NLM_F_CREATE | NLM_F_EXCL,
            message: NfTablesMessage::NewSet(SetMessage { attributes }),
        }
    }

    /// Elements that stay, or go away after a time. An element that is there already stays as it is.
    pub(super) fn add(self, table: &str, keys: &[Vec<u8>], lease: Option<Duration>) -> Step {
        // Zero would mean for ever.
        let timeout =
            lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1));
        let attributes = self.elements(table, keys, timeout);
        Step {
            name: "to add elements to a set",
            family: INET,
            flags: NLM_F_CREATE,
            message: NfTablesMessage::NewSetElement(SetElementMessage { attributes }),
        }
    }

    /// Away with elements, which have to be there.
    pub(super) fn take(self, table: &str, keys: &[Vec<u8>]) -> Step {
        let attributes = self.elements(table, keys, None);
        Step {
            name: "to take elements from a set",
            family: INET,
            flags: 0,
            message: NfTablesMessage::DeleteSetElement(SetElementMessage { attributes }),
        }
    }

    fn elements(self, table: &str, keys: &[Vec<u8>], timeout: Option<u64>) -> Vec<SetElementList> {
        let element = |key: &Vec<u8>| {
            let mut attributes = vec![SetElementAttribute::Key(DataAttribute::Value(key.clone()))];
            attributes.extend(timeout.map(SetElementAttribute::Timeout));
            ListAttribute::Element(attributes)
        };
        vec![
            SetElementList::Table(table.to_owned()),
            SetElementList::Set(self.name.to_owned()),
            SetElementList::SetId(self.id),
            SetElementList::Elements(keys.iter().map(element).collect()),
        ]
    }
}

/// A chain that packets pass at a place of their way through the kernel; lower priorities pass first.
pub(super) fn hooked(table: &str, chain: &str, place: InetHookNumber, priority: i32) -> Step {
    let hook = ChainAttribute::Hook(vec![
        Hook::Number(place.into()),
        Hook::Priority(priority.cast_unsigned()),
    ]);
    self::chain(table, chain, vec![hook, ChainAttribute::Type("filter".to_owned())])
}

/// A chain that rules send packets to.
pub(super) fn plain(table: &str, chain: &str) -> Step {
    self::chain(table, chain, Vec::new())
}

fn chain(table: &str, chain: &str, hook: Vec<ChainAttribute>) -> Step {
    let mut attributes =
        vec![ChainAttribute::Table(table.to_owned()), ChainAttribute::Name(chain.to_owned())];
    attributes.extend(hook);
    Step {
        name: "to make a chain",
        family: INET,
        flags: NLM_F_CREATE | NLM_F_EXCL,
        message: NfTablesMessage::NewChain(ChainMessage { attributes }),
    }
}

/// A rule, after those that the chain has.
pub(super) fn rule(table: &str, chain: &str, expressions: Vec<Expression>) -> Step {
    let attributes = vec![
        RuleAttribute::Table(table.to_owned()),
        RuleAttribute::Chain(chain.to_owned()),
        RuleAttribute::Expressions(expressions),
    ];
    Step {
        name: "to make a rule",
        family: INET,
        flags: NLM_F_CREATE | NLM_F_APPEND,
        message: NfTablesMessage::NewRule(RuleMessage { attributes }),
    }
}

/// A chain that packets pass when they leave devices.
pub(super) fn egress(table: &str, chain: &str, devices: &[Device]) -> Step {
    // `NFTA_DEVICE_NAME`
    let device = |it: &Device| DefaultNla::new(1, [it.name.as_bytes(), &[0]].concat());
    let hook = ChainAttribute::Hook(vec![
        Hook::Number(DevHookNumber::Egress.into()),
        Hook::Priority(0),
        Hook::NetDevices(devices.iter().map(device).collect()),
    ]);
    let attributes = vec![hook, ChainAttribute::Type("filter".to_owned())];
    Step { name: HOOK_DEVICES, family: NETDEV, ..self::chain(table, chain, attributes) }
}

/// The rule of that chain.
pub(super) fn egress_rule(table: &str, chain: &str, expressions: Vec<Expression>) -> Step {
    Step { name: MAKE_VANISH, family: NETDEV, ..rule(table, chain, expressions) }
}
