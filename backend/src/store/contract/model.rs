//! The model: a room is a list. Any sequence of appends and pages must be answered as the list would answer it.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Fixture, draft, room};
use crate::chat::message::{Draft, Message};
use crate::chat::room::RoomId;
use crate::store::{Appended, Page};

/// Sequences tried per store. Each is some dozen disk commits on the durable ones.
const CASES: usize = 40;

#[derive(Clone, Debug)]
enum Step {
    /// Each pair is a sender and a client id; few of both, so that repetitions are common.
    Append(Vec<(u8, u8)>),
    Page(Page),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cursor = prop_oneof![0..12_u64, Just(u64::MAX)];
    let page = prop_oneof![
        (0..6_u32).prop_map(|limit| Page::Latest { limit }),
        (cursor.clone(), 0..6_u32).prop_map(|(before, limit)| Page::Before { before, limit }),
        (cursor, 0..6_u32).prop_map(|(after, limit)| Page::After { after, limit }),
    ];
    let step = prop_oneof![
        vec((0..3_u8, 0..6_u8), 0..6).prop_map(Step::Append),
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
        let message = draft.placed(&self.room, self.messages.len() as u64 + 1);
        self.messages.push(message.clone());
        Appended {
            message,
            duplicate: false,
        }
    }

    fn page(&self, page: Page) -> (Vec<Message>, bool) {
        let select = |keep: &dyn Fn(u64) -> bool| -> Vec<Message> {
            self.messages
                .iter()
                .filter(|m| keep(m.seq))
                .cloned()
                .collect()
        };
        let (mut messages, limit, newest) = match page {
            Page::Latest { limit } => (self.messages.clone(), limit, true),
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

/// Always the same cases, so that a failure is found again; a room per case, so that one store serves them all.
pub(in crate::store) async fn compare(fixture: &impl Fixture) {
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
                        .map(|(sender, id)| draft(&sender.to_string(), &id.to_string(), "x"))
                        .collect();
                    let expected: Vec<_> = drafts
                        .iter()
                        .map(|draft| Ok(list.append(draft.clone())))
                        .collect();
                    assert_eq!(store.append(&here, drafts).await, expected, "{steps:?}");
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
