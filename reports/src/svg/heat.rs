//! A map of what is covered: a field for each scenario and place, with a colour and its word.

use super::targets::shortened;
use super::{Drawing, Svg};

/// A map. Strings may be foreign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heat {
    /// Headings of the columns.
    pub(crate) columns: Vec<String>,
    /// Headings of the rows with their fields; a field that is absent is asked for by nobody.
    pub(crate) rows: Vec<(String, Vec<Option<HeatCell>>)>,
}

/// A field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeatCell {
    /// Style class.
    pub(crate) class: &'static str,
    /// What stands in it. The colour is never the only sign.
    pub(crate) word: String,
    /// What it tells when pointed at.
    pub(crate) hint: String,
}

const WIDTH: f64 = 700.0;
const LEFT: f64 = 222.0;
const ROW: f64 = 26.0;
const TOP: f64 = 24.0;

/// Draws a map.
pub(crate) fn heat(heat: &Heat, id: &str) -> Drawing {
    let mut svg = Svg::default();
    let columns = f64::from(u32::try_from(heat.columns.len().max(1)).unwrap_or(1));
    let width = (WIDTH - LEFT) / columns;
    // A digit or letter takes some 6.2 units.
    let fits =
        |width: f64, size: f64| (0..400_u32).take_while(|n| f64::from(*n) * size < width).count();
    for (number, column) in (0_u32..).zip(&heat.columns) {
        let x = LEFT + width * (f64::from(number) + 0.5);
        svg.text("tick middle", x, TOP - 8.0, &shortened(column, fits(width - 4.0, 6.2)));
    }
    let mut words = Vec::new();
    for (number, (row, cells)) in (0_u32..).zip(&heat.rows) {
        let y = TOP + ROW * f64::from(number);
        svg.text("label", 0.0, y + 16.5, &shortened(row, 36));
        for (number, (cell, column)) in (0_u32..).zip(cells.iter().zip(&heat.columns)) {
            let Some(cell) = cell else { continue };
            let x = LEFT + width * f64::from(number);
            svg.cell(cell.class, (x + 1.5, y + 1.5), (width - 3.0, ROW - 3.0), &cell.hint);
            let word = shortened(&cell.word, fits(width - 8.0, 5.8));
            svg.text("heat-word middle", x + width / 2.0, y + 16.5, &word);
            words.push(format!("{row} on {column}: {}.", cell.word));
        }
    }
    let height = TOP + ROW * heat.rows.iter().map(|_| 1.0).sum::<f64>() + 2.0;
    svg.finish("chart heat", id, (WIDTH, height), "What is covered", &words.join(" "))
}
