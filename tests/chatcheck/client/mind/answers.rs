//! What a client makes of what it hears: messages live and in pages, and the answers to its questions.

use serde_json::Value;

use super::super::packet::Message;
use super::{Act, Ask, JOIN_PAUSE_MICROS, JOIN_TRIES_MAX, Mind};
use crate::record::{Did, Mark, RoomId, SERVER, Way};

impl Mind {
    pub(super) fn message(&mut self, message: &Message<'_>, now: u64) -> Vec<Act> {
        let (room, mark) = match self.recognise(message) {
            Ok(known) => known,
            Err(stray) => return vec![Act::Write(stray)],
        };
        let seq = message.seq;
        if self.is_vanilla() {
            self.vanilla.heard(room, seq);
        } else if let Some(seat) = self.seats.get_mut(&room) {
            seat.timeline.take(seq, now);
        }
        let way = Way::Live;
        vec![Act::Write(Did::Recv {
            room,
            seq,
            mark,
            way,
        })]
    }

    /// The room and the message, when both are of this row.
    fn recognise(&self, message: &Message<'_>) -> Result<(RoomId, Mark), Did> {
        let seq = message.seq;
        let room = self.names.number(&message.room_id);
        let mark = if message.kind == "message" {
            Mark::of(&message.content)
        } else {
            let number = u32::try_from(seq).unwrap_or(u32::MAX);
            Some(Mark {
                client: SERVER,
                number,
            })
        };
        room.zip(mark).ok_or_else(|| Did::Stray {
            what: format!("{:?} as seq {seq} of {}", message.content, message.room_id).into(),
        })
    }

    pub(super) fn answered(&mut self, ask: Ask, body: &Value, now: u64) -> Vec<Act> {
        let is_ok = body["ok"] == true;
        match ask {
            Ask::Join { room, after } => {
                if is_ok {
                    self.joined(room, after, body, now)
                } else {
                    self.not_joined(room, body, now)
                }
            }
            Ask::Sync { rooms } => self.synced(&rooms, body, now),
            Ask::Page { room } => self.page(room, body, now),
            Ask::Look { room } => self.looked(room, body, now),
            Ask::Leave { room } => {
                if let Some(seat) = self.seats.get_mut(&room) {
                    seat.is_asked = false;
                    seat.company.lost();
                }
                vec![Act::Write(Did::Left { room })]
            }
            Ask::Send { room, mark } if is_ok => {
                self.outbox.settle(mark);
                let (seq, duplicate) =
                    (body["seq"].as_u64().unwrap_or(0), body["duplicate"] == true);
                vec![Act::Write(Did::Ack {
                    room,
                    mark,
                    seq,
                    duplicate,
                })]
            }
            Ask::Send { room, mark } => {
                if body["error"]["retryable"] == true {
                    self.outbox
                        .refused(mark, now, body["error"]["retryAfterMs"].as_u64());
                } else {
                    self.outbox.settle(mark);
                }
                let code = code(body);
                vec![Act::Write(Did::Nack { room, mark, code })]
            }
        }
    }

    fn joined(&mut self, room: RoomId, after: Option<u64>, body: &Value, now: u64) -> Vec<Act> {
        let last = body["lastSeq"].as_u64().unwrap_or(0);
        let epoch = body["epoch"].as_str().unwrap_or_default();
        let first = body["messages"][0]["seq"].as_u64();
        let from = after.or(first.map(|seq| seq - 1)).unwrap_or(last);
        if let Some(seat) = self.seats.get_mut(&room) {
            (seat.is_in, seat.is_asked, seat.tries) = (true, false, 0);
            seat.epoch = Some(epoch.to_owned());
            seat.timeline.begin(from);
            seat.timeline.learn(last);
        }
        let epoch = epoch.into();
        let mut acts = vec![Act::Write(Did::Joined {
            room,
            from,
            last,
            epoch,
        })];
        acts.append(&mut self.take_page(room, body, now));
        if let Some(seat) = self.seats.get_mut(&room) {
            seat.timeline.goes_on();
        }
        acts.extend(self.told_who(room, &body["presence"]));
        acts
    }

    /// The answer has one part for each room, in the order of the question.
    fn synced(&mut self, rooms: &[(RoomId, u64)], body: &Value, now: u64) -> Vec<Act> {
        let mut acts = Vec::new();
        for (at, (room, after)) in rooms.iter().enumerate() {
            let part = &body["rooms"][at];
            acts.append(&mut if body["ok"] != true {
                self.not_joined(*room, body, now)
            } else if part["epoch"].is_string() {
                self.joined(*room, Some(*after), part, now)
            } else {
                self.not_joined(*room, part, now)
            });
        }
        acts
    }

    fn not_joined(&mut self, room: RoomId, body: &Value, now: u64) -> Vec<Act> {
        let mut acts = vec![Act::Write(Did::Refused { code: code(body) })];
        if let Some(seat) = self.seats.get_mut(&room) {
            seat.is_asked = false;
            seat.company.unanswered();
            seat.tries += 1;
            let pause = body["error"]["retryAfterMs"].as_u64();
            seat.join_at = Some(now + pause.map_or(JOIN_PAUSE_MICROS, |ms| ms * 1_000));
            if seat.tries >= JOIN_TRIES_MAX {
                acts.push(Act::Renew("not let into a room"));
            }
        }
        acts
    }

    fn page(&mut self, room: RoomId, body: &Value, now: u64) -> Vec<Act> {
        let before = self.cursor(room);
        let acts = self.take_page(room, body, now);
        let is_stuck = self.cursor(room) == before;
        if let Some(seat) = self.seats.get_mut(&room) {
            seat.is_paging = false;
            if is_stuck {
                seat.timeline.waits_again(now);
            } else {
                seat.timeline.goes_on();
            }
        }
        acts
    }

    pub(super) fn cursor(&self, room: RoomId) -> Option<u64> {
        self.seats
            .get(&room)
            .and_then(|seat| seat.timeline.cursor())
    }

    fn take_page(&mut self, room: RoomId, body: &Value, now: u64) -> Vec<Act> {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let mut acts = Vec::with_capacity(messages.len());
        for value in messages {
            let message = Message {
                room_id: value["roomId"].as_str().unwrap_or_default().into(),
                seq: value["seq"].as_u64().unwrap_or(0),
                kind: value["kind"].as_str().unwrap_or_default().into(),
                content: value["content"].as_str().unwrap_or_default().into(),
            };
            match self.recognise(&message) {
                Ok((its, mark)) if its == room => {
                    let (seq, way) = (message.seq, Way::Page);
                    acts.push(Act::Write(Did::Recv {
                        room,
                        seq,
                        mark,
                        way,
                    }));
                    if let Some(seat) = self.seats.get_mut(&room) {
                        seat.timeline.take(seq, now);
                    }
                }
                Ok((its, _)) => acts.push(Act::Write(Did::Stray {
                    what: format!("a message of room {its} in a page of room {room}").into(),
                })),
                Err(stray) => acts.push(Act::Write(stray)),
            }
        }
        acts
    }
}

/// The code of a refusal.
pub(super) fn code(body: &Value) -> Box<str> {
    body["error"]["code"].as_str().unwrap_or("?").into()
}
