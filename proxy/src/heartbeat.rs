//! How long an Engine.IO connection may be silent before its ends give it up: `pingInterval` + `pingTimeout`.
//!
//! Servers say both in the packet that opens a session. Owns reading it, wherever it stands, and remembering what a
//! server said. What is no such packet says nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

/// For connections of which nobody told: `pingInterval` + `pingTimeout` of the guide (25 s + 60 s), longer than
/// Socket.IO's own (25 s + 20 s), and `MARGIN`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// After which both ends have given up, and timers that were late have fired.
pub const MARGIN: Duration = Duration::from_secs(5);
/// A longer one is a way to say "never", which a proxy cannot afford.
const SILENCE_MAX: Duration = Duration::from_secs(86_400);
/// A packet that opens a session has some 100 bytes.
const FRAME_PAYLOAD_BYTES_MAX: usize = 4096;
/// With its header.
pub const FRAME_BYTES_MAX: usize = FRAME_PAYLOAD_BYTES_MAX + 4;
/// A whole message of text from a server, not compressed.
const TEXT: u8 = 0x81;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    ping_interval: u64,
    ping_timeout: u64,
}

/// What stands at the beginning of the bytes that a server sends on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It is not whole yet.
    Partial,
    Silence(Duration),
    SomethingElse,
}

/// From the payload of an answer to a polling handshake: `0{…}`, or `97:0{…}` in revision 3; others may follow.
#[must_use]
pub fn in_payload(payload: &[u8]) -> Option<Duration> {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
    let packet = match payload.get(digits.count()..) {
        Some([b':', packet @ ..]) => packet,
        _ => payload,
    };
    let object = packet.strip_prefix(b"0")?;
    let mut objects = serde_json::Deserializer::from_slice(object).into_iter::<Opening>();
    let Opening {
        ping_interval,
        ping_timeout,
    } = objects.next()?.ok()?;
    let silence = Duration::from_millis(ping_interval.checked_add(ping_timeout)?);
    (!silence.is_zero() && silence <= SILENCE_MAX).then_some(silence)
}

/// From all the bytes that a server has sent so far on a WebSocket.
#[must_use]
pub fn in_frame(bytes: &[u8]) -> First {
    let (length, payload) = match bytes {
        [] | [TEXT] | [TEXT, 126] | [TEXT, 126, _] => return First::Partial,
        [TEXT, 126, high, low, payload @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), payload)
        }
        [TEXT, length @ ..=125, payload @ ..] => (usize::from(*length), payload),
        _ => return First::SomethingElse,
    };
    if length > FRAME_PAYLOAD_BYTES_MAX {
        return First::SomethingElse;
    }
    let Some(payload) = payload.get(..length) else {
        return First::Partial;
    };
    in_payload(payload).map_or(First::SomethingElse, First::Silence)
}

/// The longest silence that a server has told of; sessions that begin elsewhere are taken to have it, too.
#[derive(Debug, Default)]
pub struct Longest(AtomicU64);

impl Longest {
    pub fn heard(&self, silence: Duration) {
        let millis = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        // Handshakes are many, and all say the same.
        if self.0.load(Ordering::Relaxed) < millis {
            self.0.fetch_max(millis, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        let millis = self.0.load(Ordering::Relaxed);
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    const OPEN: &str = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

    #[track_caller]
    fn check(payload: &str, silence: Option<u64>) {
        assert_eq!(
            in_payload(payload.as_bytes()),
            silence.map(Duration::from_millis),
            "{payload}"
        );
    }

    #[test]
    fn the_packet_that_opens_a_session_tells() {
        check(&format!("0{OPEN}"), Some(45_000));
        check(&format!("0{OPEN}\u{1e}40"), Some(45_000));
        check(&format!("119:0{OPEN}2:40"), Some(45_000));
        check(
            r#"0{"pingTimeout":5,"sid":"a","pingInterval":7,"more":{"pingTimeout":9}}"#,
            Some(12),
        );
    }

    #[test]
    fn everything_else_tells_nothing() {
        for payload in [
            "",
            "0",
            "0{",
            "4hello",
            "0{}",
            r#"{"pingInterval":1,"pingTimeout":1}"#,
            r#"0{"pingInterval":1}"#,
            r#"0{"pingInterval":"1","pingTimeout":1}"#,
            r#"0{"pingInterval":-1,"pingTimeout":1}"#,
            r#"0{"pingInterval":0,"pingTimeout":0}"#,
            r#"0{"pingInterval":18446744073709551615,"pingTimeout":1}"#,
            r#"0{"pingInterval":86400000,"pingTimeout":1}"#,
            "___eio[0](\"0{}\");",
        ] {
            check(payload, None);
        }
    }

    #[test]
    fn a_first_frame_is_waited_for_however_it_is_cut() {
        let packet = format!("0{OPEN}");
        let short = [
            &[TEXT, u8::try_from(packet.len()).unwrap()],
            packet.as_bytes(),
        ]
        .concat();
        let long = [&[TEXT, 126, 0, short[1]], packet.as_bytes()].concat();
        for frame in [short, long] {
            for end in 0..frame.len() {
                assert_eq!(in_frame(&frame[..end]), First::Partial, "{end} bytes");
            }
            let silence = First::Silence(Duration::from_secs(45));
            assert_eq!(in_frame(&frame), silence);
            assert_eq!(in_frame(&[&frame[..], b"\x81\x0240"].concat()), silence);
        }
    }

    #[test]
    fn another_first_frame_is_not_waited_for() {
        for bytes in [
            &b"\x82"[..], // binary
            b"\x01",      // the first part of several
            b"\xc1",      // compressed
            b"\x88\x02\x03\xe8",
            b"\x81\x85",         // masked
            b"\x81\x7e\x10\x01", // larger than any
            b"\x81\x7f",
            b"\x81\x0140",
            b"HTTP/1.1",
        ] {
            assert_eq!(in_frame(bytes), First::SomethingElse, "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_silence_is_kept() {
        let longest = Longest::default();
        assert_eq!(longest.get(), None);
        for (heard, kept) in [(45, 45), (30, 45), (85, 85)] {
            longest.heard(Duration::from_secs(heard));
            assert_eq!(longest.get(), Some(Duration::from_secs(kept)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_of_a_server_are_read_or_passed_over(bytes in vec(any::<u8>(), 0..200)) {
            black_box((in_payload(&bytes), in_frame(&bytes)));
        }

        /// Cut anywhere, an opening is awaited; whole, it is read, in both revisions and with others behind it.
        #[test]
        fn an_opening_is_read_however_it_comes(interval in 1..40_000_u64, timeout in 0..40_000_u64, behind in "[ -~]{0,20}") {
            let packet = format!(r#"0{{"sid":"x","pingInterval":{interval},"pingTimeout":{timeout}}}"#);
            let silence = Duration::from_millis(interval + timeout);
            prop_assert_eq!(in_payload(packet.as_bytes()), Some(silence));
            let older = format!("{}:{packet}{behind}", packet.len());
            prop_assert_eq!(in_payload(older.as_bytes()), Some(silence));
            let mut frame = vec![TEXT, u8::try_from(packet.len()).unwrap()];
            frame.extend_from_slice(packet.as_bytes());
            for end in 0..frame.len() {
                prop_assert_eq!(in_frame(&frame[..end]), First::Partial);
            }
            frame.extend_from_slice(behind.as_bytes());
            prop_assert_eq!(in_frame(&frame), First::Silence(silence));
        }
    }
}
