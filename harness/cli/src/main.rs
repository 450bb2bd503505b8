//! The binary `drdrill`.
fn main() {}
