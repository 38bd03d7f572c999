//! Where WebSocket frames end (RFC 6455 §5.2), counted from their headers alone.
//!
//! Needed to say goodbye between two frames, to count messages and to know who said goodbye. Payloads are skipped,
//! never looked at, but for the code of a Close frame. Bytes that are no frames are no fault: a tunnel carries them all
//! the same, and from there on nothing is known.

/// A Close frame from a server: 1012, "service restart", which tells clients to come back.
pub(crate) const CLOSE_SERVICE_RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];
/// The same with 1001, "going away".
pub(crate) const CLOSE_GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

const OPCODE_CLOSE: u8 = 8;
const CONTROL_PAYLOAD_BYTES_MAX: u64 = 125;
/// What a Close frame without a code means (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1005;

/// Follows the frames of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// The header so far: 2 bytes and at most 8 of extended length, or a Close frame's mask and code.
    header: [u8; 10],
    header_len: u8,
    is_lost: bool,
    /// Of the first Close frame; 0: there was none.
    close_code: u16,
    /// Bytes until the current frame ends, once its header is known (masking key included).
    left: u64,
    /// Whole messages: their last frames began.
    messages: u64,
}

impl Frames {
    #[must_use]
    pub(crate) fn is_between(&self) -> bool {
        self.header_len == 0 && self.left == 0 && !self.is_lost
    }

    /// Whether a Close frame began.
    #[must_use]
    pub(crate) fn has_closed(&self) -> bool {
        self.close_code != 0
    }

    /// Why, if a Close frame began.
    #[must_use]
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.has_closed().then_some(self.close_code)
    }

    /// Messages so far, whatever number of frames they came in.
    #[must_use]
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// The bytes are no frames.
    #[cfg(test)]
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Follows all of `bytes`.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_lost {
            bytes = self.step(bytes);
        }
    }

    /// Follows `bytes` up to the first place between two frames, or all of them; tells how many that were.
    pub(crate) fn follow_to_end_of_frame(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_between() && !self.is_lost {
            rest = self.step(rest);
        }
        if self.is_lost {
            return bytes.len();
        }
        bytes.len() - rest.len()
    }

    /// Takes as much of a payload or of a header as there is.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.left > 0 {
            let here = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            // `here` is at most `left`.
            self.left = self.left.saturating_sub(here as u64);
            return bytes.get(here..).unwrap_or_default();
        }
        if self.header_len == 0 && bytes.len() >= self.header.len() {
            // All of any header is there.
            self.take_header(bytes, 2);
            let rest = self.take_header(bytes, self.header_bytes());
            self.begin();
            return rest;
        }
        let known = self.header_len;
        let wanted = usize::from(self.header_bytes().saturating_sub(known));
        let (more, rest) = bytes.split_at(wanted.min(bytes.len()));
        for byte in more {
            if let Some(slot) = self.header.get_mut(usize::from(self.header_len)) {
                *slot = *byte;
            }
            self.header_len += 1;
        }
        if self.header_len == self.header_bytes() {
            self.begin();
        }
        rest
    }

    /// The header begins with the first `count` of `bytes`, of which there are as many.
    fn take_header<'b>(&mut self, bytes: &'b [u8], count: u8) -> &'b [u8] {
        let (header, rest) = bytes.split_at(usize::from(count).min(bytes.len()));
        for (slot, byte) in self.header.iter_mut().zip(header) {
            *slot = *byte;
        }
        self.header_len = count;
        rest
    }

    /// How long the header is, as far as its beginning tells.
    fn header_bytes(&self) -> u8 {
        if self.header_len < 2 {
            return 2;
        }
        let [first, second, ..] = self.header;
        match second & 0x7f {
            126 => 4,
            127 => 10,
            2.. if first & 0x0f == OPCODE_CLOSE => 2 + mask_bytes(second) + 2,
            _ => 2,
        }
    }

    /// The header is whole: the frame begins.
    fn begin(&mut self) {
        let [first, second, extended @ ..] = self.header;
        let [a, b, _, _, e, f, ..] = extended;
        let (mut payload, mut counted) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([a, b])), 0),
            127 => (u64::from_be_bytes(extended), 0),
            short => (u64::from(short), self.header_len - 2),
        };
        let (opcode, is_last) = (first & 0x0f, first & 0x80 != 0);
        let is_sound = match opcode {
            0..=2 => payload <= u64::MAX / 2,
            OPCODE_CLOSE..=10 => is_last && payload <= CONTROL_PAYLOAD_BYTES_MAX,
            _ => false,
        };
        if !is_sound {
            self.is_lost = true;
            return;
        }
        if opcode < OPCODE_CLOSE {
            self.messages += u64::from(is_last);
            counted = 0;
        } else if opcode == OPCODE_CLOSE && !self.has_closed() {
            self.close_code = match (counted, mask_bytes(second)) {
                (0, _) => NO_CODE,
                (_, 0) => u16::from_be_bytes([a, b]),
                (_, _) => u16::from_be_bytes([e ^ a, f ^ b]),
            }
            .max(1);
        }
        payload += u64::from(mask_bytes(second));
        self.left = payload.saturating_sub(u64::from(counted));
        self.header_len = 0;
    }
}

fn mask_bytes(second: u8) -> u8 {
    if second & 0x80 == 0 { 0 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(payload: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match payload {
            0..126 => frame.push(mask | u8::try_from(payload).unwrap()),
            126..65536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0xff; payload + if is_masked { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn a_close_frame_is_a_frame() {
        let mut frames = Frames::default();
        frames.follow(&CLOSE_SERVICE_RESTART[..3]);
        assert!(!frames.is_between());
        frames.follow(&CLOSE_SERVICE_RESTART[3..]);
        assert!(frames.is_between());
        assert!(frames.has_closed());
    }

    #[track_caller]
    fn check_close(frame: &[u8], code: u16) {
        for cut in 1..=frame.len() {
            let mut frames = Frames::default();
            for piece in frame.chunks(cut) {
                assert!(!frames.is_lost);
                frames.follow(piece);
            }
            assert_eq!(frames.close_code(), Some(code), "in pieces of {cut}");
            assert!(frames.is_between(), "in pieces of {cut}");
            assert_eq!(frames.messages(), 0);
        }
    }

    #[test]
    fn a_close_frame_says_why() {
        check_close(&CLOSE_SERVICE_RESTART, 1012);
        check_close(&CLOSE_GOING_AWAY, 1001);
        check_close(&[0x88, 0x00], 1005);
        check_close(&[0x88, 0x80, 9, 9, 9, 9], 1005);
        check_close(b"\x88\x05\x03\xe8bye", 1000);
        // 1000 under the mask 1 2 3 4.
        check_close(&[0x88, 0x84, 1, 2, 3, 4, 0x02, 0xea, b'h', b'i'], 1000);
    }

    #[test]
    fn a_message_in_several_frames_is_one_message() {
        let mut frames = Frames::default();
        frames.follow(b"\x01\x01a\x89\x00\x00\x01b\x80\x01c\x81\x00");
        assert_eq!(frames.messages(), 2);
        assert!(frames.is_between());
    }

    #[test]
    fn what_is_no_frame_ends_the_counting_and_nothing_else() {
        for nonsense in [
            &b"\x83\x00"[..],              // an opcode that nobody has
            b"\x09\x00",                   // half a ping
            b"\x88\x7e\x01\x00",           // a goodbye of 256 bytes
            b"\x82\x7f\x80\0\0\0\0\0\0\0", // more bytes than there are
            b"HTTP/1.1 200 OK\r\n",
        ] {
            let mut frames = Frames::default();
            frames.follow(b"\x81\x01a");
            frames.follow(nonsense);
            frames.follow(b"\x81\x01b");
            assert!(frames.is_lost, "{nonsense:?}");
            assert!(!frames.is_between());
            assert_eq!(frames.messages(), 1);
            assert_eq!(frames.follow_to_end_of_frame(b"\x81\x01b"), 3);
        }
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_bytes_are_cut(
            sizes in prop::collection::vec((prop_oneof![0_usize..200, 65_530_usize..65_550], any::<bool>()), 1..6),
            cut in 1_usize..5000,
        ) {
            let frames: Vec<_> = sizes.iter().map(|(size, masked)| frame(*size, *masked)).collect();
            let bytes = frames.concat();
            let mut seen = Frames::default();
            for piece in bytes.chunks(cut) {
                seen.follow(piece);
            }
            prop_assert!(seen.is_between());
            prop_assert_eq!(seen.messages(), frames.len() as u64);
            let mut seen = Frames::default();
            seen.follow(&bytes[..1]);
            prop_assert_eq!(1 + seen.follow_to_end_of_frame(&bytes[1..]), frames[0].len());
        }
    }
}
