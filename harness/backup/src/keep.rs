//! What is kept, and what may go.

use std::collections::BTreeSet;
use std::time::Duration;

use drdrill_core::backup_plan::Keep;

use crate::point::{Extent, Outcome, Point};

/// The points that need not be kept, newest first: whoever stops in the middle leaves no backup without what it goes on
/// from.
///
/// Of each source the newest backup stays, and the newest full backups, those that are young enough, and all that goes on from these. A point
/// stays as a whole when it stays for any of its sources, and with it whatever it goes on from.
#[must_use]
pub fn superfluous(points: &[Point], keep: Keep, now_ms: u64) -> Vec<String> {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for source in sources(points) {
        let mut full: Vec<(&Point, u64)> = points
            .iter()
            .filter_map(|point| {
                let done = point.done(source).filter(|done| done.extent == Extent::Full)?;
                Some((point, done.began_ms))
            })
            .collect();
        full.sort_by(|(a, _), (b, _)| b.point.cmp(&a.point));
        let young = |began_ms: u64| {
            let age = Duration::from_millis(now_ms.saturating_sub(began_ms));
            keep.younger.is_some_and(|most| age < most.0)
        };
        let stays =
            full.iter().enumerate().filter(|(at, (_, began))| *at < keep.full || young(*began));
        let stays: BTreeSet<&str> = stays.map(|(_, (point, _))| point.point.as_str()).collect();
        // The newest one stays in any case: it may go on from one that is older than the newest full ones.
        let done = points.iter().filter(|point| point.done(source).is_some());
        if let Some(newest) = done.max_by(|a, b| a.point.cmp(&b.point)) {
            needed.extend(chain(points, newest, source).iter().map(|one| one.point.as_str()));
        }
        for point in points.iter().filter(|point| point.done(source).is_some()) {
            let chain = chain(points, point, source);
            // What does not go back to a full backup is not understood, and nobody's to remove.
            let broken = chain.last().is_none_or(|last| {
                last.done(source).is_none_or(|done| done.extent == Extent::Incremental)
            });
            if broken || chain.last().is_some_and(|last| stays.contains(last.point.as_str())) {
                needed.extend(chain.iter().map(|one| one.point.as_str()));
            }
        }
    }
    // A point stays as a whole, so that what its other sources go on from stays too.
    loop {
        let before = needed.len();
        for point in
            points.iter().filter(|point| needed.contains(point.point.as_str())).collect::<Vec<_>>()
        {
            for source in sources(std::slice::from_ref(point)) {
                needed.extend(chain(points, point, source).iter().map(|one| one.point.as_str()));
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let mut rest: Vec<String> = points
        .iter()
        .map(|point| point.point.clone())
        .filter(|name| !needed.contains(name.as_str()))
        .collect();
    rest.sort_by(|a, b| b.cmp(a));
    rest
}

/// The sources that any of the points has.
pub(crate) fn sources(points: &[Point]) -> BTreeSet<&str> {
    let done = points.iter().flat_map(|point| &point.sources);
    let done = done.filter(|entry| matches!(entry.outcome, Outcome::Done(_)));
    done.map(|entry| entry.name.as_str()).collect()
}

/// A point and those that it goes on from, as far as they are there.
pub(crate) fn chain<'a>(points: &'a [Point], point: &'a Point, source: &str) -> Vec<&'a Point> {
    let mut chain = vec![point];
    while let Some(last) = chain.last() {
        let base = last.done(source).and_then(|done| done.base.as_ref());
        // Those are older, so that no chain is without end.
        let found = base.and_then(|base| {
            points.iter().find(|one| {
                one.point == *base && one.point < last.point && one.done(source).is_some()
            })
        });
        match found {
            Some(found) => chain.push(found),
            None => break,
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Done, OriginKind, SourceEntry, Torn, name_at};
    use drdrill_core::units::Span;

    /// A point at that hour: of each source its name, and the hour of the point that it goes on from.
    fn point(hour: u64, sources: &[(&str, Option<u64>)]) -> Point {
        let at = |hour: u64| name_at(hour * 3_600_000);
        let entry = |(name, base): &(&str, Option<u64>)| SourceEntry {
            name: (*name).to_owned(),
            origin: OriginKind::Files,
            outcome: Outcome::Done(Done {
                extent: if base.is_some() { Extent::Incremental } else { Extent::Full },
                base: base.map(at),
                began_ms: hour * 3_600_000,
                read_until_ms: 0,
                took_ms: 0,
                files: 0,
                bytes: 0,
                read_bytes: 0,
                stored_bytes: 0,
                deleted: 0,
                skipped: 0,
                torn: Torn::default(),
                objects: Vec::new(),
                sha256: None,
            }),
        };
        let sources = sources.iter().map(entry).collect();
        Point {
            format: String::new(),
            plan: String::new(),
            point: at(hour),
            tool: String::new(),
            machine: String::new(),
            sources,
        }
    }

    fn gone(points: &[Point], full: usize, younger_h: Option<u64>, now_h: u64) -> Vec<u64> {
        let younger = younger_h.map(|hours| Span(Duration::from_hours(hours)));
        let gone = superfluous(points, Keep { full, younger }, now_h * 3_600_000);
        let hour =
            |name: &String| (0..100).find(|hour| name_at(hour * 3_600_000) == *name).unwrap();
        gone.iter().map(hour).collect()
    }

    #[test]
    fn the_newest_full_backups_stay_with_all_that_goes_on_from_them() {
        let points = [
            point(1, &[("a", None)]),
            point(2, &[("a", Some(1))]),
            point(3, &[("a", None)]),
            point(4, &[("a", Some(3))]),
            point(5, &[("a", Some(4))]),
            point(6, &[("a", None)]),
        ];
        assert_eq!(gone(&points, 3, None, 10), [0; 0]);
        assert_eq!(gone(&points, 2, None, 10), [2, 1]);
        assert_eq!(gone(&points, 1, None, 10), [5, 4, 3, 2, 1]);
        // Younger than eight hours: that of hour 3 is, that of hour 1 is not.
        assert_eq!(gone(&points, 1, Some(8), 10), [2, 1]);
    }

    #[test]
    fn the_newest_point_stays_whatever_it_goes_on_from() {
        // As where the full one of hour 3 did not get to another destination, so that hour 4 goes on from hour 2.
        let points = [
            point(1, &[("a", None)]),
            point(2, &[("a", Some(1))]),
            point(3, &[("a", None)]),
            point(4, &[("a", Some(2))]),
        ];
        assert_eq!(gone(&points, 1, None, 10), [0; 0]);
    }

    #[test]
    fn a_point_stays_for_any_of_its_sources_with_what_the_others_need() {
        let points = [
            point(1, &[("a", None), ("b", None)]),
            point(2, &[("a", Some(1)), ("b", None)]),
            point(3, &[("a", None)]),
        ];
        // Nothing of `a` at 1 and 2 would have to stay, but `b` at 2 does, and takes `a` at 2 with it, which needs 1.
        assert_eq!(gone(&points, 1, None, 10), [0; 0]);
        let points = [point(1, &[("a", None)]), point(2, &[("b", None)]), point(3, &[("a", None)])];
        assert_eq!(gone(&points, 1, None, 10), [1]);
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let points =
            [point(2, &[("a", Some(1))]), point(3, &[("a", None)]), point(4, &[("a", None)])];
        assert_eq!(gone(&points, 1, None, 10), [3]);
    }
}
