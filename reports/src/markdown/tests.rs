use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

use super::*;
use crate::recommend;
use crate::testkit::{Case, Fixture, hostile, poison};

fn rendered(fixture: &Fixture) -> String {
    let run = Run { record: &fixture.record, history: &fixture.history, doubt: None };
    let mut out = Vec::new();
    Markdown.render(run, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(
        text,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    )
}

/// Everything but text, as a list of what opens: the shape of a document.
fn shape(text: &str) -> Vec<String> {
    parsed(text)
        .filter_map(|event| match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) => {
                Some(format!("fence {kind}"))
            }
            Event::Start(tag) => Some(format!("{tag:?}")),
            Event::Html(html) | Event::InlineHtml(html) => Some(format!("HTML {html}")),
            _ => None,
        })
        .collect()
}

#[test]
fn the_whole_report() {
    for (case, name) in Case::ALL {
        let mut fixture = Fixture::build(case);
        fixture.record.recommendations = recommend(&fixture.record);
        insta::assert_snapshot!(format!("markdown_{name}"), rendered(&fixture));
    }
}

#[test]
fn no_link_no_image_no_html() {
    for (case, _) in Case::ALL {
        let text = rendered(&Fixture::build(case));
        for part in shape(&text) {
            let forbidden = ["Link", "Image", "HTML", "Strikethrough", "FootnoteDefinition"];
            assert!(!forbidden.iter().any(|word| part.starts_with(word)), "{part}");
        }
    }
}

#[test]
fn every_row_has_as_many_cells_as_its_table() {
    let text = rendered(&Fixture::build(Case::Failed));
    let unescaped = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut columns = None;
    for line in text.lines() {
        if line.starts_with('|') {
            assert_eq!(*columns.get_or_insert(unescaped(line)), unescaped(line), "{line}");
        } else {
            columns = None;
        }
    }
}

#[test]
fn hostile_strings_do_not_change_the_shape() {
    let shape_of = |text: &str| {
        let mut fixture = Fixture::build(Case::Failed);
        poison::record(&mut fixture.record, text);
        poison::history(&mut fixture.history, text);
        shape(&rendered(&fixture))
    };
    let calm = shape_of("calm");
    for text in hostile::strings() {
        assert_eq!(shape_of(&text), calm, "{text:?}");
    }
}
