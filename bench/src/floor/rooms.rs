//! What a chat server costs that does nothing else than deliver: a message becomes one frame, and each member's socket gets it in one
//! write. One thread, bare epoll.
//!
//! It speaks as much of Socket.IO as the swarm does. It knows nobody, checks nothing, keeps nothing, sends no heartbeats.

use std::collections::HashMap;
use std::io;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::outlet::{Outlet, Over};
use super::{Keeper, run};
use crate::{frame, handshake, head};

/// An answer to a request that wants no WebSocket, so that a starter sees that the server is up.
const UP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Serves on this thread for as long as the program runs.
///
/// # Errors
/// When the kernel has no events to give.
pub fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    run(listener, |registry| House {
        registry,
        members: Slab::new(),
        rooms: HashMap::new(),
        number: 0,
    })
}

struct House {
    registry: Registry,
    members: Slab<Member>,
    rooms: HashMap<String, Vec<usize>>,
    number: u64,
}

struct Member {
    outlet: Outlet,
    is_websocket: bool,
    /// A head or a frame that has not come whole yet.
    bytes: Vec<u8>,
    room: Option<String>,
}

impl Keeper for House {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((mut stream, _)) = listener.accept() {
            let entry = self.members.vacant_entry();
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered = self
                .registry
                .register(&mut stream, Token(entry.key()), both);
            if registered.is_err() || stream.set_nodelay(true).is_err() {
                return;
            }
            entry.insert(Member {
                outlet: Outlet::new(stream),
                is_websocket: false,
                bytes: Vec::new(),
                room: None,
            });
        }
    }

    fn writable(&mut self, key: usize, _: &mut [u8]) {
        let member = self.members.get_mut(key);
        if member.is_some_and(|member| member.outlet.flush().is_err()) {
            self.close(key);
        }
    }

    fn readable(&mut self, key: usize, is_closed: bool, scratch: &mut [u8]) {
        while let Some(member) = self.members.get_mut(key) {
            let count = match member.outlet.read(scratch) {
                Ok(Some(count)) => count,
                Ok(None) => return,
                Err(Over) => return self.close(key),
            };
            member.bytes.extend_from_slice(&scratch[..count]);
            if self.hear(key).is_err() {
                return self.close(key);
            }
            if count < scratch.len() && !is_closed {
                return;
            }
        }
    }
}

impl House {
    /// All that has come whole.
    fn hear(&mut self, key: usize) -> Result<(), Over> {
        loop {
            let member = self.members.get_mut(key).ok_or(Over)?;
            if !member.is_websocket {
                let Some(end) = head::end(&member.bytes) else {
                    return Ok(());
                };
                let head: Vec<u8> = member.bytes.drain(..end).collect();
                member.welcome(&head)?;
                continue;
            }
            let header = frame::read(&member.bytes).map_err(|_| Over)?;
            let Some(header) = header.filter(|it| member.bytes.len() >= it.frame_bytes()) else {
                return Ok(());
            };
            let mut frame: Vec<u8> = member.bytes.drain(..header.frame_bytes()).collect();
            if header.opcode == frame::CLOSE {
                return Err(Over);
            }
            let payload = &mut frame[header.header_bytes..];
            frame::mask(payload, header.mask.ok_or(Over)?);
            self.answer(key, std::str::from_utf8(payload).map_err(|_| Over)?)?;
        }
    }

    fn answer(&mut self, key: usize, packet: &str) -> Result<(), Over> {
        let member = self.members.get_mut(key).ok_or(Over)?;
        if packet == "40" {
            return member.say("40{\"sid\":\"floor\"}");
        }
        let Some((number, event)) = packet.strip_prefix("42").and_then(|it| it.split_once('['))
        else {
            return Ok(());
        };
        let mut texts = event.split('"').skip(1).step_by(2);
        let (name, room) = (texts.next().ok_or(Over)?, texts.next().ok_or(Over)?);
        if name == "joinRoom" {
            member.room = Some(room.to_owned());
            self.rooms.entry(room.to_owned()).or_default().push(key);
        } else {
            // After "content", its value.
            let content = texts.nth(1).ok_or(Over)?;
            self.deliver(room, content);
        }
        let member = self.members.get_mut(key).ok_or(Over)?;
        member.say(&format!("43{number}[{{\"ok\":true}}]"))
    }

    /// As long as a real one.
    fn deliver(&mut self, room: &str, content: &str) {
        self.number += 1;
        let number = self.number;
        let frame = text(&format!(
            "42[\"message\",{{\"id\":\"00000000-0000-4000-8000-000000000000\",\"roomId\":\"{room}\",\"seq\":{number},\"kind\":\"message\",\
             \"type\":\"text\",\"content\":\"{content}\",\"senderId\":\"guest:00000000-0000-4000-8000-000000000000\",\"senderName\":\"Guest\",\
             \"timestamp\":\"2000-01-01T00:00:00.000Z\",\"clientMsgId\":\"00000000-0000-4000-8000-000000000000\"}}]"
        ));
        let keys = self.rooms.get(room).into_iter().flatten().copied();
        let is_broken = |key: &usize| {
            let member = self.members.get_mut(*key);
            member.is_some_and(|member| member.outlet.write(&frame).is_err())
        };
        let broken: Vec<usize> = keys.filter(is_broken).collect();
        for key in broken {
            self.close(key);
        }
    }

    fn close(&mut self, key: usize) {
        let room = self.members.try_remove(key).and_then(|member| member.room);
        if let Some(keys) = room.and_then(|room| self.rooms.get_mut(&room)) {
            keys.retain(|one| *one != key);
        }
    }
}

impl Member {
    fn welcome(&mut self, head: &[u8]) -> Result<(), Over> {
        let Some(key) = head::field(head, "sec-websocket-key") else {
            return self.outlet.write(UP);
        };
        self.is_websocket = true;
        self.outlet.write(&handshake::answer(key))?;
        self.say(
            "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":60000}",
        )
    }

    fn say(&mut self, packet: &str) -> Result<(), Over> {
        self.outlet.write(&text(packet))
    }
}

fn text(packet: &str) -> Vec<u8> {
    let (header, used) = frame::server_header(frame::TEXT, packet.len());
    [&header[..used], packet.as_bytes()].concat()
}
