//! Finding what was said, over HTTP.

use serde_json::{Value, json};

use crate::client::Client;
use crate::http::{Answer, get};
use crate::place::{Backend, Place};

/// A path with everything that is not plain percent-encoded.
async fn search(backend: &Backend, question: &str, more: &str, cookie: Option<&str>) -> Answer {
    let encoded: String = question
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    get(
        &backend.url(&format!("/api/search?q={encoded}{more}")),
        cookie,
    )
    .await
}

fn contents(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let messages = answer.json()["messages"].as_array().unwrap().clone();
    let content = |message: &Value| message["content"].as_str().unwrap().to_owned();
    messages.iter().map(content).collect()
}

/// A guest with a session, who is the same over HTTP and on a socket.
async fn guest(backend: &Backend, name: &str) -> (Client, String) {
    let body = json!({ "displayName": name });
    let answer = crate::http::post(&backend.url("/api/auth/guest"), &body, None).await;
    let cookie = answer.cookie.unwrap();
    let mut client = Client::open(backend.address, &json!({}), Some(&cookie)).await;
    client.welcome().await;
    (client, cookie)
}

async fn say(client: &mut Client, room: &str, content: &str) -> Value {
    let ack = client
        .call(&json!(["sendMessage", room, { "content": content }]))
        .await;
    assert_eq!(ack["ok"], true, "{ack}");
    ack
}

#[tokio::test]
async fn messages_are_found_by_anybody_who_may_read_them() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let (mut ann, ann_cookie) = guest(&backend, "Ann").await;
    let (_ben, ben_cookie) = guest(&backend, "Ben").await;
    let made = json!(["createRoom", { "name": "Team", "roomId": "team" }]);
    assert_eq!(ann.call(&made).await["ok"], true);
    for room in ["lobby", "team"] {
        ann.call(&json!(["joinRoom", room])).await;
    }
    say(&mut ann, "lobby", "Hello everybody").await;
    say(&mut ann, "team", "hello team").await;
    say(&mut ann, "lobby", "안녕하세요").await;

    let own = search(&backend, "hello", "", Some(&ann_cookie)).await;
    assert_eq!(contents(&own), ["hello team", "Hello everybody"]);
    assert_eq!(own.json()["messages"][0]["roomId"], "team");
    for cookie in [Some(ben_cookie.as_str()), None] {
        let others = search(&backend, "hello", "", cookie).await;
        assert_eq!(contents(&others), ["Hello everybody"], "{cookie:?}");
        let refused = search(&backend, "hello", "&roomId=team", cookie).await;
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    let of_room = search(&backend, "hello", "&roomId=team", Some(&ann_cookie)).await;
    assert_eq!(contents(&of_room), ["hello team"]);
    assert_eq!(
        contents(&search(&backend, "안녕", "", None).await),
        ["안녕하세요"]
    );
}

#[tokio::test]
async fn what_was_changed_is_found_as_it_is_now() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let (mut ann, _) = guest(&backend, "Ann").await;
    ann.call(&json!(["joinRoom", "r"])).await;
    let first = say(&mut ann, "r", "a typo").await;
    let second = say(&mut ann, "r", "a secret").await;
    let edit = json!(["editMessage", { "roomId": "r", "seq": first["seq"], "content": "a text" }]);
    assert_eq!(ann.call(&edit).await["ok"], true);
    let delete = json!(["deleteMessage", { "roomId": "r", "seq": second["seq"] }]);
    assert_eq!(ann.call(&delete).await["ok"], true);
    for (question, expected) in [
        ("typo", vec![]),
        ("secret", vec![]),
        ("text", vec!["a text"]),
    ] {
        assert_eq!(
            contents(&search(&backend, question, "", None).await),
            expected
        );
    }
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_though_most_is_not_for_whoever_asks() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let (mut ann, _) = guest(&backend, "Ann").await;
    ann.call(&json!(["createRoom", { "name": "Team", "roomId": "team" }]))
        .await;
    for room in ["lobby", "team"] {
        ann.call(&json!(["joinRoom", room])).await;
    }
    for number in 0..60 {
        let room = if number % 10 == 0 { "lobby" } else { "team" };
        say(&mut ann, room, &format!("word {number}")).await;
    }
    let (mut found, mut more, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = search(&backend, "word", &format!("&limit=2{more}"), None).await;
        let page = contents(&answer);
        assert!(page.len() <= 2);
        found.extend(page);
        pages += 1;
        match answer.json()["before"].as_str() {
            Some(before) => more = format!("&before={before}"),
            None => break,
        }
    }
    let expected = [50, 40, 30, 20, 10, 0].map(|number| format!("word {number}"));
    assert_eq!(found, expected);
    assert!(pages < 30, "{pages}");
}

#[tokio::test]
async fn questions_of_all_kinds_are_answered_or_refused_in_our_words() {
    let mut place = Place::new();
    let backend = place.backend().await;
    for question in [
        "\"a",
        "a\" OR b",
        "NEAR(a b)",
        "a*",
        "^a",
        "{\"$ne\":1}",
        "a\0b",
        "words:a",
    ] {
        let answer = search(&backend, question, "", None).await;
        assert_eq!(answer.status, 200, "{question:?}: {}", answer.body);
    }
    let long = "a".repeat(600);
    for (question, more, word) in [
        ("", "", "no word"),
        ("!?", "", "no word"),
        (long.as_str(), "", "longer"),
        ("a", "&limit=0", "limit"),
        ("a", "&limit=x", "limit"),
        ("a", "&limit=100000", "limit"),
        ("a", "&before=xyz", "before"),
        ("a", "&roomId=user%3A1", "roomId"),
    ] {
        let answer = search(&backend, question, more, None).await;
        assert_eq!(answer.status, 400, "{question:?}{more}: {}", answer.body);
        assert!(
            answer.body.contains(word),
            "{question:?}{more}: {}",
            answer.body
        );
    }
    let without = get(&backend.url("/api/search"), None).await;
    assert_eq!(without.status, 400, "{}", without.body);
}

#[tokio::test]
async fn who_searches_too_often_has_to_wait() {
    let mut place = Place::new();
    place.settings.search.user_searches_per_minute_max = 2;
    let backend = place.backend().await;
    let (_ann, cookie) = guest(&backend, "Ann").await;
    for status in [200, 200, 429] {
        let answer = search(&backend, "a", "", Some(&cookie)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let wait = answer.json()["error"]["retryAfterMs"].as_u64();
        assert_eq!(wait.is_some_and(|wait| wait > 0), status == 429);
    }
    assert_eq!(search(&backend, "a", "", None).await.status, 200);
}

#[tokio::test]
async fn where_guests_may_not_come_in_they_find_nothing() {
    let mut place = Place::new();
    place.settings.chat.guests = false;
    let backend = place.backend().await;
    assert_eq!(search(&backend, "a", "", None).await.status, 401);
}
