//! Amounts of data for people.

/// So many bytes, with four digits at most: `1.234 GB`. A kilobyte is 1,000 bytes.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub(super) fn of(bytes: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let bytes = bytes as f64;
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((unit, name)) => {
            let amount = bytes / unit;
            let digits = if amount >= 100.0 { 1 } else { 2 };
            format!("{amount:.digits$} {name}")
        }
    }
}

/// So many bytes a second, where that could be measured.
pub(super) fn rate(bytes_per_second: Option<u64>) -> String {
    bytes_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", of(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_unit() {
        let cases = [(0, "0 B"), (999, "999 B"), (1500, "1.50 kB"), (123_456_789, "123.5 MB")];
        for (bytes, text) in cases {
            assert_eq!(of(bytes), text);
        }
        assert_eq!(rate(None), "-");
        assert_eq!(rate(Some(2_000_000)), "2.00 MB/s");
    }
}
