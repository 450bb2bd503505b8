//! Signatures in OpenSSH's format (`PROTOCOL.sshsig`), so that `ssh-keygen -Y verify` checks them without drdrill.
//!
//! Written here because it is forty lines over `ed25519-dalek`, which is here anyway.

use ed25519_dalek::Signature;
use sha2::{Digest as _, Sha512};

use super::NAMESPACE;
use super::key::{ALGORITHM, PublicKey, Signer};
use super::wire::{In, Out, armour, unarmour};

const LABEL: &str = "SSH SIGNATURE";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const HASH: &[u8] = b"sha512";

/// Length of every signature's text.
pub(super) const TEXT_BYTES: usize = 310;

/// Signs `message`; the text is what belongs into a `.sig` file.
#[must_use]
pub fn sign(signer: &Signer, message: &[u8]) -> String {
    sign_digest(signer, &Sha512::digest(message))
}

/// Signs the message that has this SHA-512.
pub(super) fn sign_digest(signer: &Signer, digest: &[u8]) -> String {
    let signature = Out::default()
        .string(ALGORITHM.as_bytes())
        .string(&signer.sign_bytes(&signed_part(digest)))
        .done();
    let file = Out::default()
        .raw(MAGIC)
        .u32(VERSION)
        .string(&signer.public().blob())
        .string(NAMESPACE.as_bytes())
        .string(b"")
        .string(HASH)
        .string(&signature);
    armour(LABEL, &file.done())
}

/// The key that made the signature `text` over `message`; `None` when there is no such key. Strict: the text has one
/// spelling, and a signature for another namespace or with another hash is refused.
#[must_use]
pub fn signer_of(text: &str, message: &[u8]) -> Option<PublicKey> {
    signer_of_digest(text, &Sha512::digest(message))
}

/// The key that made the signature `text` over the message that has this SHA-512.
pub(super) fn signer_of_digest(text: &str, digest: &[u8]) -> Option<PublicKey> {
    let file = unarmour(LABEL, text)?;
    if armour(LABEL, &file) != text {
        return None;
    }
    let mut input = In(&file);
    if input.raw(MAGIC.len())? != MAGIC || input.u32()? != VERSION {
        return None;
    }
    let key = PublicKey::from_blob(input.string()?)?;
    let for_us = input.string()? == NAMESPACE.as_bytes();
    let as_expected = input.string()?.is_empty() && input.string()? == HASH;
    let mut signature = In(input.string()?);
    if !for_us || !as_expected || !input.is_empty() {
        return None;
    }
    if signature.string()? != ALGORITHM.as_bytes() {
        return None;
    }
    let bytes: &[u8; 64] = signature.string()?.try_into().ok()?;
    let signature = signature.is_empty().then_some(Signature::from_bytes(bytes))?;
    let verified = key.0.verify_strict(&signed_part(digest), &signature);
    verified.is_ok().then_some(key)
}

/// What is signed: the digest of the message together with what the signature is for.
fn signed_part(digest: &[u8]) -> Vec<u8> {
    Out::default()
        .raw(MAGIC)
        .string(NAMESPACE.as_bytes())
        .string(b"")
        .string(HASH)
        .string(digest)
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_its_key_and_nothing_else_verifies() {
        let signer = Signer::from_seed([7; 32]);
        let text = sign(&signer, b"message");
        assert_eq!(text.len(), TEXT_BYTES);
        assert_eq!(signer_of(&text, b"message"), Some(signer.public()));
        assert_eq!(signer_of(&text, b"massage"), None);
        assert_eq!(signer_of(&text.replace('\n', "\r\n"), b"message"), None);
        assert_eq!(signer_of(text.trim_end(), b"message"), None);
        assert_eq!(signer_of("", b"message"), None);
    }

    #[test]
    fn a_signature_for_another_purpose_is_refused() {
        let signer = Signer::from_seed([7; 32]);
        let file = unarmour(LABEL, &sign(&signer, b"message")).unwrap();
        let at = file
            .windows(NAMESPACE.len())
            .position(|window| window == NAMESPACE.as_bytes())
            .unwrap();
        let mut other = file;
        other[at] = b'D';
        assert_eq!(signer_of(&armour(LABEL, &other), b"message"), None);
    }
}
