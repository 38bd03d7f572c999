//! What one request tells: a run of a room's entries, bounded, with an id by which a repeated one is known. Pure.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Wants, WebhookId};
use crate::chat::message::Message;
use crate::chat::room::RoomId;
use crate::date::to_iso;
use crate::protocol::MessageBody;

/// What a request is about, by the word that Standard Webhooks wants.
const TYPE: &str = "room.entries";

/// A run of entries of one room.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names the request, also when it is made again.
    pub id: String,
    /// The JSON; none: there is nothing in the run that the webhook wants.
    pub body: Option<String>,
    /// The entries told.
    pub count: usize,
    /// The seq of the last entry of the run, wanted or not: the cursor moves here.
    pub to: u64,
    /// When the newest entry told was said.
    pub newest_ms: i64,
    /// There are entries behind the run.
    pub is_cut: bool,
}

/// The body without its last field, the entries: they are written already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(rename = "type")]
    body_type: &'static str,
    timestamp: String,
    webhook_id: &'a str,
    delivery_id: &'a str,
    room_id: &'a str,
    epoch: &'a str,
}

/// From where a run begins, and how far it may go.
pub struct Run<'a> {
    pub webhook: &'a WebhookId,
    pub room: &'a RoomId,
    pub epoch: &'a str,
    /// The seq before the run.
    pub after: u64,
    /// Where an earlier try ended.
    pub to: Option<u64>,
    pub bytes_max: usize,
}

impl Run<'_> {
    /// The run at the beginning of `entries`, which follow `after`; none if there are none. Longer than the bytes allow only if one entry is.
    ///
    /// # Errors
    /// When an entry cannot be written as JSON, which only a bug can cause.
    pub fn of(&self, entries: &[Message], wants: &Wants) -> serde_json::Result<Option<Batch>> {
        let Some(first) = entries.first() else {
            return Ok(None);
        };
        let (mut told, mut bytes) = (Vec::new(), 0);
        let (mut to, mut newest_ms, mut taken) = (first.seq, first.timestamp_ms, 0);
        for entry in entries {
            let is_beyond = self.to.is_some_and(|to| entry.seq > to && taken > 0);
            if is_beyond {
                break;
            }
            if wants.entry(&entry.entry) {
                let json = serde_json::to_string(&MessageBody::from(entry))?;
                bytes += json.len();
                if bytes > self.bytes_max && !told.is_empty() {
                    break;
                }
                newest_ms = newest_ms.max(entry.timestamp_ms);
                told.push(json);
            }
            to = entry.seq;
            taken += 1;
        }
        let id = self.delivery_id(to);
        let body = match told.is_empty() {
            true => None,
            false => Some(self.body(&id, &told, newest_ms)?),
        };
        Ok(Some(Batch {
            id,
            body,
            count: told.len(),
            to,
            newest_ms,
            is_cut: taken < entries.len(),
        }))
    }

    fn body(&self, id: &str, entries: &[String], newest_ms: i64) -> serde_json::Result<String> {
        let head = serde_json::to_string(&Head {
            body_type: TYPE,
            timestamp: to_iso(newest_ms),
            webhook_id: self.webhook.as_str(),
            delivery_id: id,
            room_id: self.room.as_str(),
            epoch: self.epoch,
        })?;
        let head = head.trim_end_matches('}');
        Ok(format!("{head},\"entries\":[{}]}}", entries.join(",")))
    }

    /// The same for the same run, whichever server makes it.
    fn delivery_id(&self, to: u64) -> String {
        let mut digest = Sha256::new();
        for text in [self.webhook.as_str(), self.epoch, self.room.as_str()] {
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        digest.update(self.after.to_be_bytes());
        digest.update(to.to_be_bytes());
        let digest = digest.finalize();
        let hex: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("msg_{hex}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::chat::message::Entry;
    use crate::store::contract::{at, draft};

    fn room() -> RoomId {
        RoomId::parse("lobby").unwrap()
    }

    fn log(count: u64) -> Vec<Message> {
        let said = |seq| draft("ann", "c", &format!("message {seq}")).placed(&room(), at(seq));
        (1..=count).map(said).collect()
    }

    fn run(to: Option<u64>, bytes_max: usize, entries: &[Message], wants: &Wants) -> Batch {
        let run = Run {
            webhook: &WebhookId::parse("audit").unwrap(),
            room: &room(),
            epoch: "e",
            after: 0,
            to,
            bytes_max,
        };
        run.of(entries, wants).unwrap().unwrap()
    }

    fn seqs(batch: &Batch) -> Vec<u64> {
        let body: Value = serde_json::from_str(batch.body.as_ref().unwrap()).unwrap();
        let entries = body["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["seq"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn a_body_says_where_its_entries_are_from() {
        let batch = run(None, 100_000, &log(2), &Wants::default());
        let body: Value = serde_json::from_str(batch.body.as_ref().unwrap()).unwrap();
        assert_eq!(body["type"], "room.entries");
        assert_eq!(body["webhookId"], "audit");
        assert_eq!(
            (&body["roomId"], &body["epoch"]),
            (&"lobby".into(), &"e".into())
        );
        assert_eq!(body["deliveryId"], batch.id);
        assert_eq!(body["entries"][1]["content"], "message 2");
        assert_eq!((batch.to, batch.count, batch.is_cut), (2, 2, false));
    }

    #[test]
    fn what_is_too_much_is_left_to_the_next_one_but_one_entry_always_goes() {
        let entries = log(10);
        let batch = run(None, 600, &entries, &Wants::default());
        assert!(
            batch.is_cut && batch.to > 1 && batch.to < 10,
            "{}",
            batch.to
        );
        assert_eq!(seqs(&batch), (1..=batch.to).collect::<Vec<_>>());
        assert_eq!(seqs(&run(None, 1, &entries, &Wants::default())), [1]);
    }

    #[test]
    fn a_repeated_run_is_the_same_run_though_more_was_said() {
        let entries = log(5);
        let first = run(None, 100_000, &entries[..3], &Wants::default());
        let again = run(Some(first.to), 100_000, &entries, &Wants::default());
        assert_eq!((&first.id, &first.body), (&again.id, &again.body));
        assert!(again.is_cut);
        assert_ne!(run(None, 100_000, &entries, &Wants::default()).id, first.id);
    }

    #[test]
    fn what_is_not_wanted_is_passed_over() {
        let mut entries = log(4);
        entries[1].entry = Entry::Delete { ref_seq: 1 };
        let deletions = Wants::parse(&["delete"], &[] as &[&str]).unwrap();
        let batch = run(None, 100_000, &entries, &deletions);
        assert_eq!((seqs(&batch), batch.to), (vec![2], 4));
        let reactions = Wants::parse(&["reaction"], &[] as &[&str]).unwrap();
        let batch = run(None, 100_000, &entries, &reactions);
        assert_eq!((batch.body, batch.count, batch.to), (None, 0, 4));
    }
}
