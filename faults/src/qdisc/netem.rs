//! The kernel's network emulator: packets leave later than they were sent.

use std::time::Duration;

use drdrill_core::units::Share;
use netlink_packet_core::{DefaultNla, Emitable};

use super::{Device, Discipline, QdiscError, Qdiscs, Root};
use crate::namespace::Namespace;

/// The kernel's name of it.
const KIND: &str = "netem";
/// Nanoseconds of a tick (`PSCHED_SHIFT` is 6 in `include/net/pkt_sched.h`).
const TICK_NANOSECONDS: u128 = 64;
/// Attribute of the share that is sent at once (`TCA_NETEM_REORDER` of `linux/pkt_sched.h`).
const REORDER: u16 = 3;
/// The most packets that wait at once, else they would be lost: 2 s of 50,000 a second.
const PACKETS: u32 = 100_000;

/// How much later packets leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delay {
    /// By so much on average.
    pub delay: Duration,
    /// By so much more or less, each packet for itself, all alike likely. Less than the delay.
    pub jitter: Duration,
    /// This share of the packets is sent at once and so overtakes others.
    pub reorder: Share,
}

impl Delay {
    /// The least time by which a packet is delayed that overtakes none.
    #[must_use]
    pub fn least(self) -> Duration {
        self.delay.saturating_sub(self.jitter)
    }

    /// The most.
    #[must_use]
    pub fn most(self) -> Duration {
        self.delay + self.jitter
    }

    /// The discipline that does it.
    #[must_use]
    pub fn discipline(self) -> Discipline {
        let reorder = self.reorder.ratio() > 0.0;
        // `struct tc_netem_qopt`: latency, limit, loss, gap, duplicate, jitter. A gap of one: any packet may be sent at
        // once, not only every nth.
        let words = [ticks(self.delay), PACKETS, 0, u32::from(reorder), 0, ticks(self.jitter)];
        let mut options: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        if reorder {
            // `struct tc_netem_reorder`: probability, correlation.
            let value = [probability(self.reorder), 0].into_iter().flat_map(u32::to_ne_bytes);
            let attribute = DefaultNla::new(REORDER, value.collect());
            let start = options.len();
            options.resize(start + attribute.buffer_len(), 0);
            attribute.emit(options.get_mut(start..).unwrap_or_default());
        }
        Discipline { kind: KIND, options }
    }
}

/// Not less than the time.
fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(TICK_NANOSECONDS)).unwrap_or(u32::MAX)
}

/// Of all 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is from 0 to 1"
)]
fn probability(share: Share) -> u32 {
    (share.ratio() * f64::from(u32::MAX)).round() as u32
}

/// Whether this kernel can do it, found out by doing it in a namespace of its own.
///
/// # Errors
/// [`QdiscError::Unsupported`] when it cannot; others when it could not be tried.
pub fn try_out() -> Result<(), QdiscError> {
    let place = Namespace::unnamed().map_err(QdiscError::not_entered)?;
    let delay = Delay {
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        reorder: Share::percent(0),
    };
    let discipline = delay.discipline();
    let root = Root::of("drdrill-doctor", &discipline, &[]);
    // Loopback is the first device of each namespace.
    let device = Device { name: "lo".to_owned(), index: 1 };
    Qdiscs::of(&place)?.install(&root, &discipline, &device, &[])
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn delay(reorder: u32) -> Delay {
        Delay {
            delay: Duration::from_millis(100),
            jitter: Duration::from_millis(20),
            reorder: Share::percent(reorder),
        }
    }

    /// As `tc qdisc add … netem delay 100ms 20ms reorder 25%` sends them, but for the limit.
    #[test]
    fn options_are_those_of_the_kernel() {
        let words = |options: &[u8]| -> Vec<u32> {
            let words = options.chunks_exact(4);
            words.map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect()
        };
        assert_eq!(words(&delay(0).discipline().options), [1_562_500, 100_000, 0, 0, 0, 312_500]);
        let header = u32::from_ne_bytes(
            [12_u16.to_ne_bytes(), 3_u16.to_ne_bytes()].concat().try_into().unwrap(),
        );
        assert_eq!(
            words(&delay(25).discipline().options),
            [1_562_500, 100_000, 0, 1, 0, 312_500, header, 1_073_741_824, 0]
        );
    }

    /// What a kernel without netem says, this one says of a discipline that does not exist.
    #[test]
    fn whether_there_is_netem_is_found_out_by_trying() {
        let ours = try_out();
        let mut tc = Command::new("tc");
        tc.args(["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
        let other = Namespace::unnamed().unwrap();
        let theirs = other.run(|| tc.output().unwrap()).unwrap();
        assert_eq!(ours.is_ok(), theirs.status.success(), "{ours:?}, {theirs:?}");
        if let Err(error) = ours {
            assert_eq!(error.to_string(), "this kernel has no sch_netem");
        }
    }
}
