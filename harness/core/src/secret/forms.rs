//! The forms in which a secret may turn up in a text.
//!
//! Whole encodings (base64, hexadecimal) are made beforehand and looked for. Escapes are undone while looking, one
//! character at a time, because programs do not agree which characters they escape.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shortest part of a secret, or form of one, that is looked for, in bytes: shorter ones are found in ordinary text.
const SHORTEST_PART: usize = 6;

/// All that is looked for of one secret.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Forms {
    /// The secret, and the parts of it that are secrets by themselves: escaped in whatever way.
    parts: Vec<Vec<u8>>,
    /// Encodings, as they are.
    encoded: Vec<String>,
}

impl Forms {
    pub(super) fn of(secret: &str) -> Self {
        let parts = parts(secret);
        let mut encoded: Vec<String> = parts.iter().flat_map(|part| encodings(part)).collect();
        encoded.retain(|form| form.len() >= SHORTEST_PART);
        Self { parts: parts.into_iter().map(String::into_bytes).collect(), encoded }
    }

    /// How many bytes at the beginning of `text` are the secret, in the longest of its forms; 0 when none are.
    pub(super) fn found_at(&self, text: &str) -> usize {
        let encoded = self.encoded.iter().filter(|form| text.starts_with(form.as_str()));
        let encoded = encoded.map(String::len);
        let escaped = self.parts.iter().filter_map(|part| escaped_length(text, part));
        encoded.chain(escaped).max().unwrap_or(0)
    }
}

/// The secret, and what in it is one without the rest: the token behind `Bearer`, the password behind `Basic`, the
/// value of each cookie.
fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    if let Some((scheme, token)) = secret.split_once(' ')
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        parts.push(token.trim().to_owned());
    }
    for pair in secret.split([';', ',', '&']) {
        if let Some((_, value)) = pair.split_once('=') {
            parts.push(value.trim_matches([' ', '"', '=']).to_owned());
        }
    }
    let passwords: Vec<String> = parts.iter().filter_map(|part| password_in(part)).collect();
    parts.extend(passwords);
    parts.retain(|part| part.len() >= SHORTEST_PART);
    parts
}

/// The password in `user:password` as base64.
fn password_in(part: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(part).ok()?).ok()?;
    let (_, password) = text.split_once(':')?;
    (!password.contains(char::is_control)).then(|| password.to_owned())
}

fn encodings(part: &str) -> Vec<String> {
    let bytes = part.as_bytes();
    let mut forms = vec![hex::encode(bytes), hex::encode_upper(bytes)];
    for shift in 0..3 {
        forms.push(base64_inside(&STANDARD_NO_PAD, bytes, shift));
        forms.push(base64_inside(&URL_SAFE_NO_PAD, bytes, shift));
    }
    forms
}

/// The characters that are the same in every base64 text that holds `bytes` at `shift` from a multiple of three. What is
/// left out at either end says at most four bits.
fn base64_inside(engine: &impl base64::Engine, bytes: &[u8], shift: usize) -> String {
    let mut padded = vec![0; shift];
    padded.extend(bytes);
    let text = engine.encode(&padded);
    let (from, to) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    text.get(from..to).unwrap_or_default().to_owned()
}

/// How much of `text` it takes to say all of `part`, escaped or not; `None` when something else is said.
fn escaped_length(text: &str, part: &[u8]) -> Option<usize> {
    let (mut text_left, mut part_left) = (text.as_bytes(), part);
    while !part_left.is_empty() {
        let (taken, said) = one(text_left, part_left)?;
        text_left = text_left.get(taken..)?;
        part_left = part_left.get(said..)?;
    }
    Some(text.len() - text_left.len())
}

/// Reads one byte of `part`, or one escaped character, from the beginning of `text`: how long it is in each.
fn one(text: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    let (first, wanted) = (*text.first()?, *part.first()?);
    let escaped = match first {
        b'%' => percent(text, wanted),
        b'\\' => backslash(text, part),
        b'&' => entity(text, part),
        b'+' if wanted == b' ' => Some((1, 1)),
        _ => None,
    };
    escaped.or_else(|| (first == wanted).then_some((1, 1)))
}

/// `%2F`
fn percent(text: &[u8], wanted: u8) -> Option<(usize, usize)> {
    let byte = u8::try_from(number(text.get(1..3)?, 16)?).ok()?;
    (byte == wanted).then_some((3, 1))
}

/// `\"`, `\/`, and `\u002f`, of which a character beyond the first plane takes two.
fn backslash(text: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    if *text.get(1)? != b'u' {
        return (text.get(1) == part.first()).then_some((2, 1));
    }
    let unit = |at: usize| u16::try_from(number(text.get(at..at + 4)?, 16)?).ok();
    let high = unit(2)?;
    let low = text.get(6..8).filter(|escape| *escape == br"\u").and_then(|_| unit(8));
    let is_pair = (0xd800..0xdc00).contains(&high);
    let (units, length) = if is_pair { (vec![high, low?], 12) } else { (vec![high], 6) };
    character(char::decode_utf16(units).next()?.ok()?, length, part)
}

/// `&amp;`, `&#38;` and `&#x26;`
fn entity(text: &[u8], part: &[u8]) -> Option<(usize, usize)> {
    const LONGEST: usize = 10;
    let end = text.iter().take(LONGEST).position(|byte| *byte == b';')?;
    let c = match text.get(1..end)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        _ => return None,
    };
    character(c, end + 1, part)
}

/// Whether `part` begins with `c`, which took `length` bytes of the text.
fn character(c: char, length: usize, part: &[u8]) -> Option<(usize, usize)> {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    part.starts_with(bytes).then_some((length, bytes.len()))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    // Rust reads a sign as well.
    digits.starts_with(|c: char| c.is_ascii_hexdigit()).then_some(())?;
    u32::from_str_radix(digits, radix).ok()
}
