//! A node and its two neighbours, in namespaces without names: they end with the test, however it ends.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drdrill_core::network::Way;
use drdrill_faults::devices::Devices;
use drdrill_faults::namespace::Namespace;
use drdrill_faults::nft::{Rules, Strike};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A lease that no test outlives.
pub(crate) const LONG: Duration = Duration::from_mins(10);

/// A network namespace.
pub(crate) struct Host {
    /// A process inside that ends with the test: by it others find the way in.
    inside: Child,
    pub(crate) namespace: Namespace,
    devices: Devices,
}

impl Host {
    fn new() -> Self {
        let namespace = Namespace::unnamed().unwrap();
        let devices = Devices::of(&namespace).unwrap();
        devices.up("lo").unwrap();
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(Stdio::null());
        let inside = namespace.run(|| cat.spawn().unwrap()).unwrap();
        Self { inside, namespace, devices }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.inside.id()).unwrap()
    }

    /// Ends the process inside.
    pub(crate) fn end_process(&mut self) {
        self.inside.kill().unwrap();
        self.inside.wait().unwrap();
    }

    /// A pair of devices to another host, in the networks of that number.
    pub(crate) fn wire(&self, device: &str, peer: &Self, device_there: &str, number: u8) {
        self.devices.pair(device, None, &peer.namespace, device_there).unwrap();
        peer.devices.up(device_there).unwrap();
        for (host, device, end) in [(self, device, 1), (peer, device_there, 2)] {
            for (six, prefix) in [(false, 24), (true, 64)] {
                host.devices.address(device, address(six, number, end), prefix).unwrap();
            }
        }
    }

    /// What a command that succeeds says inside.
    pub(crate) fn command(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let output = self.namespace.run(|| command.args(words).output().unwrap()).unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// All rules, without what counts.
    pub(crate) fn tables(&self) -> String {
        self.command("nft -s list ruleset")
    }

    pub(crate) fn udp(&self, address: SocketAddr) -> UdpSocket {
        let socket = self.namespace.run(|| UdpSocket::bind(address).unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    pub(crate) fn listen(&self, address: SocketAddr) -> TcpListener {
        self.namespace.run(|| TcpListener::bind(address).unwrap()).unwrap()
    }

    pub(crate) fn connects(&self, to: SocketAddr, within: Duration) -> bool {
        self.namespace.run(|| TcpStream::connect_timeout(&to, within).is_ok()).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.inside.kill().ok();
        self.inside.wait().ok();
    }
}

/// The node that faults strike, with two neighbours.
pub(crate) struct World {
    pub(crate) node: Host,
    pub(crate) near: Host,
    pub(crate) far: Host,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { node: Host::new(), near: Host::new(), far: Host::new() };
        world.node.wire("v1", &world.near, "v0", 1);
        world.node.wire("v2", &world.far, "v0", 2);
        world
    }
}

/// Addresses on the link to the near (1) or the far (2) neighbour: of the node (1) and of the neighbour (2).
pub(crate) fn address(six: bool, link: u8, end: u8) -> IpAddr {
    let text = if six { format!("fd07:{link}::{end}") } else { format!("10.7.{link}.{end}") };
    text.parse().unwrap()
}

pub(crate) fn rules(strike: Strike, way: Way) -> Rules {
    Rules { strike, way, peers: Vec::new(), ports: Vec::new() }
}

/// One way of datagrams. They arrive in order, so that one that gets through shows what was lost before it.
pub(crate) struct Stream {
    pub(crate) way: Way,
    from: UdpSocket,
    to: UdpSocket,
    sent: u64,
}

impl Stream {
    /// Both ways between a port of the node and the neighbour on a link.
    pub(crate) fn both(world: &World, six: bool, link: u8, port: u16) -> [Self; 2] {
        let peer = if link == 1 { &world.near } else { &world.far };
        let node = world.node.udp(SocketAddr::new(address(six, link, 1), port));
        let peer = peer.udp(SocketAddr::new(address(six, link, 2), 0));
        node.connect(peer.local_addr().unwrap()).unwrap();
        peer.connect(node.local_addr().unwrap()).unwrap();
        let clone = |socket: &UdpSocket| socket.try_clone().unwrap();
        let mut arriving = Self { way: Way::In, from: clone(&peer), to: clone(&node), sent: 0 };
        let mut leaving = Self { way: Way::Out, from: node, to: peer, sent: 0 };
        arriving.passes("at first");
        leaving.passes("at first");
        [arriving, leaving]
    }

    /// Sends one; a sender is never told that it was lost.
    pub(crate) fn send(&mut self, bytes: usize) -> u64 {
        self.sent += 1;
        let mut datagram = vec![0; bytes.max(8)];
        datagram[..8].copy_from_slice(&self.sent.to_be_bytes());
        self.from.send(&datagram).unwrap();
        self.sent
    }

    /// The number of the next that arrives.
    pub(crate) fn receive(&self) -> u64 {
        let mut datagram = [0; 2048];
        // Waiting with a time limit may be interrupted by nothing that concerns it.
        while let Err(error) = self.to.recv(&mut datagram) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "a datagram: {error}");
        }
        u64::from_be_bytes(datagram[..8].try_into().unwrap())
    }

    /// The next datagram arrives, and none that was sent before.
    pub(crate) fn passes(&mut self, when: &str) {
        let number = self.send(8);
        assert_eq!(self.receive(), number, "{when}: one arrived that should not have");
    }

    /// How many have arrived and were not received yet.
    pub(crate) fn waiting(&self) -> usize {
        self.to.set_nonblocking(true).unwrap();
        let count = (0..100_000).find(|_| self.to.recv(&mut [0; 2048]).is_err()).unwrap();
        self.to.set_nonblocking(false).unwrap();
        count
    }

    /// Sends one and says whether one has arrived.
    pub(crate) fn flows(&mut self) -> bool {
        self.send(8);
        self.waiting() > 0
    }

    /// How many arrive of those sent since, where the one after them certainly does.
    pub(crate) fn arrived_before_next(&mut self) -> usize {
        let last = self.send(8);
        (0..100_000).find(|_| self.receive() == last).unwrap()
    }
}

/// Waits for something to become true.
pub(crate) fn until(what: &str, patience: Duration, mut is: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}
