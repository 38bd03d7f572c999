//! Payloads of the polling transport, made of what waits: WebSocket frames. Pure.
//! ([protocol](https://socket.io/docs/v4/engine-io-protocol/#http-long-polling-1): packets with 0x1e between them, binary ones as
//! `b` and base64)

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf as _, Bytes};

use crate::frame::{Message, Messages};

/// A payload that says nothing.
pub(crate) const NOOP: &str = "6";

const SEPARATOR: char = '\u{1e}';

/// Takes messages from the front, as many as fit into `bytes_max`, or one.
pub(crate) fn take(waiting: &mut VecDeque<Bytes>, bytes_max: usize) -> String {
    let mut payload = String::new();
    while let Some(run) = waiting.front_mut() {
        let mut messages = Messages::of(run);
        let Some(message) = messages.next() else {
            // Only what is for WebSockets.
            waiting.pop_front();
            continue;
        };
        let bytes = match message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => 1 + bytes.len().div_ceil(3) * 4,
        };
        if !payload.is_empty() && payload.len() + 1 + bytes > bytes_max {
            break;
        }
        if !payload.is_empty() {
            payload.push(SEPARATOR);
        }
        match message {
            Message::Text(text) => payload.push_str(&String::from_utf8_lossy(text)),
            Message::Binary(bytes) => {
                payload.push('b');
                BASE64.encode_string(bytes, &mut payload);
            }
        }
        let taken = run.len() - messages.rest().len();
        run.advance(taken);
        if run.is_empty() {
            waiting.pop_front();
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn a_payload_takes_what_fits_and_leaves_the_rest() {
        let run = [frame::text(&["4", "one"]), frame::text(&["4", "two"])].concat();
        let mut waiting = VecDeque::from([
            run.into(),
            frame::binary(&[1, 2, 3, 4]),
            frame::text(&["2"]),
        ]);
        assert_eq!(take(&mut waiting, 9), "4one\u{1e}4two");
        assert_eq!(take(&mut waiting, 11), "bAQIDBA==\u{1e}2");
        assert_eq!(take(&mut waiting, 1), "");
    }

    #[test]
    fn a_message_that_is_too_long_goes_alone() {
        let mut waiting = VecDeque::from([frame::text(&["4long"]), frame::text(&["4"])]);
        assert_eq!(take(&mut waiting, 2), "4long");
        assert_eq!(take(&mut waiting, 2), "4");
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_is_for_websockets_is_left_out() {
        let mut waiting =
            VecDeque::from([frame::pong(b"x"), frame::text(&["2"]), frame::close(1000)]);
        assert_eq!(take(&mut waiting, 100), "2");
    }
}
