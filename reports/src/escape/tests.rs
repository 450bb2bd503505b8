use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

use super::*;
use crate::testkit::hostile;

fn is_one_visible_line(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

/// Everything in a Markdown text that is not plain text: links, images, HTML, emphasis, lists …
fn markup(text: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
        | Options::ENABLE_HEADING_ATTRIBUTES;
    Parser::new_ext(text, options)
        .filter(|event| {
            !matches!(
                event,
                Event::Text(_) | Event::Start(Tag::Paragraph) | Event::End(_) | Event::SoftBreak
            )
        })
        .map(|event| format!("{event:?}"))
        .collect()
}

/// The text that a reader of a Markdown text sees.
fn seen(text: &str) -> String {
    Parser::new_ext(text, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.into_string()),
            _ => None,
        })
        .collect::<String>()
        .replace('\u{2060}', "")
}

fn check(text: &str) {
    let shown = terminal(text);
    assert!(is_one_visible_line(&shown), "{text:?} -> {shown:?}");

    let page = format!("<p title=\"{0}\">{0}</p>", xml(text));
    let parsed =
        roxmltree::Document::parse(&page).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let element = parsed.root_element();
    assert_eq!(element.text().unwrap_or_default(), shown, "{text:?}");
    assert_eq!(element.attribute("title"), Some(shown.as_ref()), "{text:?}");
    assert_eq!(html(text), xml(text));

    let inline = markdown(text);
    assert_eq!(markup(&inline), Vec::<String>::new(), "{text:?} -> {inline:?}");
    let one_blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(one_blank(&seen(&inline)), one_blank(&shown), "{text:?} -> {inline:?}");

    let table = format!("| a | b |\n|---|---|\n| {} | {} |\n", inline, markdown_code(text));
    let cells = Parser::new_ext(&table, Options::ENABLE_TABLES)
        .filter(|event| matches!(event, Event::Start(Tag::TableCell)))
        .count();
    assert_eq!(cells, 4, "{text:?} -> {table}");
    let codes: Vec<String> = Parser::new_ext(&table, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Code(code) => Some(code.into_string()),
            _ => None,
        })
        .collect();
    if shown.trim().is_empty() {
        assert_eq!(codes, Vec::<String>::new());
    } else {
        assert_eq!(codes.len(), 1, "{text:?} -> {table}");
        assert_eq!(one_blank(&codes[0]), one_blank(&shown), "{text:?} -> {table}");
    }

    let log = ci_log(text);
    assert!(is_one_visible_line(&log));
    assert!(!log.trim_start().starts_with("::") && !log.contains("##"), "{text:?} -> {log:?}");
}

#[test]
fn no_hostile_string_does_anything() {
    let strings = hostile::strings();
    assert!(strings.len() >= 100, "{}", strings.len());
    for text in &strings {
        check(text);
        // The same, inside other text.
        check(&format!("a {text} b"));
        check(&format!("{text}{text}"));
    }
}

#[test]
fn what_was_hidden_becomes_visible() {
    assert_eq!(terminal("a\u{1b}[31mb"), "a\\u{1b}[31mb");
    assert_eq!(terminal("admin\u{202e}txt"), "admin\\u{202e}txt");
    assert_eq!(terminal("two\r\nlines\tand"), "two lines and");
    assert_eq!(terminal("größe 日本 🚀"), "größe 日本 🚀");
    assert_eq!(ci_log("::add-mask::x"), "\\::add-mask::x");
    assert_eq!(ci_log(" ##[group]x"), " #\\#[group]x");
    assert_eq!(ci_log("addr ::1"), "addr ::1");
}

#[test]
fn ordinary_text_stays_readable() {
    assert_eq!(
        markdown("restored 3.5 s after the fault (0.43 %)."),
        "restored 3.5 s after the fault (0.43 %)."
    );
    assert_eq!(markdown("reads: every read"), "reads: every read");
    assert_eq!(markdown("+5 s"), "+5 s");
    assert_eq!(markdown_code("a|b"), "`a\\|b`");
    assert_eq!(markdown_code("a`b"), "``a`b``");
    assert_eq!(markdown_code(""), "–");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_string_at_all_does_anything(text in "\\PC{0,40}") {
        check(&text);
    }

    #[test]
    fn no_crowd_of_special_characters_does_anything(
        text in "[-+*_`~<>&\\[\\]()!|:@#=.$\\\\/\"'^{}0-9a w\n\t\u{1b}\u{202e}\u{a0}]{0,24}"
    ) {
        check(&text);
    }
}
