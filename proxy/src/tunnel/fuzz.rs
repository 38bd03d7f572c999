//! Any bytes as WebSocket frames: they are followed alike in any pieces, and nothing panics.

use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

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
