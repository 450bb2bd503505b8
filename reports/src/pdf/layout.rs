//! Blocks become lines at places on pages, each known by the part of the document that it belongs to.

use std::sync::Arc;

use super::fonts::{Fonts, Style};
use super::paint::{self, Colour};
use super::table;
use crate::doc::{Block, Doc};
use crate::svg::Drawing;

/// A4, in points.
pub(super) const PAGE: (f32, f32) = (595.28, 841.89);
/// Left and right of the text.
pub(super) const SIDE: f32 = 46.0;
/// Above it.
const HEAD: f32 = 48.0;
/// Below it.
const FOOT: f32 = 54.0;
/// Width of the text.
pub(super) const WIDTH: f32 = PAGE.0 - 2.0 * SIDE;
/// Size of running text.
const BODY: f32 = 9.5;
const LEADING: f32 = 1.42;

/// A part of the document as those hear it who do not see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Heading(u16, String),
    Paragraph,
    List,
    Item,
    Bullet,
    Body,
    Table(String),
    Head,
    Rows,
    Row,
    ColumnHeading,
    RowHeading,
    Cell,
    Figure(String),
}

/// A part, with the parts that it consists of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) children: Vec<usize>,
}

/// Something on a page.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A line of text that was made fit to be shown, with its base line at `y`.
    Text { x: f32, y: f32, text: String, style: Style, size: f32, colour: Colour },
    /// A filled rectangle.
    Fill { x: f32, y: f32, width: f32, height: f32, colour: Colour },
    /// A drawing.
    Drawing { x: f32, y: f32, scale: (f32, f32), drawing: Arc<Drawing> },
}

/// Something on a page, and the part that it belongs to; `None` for what only looks nice.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) node: Option<usize>,
    pub(super) op: Op,
}

/// An entry of the outline.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) level: u16,
    pub(super) text: String,
    pub(super) page: usize,
    pub(super) y: f32,
}

/// Pages in the making.
pub(super) struct Layout<'a> {
    pub(super) fonts: &'a Fonts,
    pub(super) pages: Vec<Vec<Placed>>,
    pub(super) nodes: Vec<Node>,
    pub(super) roots: Vec<usize>,
    pub(super) marks: Vec<Mark>,
    /// How far down the last page is used.
    pub(super) y: f32,
}

impl<'a> Layout<'a> {
    /// Lays a whole report out.
    pub(super) fn of(doc: &Doc, fonts: &'a Fonts) -> Self {
        let mut layout = Self {
            fonts,
            pages: vec![Vec::new()],
            nodes: Vec::new(),
            roots: Vec::new(),
            marks: Vec::new(),
            y: HEAD,
        };
        layout.head(doc);
        for (number, block) in doc.blocks.iter().enumerate() {
            if let (Block::Heading(..), Some(Block::Drawing(drawing))) =
                (block, doc.blocks.get(number + 1))
            {
                // A heading goes with its drawing.
                layout.need(scaled(drawing).1 + 50.0);
            }
            layout.block(block);
        }
        layout
    }

    fn head(&mut self, doc: &Doc) {
        if let Some((verdict, text)) = &doc.badge {
            let colour = paint::verdict(*verdict);
            let width = self.fonts.width(&self.fonts.shown(text), Style::Bold, 10.0) + 18.0;
            self.place(
                None,
                Op::Fill { x: SIDE, y: self.y, width, height: 20.0, colour: paint::soft(*verdict) },
            );
            let node = self.root(Kind::Paragraph);
            let (x, y) = (SIDE + 9.0, self.y + 13.8);
            self.line(node, text, x, y, Style::Bold, 10.0, colour);
            self.y += 28.0;
        }
        self.heading(1, &doc.title);
        let node = self.root(Kind::Paragraph);
        self.text(node, &doc.lead, (SIDE, WIDTH), Style::Body, 11.0, paint::INK);
        self.y += 6.0;
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(level, _, text) => self.heading(u16::from(*level), text),
            Block::Text(text) => {
                let node = self.root(Kind::Paragraph);
                self.text(node, text, (SIDE, WIDTH), Style::Body, BODY, paint::INK);
                self.y += 4.0;
            }
            Block::Notice(verdict, text) => {
                let node = self.root(Kind::Paragraph);
                self.text(
                    node,
                    text,
                    (SIDE + 10.0, WIDTH - 10.0),
                    Style::Bold,
                    BODY,
                    paint::verdict(*verdict),
                );
                self.y += 4.0;
            }
            Block::List(points) => self.list(points),
            Block::Table(table) => {
                table::table(self, table);
                self.y += 6.0;
            }
            Block::Drawing(drawing) => self.drawing(drawing),
            Block::Commands(commands) => {
                for command in commands {
                    let node = self.root(Kind::Paragraph);
                    self.text(
                        node,
                        command,
                        (SIDE + 10.0, WIDTH - 10.0),
                        Style::Mono,
                        8.0,
                        paint::INK,
                    );
                }
                self.y += 4.0;
            }
        }
    }

    fn heading(&mut self, level: u16, text: &str) {
        let (size, before) = match level {
            1 => (20.0, 0.0),
            2 => (13.0, 14.0),
            _ => (10.5, 9.0),
        };
        // A heading at the foot of a page heads nothing.
        self.need(before + size * 1.3 + 64.0);
        if self.y > HEAD {
            self.y += before;
        }
        let shown = self.fonts.shown(text).into_owned();
        let node = self.root(Kind::Heading(level, clipped(&shown)));
        let page = self.pages.len() - 1;
        self.marks.push(Mark { level, text: clipped(&shown), page, y: self.y - 4.0 });
        self.text(node, text, (SIDE, WIDTH), Style::Bold, size, paint::INK);
        self.y += 4.0;
    }

    fn list(&mut self, points: &[String]) {
        let list = self.root(Kind::List);
        for point in points {
            self.need(BODY * LEADING);
            let item = self.child(list, Kind::Item);
            let bullet = self.child(item, Kind::Bullet);
            let y = self.y + BODY * 1.05;
            self.line(bullet, "•", SIDE + 4.0, y, Style::Body, BODY, paint::QUIET);
            let body = self.child(item, Kind::Body);
            self.text(body, point, (SIDE + 14.0, WIDTH - 14.0), Style::Body, BODY, paint::INK);
        }
        self.y += 4.0;
    }

    fn drawing(&mut self, drawing: &Drawing) {
        let (scale, height) = scaled(drawing);
        self.need(height);
        let alt = format!("{} {}", drawing.title, drawing.description);
        let alt = clipped(&self.fonts.shown(alt.trim()));
        let node = self.root(Kind::Figure(alt));
        let (x, y) = (SIDE, self.y);
        self.place(Some(node), Op::Drawing { x, y, scale, drawing: Arc::new(drawing.clone()) });
        self.y += height + 8.0;
    }

    /// Sets lines between `at.0` and `at.0 + at.1`, over as many pages as it takes.
    fn text(
        &mut self,
        node: usize,
        text: &str,
        at: (f32, f32),
        style: Style,
        size: f32,
        colour: Colour,
    ) {
        for line in self.fonts.lines(text, style, size, at.1) {
            self.need(size * LEADING);
            let y = self.y + size * 1.05;
            self.place(Some(node), Op::Text { x: at.0, y, text: line, style, size, colour });
            self.y += size * LEADING;
        }
    }

    /// Sets one line, wherever there is room or not.
    #[expect(clippy::too_many_arguments, reason = "what a line of text needs")]
    fn line(
        &mut self,
        node: usize,
        text: &str,
        x: f32,
        y: f32,
        style: Style,
        size: f32,
        colour: Colour,
    ) {
        let text = self.fonts.shown(text).into_owned();
        if !text.trim().is_empty() {
            self.place(Some(node), Op::Text { x, y, text, style, size, colour });
        }
    }

    /// Makes room for so much, on another page where there is none on this one.
    pub(super) fn need(&mut self, height: f32) {
        if self.y + height > PAGE.1 - FOOT && self.y > HEAD {
            self.pages.push(Vec::new());
            self.y = HEAD;
        }
    }

    /// How much room is left on this page.
    pub(super) fn room(&self) -> f32 {
        PAGE.1 - FOOT - self.y
    }

    /// How much room there is on an empty page.
    pub(super) fn whole() -> f32 {
        PAGE.1 - FOOT - HEAD
    }

    pub(super) fn root(&mut self, kind: Kind) -> usize {
        let node = self.add(kind);
        self.roots.push(node);
        node
    }

    pub(super) fn child(&mut self, of: usize, kind: Kind) -> usize {
        let node = self.add(kind);
        self.nodes[of].children.push(node);
        node
    }

    fn add(&mut self, kind: Kind) -> usize {
        self.nodes.push(Node { kind, children: Vec::new() });
        self.nodes.len() - 1
    }

    pub(super) fn place(&mut self, node: Option<usize>, op: Op) {
        if let Some(page) = self.pages.last_mut() {
            page.push(Placed { node, op });
        }
    }
}

/// Strings that are no content are limited in length (PDF/A: 32767 bytes).
fn clipped(text: &str) -> String {
    text.chars().take(4_000).collect()
}

/// How much larger or smaller a drawing is on the page, and how high.
fn scaled(drawing: &Drawing) -> ((f32, f32), f32) {
    let (width, height) = paint::size(drawing);
    let scale = if drawing.is_stretched() {
        (WIDTH / width, 14.0 / height)
    } else {
        // A drawing that is higher than a page is made smaller.
        let scale = (WIDTH / width).min(Layout::whole() / height);
        (scale, scale)
    };
    (scale, height * scale.1)
}
