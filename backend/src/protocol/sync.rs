//! `sync`: many rooms at once after a reconnect, the request and its ack.

use serde::Serialize;
use serde_json::{Map, Value};

use super::read::JoinRequest;
use super::{MessageBody, RoomBody};
use crate::chat::message::Message;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::store::History;

/// Rooms in one request: as many as one connection may be in.
pub const SYNC_ROOMS_MAX: usize = 200;

/// `sync({rooms: [{roomId, lastSeq, epoch}]})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    pub rooms: Vec<JoinRequest>,
}

impl SyncRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = match arguments.into_iter().next() {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let Some(Value::Array(rooms)) = fields.get("rooms") else {
            return Err(Refusal::bad_request("rooms is not a list"));
        };
        if rooms.len() > SYNC_ROOMS_MAX {
            let message = format!("rooms has more than {SYNC_ROOMS_MAX} elements");
            return Err(Refusal::bad_request(message));
        }
        let rooms = rooms
            .iter()
            .map(|room| JoinRequest::read(vec![room.clone()]));
        let rooms = rooms.collect::<Result<_, _>>()?;
        Ok(Self { rooms })
    }
}

/// The ack of `sync`.
#[derive(Debug, Serialize)]
pub struct Synced<'a> {
    pub rooms: Vec<SyncedRoom<'a>>,
}

/// One room of it, in the order of the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum SyncedRoom<'a> {
    #[serde(rename_all = "camelCase")]
    CaughtUp {
        room_id: &'a str,
        room: RoomBody<'a>,
        epoch: &'a str,
        first_seq: u64,
        last_seq: u64,
        messages: Vec<MessageBody<'a>>,
        /// There is more between the last of `messages` and `last_seq`.
        has_more: bool,
        /// Everything since the client's `lastSeq` is in `messages`.
        recovered: bool,
        /// Something since then is no longer kept.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        trimmed: bool,
    },
    /// The others are answered all the same.
    #[serde(rename_all = "camelCase")]
    Refused {
        room_id: &'a str,
        error: SyncError<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncError<'a> {
    code: &'static str,
    message: &'a str,
    retryable: bool,
}

impl<'a> SyncedRoom<'a> {
    /// The first `messages` of a page that was read.
    #[must_use]
    pub fn caught_up(
        standing: &'a Standing,
        history: &'a History,
        messages: &'a [Message],
        (recovered, trimmed): (bool, bool),
    ) -> Self {
        let is_cut = messages.len() < history.messages.len();
        Self::CaughtUp {
            room_id: standing.room.id.as_str(),
            room: RoomBody::from(standing),
            epoch: &history.epoch,
            first_seq: history.first_seq,
            last_seq: history.last_seq,
            messages: messages.iter().map(MessageBody::from).collect(),
            has_more: history.has_more || is_cut,
            recovered: recovered && !is_cut,
            trimmed,
        }
    }

    #[must_use]
    pub fn refused(room_id: &'a str, refusal: &'a Refusal) -> Self {
        Self::Refused {
            room_id,
            error: SyncError {
                code: refusal.code.as_str(),
                message: &refusal.message,
                retryable: refusal.code.retryable(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::membership::{Access, Member, Room, Rules};
    use crate::store::contract::{at, draft, room};

    fn read(argument: Value) -> Result<SyncRequest, Refusal> {
        SyncRequest::read(vec![argument])
    }

    #[test]
    fn rooms_are_read_in_their_order() {
        let request =
            json!({"rooms": [{"roomId": "a", "lastSeq": 3, "epoch": "e"}, {"roomId": "b"}]});
        let rooms = read(request).unwrap().rooms;
        let seen: Vec<_> = rooms
            .iter()
            .map(|one| (one.room.as_str(), one.last_seq))
            .collect();
        assert_eq!(seen, [("a", Some(3)), ("b", None)]);
        assert_eq!(read(json!({"rooms": []})).unwrap().rooms, []);
    }

    #[test]
    fn nonsense_and_too_many_are_refused() {
        let many = vec![json!({"roomId": "a"}); SYNC_ROOMS_MAX + 1];
        for bad in [
            json!(null),
            json!([]),
            json!({}),
            json!({"rooms": {}}),
            json!({"rooms": [1]}),
            json!({"rooms": [{"lastSeq": 3}]}),
            json!({"rooms": [{"roomId": "a", "lastSeq": -1}]}),
            json!({"rooms": many}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        assert!(SyncRequest::read(Vec::new()).is_err());
        assert!(read(json!({"rooms": many[1..]})).is_ok());
    }

    #[test]
    fn what_was_cut_off_is_not_recovered() {
        let messages = [1, 2].map(|seq| draft("ann", "a", "hi").placed(&room("r"), at(seq)));
        let history = History {
            messages: messages.to_vec(),
            first_seq: 1,
            last_seq: 2,
            last_n: 2,
            has_more: false,
            epoch: "e".to_owned(),
        };
        let standing = Standing {
            room: Room {
                id: room("r"),
                name: "R".to_owned(),
                access: Access::Public,
                created_by: None,
                created_at_ms: 0,
                rules: Rules::default(),
                version: 3,
            },
            member: Member::unknown("ann"),
        };
        let body = |count: usize| {
            let some = &history.messages[..count];
            let synced = SyncedRoom::caught_up(&standing, &history, some, (true, false));
            serde_json::to_value(synced).unwrap()
        };
        let (whole, cut) = (body(2), body(1));
        assert_eq!(
            (&whole["recovered"], &whole["hasMore"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(
            (&cut["recovered"], &cut["hasMore"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(
            (&cut["lastSeq"], cut["messages"].as_array().unwrap().len()),
            (&json!(2), 1)
        );
        assert!(whole.get("trimmed").is_none());
        // What the room is may have changed meanwhile, too.
        assert_eq!(
            (&whole["roomId"], &whole["room"]["version"]),
            (&json!("r"), &json!(3))
        );
    }
}
