//! WebSocket frames as a server sends them: unmasked, a message in each (RFC 6455 §5). Pure. How a client's are read: [`reader`].

pub mod reader;

use bytes::{BufMut as _, Bytes, BytesMut};

/// FIN, and the opcodes.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
const HEAD_BYTES_MAX: usize = 10;

/// One text message, of parts that are put one behind the other.
#[must_use]
pub fn text(parts: &[&str]) -> Bytes {
    let mut frame = BytesMut::with_capacity(text_bytes(parts));
    put_text(&mut frame, parts);
    frame.freeze()
}

/// Room enough for a text message of these parts.
#[must_use]
pub fn text_bytes(parts: &[&str]) -> usize {
    HEAD_BYTES_MAX + parts.iter().map(|part| part.len()).sum::<usize>()
}

/// Puts one text message behind what is there.
pub fn put_text(frame: &mut BytesMut, parts: &[&str]) {
    put_head(frame, TEXT, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        frame.put_slice(part.as_bytes());
    }
}

pub(crate) fn binary(payload: &[u8]) -> Bytes {
    whole(BINARY, payload)
}

pub(crate) fn pong(payload: &[u8]) -> Bytes {
    whole(PONG, payload)
}

/// The end of a WebSocket, with why (RFC 6455 §7.4.1).
pub(crate) fn close(code: u16) -> Bytes {
    whole(CLOSE, &code.to_be_bytes())
}

fn whole(first: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD_BYTES_MAX + payload.len());
    put_head(&mut frame, first, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn put_head(frame: &mut BytesMut, first: u8, length: usize) {
    frame.put_u8(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < LENGTH_16 => frame.put_u8(short),
        (_, Ok(medium)) => {
            frame.put_u8(LENGTH_16);
            frame.put_u16(medium);
        }
        _ => {
            frame.put_u8(LENGTH_64);
            frame.put_u64(u64::try_from(length).unwrap_or(u64::MAX));
        }
    }
}

/// A message as a frame of its own carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
}

/// The messages of whole frames. What is no such frame ends it; control frames are passed over.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    #[must_use]
    pub fn of(frames: &'a [u8]) -> Self {
        Self(frames)
    }

    /// What is left of the frames.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        loop {
            let (head, rest) = self.0.split_first_chunk::<2>()?;
            let (length, rest) = match head[1] {
                LENGTH_16 => {
                    let (length, rest) = rest.split_first_chunk()?;
                    (u64::from(u16::from_be_bytes(*length)), rest)
                }
                LENGTH_64 => {
                    let (length, rest) = rest.split_first_chunk()?;
                    (u64::from_be_bytes(*length), rest)
                }
                short => (u64::from(short), rest),
            };
            let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            self.0 = rest;
            match head[0] {
                TEXT => return Some(Message::Text(payload)),
                BINARY => return Some(Message::Binary(payload)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frames: &[u8]) -> Vec<&[u8]> {
        let texts = Messages::of(frames).filter_map(|message| match message {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        });
        texts.collect()
    }

    #[test]
    fn what_is_written_is_read_at_every_length() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
        let mut stream = Vec::new();
        for length in lengths {
            let content = "x".repeat(length);
            stream.extend_from_slice(&text(&["4", "2", &content]));
        }
        let read: Vec<usize> = texts(&stream).iter().map(|text| text.len()).collect();
        assert_eq!(read, lengths.map(|length| length + 2));
        assert!(texts(&stream).iter().all(|text| text.starts_with(b"42")));
    }

    #[test]
    fn other_frames_are_passed_over_and_half_a_frame_is_none() {
        let mut stream = pong(b"p").to_vec();
        stream.extend_from_slice(&text(&["40"]));
        let whole = stream.len();
        stream.extend_from_slice(&text(&["42"]));
        assert_eq!(texts(&stream).len(), 2);
        for end in whole..stream.len() {
            assert_eq!(texts(&stream[..end]), [b"40"]);
        }
    }
}
