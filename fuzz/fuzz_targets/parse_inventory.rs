//! An environment file of any bytes: no panic, and every error begins with a place in the file.

#![no_main]

use drdrill_core::scenario::parse_inventory;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|file: &[u8]| {
    if let Err(error) = parse_inventory("f", file) {
        drdrill_fuzz::is_placed(&error.to_string());
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    drdrill_fuzz::spoil(data, size, most, seed)
});
