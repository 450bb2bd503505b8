//! Two sites of network namespaces, beside a script of `ip` commands that makes the same; ours in at most a fifth of
//! its time.
//!
//! The middle value of the rounds counts; the two take turns. The clock stops when a connection from one site
//! to the other is accepted; each is gone before the next begins.

use std::error::Error;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitCode, id};
use std::thread;
use std::time::{Duration, Instant};

use drdrill_core::network::NetworkPlace;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::two_sites::{SITES, TwoSites, address, gateway};

type Failure = Box<dyn Error>;

const ROUNDS: usize = 15;
const NODES: u8 = 2;
/// The kernel takes namespaces apart behind everybody's back, and holds up whoever makes new ones meanwhile.
const PAUSE: Duration = Duration::from_millis(300);
/// Ours at most this part of the script.
const OF_SCRIPT: f64 = 1.0 / 5.0;

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<bool, Failure> {
    let (make, remove) = script();
    let (mut ours, mut scripts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        thread::sleep(PAUSE);
        let start = Instant::now();
        let sites = TwoSites::new(NODES)?;
        let [primary, dr] = &sites.nodes;
        let ends = primary.first().zip(dr.last()).ok_or("no nodes")?;
        see(ends.0, ends.1)?;
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        drop(sites);
        thread::sleep(PAUSE);
        let start = Instant::now();
        let done = shell(&make);
        let seen = done.and_then(|()| {
            let open = |name| Namespace::open(&NetworkPlace::Netns(name));
            see(&open(name("primary0"))?, &open(name(&format!("dr{}", NODES - 1)))?)
        });
        scripts.push(start.elapsed().as_secs_f64() * 1e3);
        shell(&remove)?;
        seen?;
    }
    let (ours, script) = (middle(ours), middle(scripts));
    let ratio = ours / script;
    let word = if ratio <= OF_SCRIPT { "PASS" } else { "FAIL" };
    println!("two sites of {NODES} nodes: ours {ours:.1} ms, ip script {script:.1} ms");
    println!("{word} beside the ip script: {ratio:.3} of it (limit: at most {OF_SCRIPT})");
    Ok(ratio <= OF_SCRIPT)
}

fn name(of: &str) -> String {
    format!("ddb-{}-{of}", id())
}

/// The commands that make the same, and those that remove it.
fn script() -> (String, String) {
    let hub = name("hub");
    let mut make = format!(
        "ip netns add {hub}\nip -n {hub} link set lo up\nip netns exec {hub} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'\n"
    );
    let mut remove = format!("ip netns del {hub}\n");
    for (site, bridge) in SITES.iter().enumerate() {
        let gateway = gateway(site);
        let _ = write!(
            make,
            "ip -n {hub} link add {bridge} up type bridge\nip -n {hub} addr add {gateway}/24 dev {bridge}\n"
        );
        for number in 0..NODES {
            let (port, address) = (format!("{bridge}{number}"), address(site, number));
            let node = name(&port);
            let _ = write!(
                make,
                "ip netns add {node}\n\
                 ip -n {hub} link add {port} up master {bridge} type veth peer name lan netns {node}\n\
                 ip -n {node} link set lo up\n\
                 ip -n {node} addr add {address}/24 dev lan\n\
                 ip -n {node} link set lan up\n\
                 ip -n {node} route add default via {gateway}\n"
            );
            let _ = writeln!(remove, "ip netns del {node}");
        }
    }
    (make, remove)
}

fn shell(script: &str) -> Result<(), Failure> {
    let status = Command::new("sh").args(["-e", "-c", script]).status()?;
    if status.success() { Ok(()) } else { Err(format!("{status}: {script}").into()) }
}

/// The sites reach each other.
fn see(from: &Namespace, to: &Namespace) -> Result<(), Failure> {
    let there: IpAddr = address(1, NODES - 1);
    let listener = to.run(|| TcpListener::bind(SocketAddr::new(there, 0)))??;
    let there = listener.local_addr()?;
    from.run(|| TcpStream::connect_timeout(&there, Duration::from_secs(5)))??;
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
