//! The model: a room is a list. Any sequence of appends and pages must be answered as the list would answer it.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use uuid::Uuid;

use super::{Fixture, append, draft, room, said};
use crate::chat::fold;
use crate::chat::message::{Draft, Entry, Message, Place};
use crate::chat::room::RoomId;
use crate::store::{Appended, Page, Store};

/// Sequences tried per store. Each is some dozen disk commits on the durable ones.
const CASES: usize = 40;

#[derive(Clone, Debug)]
enum Step {
    /// A sender, a client id and what it does; few of all, so that repetitions and changes of what is there are common.
    Append(Vec<(u8, u8, What)>),
    Page(Page),
}

/// Changes may name what is not there, or is no message: a store keeps what it is given.
#[derive(Clone, Copy, Debug)]
enum What {
    Say,
    Edit(u8),
    Delete(u8),
    React(u8, bool),
}

fn whats() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Say),
        1 => (1..9_u8).prop_map(What::Edit),
        1 => (1..9_u8).prop_map(What::Delete),
        2 => (1..9_u8, any::<bool>()).prop_map(|(seq, added)| What::React(seq, added)),
    ]
}

fn entry(what: What, id: u8) -> Entry {
    match what {
        What::Say => said("x"),
        What::Edit(seq) => Entry::Edit {
            ref_seq: seq.into(),
            content: format!("edit {id}"),
        },
        What::Delete(seq) => Entry::Delete {
            ref_seq: seq.into(),
        },
        What::React(seq, added) => Entry::Reaction {
            ref_seq: seq.into(),
            emoji: format!("e{}", id % 2),
            added,
        },
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cursor = prop_oneof![0..12_u64, Just(u64::MAX)];
    let page = prop_oneof![
        (0..6_u32).prop_map(|limit| Page::Latest { limit }),
        (cursor.clone(), 0..6_u32).prop_map(|(before, limit)| Page::Before { before, limit }),
        (cursor, 0..6_u32).prop_map(|(after, limit)| Page::After { after, limit }),
    ];
    let step = prop_oneof![
        vec((0..3_u8, 0..9_u8, whats()), 0..6).prop_map(Step::Append),
        page.prop_map(Step::Page),
    ];
    vec(step, 1..16)
}

/// The slow and obvious store.
struct List {
    room: RoomId,
    messages: Vec<Message>,
}

impl List {
    fn append(&mut self, draft: Draft) -> Appended {
        let same =
            |m: &&Message| m.sender.id == draft.sender.id && m.client_msg_id == draft.client_msg_id;
        if let Some(message) = self.messages.iter().find(same).cloned() {
            return Appended {
                message,
                duplicate: true,
            };
        }
        let said = |m: &&Message| matches!(m.entry, Entry::Message { .. });
        let n = self.messages.iter().filter(said).count() as u64;
        let tail = Place {
            seq: self.messages.len() as u64,
            n,
        };
        let place = tail.next(&draft.entry);
        let message = draft.placed(&self.room, place);
        self.messages.push(message.clone());
        Appended {
            message,
            duplicate: false,
        }
    }

    /// The log as pages show it: every message with all changes, in order.
    fn shown(&self) -> Vec<Message> {
        let mut shown = self.messages.clone();
        for target in &mut shown {
            for change in &self.messages {
                fold::apply(target, change);
            }
        }
        let deleted: Vec<u64> = shown
            .iter()
            .filter(|m| m.marks.deleted_at_ms.is_some())
            .map(|m| m.seq)
            .collect();
        for message in &mut shown {
            if let Entry::Edit { ref_seq, content } = &mut message.entry
                && deleted.contains(ref_seq)
            {
                content.clear();
            }
        }
        shown
    }

    fn page(&self, page: Page) -> (Vec<Message>, bool) {
        let shown = self.shown();
        let select = |keep: &dyn Fn(u64) -> bool| -> Vec<Message> {
            shown.iter().filter(|m| keep(m.seq)).cloned().collect()
        };
        let (mut messages, limit, newest) = match page {
            Page::Latest { limit } => (shown.clone(), limit, true),
            Page::Before { before, limit } => (select(&|seq| seq < before), limit, true),
            Page::After { after, limit } => (select(&|seq| seq > after), limit, false),
        };
        let limit = limit.max(1) as usize;
        let has_more = messages.len() > limit;
        if newest {
            messages = messages.split_off(messages.len().saturating_sub(limit));
        } else {
            messages.truncate(limit);
        }
        (messages, has_more)
    }
}

/// What an append must answer alike. What a duplicate shows depends on what the same batch did to it.
fn place(appended: &Appended) -> (Uuid, Place, bool) {
    let message = &appended.message;
    (message.id, message.place(), appended.duplicate)
}

/// Always the same cases, so that a failure is found again; a room per case, so that one store serves them all.
pub(in crate::store) async fn compare(fixture: &impl Fixture<dyn Store>) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let store = fixture.open().await;
    for case in 0..CASES {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let here = room(&format!("case {case}"));
        let mut list = List {
            room: here.clone(),
            messages: vec![],
        };
        for step in &steps {
            match step {
                Step::Append(pairs) => {
                    let drafts: Vec<Draft> = pairs
                        .iter()
                        .map(|(sender, id, what)| Draft {
                            entry: entry(*what, *id),
                            ..draft(&sender.to_string(), &id.to_string(), "x")
                        })
                        .collect();
                    let expected: Vec<_> = drafts
                        .iter()
                        .map(|draft| place(&list.append(draft.clone())))
                        .collect();
                    let appended = append(&*store, &here, drafts).await;
                    let places: Vec<_> = appended.iter().map(place).collect();
                    assert_eq!(places, expected, "{steps:?}");
                }
                Step::Page(page) => {
                    let history = store.page(&here, *page).await.unwrap();
                    let ends = (history.first_seq, history.last_seq);
                    let last = list.messages.len() as u64;
                    assert_eq!(ends, (last.min(1), last), "{steps:?}");
                    let answer = (history.messages, history.has_more);
                    assert_eq!(answer, list.page(*page), "{page:?} in {steps:?}");
                }
            }
        }
    }
}
