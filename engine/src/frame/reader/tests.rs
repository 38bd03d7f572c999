use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::*;

const BYTES_MAX: usize = 2_000;

/// A frame as a client writes it.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(MASKED | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            frame.push(MASKED | LENGTH_16);
            frame.extend_from_slice(&u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            frame.push(MASKED | LENGTH_64);
            frame.extend_from_slice(&u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn read(reader: &mut Reader, mut input: &[u8]) -> Result<Vec<Said>, Violation> {
    let mut said = Vec::new();
    while let Some(next) = reader.next(&mut input)? {
        said.push(next);
    }
    assert!(input.is_empty(), "something was left");
    Ok(said)
}

fn said(input: &[u8]) -> Result<Vec<Said>, Violation> {
    read(&mut Reader::new(BYTES_MAX), input)
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

#[test]
fn messages_come_whole_however_they_were_sent() {
    let mask = [1, 2, 3, 4];
    let mut input = frame(FIN | TEXT, b"one", mask);
    input.extend(frame(TEXT, "zw\u{f6}".as_bytes(), mask));
    input.extend(frame(FIN | PING, b"there?", mask));
    input.extend(frame(CONTINUATION, b"", mask));
    input.extend(frame(FIN | CONTINUATION, b"lf", mask));
    input.extend(frame(FIN | BINARY, &[0, 255], mask));
    input.extend(frame(FIN | PONG, b"", mask));
    input.extend(frame(FIN | CLOSE, &[3, 232], mask));
    let wanted = [
        text("one"),
        Said::Ping(Bytes::from_static(b"there?")),
        text("zw\u{f6}lf"),
        Said::Binary(Bytes::from_static(&[0, 255])),
        Said::Pong,
        Said::Close,
    ];
    assert_eq!(said(&input).unwrap(), wanted);
}

#[test]
fn what_a_client_may_not_send_ends_the_connection() {
    let mask = [7; 4];
    let unmasked = [FIN | TEXT, 1, b'x'];
    assert_eq!(said(&unmasked), Err(Violation::Protocol));
    for first in [
        0x40 | FIN | TEXT,
        FIN | 0x3,
        FIN | 0xb,
        FIN | CONTINUATION,
        PING,
        CLOSE,
    ] {
        let input = frame(first, b"x", mask);
        assert_eq!(said(&input), Err(Violation::Protocol), "{first:x}");
    }
    let long_ping = frame(FIN | PING, &[0; 126], mask);
    assert_eq!(said(&long_ping), Err(Violation::Protocol));
    let mut within = frame(TEXT, b"a", mask);
    within.extend(frame(FIN | TEXT, b"b", mask));
    assert_eq!(said(&within), Err(Violation::Protocol));
    let not_utf8 = frame(FIN | TEXT, &[0xff], mask);
    assert_eq!(said(&not_utf8), Err(Violation::NotUtf8));
}

#[test]
fn a_message_that_is_too_long_is_refused_by_its_head() {
    let whole = frame(FIN | BINARY, &[0; BYTES_MAX], [0; 4]);
    assert!(said(&whole).is_ok());
    let long = frame(FIN | BINARY, &[0; BYTES_MAX + 1], [0; 4]);
    assert_eq!(said(&long[..4]), Err(Violation::TooLong));
    let mut parts = frame(BINARY, &[0; BYTES_MAX], [0; 4]);
    parts.extend(frame(FIN | CONTINUATION, &[0], [0; 4]));
    assert_eq!(said(&parts), Err(Violation::TooLong));
    let mut huge = vec![FIN | TEXT, MASKED | LENGTH_64];
    huge.extend([0xff; 8]);
    assert_eq!(said(&huge), Err(Violation::TooLong));
}

#[test]
fn a_silent_connection_keeps_nothing() {
    let mut reader = Reader::new(BYTES_MAX);
    let input = frame(FIN | TEXT, &[b'x'; 1_000], [9; 4]);
    for part in input.chunks(100) {
        read(&mut reader, part).unwrap();
    }
    assert_eq!(reader.partial.capacity(), 0);
}

fn sayings() -> impl Strategy<Value = Vec<(Said, Vec<usize>, [u8; 4])>> {
    let one = prop_oneof![
        prop::collection::vec(any::<char>(), 0..200)
            .prop_map(|text| Said::Text(text.into_iter().collect())),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(|bytes| Said::Binary(bytes.into())),
        prop::collection::vec(any::<u8>(), 0..125).prop_map(|bytes| Said::Ping(bytes.into())),
        Just(Said::Pong),
    ];
    let cuts = prop::collection::vec(0..400_usize, 0..4);
    prop::collection::vec((one, cuts, any::<[u8; 4]>()), 0..8)
}

/// Frames of a message that is cut into parts.
fn frames(said: &Said, cuts: &[usize], mask: [u8; 4]) -> Vec<u8> {
    let (opcode, payload): (u8, &[u8]) = match said {
        Said::Text(text) => (TEXT, text.as_bytes()),
        Said::Binary(bytes) => (BINARY, bytes),
        Said::Ping(bytes) => return frame(FIN | PING, bytes, mask),
        Said::Pong => return frame(FIN | PONG, b"", mask),
        Said::Close => return frame(FIN | CLOSE, b"", mask),
    };
    let (mut frames, mut rest, mut opcode) = (Vec::new(), payload, opcode);
    for cut in cuts {
        let (part, after) = rest.split_at(rest.len().min(*cut));
        frames.extend(frame(opcode, part, mask));
        (rest, opcode) = (after, CONTINUATION);
    }
    frames.extend(frame(FIN | opcode, rest, mask));
    frames
}

proptest! {
    #[test]
    fn what_was_said_is_heard_however_the_bytes_come(
        sayings in sayings(),
        reads in prop::collection::vec(1..300_usize, 1..40),
    ) {
        let mut input = Vec::new();
        for (said, cuts, mask) in &sayings {
            input.extend(frames(said, cuts, *mask));
        }
        let mut reader = Reader::new(BYTES_MAX);
        let (mut heard, mut rest) = (Vec::new(), &input[..]);
        for size in reads.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at(rest.len().min(*size));
            heard.extend(read(&mut reader, part).unwrap());
            rest = after;
        }
        let wanted: Vec<Said> = sayings.into_iter().map(|(said, _, _)| said).collect();
        assert_eq!(heard, wanted);
    }

    #[test]
    fn anything_at_all_is_read_or_refused(
        input in prop::collection::vec(any::<u8>(), 0..600),
        at in 0..600_usize,
    ) {
        let mut reader = Reader::new(BYTES_MAX);
        let (first, second) = input.split_at(at.min(input.len()));
        if read(&mut reader, first).is_ok() {
            drop(read(&mut reader, second));
        }
    }
}
