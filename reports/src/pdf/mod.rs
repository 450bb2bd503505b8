//! The report as PDF: A4, fonts embedded, tagged for those who hear it (PDF/UA-1), fit to be archived (PDF/A-2a), with an
//! outline. The same run gives the same bytes.
//!
//! - [`fonts`] — what is measured and where lines break; [`layout`] and [`table`] — where everything is;
//! - [`paint`] — colours; here everything is handed to krilla, which refuses what the two standards forbid.

mod fonts;
mod layout;
mod paint;
mod table;

use std::io;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use drdrill_core::reporter::{Reporter, Run};
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::metadata::{DateTime as PdfDate, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineCap, LineJoin, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, Node, SpanTag, TableHeaderScope,
    Tag, TagGroup, TagKind, TagTree,
};
use krilla::text::TextDirection;
use krilla::{Document, SerializeSettings};

use crate::doc::{self, Doc};
use crate::svg::{Drawing, Element};
use fonts::{Fonts, Style};
use layout::{Kind, Layout, Mark, Op, PAGE, Placed, SIDE};
use paint::{Anchor, Colour};

/// Writes the whole report as PDF.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pdf;

impl Reporter for Pdf {
    fn file_name(&self) -> &'static str {
        "report.pdf"
    }

    fn render(&self, run: Run<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(&document(&doc::of_run(run))?)
    }
}

/// A document of blocks as PDF.
///
/// # Errors
/// When krilla refuses it, which would be a bug.
pub(crate) fn document(doc: &Doc) -> io::Result<Vec<u8>> {
    let fonts = Fonts::load().ok_or_else(|| io::Error::other("the fonts cannot be read"))?;
    let layout = Layout::of(doc, &fonts);
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    let settings = SerializeSettings { configuration, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let mut leaves: Vec<Vec<Identifier>> = vec![Vec::new(); layout.nodes.len()];
    let pages = layout.pages.len();
    for (number, placed) in layout.pages.iter().enumerate() {
        let settings = PageSettings::from_wh(PAGE.0, PAGE.1)
            .ok_or_else(|| io::Error::other("a page has no size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        paint_page(&mut surface, &fonts, placed, &mut leaves);
        foot(&mut surface, &fonts, &doc.foot, number + 1, pages);
    }
    let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
    for root in &layout.roots {
        if let Some(group) = group(&layout, &mut leaves, *root) {
            tree.push(group);
        }
    }
    document.set_tag_tree(tree);
    document.set_outline(outline(&layout.marks));
    document.set_metadata(metadata(doc, &fonts));
    document.finish().map_err(|error| io::Error::other(format!("{error:?}")))
}

fn paint_page(
    surface: &mut Surface<'_>,
    fonts: &Fonts,
    placed: &[Placed],
    leaves: &mut [Vec<Identifier>],
) {
    for one in placed {
        let tag = match (&one.op, one.node) {
            (_, None) => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)),
            (Op::Text { .. }, Some(_)) => ContentTag::Span(SpanTag::empty()),
            (Op::Fill { .. } | Op::Drawing { .. }, Some(_)) => ContentTag::Other,
        };
        let id = surface.start_tagged(tag);
        paint_op(surface, fonts, &one.op);
        surface.end_tagged();
        if let Some(node) = one.node {
            leaves[node].push(id);
        }
    }
}

fn paint_op(surface: &mut Surface<'_>, fonts: &Fonts, op: &Op) {
    match op {
        Op::Text { x, y, text, style, size, colour } => {
            words(surface, fonts, (*x, *y), text, (*style, *size), *colour);
        }
        Op::Fill { x, y, width, height, colour } => {
            rectangle(surface, (*x, *y), (*width, *height), *colour);
        }
        Op::Drawing { x, y, scale, drawing } => {
            surface.push_transform(&Transform::from_row(scale.0, 0.0, 0.0, scale.1, *x, *y));
            for element in &drawing.elements {
                paint_element(surface, fonts, drawing, element);
            }
            surface.pop();
        }
    }
}

fn paint_element(surface: &mut Surface<'_>, fonts: &Fonts, drawing: &Drawing, element: &Element) {
    match element {
        Element::Rect { class, x, y, width, height, .. } => {
            if let Some(colour) = paint::fill(&drawing.class, class) {
                let (x, y) = (paint::pt(*x), paint::pt(*y));
                rectangle(surface, (x, y), (paint::pt(*width), paint::pt(*height)), colour);
            }
        }
        Element::Path { class, data } => path(surface, &drawing.class, class, data),
        Element::Text { class, x, y, text } => {
            let (style, colour, anchor) = paint::text(class);
            let size = if class == "heat-word" { 10.0 } else { 11.0 };
            let text = fonts.shown(text);
            let width = fonts.width(&text, style, size);
            let x = paint::pt(*x)
                - match anchor {
                    Anchor::Start => 0.0,
                    Anchor::Middle => width / 2.0,
                    Anchor::End => width,
                };
            words(surface, fonts, (x, paint::pt(*y)), &text, (style, size), colour);
        }
    }
}

fn words(
    surface: &mut Surface<'_>,
    fonts: &Fonts,
    at: (f32, f32),
    text: &str,
    (style, size): (Style, f32),
    colour: Colour,
) {
    surface.set_stroke(None);
    surface.set_fill(Some(filled(colour)));
    let mut x = at.0;
    for (run, width) in fonts.runs(text, style, size) {
        let start = Point::from_xy(x, at.1);
        surface.draw_text(start, fonts.font(run.face), size, &run.text, false, TextDirection::Auto);
        x += width;
    }
}

fn rectangle(surface: &mut Surface<'_>, at: (f32, f32), size: (f32, f32), colour: Colour) {
    let Some(rect) = Rect::from_xywh(at.0, at.1, size.0, size.1) else { return };
    let mut builder = PathBuilder::new();
    builder.push_rect(rect);
    if let Some(path) = builder.finish() {
        surface.set_stroke(None);
        surface.set_fill(Some(filled(colour)));
        surface.draw_path(&path);
    }
}

fn path(surface: &mut Surface<'_>, drawing: &str, class: &str, data: &str) {
    let Some(path) = parse(data) else { return };
    if let Some(pen) = paint::pen(class) {
        surface.set_fill(None);
        surface.set_stroke(Some(Stroke {
            paint: rgb(pen.colour).into(),
            width: pen.width,
            line_cap: if pen.dashed { LineCap::Butt } else { LineCap::Round },
            line_join: LineJoin::Round,
            opacity: opacity(pen.colour),
            dash: pen.dashed.then(|| StrokeDash { array: vec![2.0, 3.0], offset: 0.0 }),
            ..Stroke::default()
        }));
    } else {
        let Some(colour) = paint::fill(drawing, class) else { return };
        surface.set_stroke(None);
        surface.set_fill(Some(filled(colour)));
    }
    surface.draw_path(&path);
}

/// The paths that our drawings consist of: `M`, `L`, `h`, `v` and `z`.
fn parse(data: &str) -> Option<krilla::geom::Path> {
    let mut builder = PathBuilder::new();
    let (mut x, mut y) = (0.0_f32, 0.0_f32);
    let mut rest = data;
    while let Some(command) = rest.chars().next() {
        rest = &rest[command.len_utf8()..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (numbers, after) = rest.split_at(end);
        let mut numbers = numbers.split(' ').filter_map(|number| number.parse::<f32>().ok());
        let mut next = || numbers.next();
        match command {
            'M' => {
                (x, y) = (next()?, next()?);
                builder.move_to(x, y);
            }
            'L' => {
                (x, y) = (next()?, next()?);
                builder.line_to(x, y);
            }
            'h' => {
                // A point is drawn as a very short line.
                let by = next()?;
                x += if by == 0.0 { 0.01 } else { by };
                builder.line_to(x, y);
            }
            'v' => {
                y += next()?;
                builder.line_to(x, y);
            }
            'z' => builder.close(),
            _ => return None,
        }
        rest = after;
    }
    builder.finish()
}

fn foot(surface: &mut Surface<'_>, fonts: &Fonts, text: &str, page: usize, pages: usize) {
    let y = PAGE.1 - 26.0;
    surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
    let number = format!("{page} of {pages}");
    let width = fonts.width(&number, Style::Body, 8.0);
    let lines = fonts.lines(text, Style::Body, 8.0, PAGE.0 - 2.0 * SIDE - 70.0);
    if let Some(line) = lines.first() {
        words(surface, fonts, (SIDE, y), line, (Style::Body, 8.0), paint::QUIET);
    }
    let right = PAGE.0 - SIDE - width;
    words(surface, fonts, (right, y), &number, (Style::Body, 8.0), paint::QUIET);
    surface.end_tagged();
}

fn rgb(colour: Colour) -> rgb::Color {
    rgb::Color::new(colour.0, colour.1, colour.2)
}

fn opacity(colour: Colour) -> NormalizedF32 {
    NormalizedF32::new(colour.3.clamp(0.0, 1.0)).unwrap_or(NormalizedF32::ONE)
}

fn filled(colour: Colour) -> Fill {
    Fill { paint: rgb(colour).into(), opacity: opacity(colour), ..Fill::default() }
}

/// A part of the document with all that belongs to it; `None` when nothing does.
fn group(layout: &Layout<'_>, leaves: &mut [Vec<Identifier>], node: usize) -> Option<TagGroup> {
    let mut children: Vec<Node> =
        std::mem::take(&mut leaves[node]).into_iter().map(Node::from).collect();
    for child in &layout.nodes[node].children {
        children.extend(group(layout, leaves, *child).map(Node::from));
    }
    let kind = &layout.nodes[node].kind;
    // An empty cell holds the place of its column.
    let holds_place = matches!(kind, Kind::Cell | Kind::RowHeading | Kind::ColumnHeading);
    (holds_place || !children.is_empty()).then(|| TagGroup::with_children(tag(kind), children))
}

fn tag(kind: &Kind) -> TagKind {
    match kind {
        Kind::Heading(level, title) => {
            let level = std::num::NonZeroU16::new(*level).unwrap_or(std::num::NonZeroU16::MIN);
            Tag::Hn(level, Some(title.clone())).into()
        }
        Kind::Paragraph => Tag::P.into(),
        Kind::List => Tag::L(ListNumbering::Disc).into(),
        Kind::Item => Tag::LI.into(),
        Kind::Bullet => Tag::Lbl.into(),
        Kind::Body => Tag::LBody.into(),
        Kind::Table(label) => Tag::Table.with_summary(Some(label.clone())).into(),
        Kind::Head => Tag::THead.into(),
        Kind::Rows => Tag::TBody.into(),
        Kind::Row => Tag::TR.into(),
        Kind::ColumnHeading => Tag::TH(TableHeaderScope::Column).into(),
        Kind::RowHeading => Tag::TH(TableHeaderScope::Row).into(),
        Kind::Cell => Tag::TD.into(),
        Kind::Figure(alt) => Tag::Figure(Some(alt.clone())).into(),
    }
}

/// Headings of level 2, with those of level 3 below them. The title is that of the document.
fn outline(marks: &[Mark]) -> Outline {
    let mut outline = Outline::new();
    let node = |mark: &Mark| {
        let at = XyzDestination::new(mark.page, Point::from_xy(SIDE, mark.y));
        OutlineNode::new(mark.text.clone(), at)
    };
    let mut open: Option<OutlineNode> = None;
    for mark in marks {
        match (mark.level, &mut open) {
            (3.., Some(parent)) => parent.push_child(node(mark)),
            _ => {
                if let Some(done) = open.replace(node(mark)) {
                    outline.push_child(done);
                }
            }
        }
    }
    if let Some(done) = open {
        outline.push_child(done);
    }
    outline
}

fn metadata(doc: &Doc, fonts: &Fonts) -> Metadata {
    let title: String = fonts.shown(&doc.title).chars().take(1_000).collect();
    let title = if title.trim().is_empty() { "drdrill".to_owned() } else { title };
    let at = DateTime::parse_from_rfc3339(&doc.date).map(|at| at.with_timezone(&Utc));
    // Something that is no date is that of nothing.
    let at = at.unwrap_or(DateTime::UNIX_EPOCH);
    let small = |number: u32| u8::try_from(number).unwrap_or(0);
    let date = PdfDate::new(u16::try_from(at.year()).unwrap_or(1970))
        .month(small(at.month()))
        .day(small(at.day()))
        .hour(small(at.hour()))
        .minute(small(at.minute()))
        .second(small(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    Metadata::new()
        .title(title)
        .language("en".to_owned())
        .creator(concat!("drdrill ", env!("CARGO_PKG_VERSION")).to_owned())
        .producer("drdrill".to_owned())
        .creation_date(date)
}

#[cfg(test)]
mod tests;
