//! Any bytes as WebSocket frames: they are followed alike in any pieces, and nothing panics.

use std::io::Cursor;

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::frames::Frames;

/// Frames, more or less: first bytes that mean something, and lengths that lie.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(
        &[
            0x00_u8, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0x83, 0xc1,
        ][..],
    );
    let second = prop::sample::select(&[0_u8, 1, 2, 5, 125, 126, 127, 128, 129, 130, 254, 255][..]);
    let rest = prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..12);
    let frame = (first, second, rest)
        .prop_map(|(first, second, rest)| [&[first, second][..], &rest].concat());
    prop::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

fn followed(bytes: &[u8], cuts: &[usize]) -> String {
    let (mut frames, mut rest) = (Frames::default(), bytes);
    for cut in cuts {
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        frames.follow(piece);
        rest = behind;
    }
    frames.follow(rest);
    format!("{frames:?}")
}

/// Messages whose last frame began, and whether the bytes end between two frames, as tungstenite has it; `None`: they are
/// no frames.
fn walked(bytes: &[u8]) -> Option<(u64, bool)> {
    let (mut messages, mut rest) = (0, bytes);
    while !rest.is_empty() {
        let mut cursor = Cursor::new(rest);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).ok()? else {
            return Some((messages, false));
        };
        messages += u64::from(header.is_final && matches!(header.opcode, OpCode::Data(_)));
        let Some(behind) = cursor
            .position()
            .checked_add(length)
            .and_then(|end| rest.get(usize::try_from(end).ok()?..))
        else {
            return Some((messages, false));
        };
        rest = behind;
    }
    Some((messages, true))
}

#[test]
fn the_other_reader_knows_frames() {
    assert_eq!(walked(b"\x81\x01a\x01\x01b\x80\x00"), Some((2, true)));
    assert_eq!(walked(b"\x82\x05abc"), Some((1, false)));
    assert_eq!(walked(b"\x83\x00"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn frames_mean_the_same_to_tungstenite(bytes in bytes()) {
        let mut frames = Frames::default();
        frames.follow(&bytes);
        // A control frame that cannot be is a frame to a reader of headers alone.
        if !frames.is_lost() {
            let (messages, is_between) = walked(&bytes).unwrap();
            prop_assert_eq!(frames.is_between(), is_between);
            // The mask is the last of a header to the one, and the first of the payload to the other.
            let more = frames.messages() - messages;
            prop_assert!(more == 0 || (more == 1 && !is_between), "{} more", more);
        }
    }

    #[test]
    fn frames_are_followed_alike_in_any_pieces(
        bytes in bytes(),
        cuts in prop::collection::vec(1_usize..9, 0..40),
    ) {
        let whole = followed(&bytes, &[]);
        prop_assert_eq!(&followed(&bytes, &cuts), &whole);
        prop_assert_eq!(&followed(&bytes, &vec![1; bytes.len()]), &whole);
    }

    #[test]
    fn the_end_of_a_frame_is_found_in_the_bytes(before in bytes(), bytes in bytes()) {
        let mut frames = Frames::default();
        frames.follow(&before);
        let length = frames.follow_to_end_of_frame(&bytes);
        prop_assert!(length <= bytes.len());
        prop_assert!(length == bytes.len() || frames.is_between());
    }
}
