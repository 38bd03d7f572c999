//! What other servers ask of this one: deliver their broadcasts, change local sockets, answer.
//! Owns the incoming half of [`ClusterAdapter`]; the answers themselves are made in `answer`.

use bytes::Bytes;
use socketioxide_core::adapter::errors::SocketError;
use socketioxide_core::adapter::{BroadcastFlags, BroadcastOptions, Room, SocketEmitter};
use socketioxide_core::packet::{Packet, PacketData};
use socketioxide_core::{Sid, Str, Value};

use crate::adapter::ClusterAdapter;
use crate::cluster::ServerEvent;
use crate::codec::broadcast::{self, Audience, Event};
use crate::codec::request::{self, Change, Kind, Request};
use crate::codec::{args, response};
use crate::dispatch::{Malformed, Member};
use crate::gate::{Arrived, Hearers};

impl<E: SocketEmitter> Member for ClusterAdapter<E> {
    fn on_broadcast(&self, room: Option<&str>, payload: Bytes) -> Result<(), Malformed> {
        // Redis brings back what we sent, and most broadcasts to a room are for other servers.
        // Neither is worth decoding.
        let is_own = broadcast::sender(&payload)? == self.cluster.uid().as_str();
        if is_own || room.is_some_and(|room| !self.has_room(room)) {
            return Ok(());
        }
        let broadcast = broadcast::decode(&payload)?;
        if broadcast.event.namespace != self.local.path().as_str() {
            return Ok(());
        }
        let packet = self.packet(&broadcast.event, &payload)?;
        self.cluster.counters().received.add(1);
        if self.is_taken(broadcast::sender(&payload)?, &packet, &broadcast.audience) {
            return Ok(());
        }
        if let Err(failed) = self.local.broadcast(packet, options(broadcast.audience)) {
            tracing::debug!(clients = failed.len(), "clients too slow for a broadcast");
        }
        Ok(())
    }

    fn on_request(&self, payload: Bytes) -> Result<(), Malformed> {
        if payload.first() != Some(&b'{') {
            let request = request::decode_acked_broadcast(&payload)?;
            let is_own = request.uid == Some(self.cluster.uid().as_str());
            if !is_own && request.event.namespace == self.local.path().as_str() {
                self.cluster.counters().received.add(1);
                self.answer_broadcast(&request, &payload)?;
            }
            return Ok(());
        }
        let request = request::decode(&payload)?;
        if request.uid.as_deref() == Some(self.cluster.uid().as_str()) {
            return Ok(());
        }
        self.cluster.counters().received.add(1);
        match request.kind {
            Kind::Join | Kind::Leave | Kind::Disconnect => self.change(request),
            Kind::Sockets | Kind::AllRooms | Kind::FetchSockets => self.answer(request),
            Kind::ServerSideEmit => self.hear(request.data),
            Kind::BroadcastWithAck => Err(Malformed::new("a broadcast with answers in JSON")),
        }
    }

    fn members(&self, room: &str) -> Vec<Sid> {
        self.members_here(room)
    }

    fn deliver_to(&self, socket: Sid, event: &Str) -> Result<(), SocketError> {
        self.deliver_here(socket, event)
    }

    fn announce(&self, room: &str, event: &Str, hearers: Hearers) {
        self.announce_elsewhere(room, event, hearers);
    }

    fn has_members(&self, room: &str) -> bool {
        self.has_room(room)
    }

    fn on_response(&self, payload: Bytes) -> Result<(), Malformed> {
        if self.open_questions.is_empty() {
            return Ok(());
        }
        if let Some((id, answer)) = response::decode(&payload)? {
            self.open_questions
                .answer(&id, answer, self.cluster.counters());
        }
        Ok(())
    }
}

impl<E: SocketEmitter> ClusterAdapter<E> {
    fn is_taken(&self, sender: &str, packet: &Packet, audience: &Audience) -> bool {
        let (Some(gate), PacketData::Event(Value::Str(event, None), _)) =
            (self.cluster.gate(), &packet.inner)
        else {
            return false;
        };
        gate.takes(&Arrived {
            sender,
            namespace: self.local.path(),
            rooms: &audience.rooms,
            except: &audience.except,
            volatile: audience.volatile,
            event,
        })
    }

    pub(crate) fn packet(&self, event: &Event<'_>, payload: &Bytes) -> Result<Packet, Malformed> {
        let data = if self.keeps_msgpack {
            Value::Bytes(payload.slice_ref(event.arguments))
        } else {
            let (json, attachments) = args::to_json(event.arguments, payload)?;
            Value::Str(
                Str::from(json),
                (!attachments.is_empty()).then_some(attachments),
            )
        };
        Ok(Packet::event(self.local.path().clone(), data))
    }

    /// Answers are not given: Node servers without a handler that answers give none either.
    fn hear(&self, data: Vec<serde_json::Value>) -> Result<(), Malformed> {
        let mut data = data.into_iter();
        let Some(serde_json::Value::String(name)) = data.next() else {
            return Err(Malformed::new("an event between servers without a name"));
        };
        let event = ServerEvent {
            namespace: self.local.path().to_string(),
            name,
            arguments: data.collect(),
        };
        self.cluster.hear(event);
        Ok(())
    }

    fn change(&self, request: Request) -> Result<(), Malformed> {
        if let Some(sid) = &request.sid {
            return self.change_one(sid, &request);
        }
        let Some(audience) = request.audience else {
            return Err(Malformed::new("a change of nobody's rooms"));
        };
        self.apply(request.kind, options(audience), &request.rooms);
        Ok(())
    }

    /// The form of versions before 4: one socket by its id, and the server that has it answers.
    fn change_one(&self, sid: &str, request: &Request) -> Result<(), Malformed> {
        // Ids of another shape belong to Node servers.
        let Ok(sid) = sid.parse::<Sid>() else {
            return Ok(());
        };
        let options = BroadcastOptions::new(sid);
        if self.local.fetch_sockets(options.clone()).is_empty() {
            return Ok(());
        }
        self.apply(request.kind, options, &request.rooms);
        self.answer_done(request)
    }

    fn apply(&self, kind: Kind, options: BroadcastOptions, rooms: &[String]) {
        match kind {
            Kind::Join => self.change_rooms_here(options, Change::Join(rooms)),
            Kind::Leave => self.change_rooms_here(options, Change::Leave(rooms)),
            _ => {
                if let Err(failed) = self.local.disconnect_socket(options) {
                    tracing::debug!(clients = failed.len(), "clients were gone already");
                }
            }
        }
    }
}

/// The server's options for what the wire says.
pub(crate) fn options(audience: Audience) -> BroadcastOptions {
    let mut options = BroadcastOptions::default();
    if audience.rooms.is_empty() {
        options.add_flag(BroadcastFlags::Broadcast);
    }
    if audience.volatile {
        options.add_flag(BroadcastFlags::Volatile);
    }
    options
        .rooms
        .extend(audience.rooms.into_iter().map(Room::Owned));
    options
        .except
        .extend(audience.except.into_iter().map(Room::Owned));
    options
}
