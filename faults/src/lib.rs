//! Faults that drdrill can inject, and what it needs to inject them.
//!
//! 1. [`toxiproxy`] — faults of a TCP connection: a client for Toxiproxy servers and an embedded server.
//! 2. [`links`] — the links of an environment, through that client.
//! 3. [`dark`] — a site whose network goes dark, and the canary that proves it.
//! 4. [`site_loss`] and [`network_down`] — the faults of scenarios.
//! 5. [`site_reverter`] — takes both back, knowing only what the ledger knows; [`destruction`] — a site that is lost with
//!    its data.
//! 6. [`link`] — sites that cannot talk to each other while clients reach both, and replication that stands still.
//! 7. [`namespace`], [`nft`], [`iptables`], [`qdisc`] and [`network`] — faults of the network of nodes.
//! 8. [`devices`] and [`two_sites`] — networks to try them on.
//! 9. [`process`] and [`disk`] — faults of processes and of file systems.
//! 10. [`data`] and [`backups`] — faults of rows and of backups; [`stolen`] — a credential in the wrong hands.

pub mod backups;
pub mod dark;
pub mod data;
pub mod destruction;
pub mod devices;
pub mod disk;
pub mod iptables;
pub mod link;
pub mod links;
pub mod namespace;
pub mod network;
pub mod network_down;
pub mod nft;
pub mod process;
pub mod qdisc;
mod rtnetlink;
pub mod site_loss;
pub mod site_reverter;
pub mod stolen;
pub mod toxiproxy;
pub mod two_sites;
