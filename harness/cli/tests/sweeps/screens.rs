//! What a drill says cannot be shown.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use crate::support::net::{APP, DB};
use crate::support::place::Place;
use crate::support::strace::under;
use crate::support::wait::{alone, until};

#[test]
fn a_full_screen_stops_neither_the_drill_nor_its_undo() {
    let _alone = alone();
    let place = Place::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut command = under(&place.hub(), &place.run());
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0), "what is shown is no evidence");
    place.nothing_is_left("/dev/full");
    let shown = place.sandbox.run("show last").exits(0).stdout;
    assert!(shown.contains("verdict: PASSED (pass)"), "{shown}");
    place.sandbox.run("verify last").exits(0);
}

#[test]
fn a_screen_that_goes_away_while_a_fault_is_in_place_stops_neither() {
    let _alone = alone();
    let place = Place::new();
    let mut command = under(&place.hub(), &place.run());
    let mut drill = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the fault is in effect", Duration::from_secs(10), || {
        (!place.net.reaches(APP, DB)).then_some(())
    });
    drop((drill.stdout.take(), drill.stderr.take()));
    assert_eq!(drill.wait().unwrap().code(), Some(0), "what is shown is no evidence");
    place.nothing_is_left("closed");
    place.sandbox.run("verify last").exits(0);
}
