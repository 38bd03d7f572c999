//! Acked means kept, and what is not kept is not acked: MongoDB away, SQLite locked, a disk that takes no more.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use berth_tests::{Client, Town, eventually, http, secs};
use rusqlite::Connection;
use serde_json::{Value, json};

/// All contents of a room, by the store.
async fn contents(client: &mut Client, room: &str) -> Vec<String> {
    let mut contents = Vec::new();
    let mut after = 0;
    loop {
        let page = client
            .ask(
                "getHistory",
                &[json!({ "roomId": room, "after": after, "limit": 200 })],
            )
            .await;
        assert_eq!(page["ok"], true, "{page}");
        let messages = page["messages"].as_array().expect("messages");
        let text = |message: &Value| message["content"].as_str().expect("content").to_owned();
        contents.extend(messages.iter().map(text));
        match messages.last() {
            Some(last) if page["hasMore"] == true => after = last["seq"].as_u64().expect("a seq"),
            Some(_) | None => return contents,
        }
    }
}

fn is_unavailable(answer: &Value) {
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(answer["error"]["retryable"], true, "{answer}");
    let code = answer["error"]["code"].as_str().unwrap_or_default();
    assert!(["UNAVAILABLE", "OVERLOADED"].contains(&code), "{answer}");
}

fn sqlite_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the data folder") {
        let path = entry.expect("an entry").path();
        let mut magic = [0; 15];
        let is_database = fs::File::open(&path)
            .and_then(|mut file| file.read_exact(&mut magic))
            .is_ok();
        if is_database && &magic == b"SQLite format 3" {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn mongodb_keeps_what_was_acked_over_everybodys_death() {
    let mut town = Town::with_backends(2).redis().mongo().start().await;
    let mut alice = town.client(1).await;
    alice.join("lobby").await;
    for number in 0..50 {
        alice.say("lobby", &number.to_string()).await;
    }
    town.kill(1);
    town.kill(2);
    town.restart(2).await;
    let mut bob = town.client(2).await;
    bob.join("lobby").await;
    let wanted: Vec<String> = (0..50).map(|number: u32| number.to_string()).collect();
    assert_eq!(contents(&mut bob, "lobby").await, wanted);
}

#[tokio::test]
async fn mongodb_goes_away_and_returns() {
    let mut town = Town::with_backends(1).redis().own_mongo().start().await;
    let mut alice = town.client(1).await;
    alice.join("lobby").await;
    alice.say("lobby", "before").await;
    town.mongo_mut().stop().await;
    is_unavailable(&alice.try_say("lobby", "lost?").await);
    assert_eq!(alice.end(), None);

    town.mongo_mut().start_again().await;
    eventually("sending works again", secs(40), async || {
        (alice.try_say("lobby", "after").await["ok"] == true).then_some(())
    })
    .await;
    let mut kept = contents(&mut alice, "lobby").await;
    // A refused send means unknown; here the server was down before it was sent.
    kept.dedup();
    assert_eq!(kept, ["before", "after"]);
}

#[tokio::test]
async fn the_same_client_message_is_stored_once() {
    let town = Town::with_backends(2).redis().mongo().start().await;
    let draft = json!({ "content": "once", "type": "text", "clientMsgId": "my-1" });
    let mut alice = town.client(1).await;
    alice.join("lobby").await;
    let first = alice
        .ask("sendMessage", &[json!("lobby"), draft.clone()])
        .await;
    let again = alice.ask("sendMessage", &[json!("lobby"), draft]).await;
    assert_eq!(first["duplicate"], false, "{first}");
    assert_eq!(again["duplicate"], true, "{again}");
    assert_eq!((&first["id"], &first["seq"]), (&again["id"], &again["seq"]));
    assert_eq!(contents(&mut alice, "lobby").await, ["once"]);
}

#[tokio::test]
async fn a_locked_sqlite_file_refuses_and_acks_nothing() {
    let town = Town::with_backends(1).start().await;
    let mut alice = town.client(1).await;
    let mut bob = town.client(1).await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    alice.say("lobby", "before").await;

    let files = sqlite_files(&town.path().join("data"));
    assert!(!files.is_empty(), "no SQLite file");
    let locks: Vec<Connection> = files
        .iter()
        .map(|file| Connection::open(file).expect("the file"))
        .collect();
    for lock in &locks {
        lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    }
    is_unavailable(&alice.try_say("lobby", "locked out").await);
    drop(locks);

    eventually("sending works again", secs(15), async || {
        (alice.try_say("lobby", "after").await["ok"] == true).then_some(())
    })
    .await;
    bob.hears("after").await;
    // Refused means unknown, as with every store; but what is heard is what is stored, and each once.
    let kept = contents(&mut alice, "lobby").await;
    let messages = bob.messages();
    let contents = messages.iter().map(|message| message["content"].as_str());
    let heard: Vec<&str> = contents.flatten().collect();
    assert_eq!(heard, kept, "somebody heard what was not stored");
    let known: Vec<&str> = heard
        .into_iter()
        .filter(|content| *content != "locked out")
        .collect();
    assert_eq!(known, ["before", "after"]);
    assert!(kept.len() <= 3, "{kept:?}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_acks_nothing() {
    // No file may grow beyond 512 KiB (blocks of 512 bytes in POSIX shells), and the signal that comes with it is ignored: writes just fail, as on a full disk.
    let plan = Town::with_backends(1).launched_by("trap '' XFSZ; ulimit -f 1024");
    let mut town = plan.start().await;
    let mut alice = town.client(1).await;
    let mut bob = town.client(1).await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    let mut acked = Vec::new();
    let refused = loop {
        let content = format!("{} {}", acked.len(), "x".repeat(4000));
        let answer = alice.try_say("lobby", &content).await;
        if answer["ok"] != true {
            break answer;
        }
        acked.push(content);
        assert!(acked.len() < 1000, "the disk never filled");
    };
    is_unavailable(&refused);
    assert!(acked.len() > 5, "refused from the start: {refused}");
    assert_eq!(bob.hears_messages(acked.len()).await.len(), acked.len());
    assert_eq!(
        http::status(&town.backend(1).url("/health/liveness")).await,
        Some(200)
    );

    // Everything acknowledged, and nothing else, is there when there is room again.
    town.kill(1);
    town.restart(1).await;
    let mut carol = town.client(1).await;
    carol.join("lobby").await;
    let kept = contents(&mut carol, "lobby").await;
    assert_eq!(kept[..acked.len()], acked[..]);
    assert!(kept.len() <= acked.len() + 1, "more was kept than was sent");
}
