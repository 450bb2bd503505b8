//! Hostile strings in every text field of a report, and what second parsers make of it. Beside the tests of the
//! single functions, because the sample run exists in tests of this crate only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use drdrill_core::reporter::{Reporter, Run};
use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use pulldown_cmark::{Event, Options, Parser};

use crate::testkit::{Case, Fixture, hostile, poison};
use crate::{Html, Look, Markdown, summary_table};

/// Least number of strings for a whole report.
const LEAST: usize = 200;

/// Controls, marks of direction, invisible characters and code points that are no characters, written down here once
/// more and not taken from the code under test.
fn unwanted() -> BTreeSet<char> {
    let ranges: [(u32, u32); 20] = [
        (0x00, 0x1f),       // C0
        (0x7f, 0x9f),       // DEL and C1
        (0xad, 0xad),       // soft hyphen
        (0x34f, 0x34f),     // combining grapheme joiner
        (0x61c, 0x61c),     // Arabic letter mark
        (0x115f, 0x1160),   // Hangul fillers
        (0x17b4, 0x17b5),   // Khmer inherent vowels
        (0x180b, 0x180f),   // Mongolian selectors
        (0x200b, 0x200f),   // zero width, left-to-right and right-to-left mark
        (0x2028, 0x202e),   // separators, embeddings and overrides
        (0x2060, 0x206f),   // joiner, invisible operators, isolates
        (0x3164, 0x3164),   // Hangul filler
        (0xfe00, 0xfe0f),   // variation selectors
        (0xfeff, 0xfeff),   // byte order mark
        (0xffa0, 0xffa0),   // halfwidth Hangul filler
        (0xfff9, 0xfffb),   // interlinear annotation
        (0xfdd0, 0xfdd3),   // no characters, as are those below
        (0x1bca0, 0x1bca3), // shorthand format controls
        (0x1d173, 0x1d17a), // musical format controls
        (0xe0001, 0xe0041), // tags
    ];
    let last_two = (0..=0x10_u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let supplement = [0xe0100, 0xe01ef];
    let all = ranges.into_iter().flat_map(|(from, to)| from..=to).chain(last_two).chain(supplement);
    all.filter_map(char::from_u32).collect()
}

/// What a CI system takes for a command when it begins a line.
const COMMANDS: [&str; 18] = [
    "::error::x",
    "::error file=a,line=1::x",
    "::warning::x",
    "::notice::x",
    "::debug::x",
    "::group::x",
    "::endgroup::",
    "::add-mask::x",
    "::set-env name=PATH::x",
    "::set-output name=a::x",
    "::save-state name=a::x",
    "::add-path::/tmp",
    "::add-matcher::x.json",
    "::stop-commands::x",
    "::echo::on",
    "##[error]x",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[buildStop]",
];

/// What could make a command begin a line.
const BEFORE: [&str; 13] = [
    "", " ", "\t", "\n", "\r", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{feff}",
    "\u{200b}", "\u{a0}",
];

const MORE: &[&str] = &[
    "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
    "\u{1b}P1$r0m\u{1b}\\",
    "\u{1b}_Gf=100;AAAA\u{1b}\\",
    "\u{1b}[6n",
    "\u{1b}[8;1;1t",
    "\u{9d}0;title\u{9c}",
    "\u{1b}\u{1b}\u{1b}",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<svg><style><img src=x onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<template><script>alert(1)</script>",
    "<plaintext>",
    "<textarea>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<object data=x>",
    "<input autofocus onfocus=alert(1)>",
    "<x\u{0}y onclick=alert(1)>",
    "<img\u{c}src=x\u{c}onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "'><svg/onload=alert(1)>",
    "--!><svg onload=alert(1)>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "&#x3c;script&#x3e;",
    "&#0;&#xfffe;&#x1b;",
    "&xxe;",
    "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>&b;",
    "<?xml version=\"1.0\"?>",
    "<?xml-stylesheet href=\"//evil.example\"?>",
    "\u{ff1c}script\u{ff1e}",
    "[a](javascript:alert(1))",
    "[a](<javascript:alert(1)>)",
    "![a](//evil.example/x.png \"t\")",
    "[![a](b)](c)",
    "[a]: <//evil.example> 'title'",
    "[a][]\n\n[a]: //evil.example",
    "<javascript:alert(1)>",
    "<a@evil.example>",
    "a  \nhard break",
    "a\\\nhard break",
    "\n\n# heading\n\n",
    "\n\n***\n\n",
    "\n\n    code\n\n",
    "\n\n```sh\nrm -rf /\n```\n\n",
    "\n\n| a |\n|---|\n| b |\n\n",
    "\n\n<div>\n\n",
    "\n\n> quote\n\n",
    "\n\n- list\n\n",
    "\n\n[^x]: note\n\n[^x]",
    "\\[not escaped](//evil.example)",
    "\\\\[twice](//evil.example)",
    "`unclosed <b>",
    "`` ` ``",
    "a`|`b",
    "a\\`|\\`b",
    "*a **b _c __d ~~e ~f",
    "==mark==",
    "> [!WARNING]\n> x",
    "term\n: definition",
    "\u{5d0}\u{5d1} (1) \u{5d2}",
    "\u{627}\u{644} 1-2-3 <b>",
];

/// At least 200 different ones.
fn strings() -> Vec<String> {
    let mut all = hostile::strings();
    all.extend(MORE.iter().map(ToString::to_string));
    let unwanted: Vec<char> = unwanted().into_iter().collect();
    all.extend(unwanted.chunks(16).map(|some| some.iter().flat_map(|c| ['a', *c]).collect()));
    for (at, command) in COMMANDS.iter().enumerate() {
        let before = BEFORE.iter().cycle().skip(at).take(4);
        all.extend(before.map(|before| format!("{before}{command}")));
    }
    all.push(format!("a{}", "\u{301}".repeat(1_000)));
    all.push("o\u{489}\u{335}\u{35f}\u{321}\u{300}\u{301}\u{302}\u{303}\u{304}".repeat(20));
    all.push("<b>&\"'`|*_[]()!#\u{1b}\u{202e}\u{fffe}".repeat(200));
    all.push("[".repeat(5_000));
    all.push(format!("<{}", "a b=c ".repeat(1_000)));
    all.sort();
    all.dedup();
    all
}

/// The same string without anything in it that could do something: as long, and with as many lines.
fn harmless(text: &str) -> String {
    let calm = |c: char| match c {
        // A blank does nothing, but a field of blanks is shown as a dash.
        ' ' | '\n' | '\r' | '\u{a0}' => c,
        c if c.is_ascii_alphanumeric() => c,
        _ => 'x',
    };
    text.chars().map(calm).collect()
}

/// A short run with `text` wherever a foreign string can be.
fn poisoned(text: &str) -> Fixture {
    static CLEAN: OnceLock<Fixture> = OnceLock::new();
    let mut fixture = CLEAN.get_or_init(|| Fixture::with_rate(Case::Failed, 2)).clone();
    poison::record(&mut fixture.record, text);
    poison::history(&mut fixture.history, text);
    fixture
}

fn rendered(reporter: &dyn Reporter, text: &str) -> String {
    let fixture = poisoned(text);
    let mut out = Vec::new();
    let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
    reporter.render(run, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Elements, attributes, comments and processing instructions, and how often there are any.
fn html_shape(page: &str) -> BTreeMap<String, usize> {
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    let mut shape = BTreeMap::new();
    let mut open: Vec<Handle> = vec![dom.document.clone()];
    while let Some(node) = open.pop() {
        let mut count = |what: String| *shape.entry(what).or_default() += 1;
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                count(name.local.to_string());
                for one in attrs.borrow().iter() {
                    count(format!("{} {}", name.local, one.name.local));
                }
            }
            NodeData::Comment { .. } => count("a comment".to_owned()),
            NodeData::ProcessingInstruction { .. } => count("an instruction".to_owned()),
            _ => {}
        }
        open.extend(node.children.borrow().iter().cloned());
    }
    // A label that has no room is left out of a drawing, and what was hidden takes more room when it is shown.
    shape.retain(|what, _| what != "text" && !what.starts_with("text "));
    shape
}

/// Everything but text: links, images, headings, tables, HTML, emphasis …, in its order.
fn markdown_shape(text: &str) -> Vec<String> {
    let events = Parser::new_ext(text, Options::all()).filter_map(|event| match event {
        Event::Text(_) | Event::SoftBreak => None,
        Event::Code(_) => Some("code".to_owned()),
        other => Some(format!("{other:?}")),
    });
    events.collect()
}

#[track_caller]
fn no_line_is_a_command(text: &str, page: &str) {
    let odd = page.lines().find(|line| line.trim_start().starts_with("::"));
    assert_eq!(odd, None, "{text:?}");
}

/// Nothing unwanted but `ours`.
#[track_caller]
fn all_is_visible(text: &str, page: &str, ours: &str) {
    static UNWANTED: OnceLock<BTreeSet<char>> = OnceLock::new();
    let unwanted = UNWANTED.get_or_init(unwanted);
    let visible = |c: char| c.is_ascii_graphic() || c == ' ' || ours.contains(c);
    let odd = page.chars().find(|&c| !visible(c) && unwanted.contains(&c));
    assert_eq!(odd, None, "{text:?}");
}

/// Most marks on top of each other that a reader is shown; more of them paint over other lines.
fn highest_stack(page: &str) -> usize {
    let mut highest = 0;
    let mut stack = 0;
    for c in page.chars() {
        let is_mark = matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x489);
        stack = if is_mark { stack + 1 } else { 0 };
        highest = highest.max(stack);
    }
    highest
}

/// Runs `check` on all strings, on both cores.
fn each(check: impl Fn(&str) + Sync) {
    let all = strings();
    assert!(all.len() >= LEAST, "{}", all.len());
    let (even, odd): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    std::thread::scope(|scope| {
        for half in [even, odd] {
            scope.spawn(|| half.into_iter().for_each(|(_, text)| check(text)));
        }
    });
}

#[test]
fn every_unwanted_character_is_shown_by_its_number() {
    for c in unwanted() {
        let shown = super::terminal(&format!("a{c}b")).into_owned();
        let number = format!("a\\u{{{:x}}}b", u32::from(c));
        assert!(shown == number || shown == "a b", "{c:?}: {shown:?}");
        assert_eq!(shown == "a b", "\t\n\r\u{85}\u{2028}\u{2029}".contains(c), "{c:?}: {shown:?}");
    }
}

#[test]
fn marks_go_on_top_of_each_other_up_to_four() {
    let shown =
        |marks: usize| super::terminal(&format!("o{}", "\u{301}".repeat(marks))).into_owned();
    assert_eq!(shown(4), format!("o{}", "\u{301}".repeat(4)));
    assert_eq!(shown(6), format!("o{}\\u{{301}}\\u{{301}}", "\u{301}".repeat(4)));
    assert_eq!(super::terminal("\u{5e9}\u{5b8}\u{5c1}\u{596}"), "\u{5e9}\u{5b8}\u{5c1}\u{596}");
}

#[test]
fn no_string_adds_an_element_or_an_attribute_to_the_page() {
    assert!(rendered(&Html, "calm").matches("calm").count() > 100);
    each(|text| {
        let page = rendered(&Html, text);
        let harmless = rendered(&Html, &harmless(text));
        assert_eq!(html_shape(&page), html_shape(&harmless), "{text:?}");
        all_is_visible(text, &page, "\n");
        assert!(highest_stack(&page) <= super::MOST_MARKS, "{text:?}");
        no_line_is_a_command(text, &page);
    });
}

#[test]
fn no_string_adds_a_link_an_image_a_heading_or_html_to_markdown() {
    assert!(rendered(&Markdown, "calm").matches("calm").count() > 50);
    each(|text| {
        let page = rendered(&Markdown, text);
        let harmless = rendered(&Markdown, &harmless(text));
        let (found, expected) = (markdown_shape(&page), markdown_shape(&harmless));
        let at = found.iter().zip(&expected).position(|(a, b)| a != b);
        let around = at.map(|at| (&found[at], &expected[at]));
        assert!(found == expected, "{text:?}: {around:?}, {} {}", found.len(), expected.len());
        // The word joiner is ours: it keeps names from being recognised.
        all_is_visible(text, &page, "\n\u{2060}");
        no_line_is_a_command(text, &page);
    });
}

#[test]
fn no_string_reaches_a_terminal_or_a_log_as_more_than_visible_text() {
    each(|text| {
        let record = poisoned(text).record;
        for look in [Look::terminal(80, false), Look::plain()] {
            let page = summary_table(&record, look, Some(std::path::Path::new(text)));
            all_is_visible(text, &page, "\n");
            assert!(highest_stack(&page) <= super::MOST_MARKS, "{text:?}");
            no_line_is_a_command(text, &page);
            // A log is never boxed.
            assert!(look.boxes || !page.contains("##["), "{text:?}");
        }
    });
}
