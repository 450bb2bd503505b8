//! Addresses that are never probed, in every disguise, on a network where all addresses are answered.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use drdrill_core::network::NetworkPlace;
use drdrill_faults::namespace::Namespace;

use crate::support::drill::Drill;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::undisturbed::undisturbed;

/// Ports on which everything is answered.
const PORTS: [u16; 2] = [80, 8080];

/// A network namespace in which every address is this machine, and whoever connects to any is noted and sent on to
/// where clouds hand out credentials. Removed when dropped.
struct CatchAll {
    name: String,
    seen: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

impl CatchAll {
    /// With the names of `hosts`, in the format of `/etc/hosts`.
    fn new(name: &str, hosts: &str) -> Self {
        let name = format!("ddu-{}-{name}", std::process::id());
        let net = Self { name: name.clone(), seen: Arc::default() };
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} route add local 0.0.0.0/0 dev lo"));
        ip(&format!("-n {name} -6 route add local ::/0 dev lo"));
        fs::create_dir_all(net.hosts_dir()).unwrap();
        fs::write(net.hosts_dir().join("hosts"), hosts).unwrap();
        // No name is asked of anybody else.
        fs::write(net.hosts_dir().join("resolv.conf"), "").unwrap();
        fs::write(net.hosts_dir().join("nsswitch.conf"), "hosts: files\n").unwrap();
        for port in PORTS {
            let place = Namespace::open(&NetworkPlace::Netns(name.clone())).unwrap();
            let listener = place.run(|| TcpListener::bind(("::", port))).unwrap().unwrap();
            let seen = net.seen.clone();
            thread::spawn(move || note_all(&listener, &seen));
        }
        net
    }

    fn hosts_dir(&self) -> PathBuf {
        PathBuf::from("/etc/netns").join(&self.name)
    }

    /// drdrill in this network.
    fn command(&self, sandbox: &Sandbox, arguments: &str) -> Command {
        let inner = sandbox.command(arguments);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(inner.get_current_dir().unwrap()).env("DRDRILL_STATE", &sandbox.state);
        command
    }

    fn run(&self, sandbox: &Sandbox, arguments: &str) -> Outcome {
        Outcome::of(&self.command(sandbox, arguments).output().unwrap())
    }

    /// How often each address was connected to, since the last time this was asked.
    fn seen(&self) -> BTreeMap<IpAddr, usize> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for CatchAll {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
        let _ = fs::remove_dir_all(self.hosts_dir());
        // The directory of them all, when it was made for these tests and nobody uses it.
        let _ = fs::remove_dir("/etc/netns");
    }
}

fn note_all(listener: &TcpListener, seen: &Mutex<BTreeMap<IpAddr, usize>>) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let to = stream.local_addr().unwrap().ip().to_canonical();
        *seen.lock().unwrap().entry(to).or_default() += 1;
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        // Who only connects says nothing, and may be gone already.
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    }
}

/// Writes an environment with one probe.
fn environment(sandbox: &Sandbox, attempt: &str) {
    let text = format!(
        "environment: web\nprovider:\n  host:\n    probes: [{{ name: web, service: web, attempt: {attempt} }}]\nservices: [{{ name: web, tier: 1 }}]\n"
    );
    fs::write(sandbox.path("web.yaml"), text).unwrap();
}

fn http(url: &str) -> String {
    format!("{{ http: {{ url: {} }} }}", serde_json::to_string(url).unwrap())
}

fn tcp(address: &str) -> String {
    format!("{{ tcp: {{ address: {} }} }}", serde_json::to_string(address).unwrap())
}

const HOSTS: &str = "\
127.0.0.1 localhost
10.0.0.5 shop.test
fd00::5 six.test
169.254.169.254 metadata.google.internal metadata 169-254-169-254.test
fd00:ec2::254 six-metadata.test
::ffff:169.254.169.254 mapped.test
100.100.100.200 alibaba.test
0.0.0.0 zero.test
224.0.0.1 group.test
";

/// Hosts that lead where no probe goes, or that programs do not agree about.
const HOSTS_REFUSED: [&str; 53] = [
    // As they are.
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    // In other notations.
    "2852039166",
    "0xa9fea9fe",
    "0XA9FEA9FE",
    "025177524776",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "169.254.43518",
    "169.16689662",
    "0xa9.254.0251.0xfe",
    "169.254.169.254.",
    "0169.254.169.254",
    "0000251.0376.0251.0376",
    "425.510.425.510",
    "0",
    "0x0",
    "127.1",
    "017700000001",
    "2130706433",
    // In IPv6.
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::a9fe:a9fe]",
    "[::ffff:0:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:1:2:3:4:5601:5601]",
    "[fd00::5efe:a9fe:a9fe]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[FD00:0EC2:0000::0254]",
    // In other letters.
    "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "１６９.２５４.１６９.２５４",
    "169。254。169。254",
    "%31%36%39.254.169.254",
];

/// Names that lead there.
const NAMES_REFUSED: [&str; 8] = [
    "metadata.google.internal",
    "METADATA.google.internal",
    "metadata",
    "169-254-169-254.test",
    "six-metadata.test",
    "mapped.test",
    "alibaba.test",
    "zero.test",
];

/// Whole URLs that programs read in different ways.
const URLS_REFUSED: [&str; 22] = [
    "http://10.0.0.5@169.254.169.254/",
    "http://10.0.0.5:80@169.254.169.254/",
    "http://169.254.169.254@10.0.0.5/",
    "http://10.0.0.5:80:@169.254.169.254/",
    "http://10.0.0.5\\@169.254.169.254/",
    "http://169.254.169.254\\@10.0.0.5/",
    "http://10.0.0.5#@169.254.169.254/",
    "http://10.0.0.5 @169.254.169.254/",
    "http://169.254.169.254:80#@10.0.0.5/",
    "http://[::ffff:169.254.169.254]:80/",
    "http:///169.254.169.254/",
    "http:169.254.169.254/",
    "http:\\\\169.254.169.254\\",
    "HTTP://169.254.169.254/",
    "https://169.254.169.254/",
    "ftp://169.254.169.254/",
    "file:///etc/shadow",
    "gopher://169.254.169.254:80/_GET",
    "dict://169.254.169.254:80/",
    " http://169.254.169.254/",
    "http://169.254.169.254:+80/",
    "http://10.0.0.5%2f@169.254.169.254/",
];

#[test]
fn nothing_connects_to_an_address_that_is_never_probed() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let net = CatchAll::new("never", HOSTS);
        let hosts = || HOSTS_REFUSED.iter().chain(&NAMES_REFUSED);
        let mut attempts: Vec<String> =
            hosts().map(|host| http(&format!("http://{host}/"))).collect();
        attempts.extend(URLS_REFUSED.iter().map(|url| http(url)));
        attempts.extend(hosts().step_by(3).map(|host| tcp(&format!("{host}:80"))));
        assert!(attempts.len() > 100);
        for attempt in attempts {
            environment(&sandbox, &attempt);
            let outcome = net.run(&sandbox, "run no_op --env web.yaml");
            assert!(matches!(outcome.code, Some(14 | 16)), "{attempt}: {outcome:#?}");
            assert_eq!(net.seen(), BTreeMap::new(), "{attempt}");
        }
        for url in ["http://metadata/", "http://169.254.169.254/"] {
            let pin = format!("pin: {{ http: {{ url: \"{url}\", contains: x }} }}\n");
            environment(&sandbox, &tcp("10.0.0.5:80"));
            let good = fs::read_to_string(sandbox.path("web.yaml")).unwrap();
            fs::write(sandbox.path("web.yaml"), pin + &good).unwrap();
            let outcome = net.run(&sandbox, "run no_op --env web.yaml");
            assert!(matches!(outcome.code, Some(14 | 16)), "{url}: {outcome:#?}");
            assert_eq!(net.seen(), BTreeMap::new(), "{url}");
        }
    });
}

#[test]
fn what_drills_are_about_is_probed_and_a_redirect_is_not_followed() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let net = CatchAll::new("may", HOSTS);
        let targets = [
            ("http://10.0.0.5/", "10.0.0.5"),
            ("http://192.168.1.1:8080/", "192.168.1.1"),
            ("http://127.0.0.7/", "127.0.0.7"),
            ("http://203.0.113.9/", "203.0.113.9"),
            ("http://[fd00::5]/", "fd00::5"),
            ("http://[::1]:8080/", "::1"),
            ("http://[::ffff:10.0.0.5]/", "10.0.0.5"),
            ("http://shop.test/", "10.0.0.5"),
            ("http://six.test/", "fd00::5"),
            ("http://localhost/", "127.0.0.1"),
        ];
        for (url, address) in targets {
            environment(&sandbox, &http(url));
            // Each answer is a redirect, which is no success.
            net.run(&sandbox, "run no_op --env web.yaml");
            let seen: Vec<IpAddr> = net.seen().into_keys().collect();
            assert_eq!(seen, [address.parse::<IpAddr>().unwrap()], "{url}");
        }
    });
}

#[test]
fn a_name_that_changes_its_mind_leads_nowhere_else() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let net = CatchAll::new("flip", "10.0.0.5 flip.test\n");
        environment(&sandbox, &http("http://flip.test/"));
        let scenario = "scenario: long\ntitle: Many samples\nkind: simulated\nprobes: { every: 20ms, deadline: 500ms, samples: 150 }\nfaults: []\nrecovery: { failover: own }\n";
        fs::write(sandbox.path("long.yaml"), scenario).unwrap();
        let mut drill = Drill::start(net.command(&sandbox, "run long.yaml --env web.yaml"));
        drill.says("  run ");
        crate::support::wait::until("a probe", Duration::from_secs(20), || {
            (!net.seen.lock().unwrap().is_empty()).then_some(())
        });
        // In place, because it is this file that is mounted there.
        fs::write(net.hosts_dir().join("hosts"), "169.254.169.254 flip.test\n").unwrap();
        let outcome = drill.end();
        assert_ne!(outcome.code, Some(0), "{outcome:#?}");
        let seen = net.seen();
        let seen: Vec<String> = seen.into_keys().map(|ip| ip.to_string()).collect();
        assert_eq!(seen, ["10.0.0.5"]);
        let run = fs::read_dir(sandbox.state.join("runs")).unwrap().next().unwrap().unwrap().path();
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
        assert!(events.contains("169.254.169.254 is never probed"), "it was refused, and so noted");
    });
}
