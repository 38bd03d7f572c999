//! What servers answer to each other: JSON, except a client's acknowledgement, which is MessagePack.
//! Owns the shapes; who waits for an answer is `ask`'s business.

use bytes::Bytes;
use rmp::encode::{self, ByteBuf};
use serde::Deserialize;
use socketioxide_core::Value;

use crate::codec::broadcast::{self, Unencodable};
use crate::codec::reader::{Reader, Token};
use crate::codec::request::RoomName;
use crate::dispatch::Malformed;

const CLIENT_COUNT: u64 = 8;
const ACKNOWLEDGEMENT: u64 = 9;

/// How many clients of this server were sent the broadcast.
pub(crate) fn encode_client_count(id: &str, clients: u32) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&serde_json::json!({
        "type": CLIENT_COUNT, "requestId": id, "clientCount": clients
    }))
}

/// One client's acknowledgement: the first of its arguments, as Node sends it.
pub(crate) fn encode_ack(id: &str, ack: &Value) -> Result<Vec<u8>, Unencodable> {
    const NIL: &[u8] = &[0xc0];
    let arguments = broadcast::encode_arguments(ack)?;
    let mut reader = Reader::new(&arguments);
    let first = match reader.array_length("the acknowledgement")? {
        0 => NIL,
        _ => reader.skip()?,
    };
    let mut out = ByteBuf::with_capacity(first.len() + 48);
    encode::write_map_len(&mut out, 3)?;
    encode::write_str(&mut out, "type")?;
    encode::write_uint(&mut out, ACKNOWLEDGEMENT)?;
    encode::write_str(&mut out, "requestId")?;
    encode::write_str(&mut out, id)?;
    encode::write_str(&mut out, "packet")?;
    out.as_mut_vec().extend_from_slice(first);
    Ok(out.into_vec())
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Rooms(Vec<String>),
    Sockets(Vec<RemoteSocket>),
    /// As many clients were sent the broadcast.
    Clients(u32),
    /// The MessagePack of one client's acknowledgement.
    Acknowledgement(Bytes),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteSocket {
    /// Node's ids are longer than ours.
    pub(crate) id: String,
    pub(crate) rooms: Vec<String>,
}

#[derive(Deserialize)]
struct IncomingSocket {
    id: String,
    rooms: Option<Vec<RoomName>>,
}

#[derive(Deserialize)]
struct Incoming {
    #[serde(rename = "requestId")]
    request_id: String,
    #[serde(rename = "clientCount")]
    client_count: Option<u32>,
    rooms: Option<Vec<RoomName>>,
    sockets: Option<Vec<IncomingSocket>>,
}

fn names(names: Option<Vec<RoomName>>) -> Vec<String> {
    names
        .unwrap_or_default()
        .into_iter()
        .map(String::from)
        .collect()
}

/// The id of the request, and the answer; `None` when nobody here asks so.
pub(crate) fn decode(payload: &Bytes) -> Result<Option<(String, Answer)>, Malformed> {
    if payload.first() != Some(&b'{') {
        return decode_msgpack(payload);
    }
    let incoming: Incoming =
        serde_json::from_slice(payload).map_err(|error| Malformed::new(error.to_string()))?;
    let answer = if let Some(clients) = incoming.client_count {
        Answer::Clients(clients)
    } else if let Some(sockets) = incoming.sockets {
        let socket = |socket: IncomingSocket| RemoteSocket {
            id: socket.id,
            rooms: names(socket.rooms),
        };
        Answer::Sockets(sockets.into_iter().map(socket).collect())
    } else if incoming.rooms.is_some() {
        Answer::Rooms(names(incoming.rooms))
    } else {
        return Ok(None);
    };
    Ok(Some((incoming.request_id, answer)))
}

fn decode_msgpack(payload: &Bytes) -> Result<Option<(String, Answer)>, Malformed> {
    let mut reader = Reader::new(payload);
    let (mut id, mut kind, mut clients, mut packet) = (None, None, None, None);
    for _ in 0..reader.map_length("the answer")? {
        match reader.text("an answer's key")? {
            "requestId" => id = Some(reader.text("the request's id")?),
            "type" => kind = Some(reader.next()?),
            "clientCount" => clients = Some(reader.next()?),
            "packet" => packet = Some(payload.slice_ref(reader.skip()?)),
            _ => {
                reader.skip()?;
            }
        }
    }
    let answer = match (kind, clients, packet) {
        (Some(Token::Unsigned(CLIENT_COUNT)), Some(Token::Unsigned(clients)), _) => {
            Answer::Clients(u32::try_from(clients).unwrap_or(u32::MAX))
        }
        (Some(Token::Unsigned(ACKNOWLEDGEMENT)), _, Some(packet)) => {
            Answer::Acknowledgement(packet)
        }
        _ => return Ok(None),
    };
    Ok(id.map(|id| (id.to_owned(), answer)))
}

#[cfg(test)]
mod tests;
