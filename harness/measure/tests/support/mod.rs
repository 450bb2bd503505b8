//! A small HTTP server in a process of its own, to be killed, paused and told to misbehave. What it does to itself
//! it stamps with the clock that the prober reads.
//!
//! The server is this same program, started again with [`CHILD`] in its environment.

#![expect(clippy::unwrap_used, reason = "what cannot go on stops")]
#![expect(
    dead_code,
    unreachable_pub,
    reason = "shared by several tests and benchmarks, each using a part"
)]

pub mod drill;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drdrill_clock::monotonic_nanos;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Set in the environment of the server's process: the port to listen on.
pub const CHILD: &str = "DRDRILL_PLANTED_SERVER";

/// How the server answers.
pub const OK: u8 = 0;
/// With status 500.
pub const ERROR_500: u8 = 1;
/// With status 200 and an error in the body.
pub const ERROR_IN_200: u8 = 2;
/// By resetting the connection.
pub const RESET: u8 = 3;
/// Not at all, until it is told to answer again; then all at once.
pub const HOLD: u8 = 4;

/// Before and after something happened, in nanoseconds of the monotonic clock.
pub type Bracket = (u64, u64);

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub port: u16,
    /// When it began to listen.
    pub up: Bracket,
}

impl Server {
    /// Starts a server; `arguments` must lead the program to [`serve_if_child`].
    pub fn start(port: u16, arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .env(CHILD, port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, input, output, port, up: (0, 0) };
        let up = server.answer("up ");
        server.up = bracket(&up);
        server
    }

    /// A port that nobody listens on.
    pub fn free_port() -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    /// The next line that begins with `word`; the test harness prints lines of its own.
    fn answer(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server died");
            if let Some((_, rest)) = line.split_once(&format!("@{word}")) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Tells the server how to answer from now on; returns when it began to.
    pub fn mode(&mut self, mode: u8) -> Bracket {
        writeln!(self.input, "{mode}").unwrap();
        bracket(&self.answer("mode "))
    }

    /// Arrival of every request so far, in nanoseconds of the monotonic clock; forgets them.
    pub fn arrivals(&mut self) -> Vec<u64> {
        writeln!(self.input, "arrivals").unwrap();
        let line = self.answer("arrivals ");
        line.split(' ').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) -> u64 {
        let before = monotonic_nanos();
        kill(self.pid(), signal).unwrap();
        before
    }

    /// Kills it; returns just before and when it was gone.
    pub fn kill(mut self) -> Bracket {
        let before = self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
        (before, monotonic_nanos())
    }

    /// Stops the process; returns just before and when it stood still.
    pub fn pause(&self) -> Bracket {
        let before = self.signal(Signal::SIGSTOP);
        waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        (before, monotonic_nanos())
    }

    /// Lets it go on.
    pub fn resume(&self) -> Bracket {
        let before = self.signal(Signal::SIGCONT);
        (before, monotonic_nanos())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bracket(text: &str) -> Bracket {
    let (before, after) = text.split_once(' ').unwrap();
    (before.parse().unwrap(), after.parse().unwrap())
}

#[derive(Default)]
struct State {
    mode: AtomicU8,
    /// Answers that are held back, the oldest first.
    held: Mutex<Vec<oneshot::Sender<()>>>,
    arrivals: Mutex<Vec<u64>>,
}

/// Is the server when this process was started as one; returns at once otherwise.
pub fn serve_if_child() {
    let Ok(port) = std::env::var(CHILD) else { return };
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let state = Arc::new(State::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let before = monotonic_nanos();
        let listener = socket.listen(4096).unwrap();
        println!("\n@up {before} {}", monotonic_nanos());
        let commands = Arc::clone(&state);
        std::thread::spawn(move || obey(&commands));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(talk(stream, Arc::clone(&state)));
        }
    });
}

/// Follows the commands on standard input; the end of it is the end of the process.
fn obey(state: &State) {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        if line == "arrivals" {
            let arrivals = std::mem::take(&mut *state.arrivals.lock().unwrap());
            let words: Vec<String> = arrivals.iter().map(ToString::to_string).collect();
            println!("\n@arrivals {}", words.join(" "));
        } else {
            let before = monotonic_nanos();
            state.mode.store(line.parse().unwrap(), Ordering::SeqCst);
            let after = monotonic_nanos();
            release(state);
            println!("\n@mode {before} {after}");
        }
    }
    std::process::exit(0);
}

async fn talk(mut stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = [0; 1024];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        state.arrivals.lock().unwrap().push(monotonic_nanos());
        let close = buffer[..read].windows(17).any(|window| window == b"connection: close");
        let answer: &[u8] = match mode(&state).await {
            ERROR_500 => b"HTTP/1.1 500 Oh no\r\ncontent-length: 2\r\n\r\nno",
            ERROR_IN_200 => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nerror",
            RESET => {
                let _ = stream.set_zero_linger();
                return;
            }
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        };
        if stream.write_all(answer).await.is_err() || close {
            return;
        }
    }
}

/// Lets the held answers go, the newest first: letting go takes some 20 us each, which is little against the time
/// that those waited which go last.
fn release(state: &State) {
    let held = std::mem::take(&mut *state.held.lock().unwrap());
    for answer in held.into_iter().rev() {
        let _ = answer.send(());
    }
}

async fn mode(state: &State) -> u8 {
    loop {
        let (sender, receiver) = oneshot::channel();
        state.held.lock().unwrap().push(sender);
        match state.mode.load(Ordering::SeqCst) {
            HOLD => drop(receiver.await),
            mode => {
                state.held.lock().unwrap().pop();
                return mode;
            }
        }
    }
}

/// Waits until less than 12 % of the processors are busy, for at most a minute; says how it went.
pub fn wait_quiet() {
    let mut busy = 1.0;
    for _ in 0..60 {
        let before = processor_ticks();
        pass(Duration::from_secs(1));
        let after = processor_ticks();
        busy = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        if busy < 0.12 {
            return;
        }
    }
    println!(
        "this host is NOT quiet: {:.0} % of its processors were busy before the run",
        busy * 100.0
    );
}

/// Busy and all ticks of all processors, from `/proc/stat`.
fn processor_ticks() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().next().unwrap();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).take(8).map(|word| word.parse().unwrap()).collect();
    let all: f64 = ticks.iter().sum();
    // Fields 4 and 5 are idle and waiting for disks (proc_stat(5)).
    (all - ticks[3] - ticks[4], all)
}

/// Sleeps, exactly enough for a test.
pub fn pass(duration: Duration) {
    std::thread::sleep(duration);
}
