//! A server's complaint that it does not know a session: what an operator must hear of, because affinity is broken.
//!
//! Listens to the beginning of a 400 while it passes; changes nothing. Engine.IO servers say it as JSON to polling
//! clients and as plain text to WebSockets, with the code as a number or as a string, but always in the same words.

use super::Stage;

const WORDS: &[u8] = b"Session ID unknown";
/// Its whole body has some 40 bytes; in a longer one the words are somebody else's.
const HEARD_BYTES_MAX: usize = 128;

/// What was heard so far of an answer that may be such a complaint.
#[derive(Debug, Default)]
pub struct Complaint {
    heard: Vec<u8>,
    is_too_long: bool,
}

impl Complaint {
    /// `None`: the answer is none, by the request or its status.
    #[must_use]
    pub fn begin(stage: Stage, status: u16) -> Option<Self> {
        (stage == Stage::Session && status == 400).then(Self::default)
    }

    /// The next bytes of the body.
    pub fn hear(&mut self, bytes: &[u8]) {
        let left = HEARD_BYTES_MAX - self.heard.len();
        self.is_too_long |= bytes.len() > left;
        self.heard.extend(bytes.iter().take(left));
    }

    /// Whether the body, which has ended, was one.
    #[must_use]
    pub fn is_unknown_session(&self) -> bool {
        !self.is_too_long && self.heard.windows(WORDS.len()).any(|words| words == WORDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, is_complaint: bool) {
        for size in [1, 7, 1000] {
            let mut complaint = Complaint::begin(Stage::Session, 400).unwrap();
            for chunk in body.as_bytes().chunks(size) {
                complaint.hear(chunk);
            }
            assert_eq!(complaint.is_unknown_session(), is_complaint, "{body}");
        }
    }

    #[test]
    fn servers_say_it_in_several_ways() {
        check(r#"{"code":1,"message":"Session ID unknown"}"#, true);
        check(r#"{"code":"1","message":"Session ID unknown"}"#, true);
        check("Session ID unknown", true);
    }

    #[test]
    fn other_complaints_are_others() {
        check(r#"{"code":3,"message":"Bad request"}"#, false);
        check("", false);
        check(&format!("Session ID unknown{}", "!".repeat(200)), false);
    }

    #[test]
    fn only_a_400_within_a_session_is_listened_to() {
        assert!(Complaint::begin(Stage::Session, 200).is_none());
        assert!(Complaint::begin(Stage::Handshake, 400).is_none());
        assert!(Complaint::begin(Stage::None, 400).is_none());
    }
}
