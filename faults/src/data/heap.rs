//! Pages of a table as `PostgreSQL` has them on the disk: which of them nobody will change any more.

use std::fs::File;
use std::io::{self, Read};

/// Bytes of a page before its pointers to rows.
const HEAD: usize = 24;
/// Bytes of such a pointer.
const POINTER: usize = 4;
/// A pointer to a row that is there.
const NORMAL: u32 = 1;
/// Where a row says what is known of who made it and who ended it: committed or aborted.
const MASK: usize = 20;
const MADE: u16 = 0x0300;
const ENDED: u16 = 0x0C00;

fn word(page: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(page.get(at..at + 2)?.try_into().ok()?))
}

/// Whether no row fits that is as small as the smallest there, and of each row is marked what became of it: the first reader
/// after its transaction would do that, and so change the page.
fn is_settled(page: &[u8]) -> Option<bool> {
    let (lower, upper) = (usize::from(word(page, 12)?), usize::from(word(page, 14)?));
    let mut smallest = None;
    for pointer in page.get(HEAD..lower)?.chunks_exact(POINTER) {
        let pointer = u32::from_le_bytes(pointer.try_into().ok()?);
        let (at, flags, length) = (pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17);
        if flags != NORMAL {
            continue;
        }
        let mask = word(page, usize::try_from(at).ok()? + MASK)?;
        if mask & MADE == 0 || mask & ENDED == 0 {
            return Some(false);
        }
        smallest = Some(smallest.map_or(length, |so_far: u32| so_far.min(length)));
    }
    // Rows begin at multiples of eight.
    let needed = usize::try_from(smallest?.next_multiple_of(8)).ok()? + POINTER;
    Some(upper.checked_sub(lower)? < needed)
}

/// The pages of a file that nobody will change any more, as far as adding and reading rows goes; by their numbers.
pub(super) fn settled_pages(file: &File, block: usize) -> io::Result<Vec<u64>> {
    let (mut file, mut page, mut found) = (io::BufReader::new(file), vec![0; block], Vec::new());
    for number in 0.. {
        match file.read_exact(&mut page) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        if is_settled(&page) == Some(true) {
            found.push(number);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of rows of so many bytes, with so much room, whose rows have a mask.
    fn page(rows: u32, length: u32, room: u16, mask: u16) -> Vec<u8> {
        let mut page = vec![0; 8192];
        let lower = u16::try_from(HEAD + rows as usize * POINTER).unwrap();
        page[12..14].copy_from_slice(&lower.to_le_bytes());
        page[14..16].copy_from_slice(&(lower + room).to_le_bytes());
        for row in 0..rows {
            let at = 8192 - (row + 1) * length;
            let pointer = at | NORMAL << 15 | length << 17;
            let to = HEAD + row as usize * POINTER;
            page[to..to + POINTER].copy_from_slice(&pointer.to_le_bytes());
            let to = at as usize + MASK;
            page[to..to + 2].copy_from_slice(&mask.to_le_bytes());
        }
        page
    }

    #[test]
    fn only_pages_that_are_full_and_whose_rows_are_marked_are_settled() {
        let settled = |page: &[u8]| is_settled(page) == Some(true);
        assert!(settled(&page(60, 120, 123, 0x0900)));
        assert!(!settled(&page(60, 120, 124, 0x0900)), "one more row fits");
        assert!(!settled(&page(60, 120, 0, 0x0800)), "nobody has looked at it yet");
        assert!(!settled(&page(60, 120, 0, 0x0100)), "somebody may have ended it");
        assert!(settled(&page(60, 120, 0, 0x0600)), "aborted, and ended");
        assert!(!settled(&[0; 8192]), "a page that was never used");
        assert!(!settled(&[0xFF; 8192]), "no page at all");
    }
}
