//! A system that is already there and that drdrill only watches.

use async_trait::async_trait;
use drdrill_core::action::{ActionError, Undo};
use drdrill_core::environment::{Environment, Power, ProbeStream};
use drdrill_core::inventory::{Attempt, HostSpec, Inventory, ServiceFacts, SiteName};
use drdrill_core::probe::{Call, Connection};

/// A system that is already there.
#[derive(Debug)]
pub struct Host {
    name: String,
    services: Vec<ServiceFacts>,
    spec: HostSpec,
}

impl Host {
    /// The system of `inventory`, whose provider is `spec`.
    #[must_use]
    pub fn new(inventory: &Inventory, spec: &HostSpec) -> Self {
        Self {
            name: inventory.environment.clone(),
            services: inventory.services.clone(),
            spec: spec.clone(),
        }
    }
}

#[async_trait]
impl Environment for Host {
    fn name(&self) -> &str {
        &self.name
    }

    fn sites(&self) -> Vec<SiteName> {
        Vec::new()
    }

    fn services(&self) -> Vec<ServiceFacts> {
        self.services.clone()
    }

    fn powers(&self) -> Vec<Power> {
        Vec::new()
    }

    fn fingerprint(&self) -> String {
        let targets = self.spec.probes.iter().map(|probe| match &probe.attempt {
            Attempt::Http(http) => http.url.clone(),
            Attempt::Tcp(tcp) => tcp.address.clone(),
        });
        targets.collect::<Vec<_>>().join(" ")
    }

    fn undo(&self) -> Undo {
        Undo::Nothing { because: "drdrill starts nothing in this environment".to_owned() }
    }

    async fn up(&self) -> Result<(), ActionError> {
        Ok(())
    }

    async fn down(&self) -> Result<(), ActionError> {
        Ok(())
    }

    fn streams(&self) -> Result<Vec<ProbeStream>, ActionError> {
        let stream = |probe: &drdrill_core::inventory::HostProbe| ProbeStream {
            name: probe.name.clone(),
            service: probe.service.clone(),
            purpose: probe.purpose,
            connection: Connection::Fresh,
            write_bytes: 0,
            call: match &probe.attempt {
                Attempt::Http(http) => Call::Http {
                    method: "GET",
                    url: http.url.clone(),
                    headers: Vec::new(),
                    body: None,
                    body_contains: http.body_contains.clone(),
                },
                Attempt::Tcp(tcp) => Call::Tcp { address: tcp.address.clone() },
            },
        };
        Ok(self.spec.probes.iter().map(stream).collect())
    }
}
