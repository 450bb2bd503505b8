//! The images of the container environment, built by the real engine, and what a build leaves that fails or is killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub(crate) mod docker;
    pub(crate) mod drill;
    pub(crate) mod sandbox;
    pub(crate) mod wait;
}

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::docker::docker;
use support::drill::Drill;
use support::sandbox::Sandbox;
use support::wait::{alone, until};

/// The engine notices that the one who wanted a build is gone, and removes what the build has made.
const CLEANED_UP: Duration = Duration::from_secs(30);

fn containers() -> BTreeSet<String> {
    docker(&["ps", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
}

fn images() -> BTreeSet<String> {
    docker(&["images", "-q", "--no-trunc"]).lines().map(str::to_owned).collect()
}

/// All images of the environment, built when they are not there.
fn built(sandbox: &Sandbox) -> Vec<Value> {
    let outcome = sandbox.run("env build docker --format json").exits(0);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn name(image: &Value) -> &str {
    image["image"].as_str().unwrap()
}

/// An image of its own to build on, removed afterwards.
struct Base {
    name: String,
}

impl Base {
    fn new(name: &str, lines: &str) -> Self {
        let sandbox = Sandbox::new();
        let on = built(&sandbox);
        let name = format!("drdrill-test/{name}:{}", std::process::id());
        let mut build = Command::new("docker")
            .args(["build", "-q", "-t", &name, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // It calls its own builder old.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let file = format!("FROM {}\nLABEL drdrill-test={name}\n{lines}\n", self::name(&on[0]));
        build.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
        assert!(build.wait().unwrap().success());
        Self { name }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.name]).output();
    }
}

#[test]
fn what_is_there_is_found_and_has_what_the_sites_need() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let names: Vec<Value> = built(&sandbox).iter().map(|one| one["image"].clone()).collect();
    let before = images();
    let again = built(&sandbox);
    assert!(again.iter().all(|one| one["how"] == "found"), "{again:?}");
    assert_eq!(again.iter().map(|one| one["image"].clone()).collect::<Vec<_>>(), names);
    assert_eq!(images(), before);

    let node = name(&again[1]);
    assert!(node.starts_with("drdrill/node:"), "{node}");
    let label = docker(&["inspect", "-f", "{{index .Config.Labels \"drdrill.content\"}}", node]);
    assert_eq!(label.trim(), node);
    let programs = "/usr/lib/postgresql/15/bin/postgres --version; haproxy -v; pgbackrest version; \
                    python3 -c 'import psycopg2'; ls /var/lib/postgresql/15 /etc/postgresql";
    let said = docker(&["run", "--rm", "--network=none", node, "sh", "-ec", programs]);
    for words in ["postgres (PostgreSQL) 15.", "HAProxy version 2.6", "pgBackRest 2."] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("main"), "no cluster is made with the image: {said}");

    let doctor = sandbox.run("doctor --format json");
    let rows: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap();
    let state = |need: &str| rows.iter().find(|row| row["need"] == need).unwrap()["state"].clone();
    assert_eq!(state("the images of those"), "ok");
    assert_eq!(state("a container engine, for environments of containers"), "ok");
}

#[test]
fn other_names_and_bases_that_are_nowhere_are_refused() {
    let _alone = alone();
    let sandbox = Sandbox::new();
    let before = images();
    let outcome = sandbox.run("env build lab").exits(2);
    assert_eq!(outcome.stderr, "drdrill: `lab` is not made of images; `docker` is\n");
    let outcome = sandbox.run("env build --base drdrill.invalid/nowhere:1").exits(13);
    let words = "drdrill: image drdrill.invalid/nowhere:1 is not there and cannot be pulled: ";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    assert_eq!(images(), before);
    assert!(!sandbox.state.exists());
}

#[test]
fn without_an_engine_one_sentence_says_so() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("env build");
    let socket = sandbox.path("nobody.sock");
    let output = command.env("DOCKER_HOST", format!("unix://{}", socket.display())).output();
    let outcome = support::sandbox::Outcome::of(&output.unwrap()).exits(13);
    let words = format!("drdrill: no container engine answers at unix://{} (", socket.display());
    assert!(outcome.stderr.starts_with(&words), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with("start one, or say in DOCKER_HOST where it is\n"));
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn a_build_that_fails_shows_why_and_leaves_nothing() {
    let _alone = alone();
    let base = Base::new("broken", "RUN mv /usr/bin/apt-get /usr/bin/apt-got");
    let (before, sandbox) = ((containers(), images()), Sandbox::new());
    let outcome = sandbox.run(&format!("env build --base {}", base.name)).exits(13);
    assert!(outcome.stderr.contains("apt-get: not found"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("drdrill/node:"), "{}", outcome.stderr);
    assert_eq!((containers(), images()), before);
}

#[test]
fn what_was_built_on_a_chosen_base_is_used_until_something_else_is_built() {
    let _alone = alone();
    // Quickly built: of what its programs are this says nothing.
    let base = Base::new("chosen", "RUN ln -sf /bin/true /usr/bin/apt-get");
    let sandbox = Sandbox::new();
    let usual = built(&sandbox)[1].clone();
    let used = || {
        let doctor = sandbox.run("doctor --format json");
        let rows: Vec<Value> = serde_json::from_str(&doctor.stdout).unwrap();
        rows.iter().find(|row| row["need"] == "the images of those").unwrap()["state"].clone()
    };
    let command = format!("env build --base {} --format json", base.name);
    let outcome = sandbox.run(&command).exits(0);
    let on_chosen: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let chosen = name(&on_chosen[1]);
    assert_ne!(chosen, name(&usual));
    // Without the usual one it is the only one.
    docker(&["tag", name(&usual), "drdrill-test/kept:usual"]);
    docker(&["rmi", name(&usual)]);
    let with_chosen = used();
    docker(&["tag", "drdrill-test/kept:usual", name(&usual)]);
    docker(&["rmi", "drdrill-test/kept:usual"]);
    sandbox.run("env build docker").exits(0);
    assert_eq!(used(), "ok");
    docker(&["rmi", chosen]);
    assert_eq!(with_chosen, "ok");
}

#[test]
fn a_build_that_is_interrupted_or_killed_leaves_nothing() {
    let _alone = alone();
    let base = Base::new("other", "RUN true");
    let before = (containers(), images());
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let sandbox = Sandbox::new();
        let mut build = Drill::start(sandbox.command(&format!("env build --base {}", base.name)));
        // The command of this step runs in a container.
        build.says("Step 3/");
        until("a container at work", CLEANED_UP, || (containers() != before.0).then_some(()));
        build.signal(signal);
        let outcome = build.end();
        if signal == Signal::SIGINT {
            let outcome = outcome.exits(15);
            assert!(outcome.stderr.contains("drdrill: interrupted; "), "{}", outcome.stderr);
        }
        until("nothing is left", CLEANED_UP, || ((containers(), images()) == before).then_some(()));
    }
}

/// Answers as an engine in which there is no image, and which reaches no registry.
fn empty_engine(sandbox: &Sandbox) -> String {
    let socket = sandbox.path("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut first = String::new();
                reader.read_line(&mut first).unwrap();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let (status, body) = if first.contains("/version") {
                    ("200 OK", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#)
                } else {
                    ("404 Not Found", r#"{"message":"there is nothing"}"#)
                };
                let length = body.len();
                let head = "Content-Type: application/json\r\nConnection: close\r\nContent-Length";
                write!(stream, "HTTP/1.1 {status}\r\n{head}: {length}\r\n\r\n{body}").unwrap();
            });
        }
    });
    format!("unix://{}", socket.display())
}

/// Processes whose command line names a directory.
fn at_work_in(directory: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(directory)).collect()
}

#[test]
fn a_base_image_that_is_being_made_goes_with_its_maker() {
    let _alone = alone();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let sandbox = Sandbox::new();
        let tree = sandbox.state.join("images/base-image");
        let mut command = sandbox.command("env build");
        command.env("DOCKER_HOST", empty_engine(&sandbox));
        let mut build = Drill::start(command);
        build.says("drdrill/base:bookworm: retrieving");
        assert!(!at_work_in(tree.to_str().unwrap()).is_empty());
        build.signal(signal);
        let outcome = build.end();
        until("no process is left", CLEANED_UP, || {
            at_work_in(tree.to_str().unwrap()).is_empty().then_some(())
        });
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(tree.to_str().unwrap()), "{mounts}");
        if signal == Signal::SIGINT {
            outcome.exits(15);
            assert!(!tree.exists());
        }
    }
}
