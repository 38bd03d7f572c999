//! WebSocket frames as a server sends them: unmasked, a message in each. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};

/// FIN, and the opcode of text.
const TEXT: u8 = 0x81;
/// FIN, and the opcode of binary.
const BINARY: u8 = 0x82;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
const HEAD_BYTES_MAX: usize = 10;

/// One text message, of parts that are put one behind the other.
pub(crate) fn text(parts: &[&str]) -> Bytes {
    let mut frame = BytesMut::with_capacity(text_bytes(parts));
    put_text(&mut frame, parts);
    frame.freeze()
}

/// Room enough for a text message of these parts.
pub(crate) fn text_bytes(parts: &[&str]) -> usize {
    HEAD_BYTES_MAX + parts.iter().map(|part| part.len()).sum::<usize>()
}

/// Puts one text message behind what is there.
pub(crate) fn put_text(frame: &mut BytesMut, parts: &[&str]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    frame.put_u8(TEXT);
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
    for part in parts {
        frame.put_slice(part.as_bytes());
    }
}

/// A message as a frame of its own carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Text(&'a [u8]),
    Binary,
}

/// The messages of whole frames. What is no such frame ends it.
pub(crate) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(crate) fn of(frames: &'a [u8]) -> Self {
        Self(frames)
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
                BINARY => return Some(Message::Binary),
                _ => {}
            }
        }
    }
}

/// How many binary messages a Socket.IO packet has behind it: its attachments, which no other message may part from it.
/// ([protocol](https://socket.io/docs/v4/socket-io-protocol/#packet-encoding), `<packet type>[<# of binary attachments>-]`)
pub(crate) fn attachments(text: &[u8]) -> usize {
    let count = match text {
        [b'4', b'5' | b'6', rest @ ..] => rest.split(|byte| *byte == b'-').next(),
        _ => None,
    };
    let count = count.and_then(|digits| std::str::from_utf8(digits).ok());
    count.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frames: &[u8]) -> Vec<&[u8]> {
        let texts = Messages::of(frames).filter_map(|message| match message {
            Message::Text(text) => Some(text),
            Message::Binary => None,
        });
        texts.collect()
    }

    #[test]
    fn packets_say_how_many_attachments_follow() {
        for (text, count) in [
            (&b"452-[\"a\",1]"[..], 2),
            (b"4617-3[]", 17),
            (b"451-/ns,[]", 1),
            (b"45-[]", 0),
            (b"45x-[]", 0),
            (b"42[\"5-\"]", 0),
            (b"40", 0),
            (b"2", 0),
            (b"", 0),
        ] {
            assert_eq!(attachments(text), count, "{text:?}");
        }
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
        let mut stream = vec![0x89, 1, b'p'];
        stream.extend_from_slice(&text(&["40"]));
        let whole = stream.len();
        stream.extend_from_slice(&text(&["42"]));
        assert_eq!(texts(&stream).len(), 2);
        for end in whole..stream.len() {
            assert_eq!(texts(&stream[..end]), [b"40"]);
        }
    }
}
