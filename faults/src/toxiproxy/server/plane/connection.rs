//! A connection through the proxy: two sockets, two directions.
//!
//! Everything about it is behind one lock, and a change holds that lock. So a change is in effect for every
//! byte that is read after the change has returned, whichever thread makes it.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;

use super::alarm::Alarm;
use super::direction::Finish;
use super::{Chain, Direction, Ending};

/// The two ways data can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the upstream server.
    Up,
    /// From the upstream server to the client.
    Down,
}

/// One direction, until it is over.
type Open = Option<Direction>;

struct Inner {
    client: Option<TcpStream>,
    upstream: Option<TcpStream>,
    up: Open,
    down: Open,
    random: StdRng,
    /// Wakes the task that polls this connection.
    waker: Option<Waker>,
    over: bool,
}

pub(crate) struct Connection {
    inner: Mutex<Inner>,
}

/// What the task of a connection has to do next.
enum Next {
    /// Poll again at this time, or only when woken.
    Sleep(Option<u64>),
    Stop,
}

impl Connection {
    /// A connection of which only the client's side is there. `seed` decides all its chances.
    pub(crate) fn new(client: TcpStream, seed: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                client: Some(client),
                upstream: None,
                up: Some(Direction::new()),
                down: Some(Direction::new()),
                random: StdRng::seed_from_u64(seed),
                waker: None,
                over: false,
            }),
        }
    }

    /// Connects to `upstream` and moves data until both directions are over.
    pub(crate) async fn run(&self, upstream: &str) {
        match TcpStream::connect(upstream).await {
            Ok(stream) => {
                // Without it small writes would wait for acknowledgements: a delay nobody asked for.
                let _ = stream.set_nodelay(true);
                self.lock().upstream = Some(stream);
            }
            Err(_) => return self.cut(),
        }
        if self.attend().await.is_err() {
            self.cut();
        }
    }

    /// Polls when a socket is ready, when something was changed and when it is time.
    async fn attend(&self) -> std::io::Result<()> {
        let mut alarm = Alarm::new();
        let mut armed = None;
        loop {
            let work = poll_fn(|cx| self.lock().poll(cx, armed));
            let next = match armed {
                None => work.await,
                Some(due) => tokio::select! {
                    // The alarm first: a poll that came too late would do its work and drop the alarm before that
                    // learns how late it was.
                    biased;
                    rung = alarm.until(due) => {
                        rung?;
                        Next::Sleep(None)
                    }
                    next = work => next,
                },
            };
            match next {
                Next::Sleep(at) => armed = at,
                Next::Stop => return Ok(()),
            }
        }
    }

    /// Closes both sides at once.
    pub(crate) fn cut(&self) {
        let waker = {
            let mut inner = self.lock();
            inner.end();
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Changes the toxics of one direction.
    pub(crate) fn change(&self, way: Way, change: impl FnOnce(&mut Chain, &mut StdRng)) {
        let waker = {
            let mut inner = self.lock();
            let Inner { up, down, random, .. } = &mut *inner;
            let direction = match way {
                Way::Up => up,
                Way::Down => down,
            };
            if let Some(direction) = direction {
                change(&mut direction.chain, random);
            }
            inner.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>, armed: Option<u64>) -> Poll<Next> {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.waker = Some(cx.waker().clone()),
        }
        self.poll_way(cx, Way::Up);
        self.poll_way(cx, Way::Down);
        if self.over || (self.up.is_none() && self.down.is_none()) {
            self.end();
            return Poll::Ready(Next::Stop);
        }
        let wakes = [&self.up, &self.down].into_iter().flatten();
        let wake = wakes.filter_map(|direction| direction.wake).min();
        if wake == armed { Poll::Pending } else { Poll::Ready(Next::Sleep(wake)) }
    }

    fn poll_way(&mut self, cx: &mut Context<'_>, way: Way) {
        let (Some(client), Some(upstream)) = (&mut self.client, &mut self.upstream) else {
            self.over = true;
            return;
        };
        let (direction, source, destination) = match way {
            Way::Up => (&mut self.up, client, upstream),
            Way::Down => (&mut self.down, upstream, client),
        };
        let Some(moving) = direction else { return };
        let Poll::Ready(finish) = moving.poll(cx, &mut self.random, source, destination) else {
            return;
        };
        *direction = None;
        match finish {
            Finish::Ended(Ending::Closed) => {
                // A peer that is gone already shows itself in the other direction.
                let _ = shutdown(destination, Shutdown::Write);
            }
            Finish::Ended(Ending::Reset) => {
                for socket in [&*source, &*destination] {
                    let _ = set_socket_linger(socket, Some(Duration::ZERO));
                }
                self.over = true;
            }
            Finish::Ended(Ending::Lost | Ending::Cut) => self.over = true,
            Finish::Broken => {}
        }
    }

    /// Closes what is open.
    fn end(&mut self) {
        self.over = true;
        self.client = None;
        self.upstream = None;
        self.up = None;
        self.down = None;
    }
}
