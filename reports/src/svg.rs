//! Drawing: a small builder of SVG, and the drawings of the report. All colours come from the page's style sheet.

mod bars;
mod chart;
mod heat;
mod lanes;
mod markers;
mod scale;
mod targets;
mod trend;

use std::fmt::Write as _;

pub(crate) use bars::{objective, phase_bar};
pub(crate) use chart::{Shape, chart, chart_as};
pub(crate) use heat::{Heat, HeatCell, heat};
pub(crate) use targets::{Bar, targets};
pub(crate) use trend::{Line, Point, trend};

use crate::escape::xml;

/// A drawing under construction: its elements in the order in which they are painted.
#[derive(Debug, Default)]
struct Svg {
    elements: Vec<Element>,
}

/// An element of a drawing. Its class decides how it looks: in HTML the style sheet does, in PDF a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Element {
    /// A filled rectangle, with what it tells when pointed at.
    Rect { class: String, x: f64, y: f64, width: f64, height: f64, hint: Option<String> },
    /// A path in SVG's words; only `M`, `L`, `h`, `v` and `z` with absolute starts are used.
    Path { class: String, data: String },
    /// A line of text with its base line at `y`.
    Text { class: String, x: f64, y: f64, text: String },
}

impl Svg {
    fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.push_rect(class, (x, y), (width, height), None);
    }

    /// An invisible rectangle that tells more when pointed at.
    fn hint(&mut self, x: f64, y: f64, width: f64, height: f64, text: &str) {
        self.push_rect("hint", (x, y), (width, height), Some(text.to_owned()));
    }

    /// A rectangle that tells more when pointed at.
    fn cell(&mut self, class: &str, at: (f64, f64), size: (f64, f64), text: &str) {
        self.push_rect(class, at, size, Some(text.to_owned()));
    }

    fn push_rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), hint: Option<String>) {
        self.elements.push(Element::Rect {
            class: class.to_owned(),
            x: at.0,
            y: at.1,
            width: size.0.max(0.0),
            height: size.1.max(0.0),
            hint,
        });
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let data =
            format!("M{} {}L{} {}", Number(from.0), Number(from.1), Number(to.0), Number(to.1));
        self.path(class, &data);
    }

    fn path(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            self.elements.push(Element::Path { class: class.to_owned(), data: data.to_owned() });
        }
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.elements.push(Element::Text { class: class.to_owned(), x, y, text: text.to_owned() });
    }

    /// The whole drawing, scaled to the width that the page gives it.
    fn finish(
        self,
        class: &str,
        id: &str,
        size: (f64, f64),
        title: &str,
        description: &str,
    ) -> Drawing {
        Drawing {
            class: class.to_owned(),
            id: Some(id.to_owned()),
            size,
            title: title.to_owned(),
            description: description.to_owned(),
            elements: self.elements,
        }
    }

    /// A drawing without text, stretched to whatever the page gives it.
    fn finish_stretched(self, class: &str, size: (f64, f64), label: &str) -> Drawing {
        Drawing {
            class: class.to_owned(),
            id: None,
            size,
            title: label.to_owned(),
            description: String::new(),
            elements: self.elements,
        }
    }
}

/// A finished drawing. All texts may be foreign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    /// Style class.
    pub(crate) class: String,
    /// Prefix of ids; a drawing without one has no text and is stretched to whatever the page gives it.
    id: Option<String>,
    /// Width and height.
    pub(crate) size: (f64, f64),
    /// What it is.
    pub(crate) title: String,
    /// What it shows, for those who cannot see it.
    pub(crate) description: String,
    /// What it is made of.
    pub(crate) elements: Vec<Element>,
}

impl Drawing {
    /// Whether it is stretched to whatever the page gives it.
    #[cfg(feature = "pdf")]
    pub(crate) const fn is_stretched(&self) -> bool {
        self.id.is_none()
    }

    /// As an element of an HTML page.
    pub(crate) fn svg(&self) -> String {
        let (class, title) = (&self.class, xml(&self.title));
        let (width, height) = (Number(self.size.0), Number(self.size.1));
        let head = format!(
            r#"<svg class="{class}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}""#
        );
        let mut out = match &self.id {
            Some(id) => format!(
                r#"{head} role="img" aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{title}</title><desc id="{id}-desc">{}</desc>"#,
                xml(&self.description)
            ),
            None => {
                format!(r#"{head} preserveAspectRatio="none" role="img" aria-label="{title}">"#)
            }
        };
        for element in &self.elements {
            // Writing to a string cannot fail.
            let _infallible = write_element(&mut out, element);
        }
        out.push_str("</svg>");
        out
    }
}

fn write_element(out: &mut String, element: &Element) -> std::fmt::Result {
    match element {
        Element::Rect { class, x, y, width, height, hint } => {
            write!(
                out,
                r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}""#,
                Number(*x),
                Number(*y),
                Number(*width),
                Number(*height)
            )?;
            match hint {
                Some(text) => write!(out, "><title>{}</title></rect>", xml(text)),
                None => out.write_str("/>"),
            }
        }
        Element::Path { class, data } => write!(out, r#"<path class="{class}" d="{data}"/>"#),
        Element::Text { class, x, y, text } => write!(
            out,
            r#"<text class="{class}" x="{}" y="{}">{}</text>"#,
            Number(*x),
            Number(*y),
            xml(text)
        ),
    }
}

/// A coordinate with one decimal at most.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rounded = (self.0 * 10.0).round() / 10.0;
        // Negative zero is spelled like zero.
        write!(f, "{}", if rounded == 0.0 { 0.0 } else { rounded })
    }
}
