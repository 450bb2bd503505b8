//! Sentences that both the page and the lines use.

use drdrill_core::probe::Connection;
use drdrill_core::record::{Service, Stream};

use crate::figures::{self, count, duration};

pub(super) fn clients(service: &Service) -> String {
    let Some(outage) = service.outage else {
        return "no failure".to_owned();
    };
    let flaps = match service.flaps {
        0 => String::new(),
        1 => ", came back and failed again once".to_owned(),
        flaps => format!(", came back and failed again {} times", count(u64::from(flaps))),
    };
    let lost = service
        .lost_service_ms
        .map(|ms| format!(", {} of full service lost", duration(ms)))
        .unwrap_or_default();
    format!("outage {}{lost}{flaps}", figures::outage(Some(outage)))
}

pub(super) fn kept(service: &Service) -> impl Iterator<Item = &Stream> {
    let streams = service.streams.iter();
    streams.filter(|stream| stream.connection == Connection::Kept)
}

pub(super) fn kept_line(stream: &Stream) -> String {
    let outage = stream.outage.map_or_else(
        || "no failure".to_owned(),
        |outage| format!("outage {}", figures::outage(Some(outage))),
    );
    format!("{}: {outage}", stream.name)
}
