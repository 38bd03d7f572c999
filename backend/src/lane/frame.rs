//! WebSocket frames as a server sends them: unmasked, a message in each. Pure.

use bytes::{BufMut as _, Bytes, BytesMut};

/// FIN, and the opcode of text.
const TEXT: u8 = 0x81;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
const HEAD_BYTES_MAX: usize = 10;

/// One text message, of parts that are put one behind the other.
pub(crate) fn text(parts: &[&str]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = BytesMut::with_capacity(HEAD_BYTES_MAX + length);
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
    frame.freeze()
}

/// The texts of whole frames. What is no such frame ends it.
pub(crate) struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    pub(crate) fn of(frames: &'a [u8]) -> Self {
        Self(frames)
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
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
            if head[0] == TEXT {
                return Some(payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_at_every_length() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
        let mut stream = Vec::new();
        for length in lengths {
            let content = "x".repeat(length);
            stream.extend_from_slice(&text(&["4", "2", &content]));
        }
        let read: Vec<usize> = Texts::of(&stream).map(<[u8]>::len).collect();
        assert_eq!(read, lengths.map(|length| length + 2));
        assert!(Texts::of(&stream).all(|text| text.starts_with(b"42")));
    }

    #[test]
    fn other_frames_are_passed_over_and_half_a_frame_is_none() {
        let mut stream = vec![0x89, 1, b'p'];
        stream.extend_from_slice(&text(&["40"]));
        let whole = stream.len();
        stream.extend_from_slice(&text(&["42"]));
        assert_eq!(Texts::of(&stream).count(), 2);
        for end in whole..stream.len() {
            assert_eq!(Texts::of(&stream[..end]).collect::<Vec<_>>(), [b"40"]);
        }
    }
}
