//! Answers to what other servers ask. Node servers count answers and fail their callers when one
//! is missing, so every server answers, with nothing if it has nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;
use socketioxide_core::adapter::{BroadcastFlags, BroadcastOptions, SocketEmitter};

use crate::adapter::ClusterAdapter;
use crate::codec::broadcast::Audience;
use crate::codec::request::{AckedBroadcast, Kind, Request};
use crate::codec::response;
use crate::dispatch::Malformed;
use crate::receive::options;

impl<E: SocketEmitter> ClusterAdapter<E> {
    pub(crate) fn answer(&self, request: Request) -> Result<(), Malformed> {
        let Some(id) = &request.id else {
            return Err(Malformed::new("a question without an id"));
        };
        let answer = match request.kind {
            Kind::AllRooms => {
                let mut everybody = BroadcastOptions::default();
                everybody.add_flag(BroadcastFlags::Broadcast);
                json!({ "requestId": id, "rooms": self.local.rooms(everybody) })
            }
            Kind::FetchSockets => {
                let Some(audience) = request.audience else {
                    return Err(Malformed::new("a question about nobody's sockets"));
                };
                let sockets = self.local.sockets(options(audience)).into_iter().map(
                    |sid| json!({ "id": sid, "rooms": self.local.socket_rooms(sid), "data": {} }),
                );
                json!({ "requestId": id, "sockets": sockets.collect::<Vec<_>>() })
            }
            _ => {
                let audience = Audience {
                    rooms: request.rooms,
                    ..Audience::default()
                };
                json!({ "requestId": id, "sockets": self.local.sockets(options(audience)) })
            }
        };
        self.respond(answer.to_string().into());
        Ok(())
    }

    /// Tells a server of a version before 4 that its change is made.
    pub(crate) fn answer_done(&self, request: &Request) -> Result<(), Malformed> {
        if let Some(id) = &request.id {
            self.respond(json!({ "requestId": id }).to_string().into());
        }
        Ok(())
    }

    /// Delivers the event, says to how many, and passes on each acknowledgement as it comes.
    pub(crate) fn answer_broadcast(
        &self,
        request: &AckedBroadcast<'_>,
        payload: &Bytes,
    ) -> Result<(), Malformed> {
        let packet = self.packet(&request.event, payload)?;
        let timeout = request.timeout_ms.map(Duration::from_millis);
        let audience = options(request.audience.clone());
        let (acks, clients) = self.local.broadcast_with_ack(packet, audience, timeout);
        let count = response::encode_client_count(request.id, clients)
            .map_err(|error| Malformed::new(error.to_string()))?;
        self.respond(count.into());
        if clients == 0 {
            return Ok(());
        }
        let (cluster, id) = (self.cluster.clone(), request.id.to_owned());
        let channel = self.channels.response.clone();
        // Ends with the acknowledgements' own timeout.
        tokio::spawn(acks.for_each(move |(_, ack)| {
            match ack.map(|ack| response::encode_ack(&id, &ack)) {
                Ok(Ok(payload)) => cluster.publish(channel.clone(), payload.into()),
                Ok(Err(why)) => tracing::warn!(%why, "an acknowledgement was not passed on"),
                // The asking server's own timeout tells its caller.
                Err(why) => tracing::debug!(%why, "a client did not acknowledge"),
            }
            std::future::ready(())
        }));
        Ok(())
    }

    fn respond(&self, payload: Bytes) {
        self.cluster
            .publish(self.channels.response.clone(), payload);
    }
}
