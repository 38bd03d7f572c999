//! The message that carries an event to the other servers: `[uid, packet, options]`.
//! Byte for byte what Node sends. Node crashes on a broadcast that it cannot decode, so everything
//! written here is whole and checked.

use std::collections::VecDeque;

use bytes::Bytes;
use rmp::encode::{self, ByteBuf, ValueWriteError};
use socketioxide_core::Value;

use crate::codec::args;
use crate::codec::reader::{Reader, Token, unexpected};
use crate::dispatch::Malformed;

/// The number of an EVENT packet. Also used with attachments: the receiver's encoder decides.
const EVENT: u8 = 2;
/// What a BINARY_EVENT would be; Node does not send it, but nothing is lost by understanding it.
const BINARY_EVENT: u64 = 5;

/// Who gets it, in the words of the wire. No rooms means everybody in the namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) rooms: Vec<String>,
    pub(crate) except: Vec<String>,
    pub(crate) volatile: bool,
}

/// Why an event of our own cannot be sent to other servers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unencodable {
    #[error("the arguments are not JSON that MessagePack can hold: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the arguments are not one MessagePack value: {0}")]
    Msgpack(#[from] Malformed),
    #[error("too long for MessagePack")]
    TooLong,
}

impl<E: rmp::encode::RmpWriteErr> From<ValueWriteError<E>> for Unencodable {
    fn from(_: ValueWriteError<E>) -> Self {
        Self::TooLong
    }
}

/// The MessagePack of an event's arguments, the name first.
pub(crate) fn encode_arguments(data: &Value) -> Result<Vec<u8>, Unencodable> {
    match data {
        Value::Str(json, Some(attachments)) => Ok(args::to_msgpack(json, attachments)?),
        Value::Str(json, None) => Ok(args::to_msgpack(json, &VecDeque::new())?),
        Value::Bytes(msgpack) => {
            let mut reader = Reader::new(msgpack);
            let value = reader.skip()?;
            if reader.is_at_end() {
                Ok(value.to_vec())
            } else {
                Err(Malformed::new("something follows").into())
            }
        }
    }
}

pub(crate) fn encode(
    uid: &str,
    namespace: &str,
    data: &Value,
    audience: &Audience,
) -> Result<Bytes, Unencodable> {
    let arguments = encode_arguments(data)?;
    let mut out = ByteBuf::with_capacity(arguments.len() + 128);
    encode::write_array_len(&mut out, 3)?;
    encode::write_str(&mut out, uid)?;
    encode_packet(&mut out, namespace, &arguments)?;
    encode_options(&mut out, audience, None)?;
    Ok(out.into_vec().into())
}

pub(crate) fn encode_packet(
    out: &mut ByteBuf,
    namespace: &str,
    arguments: &[u8],
) -> Result<(), Unencodable> {
    encode::write_map_len(out, 3)?;
    encode::write_str(out, "type")?;
    encode::write_uint(out, EVENT.into())?;
    encode::write_str(out, "data")?;
    out.as_mut_vec().extend_from_slice(arguments);
    encode::write_str(out, "nsp")?;
    encode::write_str(out, namespace)?;
    Ok(())
}

/// `timeout_ms` is how long answers are waited for, if any are.
pub(crate) fn encode_options(
    out: &mut ByteBuf,
    audience: &Audience,
    timeout_ms: Option<u64>,
) -> Result<(), Unencodable> {
    encode::write_map_len(out, 3)?;
    encode::write_str(out, "rooms")?;
    encode_names(out, &audience.rooms)?;
    encode::write_str(out, "except")?;
    encode_names(out, &audience.except)?;
    encode::write_str(out, "flags")?;
    encode::write_map_len(
        out,
        u32::from(audience.volatile) + u32::from(timeout_ms.is_some()),
    )?;
    if audience.volatile {
        encode::write_str(out, "volatile")?;
        let Ok(()) = encode::write_bool(out, true);
    }
    if let Some(milliseconds) = timeout_ms {
        encode::write_str(out, "timeout")?;
        encode::write_uint(out, milliseconds)?;
    }
    Ok(())
}

fn encode_names(out: &mut ByteBuf, names: &[String]) -> Result<(), Unencodable> {
    let length = u32::try_from(names.len()).map_err(|_| Unencodable::TooLong)?;
    encode::write_array_len(out, length)?;
    for name in names {
        encode::write_str(out, name)?;
    }
    Ok(())
}

/// An event as it came, its arguments not yet decoded.
#[derive(Debug, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) namespace: &'a str,
    /// The MessagePack array of the name and the arguments.
    pub(crate) arguments: &'a [u8],
}

/// A broadcast as it came.
#[derive(Debug, PartialEq)]
pub(crate) struct Broadcast<'a> {
    pub(crate) event: Event<'a>,
    pub(crate) audience: Audience,
}

/// The uid of the server or emitter that sent it.
pub(crate) fn sender(payload: &[u8]) -> Result<&str, Malformed> {
    let mut reader = Reader::new(payload);
    reader.array_length("the broadcast")?;
    reader.text("the sender")
}

pub(crate) fn decode(payload: &[u8]) -> Result<Broadcast<'_>, Malformed> {
    let mut reader = Reader::new(payload);
    let length = reader.array_length("the broadcast")?;
    if length < 3 {
        return Err(Malformed::new("the broadcast has fewer than three parts"));
    }
    reader.text("the sender")?;
    let event = decode_event(&mut reader)?;
    let audience = decode_audience(&mut reader)?;
    for _ in 3..length {
        reader.skip()?;
    }
    if !reader.is_at_end() {
        return Err(Malformed::new("something follows the broadcast"));
    }
    Ok(Broadcast { event, audience })
}

pub(crate) fn decode_event<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, Malformed> {
    let mut event = Event {
        namespace: "/",
        arguments: &[],
    };
    for _ in 0..reader.map_length("the packet")? {
        match reader.text("a packet's key")? {
            "type" => match reader.next()? {
                Token::Unsigned(kind) if kind == u64::from(EVENT) || kind == BINARY_EVENT => {}
                other => return Err(unexpected("the packet's type", "that of an event", other)),
            },
            "nsp" => event.namespace = reader.text("the namespace")?,
            "data" => {
                event.arguments = reader.skip()?;
                Reader::new(event.arguments).array_length("the event")?;
            }
            _ => {
                reader.skip()?;
            }
        }
    }
    if event.arguments.is_empty() {
        return Err(Malformed::new("the packet has no data"));
    }
    Ok(event)
}

pub(crate) fn decode_audience(reader: &mut Reader<'_>) -> Result<Audience, Malformed> {
    let mut audience = Audience::default();
    for _ in 0..reader.map_length("the options")? {
        match reader.text("an option's key")? {
            "rooms" => audience.rooms = decode_names(reader, "rooms")?,
            "except" => audience.except = decode_names(reader, "except")?,
            "flags" => audience.volatile = decode_flags(reader)?,
            _ => {
                reader.skip()?;
            }
        }
    }
    Ok(audience)
}

/// Room names; JavaScript programs use numbers too, which are told from their texts by nobody.
fn decode_names(reader: &mut Reader<'_>, what: &str) -> Result<Vec<String>, Malformed> {
    let length = match reader.next()? {
        Token::Nil => 0,
        Token::Array(length) => length,
        other => return Err(unexpected(what, "an array", other)),
    };
    let mut names = Vec::new();
    for _ in 0..length {
        names.push(match reader.next()? {
            Token::Str(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Token::Unsigned(number) => number.to_string(),
            Token::Signed(number) => number.to_string(),
            Token::Float(number) => number.to_string(),
            other => return Err(unexpected("a room", "a name", other)),
        });
    }
    Ok(names)
}

/// Whether the event is volatile; the other flags mean nothing to a receiver.
fn decode_flags(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    let length = match reader.next()? {
        Token::Nil => 0,
        Token::Map(length) => length,
        other => return Err(unexpected("flags", "a map", other)),
    };
    let mut volatile = false;
    for _ in 0..length {
        if reader.text("a flag")? == "volatile" {
            volatile = Reader::new(reader.skip()?).next()? == Token::Bool(true);
        } else {
            reader.skip()?;
        }
    }
    Ok(volatile)
}

#[cfg(test)]
mod tests;
