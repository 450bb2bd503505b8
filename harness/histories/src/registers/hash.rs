//! A quick hash of values. They are numbers that clients of ours made up, so nobody plays tricks with them.

use std::hash::{BuildHasherDefault, Hasher};

/// Hashes of numbers.
pub(super) type Quick = BuildHasherDefault<Multiply>;

/// One multiplication, whose high bits go to where a table looks first.
#[derive(Debug, Default)]
pub(super) struct Multiply(u64);

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio, made odd: D. E. Knuth, "The Art of Computer Programming" 3, 6.4.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
