//! What every store must do: one suite, run for memory, SQLite and MongoDB by [`store_contract`].
//!
//! Each behaviour gets a store of its own and may open further handles on the same data, as several processes would.

use uuid::Uuid;

use super::{Appended, Page, Store, StoreError};
use crate::chat::message::{Draft, Entry, Message, Place, Sender};
use crate::chat::room::RoomId;
pub(super) use crate::contract::Fixture;

pub(super) use behaviours::*;
pub(super) use changes::*;
pub(super) use growth::*;
pub(super) use paging::*;
pub(super) use search::*;

mod behaviours;
mod changes;
mod growth;
mod model;
mod paging;
mod search;

/// Makes one test per behaviour for a fixture.
macro_rules! store_contract {
    ($fixture:ty) => {
        $crate::contract::behaviours! { store, $fixture:
            an_empty_room_is_an_empty_page
            appends_keep_the_order_of_the_batch
            an_empty_batch_is_nothing
            many_appenders_leave_no_gap
            a_sender_says_a_thing_once
            a_client_id_belongs_to_its_sender_and_room
            handles_race_to_say_a_thing_once
            a_duplicate_does_not_hold_up_the_rest
            an_append_that_was_dropped_can_be_sent_again
            pages_concatenate_to_the_whole
            cursors_beyond_the_ends_are_empty_pages
            a_limit_of_zero_counts_as_one
            texts_come_back_as_they_went
            rooms_do_not_mix
            another_handle_reads_what_was_acked
            tails_are_where_the_logs_end
            ends_name_every_room_in_order
            what_has_grown_is_told_once_a_mark_is_given
            messages_are_found_by_their_words_newest_first
            what_is_found_is_as_changes_left_it
            pages_of_a_search_concatenate_to_the_whole
            a_search_finds_what_the_model_finds
            the_epoch_names_the_log
            a_ping_is_answered
            every_kind_of_entry_comes_back_as_it_went
            pages_show_messages_as_changes_left_them
            a_deleted_message_leaves_no_content
            a_change_is_made_once
            n_counts_the_messages
            handles_that_change_one_message_all_count
            answers_as_the_model_does
        }
    };
}
pub(super) use store_contract;

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// The place with this seq in a log of messages alone.
pub(crate) fn at(seq: u64) -> Place {
    Place { seq, n: seq }
}

pub(super) fn said(content: &str) -> Entry {
    Entry::Message {
        message_type: "text".to_owned(),
        content: content.to_owned(),
        reply_to: None,
    }
}

pub(crate) fn draft(sender: &str, client_msg_id: &str, content: &str) -> Draft {
    Draft {
        id: Uuid::new_v4(),
        sender: Sender {
            id: sender.to_owned(),
            name: format!("{sender}'s name"),
        },
        client_msg_id: client_msg_id.to_owned(),
        entry: said(content),
        timestamp_ms: 1_795_000_000_123,
    }
}

/// `count` drafts of one sender, with client ids and contents that tell them apart.
pub(super) fn drafts(sender: &str, count: usize) -> Vec<Draft> {
    (0..count)
        .map(|n| {
            draft(
                sender,
                &format!("{sender}-{n}"),
                &format!("{sender} says {n}"),
            )
        })
        .collect()
}

pub(crate) async fn append(store: &dyn Store, room: &RoomId, drafts: Vec<Draft>) -> Vec<Appended> {
    let outcomes = store.append(room, drafts).await;
    outcomes
        .into_iter()
        .collect::<Result<_, StoreError>>()
        .unwrap()
}

pub(super) fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq).collect()
}

/// The whole log, oldest first, walked in pages of `limit`.
pub(super) async fn walk_forth(store: &dyn Store, room: &RoomId, limit: u32) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let after = messages.last().map_or(0, |message| message.seq);
        let page = store
            .page(room, Page::After { after, limit })
            .await
            .unwrap();
        assert!(page.messages.len() <= limit as usize);
        messages.extend(page.messages);
        if !page.has_more {
            return messages;
        }
    }
}

/// The whole log, oldest first, walked from its end in pages of `limit`.
pub(super) async fn walk_back(store: &dyn Store, room: &RoomId, limit: u32) -> Vec<Message> {
    let mut page = store.page(room, Page::Latest { limit }).await.unwrap();
    let mut messages = page.messages;
    while page.has_more {
        let before = messages[0].seq;
        page = store
            .page(room, Page::Before { before, limit })
            .await
            .unwrap();
        assert!(page.messages.len() <= limit as usize);
        messages.splice(0..0, page.messages);
    }
    messages
}
