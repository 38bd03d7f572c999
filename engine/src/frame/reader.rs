//! A client's WebSocket frames, as they come: in parts, masked, a message in one or in several (RFC 6455 §5). Pure.
//!
//! Whole frames are read from where the kernel put them; only what is not whole yet is kept, so that a silent connection keeps nothing.

use bytes::Bytes;

use super::{LENGTH_16, LENGTH_64};

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;
/// The longest payload of a control frame (§5.5).
const CONTROL_BYTES_MAX: usize = 125;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close,
}

/// Why the connection cannot go on, with the code that says so (§7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("not a frame that a client may send")]
    Protocol,
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("a message that is too long")]
    TooLong,
}

impl Violation {
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLong => 1009,
        }
    }
}

/// Reads one connection.
#[derive(Debug)]
pub struct Reader {
    bytes_max: usize,
    /// The beginning of a frame.
    partial: Vec<u8>,
    /// The beginning of a message, and whether it is text.
    message: Option<(bool, Vec<u8>)>,
}

struct Head {
    first: u8,
    mask: [u8; MASK_BYTES],
    payload_at: usize,
    payload: usize,
}

impl Reader {
    /// Takes messages of at most `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            partial: Vec::new(),
            message: None,
        }
    }

    /// The next that is said in `input`, which is consumed as far as it was needed. `None`: all of it was, and more must come.
    ///
    /// # Errors
    /// When the connection must end; nothing more can be read then.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Said>, Violation> {
        while let Some((first, payload)) = self.frame(input)? {
            if let Some(said) = self.take(first, payload)? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    /// The next whole frame, unmasked.
    fn frame(&mut self, input: &mut &[u8]) -> Result<Option<(u8, Vec<u8>)>, Violation> {
        loop {
            if self.partial.is_empty() {
                return match self.head(input)? {
                    Some(head) if head.bytes() <= input.len() => {
                        let (frame, rest) = input.split_at(head.bytes());
                        *input = rest;
                        Ok(Some(head.unmask(frame[head.payload_at..].to_vec())))
                    }
                    _ => {
                        self.partial.extend_from_slice(input);
                        *input = &[];
                        Ok(None)
                    }
                };
            }
            let head = self.head(&self.partial)?;
            // Byte by byte until the head is there.
            let wanted = match &head {
                Some(head) => head.bytes(),
                None => self.partial.len() + 1,
            };
            let (more, rest) = input.split_at(input.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(more);
            *input = rest;
            if self.partial.len() < wanted {
                return Ok(None);
            }
            if let Some(head) = head {
                let mut frame = std::mem::take(&mut self.partial);
                frame.drain(..head.payload_at);
                return Ok(Some(head.unmask(frame)));
            }
        }
    }

    /// The head of a frame, when it is all there.
    fn head(&self, frame: &[u8]) -> Result<Option<Head>, Violation> {
        let Some((&[first, second], rest)) = frame.split_first_chunk() else {
            return Ok(None);
        };
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(Violation::Protocol);
        }
        let (length, rest) = match second & !MASKED {
            LENGTH_16 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            LENGTH_64 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let is_control = first & CLOSE != 0;
        let payload = usize::try_from(length).unwrap_or(usize::MAX);
        if is_control && (first & FIN == 0 || payload > CONTROL_BYTES_MAX) {
            return Err(Violation::Protocol);
        }
        let before = self.message.as_ref().map_or(0, |(_, begun)| begun.len());
        if payload > self.bytes_max.saturating_sub(before) && !is_control {
            return Err(Violation::TooLong);
        }
        let Some((mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Head {
            first,
            mask: *mask,
            payload_at: frame.len() - rest.len(),
            payload,
        }))
    }

    /// Takes a frame's payload. `None` in the middle of a message.
    fn take(&mut self, first: u8, payload: Vec<u8>) -> Result<Option<Said>, Violation> {
        let is_final = first & FIN != 0;
        let (is_text, content) = match (first & OPCODE, self.message.take()) {
            (CLOSE, _) => return Ok(Some(Said::Close)),
            (PING, message) => {
                self.message = message;
                return Ok(Some(Said::Ping(payload.into())));
            }
            (PONG, message) => {
                self.message = message;
                return Ok(Some(Said::Pong));
            }
            (TEXT, None) => (true, payload),
            (BINARY, None) => (false, payload),
            (CONTINUATION, Some((is_text, mut begun))) => {
                begun.extend_from_slice(&payload);
                (is_text, begun)
            }
            _ => return Err(Violation::Protocol),
        };
        if !is_final {
            self.message = Some((is_text, content));
            return Ok(None);
        }
        if !is_text {
            return Ok(Some(Said::Binary(content.into())));
        }
        let text = String::from_utf8(content).map_err(|_| Violation::NotUtf8)?;
        Ok(Some(Said::Text(text)))
    }
}

impl Head {
    fn bytes(&self) -> usize {
        self.payload_at + self.payload
    }

    fn unmask(&self, mut payload: Vec<u8>) -> (u8, Vec<u8>) {
        let mask = u32::from_ne_bytes(self.mask);
        let (words, rest) = payload.as_chunks_mut::<MASK_BYTES>();
        for word in words {
            *word = (u32::from_ne_bytes(*word) ^ mask).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
        (self.first, payload)
    }
}

#[cfg(test)]
mod tests;
