//! Drawing: a small builder of SVG, and the drawings of the report. All colours come from the page's style sheet.

mod bars;
mod chart;
mod lanes;
mod markers;
mod scale;

use std::fmt::Write as _;

pub(crate) use bars::{objective, phase_bar};
pub(crate) use chart::{Shape, chart};

use crate::escape::xml;

/// A drawing under construction.
#[derive(Debug)]
struct Svg {
    body: String,
}

impl Svg {
    const fn new() -> Self {
        Self { body: String::new() }
    }

    fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.push(format_args!(
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"/>"#,
            Number(x),
            Number(y),
            Number(width.max(0.0)),
            Number(height.max(0.0))
        ));
    }

    /// An invisible rectangle that tells more when pointed at.
    fn hint(&mut self, x: f64, y: f64, width: f64, height: f64, text: &str) {
        self.push(format_args!(
            r#"<rect class="hint" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
            Number(x),
            Number(y),
            Number(width.max(0.0)),
            Number(height.max(0.0)),
            xml(text)
        ));
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            r#"<path class="{class}" d="M{} {}L{} {}"/>"#,
            Number(from.0),
            Number(from.1),
            Number(to.0),
            Number(to.1)
        ));
    }

    fn path(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            self.push(format_args!(r#"<path class="{class}" d="{data}"/>"#));
        }
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.push(format_args!(
            r#"<text class="{class}" x="{}" y="{}">{}</text>"#,
            Number(x),
            Number(y),
            xml(text)
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.body.write_fmt(element);
    }

    /// The whole drawing, scaled to the width that the page gives it.
    fn finish(
        self,
        class: &str,
        id: &str,
        size: (f64, f64),
        title: &str,
        description: &str,
    ) -> String {
        format!(
            r#"<svg class="{class}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{}</title><desc id="{id}-desc">{}</desc>{}</svg>"#,
            Number(size.0),
            Number(size.1),
            xml(title),
            xml(description),
            self.body
        )
    }

    /// A drawing without text, stretched to whatever the page gives it.
    fn finish_stretched(self, class: &str, size: (f64, f64), label: &str) -> String {
        format!(
            r#"<svg class="{class}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>"#,
            Number(size.0),
            Number(size.1),
            xml(label),
            self.body
        )
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
