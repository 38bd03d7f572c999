//! Where WebSocket frames end (RFC 6455 §5.2), counted from their headers alone.
//!
//! Needed to say goodbye between two frames, and to know whether the server did. Payloads are skipped, never looked at.

/// A Close frame from a server: 1012, "service restart", which tells clients to come back.
pub(crate) const CLOSE_SERVICE_RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];

const OPCODE_CLOSE: u8 = 8;

/// Follows the frames of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// The header so far: at most 2 bytes and 8 of extended length.
    header: [u8; 10],
    header_len: u8,
    /// Bytes until the current frame ends, once its header is known (masking key included).
    left: u64,
    has_closed: bool,
}

impl Frames {
    #[must_use]
    pub(crate) fn is_between(&self) -> bool {
        self.header_len == 0 && self.left == 0
    }

    /// Whether a Close frame began.
    #[must_use]
    pub(crate) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Follows all of `bytes`.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// Follows `bytes` up to the first place between two frames, or all of them; tells how many that were.
    pub(crate) fn follow_to_end_of_frame(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_between() {
            rest = self.step(rest);
        }
        bytes.len() - rest.len()
    }

    /// Takes one header byte or as much payload as there is.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.left > 0 {
            let here = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            // `here` is at most `left`.
            self.left = self.left.saturating_sub(here as u64);
            return bytes.get(here..).unwrap_or_default();
        }
        let Some((byte, rest)) = bytes.split_first() else {
            return bytes;
        };
        if let Some(slot) = self.header.get_mut(usize::from(self.header_len)) {
            *slot = *byte;
        }
        self.header_len += 1;
        if let Some(length) = self.frame_rest() {
            self.left = length;
            self.header_len = 0;
            self.has_closed |= self.header[0] & 0x0f == OPCODE_CLOSE;
        }
        rest
    }

    /// Bytes that follow the header, once it is whole.
    fn frame_rest(&self) -> Option<u64> {
        let [_, second, extended @ ..] = self.header;
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let [a, b, ..] = extended;
        let payload = match (second & 0x7f, self.header_len) {
            (_, 0 | 1) => return None,
            (126, 4) => u64::from(u16::from_be_bytes([a, b])),
            (127, 10) => u64::from_be_bytes(extended),
            (126 | 127, _) => return None,
            (short, _) => u64::from(short),
        };
        Some(payload.saturating_add(mask_bytes))
    }
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
            let mut seen = Frames::default();
            seen.follow(&bytes[..1]);
            prop_assert_eq!(1 + seen.follow_to_end_of_frame(&bytes[1..]), frames[0].len());
        }
    }
}
