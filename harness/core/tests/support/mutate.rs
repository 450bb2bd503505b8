//! Spoils files in all the ways that people, editors and attackers do. The same seed spoils in the same way.
//!
//! Shared with the fuzz targets in `fuzz/`, and so without a dependency.

/// No spoilt file is longer, in bytes. Source: undo-and-security goals, S1.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Words, values and punctuation that mean something to YAML or to drdrill, or nearly do.
const WORDS: &[&str] = &[
    "scenario",
    "title",
    "kind",
    "simulated",
    "full",
    "tabletop",
    "targets",
    "rto",
    "rpo",
    "rlo",
    "probes",
    "every",
    "deadline",
    "samples",
    "faults",
    "at",
    "inject",
    "site_loss",
    "network_down",
    "process_kill",
    "process_stop",
    "disk_full",
    "component",
    "grace",
    "leave",
    "at_most",
    "pid_file",
    "start",
    "on",
    "primary",
    "dr",
    "recovery",
    "failover",
    "built_in",
    "own",
    "none",
    "give_up_after",
    "verify",
    "data_access",
    "soak",
    "failback",
    "shift",
    "hold",
    "stop_when",
    "probe",
    "success_below",
    "over",
    "environment",
    "provider",
    "lab",
    "host",
    "services",
    "name",
    "tier",
    "measure",
    "sustained",
    "machinery",
    "monitor",
    "production",
    "pin",
    "machine_id",
    "hostname",
    "http",
    "url",
    "contains",
    "headers",
    "Authorization",
    "env",
    "file",
    "window",
    "days",
    "mon",
    "from",
    "to",
    "24:00",
    "timezone",
    "Europe/Berln",
    "http://a:b@c/",
    "http://0x7f.1/?token=a",
    "http://[fe80::1%25eth0]/",
    "[::ffff:a9fe:a9fe]:80",
    "1h",
    "15min",
    "80%",
    "-1s",
    "1e999s",
    "0ms",
    "18446744073709551616ms",
    "NaN%",
    "inf",
    "-0",
    "0x10",
    "0b1",
    "1_000",
    "9999999999999999999999",
    "1e400",
    ".nan",
    ".inf",
    "null",
    "~",
    "true",
    "yes",
    "2026-11-21",
    "=",
    "<<",
    "<<: *a",
    "&a",
    "*a",
    "!!binary",
    "!!str",
    "!!set",
    "!!omap",
    "!local",
    "!<tag:yaml.org,2002:int>",
    "|",
    ">",
    "|9-",
    ">+",
    "---",
    "...",
    "%YAML 1.2",
    "%TAG ! tag:x,2000:",
    "? ",
    "- ",
    ": ",
    ", ",
    "[",
    "]",
    "{",
    "}",
    "#",
    "\"",
    "'",
    "\\",
    "\"\\x00\"",
    "\"\\ud800\"",
    "\"\\U00110000\"",
    "\t",
    "\r",
    "\r\n",
    "\n",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "ü",
    "日本語",
    "🚀",
    "e\u{301}",
];

/// Bytes that are no text, or no whole one.
const BYTES: &[u8] =
    &[0x00, 0x01, 0x09, 0x0a, 0x0d, 0x1b, 0x7f, 0x80, 0xbf, 0xc0, 0xc3, 0xed, 0xf4, 0xff];

/// A generator of numbers that are as good as random (`SplitMix64`, Steele et al. 2014).
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// One of them.
    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// A range inside `length`, mostly a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { 8.min(length - start) };
        start..start + self.below(most + 1)
    }
}

/// Spoils a file once or a few times.
pub(crate) fn mutate(seed: u64, file: &[u8]) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut file = file.to_vec();
    for _ in 0..=dice.below(4) {
        once(&mut dice, &mut file);
        file.truncate(LONGEST);
    }
    file
}

fn once(dice: &mut Dice, file: &mut Vec<u8>) {
    match dice.below(8) {
        0..=1 => bytes(dice, file),
        2..=4 => tokens(dice, file),
        5..=6 => lines(dice, file),
        _ => attack(dice, file),
    }
}

fn bytes(dice: &mut Dice, file: &mut Vec<u8>) {
    let at = dice.below(file.len() + 1);
    let range = dice.range(file.len());
    match dice.below(7) {
        0 => {
            if let Some(byte) = file.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => {
            if let Some(byte) = file.get_mut(at) {
                *byte = dice.pick(BYTES);
            }
        }
        2 => file.insert(at, dice.pick(BYTES)),
        3 => drop(file.drain(range)),
        4 => {
            let copy = file[range].to_vec();
            file.splice(at..at, copy);
        }
        5 => file.truncate(at),
        _ => file[range].reverse(),
    }
}

/// Where words, and what stands between them, begin and end.
pub(crate) fn tokens_of(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%' | b'.');
    let mut tokens = Vec::new();
    let mut start = 0;
    for at in 1..=file.len() {
        if at == file.len() || !(word(file[at]) && word(file[at - 1])) {
            tokens.push(start..at);
            start = at;
        }
    }
    tokens
}

fn tokens(dice: &mut Dice, file: &mut Vec<u8>) {
    let tokens = tokens_of(file);
    if tokens.is_empty() {
        return;
    }
    let one = dice.pick(&tokens);
    let other = file[dice.pick(&tokens)].to_vec();
    let word = dice.pick(WORDS).bytes();
    match dice.below(6) {
        0..=1 => drop(file.splice(one, word)),
        2 => drop(file.splice(one, other)),
        3 => drop(file.splice(one.start..one.start, word)),
        4 => drop(file.drain(one)),
        _ => drop(file.splice(one.start..one.start, other)),
    }
}

fn lines(dice: &mut Dice, file: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = file.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let one = dice.below(lines.len());
    let other = dice.below(lines.len());
    match dice.below(6) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => drop(lines[one].splice(0..0, vec![dice.pick(b" \t-?#"); 1 + dice.below(4)])),
        4 => lines[one] = lines[one].iter().copied().skip_while(|&byte| byte == b' ').collect(),
        _ => lines[one].push(b'\r'),
    }
    *file = lines.join(&b'\n');
}

/// What nobody writes by mistake, put somewhere into the file or in its place.
fn attack(dice: &mut Dice, file: &mut Vec<u8>) {
    let length = 1 << dice.below(17);
    let what = match dice.below(13) {
        0 => repeat(
            dice.pick(&["[", "{", "- ", "? ", "[{", "{a: ", "a: [", "(", "]", "}", "\"", "'"]),
            length,
        ),
        1 => aliases(dice),
        2 => repeat(
            dice.pick(&["x", "9", "ü", "\\", "\\x41", " ", "\n", "a: ", "&a ", "*a ", "!x "]),
            length,
        ),
        3 => nested(dice.below(2000)),
        4 => b"\xef\xbb\xbf".to_vec(),
        5 => b"\xff\xfe\x00".to_vec(),
        6 => b"\xed\xa0\x80".to_vec(),
        7 => vec![0; length],
        8 => repeat("k: v\n", length / 5),
        9 => (0..length / 12).flat_map(|n| format!("key{n}: v{n}\n").into_bytes()).collect(),
        10 => {
            *file = String::from_utf8_lossy(file).replace('\n', "\r\n").into_bytes();
            return;
        }
        11 => {
            *file = String::from_utf8_lossy(file).replace('\n', "\r").into_bytes();
            return;
        }
        _ => b"\n---\n".to_vec(),
    };
    match dice.below(4) {
        0 => *file = what,
        1 => file.extend(what),
        2 => drop(file.splice(0..0, what)),
        _ => {
            let at = dice.below(file.len() + 1);
            file.splice(at..at, what);
        }
    }
}

fn repeat(text: &str, length: usize) -> Vec<u8> {
    text.bytes().cycle().take(length).collect()
}

/// A value in a value in a value, indented as people do.
fn nested(depth: usize) -> Vec<u8> {
    let depth = depth.min(300);
    (0..depth).flat_map(|n| format!("{:n$}a:\n", "").into_bytes()).collect()
}

/// Every level is nine times the one before: "billion laughs".
fn aliases(dice: &mut Dice) -> Vec<u8> {
    let level = |level: usize| {
        let below = format!("*a{}, ", level - 1).repeat(9);
        format!("a{level}: &a{level} [{below}]\n")
    };
    let levels: String = (1..=dice.below(12)).map(level).collect();
    format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{levels}").into_bytes()
}
