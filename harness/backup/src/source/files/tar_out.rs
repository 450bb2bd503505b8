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
        let mut more: Vec<(&str, Vec<u8>)> = Vec::new();
        if entry.mtime.1 != 0 || entry.mtime.0 < 0 {
            more.push(("mtime", decimal(entry.mtime).into_bytes()));
        }
        if !fill(&mut header.as_old_mut().name, &entry.path.0) {
            more.push(("path", entry.path.0.clone()));
        }
        match &entry.what {
            What::Directory => header.set_entry_type(EntryType::Directory),
            What::Link { to } => {
                header.set_entry_type(EntryType::Symlink);
                if !fill(&mut header.as_old_mut().linkname, &to.0) {
                    more.push(("linkpath", to.0.clone()));
                }
            }
            What::File(content) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(content.bytes);
            }
        }
        header.set_cksum();
        if !more.is_empty() {
            self.0.append_pax_extensions(more.iter().map(|(key, value)| (*key, &value[..])))?;
        }
        self.0.append(&header, content)
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
