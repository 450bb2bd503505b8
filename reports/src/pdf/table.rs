//! Tables: columns as wide as what is in them, rows that are cut at a line where a page ends, headings on each page.

use super::fonts::Style;
use super::layout::{Kind, Layout, Op, SIDE, WIDTH};
use super::paint::{self, Colour};
use crate::doc::Table;
use crate::sections::Cell;
use crate::story;

const SIZE: f32 = 7.6;
const CODE: f32 = 6.9;
const LINE: f32 = 10.2;
const GAP: f32 = 8.0;
const ABOVE: f32 = 3.0;
/// A word longer than this may be cut.
const WORD: f32 = 92.0;

/// A cell ready to be set.
struct Set {
    lines: Vec<String>,
    style: Style,
    size: f32,
    colour: Colour,
    /// Right edge of figures.
    right: bool,
}

/// Sets a table.
pub(super) fn table(layout: &mut Layout<'_>, table: &Table) {
    if table.rows.is_empty() || table.columns.is_empty() {
        return;
    }
    let widths = widths(layout, table);
    let node = layout.root(Kind::Table(layout.fonts.shown(&table.label).into_owned()));
    let head = layout.child(node, Kind::Head);
    let row = layout.child(head, Kind::Row);
    let headings: Vec<Set> = headings(layout, table, &widths);
    let height = high(&headings);
    layout.need(height + 3.0 * LINE);
    let cells: Vec<usize> =
        headings.iter().map(|_| layout.child(row, Kind::ColumnHeading)).collect();
    set_head(layout, &headings, &widths, Some(&cells));
    let body = layout.child(node, Kind::Rows);
    for row in &table.rows {
        let sets: Vec<Set> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(number, (cell, width))| set(layout, cell, *width, table.is_figures(number)))
            .collect();
        set_row(layout, body, &sets, &headings, &widths);
    }
}

fn set_row(layout: &mut Layout<'_>, body: usize, sets: &[Set], headings: &[Set], widths: &[f32]) {
    let row = layout.child(body, Kind::Row);
    let cells: Vec<usize> = (0..sets.len())
        .map(|number| layout.child(row, if number == 0 { Kind::RowHeading } else { Kind::Cell }))
        .collect();
    let head = high(headings);
    let mut from = 0;
    let most = sets.iter().map(|set| set.lines.len()).max().unwrap_or(0);
    loop {
        let left = count(most - from);
        let fits_a_page = left * LINE + 2.0 * ABOVE < Layout::whole() - head - 0.5;
        let room = layout.room() - 2.0 * ABOVE;
        if room < LINE || (left * LINE > room && fits_a_page) {
            layout.need(f32::MAX);
            set_head(layout, headings, widths, None);
            continue;
        }
        let lines = lines_in(room).min(most - from).max(1);
        let y = layout.y + ABOVE;
        for ((set, cell), (x, width)) in sets.iter().zip(&cells).zip(places(widths)) {
            for (at, line) in set.lines.iter().skip(from).take(lines).enumerate() {
                let y = y + count(at) * LINE + SIZE;
                set_line(layout, Some(*cell), set, line, (x, width), y);
            }
        }
        from += lines;
        layout.y += count(lines) * LINE + 2.0 * ABOVE;
        let (y, colour) = (layout.y, paint::RULE);
        layout.place(None, Op::Fill { x: SIDE, y, width: WIDTH, height: 0.5, colour });
        if from >= most {
            break;
        }
    }
}

fn set_head(layout: &mut Layout<'_>, headings: &[Set], widths: &[f32], cells: Option<&[usize]>) {
    let y = layout.y + ABOVE;
    for (number, (set, (x, width))) in headings.iter().zip(places(widths)).enumerate() {
        for (at, line) in set.lines.iter().enumerate() {
            let y = y + count(at) * LINE + SIZE;
            // Repeated on another page it is no content any more.
            let node = cells.and_then(|cells| cells.get(number).copied());
            set_line(layout, node, set, line, (x, width), y);
        }
    }
    layout.y += high(headings);
    let (y, colour) = (layout.y, paint::QUIET);
    layout.place(None, Op::Fill { x: SIDE, y, width: WIDTH, height: 0.8, colour });
}

fn set_line(
    layout: &mut Layout<'_>,
    node: Option<usize>,
    set: &Set,
    line: &str,
    at: (f32, f32),
    y: f32,
) {
    let (x, width) = at;
    let used = layout.fonts.width(line, set.style, set.size);
    let x = if set.right { x + (width - used).max(0.0) } else { x };
    let (style, size, colour) = (set.style, set.size, set.colour);
    layout.place(node, Op::Text { x, y, text: line.to_owned(), style, size, colour });
}

fn headings(layout: &Layout<'_>, table: &Table, widths: &[f32]) -> Vec<Set> {
    let set = |(number, (name, width)): (usize, (&String, &f32))| Set {
        // Headings come again on each page: what is endless is cut.
        lines: layout.fonts.lines(name, Style::Bold, SIZE, *width).into_iter().take(6).collect(),
        style: Style::Bold,
        size: SIZE,
        colour: paint::QUIET,
        right: table.is_figures(number),
    };
    table.columns.iter().zip(widths).enumerate().map(set).collect()
}

/// How a cell is set: text, style, size and colour.
fn look(cell: &Cell) -> (&str, Style, f32, Colour) {
    match cell {
        Cell::Text(text) | Cell::Figure(text) => (text, Style::Body, SIZE, paint::INK),
        Cell::Code(text) => (text, Style::Mono, CODE, paint::INK),
        Cell::Verdict(verdict) => {
            (story::mark(*verdict), Style::Bold, SIZE, paint::verdict(*verdict))
        }
        Cell::Blank => ("", Style::Body, SIZE, paint::INK),
    }
}

fn set(layout: &Layout<'_>, cell: &Cell, width: f32, right: bool) -> Set {
    let (text, style, size, colour) = look(cell);
    Set { lines: layout.fonts.lines(text, style, size, width), style, size, colour, right }
}

/// Widths of the columns: each as wide as it would like to be where there is room, else no less than its longest word.
fn widths(layout: &Layout<'_>, table: &Table) -> Vec<f32> {
    let columns = table.columns.len();
    let room = WIDTH - GAP * count(columns - 1);
    let mut least = vec![0.0_f32; columns];
    let mut wish = vec![0.0_f32; columns];
    let mut blank = vec![false; columns];
    let heading = table.columns.iter().map(|name| (name.as_str(), Style::Bold, SIZE));
    let mut grow = |number: usize, (text, style, size): (&str, Style, f32)| {
        let (word, all) = layout.fonts.extent(text, style, size);
        least[number] = least[number].max(word.min(WORD) + 0.5);
        wish[number] = wish[number].max(all.min(WIDTH) + 0.5);
    };
    heading.enumerate().for_each(|(number, heading)| grow(number, heading));
    for row in &table.rows {
        for (number, cell) in row.iter().enumerate().take(columns) {
            let (text, style, size, _) = look(cell);
            grow(number, (text, style, size));
            blank[number] |= matches!(cell, Cell::Blank);
        }
    }
    // What people fill in by hand needs room.
    for number in 0..columns {
        if blank[number] {
            wish[number] = wish[number].max(90.0);
        }
    }
    let (least_sum, wish_sum): (f32, f32) = (least.iter().sum(), wish.iter().sum());
    if wish_sum <= room {
        let more = (room - wish_sum) / count(columns);
        return wish.iter().map(|width| width + more).collect();
    }
    if least_sum >= room {
        return least.iter().map(|width| width * room / least_sum).collect();
    }
    let share = (room - least_sum) / (wish_sum - least_sum);
    least.iter().zip(&wish).map(|(least, wish)| least + share * (wish - least)).collect()
}

/// Left edge and width of each column.
fn places(widths: &[f32]) -> Vec<(f32, f32)> {
    let mut x = SIDE;
    let mut places = Vec::with_capacity(widths.len());
    for width in widths {
        places.push((x, *width));
        x += width + GAP;
    }
    places
}

fn high(sets: &[Set]) -> f32 {
    let lines = sets.iter().map(|set| set.lines.len()).max().unwrap_or(1);
    count(lines) * LINE + 2.0 * ABOVE
}

#[expect(clippy::cast_precision_loss, reason = "lines and columns of a table")]
fn count(number: usize) -> f32 {
    number as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lines on a page")]
fn lines_in(room: f32) -> usize {
    (room / LINE).max(0.0) as usize
}
