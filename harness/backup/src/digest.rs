//! SHA-256 of what flows by.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// How much is read at once, in bytes.
pub(crate) const CHUNK: usize = 128 * 1024;

/// A reader or writer that knows what went through it.
pub(crate) struct Hashing<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was wrapped, the SHA-256 in hex, and the number of bytes.
    pub(crate) fn finish(self) -> (T, String, u64) {
        (self.inner, hex::encode(self.digest.finalize()), self.bytes)
    }

    fn went(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let bytes = into.get(..read).unwrap_or_default();
        self.digest.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.went(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The SHA-256 in hex of all there is to read, and how much that was.
pub(crate) fn of_reader(mut from: impl Read) -> io::Result<(String, u64)> {
    let mut digest = Hashing::new(io::sink());
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => {
                let (_, sum, bytes) = digest.finish();
                return Ok((sum, bytes));
            }
            Ok(read) => digest.went(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 of some bytes in hex.
pub(crate) fn of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
