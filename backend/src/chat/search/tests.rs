use proptest::prelude::{ProptestConfig, prop, proptest};

use super::*;

fn finds(question: &str, text: &str) -> bool {
    Query::parse(question).unwrap().finds(text)
}

#[test]
fn words_are_found_by_their_beginning() {
    for (question, text) in [
        ("hello", "Hello, world!"),
        ("hel wor", "Hello, world!"),
        ("WORLD hello", "hello world"),
        ("straße", "Die Straße 7"),
        ("7", "Die Straße 7"),
        ("don", "don't"),
        ("a.b", "b and a"),
        ("приве", "Привет"),
        ("v2", "v2.1 is out"),
    ] {
        assert!(finds(question, text), "{question:?} in {text:?}");
    }
    for (question, text) in [
        ("ello", "Hello"),
        ("hello moon", "hello world"),
        ("hello", "hell o"),
        ("x", ""),
    ] {
        assert!(!finds(question, text), "{question:?} in {text:?}");
    }
}

#[test]
fn what_is_written_without_spaces_is_found_by_any_part() {
    for (question, text) in [
        ("안녕", "안녕하세요"),
        ("하세", "여러분 안녕하세요!"),
        ("요", "안녕하세요"),
        ("서버", "채팅서버를 다시 시작합니다"),
        ("서버 시작", "채팅서버를 다시 시작합니다"),
        ("東京", "私は東京に住んでいます"),
        ("京", "東京"),
        ("socket 서버", "Socket.IO서버"),
        ("สวัส", "สวัสดีครับ"),
    ] {
        assert!(finds(question, text), "{question:?} in {text:?}");
    }
    for (question, text) in [
        ("녕안", "안녕하세요"),
        // Its pairs are there, but not together.
        ("안녕하", "안녕 녕하"),
        ("東京", "東 京"),
    ] {
        assert!(!finds(question, text), "{question:?} in {text:?}");
    }
}

#[test]
fn in_how_many_characters_something_is_written_does_not_count() {
    for (question, text) in [
        ("안녕", "여러분 안녕하세요"),
        ("하세", "안녕하세요"),
        ("résu", "Le RÉSUMÉ, enfin"),
        ("ガ", "ガイド"),
        ("tiếng", "Tiếng Việt"),
    ] {
        let taken_apart = |text: &str| text.nfd().collect::<String>();
        assert_ne!(taken_apart(text), text);
        assert!(finds(question, &taken_apart(text)), "{question:?}");
        assert!(finds(&taken_apart(question), text), "{question:?}");
        assert_eq!(terms(&taken_apart(text)), terms(text));
    }
    // The accent itself does count.
    assert!(!finds("resume", "résumé"));
}

#[test]
fn nothing_in_a_question_is_syntax_and_signs_alone_are_no_question() {
    for question in [
        "\"hello\" OR -world NEAR(a* b)",
        "hello*",
        "^hello",
        "{hello}",
        "hello:",
    ] {
        assert!(Query::parse(question).is_ok(), "{question}");
    }
    assert!(finds("hello*", "hello"));
    for question in ["", "  ", "\"'*()-:^{}", "!?\0", "🎉"] {
        assert_eq!(Query::parse(question), Err(NoWord), "{question:?}");
    }
}

#[test]
fn terms_and_questions_are_bounded() {
    let long: String = (0..100_000).map(|number| format!("w{number} ")).collect();
    assert!(terms(&long).len() <= TERMS_MAX);
    assert!(!finds("w99999", &long), "what is not kept is found nowhere");
    assert!(finds("w7", &long));
    assert!(Query::parse(&long).unwrap().needles().len() <= WORDS_MAX);
    let word = "x".repeat(1_000);
    assert!(finds(&word, &word));
    assert!(terms(&word).iter().all(|term| term.len() <= WORD_CHARS_MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A store that looks for the needles misses nothing.
    #[test]
    fn what_is_found_has_every_needle(
        question in "[abAB안녕하東 .]{1,6}",
        text in prop::collection::vec("[abAB안녕하東京 .]{0,5}", 0..6),
    ) {
        let text = text.join(" ");
        if let Ok(query) = Query::parse(&question)
            && query.finds(&text)
        {
            let terms = terms(&text);
            for needle in query.needles() {
                assert!(needle.is_in(&terms), "{needle:?} in {terms:?}");
            }
        }
    }

    #[test]
    fn no_text_is_too_strange(question in ".*", text in ".*") {
        if let Ok(query) = Query::parse(&question) {
            assert!(query.finds(&format!("{text} {question}")));
        }
        assert!(terms(&text).iter().all(|term| term.chars().all(char::is_alphanumeric)));
    }
}
