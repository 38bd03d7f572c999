//! Decides whether somebody may say something: the last word before a message is stored.

use std::time::Instant;

use uuid::Uuid;

use super::limits::{Buckets, CLIENT_MSG_ID_BYTES_MAX, Limits, TYPE_BYTES_MAX};
use super::message::{BadText, Draft, Entry, Sender};
use super::refusal::{Code, Refusal};

/// The `type` of a message that names none.
pub const TYPE_DEFAULT: &str = "text";

/// What a client wants to say, well-formed but not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub content: String,
    pub message_type: Option<String>,
    /// The seq that it answers.
    pub reply_to: Option<u64>,
    pub client_msg_id: Option<String>,
}

/// The facts about the moment a wish arrived. They are arguments so that the decision can be tested.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For the rate, which must not jump with the wall clock.
    pub monotonic: Instant,
    /// Milliseconds since the Unix epoch, kept with the message.
    pub unix_ms: i64,
    /// Version 7: the message's id, and its `clientMsgId` when the client has none.
    pub id: Uuid,
}

/// Admits a wish of `sender` into a room that it `is_member` of.
///
/// # Errors
/// The refusal to answer. A refused wish costs no token unless the rate itself refused it.
pub fn admit(
    wish: Wish,
    sender: &Sender,
    is_member: bool,
    (limits, mut buckets): (&Limits, Buckets<'_>),
    moment: Moment,
) -> Result<Draft, Refusal> {
    if !is_member {
        return Err(Refusal::new(
            Code::NotMember,
            "join the room before sending to it",
        ));
    }
    check_text("content", &wish.content, limits.content_bytes_max)?;
    let message_type = wish.message_type.unwrap_or_else(|| TYPE_DEFAULT.to_owned());
    check_word("type", &message_type, TYPE_BYTES_MAX)?;
    let client_msg_id = client_msg_id(wish.client_msg_id, moment)?;
    take_token(limits, &mut buckets, moment)?;
    let entry = Entry::Message {
        message_type,
        content: wish.content,
        reply_to: wish.reply_to,
    };
    Ok(Draft {
        id: moment.id,
        sender: sender.clone(),
        client_msg_id,
        entry,
        timestamp_ms: moment.unix_ms,
    })
}

/// The client's own id for what it sends, else one of ours: that protects our own retries; a client without ids cannot resend safely, and
/// the documentation says so.
pub(super) fn client_msg_id(given: Option<String>, moment: Moment) -> Result<String, Refusal> {
    let Some(id) = given else {
        return Ok(moment.id.to_string());
    };
    check_word("clientMsgId", &id, CLIENT_MSG_ID_BYTES_MAX)?;
    Ok(id)
}

/// Takes a token for something.
///
/// # Errors
/// `RATE_LIMITED` when there is none.
pub fn take_token(
    limits: &Limits,
    buckets: &mut Buckets<'_>,
    moment: Moment,
) -> Result<(), Refusal> {
    buckets.take(limits, moment.monotonic).map_err(|wait| {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Refusal::new(Code::RateLimited, "too many messages").retry_after_ms(wait_ms)
    })
}

pub(crate) fn check_text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), BadText> {
    if text.is_empty() {
        return Err(BadText::Empty { field });
    }
    if text.len() > bytes_max {
        return Err(BadText::TooLong { field, bytes_max });
    }
    Ok(())
}

pub(crate) fn check_word(field: &'static str, text: &str, bytes_max: usize) -> Result<(), BadText> {
    check_text(field, text, bytes_max)?;
    if text.chars().any(char::is_control) {
        return Err(BadText::ControlCharacter { field });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
