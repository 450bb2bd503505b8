//! The bytes of a bundle around its files: the headers of tar, and the signature behind everything.

use tar::{EntryType, Header};

use crate::evidence::signature;

/// gzip's header of a member with an extra field: no time, no name, an unknown system.
const GZIP_EXTRA: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
/// The name of our part of the extra field.
const FIELD: [u8; 2] = *b"DR";
/// An empty deflate block, its CRC-32 and its length.
const NOTHING: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Where the text of the signature begins.
const TEXT_AT: usize = GZIP_EXTRA.len() + 2 + FIELD.len() + 2;

/// Length of what stands behind the archive.
pub(super) const TRAILER_BYTES: usize = TEXT_AT + signature::TEXT_BYTES + NOTHING.len();

/// What stands behind the archive: an empty member of gzip with the text of the signature in its header.
pub(super) fn trailer(signature: &str) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_le_bytes();
    let text = signature.as_bytes();
    let mut bytes = GZIP_EXTRA.to_vec();
    bytes.extend(length(FIELD.len() + 2 + text.len()));
    bytes.extend(FIELD);
    bytes.extend(length(text.len()));
    bytes.extend(text);
    bytes.extend(NOTHING);
    bytes
}

/// The text of the signature in the last [`TRAILER_BYTES`] of an archive; `None` when they are no such thing.
pub(super) fn signature_in(end: &[u8]) -> Option<&str> {
    let text = end.get(TEXT_AT..TEXT_AT + signature::TEXT_BYTES)?;
    let text = str::from_utf8(text).ok()?;
    (trailer(text) == end).then_some(text)
}

/// The header of a file. Nothing in it is of the machine that packed it.
pub(super) fn header(path: &str, bytes: u64, mtime: u64) -> std::io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(bytes);
    header.set_cksum();
    Ok(header)
}
