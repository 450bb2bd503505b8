//! Faults of the links between sites, through the proxies that they go by.
//!
//! 1. [`partition`] — two sites cannot talk, both ways or one way; clients still reach both.
//! 2. [`stall`] — nothing is replicated any more, until the standby is too far behind.
//! 3. `canary` — a request over a link: what comes back, or that nothing does.
//! 4. [`reverter`] — takes both back, knowing only what the ledger knows.
//!
//! A link is blocked and not taken down: who talks over it is not refused and gets no answer, which is what happens
//! when packets are dropped.

mod canary;
pub mod partition;
pub mod reverter;
pub mod stall;

use std::sync::Arc;

use drdrill_core::action::{ActionError, Tag, Undo};
use drdrill_core::environment::{LinkControl, ProcessIdentity};
use drdrill_core::links::{Block, Flow, PeerLink};

use reverter::{BlockUndo, Blocked};

/// A link and the directions in which nothing may pass.
#[derive(Clone, Debug)]
struct Cut<'a> {
    link: &'a PeerLink,
    blocks: Vec<Block>,
}

impl<'a> Cut<'a> {
    /// A cut of a link in these directions, named after a fault.
    fn new(link: &'a PeerLink, flows: impl IntoIterator<Item = Flow>, tag: &Tag) -> Self {
        let block = |flow| {
            let way = match flow {
                Flow::Upstream => "up",
                Flow::Downstream => "down",
            };
            Block { name: format!("{}-{way}", tag.as_str()), flow }
        };
        Self { link, blocks: flows.into_iter().map(block).collect() }
    }

    async fn apply(&self, control: &Arc<dyn LinkControl>) -> Result<(), ActionError> {
        for block in &self.blocks {
            control.block(&self.link.proxy, block).await?;
        }
        Ok(())
    }

    /// Blocks that are not there.
    async fn missing(&self, control: &Arc<dyn LinkControl>) -> Result<Vec<String>, ActionError> {
        let there = control.blocks(&self.link.proxy).await?;
        let missing = self.blocks.iter().filter(|block| !there.contains(block));
        Ok(missing.map(|block| format!("{} of {}", block.name, self.link.proxy)).collect())
    }
}

/// The undo of cuts that are about to be made.
fn undo(
    on: &str,
    cuts: &[Cut<'_>],
    control: &Arc<dyn LinkControl>,
    server: Option<&ProcessIdentity>,
) -> Undo {
    let blocked = cuts.iter().flat_map(|cut| {
        let blocked =
            |block: &Block| Blocked { proxy: cut.link.proxy.clone(), block: block.name.clone() };
        cut.blocks.iter().map(blocked)
    });
    BlockUndo { api: control.api(), server: server.cloned(), blocked: blocked.collect() }
        .into_undo(on)
}

/// A link in words.
fn words(link: &PeerLink) -> String {
    format!("{} to {} at {}", link.from, link.to, link.address)
}
