//! A probe that only connects.

use async_trait::async_trait;
use drdrill_core::probe::{Probe, Purpose};
use drdrill_core::sample::Outcome;

use super::policy::Broken;
use super::socket::{close_at_once, connect};
use super::target::{Target, TargetError};

/// Opens a TCP connection and closes it. `Ok` says that the port accepts, **not** that anything is served: a
/// listener that dies accepts for another 0.2 ms (measurement.md section 3).
#[derive(Clone, Debug)]
pub struct TcpProbe {
    target: Target,
}

impl TcpProbe {
    /// A probe of `host:port`.
    ///
    /// # Errors
    /// When that is no address.
    pub fn new(address: &str) -> Result<Self, TargetError> {
        Ok(Self { target: Target::parse(address)? })
    }
}

#[async_trait]
impl Probe for TcpProbe {
    async fn attempt(&self, _sequence: u64) -> Outcome {
        match connect(&self.target).await {
            Ok(stream) => {
                close_at_once(&stream);
                Outcome::Ok
            }
            Err(error) => Broken::Connecting(error).outcome(Purpose::Read),
        }
    }
}
