//! Lists of ids in files, one a line, read at the speed of memory.
//!
//! What was written: an id in digits, a space, and `ok`, `failed` or `unknown`. What was found: an id, alone or
//! followed by a space and `corrupt`.

use std::io::{self, Read};

use super::{Books, Reading};
use crate::operation::Outcome;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 18;
/// The longest line that is taken for one: an id has 20 digits at most.
const LONGEST: usize = 64;
/// So many digits always fit an id.
const SURE_DIGITS: usize = 19;

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("read a list of ids")]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line}: `{text}` is not {wanted}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// The line, or the beginning of a long one.
        text: String,
        /// What a line should be.
        wanted: &'static str,
    },
}

/// Enters what was written.
///
/// # Errors
/// When the list cannot be read, or a line is no id with an outcome.
pub fn writes(list: impl Read, books: &mut Books) -> Result<(), ListError> {
    let wanted = "an id in digits, a space, and `ok`, `failed` or `unknown`";
    lines(list, wanted, |id, word| {
        let outcome = match word {
            b"ok" => Outcome::Ok,
            b"failed" => Outcome::Failed,
            b"unknown" => Outcome::Indeterminate,
            _ => return false,
        };
        books.write(id, outcome);
        true
    })
}

/// Enters what was found.
///
/// # Errors
/// When the list cannot be read, or a line is no id.
pub fn found(list: impl Read, reading: &mut Reading<'_>) -> Result<(), ListError> {
    lines(list, "an id in digits, alone or with a space and `corrupt`", |id, word| {
        let intact = match word {
            b"" => true,
            b"corrupt" => false,
            _ => return false,
        };
        reading.found(id, intact);
        true
    })
}

/// Calls `take` with the id and the word of each line, in blocks that end with a line.
fn lines(
    mut list: impl Read,
    wanted: &'static str,
    mut take: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), ListError> {
    let mut buffer = vec![0; BLOCK];
    let (mut kept, mut line) = (0, 0_u64);
    let wrong = |line, text: &[u8]| {
        let text = text.get(..LONGEST).unwrap_or(text);
        Err(ListError::Line { line, text: String::from_utf8_lossy(text).into_owned(), wanted })
    };
    loop {
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let got = match list.read(room) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let filled = buffer.get(..kept + got).unwrap_or_default();
        let whole = match filled.iter().rposition(|byte| *byte == b'\n') {
            _ if got == 0 => filled.len(),
            Some(newline) => newline + 1,
            None if filled.len() > LONGEST => return wrong(line + 1, filled),
            None => 0,
        };
        let (mut rest, begun) = filled.split_at_checked(whole).unwrap_or_default();
        while !rest.is_empty() {
            line += 1;
            match one(rest) {
                Some((id, word, after)) if take(id, word) => rest = after,
                _ => return wrong(line, rest.split(|byte| *byte == b'\n').next().unwrap_or(rest)),
            }
        }
        if got == 0 {
            return Ok(());
        }
        kept = begun.len();
        buffer.copy_within(whole..whole + kept, 0);
    }
}

/// The id and the word of the first line, and what follows it.
#[inline]
fn one(text: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let mut id = 0_u64;
    let mut digits = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        id = id.wrapping_mul(10).wrapping_add(u64::from(digit));
        digits += 1;
    }
    let (number, rest) = text.split_at_checked(digits)?;
    if digits > SURE_DIGITS {
        id = std::str::from_utf8(number).ok()?.parse().ok()?;
    }
    match rest {
        _ if digits == 0 => None,
        [] => Some((id, b"", b"")),
        [b'\n', after @ ..] => Some((id, b"", after)),
        [b' ', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end)?;
            // A space must be followed by a word.
            (!word.is_empty()).then(|| (id, word, after.strip_prefix(b"\n").unwrap_or(after)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(1);
            Read::read(&mut self.0, &mut buffer[..count])
        }
    }

    fn account(written: &str, present: &str) -> Result<super::super::Tally, ListError> {
        let mut books = Books::default();
        writes(Slow(written.as_bytes()), &mut books)?;
        let mut reading = books.reading();
        found(Slow(present.as_bytes()), &mut reading)?;
        reading.end();
        Ok(books.tally())
    }

    #[test]
    fn lists_are_read_with_and_without_a_last_newline() {
        for end in ["", "\n"] {
            let written = format!("1 ok\n2 failed\n3 unknown\n18446744073709551615 ok{end}");
            let tally =
                account(&written, &format!("2\n3\n18446744073709551615 corrupt{end}")).unwrap();
            assert_eq!(tally.lost.first, [1]);
            assert_eq!(tally.refused.first, [2]);
            assert_eq!(tally.corrupt.first, [u64::MAX]);
            assert_eq!(tally.recovered, 1);
        }
        assert_eq!(
            account("", "").unwrap(),
            super::super::Tally { is_read: true, ..Default::default() }
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (written, line, text) in [
            ("1 ok\nx ok\n", 2, "x ok"),
            ("1 ok\n\n2 ok\n", 2, ""),
            ("1 okay\n", 1, "1 okay"),
            ("1\n", 1, "1"),
            ("1 ok\n18446744073709551616 ok", 2, "18446744073709551616 ok"),
            ("-1 ok\n", 1, "-1 ok"),
            ("1 ok\r\n", 1, "1 ok\r"),
        ] {
            let error = account(written, "").unwrap_err();
            let expected = format!(
                "line {line}: `{text}` is not an id in digits, a space, and `ok`, `failed` or `unknown`"
            );
            assert_eq!(error.to_string(), expected);
        }
        assert!(account("1 ok\n", "1 \n").unwrap_err().to_string().starts_with("line 1: `1 `"));
        let long = "1".repeat(BLOCK * 2);
        assert!(account("1 ok\n", &long).unwrap_err().to_string().len() < 200);
    }
}
