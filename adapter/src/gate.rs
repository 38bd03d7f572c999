//! What a program that keeps an order of its own needs: to see broadcasts before its clients do, and
//! to send the two halves of a broadcast, here and elsewhere, each when it is time.

use std::borrow::Cow;

use socketioxide_core::adapter::errors::SocketError;
use socketioxide_core::adapter::{BroadcastOptions, SocketEmitter};
use socketioxide_core::packet::Packet;
use socketioxide_core::{Sid, Str, Value};

use crate::adapter::ClusterAdapter;
use crate::channels;
use crate::cluster::{Cluster, Kind};
use crate::codec::args;
use crate::codec::broadcast::Audience;

/// Sees every broadcast that comes from other servers before this server's clients do.
///
/// Called in the order of arrival, on the task that reads the bus: it must not block. A broadcast
/// with attachments, or in a namespace whose parser is not the JSON one, does not come this way.
pub trait Gate: Send + Sync + 'static {
    /// Whether it takes the broadcast over. What it leaves is delivered at once, as without it.
    fn takes(&self, arrived: &Arrived<'_>) -> bool;
}

/// A broadcast of another server or of an emitter, for rooms that have members here. It is well-formed
/// as a broadcast; nothing about the event is checked.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// What its sender calls itself: a server's [`Cluster::name`] or any text.
    pub sender: &'a str,
    /// The namespace, such as `/`.
    pub namespace: &'a str,
    /// Whose members get it; empty for everybody.
    pub rooms: &'a [String],
    /// Whose members do not get it.
    pub except: &'a [String],
    /// May be left out for clients that are busy.
    pub volatile: bool,
    /// The event as JSON, its name first: `["name",…]`.
    pub event: &'a Str,
}

/// Who on the other servers hears what is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearers {
    Clients,
    /// Nobody but programs.
    Gates,
}

/// A client that an event did not reach, and why.
#[derive(Debug, Clone)]
pub struct Missed {
    /// The id of its socket.
    pub socket: Sid,
    /// Its buffer is full, or it is closing.
    pub why: SocketError,
}

impl Cluster {
    /// What this server calls itself on the bus.
    pub fn name(&self) -> String {
        self.uid().to_string()
    }

    /// Gives an event, `["name",…]` as JSON, to the room's members on this server and to nobody else.
    /// One after another, so that a client that could not take it is known by name.
    pub fn deliver(&self, namespace: &str, room: &str, event: &Str) -> Vec<Missed> {
        let Some(member) = self.member(namespace) else {
            return Vec::new();
        };
        let failed = |socket| {
            let sent = member.deliver_to(socket, event);
            sent.err().map(|why| Missed { socket, why })
        };
        member
            .members(room)
            .into_iter()
            .filter_map(failed)
            .collect()
    }

    /// The room's members on this server, for programs with a way of their own to them.
    pub fn members(&self, namespace: &str, room: &str) -> Vec<Sid> {
        match self.member(namespace) {
            Some(member) => member.members(room),
            None => Vec::new(),
        }
    }

    /// As [`deliver`](Self::deliver), to one client of this server.
    ///
    /// # Errors
    /// When its buffer is full, or it is closing.
    pub fn deliver_to(&self, namespace: &str, socket: Sid, event: &Str) -> Result<(), SocketError> {
        match self.member(namespace) {
            Some(member) => member.deliver_to(socket, event),
            None => Ok(()),
        }
    }

    /// Sends an event, `["name",…]` as JSON, to the room's members on the other servers. Their order
    /// is that of these calls; like everything on the bus it may be lost.
    pub fn announce(&self, namespace: &str, room: &str, event: &Str) {
        if let Some(member) = self.member(namespace) {
            member.announce(room, event, Hearers::Clients);
        }
    }

    /// As [`announce`](Self::announce), but for the [`Gate`]s of the other servers alone: it excludes the
    /// room that it is for, so that no client gets it, on Node servers neither.
    pub fn whisper(&self, namespace: &str, room: &str, event: &Str) {
        if let Some(member) = self.member(namespace) {
            member.announce(room, event, Hearers::Gates);
        }
    }

    /// Whether the room has members on this server.
    pub fn has_members(&self, namespace: &str, room: &str) -> bool {
        self.member(namespace)
            .is_some_and(|member| member.has_members(room))
    }
}

impl<E: SocketEmitter> ClusterAdapter<E> {
    pub(crate) fn members_here(&self, room: &str) -> Vec<Sid> {
        self.local.sockets(in_room(room))
    }

    pub(crate) fn deliver_here(&self, socket: Sid, event: &Str) -> Result<(), SocketError> {
        let Some(packet) = self.packet_of(event) else {
            return Ok(());
        };
        let sent = self.local.broadcast(packet, BroadcastOptions::new(socket));
        match sent.err().and_then(|mut failed| failed.pop()) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    pub(crate) fn announce_elsewhere(&self, room: &str, event: &Str, hearers: Hearers) {
        if self.cluster.kind() == Kind::Alone || !channels::can_be_clustered(self.local.path()) {
            return;
        }
        if let Some(packet) = self.packet_of(event) {
            let rooms = vec![room.to_owned()];
            let audience = Audience {
                except: match hearers {
                    Hearers::Clients => Vec::new(),
                    Hearers::Gates => rooms.clone(),
                },
                rooms,
                volatile: false,
            };
            self.publish_broadcast(&packet, &audience);
        }
    }

    pub(crate) fn has_room(&self, room: &str) -> bool {
        !self.members_here(room).is_empty()
    }

    /// `None`, and counted, when the text cannot be said in the parser's own language.
    fn packet_of(&self, event: &Str) -> Option<Packet> {
        let value = if self.keeps_msgpack {
            match args::to_msgpack(event, &std::collections::VecDeque::new()) {
                Ok(msgpack) => Value::Bytes(msgpack.into()),
                Err(why) => {
                    self.count_unencodable(&why);
                    return None;
                }
            }
        } else {
            Value::Str(event.clone(), None)
        };
        Some(Packet::event(self.local.path().clone(), value))
    }
}

fn in_room(room: &str) -> BroadcastOptions {
    let mut options = BroadcastOptions::default();
    options.rooms.push(Cow::Owned(room.to_owned()));
    options
}
