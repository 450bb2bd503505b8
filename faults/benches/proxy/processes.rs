//! The processes of the benchmark: this program in other roles, and `haproxy`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_faults::toxiproxy::server::Server;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::Failure;

/// Time a process has to be ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Binds this process, and all it starts, to the last CPU it may use.
pub(crate) fn pin() -> Result<usize, Failure> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut last = 0;
    for cpu in 0..CpuSet::count() {
        if allowed.is_set(cpu)? {
            last = cpu;
        }
    }
    let mut only = CpuSet::new();
    only.set(last)?;
    sched_setaffinity(Pid::from_raw(0), &only)?;
    Ok(last)
}

/// What this program does when it was started as a [`Helper`]: says its address and serves.
pub(crate) fn play(role: &str) -> Result<(), Failure> {
    match role {
        "echo" => echo(),
        "server" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let server = Server::start("127.0.0.1:0".parse()?).await?;
                println!("{}", server.api());
                std::future::pending::<()>().await;
                Ok(())
            })
        }
        other => Err(format!("no role {other}").into()),
    }
}

fn echo() -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || reflect(stream));
    }
}

fn reflect(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut block = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            length => stream.write_all(&block[..length])?,
        }
    }
}

/// This program in another role. It ends with this value.
pub(crate) struct Helper {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Helper {
    pub(crate) fn start(role: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(format!("role={role}"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `haproxy` in TCP mode. It ends with this value.
pub(crate) struct Haproxy {
    child: Child,
    configuration: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Haproxy {
    /// `None` if there is no `haproxy` on this machine.
    pub(crate) fn start(upstream: SocketAddr) -> Result<Option<Self>, Failure> {
        let free = TcpListener::bind(("127.0.0.1", 0))?;
        let address = free.local_addr()?;
        drop(free);
        let configuration =
            std::env::temp_dir().join(format!("haproxy-{}.cfg", std::process::id()));
        let text = format!(
            "global\n nbthread 1\n maxconn 4096\n\
             defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n\
             listen bench\n bind {address}\n server echo {upstream}\n"
        );
        fs::write(&configuration, text)?;
        let started = ["haproxy", "/usr/sbin/haproxy"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-db").arg("-f").arg(&configuration);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let Some(child) = started else {
            fs::remove_file(&configuration)?;
            return Ok(None);
        };
        let haproxy = Self { child, configuration, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err("haproxy does not listen".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(haproxy))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_file(&self.configuration));
    }
}

/// The CPU time a process has used, in microseconds.
pub(crate) fn cpu_micros(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').ok_or("unreadable stat")?.1;
    // User and system time are the fields 14 and 15; the split begins with field 3.
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock")?;
    Ok(ticks as f64 * 1e6 / per_second as f64)
}
