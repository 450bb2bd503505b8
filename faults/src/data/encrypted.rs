//! Values that are encrypted with a key that nobody keeps.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

use super::saved::Cell;

/// A key that exists as long as the rows are being struck, and nowhere but in memory: whoever wants the values back has
/// to have them from elsewhere.
pub(super) struct RandomKey([u8; 32]);

impl RandomKey {
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// The value encrypted, in hexadecimal, after the number that makes its key stream its own.
    pub(super) fn encrypt(&self, value: &Cell) -> Cell {
        let mut bytes = match value {
            Cell::Null => Vec::new(),
            Cell::Integer(number) => number.to_string().into_bytes(),
            Cell::Real(number) => number.to_string().into_bytes(),
            Cell::Text(text) | Cell::Blob(text) => text.clone().into_bytes(),
        };
        let once: [u8; 12] = rand::random();
        ChaCha20::new(&self.0.into(), &once.into()).apply_keystream(&mut bytes);
        Cell::Text(hex::encode(once) + &hex::encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cell: &Cell) -> &str {
        let Cell::Text(text) = cell else { panic!("{cell:?}") };
        text
    }

    #[test]
    fn a_value_is_never_encrypted_to_the_same_text_twice() {
        let value = Cell::Text("0123456789".repeat(5));
        let key = RandomKey::new();
        let all = [key.encrypt(&value), key.encrypt(&value), RandomKey::new().encrypt(&value)];
        for (number, one) in all.iter().enumerate() {
            assert_eq!(text(one).len(), 2 * (12 + 50));
            assert!(all[..number].iter().all(|other| text(other)[24..] != text(one)[24..]));
        }
    }

    #[test]
    fn the_key_and_nothing_else_brings_the_value_back() {
        let (key, other) = (RandomKey::new(), RandomKey::new());
        let bytes = hex::decode(text(&key.encrypt(&Cell::Text("a value".to_owned())))).unwrap();
        let decrypt = |key: &RandomKey| {
            let once: [u8; 12] = bytes[..12].try_into().unwrap();
            let mut rest = bytes[12..].to_vec();
            ChaCha20::new(&key.0.into(), &once.into()).apply_keystream(&mut rest);
            rest
        };
        assert_eq!(decrypt(&key), b"a value");
        assert_ne!(decrypt(&other), b"a value");
    }
}
