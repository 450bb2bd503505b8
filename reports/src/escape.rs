//! The one choke point for foreign strings: whatever a target, a scenario or a person wrote passes through here
//! before it reaches a terminal, HTML, Markdown, XML or the log of a CI system.
//!
//! All start with [`terminal`], which makes a string one line of visible characters. What was hidden becomes visible
//! (`\u{1b}`), so that an attack is seen instead of vanishing.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Most marks in a row that go on top of one character, in characters: Hebrew, with its accents, needs four. More of
/// them paint over the lines above and below.
const MOST_MARKS: usize = 4;

/// For a terminal: one line, no control characters, nothing invisible, nothing that changes the direction of text.
///
/// Line breaks and tabs become a blank; everything else that is not visible, and marks beyond the fourth on a
/// character, become `\u{…}`.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    let mut marks = 0;
    let mut too_many = |c: char| {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        marks > MOST_MARKS
    };
    if !text.chars().any(|c| is_hidden(c) || too_many(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut last_was_break = false;
    marks = 0;
    for c in text.chars() {
        let is_break = matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}');
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if is_break {
            if !last_was_break {
                out.push(' ');
            }
        } else if is_hidden(c) || marks > MOST_MARKS {
            let _infallible = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
        last_was_break = is_break;
    }
    Cow::Owned(out)
}

/// Whether `c` takes no room of its own: it goes on top of the character before.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.width() == Some(0)
}

/// For HTML, as text or as an attribute between double quotes.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in terminal(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
    out
}

/// For XML 1.0, as text or as an attribute. [`terminal`] already leaves only characters that XML 1.0 allows.
#[must_use]
pub fn xml(text: &str) -> String {
    html(text)
}

/// For a cell of a CSV file, not yet quoted: one line of visible characters, which no spreadsheet takes for a formula. What
/// could begin one has an apostrophe before it, also behind what a program with other settings may take for a separator.
#[must_use]
pub fn csv(text: &str) -> String {
    let clean = terminal(text);
    let mut out = String::with_capacity(clean.len() + 1);
    let mut begins = true;
    for c in clean.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠')
        {
            out.push('\'');
        }
        begins = matches!(c, ',' | ';' | ':' | '"' | '\'') || (begins && c.is_whitespace());
        out.push(c);
    }
    out
}

/// For Markdown (GitHub's), as running text or in a table cell: shown as written, no link, no image, no HTML, no
/// emphasis, no mention of a person.
#[must_use]
pub fn markdown(text: &str) -> String {
    let clean = terminal(text);
    let clean = clean.trim_matches(' ');
    let mut out = String::with_capacity(clean.len() + clean.len() / 4);
    for (at, c) in clean.char_indices() {
        let next = clean[at + c.len_utf8()..].chars().next();
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Braces, because Pandoc and others take those behind a heading for its attributes.
            '\\' | '`' | '*' | '_' | '[' | ']' | '{' | '}' | '|' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // What would start a list or a rule, were it first on its line.
            '+' | '-' | '=' if at == 0 && !next.is_some_and(char::is_alphanumeric) => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if is_list_number(&clean[..at]) && next.is_none_or(|next| next == ' ') => {
                out.push('\\');
                out.push(c);
            }
            // What would become a link or an emoji.
            '.' if ends_with_www(&clean[..at]) => out.push_str("\\."),
            ':' if next.is_some_and(|next| next != ' ') => out.push_str("\\:"),
            // The word joiner is invisible and keeps `@name`, `#1` and `a@b.c` from being recognised.
            '@' | '#' => {
                out.push(c);
                out.push('\u{2060}');
            }
            c => out.push(c),
        }
    }
    out
}

/// For Markdown, as a code span, also in a table cell: the place for identifiers, commands and answers of targets.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let clean = terminal(text);
    if clean.trim().is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&clean, '`') + 1);
    // A table splits its row before it looks for code, and takes the backslash away again.
    let body = clean.replace('|', "\\|");
    let gap = if clean.starts_with(['`', ' ']) || clean.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{gap}{body}{gap}{fence}")
}

/// For the log of a CI system: like [`terminal`], and no line can be taken for a command (`::set-output`,
/// `##[group]`, `##vso[…]`, `##teamcity[…]`).
#[must_use]
pub fn ci_log(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        if c == '#' && clean.ends_with('#') {
            clean.push('\\');
        }
        clean.push(c);
    }
    let body = clean.trim_start();
    if body.starts_with(':') {
        return format!("\\{body}");
    }
    clean
}

/// Whether `c` is not one visible character: controls, marks of direction, invisible ones, and code points that are
/// no characters.
fn is_hidden(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || matches!(code,
            0x00ad | 0x034f | 0x061c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
            | 0xfff0..=0xfffb | 0xfdd0..=0xfdef | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
        || code & 0xfffe == 0xfffe
}

fn is_list_number(before: &str) -> bool {
    !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit())
}

fn ends_with_www(before: &str) -> bool {
    before.len() >= 3
        && before.as_bytes().last_chunk::<3>().is_some_and(|end| end.eq_ignore_ascii_case(b"www"))
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
