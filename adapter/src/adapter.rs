//! What this server does to sockets wherever they are: local sockets at once, the others by message.
//! Owns the outgoing half of [`ClusterAdapter`]; the incoming half is `receive`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FusedStream, Stream, empty, select};

use socketioxide_core::adapter::errors::BroadcastError;
use socketioxide_core::adapter::{
    AckStreamItem, BroadcastFlags, BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter,
    RemoteSocketData, Room, RoomParam, SocketEmitter,
};
use socketioxide_core::packet::{Packet, PacketData};
use socketioxide_core::parser::Parse;
use socketioxide_core::{Uid, Value};

use crate::ClusterError;
use crate::ask::OpenQuestions;
use crate::channels::{self, Channels};
use crate::cluster::Cluster;
use crate::codec::broadcast::{self, Audience};
use crate::codec::request::{self, Asker, Change, Question};
use crate::codec::response::Answer;
use crate::dispatch::Member;

/// Makes a Socket.IO server part of a [`Cluster`]: one per namespace, made by the server itself.
///
/// Local sockets are always served first and independently of the bus. An operation never waits
/// for the bus and never fails because of it.
pub struct ClusterAdapter<E> {
    pub(crate) cluster: Cluster,
    pub(crate) channels: Channels,
    pub(crate) local: CoreLocalAdapter<E>,
    pub(crate) open_questions: Arc<OpenQuestions>,
    /// The parser keeps arguments as MessagePack, not as JSON.
    pub(crate) keeps_msgpack: bool,
}

impl<E> DefinedAdapter for ClusterAdapter<E> {}

impl<E: SocketEmitter> ClusterAdapter<E> {
    pub(crate) fn publish_broadcast(&self, packet: &Packet, audience: &Audience) {
        let (PacketData::Event(data, _) | PacketData::BinaryEvent(data, _)) = &packet.inner else {
            return;
        };
        match broadcast::encode(
            self.cluster.uid().as_str(),
            self.local.path(),
            data,
            audience,
        ) {
            Ok(payload) => {
                let channel = self.channels.for_rooms(&audience.rooms);
                self.cluster.publish(channel, payload);
            }
            Err(why) => self.count_unencodable(&why),
        }
    }

    /// Sends an event that wants answers to the other servers; `None` when there are none.
    async fn publish_acked(
        &self,
        packet: &Packet,
        audience: &Audience,
        timeout: Duration,
    ) -> Option<impl Stream<Item = AckStreamItem<E::AckError>> + Send + use<E>> {
        let (PacketData::Event(data, _) | PacketData::BinaryEvent(data, _)) = &packet.inner else {
            return None;
        };
        let servers = match self.other_servers().await {
            Ok(servers) => servers,
            Err(why) => {
                tracing::debug!(%why, "only local clients are asked for acknowledgements");
                return None;
            }
        };
        if servers == 0 {
            return None;
        }
        let question = self.open_questions.open();
        let uid = self.cluster.uid();
        let asker = Asker {
            uid: uid.as_str(),
            id: &question.id,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        match request::encode_acked_broadcast(asker, self.local.path(), data, audience) {
            Ok(payload) => {
                self.cluster
                    .publish(self.channels.request.clone(), payload.into());
                Some(self.remote_acks(question, servers, timeout))
            }
            Err(why) => {
                self.count_unencodable(&why);
                None
            }
        }
    }

    fn publish_change(&self, change: Change<'_>, audience: &Audience) {
        match request::encode_change(self.cluster.uid().as_str(), change, audience) {
            Ok(payload) => self
                .cluster
                .publish(self.channels.request.clone(), payload.into()),
            Err(why) => self.count_unencodable(&why),
        }
    }

    pub(crate) fn count_unencodable(&self, why: &dyn std::error::Error) {
        self.cluster.counters().dropped.add(1);
        tracing::warn!(namespace = %self.local.path(), %why, "not sent to other servers");
    }

    /// Whom the other servers have to reach; `None` when nobody can be there.
    fn audience(&self, options: &BroadcastOptions) -> Option<Audience> {
        let is_elsewhere_too = !options.is_local(self.local.server_id())
            && self.cluster.kind() != crate::Kind::Alone
            && channels::can_be_clustered(self.local.path());
        is_elsewhere_too.then(|| audience(options)).flatten()
    }

    /// Changes rooms of local sockets. The local adapter would make an empty room for a join that
    /// matches nobody, and an entry for a socket that is elsewhere; neither would ever go away.
    pub(crate) fn change_rooms_here(&self, options: BroadcastOptions, change: Change<'_>) {
        if self.local.fetch_sockets(options.clone()).is_empty() {
            return;
        }
        match change {
            Change::Join(rooms) => self.local.add_sockets(options, rooms.to_vec()),
            Change::Leave(rooms) => self.local.del_sockets(options, rooms.to_vec()),
            Change::Disconnect => {}
        }
    }
}

/// Acknowledgements, the local ones with the ids of their sockets.
pub(crate) type AckStream<E> = Pin<
    Box<dyn FusedStream<Item = AckStreamItem<<E as SocketEmitter>::AckError>> + Send + 'static>,
>;

/// The wire's words for the server's options. `None` when they match nobody: on the wire, no rooms
/// would mean everybody.
fn audience(options: &BroadcastOptions) -> Option<Audience> {
    let name = |room: &Room| room.clone().into_owned();
    let mut audience = Audience {
        rooms: options.rooms.iter().map(name).collect(),
        except: options.except.iter().map(name).collect(),
        volatile: options.has_flag(BroadcastFlags::Volatile),
    };
    let sid = options.sid.map(|sid| sid.to_string());
    if options.has_flag(BroadcastFlags::Broadcast) {
        audience.except.extend(sid);
    } else if audience.rooms.is_empty() {
        audience.rooms.push(sid?);
    }
    Some(audience)
}

impl<E: SocketEmitter> CoreAdapter<E> for ClusterAdapter<E> {
    type Error = ClusterError;
    type State = Cluster;
    type AckStream = AckStream<E>;
    type InitRes = ();

    fn new(cluster: &Cluster, local: CoreLocalAdapter<E>) -> Self {
        let sample = local.parser().encode_value(&(), None);
        Self {
            cluster: cluster.clone(),
            channels: Channels::new(local.path()),
            open_questions: Arc::default(),
            keeps_msgpack: matches!(sample, Ok(Value::Bytes(_))),
            local,
        }
    }

    /// The namespace serves its clients at once; the bus joins in when it can.
    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) {
        let namespace = self.local.path().clone();
        if channels::can_be_clustered(&namespace) {
            let member: Arc<dyn Member> = Arc::clone(&self) as _;
            self.cluster.add(&namespace, &self.channels, &member);
        } else {
            tracing::warn!(%namespace, "a namespace with '#' stays on its own server");
        }
        on_success();
    }

    async fn close(&self) -> Result<(), ClusterError> {
        self.cluster.remove(self.local.path(), &self.channels, self);
        self.local.close();
        Ok(())
    }

    async fn server_count(&self) -> Result<u16, ClusterError> {
        self.cluster.servers(&self.channels).await
    }

    async fn broadcast(
        &self,
        packet: Packet,
        options: BroadcastOptions,
    ) -> Result<(), BroadcastError> {
        let Some(audience) = self.audience(&options) else {
            return Ok(self.local.broadcast(packet, options)?);
        };
        let delivered = self.local.broadcast(packet.clone(), options);
        self.publish_broadcast(&packet, &audience);
        Ok(delivered?)
    }

    /// Acknowledgements of local clients and of the other servers' clients, as they come.
    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        options: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> Result<Self::AckStream, ClusterError> {
        let audience = self.audience(&options);
        let to_others = audience.is_some().then(|| packet.clone());
        let (local, _count) = self.local.broadcast_with_ack(packet, options, timeout);
        let (Some(audience), Some(packet)) = (audience, to_others) else {
            return Ok(Box::pin(select(local, empty())));
        };
        let timeout = timeout.unwrap_or_else(|| self.local.ack_timeout());
        Ok(
            match self.publish_acked(&packet, &audience, timeout).await {
                Some(remote) => Box::pin(select(local, remote)),
                None => Box::pin(select(local, empty())),
            },
        )
    }

    async fn add_sockets(
        &self,
        options: BroadcastOptions,
        rooms: impl RoomParam,
    ) -> Result<(), ClusterError> {
        let rooms: Vec<String> = rooms.into_room_iter().map(Room::into_owned).collect();
        let audience = self.audience(&options);
        self.change_rooms_here(options, Change::Join(&rooms));
        if let Some(audience) = audience {
            self.publish_change(Change::Join(&rooms), &audience);
        }
        Ok(())
    }

    async fn del_sockets(
        &self,
        options: BroadcastOptions,
        rooms: impl RoomParam,
    ) -> Result<(), ClusterError> {
        let rooms: Vec<String> = rooms.into_room_iter().map(Room::into_owned).collect();
        let audience = self.audience(&options);
        self.change_rooms_here(options, Change::Leave(&rooms));
        if let Some(audience) = audience {
            self.publish_change(Change::Leave(&rooms), &audience);
        }
        Ok(())
    }

    async fn disconnect_socket(&self, options: BroadcastOptions) -> Result<(), BroadcastError> {
        let audience = self.audience(&options);
        let disconnected = self.local.disconnect_socket(options);
        if let Some(audience) = audience {
            self.publish_change(Change::Disconnect, &audience);
        }
        Ok(disconnected?)
    }

    async fn rooms(&self, options: BroadcastOptions) -> Result<Vec<Room>, ClusterError> {
        let audience = self.audience(&options);
        let mut rooms = self.local.rooms(options);
        if let Some(audience) = audience {
            let is_everybody = audience == Audience::default();
            let question = if is_everybody {
                Question::AllRooms
            } else {
                Question::Sockets
            };
            for answer in self.ask(question, &audience).await? {
                match answer {
                    Answer::Rooms(names) => rooms.extend(names.into_iter().map(Room::Owned)),
                    Answer::Sockets(sockets) => {
                        let names = sockets.into_iter().flat_map(|socket| socket.rooms);
                        rooms.extend(names.map(Room::Owned));
                    }
                    Answer::Clients(_) | Answer::Acknowledgement(_) => {}
                }
            }
        }
        Ok(rooms.into_iter().collect())
    }

    /// Sockets of Node servers are left out: their ids do not fit into [`RemoteSocketData`].
    async fn fetch_sockets(
        &self,
        options: BroadcastOptions,
    ) -> Result<Vec<RemoteSocketData>, ClusterError> {
        let audience = self.audience(&options);
        let mut sockets = self.local.fetch_sockets(options);
        if let Some(audience) = audience {
            for answer in self.ask(Question::Sockets, &audience).await? {
                let Answer::Sockets(found) = answer else {
                    continue;
                };
                let ids = found.iter().filter_map(|socket| socket.id.parse().ok());
                sockets.extend(ids.map(|id| RemoteSocketData {
                    id,
                    // Answers do not say whose they are; zero is nobody's, so never taken for local.
                    server_id: Uid::ZERO,
                    ns: self.local.path().clone(),
                }));
            }
        }
        Ok(sockets)
    }

    fn get_local(&self) -> &CoreLocalAdapter<E> {
        &self.local
    }
}

#[cfg(test)]
mod tests;
