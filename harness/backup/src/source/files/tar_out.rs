//! A tar archive that GNU tar reads, whatever the names in it are.

use std::io::{self, Read};

use tar::{Builder, EntryType, Header};

use crate::point::Object;
use crate::source::Packed;
use crate::tree::{Entry, Moment, What};

/// Longest name that fits into the header itself, in bytes.
const FITS: usize = 100;

pub(super) struct TarOut(Builder<Packed>);

impl TarOut {
    pub(super) fn new(to: Packed) -> Self {
        Self(Builder::new(to))
    }

    /// Adds an entry, whose `content` has the size that the entry says. Names are written byte for byte: the library
    /// would leave out what it finds redundant, and a link is to lead where it led.
    pub(super) fn append(&mut self, entry: &Entry, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or(0));
        header.set_size(0);
        if !fill(&mut header.as_old_mut().name, &entry.path.0) {
            self.long(EntryType::GNULongName, &entry.path.0)?;
        }
        match &entry.what {
            What::Directory => header.set_entry_type(EntryType::Directory),
            What::Link { to } => {
                header.set_entry_type(EntryType::Symlink);
                if !fill(&mut header.as_old_mut().linkname, &to.0) {
                    self.long(EntryType::GNULongLink, &to.0)?;
                }
            }
            What::File(content) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(content.bytes);
            }
        }
        header.set_cksum();
        if entry.mtime.1 != 0 || entry.mtime.0 < 0 {
            let mtime = decimal(entry.mtime);
            self.0.append_pax_extensions([("mtime", mtime.as_bytes())])?;
        }
        self.0.append(&header, content)
    }

    /// Writes a name that is too long for the header before it, as GNU tar does: as bytes and a NUL. A PAX record would
    /// do as well, but its readers do not all agree on a newline in it, and those of the library break it up there.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        fill(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(u64::try_from(name.len()).unwrap_or(u64::MAX).saturating_add(1));
        header.set_entry_type(kind);
        header.set_cksum();
        self.0.append(&header, name.chain(&[0][..]))
    }

    pub(super) fn finish(self) -> io::Result<Object> {
        self.0.into_inner()?.finish()
    }
}

/// Writes a name into its field of the header; `false` when it is cut there.
fn fill(field: &mut [u8; FITS], name: &[u8]) -> bool {
    field.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    name.len() <= FITS
}

/// A moment as a decimal number of seconds.
fn decimal(Moment(seconds, nanoseconds): Moment) -> String {
    if seconds >= 0 || nanoseconds == 0 {
        return format!("{seconds}.{nanoseconds:09}");
    }
    // -2 s and 0.25 s beyond is -1.75 s.
    format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_are_negative_numbers() {
        assert_eq!(decimal(Moment(5, 7)), "5.000000007");
        assert_eq!(decimal(Moment(-2, 250_000_000)), "-1.750000000");
        assert_eq!(decimal(Moment(-1, 1)), "-0.999999999");
        assert_eq!(decimal(Moment(-3, 0)), "-3.000000000");
    }
}
