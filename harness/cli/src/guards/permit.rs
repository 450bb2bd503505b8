//! What must hold right before each fault, and what for as long as one is in place.

use async_trait::async_trait;
use chrono::Utc;
use drdrill_core::inventory::{Inventory, Window};
use drdrill_core::parts::Permit;

use super::pin::PinReader;
use crate::exit::{Code, Failure};

/// The pin and the window of an environment.
#[derive(Debug)]
pub(crate) struct Rules {
    pin: Option<PinReader>,
    window: Option<Window>,
}

impl Rules {
    /// Those of an environment.
    pub(crate) fn of(inventory: &Inventory) -> Result<Self, Failure> {
        let pin = inventory.pin.as_ref().map(PinReader::new).transpose();
        Ok(Self {
            pin: pin.map_err(Failure::with(Code::NotReady))?,
            window: inventory.window.clone(),
        })
    }

    /// Reads the pin from the target.
    pub(crate) async fn pin_holds(&self) -> Result<(), String> {
        let Some(pin) = &self.pin else { return Ok(()) };
        for (what, seen) in pin.read().await {
            seen.map_err(|why| format!("this is not the pinned environment: {what}: {why}"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Permit for Rules {
    async fn to_inject(&self) -> Result<(), String> {
        self.to_go_on()?;
        self.pin_holds().await
    }

    fn to_go_on(&self) -> Result<(), String> {
        match &self.window {
            Some(window) if !window.is_open(Utc::now()) => {
                Err(format!("the window closed ({window})"))
            }
            _ => Ok(()),
        }
    }
}
