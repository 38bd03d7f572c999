//! Decides whether somebody may change a message: edit it, delete it, react to it.
//!
//! What a change then does is `fold`'s. A change that was sent again must come through here again, so one that changes nothing is admitted.

use super::admit::{Moment, check_text, check_word, client_msg_id, take_token};
use super::limits::{Buckets, EMOJI_BYTES_MAX, Limits};
use super::message::{Draft, Entry, Message, Sender};
use super::refusal::{Code, Refusal};

/// What a client wants to do to the message at `ref_seq`, well-formed but not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub ref_seq: u64,
    pub deed: Deed,
    pub client_msg_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Edit {
        content: String,
    },
    Delete,
    React {
        emoji: String,
        /// False takes the reaction back.
        added: bool,
    },
}

/// Who asks, as the room knows them.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub sender: &'a Sender,
    pub is_member: bool,
    /// May delete what others said.
    pub is_moderator: bool,
}

/// Admits a change of `target`, which is what the log has at its `ref_seq`.
///
/// # Errors
/// The refusal to answer. A refused change costs no token unless the rate itself refused it.
pub fn admit(
    change: Change,
    target: Option<&Message>,
    asker: Asker<'_>,
    (limits, mut buckets): (&Limits, Buckets<'_>),
    moment: Moment,
) -> Result<Draft, Refusal> {
    if !asker.is_member {
        return Err(Refusal::new(Code::NotMember, "join the room first"));
    }
    let target = target
        .filter(|target| matches!(target.entry, Entry::Message { .. }))
        .ok_or_else(|| Refusal::bad_request("there is no message with this seq"))?;
    let ref_seq = target.seq;
    let entry = match change.deed {
        Deed::Edit { content } => {
            may_edit(target, &content, asker, limits, moment)?;
            Entry::Edit { ref_seq, content }
        }
        Deed::Delete => {
            if target.sender.id != asker.sender.id && !asker.is_moderator {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "only its author or a moderator may delete a message",
                ));
            }
            Entry::Delete { ref_seq }
        }
        Deed::React { emoji, added } => {
            may_react(target, &emoji, added, asker, limits)?;
            Entry::Reaction {
                ref_seq,
                emoji,
                added,
            }
        }
    };
    let client_msg_id = client_msg_id(change.client_msg_id, moment)?;
    take_token(limits, &mut buckets, moment)?;
    Ok(Draft {
        id: moment.id,
        sender: asker.sender.clone(),
        client_msg_id,
        entry,
        timestamp_ms: moment.unix_ms,
    })
}

fn may_edit(
    target: &Message,
    content: &str,
    asker: Asker<'_>,
    limits: &Limits,
    moment: Moment,
) -> Result<(), Refusal> {
    check_text("content", content, limits.content_bytes_max)?;
    if target.sender.id != asker.sender.id {
        return Err(Refusal::new(
            Code::Forbidden,
            "only its author may edit a message",
        ));
    }
    not_deleted(target)?;
    let age_ms = moment.unix_ms.saturating_sub(target.timestamp_ms);
    let window_ms = i64::try_from(limits.edit_window.as_millis()).unwrap_or(i64::MAX);
    if age_ms > window_ms {
        return Err(Refusal::new(
            Code::Forbidden,
            "this message is too old to be edited",
        ));
    }
    Ok(())
}

fn may_react(
    target: &Message,
    emoji: &str,
    added: bool,
    asker: Asker<'_>,
    limits: &Limits,
) -> Result<(), Refusal> {
    check_word("emoji", emoji, EMOJI_BYTES_MAX)?;
    not_deleted(target)?;
    let reactions = &target.marks.reactions;
    let same = reactions.iter().find(|one| one.emoji == emoji);
    let has_reacted = same.is_some_and(|one| one.users.contains(&asker.sender.id));
    if !added || has_reacted {
        return Ok(());
    }
    let count: usize = reactions.iter().map(|one| one.users.len()).sum();
    let is_full = count >= limits.reactions_per_message_max
        || (same.is_none() && reactions.len() >= limits.emojis_per_message_max);
    if is_full {
        return Err(Refusal::new(
            Code::Conflict,
            "this message has as many reactions as it may have",
        ));
    }
    Ok(())
}

fn not_deleted(target: &Message) -> Result<(), Refusal> {
    if target.marks.deleted_at_ms.is_some() {
        return Err(Refusal::new(Code::Conflict, "this message was deleted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
