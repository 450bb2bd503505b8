//! Colours, wrapping and bars.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use drdrill_core::verdict::Verdict;

/// Colours text, or does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Unknown => "33",
            Verdict::Fail => "31",
        };
        self.with(code, text)
    }

    pub(super) fn badge(self, verdict: Verdict, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match verdict {
            Verdict::Pass => "1;30;42",
            Verdict::Unknown => "1;30;43",
            Verdict::Fail => "1;97;41",
        };
        self.with(code, &format!(" {text} "))
    }
}

/// Breaks text at blanks into lines of at most `width` columns; a longer word is cut.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        if !line.is_empty() && line.width() + 1 + rest.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        while rest.width() > width {
            let (front, tail) = cut(rest, width);
            lines.push(front.to_owned());
            rest = tail;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The longest front of at most `width` columns, at least one character, and the rest.
fn cut(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// `text` and blanks up to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A bar from `from` to `to` on a scale from 0 to 1 that is `width` columns long. Something is always a column.
pub(super) fn bar(from: f64, to: f64, width: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "columns of a terminal"
    )]
    let column = |share: f64| (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    let from = column(from).min(width.saturating_sub(1));
    let to = column(to).clamp(from + 1, width.max(from + 1));
    format!("{}{}", " ".repeat(from), "█".repeat(to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_blanks_and_long_words_are_cut() {
        assert_eq!(wrap("aaaa bbbb cccc dddd", 10), ["aaaa bbbb", "cccc dddd"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("abcdefghijklmno x", 10), ["abcdefghij", "klmno x"]);
        assert!(wrap("日本語日本語日本語 x", 10).iter().all(|line| line.width() <= 10));
    }

    #[test]
    fn a_bar_is_never_nothing() {
        assert_eq!(bar(0.0, 0.0001, 10), "█");
        assert_eq!(bar(1.0, 1.0, 10), "         █");
        assert_eq!(bar(0.5, 1.0, 10), "     █████");
    }
}
