//! The fonts of a PDF: `DejaVu` (Bitstream Vera's licence, free to embed), because it has more scripts than others of its
//! size. A character that it lacks is shown by its number, as what is invisible is.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use krilla::text::Font;

use crate::escape;

/// How a text is set.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Style {
    /// Running text.
    Body,
    /// Headings, and words that stand out.
    Bold,
    /// Identifiers, commands, answers.
    Mono,
}

/// Text in one font and one direction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// Which font.
    pub(super) face: usize,
    /// The text.
    pub(super) text: String,
}

struct Face {
    font: Font,
    metrics: ttf_parser::Face<'static>,
}

/// All fonts, with what was measured.
pub(super) struct Fonts {
    faces: [Face; 3],
    widths: RefCell<HashMap<(Style, char), (usize, f32)>>,
}

const REGULAR: usize = 0;
const BOLD: usize = 1;
const MONO: usize = 2;

impl Fonts {
    /// Reads the fonts; `None` when they cannot be read, which would be a bug.
    pub(super) fn load() -> Option<Self> {
        let face = |data: &'static [u8]| {
            let font = Font::new(data.to_vec().into(), 0)?;
            Some(Face { font, metrics: ttf_parser::Face::parse(data, 0).ok()? })
        };
        let faces = [
            face(dejavu::sans_condensed::regular())?,
            face(dejavu::sans_condensed::bold())?,
            face(dejavu::sans_mono::regular())?,
        ];
        Some(Self { faces, widths: RefCell::default() })
    }

    /// The font itself.
    pub(super) fn font(&self, face: usize) -> Font {
        self.faces[face].font.clone()
    }

    /// One line of characters that all can be shown.
    pub(super) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let clean = escape::terminal(text);
        let has = |c: char| self.faces[REGULAR].metrics.glyph_index(c).is_some();
        if clean.chars().all(has) {
            return clean;
        }
        let spelt = clean.chars().map(|c| match c {
            c if has(c) => c.to_string(),
            c => format!("\\u{{{:x}}}", u32::from(c)),
        });
        Cow::Owned(spelt.collect())
    }

    /// The first font of a style that has the character, and the width in it at size 1.
    fn measured(&self, style: Style, c: char) -> (usize, f32) {
        *self.widths.borrow_mut().entry((style, c)).or_insert_with(|| {
            let chain: &[usize] = match style {
                Style::Body => &[REGULAR],
                Style::Bold => &[BOLD, REGULAR],
                Style::Mono => &[MONO, REGULAR],
            };
            let has = |face: &&usize| self.faces[**face].metrics.glyph_index(c).is_some();
            let face = chain.iter().find(has).copied().unwrap_or(REGULAR);
            let metrics = &self.faces[face].metrics;
            let glyph = metrics.glyph_index(c).unwrap_or_default();
            let advance = metrics.glyph_hor_advance(glyph).unwrap_or(0);
            (face, f32::from(advance) / f32::from(metrics.units_per_em()))
        })
    }

    /// Width of a text that was made fit to be shown.
    pub(super) fn width(&self, text: &str, style: Style, size: f32) -> f32 {
        text.chars().map(|c| self.measured(style, c).1).sum::<f32>() * size
    }

    /// The text cut where its font or its direction changes, with the width of each part.
    pub(super) fn runs(&self, text: &str, style: Style, size: f32) -> Vec<(Run, f32)> {
        let mut runs: Vec<(Run, f32)> = Vec::new();
        let mut last = (usize::MAX, false);
        for c in text.chars() {
            let (face, width) = self.measured(style, c);
            // Neutral characters stay with what is before them.
            let leftwards = if c.is_alphabetic() { is_leftwards(c) } else { last.1 };
            if (face, leftwards) != last || runs.is_empty() {
                runs.push((Run { face, text: String::new() }, 0.0));
            }
            last = (face, leftwards);
            if let Some((run, sum)) = runs.last_mut() {
                run.text.push(c);
                *sum += width * size;
            }
        }
        runs
    }

    /// Breaks a text into lines of at most `width`, at blanks, or within a word that is longer than a line.
    pub(super) fn lines(&self, text: &str, style: Style, size: f32, width: f32) -> Vec<String> {
        let shown = self.shown(text);
        let blank = self.width(" ", style, size);
        let mut lines = Vec::new();
        let (mut line, mut used) = (String::new(), 0.0);
        for word in shown.split(' ').filter(|word| !word.is_empty()) {
            for part in self.parts(word, style, size, width) {
                let wide = self.width(part, style, size);
                let begins_word = part.as_ptr() == word.as_ptr();
                let gap = if line.is_empty() || !begins_word { 0.0 } else { blank };
                // A part of a word goes on only on a line of its own, but for the first.
                if !line.is_empty() && (used + gap + wide > width || !begins_word) {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                } else if gap > 0.0 {
                    line.push(' ');
                    used += gap;
                }
                line.push_str(part);
                used += wide;
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// A word in parts that each fit, cut behind punctuation where there is some.
    fn parts<'a>(&self, word: &'a str, style: Style, size: f32, width: f32) -> Vec<&'a str> {
        let mut parts = Vec::new();
        // Where the part begins, how wide it is, and where it is best cut with the width up to there.
        let (mut from, mut used, mut good) = (0, 0.0, None);
        for (at, c) in word.char_indices() {
            let wide = self.measured(style, c).1 * size;
            if used + wide > width && at > from {
                let (cut, before) = good.take().unwrap_or((at, used));
                parts.push(&word[from..cut]);
                (from, used) = (cut, used - before);
            }
            used += wide;
            let end = at + c.len_utf8();
            if used > width / 2.0
                && matches!(c, '/' | '-' | '_' | '.' | ',' | ':' | ';' | '=' | '&')
            {
                good = Some((end, used));
            }
        }
        parts.push(&word[from..]);
        parts
    }

    /// Width of the longest word, and of the whole text on one line.
    pub(super) fn extent(&self, text: &str, style: Style, size: f32) -> (f32, f32) {
        let shown = self.shown(text);
        let word = shown.split(' ').map(|word| self.width(word, style, size)).fold(0.0, f32::max);
        (word, self.width(&shown, style, size))
    }
}

/// Whether a letter is written from right to left: Hebrew, Arabic, Syriac, Thaana and what follows them.
fn is_leftwards(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff)
}
