//! The network of a site goes dark; its processes live on.

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};

use crate::dark::SiteNetwork;
use crate::site_reverter::{Scope, SiteUndo};

/// The network of a site goes dark.
#[derive(Debug)]
pub struct NetworkDown {
    /// The network.
    pub network: SiteNetwork,
}

#[async_trait]
impl Action for NetworkDown {
    fn kind(&self) -> &'static str {
        "network_down"
    }

    fn target(&self) -> String {
        self.network.site.clone()
    }

    fn via(&self) -> String {
        format!("Toxiproxy at {}", self.network.control.api())
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, _: &Tag) -> Result<Undo, ActionError> {
        Ok(SiteUndo::of(&self.network, &[]).await?.into_undo(Scope::Site))
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        self.network.darken().await
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        self.network.look().await
    }
}
