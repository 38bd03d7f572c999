//! Editing, deleting and reacting: entries of the same log, seen by everybody, recovered like messages.

use serde_json::{Value, json};

use crate::client::Client;
use crate::place::Place;

/// The kinds and seqs of a list of entries.
fn kinds(answer: &Value) -> Vec<(u64, String)> {
    let entries = answer["messages"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            (
                entry["seq"].as_u64().unwrap(),
                entry["kind"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

async fn join(client: &mut Client) {
    assert_eq!(client.call(&json!(["joinRoom", "r"])).await["ok"], true);
}

#[tokio::test]
async fn members_on_every_server_see_changes_in_the_order_of_the_log() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut author = Client::guest(one.address).await;
    let mut reader = Client::guest(two.address).await;
    join(&mut author).await;
    join(&mut reader).await;
    author.call(&json!(["sendMessage", "r", "helo"])).await;
    let edited = author
        .call(&json!(["editMessage", {"roomId": "r", "seq": 1, "content": "hello"}]))
        .await;
    assert_eq!((&edited["ok"], &edited["seq"]), (&json!(true), &json!(2)));
    let reacted = reader
        .call(&json!(["addReaction", {"roomId": "r", "seq": 1, "emoji": "👍"}]))
        .await;
    assert_eq!(reacted["seq"], 3);
    let back = reader
        .call(&json!(["removeReaction", "r", {"seq": 1, "emoji": "👍"}]))
        .await;
    assert_eq!(back["seq"], 4);
    let deleted = author
        .call(&json!(["deleteMessage", {"roomId": "r", "seq": 1}]))
        .await;
    assert_eq!(deleted["seq"], 5);
    for client in [&mut author, &mut reader] {
        let updated = client.event("messageUpdated").await;
        assert_eq!(
            (&updated["refSeq"], &updated["content"]),
            (&json!(1), &json!("hello"))
        );
        let added = client.event("reaction").await;
        assert_eq!(
            (&added["seq"], &added["emoji"], &added["added"]),
            (&json!(3), &json!("👍"), &json!(true))
        );
        assert_eq!(client.event("reaction").await["added"], false);
        let deleted = client.event("messageDeleted").await;
        assert_eq!(
            (&deleted["seq"], &deleted["refSeq"]),
            (&json!(5), &json!(1))
        );
    }
}

#[tokio::test]
async fn who_comes_back_gets_every_kind_it_missed() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut author = Client::guest(backend.address).await;
    join(&mut author).await;
    for text in ["one", "two"] {
        author.call(&json!(["sendMessage", "r", text])).await;
    }
    for change in [
        json!(["editMessage", {"roomId": "r", "seq": 1, "content": "uno"}]),
        json!(["addReaction", {"roomId": "r", "seq": 2, "emoji": "👍"}]),
        json!(["deleteMessage", {"roomId": "r", "seq": 2}]),
        json!(["sendMessage", "r", "three"]),
    ] {
        assert_eq!(author.call(&change).await["ok"], true);
    }
    let mut back = Client::guest(backend.address).await;
    let recovered = back.call(&json!(["joinRoom", "r", {"lastSeq": 2}])).await;
    assert_eq!(recovered["recovered"], true);
    let expected = [(3, "edit"), (4, "reaction"), (5, "delete"), (6, "message")];
    assert_eq!(
        kinds(&recovered),
        expected.map(|(seq, kind)| (seq, kind.to_owned()))
    );
    let fresh = back
        .call(&json!(["getHistory", {"roomId": "r", "after": 0, "limit": 2}]))
        .await;
    assert_eq!(fresh["messages"][0]["content"], "uno");
    assert!(fresh["messages"][0]["editedAt"].is_string());
    assert_eq!(fresh["messages"][1]["content"], "");
    assert!(fresh["messages"][1]["deletedAt"].is_string());
}

#[tokio::test]
async fn a_change_that_is_sent_again_is_made_once() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let auth = json!({"device": "a secret of sixteen bytes"});
    let mut first = Client::open(one.address, &auth, None).await;
    first.welcome().await;
    join(&mut first).await;
    first.call(&json!(["sendMessage", "r", "hello"])).await;
    let delete = json!(["deleteMessage", {"roomId": "r", "seq": 1, "clientMsgId": "d"}]);
    let acked = first.call(&delete).await;
    assert_eq!(
        (&acked["seq"], &acked["duplicate"]),
        (&json!(2), &json!(false))
    );
    let mut again = Client::open(two.address, &auth, None).await;
    again.welcome().await;
    join(&mut again).await;
    let acked = again.call(&delete).await;
    assert_eq!(
        (&acked["seq"], &acked["duplicate"]),
        (&json!(2), &json!(true))
    );
}

#[tokio::test]
async fn what_is_not_ones_own_is_left_alone() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut author = Client::guest(backend.address).await;
    let mut other = Client::guest(backend.address).await;
    join(&mut author).await;
    author.call(&json!(["sendMessage", "r", "mine"])).await;
    let edit = json!(["editMessage", {"roomId": "r", "seq": 1, "content": "yours"}]);
    let delete = json!(["deleteMessage", {"roomId": "r", "seq": 1}]);
    let react = json!(["addReaction", {"roomId": "r", "seq": 1, "emoji": "👍"}]);
    for change in [&edit, &delete, &react] {
        let refused = other.call(change).await;
        assert_eq!(refused["error"]["code"], "NOT_MEMBER", "{change}");
    }
    join(&mut other).await;
    for change in [&edit, &delete] {
        let refused = other.call(change).await;
        assert_eq!(refused["error"]["code"], "FORBIDDEN", "{change}");
    }
    for seq in [0, 2, u64::MAX] {
        let nothing = json!(["addReaction", {"roomId": "r", "seq": seq, "emoji": "👍"}]);
        let refused = other.call(&nothing).await;
        assert_eq!(refused["error"]["code"], "BAD_REQUEST", "{nothing}");
    }
    assert_eq!(author.call(&delete).await["ok"], true);
    let refused = author.call(&edit).await;
    assert_eq!(refused["error"]["code"], "CONFLICT");
}
