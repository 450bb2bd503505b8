use super::*;
use crate::testkit::{Case, Fixture};

#[test]
fn durations_read_well_at_every_size() {
    for (ms, text) in [
        (0.0, "0 s"),
        (0.0004, "0 µs"),
        (0.85, "850 µs"),
        (1.2, "1.2 ms"),
        (41.25, "41.2 ms"),
        (271.4, "271 ms"),
        (999.6, "1 s"),
        (1000.0, "1 s"),
        (4213.0, "4.213 s"),
        (59_999.0, "59.999 s"),
        (59_999.9, "1 min"),
        (60_000.0, "1 min"),
        (724_200.0, "12 min 4.2 s"),
        (900_000.0, "15 min"),
        (3_599_999.0, "1 h"),
        (3_600_000.0, "1 h"),
        (7_500_000.0, "2 h 5 min"),
        (86_400_000.0, "1 d"),
        (273_600_000.0, "3 d 4 h"),
        (-5.0, "−5 ms"),
        (f64::NAN, "unknown"),
    ] {
        assert_eq!(duration(ms), text, "{ms}");
    }
}

#[test]
fn bounds_are_rounded_outwards_and_show_the_width() {
    assert_eq!(interval(4192.0, Some(4231.0)), "4.212 s [4.192, 4.231]");
    assert_eq!(interval(12_430.2, Some(12_431.8)), "12.4310 s [12.4302, 12.4318]");
    assert_eq!(interval(262.4, Some(281.2)), "271.8 ms [262.4, 281.2]");
    assert_eq!(interval(262.44, Some(281.21)), "271.8 ms [262.4, 281.3]");
    assert_eq!(interval(0.0, Some(40.0)), "20 ms [0, 40]");
    assert_eq!(interval(5.0, Some(5.0)), "5 ms");
    assert_eq!(interval(724_100.0, Some(724_400.0)), "12 min 4 s = 724.25 s [724.10, 724.40]");
}

#[test]
fn an_end_that_was_never_seen_is_no_number() {
    assert_eq!(interval(55_219.9, None), "> 55.219 s");
    assert_eq!(interval(60.0, None), "> 60 ms");
    assert_eq!(interval(3_600_000.0, None), "> 1 h");
}

#[test]
fn a_share_is_never_rounded_to_nothing_or_all() {
    assert_eq!(share(0, 100), "0 %");
    assert_eq!(share(1, 1_000_000), "< 0.01 %");
    assert_eq!(share(999_999, 1_000_000), "> 99.99 %");
    assert_eq!(share(9_996, 10_000), "99.96 %");
    assert_eq!(share(12, 2_412), "0.5 %");
    assert_eq!(share(1, 0), "–");
    assert_eq!(percent(1.0), "100 %");
    assert_eq!(percent(0.8), "80 %");
    assert_eq!(percent(1.04), "104 %");
}

#[test]
fn thousands_stand_apart() {
    assert_eq!(count(7), "7");
    assert_eq!(count(999), "999");
    assert_eq!(count(1_000), "1,000");
    assert_eq!(count(12_345_678), "12,345,678");
}

#[test]
fn what_is_below_an_objective_is_not_shown_as_the_objective() {
    assert_eq!(at_least_percent(0.7996), "79.9 %");
    assert_eq!(at_least_percent(0.8), "80 %");
    assert_eq!(at_least_percent(0.57), "57 %");
    assert_eq!(at_least_percent(0.0), "0 %");
    assert_eq!(at_least_percent(0.999_999), "> 99.99 %");
    for tenths in 0..=1_040 {
        let ratio = f64::from(tenths) / 1e3;
        assert_eq!(at_least_percent(ratio), percent(ratio));
    }
    let mut level = Fixture::build(Case::Passed).record.services[0].rlo;
    (level.target, level.achieved) = (Some(0.8), Some(0.7996));
    assert_eq!((rlo(&level), at_least(level.target)), ("79.9 % of normal".into(), "≥ 80 %".into()));
}
