//! Random moments that can be had again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::number::number_of;

/// A small reproducible source of random numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    /// From `DRDRILL_SEED`, else from the clock. The seed is printed, so that a failure can be repeated.
    pub(crate) fn new() -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = number_of("DRDRILL_SEED").unwrap_or_else(|| u64::from(clock));
        println!("seed: DRDRILL_SEED={seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let share = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        let nanos = (limit.as_nanos() * u128::from(share)) >> 32;
        Duration::from_nanos(nanos.try_into().unwrap())
    }
}
