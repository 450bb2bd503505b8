//! What the targets share: the mutations of `harness/core/tests/mutants.rs`, and what every error must say.

#[path = "../../harness/core/tests/support/mutate.rs"]
mod mutate;

/// Panics unless an error about the file `f` begins with a line and a column.
///
/// # Panics
/// When it does not.
pub fn is_placed(error: &str) {
    let mut parts = error.splitn(4, ':');
    let name = parts.next();
    let mut number = || parts.next().is_some_and(|part| part.parse().is_ok_and(|n: u64| n > 0));
    let placed = name == Some("f") && number() && number();
    assert!(placed, "no place: {error}");
}

/// Spoils the first `size` bytes of `data`, half of the time as libFuzzer does, which knows what was covered, and half
/// of the time as people do. Returns how many bytes there are then.
pub fn spoil(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let spoilt = mutate::mutate(u64::from(seed), &data[..size]);
    let length = spoilt.len().min(most).min(data.len());
    data[..length].copy_from_slice(&spoilt[..length]);
    length
}
