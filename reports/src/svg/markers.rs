//! Labels of moments, above the chart: none overlaps another, no line runs through a label.

/// A moment to be marked.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    /// Where it is.
    pub(super) x: f64,
    /// What it says.
    pub(super) label: String,
}

/// A label with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// Where the line is.
    pub(super) x: f64,
    /// What it says.
    pub(super) label: String,
    /// Where the label begins.
    pub(super) from: f64,
    /// Where it ends.
    pub(super) to: f64,
    /// Its row, counted from the chart upwards.
    pub(super) row: usize,
}

/// Space between a line and its label, and after a label.
const GAP: f64 = 4.0;

/// Places all labels between `left` and `right`. `character` is the width of one.
pub(super) fn place(
    mut markers: Vec<Marker>,
    left: f64,
    right: f64,
    character: f64,
) -> Vec<Placed> {
    markers.sort_by(|a, b| b.x.total_cmp(&a.x));
    let mut placed: Vec<Placed> = Vec::new();
    for marker in markers {
        let width = character * marker.label.chars().map(|_| 1.0).sum::<f64>() + GAP;
        // Right of its line, unless it would leave the chart.
        let from = if marker.x + GAP + width <= right {
            marker.x + GAP
        } else {
            (marker.x - GAP - width).max(left)
        };
        let mut label = Placed { x: marker.x, label: marker.label, from, to: from + width, row: 0 };
        let highest = placed.iter().map(|other| other.row + 1).max().unwrap_or(0);
        label.row = (0..=highest)
            .find(|row| placed.iter().all(|other| clear(&label, *row, other)))
            .unwrap_or(highest + 1);
        placed.push(label);
    }
    placed.reverse();
    placed
}

/// Whether `label` in `row` gets along with `other`: the two do not overlap, and neither's line, which reaches up to
/// its own row, runs through the other's text.
fn clear(label: &Placed, row: usize, other: &Placed) -> bool {
    let overlap = label.from < other.to && other.from < label.to;
    let runs_through = |x: f64, over: &Placed| (over.from - 1.0..=over.to).contains(&x);
    let same_place = row == other.row && overlap;
    let theirs_through_ours = other.row >= row && runs_through(other.x, label);
    let ours_through_theirs = row >= other.row && runs_through(label.x, other);
    !(same_place || theirs_through_ours || ours_through_theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(positions: &[f64]) -> Vec<Placed> {
        let marker = |x: &f64| Marker { x: *x, label: "failover done".to_owned() };
        place(positions.iter().map(marker).collect(), 0.0, 900.0, 6.0)
    }

    #[test]
    fn no_two_labels_overlap_and_no_line_runs_through_one() {
        let crowds: [&[f64]; 5] = [
            &[80.0, 81.0, 110.0, 111.0, 140.0, 141.0, 160.0, 400.0, 560.0],
            &[10.0, 500.0, 890.0],
            &[700.0, 800.0, 820.0, 870.0, 880.0, 899.0],
            &[5.0; 9],
            &[],
        ];
        for crowd in crowds {
            let placed = at(crowd);
            assert_eq!(placed.len(), crowd.len());
            for (number, one) in placed.iter().enumerate() {
                assert!(one.from >= 0.0 && one.to <= 900.0, "{one:?}");
                for other in &placed[number + 1..] {
                    let same_row = one.row == other.row;
                    let overlap = one.from < other.to && other.from < one.to;
                    assert!(!(same_row && overlap), "{one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn few_rows_are_enough_when_there_is_room() {
        assert!(at(&[10.0, 200.0, 500.0]).iter().all(|label| label.row == 0));
    }
}
