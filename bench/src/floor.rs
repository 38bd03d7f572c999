//! What forwarding costs when it does nothing else: the same reads and writes as a proxy, on the same kernel, without one decision.
//!
//! It explains the proxies' numbers and competes with none of them. A request's head goes on as it came, an answer by its
//! `Content-Length`, and after a 101 both ways byte for byte. Connections to servers are kept and taken in turn. There are no
//! timeouts, no limits, no bodies of requests and no pipelining; what is broken is closed.

mod outlet;
pub mod rooms;

use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;

use crate::head;
use outlet::{Outlet, Over};

const LISTENER: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 1024;
/// One for all connections of a thread. Holds a message of 64 KiB with its header, and more.
const SCRATCH_BYTES: usize = 128 * 1024;

/// Forwards on this thread for as long as the program runs.
///
/// # Errors
/// When the kernel has no events to give.
pub fn serve(listener: std::net::TcpListener, servers: Vec<SocketAddr>) -> io::Result<()> {
    run(listener, |registry| Hall {
        kept: vec![Vec::new(); servers.len()],
        registry,
        ends: Slab::new(),
        servers,
        turn: 0,
    })
}

/// What a thread does with its connections, each known by its key.
trait Keeper {
    fn accept(&mut self, listener: &TcpListener);
    fn writable(&mut self, key: usize, scratch: &mut [u8]);
    fn readable(&mut self, key: usize, is_closed: bool, scratch: &mut [u8]);
}

fn run<K: Keeper>(
    listener: std::net::TcpListener,
    keeper: impl FnOnce(Registry) -> K,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut keeper = keeper(poll.registry().try_clone()?);
    let mut scratch = vec![0; SCRATCH_BYTES];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                keeper.accept(&listener);
                continue;
            }
            let (key, is_closed) = (event.token().0, event.is_read_closed());
            if event.is_writable() {
                keeper.writable(key, &mut scratch);
            }
            if event.is_readable() || is_closed {
                keeper.readable(key, is_closed, &mut scratch);
            }
        }
    }
}

struct Hall {
    registry: Registry,
    ends: Slab<End>,
    servers: Vec<SocketAddr>,
    /// Connections that wait for a request, by server.
    kept: Vec<Vec<usize>>,
    turn: usize,
}

/// One connection.
struct End {
    outlet: Outlet,
    /// Whose connection it is: a client's, or one to the server of this number.
    server: Option<usize>,
    /// The end that gets what is read here.
    peer: Option<usize>,
    /// A head that has not come whole yet.
    head: Vec<u8>,
    /// Of the answer that is under way.
    body_bytes_left: usize,
    /// A 101 went through: whatever comes, goes on.
    is_tunnel: bool,
    /// There is an end to what can be read here.
    is_closed: bool,
}

impl Keeper for Hall {
    fn accept(&mut self, listener: &TcpListener) {
        // What an accept can fail with here is that all are accepted, or that files ran out; then clients see it.
        while let Ok((stream, _)) = listener.accept() {
            if self.add(stream, None).is_err() {
                return;
            }
        }
    }

    /// What had to wait goes on its way; then the other end may read on.
    fn writable(&mut self, key: usize, scratch: &mut [u8]) {
        let Some(end) = self.ends.get_mut(key) else {
            return;
        };
        match (end.outlet.flush(), end.peer) {
            (Err(Over), _) => self.close(key),
            (Ok(true), Some(peer)) => self.pump(peer, scratch),
            (Ok(_), _) => {}
        }
    }

    fn readable(&mut self, key: usize, is_closed: bool, scratch: &mut [u8]) {
        if let Some(end) = self.ends.get_mut(key) {
            end.is_closed |= is_closed;
            self.pump(key, scratch);
        }
    }
}

impl Hall {
    fn add(&mut self, mut stream: TcpStream, server: Option<usize>) -> io::Result<usize> {
        stream.set_nodelay(true)?;
        let entry = self.ends.vacant_entry();
        let key = entry.key();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, Token(key), both)?;
        entry.insert(End {
            outlet: Outlet::new(stream),
            server,
            peer: None,
            head: Vec::new(),
            body_bytes_left: 0,
            is_tunnel: false,
            is_closed: false,
        });
        Ok(key)
    }

    /// Reads until there is nothing more, and passes it on, as long as the other end takes it. A read that did not fill the buffer
    /// was the last one, unless the connection's end is still to be read.
    fn pump(&mut self, key: usize, scratch: &mut [u8]) {
        while self.may_read(key) {
            let Some(end) = self.ends.get_mut(key) else {
                return;
            };
            let is_closed = end.is_closed;
            let count = match end.outlet.read(scratch) {
                Ok(Some(count)) => count,
                Ok(None) => return,
                Err(Over) => return self.close(key),
            };
            let Some(bytes) = scratch.get(..count) else {
                return;
            };
            if self.pass(key, bytes).is_err() {
                return self.close(key);
            }
            if count < scratch.len() && !is_closed {
                return;
            }
        }
    }

    fn may_read(&self, key: usize) -> bool {
        let peer = self.ends.get(key).and_then(|end| end.peer);
        let peer = peer.and_then(|peer| self.ends.get(peer));
        peer.is_none_or(|peer| peer.outlet.is_clear())
    }

    fn pass(&mut self, key: usize, bytes: &[u8]) -> Result<(), Over> {
        let end = self.ends.get_mut(key).ok_or(Over)?;
        match (end.is_tunnel, end.server) {
            (true, _) => self.write_to_peer(key, bytes),
            (false, Some(server)) => self.answer(key, server, bytes),
            (false, None) => self.request(key, bytes),
        }
    }

    fn request(&mut self, key: usize, bytes: &[u8]) -> Result<(), Over> {
        let end = self.ends.get_mut(key).ok_or(Over)?;
        if !end.head.is_empty() || !bytes.ends_with(b"\r\n\r\n") {
            end.head.extend_from_slice(bytes);
            if !end.head.ends_with(b"\r\n\r\n") {
                return Ok(());
            }
        }
        let head = mem::take(&mut end.head);
        if end.peer.is_none() {
            let server = self.take_server()?;
            self.link(key, Some(server));
            self.link(server, Some(key));
        }
        let head = if head.is_empty() { bytes } else { &head };
        self.write_to_peer(key, head)
    }

    fn answer(&mut self, key: usize, server: usize, bytes: &[u8]) -> Result<(), Over> {
        let end = self.ends.get_mut(key).ok_or(Over)?;
        let client = end.peer.ok_or(Over)?;
        let mut whole = Vec::new();
        if end.body_bytes_left > 0 {
            end.body_bytes_left = end.body_bytes_left.checked_sub(bytes.len()).ok_or(Over)?;
        } else {
            if !end.head.is_empty() {
                whole = mem::take(&mut end.head);
                whole.extend_from_slice(bytes);
            }
            let bytes = if whole.is_empty() { bytes } else { &whole };
            let Some(head_bytes) = head::end(bytes) else {
                end.head = bytes.to_vec();
                return Ok(());
            };
            let head = bytes.get(..head_bytes).ok_or(Over)?;
            if head::status(head) == Some(101) {
                self.tunnel(key, client);
                return self.write_to_peer(key, bytes);
            }
            let length = head::number(head, "content-length").ok_or(Over)?;
            end.body_bytes_left = (head_bytes + length).checked_sub(bytes.len()).ok_or(Over)?;
        }
        let is_whole = end.body_bytes_left == 0;
        self.write_to_peer(key, if whole.is_empty() { bytes } else { &whole })?;
        if is_whole {
            self.link(key, None);
            self.link(client, None);
            self.kept.get_mut(server).ok_or(Over)?.push(key);
        }
        Ok(())
    }

    fn tunnel(&mut self, one: usize, other: usize) {
        for key in [one, other] {
            if let Some(end) = self.ends.get_mut(key) {
                end.is_tunnel = true;
            }
        }
    }

    /// A connection to the next server, kept or new.
    fn take_server(&mut self) -> Result<usize, Over> {
        self.turn = (self.turn + 1) % self.servers.len().max(1);
        if let Some(key) = self.kept.get_mut(self.turn).ok_or(Over)?.pop() {
            return Ok(key);
        }
        let address = *self.servers.get(self.turn).ok_or(Over)?;
        let stream = TcpStream::connect(address).map_err(|_| Over)?;
        self.add(stream, Some(self.turn)).map_err(|_| Over)
    }

    fn link(&mut self, key: usize, peer: Option<usize>) {
        if let Some(end) = self.ends.get_mut(key) {
            end.peer = peer;
        }
    }

    fn write_to_peer(&mut self, key: usize, bytes: &[u8]) -> Result<(), Over> {
        let peer = self.ends.get(key).and_then(|end| end.peer).ok_or(Over)?;
        self.ends.get_mut(peer).ok_or(Over)?.outlet.write(bytes)
    }

    /// Both ends; the kernel forgets what it watched with them.
    fn close(&mut self, key: usize) {
        let Some(end) = self.ends.try_remove(key) else {
            return;
        };
        if let Some(peer) = end.peer {
            self.ends.try_remove(peer);
        } else if let Some(kept) = end.server.and_then(|server| self.kept.get_mut(server)) {
            kept.retain(|kept| *kept != key);
        }
    }
}
