//! What servers ask of each other: JSON, except a broadcast that wants answers, which is MessagePack.
//! Owns the shapes; acting on them is `receive`'s and `answer`'s business.

use rmp::encode::{self, ByteBuf};
use serde::{Deserialize, Serialize};
use socketioxide_core::Value;

use crate::codec::broadcast::{self, Audience, Event, Unencodable, decode_audience, decode_event};
use crate::codec::reader::{Reader, Token, unexpected};
use crate::dispatch::Malformed;

/// The numbers of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Sockets = 0,
    AllRooms = 1,
    Join = 2,
    Leave = 3,
    Disconnect = 4,
    FetchSockets = 5,
    ServerSideEmit = 6,
    BroadcastWithAck = 7,
}

impl Kind {
    fn from_number(number: u64) -> Result<Self, Malformed> {
        Ok(match number {
            0 => Self::Sockets,
            1 => Self::AllRooms,
            2 => Self::Join,
            3 => Self::Leave,
            4 => Self::Disconnect,
            5 => Self::FetchSockets,
            6 => Self::ServerSideEmit,
            7 => Self::BroadcastWithAck,
            _ => {
                return Err(Malformed::new(format!(
                    "a request of unknown type {number}"
                )));
            }
        })
    }
}

/// A change to sockets wherever they are: join or leave rooms, or disconnect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    Join(&'a [String]),
    Leave(&'a [String]),
    Disconnect,
}

#[derive(Serialize)]
struct OutgoingOptions<'a> {
    rooms: &'a [String],
    except: &'a [String],
}

/// Field order is Node's.
#[derive(Serialize)]
struct OutgoingChange<'a> {
    uid: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    opts: OutgoingOptions<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<bool>,
}

pub(crate) fn encode_change(
    uid: &str,
    change: Change<'_>,
    audience: &Audience,
) -> serde_json::Result<Vec<u8>> {
    let (kind, rooms, close) = match change {
        Change::Join(rooms) => (Kind::Join, Some(rooms), None),
        Change::Leave(rooms) => (Kind::Leave, Some(rooms), None),
        // Socket.IO's server closes one namespace only, never the connection below it.
        Change::Disconnect => (Kind::Disconnect, None, Some(false)),
    };
    serde_json::to_vec(&OutgoingChange {
        uid,
        kind: kind as u8,
        opts: OutgoingOptions {
            rooms: &audience.rooms,
            except: &audience.except,
        },
        rooms,
        close,
    })
}

/// Something to be told about the sockets of all servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Every room that there is.
    AllRooms,
    /// The sockets of an audience, with their rooms.
    Sockets,
}

#[derive(Serialize)]
struct OutgoingQuestion<'a> {
    uid: &'a str,
    #[serde(rename = "requestId")]
    request_id: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<OutgoingOptions<'a>>,
}

pub(crate) fn encode_question(
    uid: &str,
    id: &str,
    question: Question,
    audience: &Audience,
) -> serde_json::Result<Vec<u8>> {
    let opts = OutgoingOptions {
        rooms: &audience.rooms,
        except: &audience.except,
    };
    let (kind, opts) = match question {
        Question::AllRooms => (Kind::AllRooms, None),
        Question::Sockets => (Kind::FetchSockets, Some(opts)),
    };
    serde_json::to_vec(&OutgoingQuestion {
        uid,
        request_id: id,
        kind: kind as u8,
        opts,
    })
}

/// An event for the other servers themselves, not for their clients; nobody answers.
#[derive(Serialize)]
struct OutgoingServerEvent<'a> {
    uid: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    data: (&'a str, &'a serde_json::Value),
}

pub(crate) fn encode_server_event(
    uid: &str,
    event: &str,
    argument: &serde_json::Value,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&OutgoingServerEvent {
        uid,
        kind: Kind::ServerSideEmit as u8,
        data: (event, argument),
    })
}

/// Who asks, and what the answers have to name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) uid: &'a str,
    pub(crate) id: &'a str,
    /// How long it waits for answers, in milliseconds.
    pub(crate) timeout_ms: u64,
}

pub(crate) fn encode_acked_broadcast(
    asker: Asker<'_>,
    namespace: &str,
    data: &Value,
    audience: &Audience,
) -> Result<Vec<u8>, Unencodable> {
    let arguments = broadcast::encode_arguments(data)?;
    let mut out = ByteBuf::with_capacity(arguments.len() + 192);
    encode::write_map_len(&mut out, 5)?;
    encode::write_str(&mut out, "uid")?;
    encode::write_str(&mut out, asker.uid)?;
    encode::write_str(&mut out, "requestId")?;
    encode::write_str(&mut out, asker.id)?;
    encode::write_str(&mut out, "type")?;
    encode::write_uint(&mut out, u64::from(Kind::BroadcastWithAck as u8))?;
    encode::write_str(&mut out, "packet")?;
    broadcast::encode_packet(&mut out, namespace, &arguments)?;
    encode::write_str(&mut out, "opts")?;
    broadcast::encode_options(&mut out, audience, Some(asker.timeout_ms))?;
    Ok(out.into_vec())
}

/// A JSON request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// Absent when an emitter asks.
    pub(crate) uid: Option<String>,
    /// What the answer has to name; absent when none is wanted.
    pub(crate) id: Option<String>,
    pub(crate) kind: Kind,
    /// Absent in requests of versions before 4, which name one socket or nothing.
    pub(crate) audience: Option<Audience>,
    pub(crate) rooms: Vec<String>,
    /// The one socket that versions before 4 name.
    pub(crate) sid: Option<String>,
    /// The name and the arguments of an event between servers.
    pub(crate) data: Vec<serde_json::Value>,
}

/// A room, or a number used as one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum RoomName {
    Text(String),
    Number(serde_json::Number),
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        match name {
            RoomName::Text(text) => text,
            RoomName::Number(number) => number.to_string(),
        }
    }
}

fn names(names: Option<Vec<RoomName>>) -> Vec<String> {
    names
        .unwrap_or_default()
        .into_iter()
        .map(String::from)
        .collect()
}

#[derive(Deserialize)]
struct IncomingOptions {
    rooms: Option<Vec<RoomName>>,
    except: Option<Vec<RoomName>>,
}

#[derive(Deserialize)]
struct Incoming {
    uid: Option<String>,
    #[serde(rename = "requestId")]
    request_id: Option<String>,
    #[serde(rename = "type")]
    kind: u64,
    opts: Option<IncomingOptions>,
    rooms: Option<Vec<RoomName>>,
    sid: Option<String>,
    room: Option<RoomName>,
    data: Option<Vec<serde_json::Value>>,
}

pub(crate) fn decode(payload: &[u8]) -> Result<Request, Malformed> {
    let incoming: Incoming =
        serde_json::from_slice(payload).map_err(|error| Malformed::new(error.to_string()))?;
    let mut rooms = names(incoming.rooms);
    rooms.extend(incoming.room.map(String::from));
    Ok(Request {
        uid: incoming.uid,
        id: incoming.request_id,
        kind: Kind::from_number(incoming.kind)?,
        audience: incoming.opts.map(|opts| Audience {
            rooms: names(opts.rooms),
            except: names(opts.except),
            volatile: false,
        }),
        rooms,
        sid: incoming.sid,
        data: incoming.data.unwrap_or_default(),
    })
}

/// A broadcast whose sender counts the answers.
#[derive(Debug)]
pub(crate) struct AckedBroadcast<'a> {
    pub(crate) uid: Option<&'a str>,
    pub(crate) id: &'a str,
    pub(crate) event: Event<'a>,
    pub(crate) audience: Audience,
    /// How long the sender waits, in milliseconds.
    pub(crate) timeout_ms: Option<u64>,
}

/// The only request in MessagePack.
pub(crate) fn decode_acked_broadcast(payload: &[u8]) -> Result<AckedBroadcast<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let (mut uid, mut id, mut kind) = (None, None, None);
    let (mut event, mut audience, mut timeout_ms) = (None, None, None);
    for _ in 0..reader.map_length("the request")? {
        match reader.text("a request's key")? {
            "uid" => uid = Some(reader.text("the sender")?),
            "requestId" => id = Some(reader.text("the request's id")?),
            "type" => match reader.next()? {
                Token::Unsigned(number) => kind = Some(Kind::from_number(number)?),
                other => return Err(unexpected("the request's type", "a number", other)),
            },
            "packet" => event = Some(decode_event(&mut reader)?),
            "opts" => {
                let options = reader.skip()?;
                audience = Some(decode_audience(&mut Reader::new(options))?);
                timeout_ms = decode_timeout(&mut Reader::new(options))?;
            }
            _ => {
                reader.skip()?;
            }
        }
    }
    match (kind, id, event, audience) {
        (Some(Kind::BroadcastWithAck), Some(id), Some(event), Some(audience))
            if reader.is_at_end() =>
        {
            Ok(AckedBroadcast {
                uid,
                id,
                event,
                audience,
                timeout_ms,
            })
        }
        _ => Err(Malformed::new(
            "a MessagePack request that is no broadcast with answers",
        )),
    }
}

/// `options.flags.timeout`
fn decode_timeout(options: &mut Reader<'_>) -> Result<Option<u64>, Malformed> {
    let mut timeout_ms = None;
    for _ in 0..options.map_length("the options")? {
        let key = options.text("an option's key")?;
        let mut value = Reader::new(options.skip()?);
        if key != "flags" {
            continue;
        }
        let Token::Map(length) = value.next()? else {
            continue;
        };
        for _ in 0..length {
            let flag = value.text("a flag")?;
            let setting = Reader::new(value.skip()?).next()?;
            if let ("timeout", Token::Unsigned(milliseconds)) = (flag, setting) {
                timeout_ms = Some(milliseconds);
            }
        }
    }
    Ok(timeout_ms)
}

#[cfg(test)]
mod tests;
