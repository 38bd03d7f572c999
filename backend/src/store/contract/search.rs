//! Finding messages by their words.

use proptest::prelude::{Strategy, prop};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::{Fixture, append, draft, room};
use crate::chat::message::{Draft, Entry, Message};
use crate::chat::room::RoomId;
use crate::chat::search::Query;
use crate::store::{Found, Page, Search, SearchMark, Store};

/// As the server makes them: later ones have later ids.
fn entry(number: usize, entry: Entry) -> Draft {
    Draft {
        id: Uuid::now_v7(),
        entry,
        ..draft("ann", &number.to_string(), "")
    }
}

fn said(number: usize, content: &str) -> Draft {
    entry(number, super::said(content))
}

fn search(question: &str, of: Option<&RoomId>) -> Search {
    Search {
        query: Query::parse(question).unwrap(),
        room: of.cloned(),
        before: None,
        limit: 100,
    }
}

async fn found(store: &dyn Store, question: &str, of: Option<&RoomId>) -> Vec<String> {
    let Found { messages, next } = store.search(search(question, of)).await.unwrap();
    assert_eq!(next, None);
    messages
        .iter()
        .map(|message| message.entry.text().to_owned())
        .collect()
}

pub(in crate::store) async fn messages_are_found_by_their_words_newest_first(
    fixture: &impl Fixture<dyn Store>,
) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    let (lobby, garden) = (room("lobby"), room("garden 정원"));
    append(
        &*writer,
        &lobby,
        vec![said(1, "Hello there"), said(2, "안녕하세요 여러분")],
    )
    .await;
    append(
        &*writer,
        &garden,
        vec![said(3, "hello again"), said(4, "🎉")],
    )
    .await;
    append(&*writer, &lobby, vec![said(5, "HELLO, 안녕")]).await;
    // As macOS writes names of files.
    let taken_apart: String = "한글.pdf".nfd().collect();
    append(&*writer, &garden, vec![said(6, &taken_apart)]).await;
    for (question, of, expected) in [
        (
            "hello",
            None,
            vec!["HELLO, 안녕", "hello again", "Hello there"],
        ),
        ("hel", Some(&lobby), vec!["HELLO, 안녕", "Hello there"]),
        ("hello", Some(&garden), vec!["hello again"]),
        ("안녕", None, vec!["HELLO, 안녕", "안녕하세요 여러분"]),
        ("하세", None, vec!["안녕하세요 여러분"]),
        ("there hello", None, vec!["Hello there"]),
        ("한글", None, vec![&taken_apart]),
        ("ello", None, vec![]),
        ("hello", Some(&room("nobody")), vec![]),
        // The room is no word, and no word is syntax.
        ("lobby", None, vec![]),
        ("\"hello\" OR there*", None, vec![]),
        ("words : hello", None, vec![]),
        ("^hello -again {}", None, vec!["hello again"]),
    ] {
        assert_eq!(
            found(&*reader, question, of).await,
            expected,
            "{question} {of:?}"
        );
    }
}

pub(in crate::store) async fn what_is_found_is_as_changes_left_it(
    fixture: &impl Fixture<dyn Store>,
) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    let lobby = room("lobby");
    let edit = |ref_seq, content: &str| Entry::Edit {
        ref_seq,
        content: content.to_owned(),
    };
    append(
        &*writer,
        &lobby,
        vec![said(1, "first draft"), said(2, "second draft"), said(3, "")],
    )
    .await;
    append(
        &*writer,
        &lobby,
        vec![
            entry(4, edit(1, "final version")),
            entry(5, Entry::Delete { ref_seq: 2 }),
        ],
    )
    .await;
    assert_eq!(found(&*reader, "draft", None).await, [""; 0]);
    assert_eq!(
        found(&*reader, "final", Some(&lobby)).await,
        ["final version"]
    );
    append(
        &*writer,
        &lobby,
        vec![
            entry(6, edit(3, "late words")),
            entry(7, edit(1, "very final")),
        ],
    )
    .await;
    assert_eq!(found(&*reader, "late", None).await, ["late words"]);
    assert_eq!(found(&*reader, "version", None).await, [""; 0]);
    let page = reader
        .page(&lobby, Page::Latest { limit: 100 })
        .await
        .unwrap();
    let message = reader
        .search(search("very final", None))
        .await
        .unwrap()
        .messages
        .remove(0);
    assert_eq!(message, page.messages[0], "the same that a page shows");
}

/// All that a question finds, in pages of `limit`.
async fn walk(store: &dyn Store, mut search: Search, limit: u32) -> Vec<Message> {
    let mut messages = Vec::new();
    loop {
        let page = store
            .search(Search {
                limit,
                ..search.clone()
            })
            .await
            .unwrap();
        assert!(page.messages.len() <= limit as usize);
        messages.extend(page.messages);
        match page.next {
            Some(next) => search.before = Some(next),
            None => return messages,
        }
    }
}

pub(in crate::store) async fn pages_of_a_search_concatenate_to_the_whole(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let (lobby, other) = (room("lobby"), room("other"));
    for number in 0..30 {
        let room = if number % 3 == 0 { &other } else { &lobby };
        append(&*store, room, vec![said(number, &format!("word {number}"))]).await;
    }
    let whole = walk(&*store, search("word", None), 100).await;
    let contents: Vec<&str> = whole.iter().map(|message| message.entry.text()).collect();
    let expected: Vec<String> = (0..30)
        .rev()
        .map(|number| format!("word {number}"))
        .collect();
    assert_eq!(contents, expected);
    for limit in [1, 7, 30] {
        assert_eq!(
            walk(&*store, search("word", None), limit).await,
            whole,
            "{limit}"
        );
    }
    let in_lobby = walk(&*store, search("word", Some(&lobby)), 3).await;
    assert_eq!(in_lobby.len(), 20);
    for strange in [0, 1, u128::MAX] {
        let search = Search {
            before: Some(SearchMark(strange)),
            ..search("word", None)
        };
        assert!(store.search(search).await.is_ok(), "{strange}");
    }
}

pub(in crate::store) async fn a_search_finds_what_the_model_finds(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let mut runner = TestRunner::deterministic();
    let contents = prop::collection::vec(
        "(ab?|ba|안녕|녕안|하|東京|x1|e\u{301}a)( (ab?|Ba|안녕하|\u{1112}\u{1161}|éa|京|x)){0,3}",
        60,
    );
    let contents = contents.new_tree(&mut runner).unwrap().current();
    let rooms = [room("a"), room("b")];
    for (number, content) in contents.iter().enumerate() {
        append(&*store, &rooms[number % 2], vec![said(number, content)]).await;
    }
    let questions = prop::collection::vec(
        "(a|b|ab|안|녕|안녕|녕하|하|é|東|京|x|x1)( (a|b|하|\u{110b}\u{1161}\u{11ab}|안녕)){0,1}",
        40,
    );
    let questions = questions.new_tree(&mut runner).unwrap().current();
    let mut hits = 0;
    for question in questions {
        let query = Query::parse(&question).unwrap();
        let (of, step) = if question.len() % 2 == 0 {
            (None, 1)
        } else {
            (Some(&rooms[1]), 2)
        };
        let mut expected: Vec<String> = contents
            .iter()
            .skip(step - 1)
            .step_by(step)
            .cloned()
            .collect();
        expected.retain(|content| query.finds(content));
        expected.reverse();
        hits += expected.len();
        assert_eq!(
            found(&*store, &question, of).await,
            expected,
            "{question:?}"
        );
    }
    assert!(hits > 50, "{hits}");
}
