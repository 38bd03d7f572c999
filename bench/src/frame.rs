//! WebSocket frames (RFC 6455, section 5): just what an echo and its client need. Messages are one frame each.

/// What no end of this bench sends; a longer one is a broken stream.
const PAYLOAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    pub is_final: bool,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    pub header_bytes: usize,
    pub payload_bytes: usize,
}

impl Header {
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.header_bytes + self.payload_bytes
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong;

/// Reads the header at the start of `bytes`; `None` if more bytes are needed.
///
/// # Errors
/// When it announces a payload that nobody here sends.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, TooLong> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (payload_bytes, length_bytes) = match (second & !MASKED, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 0),
    };
    if payload_bytes > PAYLOAD_BYTES_MAX {
        return Err(TooLong);
    }
    let payload_bytes = usize::try_from(payload_bytes).map_err(|_| TooLong)?;
    let mut header = Header {
        is_final: first & FINAL != 0,
        opcode: first & 0x0f,
        mask: None,
        header_bytes: 2 + length_bytes,
        payload_bytes,
    };
    if second & MASKED != 0 {
        let Some([a, b, c, d, ..]) = rest.get(length_bytes..) else {
            return Ok(None);
        };
        header.mask = Some([*a, *b, *c, *d]);
        header.header_bytes += 4;
    }
    Ok(Some(header))
}

/// The header of a server's frame, as bytes and how many of them count.
#[must_use]
pub fn server_header(opcode: u8, payload_bytes: usize) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    bytes[0] = FINAL | opcode;
    let length = payload_bytes as u64;
    let used = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => {
            bytes[1] = short;
            2
        }
        (_, Ok(medium)) => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..10].copy_from_slice(&length.to_be_bytes());
            10
        }
    };
    (bytes, used)
}

/// A whole frame as a client sends it.
#[must_use]
pub fn client_frame(opcode: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let (mut header, used) = server_header(opcode, payload.len());
    header[1] |= MASKED;
    let mut frame = Vec::with_capacity(used + 4 + payload.len());
    frame.extend_from_slice(&header[..used]);
    frame.extend_from_slice(&key);
    frame.extend_from_slice(payload);
    mask(&mut frame[used + 4..], key);
    frame
}

/// Masks or unmasks, eight bytes at a time: the echo must not cost more than the proxy before it.
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_the_rfc_are_read_and_written() {
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(
            client_frame(TEXT, b"Hello", [0x37, 0xfa, 0x21, 0x3d]),
            hello
        );
        let header = read(&hello).unwrap().unwrap();
        assert_eq!((header.opcode, header.is_final), (TEXT, true));
        assert_eq!(header.frame_bytes(), hello.len());
        let (bytes, used) = server_header(TEXT, 5);
        assert_eq!(bytes[..used], [0x81, 0x05]);
    }

    #[test]
    fn a_frame_of_any_length_is_read_as_it_was_written() {
        for length in [0, 1, 7, 8, 125, 126, 127, 65_535, 65_536, 100_001] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut frame = client_frame(BINARY, &payload, [1, 2, 3, 250]);
            let header = read(&frame).unwrap().unwrap();
            assert_eq!(header.payload_bytes, length);
            assert_eq!(header.frame_bytes(), frame.len());
            mask(&mut frame[header.header_bytes..], header.mask.unwrap());
            assert_eq!(frame[header.header_bytes..], payload, "length {length}");
            let (bytes, used) = server_header(BINARY, length);
            let header = read(&bytes[..used]).unwrap().unwrap();
            assert_eq!((header.payload_bytes, header.mask), (length, None));
        }
    }

    #[test]
    fn a_header_in_pieces_is_waited_for() {
        for length in [5, 200, 70_000] {
            let frame = client_frame(BINARY, &vec![0; length], [9; 4]);
            let whole = read(&frame).unwrap().unwrap().header_bytes;
            for piece in 0..whole {
                assert_eq!(read(&frame[..piece]), Ok(None), "{piece} of {whole}");
            }
        }
    }

    #[test]
    fn an_absurd_length_is_not_waited_for() {
        assert_eq!(read(&[0x82, 127, 1, 0, 0, 0, 0, 0, 0, 0]), Err(TooLong));
    }
}
