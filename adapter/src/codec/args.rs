//! Event arguments between the two forms: the JSON text with attachments that the Socket.IO server
//! holds, and the MessagePack value on the wire. Neither way builds a tree in memory.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use rmp::encode::{self, ByteBuf};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::codec::reader::{Reader, Token, unexpected};
use crate::codec::{DEPTH_MAX, date};
use crate::dispatch::Malformed;

const PLACEHOLDER: &str = "_placeholder";
const PLACEHOLDER_INDEX: &str = "num";

/// The MessagePack of a JSON text; `{"_placeholder":true,"num":0}` becomes the attachment itself.
///
/// # Errors
/// Not JSON, nested too deep, or an attachment that is not there.
pub(crate) fn to_msgpack(json: &str, attachments: &VecDeque<Bytes>) -> serde_json::Result<Vec<u8>> {
    let mut out = ByteBuf::with_capacity(json.len());
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let writer = Writer {
        out: &mut out,
        attachments,
    };
    writer.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(out.into_vec())
}

/// Writes the value that it is given by a deserializer.
struct Writer<'a> {
    out: &'a mut ByteBuf,
    attachments: &'a VecDeque<Bytes>,
}

/// As much of a written value as is needed to recognise a placeholder.
enum Written {
    True,
    Index(u64),
    Other,
}

impl Writer<'_> {
    fn reborrow(&mut self) -> Writer<'_> {
        Writer {
            out: self.out,
            attachments: self.attachments,
        }
    }

    /// The length of an array or a map is known after its content, but is written before it.
    fn insert_header(&mut self, at: usize, header: ByteBuf) {
        self.out.as_mut_vec().splice(at..at, header.into_vec());
    }
}

fn length<E: Error>(count: usize) -> Result<u32, E> {
    u32::try_from(count).map_err(|_| E::custom("too many elements for MessagePack"))
}

// Writing to a ByteBuf cannot fail: its error type has no values.
impl<'de> Visitor<'de> for Writer<'_> {
    type Value = Written;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        let Ok(()) = encode::write_nil(self.out);
        Ok(Written::Other)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        let Ok(()) = encode::write_bool(self.out, value);
        Ok(if value { Written::True } else { Written::Other })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        encode::write_uint(self.out, value).map_err(E::custom)?;
        Ok(Written::Index(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        encode::write_sint(self.out, value).map_err(E::custom)?;
        Ok(Written::Other)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Written, E> {
        encode::write_f64(self.out, value).map_err(E::custom)?;
        Ok(Written::Other)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Written, E> {
        encode::write_str(self.out, value).map_err(E::custom)?;
        Ok(Written::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Written, A::Error> {
        let start = self.out.as_slice().len();
        let mut count = 0;
        while seq.next_element_seed(self.reborrow())?.is_some() {
            count += 1;
        }
        let mut header = ByteBuf::new();
        encode::write_array_len(&mut header, length(count)?).map_err(A::Error::custom)?;
        self.insert_header(start, header);
        Ok(Written::Other)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Written, A::Error> {
        let start = self.out.as_slice().len();
        let mut count = 0;
        let (mut is_placeholder, mut index) = (false, None);
        while let Some(key) = map.next_key_seed(KeyWriter(self.reborrow()))? {
            let value = map.next_value_seed(self.reborrow())?;
            count += 1;
            match (key, value) {
                (Key::Placeholder, Written::True) => is_placeholder = true,
                (Key::Index, Written::Index(number)) => index = Some(number),
                _ => {}
            }
        }
        // Without attachments this is what somebody's text happens to look like.
        if let (2, true, Some(index), false) =
            (count, is_placeholder, index, self.attachments.is_empty())
        {
            let attachment = usize::try_from(index)
                .ok()
                .and_then(|at| self.attachments.get(at));
            let attachment = attachment.ok_or_else(|| A::Error::custom("a missing attachment"))?;
            self.out.as_mut_vec().truncate(start);
            encode::write_bin(self.out, attachment).map_err(A::Error::custom)?;
            return Ok(Written::Other);
        }
        let mut header = ByteBuf::new();
        encode::write_map_len(&mut header, length(count)?).map_err(A::Error::custom)?;
        self.insert_header(start, header);
        Ok(Written::Other)
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Writes a map's key and says whether it is one that a placeholder has.
struct KeyWriter<'a>(Writer<'a>);

enum Key {
    Placeholder,
    Index,
    Other,
}

impl<'de> DeserializeSeed<'de> for KeyWriter<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyWriter<'_> {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        self.0.visit_str(key)?;
        Ok(match key {
            PLACEHOLDER => Key::Placeholder,
            PLACEHOLDER_INDEX => Key::Index,
            _ => Key::Other,
        })
    }
}

/// The JSON text and the attachments of one MessagePack value. `data` is part of `payload`, which
/// the attachments share.
pub(crate) fn to_json(
    data: &[u8],
    payload: &Bytes,
) -> Result<(String, VecDeque<Bytes>), Malformed> {
    let mut text = JsonText {
        out: Vec::with_capacity(data.len() + data.len() / 2),
        attachments: VecDeque::new(),
        payload,
    };
    let mut reader = Reader::new(data);
    text.value(&mut reader, DEPTH_MAX)?;
    if !reader.is_at_end() {
        return Err(Malformed::new("something follows the event's arguments"));
    }
    let json = String::from_utf8(text.out).map_err(|_| Malformed::new("text is not UTF-8"))?;
    Ok((json, text.attachments))
}

struct JsonText<'a> {
    out: Vec<u8>,
    attachments: VecDeque<Bytes>,
    payload: &'a Bytes,
}

impl JsonText<'_> {
    fn value(&mut self, reader: &mut Reader<'_>, depth_left: usize) -> Result<(), Malformed> {
        match reader.next()? {
            Token::Nil => self.raw("null"),
            Token::Bool(true) => self.raw("true"),
            Token::Bool(false) => self.raw("false"),
            Token::Unsigned(number) => self.serialize(&number)?,
            Token::Signed(number) => self.serialize(&number)?,
            // Writes null for what JSON has no number for, as JavaScript does.
            Token::Float(number) => self.serialize(&number)?,
            Token::Str(bytes) => self.serialize(&String::from_utf8_lossy(bytes))?,
            Token::Bin(bytes) => self.attachment(bytes),
            Token::Ext(kind, body) => self.extension(kind, body)?,
            Token::Array(length) => {
                let depth_left = deeper(depth_left)?;
                self.raw("[");
                for index in 0..length {
                    self.separator(index);
                    self.value(reader, depth_left)?;
                }
                self.raw("]");
            }
            Token::Map(length) => {
                let depth_left = deeper(depth_left)?;
                self.raw("{");
                for index in 0..length {
                    self.separator(index);
                    self.key(reader.next()?)?;
                    self.value(reader, depth_left)?;
                }
                self.raw("}");
            }
        }
        Ok(())
    }

    fn key(&mut self, token: Token<'_>) -> Result<(), Malformed> {
        match token {
            Token::Str(bytes) => self.serialize(&String::from_utf8_lossy(bytes))?,
            Token::Unsigned(number) => self.serialize(&number.to_string())?,
            Token::Signed(number) => self.serialize(&number.to_string())?,
            other => return Err(unexpected("a key", "a string", other)),
        }
        self.raw(":");
        Ok(())
    }

    /// Node's encoder has one extension of its own: type 0, for `undefined` and for ArrayBuffer.
    fn extension(&mut self, kind: i8, body: &[u8]) -> Result<(), Malformed> {
        match (kind, body.len()) {
            (-1, _) => match date::epoch_ms(body)? {
                Some(epoch_ms) => self.serialize(&date::to_iso(epoch_ms))?,
                None => self.raw("null"),
            },
            (0, 1) => self.raw("null"),
            (0, _) => self.attachment(body),
            _ => {
                return Err(Malformed::new(format!(
                    "an extension of unknown type {kind}"
                )));
            }
        }
        Ok(())
    }

    fn attachment(&mut self, bytes: &[u8]) {
        let index = self.attachments.len();
        self.attachments.push_back(self.payload.slice_ref(bytes));
        self.raw(&format!(
            r#"{{"{PLACEHOLDER}":true,"{PLACEHOLDER_INDEX}":{index}}}"#
        ));
    }

    fn separator(&mut self, index: u32) {
        if index > 0 {
            self.raw(",");
        }
    }

    fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    fn serialize<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Malformed> {
        serde_json::to_writer(&mut self.out, value)
            .map_err(|error| Malformed::new(error.to_string()))
    }
}

fn deeper(depth_left: usize) -> Result<usize, Malformed> {
    depth_left
        .checked_sub(1)
        .ok_or_else(|| Malformed::new("nested too deep"))
}

#[cfg(test)]
mod tests;
