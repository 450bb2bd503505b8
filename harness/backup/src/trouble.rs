//! Why something cannot be read, restored or seen to be good: because of what it is, or because of where and when it was
//! tried. Only the first says anything of a backup, and only on account of it an older one may take its place.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};

/// Why something did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// It is damaged, or not what it should be: so it will be the next time.
    Unusable(String),
    /// Nothing is known of it: a disk was full, a service did not answer, a program took too long.
    Hindered(String),
}

impl Trouble {
    /// The same with other words.
    #[must_use]
    pub fn with(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Unusable(why) => Self::Unusable(words(why)),
            Self::Hindered(why) => Self::Hindered(words(why)),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) | Self::Hindered(why) => f.write_str(why),
        }
    }
}

/// What nobody has looked into is no evidence of damage.
impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Hindered(why)
    }
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        trouble.to_string()
    }
}

/// The first error of what is read from and written to. What unpacks and copies passes on such errors and its own alike.
#[derive(Debug, Default)]
pub(crate) struct Watch(RefCell<Option<String>>);

impl Watch {
    /// What passes every call on, and notes its errors here.
    pub(crate) const fn over<T>(&self, inner: T) -> Watched<'_, T> {
        Watched { inner, watch: self }
    }

    /// What came of it, now that it is known whether anything was wrong with what was read from or written to.
    pub(crate) fn judge<T>(&self, name: &str, end: Result<T, Trouble>) -> Result<T, Trouble> {
        match (self.0.take(), end) {
            (Some(why), Err(_)) => Err(Trouble::Hindered(format!("{name}: {why}"))),
            (_, end) => end,
        }
    }

    fn saw<T>(&self, end: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &end
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.0.borrow_mut().get_or_insert_with(|| error.to_string());
        }
        end
    }
}

/// A reader or writer whose errors are noted.
pub(crate) struct Watched<'a, T> {
    inner: T,
    watch: &'a Watch,
}

impl<T> Watched<'_, T> {
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.watch.saw(self.inner.read(into))
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.watch.saw(self.inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.watch.saw(self.inner.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Good for so many bytes, and then not any more.
    struct Stalls<'a>(&'a [u8]);

    impl Read for Stalls<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer stalled"));
            }
            self.0.read(into)
        }
    }

    #[test]
    fn an_answer_that_stalls_is_no_damage_and_one_that_is_wrong_is() {
        let packed = zstd::encode_all(&[7; 1000][..], 3).unwrap();
        let half = packed.get(..packed.len() / 2).unwrap();
        let unpack = |from: &mut dyn Read| {
            let watch = Watch::default();
            let unpack = || {
                let mut unpacked = zstd::Decoder::new(watch.over(from))?;
                io::copy(&mut unpacked, &mut io::sink())
            };
            let end = unpack().map_err(|error| Trouble::Unusable(error.to_string()));
            watch.judge("x", end)
        };
        assert_eq!(unpack(&mut &packed[..]), Ok(1000));
        let why = "x: the answer stalled".to_owned();
        assert_eq!(unpack(&mut Stalls(half)), Err(Trouble::Hindered(why)));
        assert!(matches!(unpack(&mut &*half), Err(Trouble::Unusable(_))));
    }
}
